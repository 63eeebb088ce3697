/* money.c - see money.h. */
#include "money.h"

#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

static void
integer_set_i128(mpz_t out, vt_i128 value)
{
    mpz_set_si(out, (int64_t)(value >> 64));
    mpz_mul_2exp(out, out, 64);
    mpz_add_ui(out, out, (uint64_t)value);
}

void
money_set_scaled(mpq_t out, vt_i128 value, uint32_t scale)
{
    integer_set_i128(mpq_numref(out), value);
    mpz_ui_pow_ui(mpq_denref(out), 10, scale);
    if (scale > 0)
        mpq_canonicalize(out);
}

void
money_set_price(mpq_t out, const struct price *price)
{
    VT_ASSERT(price->scale <= VT_SCALE_MAX);
    money_set_scaled(out, price->mantissa, price->scale);
}

void
money_set_ratio(mpq_t out, int64_t numerator, int64_t denominator)
{
    VT_ASSERT(denominator > 0);
    mpq_set_si(out, numerator, (uint64_t)denominator);
    mpq_canonicalize(out);
}

/* out = number x 10^places */
static void
scale_up(mpq_t out, const mpq_t number, uint32_t places)
{
    mpq_t factor;

    mpq_init(factor);
    mpz_ui_pow_ui(mpq_numref(factor), 10, places);
    mpq_mul(out, number, factor);
    mpq_clear(factor);
}

/* out = units x 10^-places */
static void
scale_down(mpq_t out, const mpz_t units, uint32_t places)
{
    mpz_set(mpq_numref(out), units);
    mpz_ui_pow_ui(mpq_denref(out), 10, places);
    mpq_canonicalize(out);
}

void
money_floor(mpq_t out, const mpq_t number, uint32_t places)
{
    mpq_t scaled;

    mpq_init(scaled);
    scale_up(scaled, number, places);
    mpz_fdiv_q(mpq_numref(scaled), mpq_numref(scaled), mpq_denref(scaled));
    scale_down(out, mpq_numref(scaled), places);
    mpq_clear(scaled);
}

void
money_round(mpq_t out, const mpq_t number, uint32_t places, enum rounding_mode mode)
{
    mpq_t scaled;
    mpz_t whole;
    mpz_t rest;
    int sign = mpq_sgn(number);

    VT_ASSERT(mode == ROUND_HALF_UP || mode == ROUND_HALF_EVEN);
    mpq_init(scaled);
    mpz_init(whole);
    mpz_init(rest);
    scale_up(scaled, number, places);
    mpq_abs(scaled, scaled);
    mpz_fdiv_qr(whole, rest, mpq_numref(scaled), mpq_denref(scaled));
    mpz_mul_2exp(rest, rest, 1);
    int order = mpz_cmp(rest, mpq_denref(scaled)); /* of the rest against one half */

    if (order > 0 || (order == 0 && (mode == ROUND_HALF_UP || mpz_odd_p(whole))))
        mpz_add_ui(whole, whole, 1);
    if (sign < 0)
        mpz_neg(whole, whole);
    scale_down(out, whole, places);
    mpz_clear(rest);
    mpz_clear(whole);
    mpq_clear(scaled);
}

/* The text of units x 10^-places with all its digits. */
static vt_err
units_text(struct arena *arena, const mpz_t units, uint32_t places, struct vt_str *out_text)
{
    /* Sign and terminator of GMP; the digits may also have to be padded to "0." and places. */
    uint64_t digits_max = mpz_sizeinbase(units, 10) + 2;
    char *digits = arena_alloc(arena, digits_max);
    char *text = arena_alloc(arena, digits_max + places + 3);
    uint64_t used = 0;

    if (digits == NULL || text == NULL)
        return VT_NOMEM;
    mpz_get_str(digits, 10, units);
    if (*digits == '-') {
        text[used++] = '-';
        digits++;
    }
    uint64_t count = strlen(digits);
    uint64_t zeros = count <= places ? places + 1 - count : 0;
    uint64_t whole = zeros + count - places; /* digits before the point */

    VT_ASSERT(whole >= 1);
    for (uint64_t i = 0; i < zeros + count; i++) {
        if (i == whole)
            text[used++] = '.';
        text[used] = '0';
        if (i >= zeros)
            text[used] = digits[i - zeros];
        used++;
    }
    VT_ASSERT(used <= UINT32_MAX);
    *out_text = (struct vt_str){text, (uint32_t)used};
    return VT_OK;
}

