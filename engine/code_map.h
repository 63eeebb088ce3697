/*
 * code_map.h - codes of another dictionary to codes of one's own. Each string is looked up once
 * while blocks of one dictionary follow each other; the map forgets when another dictionary comes.
 *
 * Life:   a zeroed struct is an empty map; code_map_deinit.
 * Thread: one at a time.
 */
#pragma once

#include <stdint.h>

#include "dict.h"
#include "venturi/err.h"

struct code_map {
    uint64_t dict_id; /* of the codes translated */
    uint32_t count;   /* codes that have a place in `to` */
    uint32_t *to;     /* 0: not looked up yet; "" is 0 in every dictionary */
};

void code_map_deinit(struct code_map *map);
/* From now on codes below `count` of the dictionary `dict_id`. */
VT_MUST_CHECK vt_err code_map_use(struct code_map *map, uint64_t dict_id, uint32_t count);

/* The code in `own` of `code`, whose string is `text`. */
static inline vt_err
code_map_get(struct code_map *map, struct dict *own, uint32_t code, const struct vt_str *text,
             uint32_t *out_code)
{
    if (map->to[code] == 0 && code != 0) {
        vt_err err = dict_code(own, *text, &map->to[code]);

        if (err != VT_OK)
            return err;
    }
    *out_code = map->to[code];
    return VT_OK;
}
