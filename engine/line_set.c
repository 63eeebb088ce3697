/* line_set.c - lines kept to be compared: see rating.h. Both sets are sorted by identity and
 * merged. */
#include <gmp.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "line_order.h"
#include "money.h"
#include "rater.h"
#include "rating.h"
#include "venturi/assert.h"

#define ARENA_BYTES (UINT64_C(1) << 16)

struct kept_line {
    struct rated_line line;
    struct vt_str group_key;
};

struct line_set {
    struct arena arena;
    uint32_t count;
    uint32_t capacity;
    struct kept_line *lines;
};

vt_err
line_set_open(struct line_set **out_set)
{
    struct line_set *set = calloc(1, sizeof *set);

    if (set == NULL)
        return VT_NOMEM;
    arena_init(&set->arena, ARENA_BYTES);
    *out_set = set;
    return VT_OK;
}

void
line_set_close(struct line_set *set)
{
    if (set == NULL)
        return;
    arena_deinit(&set->arena);
    free(set->lines);
    free(set);
}

/* Replaces a borrowed text by a copy; false where memory is short. */
static bool
text_keep(struct arena *arena, struct vt_str *text)
{
    if (text->size == 0) {
        *text = (struct vt_str){"", 0};
        return true;
    }
    *text = arena_copy(arena, *text);
    return text->data != NULL;
}

static bool
texts_keep(struct arena *arena, struct rated_line *line)
{
    struct vt_str *texts[] = {
        &line->tenant,   &line->contract, &line->plan,         &line->charge,   &line->kind,
        &line->quantity, &line->billable, &line->amount_exact, &line->currency, &line->amount};
    bool kept = true;

    for (uint32_t i = 0; i < VT_COUNT(texts); i++)
        kept = kept && text_keep(arena, texts[i]);
    return kept;
}

static bool
group_keep(struct arena *arena, struct rated_line *line)
{
    uint64_t bytes = line->group_count * sizeof(struct vt_str);
    struct vt_str *names = arena_alloc(arena, bytes + 1);
    struct vt_str *values = arena_alloc(arena, bytes + 1);
    bool kept = names != NULL && values != NULL;

    for (uint32_t i = 0; i < line->group_count && kept; i++) {
        names[i] = line->group_names[i];
        values[i] = line->group_values[i];
        kept = text_keep(arena, &names[i]) && text_keep(arena, &values[i]);
    }
    line->group_names = names;
    line->group_values = values;
    return kept;
}

vt_err
line_set_add(struct line_set *set, const struct rated_line *line)
{
    if (set->count == set->capacity) {
        void *grown =
            rater_grow(set->lines, &set->capacity, (uint64_t)set->count + 1, sizeof *set->lines);

        if (grown == NULL)
            return VT_NOMEM;
        set->lines = grown;
    }
    struct kept_line *kept = &set->lines[set->count];

    kept->line = *line;
    if (!texts_keep(&set->arena, &kept->line) || !group_keep(&set->arena, &kept->line))
        return VT_NOMEM;
    vt_err err = line_group_key(&set->arena, &kept->line, &kept->group_key);

    if (err == VT_OK)
        set->count++;
    return err;
}

