/*
 * Goal:   the ids of W1 are what their kind says, repeats are whole events, and the same options
 *         give the same events.
 * Method: frames of both UUID versions, read by the fields of RFC 9562.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "tools/common/workload.h"

#define BATCH    500
#define FRAMES   40
#define START_US INT64_C(1767225600000000)

static struct workload *
opened(bool ids_by_time)
{
    struct workload *workload = NULL;
    struct workload_options options = {
        .seed = 7,
        .lane = 3,
        .batch = BATCH,
        .ids = COLUMN_IDS_UUID,
        .ids_by_time = ids_by_time,
        .start_us = START_US,
        .step_us = 10,
    };

    cr_assert(workload_open(&options, &workload) == VT_OK);
    return workload;
}

static uint64_t
milliseconds(const uint8_t *id)
{
    uint64_t ms = 0;

    for (uint32_t i = 0; i < 6; i++)
        ms = ms << 8 | id[i];
    return ms;
}

Test(workload, ids_of_version_7_begin_with_the_time, .timeout = 10)
{
    struct workload *workload = opened(true);
    uint64_t repeats = 0;

    for (uint32_t f = 0; f < FRAMES; f++) {
        struct column_frame frame;

        workload_frame(workload, &frame);
        for (uint32_t at = 0; at < BATCH; at++) {
            const uint8_t *id = frame.id_data + at * 16u;
            uint64_t want = (uint64_t)START_US / 1000 + (f * BATCH + at) / 100;

            cr_assert(id[6] >> 4 == 7);
            cr_assert(id[8] >> 6 == 2);
            /* A repeat carries the time of what it repeats. */
            cr_assert(milliseconds(id) <= want);
            repeats += milliseconds(id) < want;
        }
    }
    cr_expect(workload_repeats(workload) > 0);
    cr_expect(repeats <= workload_repeats(workload));
    workload_close(workload);
}

Test(workload, ids_of_version_4_say_so, .timeout = 10)
{
    struct workload *workload = opened(false);
    struct column_frame frame;

    workload_frame(workload, &frame);
    for (uint32_t at = 0; at < BATCH; at++) {
        cr_assert(frame.id_data[at * 16u + 6] >> 4 == 4);
        cr_assert(frame.id_data[at * 16u + 8] >> 6 == 2);
    }
    workload_close(workload);
}

Test(workload, same_options_same_events, .timeout = 10)
{
    struct workload *one = opened(true);
    struct workload *other = opened(true);

    for (uint32_t f = 0; f < FRAMES; f++) {
        struct column_frame a;
        struct column_frame b;

        workload_frame(one, &a);
        workload_frame(other, &b);
        cr_assert(memcmp(a.id_data, b.id_data, BATCH * 16u) == 0);
        cr_assert(memcmp(a.times_us, b.times_us, BATCH * sizeof *a.times_us) == 0);
        cr_assert(memcmp(a.fields[2].mantissas, b.fields[2].mantissas, BATCH * sizeof(int64_t)) ==
                  0);
    }
    workload_close(one);
    workload_close(other);
}
