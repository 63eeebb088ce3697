/*
 * rater.h - the inside of rating: what rater_add gathers and rater_finish reads.
 *
 *   rater_setup.c   what the tenant's contracts read: dimensions and fields of each type
 *   rater_time.c    the time line of the tenant, cut at every edge of every contract
 *   rater_bind.c    the columns of a block under the catalog that rates
 *   rater_extra.c   fields that were not declared when the events came
 *   rater_tuple.c   rows to tuples of dimensions
 *   rater_add.c     rows into cells
 *   rater_more.c    what a sum cannot say: last, unique, and events for percentages
 *   rater_terms.c   who covers a cell, which charge and row takes it; unrated usage
 *   rater_run.c     a contract's periods and runs, and the plan's commitment
 *   rater_charge.c  a charge in a run, its minimum and maximum
 *   rater_slot.c    one row and price group of a charge in a run; with it
 *   rater_fold.c    ... cells into one quantity
 *   rater_fee.c     ... percentages
 *   rater_split.c   ... lines, shared by split_by
 *   rater_lines.c   the lines, in order
 *
 * A CELL is what happened in one segment of the time line with one tuple of dimensions. Rating
 * reads only cells: two events that no contract could tell apart need no two places. So a row costs
 * an addition, whatever number of charges there are, and the charges are looked at once a cell.
 *
 * Sums of n values of 64 bits stay below n x 2^63, so 128 bits hold any 2^64 events and need no
 * check.
 *
 * Thread: the rater's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "block.h"
#include "catalog.h"
#include "code_pages.h"
#include "dict.h"
#include "rating.h"
#include "tuple_table.h"

#define CHUNK_ROWS UINT32_C(2048)

/* What a field is gathered for. */
enum want {
    WANT_SUM = 1,
    WANT_RANGE = 2,  /* min, max */
    WANT_LAST = 4,   /* greatest (time, source, id) */
    WANT_SET = 8,    /* distinct strings */
    WANT_BAG = 16,   /* values and how often: percentages without free units */
    WANT_EVENTS = 32 /* (time, source, id, value): percentages with free units */
};

struct event_note {
    int64_t time_us;
    int64_t value;
    struct vt_str source;
    struct row_id id;
};

struct value_count {
    int64_t value;
    uint64_t count;
};

struct roaring_bitmap_s;

/* The rest of a gauge, made where it is wanted. */
struct gauge_more {
    /* last: of the rows before this block, copied, then the row of this block that is greater. */
    struct event_note last;
    uint8_t *last_bytes; /* source, then id */
    uint32_t last_capacity;
    bool has_last;
    bool has_pending;
    uint32_t pending_row;

    struct roaring_bitmap_s *set; /* codes of rater->values */
    uint32_t set_number;          /* from 1; names the set in rater->seen */

    struct value_count *bag; /* a hash table; count 0 is empty */
    uint32_t bag_count;
    uint32_t bag_capacity; /* a power of two */

    struct event_note *events;
    uint64_t event_count;
    uint64_t event_capacity;
};

/* What one field did in one cell. */
struct gauge {
    vt_i128 sum;
    uint64_t count; /* rows that have the field; for strings: a value that is not empty */
    int64_t min;
    int64_t max;
    int64_t first_us; /* of those rows; kept only where the type says track_times */
    int64_t last_us;
    struct gauge_more *more;
};

struct input {
    uint32_t slot;  /* CATALOG_NONE: the rows themselves */
    bool is_string; /* counted by values */
    bool is_used;   /* some meter reads it */
    uint32_t wants; /* bits of enum want */
};

/* A dimension, its strings numbered as they are met. */
struct rater_dim {
    uint32_t slot;
    uint32_t bits; /* of a number, in the direct table */
    uint32_t shift;
    struct code_pages known;    /* codes of the block's dictionary -> numbers */
    struct tuple_table numbers; /* codes of rater->dims -> numbers */
};

struct cell {
    uint32_t segment; /* number */
    uint32_t tuple;
};

struct rater_type {
    const struct catalog_type *type;
    uint32_t dim_count;
    struct rater_dim *dims;
    struct tuple_table tuples; /* of numbers of the dimensions */
    bool is_direct;
    uint32_t *direct;     /* numbers side by side -> tuple + 1 */
    uint32_t input_count; /* input 0: the rows */
    struct input *inputs;
    bool track_times; /* some cell has usage that no line covers */
    uint32_t cell_count;
    uint32_t cell_capacity;
    struct cell *cells;
    struct gauge *gauges; /* cell_count x input_count */
};

/* Where a segment lies for one contract. */
struct place {
    uint32_t version; /* CATALOG_NONE: none in force */
    uint32_t plan;    /* in version->plans; CATALOG_NONE: none in force */
    int64_t period_us;
    int64_t period_end_us;
};

/* A stretch in which nothing changes for any contract of the tenant. */
struct segment {
    int64_t lo_us;
    int64_t hi_us;
    uint32_t number;       /* in rater->segments */
    struct place *places;  /* by contract */
    uint32_t **cell_of;    /* by type: by tuple: number of the cell + 1 */
    uint32_t *cell_of_max; /* by type: entries */
};

