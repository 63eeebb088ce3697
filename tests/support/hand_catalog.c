#include "hand_catalog.h"

#include "venturi/assert.h"

/* clang-format off */
static const char json[] =
    "{\"event_types\":["
      "{\"type\":\"call\",\"fields\":["
        "{\"name\":\"region\",\"kind\":\"string\"},"
        "{\"name\":\"model\",\"kind\":\"string\"},"
        "{\"name\":\"tokens\",\"kind\":\"decimal\",\"scale\":0},"
        "{\"name\":\"cost\",\"kind\":\"decimal\",\"scale\":6,\"required\":false}]},"
      "{\"type\":\"job\",\"fields\":["
        "{\"name\":\"seconds\",\"kind\":\"decimal\",\"scale\":3},"
        "{\"name\":\"region\",\"kind\":\"string\"},"
        "{\"name\":\"units\",\"kind\":\"decimal\",\"scale\":18,\"required\":false}]},"
      "{\"type\":\"ping\",\"fields\":[]}],"
    "\"meters\":[],"
    "\"tenants\":[{\"key\":\"acme\"},{\"key\":\"globex\"},{\"key\":\"z\xc3\xbcrich\"}],"
    "\"plans\":[],\"contracts\":[]}";
/* clang-format on */

const struct catalog *
hand_catalog(void)
{
    static struct catalog *catalog;

    if (catalog == NULL) {
        vt_err err = catalog_load((struct vt_str){json, sizeof json - 1}, NULL, &catalog);

        VT_ASSERT(err == VT_OK);
    }
    return catalog;
}
