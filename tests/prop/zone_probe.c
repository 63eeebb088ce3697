/*
 * zone_probe.c - answers questions about time zones, one a line, for zones.py, which asks Python's
 * zoneinfo and the oracle the same.
 *
 *   z NAME               the zone of the questions that follow
 *   t                    its transitions (UTC seconds)
 *   o SECONDS            offset at an instant
 *   m YEAR MONTH DAY     first instant of a local date, microseconds
 *   p ANCHOR MICROSECONDS   start of the billing period that holds it, and of the next one
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "zone.h"
#include "zones.h"

struct probe {
    struct arena arena;
    struct catalog_zones source;
    struct zone zone;
};

static bool
probe_zone(struct probe *probe, const char *name)
{
    struct vt_str text = {name, (uint32_t)strlen(name)};
    struct vt_bytes tzif;

    arena_reset(&probe->arena);
    vt_err err = probe->source.read(probe->source.context, text, &tzif);

    if (err == VT_OK)
        err = zone_parse(&probe->arena, text, tzif, &probe->zone);
    if (err != VT_OK)
        (void)fprintf(stderr, "%s: %s\n", name, vt_err_last());
    return err == VT_OK;
}

static void
probe_transitions(const struct zone *zone)
{
    for (uint32_t i = 0; i < zone->transition_count; i++)
        (void)printf("%s%" PRId64, i == 0 ? "" : " ", zone->transition_s[i]);
    (void)printf("\n");
}

static bool
probe_answer(struct probe *probe, char *line)
{
    long long number[3] = {0, 0, 0};
    char *at = line + 1;
    const struct zone *zone = &probe->zone;

    line[strcspn(line, "\n")] = '\0';
    if (line[0] == 'z')
        return probe_zone(probe, line + 2);
    for (int i = 0; i < 3; i++)
        number[i] = strtoll(at, &at, 10);
    if (line[0] == 't') {
        probe_transitions(zone);
    } else if (line[0] == 'o') {
        (void)printf("%d\n", zone_offset_s(zone, number[0]));
    } else if (line[0] == 'm') {
        (void)printf("%" PRId64 "\n", zone_local_midnight_us(zone, number[0], (uint32_t)number[1],
                                                             (uint32_t)number[2]));
    } else if (line[0] == 'p') {
        int64_t start = zone_period_start_us(zone, (uint32_t)number[0], number[1]);

        (void)printf("%" PRId64 " %" PRId64 "\n", start,
                     zone_period_next_us(zone, (uint32_t)number[0], start));
    } else {
        return false;
    }
    return true;
}

int
main(void)
{
    static char line[256];
    struct probe probe;
    struct zones *zones;
    bool good = true;

    if (zones_open(&zones) != VT_OK)
        return 1;
    arena_init(&probe.arena, 1 << 16);
    probe.source = zones_source(zones);
    while (good && fgets(line, sizeof line, stdin) != NULL)
        good = probe_answer(&probe, line);
    arena_deinit(&probe.arena);
    zones_close(zones);
    return good ? 0 : 1;
}
