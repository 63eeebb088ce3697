/*
 * Goal:   the digest of rows depends on the rows alone, and on every part of them.
 * Method: random rows are digested as one block, and again cut into blocks anywhere, with
 *         dictionaries of other orders; then one thing of one row is changed.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/arena.h"
#include "engine/content.h"
#include "engine/dict.h"
#include "venturi/assert.h"

#define ROWS    700
#define STRINGS 40
#define COLUMNS 4 /* string, decimal, string, decimal */

struct row {
    uint64_t position;
    int64_t time_us;
    uint32_t source; /* of `texts` */
    uint32_t text[COLUMNS];
    int64_t value[COLUMNS];
    uint8_t present[COLUMNS];
    uint8_t id[16];
    uint8_t id_kind;
    uint16_t id_size;
    uint32_t extra; /* of `texts` */
};

static char texts[STRINGS][16];

static uint64_t
next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 29;
}

static void
rows_make(struct row *rows, uint64_t seed)
{
    for (uint32_t i = 1; i < STRINGS; i++)
        (void)snprintf(texts[i], sizeof texts[i], "text-%u", i * 37);
    for (uint32_t i = 0; i < ROWS; i++) {
        struct row *row = &rows[i];

        memset(row, 0, sizeof *row);
        row->position = (i == 0 ? 1 : rows[i - 1].position) + 1 + next_random(&seed) % 300;
        row->time_us = (int64_t)(next_random(&seed) % 1000000) - 500000;
        row->source = (uint32_t)(next_random(&seed) % 3);
        row->id_kind = (uint8_t)(next_random(&seed) % 3);
        row->id_size = row->id_kind == ROW_ID_TEXT ? 1 + next_random(&seed) % 16 : 16;
        for (uint32_t k = 0; k < row->id_size; k++)
            row->id[k] = (uint8_t)next_random(&seed);
        row->extra = next_random(&seed) % 20 == 0 ? 1 : 0;
        for (uint32_t c = 0; c < COLUMNS; c++) {
            row->text[c] = (uint32_t)(next_random(&seed) % STRINGS);
            row->present[c] = next_random(&seed) % 4 != 0;
            if (row->present[c])
                row->value[c] = (int64_t)(next_random(&seed) << (next_random(&seed) % 30)) - 5000;
        }
    }
}

/* Rows first .. first + count - 1 over a dictionary of `dict_id`, whose order hangs on it. */
static struct row_block
block_make(struct arena *arena, const struct row *rows, uint32_t count, uint64_t dict_id)
{
    struct vt_str *dict = arena_zalloc(arena, STRINGS * sizeof *dict);
    uint64_t *position = arena_zalloc(arena, count * sizeof *position);
    int64_t *time_us = arena_zalloc(arena, count * sizeof *time_us);
    uint32_t *source = arena_zalloc(arena, count * sizeof *source);
    struct row_id *id = arena_zalloc(arena, count * sizeof *id);
    struct vt_bytes *extra = arena_zalloc(arena, count * sizeof *extra);
    struct row_column *columns = arena_zalloc(arena, COLUMNS * sizeof *columns);
    uint32_t code[STRINGS] = {0};

    VT_ASSERT(dict != NULL && position != NULL && time_us != NULL && source != NULL && id != NULL);
    VT_ASSERT(extra != NULL && columns != NULL);
    dict[0] = (struct vt_str){"", 0};
    for (uint32_t i = 1; i < STRINGS; i++) {
        code[i] = 1 + (uint32_t)((i + dict_id * 7) % (STRINGS - 1));
        dict[code[i]] = (struct vt_str){texts[i], (uint32_t)strlen(texts[i])};
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *more = texts[rows[i].extra];

        position[i] = rows[i].position;
        time_us[i] = rows[i].time_us;
        source[i] = code[rows[i].source];
        id[i] = (struct row_id){rows[i].id, rows[i].id_size, rows[i].id_kind};
        extra[i] = (struct vt_bytes){(const uint8_t *)more, strlen(more)};
    }
    for (uint32_t c = 0; c < COLUMNS; c++) {
        int64_t *value = arena_zalloc(arena, count * sizeof *value);
        uint8_t *present = arena_zalloc(arena, count);
        uint32_t *codes = arena_zalloc(arena, count * sizeof *codes);

        VT_ASSERT(value != NULL && present != NULL && codes != NULL);
        for (uint32_t i = 0; i < count; i++) {
            value[i] = rows[i].value[c];
            present[i] = rows[i].present[c];
            codes[i] = code[rows[i].text[c]];
        }
        if (c % 2 == 0)
            columns[c] = (struct row_column){.kind = FIELD_STRING, .code = codes};
        else
            columns[c] =
                (struct row_column){.kind = FIELD_DECIMAL, .value = value, .present = present};
    }
    return (struct row_block){.row_count = count,
                              .position = position,
                              .time_us = time_us,
                              .source = source,
                              .id = id,
                              .extra = extra,
                              .column_count = COLUMNS,
                              .columns = columns,
                              .dict_count = STRINGS,
                              .dict = dict,
                              .dict_id = dict_id};
}