static int
integer_order(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* The order of the answer, then what else is part of the identity. A currency is no part of it, but
 * money of two currencies has no difference: such lines are taken back and made anew. */
static int
identity_order(const struct kept_line *a, const struct kept_line *b)
{
    int order = line_order(&a->line, a->group_key, &b->line, b->group_key);

    if (order == 0)
        order = integer_order(a->line.contract_version, b->line.contract_version);
    if (order == 0)
        order = vt_str_compare(a->line.plan, b->line.plan);
    if (order == 0)
        order = integer_order(a->line.plan_version, b->line.plan_version);
    return order != 0 ? order : vt_str_compare(a->line.currency, b->line.currency);
}

static int
pointers_order(const void *left, const void *right)
{
    const struct kept_line *const *a = left;
    const struct kept_line *const *b = right;

    return identity_order(*a, *b);
}

/* The set's lines by identity, from malloc; the sets themselves stay as they are. */
static const struct kept_line **
sorted(const struct line_set *set)
{
    const struct kept_line **lines =
        malloc(((uint64_t)set->count + 1) * sizeof(struct kept_line *));

    if (lines == NULL)
        return NULL;
    for (uint32_t i = 0; i < set->count; i++)
        lines[i] = &set->lines[i];
    qsort(lines, set->count, sizeof(struct kept_line *), pointers_order);
    return lines;
}

/* Digits after the point of an amount. */
static uint32_t
places_of(struct vt_str amount)
{
    const char *dot = memchr(amount.data, '.', amount.size);

    return dot == NULL ? 0 : amount.size - (uint32_t)(dot - amount.data) - 1;
}

/* An amount as a number. */
static vt_err
amount_set(struct arena *arena, mpq_t out, struct vt_str amount)
{
    char *digits = arena_alloc(arena, (uint64_t)amount.size + 1);
    uint32_t used = 0;

    if (digits == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < amount.size; i++) {
        if (amount.data[i] != '.')
            digits[used++] = amount.data[i];
    }
    digits[used] = '\0';
    if (mpz_set_str(mpq_numref(out), digits, 10) != 0)
        return vt_err_detail(VT_INVALID, "not an amount: %.*s", (int)amount.size, amount.data);
    mpz_ui_pow_ui(mpq_denref(out), 10, places_of(amount));
    mpq_canonicalize(out);
    return VT_OK;
}

struct comparison {
    struct arena arena;
    mpq_t old_amount;
    mpq_t new_amount;
    vt_err (*sink)(void *context, const struct adjustment *adjustment);
    void *context;
};

/* One identity; `before` or `after` may be NULL: it counts as 0. */
static vt_err
pair_compare(struct comparison *comparison, const struct kept_line *before,
             const struct kept_line *after)
{
    const struct kept_line *shown = after != NULL ? after : before;
    struct arena *arena = &comparison->arena;
    vt_err err = VT_OK;

    VT_ASSERT(shown != NULL);
    uint32_t places = places_of(shown->line.amount);
    struct adjustment adjustment = {.line = &shown->line};

    arena_reset(arena);
    mpq_set_ui(comparison->old_amount, 0, 1);
    mpq_set_ui(comparison->new_amount, 0, 1);
    if (before != NULL)
        err = amount_set(arena, comparison->old_amount, before->line.amount);
    if (err == VT_OK && after != NULL)
        err = amount_set(arena, comparison->new_amount, after->line.amount);
    if (err != VT_OK || mpq_equal(comparison->old_amount, comparison->new_amount))
        return err;
    VT_ASSERT(before == NULL || places_of(before->line.amount) == places);
    err = money_point(arena, comparison->old_amount, places, &adjustment.old_amount);
    if (err == VT_OK)
        err = money_point(arena, comparison->new_amount, places, &adjustment.new_amount);
    mpq_sub(comparison->new_amount, comparison->new_amount, comparison->old_amount);
    if (err == VT_OK)
        err = money_point(arena, comparison->new_amount, places, &adjustment.amount);
    if (err == VT_OK)
        err = comparison->sink(comparison->context, &adjustment);
    return err;
}

vt_err
line_set_compare(const struct line_set *before, const struct line_set *after,
                 vt_err (*sink)(void *context, const struct adjustment *adjustment), void *context)
{
    const struct kept_line **old_lines = sorted(before);
    const struct kept_line **new_lines = sorted(after);
    struct comparison comparison = {.sink = sink, .context = context};
    vt_err err = old_lines == NULL || new_lines == NULL ? VT_NOMEM : VT_OK;
    uint32_t b = 0;
    uint32_t a = 0;

    arena_init(&comparison.arena, ARENA_BYTES);
    mpq_inits(comparison.old_amount, comparison.new_amount, NULL);
    while (err == VT_OK && (b < before->count || a < after->count)) {
        int order = b == before->count  ? 1
                    : a == after->count ? -1
                                        : identity_order(old_lines[b], new_lines[a]);

        err = pair_compare(&comparison, order <= 0 ? old_lines[b] : NULL,
                           order >= 0 ? new_lines[a] : NULL);
        b += order <= 0 ? 1 : 0;
        a += order >= 0 ? 1 : 0;
    }
    mpq_clears(comparison.old_amount, comparison.new_amount, NULL);
    arena_deinit(&comparison.arena);
    free(new_lines);
    free(old_lines);
    return err;
}
