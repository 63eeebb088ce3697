/*
 * usage_rows.h - random usage and the naive answer to it: rows as plain structs, put into cells one
 * by one or as blocks, and totals found by walking all rows for each meter. Totals are compared as
 * lines of text, so that a failure shows itself.
 *
 * The catalog has two types, tenants whose order by bytes is not that of their numbers, and meters
 * of every aggregation, with and without group_by, filter and dimensions beyond the group.
 *
 * Life:   a catalog is loaded once and freed; lines_deinit.
 * Thread: the test's.
 */
#pragma once

#include "engine/arena.h"
#include "engine/cells.h"

#define USAGE_SLOTS 5
#define USAGE_ID    48

extern const char usage_catalog_text[];
/* The same and one more meter, "late_sum", of type call. */
extern const char usage_catalog_next_text[];
struct catalog *usage_catalog(const char *text);

struct usage_row {
    uint32_t tenant;
    uint32_t type;
    int64_t time_us;
    const char *source;
    char id_text[USAGE_ID];
    uint8_t id_bytes[16];
    struct row_id id;              /* points into the row: rows do not move */
    const char *text[USAGE_SLOTS]; /* strings; NULL in decimal slots */
    int64_t value[USAGE_SLOTS];
    uint8_t present[USAGE_SLOTS];
};

uint64_t usage_next(uint64_t *seed);
/* `number` makes the id. Times lie in the `span_us` from `from_us`. */
struct usage_times {
    int64_t from_us;
    int64_t span_us;
};
void usage_row_make(uint64_t *seed, uint64_t number, const struct usage_times *times,
                    struct usage_row *out_row);

/* With `touch` it is only told what they touch, and nothing added. */
void usage_into_cells(struct cells *cells, const struct usage_row *row,
                      const struct cell_touch *touch);
/* Rows of one type, as one run. */
void usage_run_into_cells(struct cells *cells, const struct usage_row *rows, uint32_t count,
                          const struct cell_touch *touch);

/* Rows of one tenant and one type, found in `rows`, as a block over `dict`; memory from the arena.
 * No rows: row_count is 0. */
struct usage_pick {
    const struct usage_row *rows;
    uint32_t count;
    uint32_t tenant;
    uint32_t type;
};
struct row_block usage_block(struct arena *arena, const struct catalog *catalog, struct dict *dict,
                             const struct usage_pick *pick);

/* Lines "tenant|meter|start|dim,dim|count|result", for `last` with the event it comes from. */
struct lines {
    char **line;
    uint32_t count;
    uint32_t max;
};
void lines_add(struct lines *lines, const char *line);
void lines_deinit(struct lines *lines);
/* The first difference in words, or NULL. */
const char *lines_differ(const struct lines *a, const struct lines *b);

void lines_of_cells(const struct cells *cells, struct lines *out_lines);

struct naive_scope {
    const struct catalog *catalog;
    bool by_group;
    struct cells_bounds bounds;
};
/* Whether the row is usage of the meter, and where its window starts. */
bool usage_measures(const struct catalog *catalog, uint32_t meter, const struct usage_row *row);
int64_t usage_window(const struct catalog *catalog, uint32_t meter, const struct usage_row *row);
void lines_of_rows(const struct naive_scope *scope, const struct usage_row *rows, uint32_t count,
                   struct lines *out_lines);
