/* copies.c - venturi backup, restore, repair: a second copy of a store, and what it is good for. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "storage/backup.h"
#include "store_view.h"
#include "tools/common/options.h"
#include "tools/common/stopper.h"
#include "venturi/time.h"

#define POLL_NS        20000000L
#define AGAIN_NS       50000000L
#define TRIES_MAX      100 /* of a round that meets what the daemon is just writing: 5 s */
#define EVERY_DEFAULT  10
#define TERMINAL_NS    INT64_C(200000000)
#define NS_PER_SECOND  INT64_C(1000000000)
#define KIB            1024
#define LINE_BYTES_MAX 200

/* ---- backup */

static const char backup_help[] =
    "venturi backup - a second copy of a store, beside a running daemon or without one\n"
    "\n"
    "example: venturi backup --data data --to /mnt/copy\n"
    "         venturi backup --data data --to /mnt/copy --follow\n"
    "         venturi verify --data /mnt/copy\n"
    "\n"
    "usage: venturi backup --data DIR --to COPY [--follow] [--every SECONDS]\n"
    "\n"
    "Copies what COPY does not have yet: sealed segments, each checked as it arrives, then the\n"
    "commits after them as far as they go, then removes what the store no longer names. Killed at\n"
    "any moment it leaves a copy that is whole, as of one of its rounds; the next backup goes on\n"
    "from there. COPY is read by verify, inspect and replay like a store; restore makes one of "
    "it,\n"
    "repair takes bytes from it.\n"
    "\n"
    "  --follow         go on commit by commit until interrupted; says on standard error how far\n"
    "                   it is behind\n"
    "  --every SECONDS  between two such lines, where standard error is no terminal   (10)\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage, 4 damage in the store (file and offset on standard\n"
    "error; the copy is as it was)\n";

struct follow {
    const char *name;
    struct backup *backup;
    uint64_t every_s;
    bool terminal;
    int64_t told_ns;
    _Atomic bool stop; /* set by the stopper's thread */
};

static int64_t
clock_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now); /* cannot fail */
    return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static void
pause_ns(long ns)
{
    const struct timespec wait = {0, ns};

    (void)nanosleep(&wait, NULL); /* woken early is no harm */
}

static void
backup_stop_asked(void *context, int signal)
{
    struct follow *follow = context;

    (void)signal;
    atomic_store(&follow->stop, true);
}

/* "commit 12, position 340, 7 commits (3 KiB, 0.1 s) behind" */
static void
reach_write(const struct backup_state *state, char out_text[LINE_BYTES_MAX])
{
    int64_t behind_us = 0;

    if (state->lag_commits > 0)
        behind_us = clock_ns(CLOCK_REALTIME) / 1000 - state->lag_arrival_us;
    if (behind_us < 0)
        behind_us = 0;
    (void)snprintf(out_text, LINE_BYTES_MAX,
                   "commit %" PRIu64 ", position %" PRIu64 "; behind by %" PRIu64
                   " commits, %" PRIu64 " KiB, %" PRId64 ".%03" PRId64 " s",
                   state->commit, state->position, state->lag_commits, state->lag_bytes / KIB,
                   behind_us / VT_US_PER_SECOND, behind_us % VT_US_PER_SECOND / 1000);
}

static void
progress_tell(struct follow *follow)
{
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    int64_t every_ns = follow->terminal ? TERMINAL_NS : (int64_t)follow->every_s * NS_PER_SECOND;
    struct backup_state state;
    char text[LINE_BYTES_MAX];

    if (follow->told_ns != 0 && now_ns - follow->told_ns < every_ns)
        return;
    follow->told_ns = now_ns;
    backup_get_state(follow->backup, &state);
    reach_write(&state, text);
    if (follow->terminal)
        (void)fprintf(stderr, "\r%s: %s\033[K", follow->name, text);
    else
        (void)fprintf(stderr, "%s: %s\n", follow->name, text);
}

/* A round that met what another process was just writing is made again. */
static vt_err
round_run(struct follow *follow)
{
    vt_err err = VT_AGAIN;

    for (uint32_t i = 0; i < TRIES_MAX && !atomic_load(&follow->stop); i++) {
        vt_err_clear();
        err = backup_round(follow->backup);
        if (err != VT_AGAIN && !store_view_damage(err))
            break;
        pause_ns(AGAIN_NS);
    }
    return err;
}

