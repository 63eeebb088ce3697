/* rater_lines.c - see rater_lines.h. */
#include "rater_lines.h"

#include <stdlib.h>
#include <string.h>

#include "line_order.h"
#include "money.h"
#include "rater.h"
#include "venturi/assert.h"

struct sheet_line {
    struct rated_line line;
    struct vt_str group_key;
};

struct line_sheet {
    struct arena *arena;
    struct vt_str tenant;
    uint32_t count;
    uint32_t capacity;
    struct sheet_line *lines;
};

vt_err
line_sheet_open(struct arena *arena, struct vt_str tenant, struct line_sheet **out_sheet)
{
    struct line_sheet *sheet = calloc(1, sizeof *sheet);

    if (sheet == NULL)
        return VT_NOMEM;
    sheet->arena = arena;
    sheet->tenant = tenant;
    *out_sheet = sheet;
    return VT_OK;
}

void
line_sheet_close(struct line_sheet *sheet)
{
    if (sheet == NULL)
        return;
    free(sheet->lines);
    free(sheet);
}

struct arena *
line_sheet_arena(const struct line_sheet *sheet)
{
    return sheet->arena;
}

static vt_err
group_copy(struct arena *arena, const struct line_group *group, struct rated_line *line)
{
    uint64_t bytes = group->count * sizeof(struct vt_str);

    if (group->count == 0)
        return VT_OK;
    struct vt_str *names = arena_alloc(arena, bytes);
    struct vt_str *values = arena_alloc(arena, bytes);

    if (names == NULL || values == NULL)
        return VT_NOMEM;
    memcpy(names, group->names, bytes);
    memcpy(values, group->values, bytes);
    line->group_count = group->count;
    line->group_names = names;
    line->group_values = values;
    return VT_OK;
}

static vt_err
texts_make(struct arena *arena, const struct emission *emission, struct rated_line *line)
{
    vt_err err = money_show(arena, emission->quantity, &line->quantity);

    if (err == VT_OK)
        err = money_show(arena, emission->billable, &line->billable);
    if (err == VT_OK)
        err = money_show(arena, emission->exact, &line->amount_exact);
    if (err == VT_OK)
        err = money_point(arena, emission->money, emission->plan->minor_digits, &line->amount);
    return err;
}

vt_err
line_sheet_emit(struct line_sheet *sheet, const struct emission *emission)
{
    if (sheet->count == sheet->capacity) {
        void *grown = rater_grow(sheet->lines, &sheet->capacity, (uint64_t)sheet->count + 1,
                                 sizeof *sheet->lines);

        if (grown == NULL)
            return VT_NOMEM;
        sheet->lines = grown;
    }
    struct sheet_line *made = &sheet->lines[sheet->count];

    VT_ASSERT(emission->from_us < emission->to_us);
    *made = (struct sheet_line){.line = {.tenant = sheet->tenant,
                                         .contract = emission->contract->key,
                                         .contract_version = emission->version->version,
                                         .plan = emission->plan->key,
                                         .plan_version = emission->plan->version,
                                         .charge = emission->charge,
                                         .kind = emission->kind,
                                         .row = emission->row,
                                         .period_start_us = emission->period_us,
                                         .period_end_us = emission->period_end_us,
                                         .from_us = emission->from_us,
                                         .to_us = emission->to_us,
                                         .currency = emission->plan->currency}};
    vt_err err = group_copy(sheet->arena, &emission->group, &made->line);

    if (err == VT_OK)
        err = texts_make(sheet->arena, emission, &made->line);
    if (err == VT_OK)
        err = line_group_key(sheet->arena, &made->line, &made->group_key);
    if (err == VT_OK)
        sheet->count++;
    return err;
}

static int
sheet_order(const void *left, const void *right)
{
    const struct sheet_line *a = left;
    const struct sheet_line *b = right;

    return line_order(&a->line, a->group_key, &b->line, b->group_key);
}

vt_err
line_sheet_print(struct line_sheet *sheet, const struct rating_sink *sink)
{
    vt_err err = VT_OK;

    if (sheet->count > 0)
        qsort(sheet->lines, sheet->count, sizeof *sheet->lines, sheet_order);
    for (uint32_t i = 0; i < sheet->count && err == VT_OK; i++) {
        VT_VERIFY(i == 0 || sheet_order(&sheet->lines[i - 1], &sheet->lines[i]) < 0);
        err = sink->line(sink->context, &sheet->lines[i].line);
    }
    return err;
}
