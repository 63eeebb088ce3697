/*
 * Goal:   backup, restore and repair refuse what they must not touch, and say why; forks of
 *         restores of restores are all remembered. That a copy is whole at every moment is
 *         sim_backup's.
 * Method: stores on a simulated disk; "s" with its copy "c", "other" of another id, "empty".
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "copy_rig.h"
#include "venturi/assert.h"

static struct io *io;

static void
must(vt_err err)
{
    cr_assert(err == VT_OK, "%s: %s", vt_err_name(err), vt_err_last());
}

static void
store_make(const char *dir, uint64_t seed, uint32_t commits)
{
    struct copy_rig rig;

    copy_rig_open(&rig, io, dir, seed);
    copy_rig_append(&rig, commits);
    copy_rig_seal(&rig);
    copy_rig_append(&rig, 2);
    copy_rig_close(&rig);
}

static vt_err
backup_run(const char *dir, const char *to)
{
    const struct backup_options options = {.dir = dir, .to = to};
    struct backup *backup = NULL;

    vt_err_clear();
    vt_err err = backup_open(io, &options, &backup);

    if (err == VT_OK)
        err = backup_round(backup);
    backup_close(backup);
    return err;
}

static vt_err
restore(const char *from, const char *dir, struct restore_result *out_result)
{
    const struct restore_options options = {.from = from, .dir = dir};

    vt_err_clear();
    return restore_run(io, &options, out_result);
}

static void
ignore_news(void *context, const struct repair_news *news)
{
    (void)context;
    (void)news;
}

static vt_err
repair(const char *dir, const char *from)
{
    const struct repair_options options = {.dir = dir, .from = from, .news = ignore_news};
    struct repair_result result;

    vt_err_clear();
    return repair_run(io, &options, &result);
}

static void
setup(void)
{
    must(io_sim_open(11, &io));
    store_make("s", 1, 3);
    store_make("other", 2, 4);
    must(backup_run("s", "c"));
}

static void
teardown(void)
{
    io_close(io);
}

TestSuite(backup, .init = setup, .fini = teardown, .timeout = 20);

enum act { BACKUP, RESTORE, REPAIR, OPEN };
static const struct refusal_case {
    const char *name;
    enum act act;
    const char *from;
    const char *to;
    vt_err want;
    const char *says;
} refusal_cases[] = {
    /* clang-format off */
    { "a backup of a copy", BACKUP, "c", "empty", VT_INVALID, "is a copy itself" },
    { "a backup into a store", BACKUP, "s", "other", VT_EXISTS, "is a store and no copy" },
    { "a backup of another store", BACKUP, "other", "c", VT_BAD_PLACE, "is a copy of history" },
    { "a backup of nothing", BACKUP, "none", "empty", VT_NOT_FOUND, "no store" },
    { "a restore of a store", RESTORE, "s", "empty", VT_INVALID, "is a store and no copy" },
    { "a restore over a store", RESTORE, "c", "other", VT_EXISTS, "is not empty" },
    { "a repair from another's copy", REPAIR, "c", "other", VT_BAD_PLACE, "was made of" },
    { "a repair from a store", REPAIR, "other", "s", VT_BAD_PLACE, "was made of" },
    { "a repair from nothing", REPAIR, "none", "s", VT_NOT_FOUND, "no copy" },
    { "a store opened on a copy", OPEN, "", "c", VT_INVALID, "second copy" },
    /* clang-format on */
};

static vt_err
act_run(const struct refusal_case *c)
{
    const struct store_options options = {.dir = c->to, .create = true};
    struct restore_result result;
    struct store *store = NULL;

    switch (c->act) {
    case BACKUP:
        return backup_run(c->from, c->to);
    case RESTORE:
        return restore(c->from, c->to, &result);
    case REPAIR:
        return repair(c->to, c->from);
    case OPEN:
        vt_err_clear();
        return store_open(io, &options, &store);
    }
    return VT_OK;
}

Test(backup, refuses_what_it_must_not_touch)
{
    static struct copy_rig_image before[3];
    static struct copy_rig_image after;
    static const char *const dirs[] = {"s", "c", "other"};

    for (size_t d = 0; d < VT_COUNT(dirs); d++)
        must(copy_rig_read(io, dirs[d], &before[d]));
    for (size_t i = 0; i < VT_COUNT(refusal_cases); i++) {
        const struct refusal_case *c = &refusal_cases[i];
        vt_err got = act_run(c);

        cr_expect(got == c->want, "%s: want %s, got %s: %s", c->name, vt_err_name(c->want),
                  vt_err_name(got), vt_err_last());
        cr_expect(strstr(vt_err_last(), c->says) != NULL, "%s: %s", c->name, vt_err_last());
        for (size_t d = 0; d < VT_COUNT(dirs); d++) {
            vt_err_clear();
            must(copy_rig_read(io, dirs[d], &after));
            cr_expect(memcmp(&after, &before[d], sizeof after) == 0, "%s changed %s", c->name,
                      dirs[d]);
        }
    }
}

static void
info_of(const char *dir, struct store_info *out_info)
{
    const struct store_options options = {.dir = dir, .read_only = true};
    struct store *store = NULL;

    must(store_open(io, &options, &store));
    store_get_info(store, out_info);
    store_close(store);
}

/* Each restore of a restore goes on a little, so that its fork lies behind the one before; the last
 * is of an old copy. */
Test(backup, restores_remember_where_their_histories_part)
{
    struct restore_result first;
    struct restore_result second;
    struct store_info info;

    must(restore("c", "r1", &first));
    store_make("r1", 5, 3);
    must(backup_run("r1", "c1"));
    must(restore("c1", "r2", &second));
    info_of("r2", &info);
    cr_expect(info.fork_count == 2 && info.history == second.history);
    cr_expect(info.forks[0].history == first.old_history && info.forks[0].number == first.commit);
    cr_expect(info.forks[1].history == first.history && info.forks[1].number == second.commit);
    cr_expect(second.commit > first.commit);
    cr_expect(info.forks[1].position == second.position);
    /* Histories that forked are no copies of each other. */
    cr_expect(backup_run("r2", "c1") == VT_BAD_PLACE);
    cr_expect(repair("r2", "c1") == VT_BAD_PLACE);
    /* A start of the old history is below those of the new one. */
    store_make("s", 6, 1);
    store_make("r1", 7, 1);
    uint64_t newer;

    info_of("r1", &info);
    newer = info.start;
    info_of("s", &info);
    cr_expect(newer > info.start + UINT32_MAX / 2);
}