/* Until the copy has what there was at the begin. */
static vt_err
copy_once(struct follow *follow)
{
    struct backup_state state;
    vt_err err = round_run(follow);

    if (err != VT_OK)
        return err;
    backup_get_state(follow->backup, &state);
    uint64_t goal = state.commit + state.lag_commits;

    while (err == VT_OK && state.more && state.commit < goal && !atomic_load(&follow->stop)) {
        err = round_run(follow);
        backup_get_state(follow->backup, &state);
    }
    return err;
}

static vt_err
copy_follow(struct follow *follow)
{
    struct backup_state state;
    vt_err err = VT_OK;

    while (err == VT_OK && !atomic_load(&follow->stop)) {
        err = round_run(follow);
        if (err != VT_OK)
            break;
        progress_tell(follow);
        backup_get_state(follow->backup, &state);
        if (!state.more)
            pause_ns(POLL_NS);
    }
    if (follow->terminal)
        (void)fprintf(stderr, "\n");
    return atomic_load(&follow->stop) && err == VT_AGAIN ? VT_OK : err;
}

static vt_err
backup_tell(const struct follow *follow, const char *to)
{
    struct backup_state state;
    char arrival[VT_RFC3339_BYTES];

    backup_get_state(follow->backup, &state);
    vt_utc_format((struct vt_utc){state.arrival_us}, arrival);
    (void)printf("%s reaches commit %" PRIu64 ", position %" PRIu64 ", of %s; copied %" PRIu64
                 " segments of %" PRIu64 " bytes and %" PRIu64 " commits of %" PRIu64 "\n",
                 to, state.commit, state.position, arrival, state.segments, state.segment_bytes,
                 state.commits, state.commit_bytes);
    return fflush(stdout) == 0 ? VT_OK : VT_IO;
}

static vt_err
backup_run(struct follow *follow, const struct backup_options *options, bool go_on)
{
    struct stopper stopper = {.asked = backup_stop_asked, .context = follow};
    struct io *io = NULL;

    if (!stopper_start(&stopper))
        return vt_err_detail(VT_NOMEM, "no thread can be started");
    vt_err err = io_uring_open(0, &io);

    if (err == VT_OK)
        err = backup_open(io, options, &follow->backup);
    if (err == VT_OK)
        err = go_on ? copy_follow(follow) : copy_once(follow);
    if (err == VT_OK)
        err = backup_tell(follow, options->to);
    backup_close(follow->backup);
    io_close(io);
    stopper_end(&stopper);
    return err;
}

