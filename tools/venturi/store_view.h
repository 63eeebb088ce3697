/*
 * store_view.h - a store opened for reading only, beside a running daemon or without one, and the
 * state that its files give: the manifest's and the tail as far as the chain holds.
 *
 * A daemon may seal and write lanes anew between the moment that this reads the manifest and the
 * moment that it reads the lanes; then it opens again.
 *
 * Life:   store_view_open, reads, store_view_close.
 * Errors: of store_open, core_open; a detail names file and offset.
 * Thread: the main thread.
 */
#pragma once

#include "engine/engine.h"
#include "storage/storage.h"

struct store_view {
    struct io *io;
    struct store *store;
    struct core *core;
    struct view view;
};

/* The files alone: core and view stay empty. */
VT_MUST_CHECK vt_err store_view_open_files(const char *dir, struct store_view *out_view);
VT_MUST_CHECK vt_err store_view_open(const char *dir, struct store_view *out_view);
void store_view_close(struct store_view *view); /* also a half-built or a zeroed one */

/* Whether an error says that stored bytes are wrong. */
bool store_view_damage(vt_err err);
/* Says what failed and gives the exit status: 4 for damage, else 1. */
int store_view_failed(const char *name, vt_err err);

/* Answers go to standard output. VT_IO where it does not take them. */
struct view_sink stdout_sink(void);
