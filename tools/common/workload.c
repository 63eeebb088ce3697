/*
 * workload.c - see workload.h. Zipf by an alias table (A. J. Walker, 1977); random numbers by
 * SplitMix64 (G. Steele et al., 2014), one multiplication chain an event, so that the generator is
 * far from being the limit.
 */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venturi/assert.h"

#define TENANTS_DEFAULT  1000u
#define SUBJECTS_DEFAULT 100u
#define REGIONS          8u
#define TYPES            5u
#define QUANTITIES       4096u /* drawn once, then picked from: a log-uniform value costs a power */
#define REPEAT_RING      65536u /* events that may be repeated */
#define JITTER_US        20000
#define LATE_US          5000000

/* What a repeat must have the same. */
struct past_event {
    uint8_t id[16];
    int64_t time_us;
    int64_t quantity;
    uint32_t tenant;
    uint32_t subject;
    uint32_t region;
};

struct workload {
    struct workload_options options;
    uint64_t random;
    uint64_t events;
    uint64_t repeats;
    uint32_t type;
    char *names; /* behind the strings */
    struct vt_str *tenants;
    struct vt_str *subjects;
    struct vt_str regions[REGIONS];
    struct vt_str types[TYPES];
    uint32_t *alias;
    uint32_t *threshold; /* of 2^32: below it the tenant itself, else its alias */
    int64_t quantities[QUANTITIES];
    struct past_event *past[TYPES]; /* [REPEAT_RING]; UUIDs only */
    uint64_t past_count[TYPES];

    uint32_t *tenant_codes;
    uint32_t *subject_codes;
    uint32_t *region_codes;
    int64_t *times;
    int64_t *values;
    uint8_t *ids;
    struct column_field fields[3];
};