int
command_backup(int argc, char **argv)
{
    struct follow follow = {.name = argv[0], .every_s = EVERY_DEFAULT};
    struct backup_options options = {.dir = NULL};
    bool go_on = false;
    const struct option_spec specs[] = {
        {.name = "data", .kind = OPTION_TEXT, .target = &options.dir},
        {.name = "to", .kind = OPTION_TEXT, .target = &options.to},
        {.name = "follow", .kind = OPTION_FLAG, .target = &go_on},
        {.name = "every", .kind = OPTION_NUMBER, .target = &follow.every_s, 1, 86400},
        {.name = NULL},
    };
    int first = 0;
    int status = options_read(argc, argv, backup_help, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    if (first != argc)
        return options_misused(argv[0], "%s: not expected", argv[first]);
    if (options.dir == NULL || options.to == NULL)
        return options_misused(argv[0], "--data and --to are needed");
    follow.terminal = isatty(STDERR_FILENO) != 0;
    vt_err err = backup_run(&follow, &options, go_on);

    return err == VT_OK ? EXIT_DONE : store_view_failed(argv[0], err);
}

/* ---- restore */

static const char restore_help[] =
    "venturi restore - a store of a second copy, with a history of its own\n"
    "\n"
    "example: venturi restore --from /mnt/copy --data data\n"
    "         venturid --data data\n"
    "\n"
    "usage: venturi restore --from COPY --data DIR\n"
    "\n"
    "DIR must not exist, or be empty. The new store goes on where the copy ends, which is said: "
    "what\n"
    "the old one took after that is not there. Ids, producers' sequences and tokens are those of "
    "the\n"
    "copy; a feed cursor from before its end goes on, one from behind it is refused and told so.\n"
    "Nothing of the old store must run beside the new one.\n"
    "\n"
    "exit status: 0 done, 1 failed, 2 usage, 4 damage in the copy (file and offset on standard\n"
    "error)\n";

static vt_err
restore_tell(const struct restore_options *options, const struct restore_result *result)
{
    char arrival[VT_RFC3339_BYTES];

    vt_utc_format((struct vt_utc){result->arrival_us}, arrival);
    (void)printf("%s is the store as of commit %" PRIu64 ", position %" PRIu64 ", of %s\n"
                 "history %016" PRIx64 " ends there and %016" PRIx64 " begins; %" PRIu64
                 " segments and %" PRIu64 " commits, %" PRIu64 " bytes\n",
                 options->dir, result->commit, result->position, arrival, result->old_history,
                 result->history, result->segments, result->commits, result->bytes);
    return fflush(stdout) == 0 ? VT_OK : VT_IO;
}

int
command_restore(int argc, char **argv)
{
    struct restore_options options = {.from = NULL};
    struct restore_result result;
    struct io *io = NULL;
    const struct option_spec specs[] = {
        {.name = "data", .kind = OPTION_TEXT, .target = &options.dir},
        {.name = "from", .kind = OPTION_TEXT, .target = &options.from},
        {.name = NULL},
    };
    int first = 0;
    int status = options_read(argc, argv, restore_help, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    if (first != argc)
        return options_misused(argv[0], "%s: not expected", argv[first]);
    if (options.dir == NULL || options.from == NULL)
        return options_misused(argv[0], "--from and --data are needed");
    vt_err err = io_uring_open(0, &io);

    if (err == VT_OK)
        err = restore_run(io, &options, &result);
    if (err == VT_OK)
        err = restore_tell(&options, &result);
    io_close(io);
    return err == VT_OK ? EXIT_DONE : store_view_failed(argv[0], err);
}

/* ---- repair */

static const char repair_help[] =
    "venturi repair - damaged files of a store, bit for bit from its second copy\n"
    "\n"
    "example: venturi repair --data data --from /mnt/copy\n"
    "         venturi repair --data /mnt/copy --from data\n"
    "\n"
    "usage: venturi repair --data DIR --from COPY\n"
    "\n"
    "Checks superblock, manifest and every segment of DIR and replaces what is damaged or "
    "missing,\n"
    "after checking the copy's file against its own checksums and what the manifest of DIR says "
    "of\n"
    "it. Beside a running daemon too: it takes a repaired segment into use by itself. A copy of\n"
    "another store or history is refused, and where the copy is damaged as well nothing is "
    "touched.\n"
    "A copy is repaired from its store the same way. The lanes are not repaired: what is damaged\n"
    "there is found at the next start.\n"
    "\n"
    "exit status: 0 nothing is damaged any more, 1 failed, 2 usage, 4 some damage is left (on\n"
    "standard error)\n";

static void
repair_tell(void *context, const struct repair_news *news)
{
    const char *name = context;

    if (news->verdict == REPAIR_DONE)
        (void)printf("repaired %s: %s (%s)\n", news->file, news->text, vt_err_name(news->err));
    else
        (void)fprintf(stderr, "%s: not repaired: %s: %s (%s)\n", name, news->file, news->text,
                      vt_err_name(news->err));
}

int
command_repair(int argc, char **argv)
{
    struct repair_options options = {.news = repair_tell, .context = argv[0]};
    struct repair_result result = {.files = 0};
    struct io *io = NULL;
    const struct option_spec specs[] = {
        {.name = "data", .kind = OPTION_TEXT, .target = &options.dir},
        {.name = "from", .kind = OPTION_TEXT, .target = &options.from},
        {.name = NULL},
    };
    int first = 0;
    int status = options_read(argc, argv, repair_help, specs, &first);

    if (status != OPTIONS_GO)
        return status;
    if (first != argc)
        return options_misused(argv[0], "%s: not expected", argv[first]);
    if (options.dir == NULL || options.from == NULL)
        return options_misused(argv[0], "--data and --from are needed");
    vt_err err = io_uring_open(0, &io);

    if (err == VT_OK)
        err = repair_run(io, &options, &result);
    io_close(io);
    if (err != VT_OK)
        return store_view_failed(argv[0], err);
    (void)printf("files %" PRIu64 ", bytes %" PRIu64 ", repaired %" PRIu64 ", left %" PRIu64 "\n",
                 result.files, result.bytes, result.repaired, result.left);
    if (fflush(stdout) != 0)
        return options_failed(argv[0], "standard output", VT_IO);
    return result.left == 0 ? EXIT_DONE : EXIT_DIFFERENT;
}
