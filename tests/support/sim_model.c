/* sim_model.c - see sim_model.h. */
#include "sim_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event_maker.h"
#include "venturi/assert.h"
#include "venturi/time.h"

#define HOURS   4U
#define REGIONS 3U
#define DAY_US  INT64_C(1672531200000000) /* 2023-01-01T00:00:00Z */
#define TOKENS  "{\"name\": \"tokens\", \"kind\": \"decimal\", \"scale\": 0}"
#define CALL \
    "{\"type\": \"call\", \"fields\": [{\"name\": \"region\", \"kind\": \"string\"}, " TOKENS "]}"
#define CALL_METERS                                                                          \
    "\"meters\": [{\"key\": \"tokens\", \"event_type\": \"call\", \"aggregation\": \"sum\"," \
    " \"field\": \"tokens\", \"window\": \"1h\", \"grace\": \"1m\","                         \
    " \"group_by\": [\"region\"]}, {\"key\": \"calls\", \"event_type\": \"call\","           \
    " \"aggregation\": \"count\", \"window\": \"1d\"}], \"plans\": [], \"contracts\": []}"

static const char *const catalogs[SIM_CATALOGS] = {
    "{\"event_types\": [" CALL
    "], \"tenants\": [{\"key\": \"acme\"}, {\"key\": \"globex\"}]," CALL_METERS,
    "{\"event_types\": [" CALL ", {\"type\": \"later\", \"fields\": [" TOKENS "]}], \"tenants\":"
    " [{\"key\": \"acme\"}, {\"key\": \"globex\"}, {\"key\": \"newco\"}], " CALL_METERS,
};
static const char *const tenants[SIM_TENANTS] = {"acme", "globex", "newco"};
static const char *const regions[REGIONS] = {"ap", "eu", "us"};

static struct vt_str
str_of(const char *text)
{
    return (struct vt_str){text, (uint32_t)strlen(text)};
}

struct vt_str
sim_model_catalog(uint32_t index)
{
    VT_ASSERT(index < SIM_CATALOGS);
    return str_of(catalogs[index]);
}

void
sim_model_open(struct sim_model *model)
{
    memset(model, 0, sizeof *model);
    model->rows = calloc(SIM_ROWS_MAX, sizeof *model->rows);
    model->exceptions = calloc(SIM_ROWS_MAX, sizeof *model->exceptions);
    model->frames = calloc(SIM_ROWS_MAX, sizeof *model->frames);
    VT_ASSERT(model->rows != NULL && model->exceptions != NULL && model->frames != NULL);
}

void
sim_model_close(struct sim_model *model)
{
    while (model->items != NULL) {
        struct sim_item *item = model->items;

        model->items = item->next;
        free(item);
    }
    free(model->rows);
    free(model->exceptions);
    free(model->frames);
}

const struct sim_state *
sim_model_now(const struct sim_model *model)
{
    return &model->states[model->last];
}

static uint32_t
hour_of(const struct sim_event *event)
{
    return event->content % HOURS;
}

static uint32_t
region_of(const struct sim_event *event)
{
    return event->content / HOURS % REGIONS;
}

static uint64_t
tokens_of(const struct sim_event *event)
{
    return 1 + event->content * 7u;
}

