/*
 * id_page.h - the pages of an id run as bytes. A run holds the ids of a segment in the order of
 * their keys (dedup.h: the upper 40 bits of K), 256 to a page. The keys stand apart from the ids,
 * in pages of their own that follow each other: a strip, which a start reads from end to end to
 * fill the tag table, and of which a look-up reads one page to learn whether and where the run may
 * have a key. Only then is the page of ids read, about 4.6 KiB where ids are UUIDs.
 *
 * Why so: a key is what the tag table needs and no more, so nothing is hashed at a start. Sorted,
 * 40 bits cost 3.2 bytes an id in a run of 100,000 and 2.6 in one of 6 million; the row number
 * costs 2.1 to 2.9. The rest of K is not kept: equal ids are told by their bytes.
 *
 * PAGE OF KEYS; n keys, ascending
 *   off size field        rule
 *     0    4 crc32c       of the rest; begins with that of the place (segment_part_seed)
 *     4    5 first        key of the first id
 *     9    1 low_bits     0 to 40
 *    10    2 high_bits    in the bit map
 *    12      high         bit map: a one for each key, before it as many zeros as the upper part of
 *                         (key - first) is larger than that of the key before it
 *            low          n x low_bits bits: the lower parts
 * (P. Elias, "Efficient storage and retrieval by content and address of static files", 1974: two
 * bits an id more than the logarithm of the mean distance.)
 *
 * PAGE OF IDS; the same n ids
 *     0    4 crc32c       as above
 *     4    1 row_bits     1 to 32
 *     5    1 kind         of all ids, or 255: each has its own, in front of its size
 *     6    2 size         of each id without the prefix, or 65535: each has its own
 *     8    2 prefix       bytes that all ids begin with
 *    10      rows         n x row_bits bits
 *            prefix       once
 *            kinds        n x 1 where kind is 255
 *            sizes        n x 2 where size is 65535
 *            ids          one after the other, without the prefix
 * Bits are packed from the lowest of the first byte on; bytes end with zero bits.
 *
 * Errors: VT_BAD_CRC; VT_BAD_FORMAT for what no writer wrote. The caller adds file and offset.
 * Thread: any; no state.
 */
#pragma once

#include <stdint.h>

#include "block.h"
#include "venturi/bytes.h"
#include "venturi/err.h"

#define ID_PAGE_IDS       UINT32_C(256)
#define ID_PAGE_SLACK     8    /* bytes behind a page that a decoder may read, not use */
#define ID_PAGE_KEY_BYTES 2048 /* no page of keys is larger */

/* An id of a run, as writers and readers of runs hand it on. */
struct run_id {
    uint64_t key; /* dedup_key(K) */
    uint32_t row; /* of the segment */
    struct row_id id;
};

/* Room that a page of these ids needs. */
uint64_t id_page_bound(const struct run_id *ids, uint32_t count);

/* `seed` is the checksum of the page's place; `count` 1 to ID_PAGE_IDS; keys ascend. Give the
 * bytes. */
uint32_t id_page_put_keys(uint32_t seed, const struct run_id *ids, uint32_t count, uint8_t *out);
uint32_t id_page_put_ids(uint32_t seed, const struct run_id *ids, uint32_t count, uint8_t *out);

/* Bytes of the page of `count` keys that begins `rest`, by what it says itself; 0 where that is
 * more than there is. Unchecked. */
uint64_t id_page_keys_size(struct vt_bytes rest, uint32_t count);

/* Behind `page` stand ID_PAGE_SLACK readable bytes. */
VT_MUST_CHECK vt_err id_page_get_keys(uint32_t seed, struct vt_bytes page, uint32_t count,
                                      uint64_t *out_keys);

/* An opened page of ids: where its parts begin. Borrows the page. */
struct id_page {
    struct vt_bytes page;
    uint32_t count;
    uint32_t row_bits;
    uint8_t kind;
    uint16_t size;
    struct vt_bytes prefix;
    const uint8_t *kinds;
    const uint8_t *sizes;
    struct vt_bytes ids;
};
VT_MUST_CHECK vt_err id_page_open(uint32_t seed, struct vt_bytes page, uint32_t count,
                                  struct id_page *out_page);
/* For a start at `index`, or before it where sizes differ: gives where, and its offset. */
uint32_t id_page_skip(const struct id_page *page, uint32_t index, uint64_t *out_offset);
/* The ids one after the other, from *offset = 0 at index 0 on; data of `out_id` is in `buffer`
 * where the page has a prefix. Keys are not of this page. VT_BAD_FORMAT where they do not fit the
 * page. */
#define ID_PAGE_ID_BYTES (ROW_ID_TEXT_BYTES + 16)
VT_MUST_CHECK vt_err id_page_next(const struct id_page *page, uint32_t index, uint64_t *offset,
                                  uint8_t buffer[ID_PAGE_ID_BYTES], struct run_id *out_id);
