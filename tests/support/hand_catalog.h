/*
 * hand_catalog.h - a small catalog built without a file, for tests of what judges events.
 *
 *   tenants  acme, globex, "zürich"
 *   type 0   call: region string, model string, tokens decimal 0, cost decimal 6 optional,
 *                  tokens is required
 *   type 1   job:  seconds decimal 3 required, region string, units decimal 18 optional
 *   type 2   ping: no fields
 *
 * Life: for ever; constant.
 */
#pragma once

#include "engine/catalog.h"

const struct catalog *hand_catalog(void);