vt_err
money_point(struct arena *arena, const mpq_t number, uint32_t places, struct vt_str *out_text)
{
    mpq_t scaled;

    mpq_init(scaled);
    scale_up(scaled, number, places);
    VT_ASSERT(mpz_cmp_ui(mpq_denref(scaled), 1) == 0);
    vt_err err = units_text(arena, mpq_numref(scaled), places, out_text);

    mpq_clear(scaled);
    return err;
}

/* How many digits after the point the exact decimal has; MONEY_SHOWN_DIGITS where there is none. */
static uint32_t
places_of(const mpq_t number)
{
    mpz_t rest;
    mpz_t five;

    mpz_init(rest);
    mpz_init_set_ui(five, 5);
    uint64_t twos = mpz_scan1(mpq_denref(number), 0);

    mpz_fdiv_q_2exp(rest, mpq_denref(number), twos);
    uint64_t fives = mpz_remove(rest, rest, five);
    uint64_t places = MONEY_SHOWN_DIGITS;

    if (mpz_cmp_ui(rest, 1) == 0)
        places = twos > fives ? twos : fives;
    mpz_clear(five);
    mpz_clear(rest);
    VT_ASSERT(places <= UINT32_MAX);
    return (uint32_t)places;
}

vt_err
money_show(struct arena *arena, const mpq_t number, struct vt_str *out_text)
{
    uint32_t places = places_of(number);
    struct vt_str text;
    mpq_t rounded;

    mpq_init(rounded);
    money_round(rounded, number, places, ROUND_HALF_EVEN);
    vt_err err = money_point(arena, rounded, places, &text);

    mpq_clear(rounded);
    if (err != VT_OK)
        return err;
    if (places > 0) {
        while (text.data[text.size - 1] == '0')
            text.size--;
        if (text.data[text.size - 1] == '.')
            text.size--;
    }
    *out_text = text;
    return VT_OK;
}

/* One weight's share: whole units, and the rest by which the spare ones are given. */
struct share {
    mpz_t units;
    mpz_t rest;
    uint32_t index;
};

static int
share_order(const void *left, const void *right)
{
    const struct share *a = left;
    const struct share *b = right;
    int order = mpz_cmp(b->rest, a->rest);

    if (order != 0)
        return order;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* shares[i] = the floor of units x weight / sum, and its rest; `units` is left with what is
 * spare. */
static void
shares_cut(struct share *shares, uint32_t count, const vt_i128 *weights, mpz_t units)
{
    mpz_t sum;
    mpz_t all;

    mpz_init(sum);
    mpz_init_set(all, units);
    for (uint32_t i = 0; i < count; i++) {
        shares[i].index = i;
        mpz_init(shares[i].units);
        mpz_init(shares[i].rest);
        integer_set_i128(shares[i].rest, weights[i]);
        mpz_add(sum, sum, shares[i].rest);
    }
    VT_ASSERT(mpz_sgn(sum) > 0);
    for (uint32_t i = 0; i < count; i++) {
        mpz_mul(shares[i].rest, shares[i].rest, all);
        mpz_fdiv_qr(shares[i].units, shares[i].rest, shares[i].rest, sum);
        mpz_sub(units, units, shares[i].units);
    }
    mpz_clear(all);
    mpz_clear(sum);
}

vt_err
money_share_out(const mpq_t total, uint32_t places, uint32_t count, const vt_i128 *weights,
                mpq_t *out_parts)
{
    struct share *shares = calloc(count, sizeof *shares);
    mpq_t spare; /* in units of 10^-places */

    VT_ASSERT(count > 0);
    if (shares == NULL)
        return VT_NOMEM;
    mpq_init(spare);
    scale_up(spare, total, places);
    mpq_abs(spare, spare);
    VT_ASSERT(mpz_cmp_ui(mpq_denref(spare), 1) == 0);
    shares_cut(shares, count, weights, mpq_numref(spare));
    qsort(shares, count, sizeof *shares, share_order);

    VT_ASSERT(mpz_cmp_ui(mpq_numref(spare), count) < 0);
    uint64_t spare_count = mpz_get_ui(mpq_numref(spare));

    for (uint32_t i = 0; i < count; i++) {
        if (i < spare_count)
            mpz_add_ui(shares[i].units, shares[i].units, 1);
        if (mpq_sgn(total) < 0)
            mpz_neg(shares[i].units, shares[i].units);
        scale_down(out_parts[shares[i].index], shares[i].units, places);
        mpz_clear(shares[i].units);
        mpz_clear(shares[i].rest);
    }
    mpq_clear(spare);
    free(shares);
    return VT_OK;
}
