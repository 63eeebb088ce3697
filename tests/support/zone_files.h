/*
 * zone_files.h - the system's time zone files for tests: as net/zones.h, without the floors above
 * the engine.
 *
 * Thread: one.
 */
#pragma once

#include "engine/engine.h"

#define ZONE_FILES_MAX 256

struct zone_files {
    uint32_t count;
    uint8_t *data[ZONE_FILES_MAX];
};

struct catalog_zones zone_files_source(struct zone_files *files);
void zone_files_free(struct zone_files *files);
