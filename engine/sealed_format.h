/*
 * sealed_format.h - what the chunks of a segment mean. The container (storage/segment_format.h)
 * keeps identity and checksums; here stand the kinds, tables and columns. Every integer chunk holds
 * int64 values.
 *
 * Tables are 0. `b` is the number of a block.
 *
 * kind             column                  block  content
 * SEAL_META        0                       0      bytes: struct seal_meta
 * SEAL_STRINGS     0 lengths, 1.. bytes    b      dictionary, SEAL_STRINGS_BLOCK strings a block,
 *                                                 bytes in pieces; string 0 is ""
 * SEAL_GROUPS      0 type, 1 tenant,       0      one entry a (type, tenant), ascending; indexes in
 *                  2 first row, 3 rows,           the catalog that judged
 *                  4 stubs
 * SEAL_CONTENT     0                       0      bytes: struct seal_stub, those of a group in the
 *                                                 order of its rows, group by group. An epoch makes
 *                                                 one a group; a merge keeps those of its inputs
 * SEAL_ROWS        enum seal_row_column    b      rows by (type, tenant, position), SEAL_ROW_BLOCK
 *                                                 a block; a block has rows of one type
 * SEAL_BLOCKS      0 type, 1 first row,    0      one entry a block of rows
 *                  2 rows
 * SEAL_EXTRA       0 lengths, 1 bytes      b      undeclared fields, of blocks that have any
 * SEAL_IDS         0 pages of keys         b      id run: identities in the order of their keys;
 *                  the
 *                  1 pages of ids          b      only copy of an id that is not a sequence. Chunks
 *                                                 of parts: SEAL_ID_PAGES pages a block
 *                                                 (id_page.h). The chunks of keys follow each other
 *                                                 in the file
 * SEAL_ID_PLACES   enum seal_id_place      0      one entry a page
 * SEAL_CELLS       enum seal_cell_column   b      cells in their order, SEAL_CELL_BLOCK a block
 * SEAL_CELL_IDS    0                       b      bytes: ids of `last` cells, one after the other
 * SEAL_CELL_SETS   0                       b      dictionary codes of `unique` cells, likewise
 * SEAL_EXCEPTIONS  0 position              b      up to SEAL_LIST_BLOCK a block, fewer where their
 *                  1 first position               bytes are many: the columns tell how many. Bytes:
 *                  2 arrival, 3 reason            tenant, raw and first of each, one after the
 *                  4 tenant bytes                 other
 *                  5 raw bytes
 *                  6 first bytes
 *                  7 bytes
 * SEAL_SETTLES     0 position, 1 at,       b      SEAL_LIST_BLOCK a block
 *                  2 kind
 * SEAL_FEED        enum seal_feed_column   b      feed entries in their order, SEAL_FEED_BLOCK a
 *                                                 block
 *
 * Rows of sequence ids have SEAL_ROW_ID_KIND 2 and carry epoch and sequence as columns; other rows
 * have zeros there and their place in the id run.
 */
#pragma once

#include "venturi/bytes.h"

#define SEAL_MAGIC         UINT32_C(0x4c414553) /* "SEAL" */
#define SEAL_VERSION       1
#define SEAL_STRINGS_BLOCK UINT32_C(65536)
#define SEAL_ROW_BLOCK     UINT32_C(16384) /* one row is fetched by decoding its block */
#define SEAL_ID_PAGES      UINT32_C(64)    /* a block */
#define SEAL_ID_PAGES_MAX  (UINT32_C(1) << 24)
#define SEAL_FEED_BLOCK    UINT32_C(1024) /* the last revision of a window is found by zone maps */
#define SEAL_LIST_BLOCK    UINT32_C(4096) /* exceptions; settles */
#define SEAL_LIST_BYTES    (UINT32_C(1) << 20) /* a block of exceptions ends once it has so many */
#define SEAL_CELL_BLOCK    UINT32_C(2048)      /* the cells of one window are found by zone maps */

