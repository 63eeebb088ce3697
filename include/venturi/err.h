/*
 * err.h - the one table of errors. A number, once released, is never used for something else; the
 * wire carries `code`, people read `text`, programs look at `retry`.
 *
 * Errors: vt_err is the result of everything that can fail; VT_OK is 0.
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define VT_MUST_CHECK __attribute__((warn_unused_result))

/*       name               code  retry  text */
#define VT_ERR_TABLE(X)                                                                \
    X(VT_OK, 0, false, "done")                                                         \
    X(VT_NOMEM, 1, true, "out of memory")                                              \
    X(VT_IO, 2, false, "input or output failed")                                       \
    X(VT_FULL, 3, true, "no space is left")                                            \
    X(VT_AGAIN, 4, true, "not now, try again")                                         \
    X(VT_NOT_FOUND, 5, false, "there is no such thing")                                \
    X(VT_EXISTS, 6, false, "it exists already")                                        \
    X(VT_INVALID, 7, false, "an argument is not valid")                                \
    X(VT_LOCKED, 8, true, "another process holds the store")                           \
    X(VT_UNSUPPORTED, 9, false, "this system cannot do it")                            \
    X(VT_CANCELLED, 10, true, "cancelled")                                             \
    X(VT_INCOMPLETE, 11, true, "more bytes are needed")                                \
    X(VT_END, 12, false, "nothing follows")                                            \
    X(VT_OVERFLOW, 13, false, "a number does not fit")                                 \
    X(VT_BROKEN, 14, false, "an earlier failure stopped this object")                  \
    X(VT_BAD_MAGIC, 20, false, "the magic number is wrong")                            \
    X(VT_BAD_CRC, 21, false, "the checksum is wrong")                                  \
    X(VT_BAD_VERSION, 22, false, "the version is not known here")                      \
    X(VT_BAD_LENGTH, 23, false, "a length is out of its bounds")                       \
    X(VT_BAD_RESERVED, 24, false, "a reserved byte is not zero")                       \
    X(VT_BAD_PLACE, 25, false, "the bytes belong to another place or store")           \
    X(VT_BAD_CHAIN, 26, false, "the chain of commits does not fit")                    \
    X(VT_BAD_FORMAT, 27, false, "the bytes are not of this format")                    \
    X(VT_DAMAGED, 28, false, "stored data is damaged")                                 \
    X(VT_BAD_TYPE, 29, false, "a frame or record of this type is not known here")      \
    X(VT_BAD_UTF8, 30, false, "a string is not valid UTF-8")                           \
    X(VT_TOO_LARGE, 31, false, "it is larger than the limit")                          \
    X(VT_TOO_DEEP, 32, false, "it is nested too deeply")                               \
    X(VT_BAD_TOKEN, 40, false, "the token is not accepted")                            \
    X(VT_FORBIDDEN, 41, false, "the token does not allow this")                        \
    X(VT_BAD_HELLO, 42, false, "the first frame must be a hello")                      \
    X(VT_BAD_SEQUENCE, 43, false, "the sequence overlaps what came before it")         \
    X(VT_PRODUCER_TAKEN, 44, false, "a newer connection of this producer took over")   \
    X(VT_DEADLINE, 45, true, "the peer was too slow")                                  \
    X(VT_OVER_CREDIT, 46, true, "more is in flight than the credit allows")            \
    X(VT_DEDUP_FULL, 47, true, "the budget of remembered ids is used up (dedup_full)") \
    X(VT_STOPPING, 48, true, "the server is stopping")                                 \
    X(VT_DISK_FULL, 49, true, "the server's disk is full, it takes no events now")     \
    X(VT_BAD_CATALOG, 50, false, "the catalog is refused")                             \
    X(VT_NOT_EXTENSION, 51, false, "the catalog changes what it may only extend")      \
    X(VT_BAD_CURSOR, 52, false, "the cursor is not one of this store's")               \
    X(VT_BAD_JSON, 53, false, "this is no valid JSON")                                 \
    X(VT_BAD_TIME, 54, false, "this is no valid time")                                 \
    X(VT_BAD_DECIMAL, 55, false, "this is no decimal number")                          \
    X(VT_SCALE, 56, false, "a decimal has more digits than its scale")                 \
    X(VT_DIFFERENT, 57, false, "two results that must be equal differ")                \
    X(VT_FENCED, 58, true, "sealed data is damaged and waits for its repair")

typedef enum vt_err {
#define VT_ERR_ENUM(name, code, retry, text) name = (code),
    VT_ERR_TABLE(VT_ERR_ENUM)
#undef VT_ERR_ENUM
} vt_err;

/* The name ("VT_BAD_CRC") and the sentence of an error; both live for ever. A number that is not in
 * the table gives "VT_UNKNOWN". */
const char *vt_err_name(vt_err err);
const char *vt_err_text(vt_err err);

/* Whether the same call may succeed later without a change by the caller. */
bool vt_err_may_retry(vt_err err);

/* The detail of the last failure on this thread: what and where, one line, at most 511 bytes. A
 * function that fails for a reason which the table does not tell in full calls vt_err_detail() on
 * its cold path and returns `err` unchanged; the first detail since vt_err_clear() wins. Programs
 * print vt_err_last() once. */
__attribute__((format(printf, 2, 3))) vt_err vt_err_detail(vt_err err, const char *format, ...);
const char *
vt_err_last(void); /* "" where there is none; valid until the next call on this thread */
void vt_err_clear(void);
