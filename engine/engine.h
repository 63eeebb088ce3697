/*
 * engine.h - facade of the engine: what a frame means. net/ and tools/ include this and nothing
 * else of the folder.
 *
 * The engine reads no clock, opens no file and knows no socket: time and bytes are handed in,
 * effects go out through tables of functions. See README.md for the reading order.
 */
#pragma once

#include "batch.h"
#include "catalog.h"
#include "content.h"
#include "core.h"
#include "damage_scope.h"
#include "fence.h"
#include "json_out.h"
#include "part.h"
#include "rating.h"
#include "view.h"