enum seal_kind {
    SEAL_META = 1,
    SEAL_STRINGS = 2,
    SEAL_GROUPS = 3,
    SEAL_CONTENT = 4,
    SEAL_ROWS = 5,
    SEAL_BLOCKS = 6,
    SEAL_EXTRA = 7,
    SEAL_IDS = 8,
    SEAL_CELLS = 9,
    SEAL_CELL_IDS = 10,
    SEAL_CELL_SETS = 11,
    SEAL_EXCEPTIONS = 12,
    SEAL_SETTLES = 13,
    SEAL_FEED = 14,
    SEAL_ID_PLACES = 15,
};

enum seal_group_column {
    SEAL_GROUP_TYPE = 0,
    SEAL_GROUP_TENANT = 1,
    SEAL_GROUP_FIRST = 2,
    SEAL_GROUP_ROWS = 3,
    SEAL_GROUP_STUBS = 4,
    SEAL_GROUP_COLUMNS = 5,
};

enum seal_id_place {
    SEAL_ID_FIRST = 0,    /* key of the first id */
    SEAL_ID_KEYS_END = 1, /* where the page ends in its chunk */
    SEAL_ID_IDS_END = 2,
    SEAL_ID_PLACE_COLUMNS = 3,
};

enum seal_row_column {
    SEAL_ROW_POSITION = 0,
    SEAL_ROW_TIME = 1,
    SEAL_ROW_SOURCE = 2,
    SEAL_ROW_ID_KIND = 3,
    SEAL_ROW_EPOCH = 4,
    SEAL_ROW_SEQUENCE = 5,
    SEAL_ROW_SLOT = 16, /* + slot: decimal value or string code */
    SEAL_ROW_PRESENT =
        128, /* + slot: 1 or 0; left out where all rows of the block have the field */
};

enum seal_cell_column {
    SEAL_CELL_METER = 0,
    SEAL_CELL_TENANT = 1,
    SEAL_CELL_START = 2,
    SEAL_CELL_COUNT = 3,
    SEAL_CELL_NUMBER_LO = 4,
    SEAL_CELL_NUMBER_HI = 5,
    SEAL_CELL_TIME = 6,
    SEAL_CELL_SOURCE = 7,
    SEAL_CELL_ID = 8,       /* kind << 16 | size */
    SEAL_CELL_SET_SIZE = 9, /* codes in SEAL_CELL_SETS */
    SEAL_CELL_DIM = 16,     /* + place in dim_slots: code */
};

enum seal_feed_column {
    SEAL_FEED_NUMBER = 0,
    SEAL_FEED_METER = 1,
    SEAL_FEED_TENANT = 2,
    SEAL_FEED_START = 3,
    SEAL_FEED_REVISION = 4,
    SEAL_FEED_POSITION = 5,
    SEAL_FEED_COUNT = 6,
    SEAL_FEED_TOTAL_LO = 7,
    SEAL_FEED_TOTAL_HI = 8,
    SEAL_FEED_DIFFERENCE_LO = 9,
    SEAL_FEED_DIFFERENCE_HI = 10,
    SEAL_FEED_CLOSED = 11,
    SEAL_FEED_GROUP = 16, /* + place in group_by: code */
};

struct seal_meta {
    le32 magic;
    le32 version;
    le64 rows;
    le64 identities;
    le64 cells;
    le32 strings;
    le32 groups;
    le32 blocks;
    le32 exceptions;
    le32 settles;
    le32 feed;
    uint8_t catalog[32]; /* SHA-256 of the text of the catalog that judged */
};
_Static_assert(sizeof(struct seal_meta) == 88, "no padding");

/* What is proven of rows that follow each other in a group. It outlives them: merging carries it,
 * and where rows are dropped one day it says what they were. */
struct seal_stub {
    le64 rows;
    uint8_t sha256[32]; /* over their canonical form, content.h */
};
_Static_assert(sizeof(struct seal_stub) == 40, "no padding");
