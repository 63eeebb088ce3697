/* Sessions of producers: what a welcome may promise, and what of old frames is forgotten. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core_internal.h"

#define FRAME_EVENTS 10

static struct core_producer
producer_new(void)
{
    return (struct core_producer){.epoch = 1, .durable_next = 1};
}

static void
producer_drop(struct core_producer *producer)
{
    free(producer->intervals);
}

static uint64_t
frame_first(uint64_t frame)
{
    return 1 + frame * FRAME_EVENTS;
}

/* As the door does it: noted when it comes, durable some frames later. */
static vt_err
frame_note(struct core_producer *producer, uint64_t frame, uint64_t hash)
{
    uint64_t first = frame_first(frame);
    vt_err err = core_session_room(producer);

    if (err == VT_OK)
        err = core_session_note(producer, 1, first, first + FRAME_EVENTS, hash);
    if (err == VT_OK)
        producer->in_flight++;
    return err;
}

static void
frame_durable(struct core_producer *producer, uint64_t frame)
{
    producer->in_flight--;
    core_session_durable(producer, 1, frame_first(frame), frame_first(frame) + FRAME_EVENTS);
}

static enum session_verdict
frame_check(const struct core_producer *producer, uint64_t frame, uint64_t hash)
{
    return core_session_check(producer, frame_first(frame), frame_first(frame) + FRAME_EVENTS,
                              hash);
}

Test(core_session, next_passes_what_was_durable_behind_a_gap_once_it_is_closed)
{
    struct core_producer producer = producer_new();

    cr_assert_eq(frame_note(&producer, 1, 7), VT_OK);
    frame_durable(&producer, 1);
    cr_expect_eq(producer.durable_next, 1, "a gap is not passed");
    cr_assert_eq(frame_note(&producer, 0, 7), VT_OK);
    frame_durable(&producer, 0);
    cr_expect_eq(producer.durable_next, frame_first(2));
    producer_drop(&producer);
}

Test(core_session, next_never_covers_what_is_in_flight)
{
    struct core_producer producer = producer_new();

    cr_assert_eq(frame_note(&producer, 0, 7), VT_OK);
    cr_assert_eq(frame_note(&producer, 1, 7), VT_OK);
    frame_durable(&producer, 0);
    cr_expect_eq(producer.durable_next, frame_first(1));
    frame_durable(&producer, 1);
    cr_expect_eq(producer.durable_next, frame_first(2));
    producer_drop(&producer);
}

/* A client that starts again goes on at durable_next, so what it sends there is new: it must not be
 * taken for a resend of a frame whose content was forgotten, acked and dropped. */
Test(core_session, new_content_at_next_is_never_a_resend)
{
    struct core_producer producer = producer_new();

    for (uint64_t frame = 0; frame < 3 * CORE_INTERVALS_MAX; frame++) {
        if (frame == 5) /* it was refused */
            continue;
        cr_assert_eq(frame_note(&producer, frame, 7), VT_OK, "frame %lu", (unsigned long)frame);
        frame_durable(&producer, frame);
        cr_assert_leq(producer.interval_count, CORE_INTERVALS_MAX);
    }
    uint64_t next = (producer.durable_next - 1) / FRAME_EVENTS;

    cr_expect_eq(producer.durable_next, frame_first(next), "between two frames");
    for (uint64_t frame = next; frame < 3 * CORE_INTERVALS_MAX + 2; frame++)
        cr_assert_neq(frame_check(&producer, frame, 8), SESSION_RESEND, "frame %lu",
                      (unsigned long)frame);
    cr_expect_eq(frame_check(&producer, 4, 8), SESSION_RESEND, "old ones are joined");
    cr_expect_eq(frame_check(&producer, 5, 8), SESSION_NEW, "what was refused can still come");
    producer_drop(&producer);
}

Test(core_session, what_is_in_flight_is_waited_for_before_a_gap_is_given_up)
{
    struct core_producer producer = producer_new();
    uint64_t frame = 1;

    for (; producer.interval_count < CORE_INTERVALS_MAX; frame++) {
        cr_assert_eq(frame_note(&producer, frame, 7), VT_OK);
        if (frame > 3)
            frame_durable(&producer, frame);
    }
    cr_expect_eq(frame_note(&producer, frame, 7), VT_AGAIN);
    cr_expect_eq(producer.durable_next, 1);
    for (uint64_t i = 1; i <= 3; i++)
        frame_durable(&producer, i);
    cr_expect_eq(frame_note(&producer, frame, 7), VT_OK);
    cr_expect_gt(producer.durable_next, frame_first(CORE_INTERVALS_MAX / 2));
    producer_drop(&producer);
}

Test(core_session, gaps_without_end_are_refused)
{
    struct core_producer producer = producer_new();
    vt_err err = VT_OK;

    for (uint64_t frame = 1; err == VT_OK && frame < 8 * CORE_INTERVALS_MAX; frame += 2) {
        err = frame_note(&producer, frame, 7);
        if (err == VT_OK)
            frame_durable(&producer, frame);
    }
    cr_expect_eq(err, VT_BAD_SEQUENCE);
    cr_expect_leq(producer.interval_count, CORE_INTERVALS_MAX);
    producer_drop(&producer);
}

Test(core_session, a_trim_keeps_every_verdict_but_the_comparison)
{
    struct core_producer producer = producer_new();

    for (uint64_t frame = 0; frame < 1000; frame++) {
        cr_assert_eq(frame_note(&producer, frame, 7), VT_OK);
        frame_durable(&producer, frame);
    }
    core_session_trim(&producer, 16);
    cr_expect_leq(producer.interval_count, 17);
    for (uint64_t frame = 0; frame < 1000; frame++)
        cr_assert_eq(frame_check(&producer, frame, 7), SESSION_RESEND);
    cr_expect_eq(frame_check(&producer, 1000, 7), SESSION_NEW);
    cr_expect_eq(frame_check(&producer, 999, 8), SESSION_OVERLAP);
    producer_drop(&producer);
}
