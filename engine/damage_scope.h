/*
 * damage_scope.h - what damage in a segment means: which tenants and types have data in the bad
 * chunk, how many rows, and of which event times, as far as the rest of the segment can say.
 *
 * Life:   damage_catalog once for a segment, damage_scope_read for each damage; the names are the
 *         catalog's, the list is the caller's to free.
 * Thread: any.
 */
#pragma once

#include <stdbool.h>

#include "catalog.h"
#include "storage/storage.h"

struct damage_scope {
    const char *what;   /* "rows", "ids", "cells", ...; "all" without a chunk */
    uint64_t rows;      /* of the segment in question */
    bool tenants_known; /* else they stand in what is damaged, too: any of the partition */
    uint32_t tenant_count;
    const struct vt_str **tenants; /* malloc */
    const struct vt_str *type;     /* the only one; NULL: several, or not known */
    bool times_known;
    int64_t first_us; /* of events; of windows where cells or feed are damaged */
    int64_t last_us;
};

/* The catalog that judged the rows of a cut, of the state of the last seal. */
VT_MUST_CHECK vt_err damage_catalog(struct vt_bytes state, uint64_t cut,
                                    struct catalog **out_catalog);

/* `catalog` may be NULL: names are not known then. */
VT_MUST_CHECK vt_err damage_scope_read(struct io *io, const struct store_damage *damage,
                                       const struct catalog *catalog,
                                       struct damage_scope *out_scope);
