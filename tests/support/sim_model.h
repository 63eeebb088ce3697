/*
 * sim_model.h - the naive model of a whole engine that the simulation compares with: what every
 * commit says, which events are rows, duplicates, conflicts and exceptions after it, what the
 * producers have sent, and what the windows must be, recounted from the rows. It can go back to any
 * commit, as a crash does.
 *
 * Catalog 0 has the tenants acme and globex and the type call (region string, tokens decimal 0);
 * catalog 1 adds the tenant newco and the type later (tokens decimal 0). Meters: tokens (sum by
 * region, 1h) and calls (count, 1d).
 *
 * Life:   sim_model_open, items, sim_model_commit, back*; sim_model_close.
 * Thread: one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

#define SIM_COMMITS_MAX   1024U
#define SIM_EVENTS_MAX    8U
#define SIM_ITEMS_MAX     12U /* of a commit */
#define SIM_PRODUCERS_MAX 2U
#define SIM_ROWS_MAX      (SIM_COMMITS_MAX * 16U)
#define SIM_CATALOGS      2U
#define SIM_WINDOWS_BYTES 32768U

enum sim_tenant { SIM_ACME, SIM_GLOBEX, SIM_NEWCO, SIM_TENANTS };
enum sim_flaw { SIM_SOUND, SIM_NO_TOKENS, SIM_LATER_TYPE };

struct sim_event {
    enum sim_tenant tenant;
    enum sim_flaw flaw;
    uint32_t content; /* decides time, region and tokens */
    uint64_t id;      /* with SIM_SESSION_ID: the producer, epoch and sequence */
};
#define SIM_SESSION_ID (UINT64_C(1) << 63)

struct sim_frame {
    uint32_t producer; /* from 1; 0: no session */
    uint64_t epoch;
    uint64_t sequence;
    uint64_t commit;
    uint32_t event_count;
    struct sim_event events[SIM_EVENTS_MAX];
};

enum sim_kind { SIM_FRAME, SIM_RESEND, SIM_CATALOG, SIM_CLOSE, SIM_RETRY, SIM_DISCARD };

/* One record of a commit; what was decided about it is filled in by sim_model_commit. */
struct sim_item {
    enum sim_kind kind;
    uint64_t commit;
    struct sim_frame frame;
    uint32_t position_count;
    le64 positions[SIM_EVENTS_MAX];
    uint8_t verdicts[SIM_EVENTS_MAX];
    uint32_t settled;
    struct sim_item *next; /* of all that were ever made */
};

struct sim_row {
    uint64_t commit;
    struct sim_event event;
};

struct sim_exception {
    uint64_t commit;
    uint64_t position;
    uint64_t settled; /* the commit of a retry or discard; 0: open */
    bool conflict;
    struct sim_event event;
};

struct sim_producer {
    uint64_t epoch; /* 0: not known yet */
    uint64_t next;
};

/* The state after a commit. */
struct sim_state {
    struct tally tally; /* by_reason is not counted */
    uint64_t position;
    uint32_t row_count;
    uint32_t exception_count;
    uint32_t frame_count; /* of producers */
    uint32_t catalog;     /* how many are known */
    struct sim_producer producers[SIM_PRODUCERS_MAX];
    uint8_t digest[32]; /* the twin's, and the bytes of its feed */
    uint64_t feed_bytes;
    int64_t arrival_us;
};

struct sim_model {
    uint64_t last; /* commit */
    struct sim_state states[SIM_COMMITS_MAX + 1];
    struct sim_row *rows;
    struct sim_exception *exceptions;
    struct sim_frame *frames;
    struct sim_item *items; /* newest first */
    struct sim_item *open[SIM_ITEMS_MAX];
    uint32_t open_count;
};

void sim_model_open(struct sim_model *model);
void sim_model_close(struct sim_model *model);

const struct sim_state *sim_model_now(const struct sim_model *model);
struct vt_str sim_model_catalog(uint32_t index);

/* The payload of a frame of rows; memory from the arena. */
struct vt_bytes sim_model_payload(struct arena *arena, const struct sim_frame *frame);

/* A new item of the open commit; NULL where it has enough. */
struct sim_item *sim_model_item(struct sim_model *model, enum sim_kind kind);
void sim_model_item_undo(struct sim_model *model);

/* The open items become commit last + 1. */
void sim_model_commit(struct sim_model *model, int64_t arrival_us);

/* As if nothing beyond `number` had been. */
void sim_model_back(struct sim_model *model, uint64_t number);

/* All windows after a commit, recounted from the rows, as view_windows shows them. */
uint64_t sim_model_windows(const struct sim_model *model, uint64_t number,
                           char out_text[SIM_WINDOWS_BYTES]);
