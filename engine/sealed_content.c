/* sealed_content.c - what was proven of the rows of a segment when they were sealed, and whether it
 * still holds. See sealed.h. */
#include <string.h>

#include "content.h"
#include "sealed_internal.h"
#include "sealed_walk.h"
#include "venturi/assert.h"

#define CONTENT_ARENA_BYTES (UINT64_C(64) << 10)

/* Rows that the stubs of a group speak of; more than any segment has where they are nonsense. */
static uint64_t
stub_rows(const struct sealed_stub *stubs, int64_t count)
{
    uint64_t rows = 0;

    for (int64_t i = 0; i < count; i++)
        if (stubs[i].rows == 0 || __builtin_add_overflow(rows, stubs[i].rows, &rows))
            return UINT64_MAX;
    return rows;
}

static bool
stubs_fit(const struct sealed_directory *directory, const struct sealed_stub *stubs)
{
    for (uint32_t g = 0; g < directory->group_count; g++) {
        if (stub_rows(stubs, directory->group_stubs[g]) != (uint64_t)directory->group_rows[g])
            return false;
        stubs += directory->group_stubs[g];
    }
    return true;
}

vt_err
sealed_stubs(const struct sealed *sealed, struct arena *arena, const struct sealed_stub **out_stubs)
{
    const struct sealed_directory *directory = NULL;
    struct chunk_key key = {.kind = SEAL_CONTENT};
    struct vt_bytes bytes = {NULL, 0};
    uint64_t count = 0;
    vt_err err = sealed_load(sealed, &directory);

    if (err != VT_OK)
        return err;
    VT_ASSERT(directory != NULL);
    err = sealed_bytes(sealed, arena, key, &bytes);
    if (err != VT_OK)
        return err;
    for (uint32_t g = 0; g < directory->group_count; g++)
        count += (uint64_t)directory->group_stubs[g];
    if (bytes.size != count * sizeof(struct seal_stub))
        return sealed_damaged(sealed, "its content digests are cut short");
    const struct seal_stub *from = (const struct seal_stub *)bytes.data;
    struct sealed_stub *stubs = arena_alloc(arena, (count + 1) * sizeof *stubs);

    if (stubs == NULL)
        return VT_NOMEM;
    for (uint64_t i = 0; i < count; i++) {
        stubs[i].rows = le64_get(from[i].rows);
        memcpy(stubs[i].sha256, from[i].sha256, sizeof stubs[i].sha256);
    }
    if (!stubs_fit(directory, stubs))
        return sealed_damaged(sealed, "its content digests do not fit its groups");
    *out_stubs = stubs;
    return VT_OK;
}

vt_err
sealed_each_content(const struct sealed *sealed,
                    vt_err (*each)(void *context, const struct sealed_content *content),
                    void *context)
{
    const struct sealed_directory *directory = NULL;
    const struct sealed_stub *stubs = NULL;
    struct arena arena;

    arena_init(&arena, CONTENT_ARENA_BYTES);
    vt_err err = sealed_load(sealed, &directory);

    if (err == VT_OK)
        err = sealed_stubs(sealed, &arena, &stubs);

    for (uint32_t g = 0; err == VT_OK && g < directory->group_count; g++) {
        struct sealed_content content = {
            .tenant = sealed->catalog->tenants[directory->group_tenant[g]].key,
            .type = sealed->catalog->types[directory->group_type[g]].name,
            .rows = (uint64_t)directory->group_rows[g],
            .stub_count = (uint64_t)directory->group_stubs[g],
            .stubs = stubs,
        };

        stubs += content.stub_count;
        err = each(context, &content);
    }
    arena_deinit(&arena);
    return err;
}

/* Rows on their way through the stubs: both come in the order of the scan. */
struct content_check {
    struct content *content;
    const struct sealed_stub *stubs; /* those to come */
    uint64_t left;                   /* rows to come of the first of them */
    uint64_t done;
    struct sealed_difference difference;
};

static vt_err
check_block(void *context, const struct row_block *block)
{
    struct content_check *check = context;
    vt_err err = VT_OK;

    for (uint32_t row = 0; err == VT_OK && row < block->row_count;) {
        uint64_t count = block->row_count - row;
        uint8_t again[32];

        if (check->left == 0)
            check->left = check->stubs->rows;
        count = count < check->left ? count : check->left;
        err = content_add(check->content, block, row, (uint32_t)count);
        row += (uint32_t)count;
        check->left -= count;
        if (err != VT_OK || check->left > 0)
            continue;
        err = content_finish(check->content, again);
        if (!check->difference.any && memcmp(again, check->stubs->sha256, sizeof again) != 0)
            check->difference = (struct sealed_difference){true, block->tenant, block->type};
        check->stubs++;
        check->done++;
    }
    return err;
}

vt_err
sealed_verify_content(const struct sealed *sealed, uint64_t *out_stubs,
                      struct sealed_difference *out_difference)
{
    struct content_check check = {.left = 0};
    struct scan_options scan = {
        .want_ids = true, .want_extra = true, .block = check_block, .context = &check};
    struct arena arena;

    arena_init(&arena, CONTENT_ARENA_BYTES);
    vt_err err = sealed_stubs(sealed, &arena, &check.stubs);

    if (err == VT_OK)
        err = content_open(true, &check.content);
    if (err == VT_OK)
        err = sealed_scan(sealed, &scan);
    if (err == VT_OK) {
        VT_ASSERT(check.left == 0);
        *out_stubs = check.done;
        *out_difference = check.difference;
    }
    content_close(check.content);
    arena_deinit(&arena);
    return err;
}
