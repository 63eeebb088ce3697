/*
 * Goal:   a lane never gives out a block that an unsealed commit holds, and gives out what is free.
 * Method: random commits and releases beside a naive map of blocks; seed printed on failure.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lane.h"
#include "venturi/assert.h"

#define BLOCKS 32U

struct naive {
    uint64_t owner[BLOCKS]; /* commit that holds a block, 0: free */
};

static uint64_t
draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return *state >> 33;
}

static void
run(uint64_t seed)
{
    struct naive naive = {{0}};
    struct lane lane;
    uint64_t random = seed;
    uint64_t released = 0;
    uint64_t number = 0;

    cr_assert_eq(lane_init(&lane, BLOCKS * 4096), VT_OK);
    for (int i = 0; i < 500; i++) {
        uint32_t blocks = 1 + (uint32_t)(draw(&random) % 6);
        uint32_t block;

        if (lane_find(&lane, blocks, &block)) {
            number++;
            for (uint32_t k = block; k < block + blocks; k++) {
                cr_assert(k < BLOCKS, "seed %lu", (unsigned long)seed);
                cr_assert(naive.owner[k] <= released, "seed %lu", (unsigned long)seed);
                naive.owner[k] = number;
            }
            lane_take(&lane, number, block, blocks);
        } else {
            /* A ring wastes less than one commit at its end and one between head and tail. */
            cr_assert(lane.used + 12 > BLOCKS, "seed %lu: %u used", (unsigned long)seed, lane.used);
        }
        if (draw(&random) % 3 == 0 && released < number) {
            released += 1 + draw(&random) % (number - released);
            lane_release(&lane, released);
        }
        cr_assert((lane.used == 0) == (released == number), "seed %lu", (unsigned long)seed);
    }
    lane_deinit(&lane);
}

Test(lane, holds_what_is_unsealed, .timeout = 20)
{
    for (uint64_t seed = 1; seed <= 300; seed++)
        run(seed);
}
