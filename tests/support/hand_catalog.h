/*
 * hand_catalog.h - a small catalog for tests of what judges events: no plans, no contracts.
 *
 *   tenants  acme, globex, "zürich"
 *   type 0   call: region string, model string, tokens decimal 0, cost decimal 6 optional
 *   type 1   job:  seconds decimal 3, region string, units decimal 18 optional
 *   type 2   ping: no fields
 *
 * Life: loaded at the first call, for the life of the process.
 */
#pragma once

#include "engine/catalog.h"

const struct catalog *hand_catalog(void);
