/* verify_damage.c - see verify_damage.h. */
#include "verify_damage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/time.h"

#define TENANTS_TOLD 8

static struct vt_str
text_of(const char *text)
{
    return (struct vt_str){text, (uint32_t)strlen(text)};
}

static void
scope_json(struct json_out *out, const struct store_damage *damage,
           const struct damage_scope *scope)
{
    json_key(out, VT_STR("partition"));
    json_unsigned(out, damage->segment->id.partition);
    json_key(out, VT_STR("cut"));
    json_unsigned(out, damage->segment->id.cut);
    json_key(out, VT_STR("what"));
    json_string(out, text_of(scope->what));
    json_key(out, VT_STR("rows"));
    json_unsigned(out, scope->rows);
    json_key(out, VT_STR("type"));
    if (scope->type == NULL)
        json_null(out);
    else
        json_string(out, *scope->type);
    json_key(out, VT_STR("tenants"));
    if (scope->tenants_known) {
        json_open(out, '[');
        for (uint32_t i = 0; i < scope->tenant_count; i++)
            json_string(out, *scope->tenants[i]);
        json_close(out, ']');
    } else {
        json_null(out);
    }
    if (!scope->times_known)
        return;
    json_key(out, VT_STR("first_time"));
    json_time(out, scope->first_us);
    json_key(out, VT_STR("last_time"));
    json_time(out, scope->last_us);
}

static void
damage_json(const struct store_damage *damage, const struct damage_scope *scope)
{
    struct json_out out;

    json_out_init(&out);
    json_open(&out, '{');
    json_key(&out, VT_STR("kind"));
    json_string(&out, VT_STR("damage"));
    json_key(&out, VT_STR("file"));
    json_string(&out, text_of(damage->file));
    json_key(&out, VT_STR("offset"));
    json_unsigned(&out, damage->offset);
    json_key(&out, VT_STR("code"));
    json_string(&out, text_of(vt_err_name(damage->err)));
    json_key(&out, VT_STR("text"));
    json_string(&out, text_of(damage->text));
    if (scope != NULL)
        scope_json(&out, damage, scope);
    json_close(&out, '}');
    json_end_line(&out);
    vt_err ignored = out.err == VT_OK ? stdout_sink().flush(NULL, &out) : out.err;

    (void)ignored; /* the last flush tells */
    json_out_deinit(&out);
}

/* "; rows: 4096 of type call, of tenants a, b, event times from X to Y" */
static void
scope_text(const struct store_damage *damage, const struct damage_scope *scope)
{
    char first[VT_RFC3339_BYTES];
    char last[VT_RFC3339_BYTES];

    (void)fprintf(stderr, "; partition %" PRIu32 ", %s: %" PRIu64 " rows",
                  damage->segment->id.partition, scope->what, scope->rows);
    if (scope->type != NULL)
        (void)fprintf(stderr, " of type %.*s", (int)scope->type->size, scope->type->data);
    if (!scope->tenants_known)
        (void)fprintf(stderr, " of any tenant of the partition");
    for (uint32_t i = 0; i < scope->tenant_count && i < TENANTS_TOLD; i++)
        (void)fprintf(stderr, "%s%.*s", i == 0 ? " of tenants " : ", ",
                      (int)scope->tenants[i]->size, scope->tenants[i]->data);
    if (scope->tenant_count > TENANTS_TOLD)
        (void)fprintf(stderr, " and %" PRIu32 " more", scope->tenant_count - TENANTS_TOLD);
    if (!scope->times_known)
        return;
    vt_utc_format((struct vt_utc){scope->first_us}, first);
    vt_utc_format((struct vt_utc){scope->last_us}, last);
    (void)fprintf(stderr, ", times from %s to %s", first, last);
}

void
verify_damage_tell(const struct verify_teller *teller, const struct store_damage *damage)
{
    struct damage_scope scope = {.what = NULL};
    struct catalog *catalog = NULL;
    bool known = false;

    if (!teller->json)
        (void)fprintf(stderr, "%s: %s: offset %" PRIu64 ": %s (%s)", teller->name, damage->file,
                      damage->offset, damage->text, vt_err_name(damage->err));
    if (damage->segment != NULL) {
        if (damage_catalog(store_state(teller->store), damage->segment->id.cut, &catalog) != VT_OK)
            catalog = NULL;
        known = damage_scope_read(teller->io, damage, catalog, &scope) == VT_OK;
    }
    if (teller->json)
        damage_json(damage, known ? &scope : NULL);
    else if (known)
        scope_text(damage, &scope);
    if (!teller->json)
        (void)fputc('\n', stderr);
    free(scope.tenants);
    catalog_free(catalog);
    vt_err_clear();
}
