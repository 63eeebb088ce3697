/* code_map.c - see code_map.h. */
#include "code_map.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

void
code_map_deinit(struct code_map *map)
{
    free(map->to);
    *map = (struct code_map){.to = NULL};
}

vt_err
code_map_use(struct code_map *map, uint64_t dict_id, uint32_t count)
{
    uint32_t keep = map->dict_id == dict_id ? map->count : 0;

    VT_ASSERT(count <= DICT_STRINGS_MAX);
    if (count == 0)
        count = 1; /* "" is in every dictionary */
    if (count <= keep)
        return VT_OK;
    uint32_t *to = realloc(map->to, (uint64_t)count * sizeof *to);

    if (to == NULL)
        return VT_NOMEM;
    memset(to + keep, 0, (uint64_t)(count - keep) * sizeof *to);
    *map = (struct code_map){.dict_id = dict_id, .count = count, .to = to};
    return VT_OK;
}
