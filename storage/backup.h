/*
 * backup.h - a second copy of a store: made and followed (backup), made a store of again (restore),
 * and used to mend what is damaged (repair).
 *
 * A COPY is a directory as storage.h describes it, so every reader reads it: store_open with
 * read_only, and what stands above. Its superblock has the mark of a copy, so that nobody writes to
 * it but a backup; its lanes are as long as the store's but hold only what was copied, each commit
 * in the very place that it has in the store, for lane and offset are under its checksum. A file
 * DIR/tokens goes along.
 *
 * A ROUND, and what the copy is where it ends there, by kill or by power cut
 *   segments that are new, checked and synced   as before; nothing names them yet
 *   the manifest, both copies                   the store at its last cut, and the commits after it
 *                                               that the copy has
 *   commits in their places, lanes synced       the chain goes on as far as it holds
 *   the manifest: so far it must hold           damage below is damage
 *   files that nothing names are removed
 * A commit is never written over one that the copy's manifest does not have sealed. Commits that
 * the store lost at a crash, of which the copy knew, are taken back before anything else.
 *
 * Life:   backup_open, backup_round*, backup_close. restore_run and repair_run are whole.
 * Errors: VT_AGAIN from a round: the store went on while it was read; the next round does it.
 *         VT_DAMAGED names the file and the offset; the copy is as it was.
 * Thread: one. The store may be open in another process meanwhile, writing.
 */
#pragma once

#include "storage/storage.h"

struct backup;

struct backup_options {
    const char *dir; /* the store */
    const char *to;  /* the copy; made where it is not there */
};

struct backup_state {
    /* The copy reaches so far. */
    uint64_t commit;
    uint64_t position;
    int64_t arrival_us;
    /* What a round found to be done when it had looked: how far behind the copy was. */
    uint64_t lag_commits;
    uint64_t lag_bytes;
    int64_t lag_arrival_us; /* of the oldest such commit; 0: none */
    /* Done since backup_open. */
    uint64_t segments;
    uint64_t segment_bytes;
    uint64_t commits;
    uint64_t commit_bytes;
    bool more; /* the round ended early: another one finds more to do */
};

VT_MUST_CHECK vt_err backup_open(struct io *io, const struct backup_options *options,
                                 struct backup **out_backup);
VT_MUST_CHECK vt_err backup_round(struct backup *backup);
void backup_get_state(const struct backup *backup, struct backup_state *out_state);
void backup_close(struct backup *backup); /* NULL is allowed */

/* A store of the copy, with a new history that forks from the copy's at its last commit. The
 * directory must not exist, or be empty: VT_EXISTS. */
struct restore_options {
    const char *from;
    const char *dir;
};
struct restore_result {
    uint64_t commit;
    uint64_t position;
    int64_t arrival_us;
    uint64_t old_history;
    uint64_t history;
    uint64_t segments;
    uint64_t commits;
    uint64_t bytes;
};
VT_MUST_CHECK vt_err restore_run(struct io *io, const struct restore_options *options,
                                 struct restore_result *out_result);

/* Replaces what is damaged by the same bytes from the copy, each file at once, by rename:
 *   segments    also beside a daemon, which takes the file into use when it next needs what was
 *               damaged
 *   superblock  where no copy of it is good any more
 *   manifest    one copy from the other, where no daemon runs (a start does the same)
 * What cannot be mended so is told too. A copy of another store or history is refused. */
enum repair_verdict { REPAIR_DONE = 1, REPAIR_NOT_POSSIBLE };
struct repair_news {
    enum repair_verdict verdict;
    const char *file;
    vt_err err;       /* what was wrong; of REPAIR_NOT_POSSIBLE: why it stays so */
    const char *text; /* the same as a sentence */
};
struct repair_options {
    const char *dir;
    const char *from;
    void (*news)(void *context, const struct repair_news *news);
    void *context;
};
struct repair_result {
    uint64_t files; /* looked at */
    uint64_t bytes;
    uint64_t repaired;
    uint64_t left; /* damage that stays */
};
VT_MUST_CHECK vt_err repair_run(struct io *io, const struct repair_options *options,
                                struct repair_result *out_result);