struct vt_bytes
sim_model_payload(struct arena *arena, const struct sim_frame *frame)
{
    struct vt_bytes parts[SIM_EVENTS_MAX];
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < frame->event_count; i++) {
        const struct sim_event *event = &frame->events[i];
        char id[32];
        struct made_event made = {
            .tenant = str_of(tenants[event->tenant]),
            .type = str_of(event->flaw == SIM_LATER_TYPE ? "later" : "call"),
            .time_us = DAY_US + hour_of(event) * VT_US_PER_SECOND * 3600 + event->content,
        };

        if ((event->id & SIM_SESSION_ID) == 0) {
            (void)snprintf(id, sizeof id, "%" PRIu64, event->id);
            made.id = str_of(id);
            if (event->id % 3 == 0)
                made.source = VT_STR("meter");
        }
        if (event->flaw != SIM_NO_TOKENS)
            made.fields[made.field_count++] =
                (struct made_field){.name = VT_STR("tokens"), .number = (int64_t)tokens_of(event)};
        if (event->flaw != SIM_LATER_TYPE)
            made.fields[made.field_count++] = (struct made_field){
                .name = VT_STR("region"), .text = str_of(regions[region_of(event)])};
        parts[i] = event_bytes(arena, &made);
        bytes += parts[i].size;
    }
    uint8_t *payload = arena_alloc(arena, bytes);
    uint8_t *at = payload;

    VT_ASSERT(payload != NULL);
    for (uint32_t i = 0; i < frame->event_count; i++) {
        memcpy(at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
    return (struct vt_bytes){payload, bytes};
}

struct sim_item *
sim_model_item(struct sim_model *model, enum sim_kind kind)
{
    if (model->open_count == SIM_ITEMS_MAX)
        return NULL;
    struct sim_item *item = calloc(1, sizeof *item);

    VT_ASSERT(item != NULL);
    item->kind = kind;
    item->next = model->items;
    model->items = item;
    model->open[model->open_count++] = item;
    return item;
}

void
sim_model_item_undo(struct sim_model *model)
{
    struct sim_item *item = model->items;

    VT_ASSERT(model->open_count > 0 && item == model->open[model->open_count - 1]);
    model->open_count--;
    model->items = item->next;
    free(item);
}

/* ---- what a commit does */

static bool
is_sound(const struct sim_event *event, uint32_t catalog_count)
{
    if (event->flaw == SIM_NO_TOKENS)
        return false;
    return catalog_count > 1 || (event->tenant != SIM_NEWCO && event->flaw == SIM_SOUND);
}

static const struct sim_row *
row_find(const struct sim_model *model, const struct sim_state *state,
         const struct sim_event *event)
{
    for (uint32_t i = 0; i < state->row_count; i++)
        if (model->rows[i].event.tenant == event->tenant && model->rows[i].event.id == event->id)
            return &model->rows[i];
    return NULL;
}

static void
exception_add(struct sim_model *model, struct sim_state *state, const struct sim_event *event,
              uint64_t position, bool conflict)
{
    VT_ASSERT(state->exception_count < SIM_ROWS_MAX);
    model->exceptions[state->exception_count++] = (struct sim_exception){
        .commit = model->last + 1, .position = position, .conflict = conflict, .event = *event};
}

/* An event that the catalog allows: a row, a duplicate or a conflict. */
static uint8_t
event_count_in(struct sim_model *model, struct sim_state *state, const struct sim_event *event,
               uint64_t position)
{
    const struct sim_row *row = row_find(model, state, event);

    if (row == NULL) {
        VT_ASSERT(state->row_count < SIM_ROWS_MAX);
        model->rows[state->row_count++] = (struct sim_row){model->last + 1, *event};
        state->tally.accepted++;
        return VT_ACCEPTED;
    }
    state->tally.duplicates++;
    if (row->event.content == event->content && row->event.flaw == event->flaw)
        return VT_DUPLICATE;
    state->tally.conflicts++;
    exception_add(model, state, event, position, true);
    return VT_CONFLICT;
}

static void
frame_commit(struct sim_model *model, struct sim_state *state, struct sim_item *item,
             uint32_t catalog)
{
    struct sim_frame *frame = &item->frame;

    state->tally.received += frame->event_count;
    for (uint32_t i = 0; i < frame->event_count; i++) {
        uint64_t position = ++state->position;

        if (item->kind == SIM_RESEND) {
            state->tally.duplicates++;
        } else if (is_sound(&frame->events[i], catalog)) {
            item->verdicts[i] = event_count_in(model, state, &frame->events[i], position);
        } else {
            item->verdicts[i] = VT_EXCEPTION;
            state->tally.exceptions++;
            exception_add(model, state, &frame->events[i], position, false);
        }
    }
    if (item->kind == SIM_RESEND || frame->producer == 0)
        return;
    struct sim_producer *producer = &state->producers[frame->producer - 1];

    frame->commit = model->last + 1;
    producer->epoch = frame->epoch;
    producer->next = frame->sequence + frame->event_count;
    VT_ASSERT(state->frame_count < SIM_ROWS_MAX);
    model->frames[state->frame_count++] = *frame;
}

static void
settle_commit(struct sim_model *model, struct sim_state *state, struct sim_item *item,
              uint32_t catalog)
{
    uint64_t first = state->position + 1;

    if (item->kind == SIM_RETRY)
        state->position += item->position_count;
    for (uint32_t i = 0; i < item->position_count; i++) {
        struct sim_exception *found = NULL;

        for (uint32_t e = 0; e < state->exception_count; e++)
            if (model->exceptions[e].position == le64_get(item->positions[i]) &&
                model->exceptions[e].settled == 0)
                found = &model->exceptions[e];
        if (found == NULL ||
            (item->kind == SIM_RETRY && (found->conflict || !is_sound(&found->event, catalog))))
            continue;
        found->settled = model->last + 1;
        item->settled++;
        if (item->kind == SIM_DISCARD)
            continue;
        struct sim_event event = found->event;

        state->tally.exceptions--;
        (void)event_count_in(model, state, &event, first + i);
    }
}

void
sim_model_commit(struct sim_model *model, int64_t arrival_us)
{
    VT_ASSERT(model->last < SIM_COMMITS_MAX);
    struct sim_state *state = &model->states[model->last + 1];
    uint32_t catalog = sim_model_now(model)->catalog;

    *state = *sim_model_now(model);
    state->arrival_us = arrival_us;
    for (uint32_t i = 0; i < model->open_count; i++) {
        struct sim_item *item = model->open[i];

        item->commit = model->last + 1;
        switch (item->kind) {
        case SIM_FRAME:
        case SIM_RESEND:
            frame_commit(model, state, item, catalog);
            break;
        case SIM_CATALOG:
            state->catalog++;
            break;
        case SIM_RETRY:
        case SIM_DISCARD:
            settle_commit(model, state, item, catalog);
            break;
        case SIM_CLOSE: /* its effect is in the feed only: the digest has it */
            break;
        }
    }
    model->open_count = 0;
    model->last++;
}

void
sim_model_back(struct sim_model *model, uint64_t number)
{
    VT_ASSERT(number <= model->last);
    model->last = number;
    model->open_count = 0;
    for (uint32_t e = 0; e < sim_model_now(model)->exception_count; e++)
        if (model->exceptions[e].settled > number)
            model->exceptions[e].settled = 0;
}

/* ---- windows */

struct total {
    uint64_t count;
    uint64_t value;
};

uint64_t
sim_model_windows(const struct sim_model *model, uint64_t number, char out_text[SIM_WINDOWS_BYTES])
{
    struct total totals[SIM_TENANTS][HOURS][REGIONS] = {0};
    uint64_t calls[SIM_TENANTS] = {0};
    const struct sim_state *state = &model->states[number];
    size_t size = 0;

    for (uint32_t i = 0; i < state->row_count; i++) {
        const struct sim_event *event = &model->rows[i].event;

        if (event->flaw != SIM_SOUND)
            continue; /* of a type that no meter takes */
        struct total *total = &totals[event->tenant][hour_of(event)][region_of(event)];

        total->count++;
        total->value += tokens_of(event);
        calls[event->tenant]++;
    }
    out_text[0] = '\0';
    for (uint32_t t = 0; t < SIM_TENANTS; t++) {
        if (calls[t] == 0)
            continue;
        size += (size_t)snprintf(
            out_text + size, SIM_WINDOWS_BYTES - size,
            "{\"tenant\":\"%s\",\"meter\":\"calls\",\"window_start\":\"2023-01-01T00:00:00Z\","
            "\"window_end\":\"2023-01-02T00:00:00Z\",\"group\":{},\"count\":%" PRIu64
            ",\"value\":\"%" PRIu64 "\"}\n",
            tenants[t], calls[t], calls[t]);
        for (uint32_t i = 0; i < HOURS * REGIONS; i++) {
            const struct total *total = &totals[t][i / REGIONS][i % REGIONS];

            if (total->count == 0)
                continue;
            size += (size_t)snprintf(
                out_text + size, SIM_WINDOWS_BYTES - size,
                "{\"tenant\":\"%s\",\"meter\":\"tokens\",\"window_start\":"
                "\"2023-01-01T%02u:00:00Z\",\"window_end\":\"2023-01-01T%02u:00:00Z\","
                "\"group\":{\"region\":\"%s\"},\"count\":%" PRIu64 ",\"value\":\"%" PRIu64 "\"}\n",
                tenants[t], i / REGIONS, i / REGIONS + 1, regions[i % REGIONS], total->count,
                total->value);
        }
    }
    VT_ASSERT(size < SIM_WINDOWS_BYTES);
    return size;
}
