/*
 * engine_rig.h - a whole engine on one thread, above a simulated disk or a real directory: for
 * property tests, simulations and crash tests. It feeds frames, submits, restarts or crashes, and
 * answers.
 *
 * Errors: a failure that the caller did not ask for ends the program with its detail
 *         (engine_rig_check).
 * Thread: one.
 */
#pragma once

#include "engine/engine.h"
#include "storage/storage.h"

struct engine_rig_options {
    const char *dir; /* NULL: a simulated disk */
    uint64_t seed;
    uint32_t worker_count;
    uint32_t partition_count;
    uint32_t lane_count;
    uint64_t lane_bytes;
    uint32_t commit_bytes_max;
    uint64_t cut_bytes;
    uint64_t dedup_ids_max;
    uint32_t merge_width;
};

struct engine_rig {
    struct engine_rig_options options;
    struct io *io;
    struct store *store;
    struct core *core;
    int64_t now_us; /* the wall clock: moved by the test */
    uint64_t restarts;
    uint64_t crashes;
};

void engine_rig_check(vt_err err, const char *what);

/* Makes a new store, or opens what is there. */
void engine_rig_open(struct engine_rig *rig, const struct engine_rig_options *options);
void engine_rig_close(struct engine_rig *rig);
/* A clean stop. The disk stays: rig->io, until engine_rig_close. */
void engine_rig_stop(struct engine_rig *rig);

/* The engine is dropped and opened again. `crash`: the disk loses what a power cut may take
 * (simulated disk only). */
void engine_rig_restart(struct engine_rig *rig, bool crash, bool clean);

void engine_rig_catalog(struct engine_rig *rig, struct vt_str text);
/* Adds a frame, submitting and polling where the engine asks for it. The result is VT_OK or the
 * refusal. */
vt_err engine_rig_frame(struct engine_rig *rig, uint8_t frame_type, uint32_t event_count,
                        struct vt_bytes payload);
void engine_rig_submit(struct engine_rig *rig);
/* Everything submitted is durable, applied and acked. */
void engine_rig_settle(struct engine_rig *rig);
/* Retries every open exception; gives how many were settled. */
uint32_t engine_rig_retry_all(struct engine_rig *rig);

void engine_rig_digest(struct engine_rig *rig, char out_hex[65]);

/* Answers as lines with a prefix each, to standard output. */
enum engine_rig_answer {
    RIG_SUMMARY,
    RIG_WINDOWS,
    RIG_LINES,
    RIG_UNRATED,
    RIG_EXCEPTIONS,
    RIG_FEED
};
void engine_rig_print(struct engine_rig *rig, enum engine_rig_answer answer, const char *prefix,
                      const int64_t *at_us);
