/*
 * zones.h - the system's time zones (TZif files under /usr/share/zoneinfo, or TZDIR) as the source
 * that catalog_load asks. The engine opens no file; the bytes go into the catalog's commit, so
 * history keeps the rules of its day.
 *
 * Life:   zones_open, catalog_load with zones_source, zones_close.
 * Thread: one at a time.
 */
#pragma once

#include "engine/engine.h"

struct zones;

VT_MUST_CHECK vt_err zones_open(struct zones **out_zones);
void zones_close(struct zones *zones);
/* Borrowed from zones. */
struct catalog_zones zones_source(struct zones *zones);
