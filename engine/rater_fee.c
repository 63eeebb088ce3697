/* rater_fee.c - percentages: a fee an event, and free units drawn in the order of events. */
#include <stdlib.h>
#include <string.h>

#include "money.h"
#include "price_model.h"
#include "rater_slot.h"
#include "venturi/assert.h"

/* `count` events of one value, none of them with free units. */
static void
fees_add(struct walk *walk, const struct price_terms *terms, const mpq_t value, const mpq_t free,
         uint64_t count)
{
    mpq_t fee;
    mpq_t times;

    mpq_inits(fee, times, NULL);
    mpz_set_ui(mpq_numref(times), count);
    price_event_fee(fee, terms, value, free);
    mpq_mul(fee, fee, times);
    mpq_add(walk->exact, walk->exact, fee);
    mpq_sub(fee, value, free);
    mpq_mul(fee, fee, times);
    mpq_add(walk->units, walk->units, fee);
    mpq_clears(fee, times, NULL);
}

/* `count` events of one value, which follow each other: the first ones draw what free units are
 * left. */
static void
fees_draw(struct walk *walk, const struct price_terms *terms, const mpq_t value, uint64_t count)
{
    mpq_t none;
    mpq_t drawn;

    mpq_inits(none, drawn, NULL);
    if (mpq_sgn(value) > 0 && mpq_sgn(walk->left) > 0) {
        mpq_div(drawn, walk->left, value);
        mpz_fdiv_q(mpq_numref(drawn), mpq_numref(drawn), mpq_denref(drawn));
        mpz_set_ui(mpq_denref(drawn), 1);
        if (mpz_cmp_ui(mpq_numref(drawn), count) > 0)
            mpz_set_ui(mpq_numref(drawn), count);
        count -= mpz_get_ui(mpq_numref(drawn));
        mpq_mul(drawn, drawn, value);
        mpq_sub(walk->left, walk->left, drawn);
    }
    if (count > 0 && mpq_sgn(value) > 0 && mpq_sgn(walk->left) != 0) {
        fees_add(walk, terms, value, walk->left, 1);
        mpq_set(walk->left, none);
        count--;
    }
    if (count > 0)
        fees_add(walk, terms, value, none, count);
    mpq_clears(none, drawn, NULL);
}

static int
note_order(const void *left, const void *right)
{
    return event_note_order(left, right);
}

static int
value_order(const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;

    return *a < *b ? -1 : *a > *b;
}

/* The part's events in their order, from the scratch arena. */
static vt_err
events_sorted(const struct walk *walk, uint32_t first, uint32_t end, struct event_note **out_notes,
              uint64_t *out_count)
{
    const struct slot *slot = walk->slot;
    uint64_t count = 0;
    uint64_t used = 0;

    for (uint32_t i = first; i < end; i++)
        count += slot->usages[i].gauge->more->event_count;
    struct event_note *notes = arena_alloc(slot->run->scratch, (count + 1) * sizeof *notes);

    if (notes == NULL)
        return VT_NOMEM;
    for (uint32_t i = first; i < end; i++) {
        const struct gauge_more *more = slot->usages[i].gauge->more;

        memcpy(notes + used, more->events, more->event_count * sizeof *notes);
        used += more->event_count;
    }
    qsort(notes, count, sizeof *notes, note_order);
    *out_notes = notes;
    *out_count = count;
    return VT_OK;
}

/* Events that are wholly free cost nothing and only draw; the one that draws the last free unit is
 * the only one whose place counts. All others cost by their value alone, equal ones at once. */
static vt_err
fees_of_events(struct walk *walk, const struct price_terms *terms, uint32_t first, uint32_t end)
{
    uint32_t scale = walk->meter->scale;
    struct event_note *notes;
    uint64_t count;
    uint64_t rest_count = 0;
    vt_err err = events_sorted(walk, first, end, &notes, &count);
    int64_t *rest =
        err == VT_OK ? arena_alloc(walk->slot->run->scratch, (count + 1) * sizeof *rest) : NULL;
    mpq_t value;

    if (err != VT_OK || rest == NULL)
        return err != VT_OK ? err : VT_NOMEM;
    mpq_init(value);
    for (uint64_t i = 0; i < count; i++) {
        if (notes[i].value <= 0 || mpq_sgn(walk->left) == 0) {
            rest[rest_count++] = notes[i].value;
            continue;
        }
        money_set_scaled(value, notes[i].value, scale);
        fees_draw(walk, terms, value, 1);
    }
    if (rest_count > 0)
        qsort(rest, rest_count, sizeof *rest, value_order);
    for (uint64_t i = 0, next = 0; i < rest_count; i = next) {
        while (next < rest_count && rest[next] == rest[i])
            next++;
        money_set_scaled(value, rest[i], scale);
        fees_draw(walk, terms, value, next - i);
    }
    mpq_clear(value);
    return VT_OK;
}

vt_err
slot_percentage(struct walk *walk, const struct price_terms *terms, uint32_t number)
{
    const struct slot *slot = walk->slot;
    uint32_t first = walk->first[number];
    uint32_t end = walk->first[number + 1];
    mpq_t value;

    mpq_set_ui(walk->exact, 0, 1);
    mpq_set_ui(walk->units, 0, 1);
    if (walk->meter->aggregation == AGG_SUM && end > first &&
        (mpq_sgn(walk->allowance) != 0 || slot->usages[first].gauge->more->bag == NULL))
        return fees_of_events(walk, terms, first, end);
    mpq_init(value);
    for (uint32_t i = first; i < end; i++) {
        const struct gauge *gauge = slot->usages[i].gauge;
        uint32_t places = walk->meter->aggregation == AGG_COUNT ? 0 : gauge->more->bag_capacity;

        mpq_set_ui(value, 1, 1);
        if (walk->meter->aggregation == AGG_COUNT)
            fees_draw(walk, terms, value, gauge->count);
        for (uint32_t b = 0; b < places; b++) {
            if (gauge->more->bag[b].count == 0)
                continue;
            money_set_scaled(value, gauge->more->bag[b].value, walk->meter->scale);
            fees_draw(walk, terms, value, gauge->more->bag[b].count);
        }
    }
    mpq_clear(value);
    return VT_OK;
}
