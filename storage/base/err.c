#include "venturi/err.h"

#include <stdarg.h>
#include <stdio.h>

#define DETAIL_BYTES 512

/* Per thread, so that no lock and no mix of two failures is possible. */
static _Thread_local char detail[DETAIL_BYTES];

struct err_entry {
    const char *name;
    const char *text;
    vt_err err;
    bool may_retry;
};

static const struct err_entry entries[] = {
#define ERR_ENTRY(name, code, retry, text) {#name, text, name, retry},
    VT_ERR_TABLE(ERR_ENTRY)
#undef ERR_ENTRY
};

static const struct err_entry unknown = {"VT_UNKNOWN", "an error of an unknown number", VT_OK,
                                         false};

static const struct err_entry *
entry_of(vt_err err)
{
    for (unsigned i = 0; i < sizeof entries / sizeof entries[0]; i++)
        if (entries[i].err == err)
            return &entries[i];
    return &unknown;
}

const char *
vt_err_name(vt_err err)
{
    return entry_of(err)->name;
}

const char *
vt_err_text(vt_err err)
{
    return entry_of(err)->text;
}

bool
vt_err_may_retry(vt_err err)
{
    return entry_of(err)->may_retry;
}

vt_err
vt_err_detail(vt_err err, const char *format, ...)
{
    va_list arguments;

    if (detail[0] != '\0')
        return err;
    va_start(arguments, format);
    int size = vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    if (size < 0)
        detail[0] = '\0';
    /* A file name or a foreign text may hold anything; a detail is one line all the same. */
    for (char *at = detail; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7F)
            *at = ' ';
    return err;
}

const char *
vt_err_last(void)
{
    return detail;
}

void
vt_err_clear(void)
{
    detail[0] = '\0';
}