/* `cuts`: blocks of random sizes, a dictionary each. */
static void
digest(const struct row *rows, bool cuts, uint64_t seed, uint8_t out_sha256[32])
{
    struct content *content = NULL;
    struct arena arena;

    arena_init(&arena, 1 << 16);
    VT_ASSERT(content_open(!cuts, &content) == VT_OK);
    for (uint32_t i = 0; i < ROWS;) {
        uint32_t count = cuts ? 1 + (uint32_t)(next_random(&seed) % 100) : ROWS;

        count = count < ROWS - i ? count : ROWS - i;
        struct row_block block = block_make(&arena, rows + i, count, cuts ? 1 + i : 1);

        VT_ASSERT(content_add(content, &block, 0, count / 2) == VT_OK);
        VT_ASSERT(content_add(content, &block, count / 2, count - count / 2) == VT_OK);
        i += count;
    }
    VT_ASSERT(content_finish(content, out_sha256) == VT_OK);
    content_close(content);
    arena_deinit(&arena);
}

Test(content, is_that_of_the_rows_alone, .timeout = 20)
{
    static struct row rows[ROWS];
    uint8_t want[32];

    rows_make(rows, 3);
    digest(rows, false, 0, want);
    for (uint64_t seed = 1; seed < 20; seed++) {
        uint8_t have[32];

        digest(rows, true, seed, have);
        cr_expect(memcmp(want, have, sizeof have) == 0, "cut by seed %llu",
                  (unsigned long long)seed);
    }
}

Test(content, digests_follow_each_other, .timeout = 20)
{
    static struct row rows[ROWS];
    struct content *content = NULL;
    uint8_t sha256[2][32];
    struct arena arena;

    rows_make(rows, 4);
    arena_init(&arena, 1 << 16);
    struct row_block block = block_make(&arena, rows, ROWS, 9);

    cr_assert_eq(content_open(true, &content), VT_OK);
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(content_add(content, &block, 0, ROWS), VT_OK);
        cr_assert_eq(content_finish(content, sha256[i]), VT_OK);
    }
    cr_expect(memcmp(sha256[0], sha256[1], 32) == 0);
    content_close(content);
    arena_deinit(&arena);
}

Test(content, changes_with_every_part_of_a_row, .timeout = 20)
{
    static struct row rows[ROWS];
    uint8_t want[32];

    rows_make(rows, 5);
    rows[ROWS / 2].value[3] = 0; /* there or not, all else is the same */
    digest(rows, false, 0, want);
    for (uint32_t change = 0; change < 9; change++) {
        struct row kept = rows[ROWS / 2];
        struct row *row = &rows[ROWS / 2];
        uint8_t have[32];

        switch (change) {
        case 0:
            row->position++;
            break;
        case 1:
            row->time_us--;
            break;
        case 2:
            row->source = (row->source + 1) % STRINGS;
            break;
        case 3:
            row->id[0] ^= 1;
            break;
        case 4:
            row->id_kind = row->id_kind == ROW_ID_UUID ? ROW_ID_TEXT : ROW_ID_UUID;
            row->id_size = 16;
            break;
        case 5:
            row->text[2] = (row->text[2] + 1) % STRINGS;
            break;
        case 6:
            row->value[1]++;
            row->present[1] = 1;
            break;
        case 7:
            row->present[3] ^= 1;
            break;
        default:
            row->extra = 2;
            break;
        }
        digest(rows, false, 0, have);
        cr_expect(memcmp(want, have, sizeof have) != 0, "change %u", change);
        *row = kept;
    }
}
