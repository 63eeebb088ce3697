/*
 * Goal:   what is put into a spool comes out, in memory as in the file, across the edge between.
 * Method: runs of pieces of many sizes against one plain buffer.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_spool.h"
#include "venturi/assert.h"

#define ALL_BYTES (5 * SPOOL_MEMORY_BYTES_MAX)

static char *
pattern(void)
{
    char *bytes = malloc(ALL_BYTES);
    uint64_t state = 7;

    cr_assert(bytes != NULL);
    for (uint64_t i = 0; i < ALL_BYTES; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (char)(state >> 56);
    }
    return bytes;
}

static void
expect_holds(struct spool *spool, const char *want, uint64_t size, const char *name)
{
    cr_assert(spool_finish(spool) == VT_OK);
    if (spool->fd < 0) {
        cr_expect(spool->size == size, "%s: size", name);
        cr_expect(size == 0 || memcmp(spool->data, want, size) == 0, "%s: bytes", name);
        return;
    }
    char *got = malloc(size + 1);

    cr_assert(got != NULL);
    cr_expect(spool->file_bytes == size, "%s: size of the file", name);
    cr_expect(pread(spool->fd, got, size + 1, 0) == (ssize_t)size, "%s: read", name);
    cr_expect(memcmp(got, want, size) == 0, "%s: bytes of the file", name);
    free(got);
}

static const struct spool_case {
    const char *name;
    uint64_t piece;
    uint64_t total;
    bool file;
} spool_cases[] = {
    {"nothing", 1, 0, false},
    {"one byte", 1, 1, false},
    {"all of the memory", SPOOL_MEMORY_BYTES_MAX, SPOOL_MEMORY_BYTES_MAX, false},
    {"a byte more", SPOOL_MEMORY_BYTES_MAX, SPOOL_MEMORY_BYTES_MAX + 1, true},
    {"one large piece", ALL_BYTES, ALL_BYTES, true},
    {"odd pieces", 65537, ALL_BYTES, true},
    {"small pieces over the edge", 4093, SPOOL_MEMORY_BYTES_MAX + 5000, true},
};

static void
fill(struct spool *spool, const char *bytes, const struct spool_case *c)
{
    for (uint64_t at = 0; at < c->total;) {
        uint64_t size = c->total - at < c->piece ? c->total - at : c->piece;

        cr_assert(spool_add(spool, bytes + at, size) == VT_OK);
        at += size;
    }
}

Test(http_spool, gives_back_what_was_put, .timeout = 20)
{
    char *bytes = pattern();

    for (size_t i = 0; i < VT_COUNT(spool_cases); i++) {
        const struct spool_case *c = &spool_cases[i];
        struct spool spool;

        spool_init(&spool);
        fill(&spool, bytes, c);
        cr_expect(spool.capacity <= SPOOL_MEMORY_BYTES_MAX, "%s: memory is bounded", c->name);
        expect_holds(&spool, bytes, c->total, c->name);
        cr_expect((spool.fd >= 0) == c->file, "%s: file", c->name);
        spool_deinit(&spool);
    }
    free(bytes);
}

Test(http_spool, one_into_another, .timeout = 20)
{
    char *bytes = pattern();

    for (size_t i = 0; i < VT_COUNT(spool_cases); i++) {
        const struct spool_case *c = &spool_cases[i];
        struct spool from;
        struct spool into;

        spool_init(&from);
        spool_init(&into);
        fill(&from, bytes, c);
        cr_assert(spool_add_spool(&into, &from) == VT_OK);
        expect_holds(&into, bytes, c->total, c->name);
        spool_clear(&into);
        expect_holds(&into, bytes, 0, "cleared");
        spool_deinit(&into);
        spool_deinit(&from);
    }
    free(bytes);
}