static uint64_t
next_random(struct workload *workload)
{
    uint64_t z = (workload->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Weights 1/rank as integers of 2^40 over the first; then Walker's table. */
static vt_err
zipf_build(struct workload *workload)
{
    uint32_t n = workload->options.tenant_count;
    uint64_t *scaled = malloc(n * sizeof *scaled);
    uint32_t *small = malloc(n * sizeof *small);
    uint32_t *large = malloc(n * sizeof *large);
    uint64_t total = 0;
    uint32_t smalls = 0;
    uint32_t larges = 0;

    if (scaled == NULL || small == NULL || large == NULL) {
        free(scaled);
        free(small);
        free(large);
        return VT_NOMEM;
    }
    for (uint32_t i = 0; i < n; i++)
        total += (UINT64_C(1) << 40) / (i + 1);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t weight = (UINT64_C(1) << 40) / (i + 1);

        scaled[i] = (uint64_t)((double)weight * n / (double)total * 4294967296.0);
        if (scaled[i] < UINT64_C(1) << 32)
            small[smalls++] = i;
        else
            large[larges++] = i;
        workload->threshold[i] = UINT32_MAX;
        workload->alias[i] = i;
    }
    while (smalls > 0 && larges > 0) {
        uint32_t less = small[--smalls];
        uint32_t more = large[larges - 1];

        workload->threshold[less] = (uint32_t)scaled[less];
        workload->alias[less] = more;
        scaled[more] -= (UINT64_C(1) << 32) - scaled[less];
        if (scaled[more] < UINT64_C(1) << 32) {
            larges--;
            small[smalls++] = more;
        }
    }
    free(scaled);
    free(small);
    free(large);
    return VT_OK;
}

/* 60 % are 1, the others log-uniform to 100,000. */
static void
quantities_draw(struct workload *workload)
{
    for (uint32_t i = 0; i < QUANTITIES; i++) {
        uint64_t random = next_random(workload);

        workload->quantities[i] = 1;
        if (random % 10 < 6)
            continue;
        double value = 1.0;

        /* 10^(5u) by squaring steps of 10^(5/1024): no library for powers is linked for this. */
        for (uint32_t step = 0; step < (random >> 8) % 1024; step++)
            value *= 1.011306503;
        workload->quantities[i] = (int64_t)value;
    }
}

static vt_err
names_build(struct workload *workload)
{
    uint32_t tenants = workload->options.tenant_count;
    uint32_t subjects = workload->options.group_count;
    char *at = malloc(((size_t)tenants + subjects + REGIONS + TYPES) * 16);

    workload->names = at;
    workload->tenants = malloc(tenants * sizeof(struct vt_str));
    workload->subjects = malloc(subjects * sizeof(struct vt_str));
    if (at == NULL || workload->tenants == NULL || workload->subjects == NULL)
        return VT_NOMEM;
    for (uint32_t i = 0; i < tenants; i++, at += 16)
        workload->tenants[i] =
            (struct vt_str){at, (uint32_t)snprintf(at, 16, "tenant-%06u", i % 1000000)};
    for (uint32_t i = 0; i < subjects; i++, at += 16)
        workload->subjects[i] =
            (struct vt_str){at, (uint32_t)snprintf(at, 16, "subject-%06u", i % 1000000)};
    for (uint32_t i = 0; i < REGIONS; i++, at += 16)
        workload->regions[i] = (struct vt_str){at, (uint32_t)snprintf(at, 16, "region-%u", i)};
    for (uint32_t i = 0; i < TYPES; i++, at += 16)
        workload->types[i] = (struct vt_str){at, (uint32_t)snprintf(at, 16, "use-%u", i)};
    return VT_OK;
}

static vt_err
arrays_open(struct workload *workload)
{
    uint32_t batch = workload->options.batch;

    workload->alias = malloc(workload->options.tenant_count * sizeof(uint32_t));
    workload->threshold = malloc(workload->options.tenant_count * sizeof(uint32_t));
    workload->tenant_codes = malloc(batch * sizeof(uint32_t));
    workload->subject_codes = malloc(batch * sizeof(uint32_t));
    workload->region_codes = malloc(batch * sizeof(uint32_t));
    workload->times = malloc(batch * sizeof(int64_t));
    workload->values = malloc(batch * sizeof(int64_t));
    workload->ids = malloc(batch * UINT64_C(16));
    for (uint32_t t = 0; t < TYPES; t++)
        if (workload->options.ids == COLUMN_IDS_UUID) {
            workload->past[t] = malloc(REPEAT_RING * sizeof(struct past_event));
            if (workload->past[t] == NULL)
                return VT_NOMEM;
        }
    bool all = workload->alias != NULL && workload->threshold != NULL &&
               workload->tenant_codes != NULL && workload->subject_codes != NULL &&
               workload->region_codes != NULL && workload->times != NULL &&
               workload->values != NULL && workload->ids != NULL;

    return all ? VT_OK : VT_NOMEM;
}

vt_err
workload_open(const struct workload_options *options, struct workload **out_workload)
{
    VT_ASSERT(options->batch > 0);
    VT_ASSERT(options->ids != COLUMN_IDS_TEXT);
    struct workload *workload = calloc(1, sizeof *workload);

    if (workload == NULL)
        return VT_NOMEM;
    workload->options = *options;
    if (workload->options.tenant_count == 0)
        workload->options.tenant_count = TENANTS_DEFAULT;
    if (workload->options.group_count == 0)
        workload->options.group_count = SUBJECTS_DEFAULT;
    if (workload->options.step_us == 0)
        workload->options.step_us = 1;
    workload->random = options->seed * UINT64_C(0x2545f4914f6cdd1d) + options->lane;
    vt_err err = arrays_open(workload);

    if (err == VT_OK)
        err = names_build(workload);
    if (err == VT_OK)
        err = zipf_build(workload);
    if (err != VT_OK) {
        workload_close(workload);
        return err;
    }
    quantities_draw(workload);
    *out_workload = workload;
    return VT_OK;
}

void
workload_close(struct workload *workload)
{
    if (workload == NULL)
        return;
    for (uint32_t t = 0; t < TYPES; t++)
        free(workload->past[t]);
    free(workload->names);
    free(workload->tenants);
    free(workload->subjects);
    free(workload->alias);
    free(workload->threshold);
    free(workload->tenant_codes);
    free(workload->subject_codes);
    free(workload->region_codes);
    free(workload->times);
    free(workload->values);
    free(workload->ids);
    free(workload);
}

/*
 * A UUID of version 4, or of version 7: 48 bits of milliseconds, big-endian (RFC 9562, 5.7). `lane`
 * keeps generators apart whatever their seeds.
 */
static void
id_make(struct workload *workload, uint64_t random, uint8_t *id)
{
    uint64_t other = next_random(workload);

    memcpy(id, &random, 8);
    memcpy(id + 8, &other, 8);
    if (workload->options.ids_by_time) {
        uint64_t ms = (uint64_t)workload->options.start_us / 1000 +
                      workload->events * (uint64_t)workload->options.step_us / 1000;

        for (uint32_t i = 0; i < 6; i++)
            id[i] = (uint8_t)(ms >> (40 - 8 * i));
        id[6] = (uint8_t)((id[6] & 0x0f) | 0x70);
        id[15] = (uint8_t)workload->options.lane;
    } else {
        id[0] = (uint8_t)workload->options.lane;
        id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
    }
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

static void
event_new(struct workload *workload, uint32_t at)
{
    uint64_t random = next_random(workload);
    uint32_t tenant = (uint32_t)((random & 0xffffffff) * workload->options.tenant_count >> 32);
    uint64_t more = next_random(workload);

    if ((uint32_t)(random >> 32) > workload->threshold[tenant])
        tenant = workload->alias[tenant];
    workload->tenant_codes[at] = tenant;
    workload->subject_codes[at] = (uint32_t)((more & 0xffff) * workload->options.group_count >> 16);
    workload->region_codes[at] = (uint32_t)(more >> 16) & (REGIONS - 1);
    workload->values[at] = workload->quantities[(more >> 20) & (QUANTITIES - 1)];
    int64_t time = workload->options.start_us +
                   (int64_t)workload->events * workload->options.step_us -
                   (int64_t)((more >> 32) % JITTER_US);

    if ((more >> 52) % 100 < 3)
        time -= (int64_t)((random ^ more) % LATE_US);
    workload->times[at] = time;
    if (workload->options.ids == COLUMN_IDS_UUID)
        id_make(workload, random ^ (more << 1), workload->ids + at * UINT64_C(16));
}

/* Remembers the event, or makes it a repeat of one remembered. */
static void
event_past(struct workload *workload, uint32_t at)
{
    struct past_event *past = workload->past[workload->type];
    uint64_t count = workload->past_count[workload->type];
    uint64_t random = next_random(workload);

    if (count > 0 && random % 100 == 0) {
        const struct past_event *old =
            &past[(random >> 16) % (count < REPEAT_RING ? count : REPEAT_RING)];

        memcpy(workload->ids + at * UINT64_C(16), old->id, 16);
        workload->times[at] = old->time_us;
        workload->values[at] = old->quantity;
        workload->tenant_codes[at] = old->tenant;
        workload->subject_codes[at] = old->subject;
        workload->region_codes[at] = old->region;
        workload->repeats++;
        return;
    }
    struct past_event *slot = &past[count % REPEAT_RING];

    memcpy(slot->id, workload->ids + at * UINT64_C(16), 16);
    slot->time_us = workload->times[at];
    slot->quantity = workload->values[at];
    slot->tenant = workload->tenant_codes[at];
    slot->subject = workload->subject_codes[at];
    slot->region = workload->region_codes[at];
    workload->past_count[workload->type]++;
}

void
workload_frame(struct workload *workload, struct column_frame *out_frame)
{
    uint32_t batch = workload->options.batch;

    workload->type = (workload->type + 1) % TYPES;
    for (uint32_t at = 0; at < batch; at++, workload->events++) {
        event_new(workload, at);
        if (workload->options.ids == COLUMN_IDS_UUID)
            event_past(workload, at);
    }
    workload->fields[0] = (struct column_field){
        .name = VT_STR("subject"),
        .strings = {workload->options.group_count, workload->subjects, workload->subject_codes},
    };
    workload->fields[1] = (struct column_field){
        .name = VT_STR("region"),
        .strings = {REGIONS, workload->regions, workload->region_codes},
    };
    workload->fields[2] = (struct column_field){
        .name = VT_STR("quantity"),
        .decimal = true,
        .mantissas = workload->values,
    };
    *out_frame = (struct column_frame){
        .event_count = batch,
        .type = workload->types[workload->type],
        .tenants = {workload->options.tenant_count, workload->tenants, workload->tenant_codes},
        .ids = workload->options.ids,
        .id_data = workload->ids,
        .times_us = workload->times,
        .field_count = 3,
        .fields = workload->fields,
    };
}

uint64_t
workload_events(const struct workload *workload)
{
    return workload->events;
}

uint64_t
workload_repeats(const struct workload *workload)
{
    return workload->repeats;
}

static void
put_types(FILE *out)
{
    (void)fputs("{\"event_types\":[", out);
    for (uint32_t t = 0; t < TYPES; t++)
        (void)fprintf(
            out,
            "%s{\"type\":\"use-%u\",\"fields\":[{\"name\":\"subject\",\"kind\":\"string\"},"
            "{\"name\":\"region\",\"kind\":\"string\"},"
            "{\"name\":\"quantity\",\"kind\":\"decimal\",\"scale\":0}]}",
            t == 0 ? "" : ",", t);
    (void)fputs("],\"meters\":[", out);
    for (uint32_t t = 0; t < TYPES; t++)
        (void)fprintf(out,
                      "%s{\"key\":\"meter-%u\",\"event_type\":\"use-%u\",\"aggregation\":\"sum\","
                      "\"field\":\"quantity\",\"group_by\":[\"subject\"],\"window\":\"1h\","
                      "\"grace\":\"60s\"}",
                      t == 0 ? "" : ",", t, t);
}

static void
put_contracts(FILE *out, uint32_t tenant_count)
{
    (void)fputs("],\"tenants\":[", out);
    for (uint32_t i = 0; i < tenant_count; i++)
        (void)fprintf(out, "%s{\"key\":\"tenant-%06u\"}", i == 0 ? "" : ",", i % 1000000);
    (void)fputs("],\"plans\":[{\"key\":\"w1\",\"version\":1,\"currency\":\"USD\","
                "\"effective_from\":\"2020-01-01T00:00:00Z\",\"charges\":[",
                out);
    for (uint32_t t = 0; t < TYPES; t++)
        (void)fprintf(out,
                      "%s{\"key\":\"charge-%u\",\"meter\":\"meter-%u\",\"model\":\"per_unit\","
                      "\"price\":\"0.0001\"}",
                      t == 0 ? "" : ",", t, t);
    (void)fputs("]}],\"contracts\":[", out);
    for (uint32_t i = 0; i < tenant_count; i++)
        (void)fprintf(out,
                      "%s{\"key\":\"contract-%06u\",\"tenant\":\"tenant-%06u\",\"plan\":\"w1\","
                      "\"plan_version\":\"latest\",\"from\":\"2020-01-01T00:00:00Z\"}",
                      i == 0 ? "" : ",", i % 1000000, i % 1000000);
    (void)fputs("]}\n", out);
}

vt_err
workload_catalog(uint32_t tenant_count, char **out_text, uint32_t *out_size)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        return VT_NOMEM;
    put_types(out);
    put_contracts(out, tenant_count == 0 ? TENANTS_DEFAULT : tenant_count);
    if (fclose(out) != 0) {
        free(text);
        return VT_NOMEM;
    }
    *out_text = text;
    *out_size = (uint32_t)size;
    return VT_OK;
}
