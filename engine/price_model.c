/* price_model.c - see price_model.h. */
#include "price_model.h"

#include "money.h"
#include "venturi/assert.h"

static void
package_price(mpq_t out, const struct price_terms *terms, const mpq_t units)
{
    mpq_t size;

    mpq_init(size);
    money_set_price(size, &terms->package_size);
    VT_ASSERT(mpq_sgn(size) > 0);
    mpq_div(out, units, size);
    /* Each begun package. */
    mpz_cdiv_q(mpq_numref(out), mpq_numref(out), mpq_denref(out));
    mpz_set_ui(mpq_denref(out), 1);
    money_set_price(size, &terms->price);
    mpq_mul(out, out, size);
    mpq_clear(size);
}

/* Tier i holds (up_to of the one before, up_to]: fractions pro rata, its flat once it is
 * entered. */
static void
graduated_price(mpq_t out, const struct price_terms *terms, const mpq_t units)
{
    mpq_t low;
    mpq_t high;
    mpq_t part;
    mpq_t amount;
    bool last = false;

    mpq_init(low);
    mpq_init(high);
    mpq_init(part);
    mpq_init(amount);
    for (uint32_t i = 0; i < terms->tier_count && !last; i++) {
        const struct tier *tier = &terms->tiers[i];

        if (!tier->open)
            money_set_price(high, &tier->up_to);
        last = tier->open || mpq_cmp(units, high) <= 0;
        if (last)
            mpq_set(high, units);
        mpq_sub(part, high, low);
        money_set_price(low, &tier->price);
        mpq_mul(part, part, low);
        mpq_add(amount, amount, part);
        money_set_price(part, &tier->flat);
        mpq_add(amount, amount, part);
        mpq_set(low, high);
    }
    VT_ASSERT(last);
    mpq_set(out, amount);
    mpq_clear(amount);
    mpq_clear(part);
    mpq_clear(high);
    mpq_clear(low);
}

void
price_cumulative(mpq_t out, const struct price_terms *terms, const mpq_t units)
{
    mpq_t price;

    VT_ASSERT(terms->model == MODEL_PER_UNIT || terms->model == MODEL_PACKAGE ||
              terms->model == MODEL_GRADUATED);
    if (mpq_sgn(units) <= 0) {
        mpq_set_ui(out, 0, 1);
        return;
    }
    if (terms->model == MODEL_GRADUATED) {
        graduated_price(out, terms, units);
        return;
    }
    if (terms->model == MODEL_PACKAGE) {
        package_price(out, terms, units);
        return;
    }
    mpq_init(price);
    money_set_price(price, &terms->price);
    mpq_mul(out, units, price);
    mpq_clear(price);
}

const struct tier *
price_volume_tier(const struct price_terms *terms, const mpq_t total)
{
    const struct tier *found = NULL;
    mpq_t high;

    VT_ASSERT(terms->model == MODEL_VOLUME);
    mpq_init(high);
    for (uint32_t i = 0; i < terms->tier_count && found == NULL; i++) {
        money_set_price(high, &terms->tiers[i].up_to);
        if (terms->tiers[i].open || mpq_cmp(total, high) <= 0)
            found = &terms->tiers[i];
    }
    mpq_clear(high);
    VT_ASSERT(found != NULL);
    return found;
}

void
price_event_fee(mpq_t out, const struct price_terms *terms, const mpq_t value, const mpq_t free)
{
    mpq_t rate;
    mpq_t fee;
    int sign = mpq_sgn(value);

    VT_ASSERT(terms->model == MODEL_PERCENTAGE);
    if (sign > 0 && mpq_equal(value, free)) {
        mpq_set_ui(out, 0, 1); /* wholly free: not even its minimum is due */
        return;
    }
    mpq_init(rate);
    mpq_init(fee);
    money_set_price(rate, &terms->rate);
    mpz_mul_ui(mpq_denref(rate), mpq_denref(rate), 100);
    mpq_canonicalize(rate);
    if (sign >= 0)
        mpq_sub(fee, value, free);
    else
        mpq_set(fee, value);
    mpq_mul(fee, fee, rate);
    if (sign >= 0) {
        money_set_price(rate, &terms->fixed_per_event);
        mpq_add(fee, fee, rate);
        money_set_price(rate, &terms->per_event_min);
        if (terms->has_per_event_min && mpq_cmp(fee, rate) < 0)
            mpq_set(fee, rate);
        money_set_price(rate, &terms->per_event_max);
        if (terms->has_per_event_max && mpq_cmp(fee, rate) > 0)
            mpq_set(fee, rate);
    }
    mpq_set(out, fee);
    mpq_clear(fee);
    mpq_clear(rate);
}
