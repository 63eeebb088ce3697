/* store_view.c - see store_view.h. */
#include "store_view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/common/options.h"

#define OPEN_TRIES   20
#define OPEN_WAIT_NS 100000000L

void
store_view_close(struct store_view *view)
{
    view_put(&view->view);
    core_close(view->core);
    store_close(view->store);
    io_close(view->io);
    memset(view, 0, sizeof *view);
}

bool
store_view_damage(vt_err err)
{
    return err >= VT_BAD_MAGIC && err <= VT_DAMAGED;
}

int
store_view_failed(const char *name, vt_err err)
{
    int status = options_failed(name, NULL, err);

    return store_view_damage(err) ? EXIT_DIFFERENT : status;
}

vt_err
store_view_open_files(const char *dir, struct store_view *out_view)
{
    struct store_options options = {.dir = dir, .read_only = true};
    struct store_view view = {0};
    vt_err err = io_uring_open(0, &view.io);

    if (err == VT_OK)
        err = store_open(view.io, &options, &view.store);
    if (err != VT_OK) {
        store_view_close(&view);
        return err;
    }
    *out_view = view;
    return VT_OK;
}

static vt_err
open_once(const char *dir, struct store_view *out_view)
{
    struct store_view view = {0};
    vt_err err = store_view_open_files(dir, &view);
    struct core_options options = {
        .io = view.io,
        .seal_io = view.io,
        .store = view.store,
        .worker_count = 1,
        .read_only = true,
    };

    if (err == VT_OK)
        err = core_open(&options, &view.core);
    if (err == VT_OK && core_catalog(view.core) == NULL)
        err = vt_err_detail(VT_NOT_FOUND, "%s: the store has no catalog yet", dir);
    if (err == VT_OK)
        err = core_view_now(view.core, true, &view.view);
    if (err != VT_OK) {
        store_view_close(&view);
        return err;
    }
    *out_view = view;
    return VT_OK;
}

vt_err
store_view_open(const char *dir, struct store_view *out_view)
{
    const struct timespec wait = {0, OPEN_WAIT_NS};
    vt_err err = VT_OK;

    for (uint32_t i = 0; i < OPEN_TRIES; i++) {
        vt_err_clear();
        err = open_once(dir, out_view);
        /* What is damaged stays so; what a daemon was just writing does not. */
        if (!store_view_damage(err) && err != VT_AGAIN)
            return err;
        if (i + 1 < OPEN_TRIES)
            (void)nanosleep(&wait, NULL); /* woken early is no harm */
    }
    return err;
}

static vt_err
stdout_flush(void *context, struct json_out *out)
{
    (void)context;
    if (fwrite(out->data, 1, out->size, stdout) != out->size)
        return vt_err_detail(VT_IO, "standard output: %s", strerrordesc_np(errno));
    json_out_reset(out);
    return VT_OK;
}

struct view_sink
stdout_sink(void)
{
    return (struct view_sink){stdout_flush, NULL};
}