struct rater {
    const struct catalog *catalog;
    struct rater_options options;
    struct vt_str tenant;
    struct arena arena; /* of the rater's life */
    uint32_t contract_count;
    const struct contract **contracts;
    struct rater_type *types; /* by catalog type */
    uint32_t *meter_input;    /* by catalog meter: input of its type */
    bool needs_ids;
    struct dict *dims;
    struct dict *values;            /* of unique fields */
    struct code_pages value_codes;  /* codes of the block's dictionary -> of values */
    struct code_pages source_codes; /* -> of dims, for sources */
    uint32_t set_count;
    uint64_t *seen;   /* which (set, value) was added lately */
    uint64_t dict_id; /* of the caches of codes */
    bool has_dict;
    uint32_t segment_count;
    uint32_t segment_capacity;
    struct segment **segments; /* by number */
    struct segment **ordered;  /* by time */
    struct gauge_more **pending;
    uint32_t pending_count;
    uint32_t pending_capacity;
    bool broken;
};

/* A block's columns as the types of the rating catalog want them. */
struct bound_input {
    const int64_t *value;   /* decimals, at the field's scale; NULL: no row has it */
    const uint8_t *present; /* NULL: all have it */
    const uint32_t *code;   /* strings; NULL: all are "" */
};

/* What was made of a field that the block does not have as a column, by slot. */
struct bound_memory {
    int64_t *value;
    uint8_t *present;
    uint32_t *code;
};

struct binding {
    const struct row_block *block;
    const uint32_t **dim_code;  /* by dimension; NULL: all are "" */
    struct bound_input *inputs; /* by input */
    struct bound_memory *made;
    uint32_t added_count; /* strings of `extra`; their codes follow those of the dictionary */
    struct vt_str *added;
    bool own_strings; /* codes mean something in this block only */
};

/* False where the code is none of the block's. */
static inline bool
binding_string(const struct binding *binding, uint32_t code, struct vt_str *out_text)
{
    uint32_t dict_count = binding->block->dict_count;

    if (code == 0)
        *out_text = (struct vt_str){"", 0};
    else if (code < dict_count)
        *out_text = binding->block->dict[code];
    else if (code - dict_count < binding->added_count)
        *out_text = binding->added[code - dict_count];
    else
        return false;
    return true;
}

/* A part of a block. */
struct chunk {
    uint32_t first; /* row of the block */
    uint32_t count;
    bool one_tuple; /* all rows have tuple[0] */
    bool one_cell;  /* all rows lie in cell[0] */
    int64_t first_us;
    int64_t last_us;
    uint32_t tuple[CHUNK_ROWS];
    uint32_t cell[CHUNK_ROWS];
};

/* A larger array, or NULL; then the old one is still there. */
void *rater_grow(void *array, uint32_t *capacity, uint64_t needed, uint64_t item_bytes);

/* rater_setup.c */
VT_MUST_CHECK vt_err rater_setup(struct rater *rater);

/* rater_time.c: the segment that holds an instant, made where it is new. */
VT_MUST_CHECK vt_err rater_segment(struct rater *rater, int64_t time_us,
                                   struct segment **out_segment);

/* rater_bind.c: memory comes from the arena. */
VT_MUST_CHECK vt_err rater_bind(struct arena *arena, const struct rater_type *type,
                                const struct row_block *block, struct binding *out_binding);

/* rater_extra.c: fills what no column gave. */
VT_MUST_CHECK vt_err rater_bind_extra(struct arena *arena, const struct catalog_type *type,
                                      struct bound_input *bound, struct binding *binding);

/* rater_tuple.c */
VT_MUST_CHECK vt_err rater_type_init_tuples(struct rater_type *type);
void rater_type_deinit_tuples(struct rater_type *type);
VT_MUST_CHECK vt_err rater_chunk_tuples(struct rater *rater, struct rater_type *type,
                                        const struct binding *binding, struct chunk *chunk);

/* rater_more.c: rows of a chunk into the gauges; `cell` is by row. */
struct gather {
    struct rater *rater;
    struct rater_type *type;
    const struct binding *binding;
    uint32_t input;
    uint32_t first; /* row of the block */
    uint32_t count;
    const uint32_t *cell;
};
VT_MUST_CHECK vt_err rater_gather_more(const struct gather *gather);
VT_MUST_CHECK vt_err rater_settle(struct rater *rater, const struct row_block *block);
void gauge_more_free(struct gauge_more *more);
int event_note_order(const struct event_note *a, const struct event_note *b);

static inline struct gauge *
rater_gauge(const struct rater_type *type, uint32_t cell, uint32_t input)
{
    return &type->gauges[(uint64_t)cell * type->input_count + input];
}

/* rater_terms.c */
struct vt_str rater_dim(const struct rater *rater, const struct rater_type *type, uint32_t tuple,
                        struct vt_str name); /* "" where the type has no such dimension */
bool rater_passes(const struct rater *rater, const struct rater_type *type, uint32_t tuple,
                  const struct filter *filter);
/* The row of the charge's table that takes the tuple, or CATALOG_NONE. */
uint32_t rater_row(const struct rater *rater, const struct rater_type *type, uint32_t tuple,
                   const struct charge *charge);

enum cover { COVER_NO_CONTRACT, COVER_NO_PLAN, COVER_NOT_PRICED, COVER_NO_CHARGE, COVER_RATED };
/* Whether a line covers usage of a meter in a cell; if none does, why. */
enum cover rater_cover(const struct rater *rater, uint32_t meter, const struct segment *segment,
                       uint32_t tuple);
VT_MUST_CHECK vt_err rater_unrated(const struct rater *rater, const struct rating_sink *sink);

/* rater_run.c: all lines of all contracts. */
struct line_sheet;
VT_MUST_CHECK vt_err rater_rate(const struct rater *rater, struct line_sheet *sheet);
