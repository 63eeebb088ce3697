#include "msgpack_cursor.h"

#include "venturi/assert.h"
#include "venturi/utf8.h"

struct msgpack_cursor
msgpack_cursor_of(struct vt_bytes bytes)
{
    const uint8_t *end = bytes.size == 0 ? bytes.data : bytes.data + bytes.size;

    VT_ASSERT(bytes.size <= UINT32_MAX); /* so that what is counted in a frame fits 32 bits */
    return (struct msgpack_cursor){.begin = bytes.data, .at = bytes.data, .end = end};
}

static const uint8_t *
digits_pass(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

bool
msgpack_number_valid(struct vt_bytes text)
{
    if (text.size == 0)
        return false;
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.size;
    const uint8_t *digits;

    if (*at == '-')
        at++;
    digits = at;
    at = digits_pass(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return false;
    if (at < end && *at == '.') {
        digits = ++at;
        at = digits_pass(at, end);
        if (at == digits)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        digits = at;
        at = digits_pass(at, end);
        if (at == digits)
            return false;
    }
    return at == end;
}

static vt_err
refuse(struct msgpack_cursor *cursor, const char *problem)
{
    cursor->problem = problem;
    return VT_BAD_FORMAT;
}

/* Bytes of the big-endian number behind each lead byte from 0xC0 to 0xDF: the length or count of a
 * string, bin, ext, array or map, or the value of an integer or float. */
static const uint8_t number_bytes[32] = {0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8,
                                         1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4};

static inline uint64_t
number_read(const uint8_t *at, uint32_t size)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

/* `size` bytes of contents at `at`; they end the item. */
static inline vt_err
contents_take(struct msgpack_cursor *cursor, const uint8_t *at, uint64_t size,
              struct msgpack_item *item)
{
    if (size > (uint64_t)(cursor->end - at))
        return refuse(cursor, "cut short");
    item->bytes = (struct vt_bytes){at, size};
    cursor->at = at + size;
    return VT_OK;
}

/* The contents of an ext begin with its type. */
static vt_err
ext_take(struct msgpack_cursor *cursor, const uint8_t *at, uint64_t size, struct msgpack_item *item)
{
    if (at == cursor->end)
        return refuse(cursor, "cut short");
    item->kind = *at == VT_EXT_NUMBER ? MP_NUMBER : MP_EXT;
    at++;
    if (size > (uint64_t)(cursor->end - at))
        return refuse(cursor, "cut short");
    if (item->kind == MP_NUMBER && !msgpack_number_valid((struct vt_bytes){at, size}))
        return refuse(cursor, "number extension: no JSON number");
    return contents_take(cursor, at, size, item);
}

static inline vt_err
container_take(struct msgpack_cursor *cursor, const uint8_t *at, uint64_t count,
               struct msgpack_item *item)
{
    uint64_t elements = item->kind == MP_MAP ? count * 2 : count;

    if (elements > (uint64_t)(cursor->end - at))
        return refuse(cursor, "more elements than bytes");
    item->count = (uint32_t)count;
    cursor->at = at;
    return VT_OK;
}

static inline vt_err
integer_take(struct msgpack_cursor *cursor, const uint8_t *at, int64_t value,
             struct msgpack_item *item)
{
    item->kind = MP_INT;
    item->integer = value;
    cursor->at = at;
    return VT_OK;
}

/* Lead bytes 0xC0 to 0xDF; `at` is behind the number that `lead` announces. */
static vt_err
wide_take(struct msgpack_cursor *cursor, uint8_t lead, const uint8_t *at, uint64_t number,
          struct msgpack_item *item)
{
    switch (lead) {
    case 0xC0:
        item->kind = MP_NIL;
        cursor->at = at;
        return VT_OK;
    case 0xC2:
    case 0xC3:
        item->kind = MP_BOOL;
        item->integer = lead == 0xC3;
        cursor->at = at;
        return VT_OK;
    case 0xC4:
    case 0xC5:
    case 0xC6:
        item->kind = MP_BIN;
        return contents_take(cursor, at, number, item);
    case 0xC7:
    case 0xC8:
    case 0xC9:
        return ext_take(cursor, at, number, item);
    case 0xCA:
    case 0xCB:
        item->kind = MP_FLOAT;
        cursor->at = at;
        return VT_OK;
    case 0xCC:
    case 0xCD:
    case 0xCE:
        return integer_take(cursor, at, (int64_t)number, item);
    case 0xCF:
        if (number <= INT64_MAX)
            return integer_take(cursor, at, (int64_t)number, item);
        item->kind = MP_UINT;
        item->natural = number;
        cursor->at = at;
        return VT_OK;
    case 0xD0:
        return integer_take(cursor, at, (int8_t)number, item);
    case 0xD1:
        return integer_take(cursor, at, (int16_t)number, item);
    case 0xD2:
        return integer_take(cursor, at, (int32_t)number, item);
    case 0xD3:
        return integer_take(cursor, at, (int64_t)number, item);
    case 0xD4:
    case 0xD5:
    case 0xD6:
    case 0xD7:
    case 0xD8:
        return ext_take(cursor, at, UINT64_C(1) << (lead - 0xD4), item);
    case 0xD9:
    case 0xDA:
    case 0xDB:
        item->kind = MP_STRING;
        return contents_take(cursor, at, number, item);
    case 0xDC:
    case 0xDD:
        item->kind = MP_ARRAY;
        return container_take(cursor, at, number, item);
    case 0xDE:
    case 0xDF:
        item->kind = MP_MAP;
        return container_take(cursor, at, number, item);
    default:
        return refuse(cursor, "byte 0xc1 begins nothing");
    }
}

vt_err
msgpack_cursor_next(struct msgpack_cursor *cursor, struct msgpack_item *out_item)
{
    const uint8_t *at = cursor->at;
    uint64_t number;
    uint32_t size;

    if (at == cursor->end)
        return refuse(cursor, "cut short");
    uint8_t lead = *at++;

    *out_item = (struct msgpack_item){.kind = MP_NIL};
    if (lead < 0x80)
        return integer_take(cursor, at, lead, out_item);
    if (lead >= 0xE0)
        return integer_take(cursor, at, (int8_t)lead, out_item);
    if (lead >= 0xC0) {
        size = number_bytes[lead - 0xC0];
        if (size > (uint64_t)(cursor->end - at))
            return refuse(cursor, "cut short");
        number = number_read(at, size);
        return wide_take(cursor, lead, at + size, number, out_item);
    }
    if (lead >= 0xA0) {
        out_item->kind = MP_STRING;
        return contents_take(cursor, at, lead & 0x1F, out_item);
    }
    out_item->kind = lead >= 0x90 ? MP_ARRAY : MP_MAP;
    return container_take(cursor, at, lead & 0x0F, out_item);
}

vt_err
msgpack_cursor_expect(struct msgpack_cursor *cursor, enum msgpack_kind kind,
                      struct msgpack_item *out_item)
{
    static const char *const problems[] = {
        [MP_NIL] = "no nil",       [MP_BOOL] = "no boolean", [MP_INT] = "no integer",
        [MP_UINT] = "no integer",  [MP_FLOAT] = "no float",  [MP_STRING] = "no string",
        [MP_BIN] = "no bin",       [MP_ARRAY] = "no array",  [MP_MAP] = "no map",
        [MP_NUMBER] = "no number", [MP_EXT] = "no ext",
    };
    const uint8_t *begin = cursor->at;
    struct msgpack_item item;
    vt_err err = msgpack_cursor_next(cursor, &item);

    if (err != VT_OK)
        return err;
    if (item.kind != kind) {
        cursor->at = begin;
        return refuse(cursor, problems[kind]);
    }
    *out_item = item;
    return VT_OK;
}

/* Where a skim stands: how much of each open container is still to come. Of a map, keys and values
 * count one each, so that a key is next where the rest is even. */
struct skim {
    uint32_t open;    /* containers */
    uint64_t maps;    /* bit i: container i is a map */
    uint64_t awaited; /* sum of rest */
    uint32_t rest[VT_DEPTH_MAX];
};
_Static_assert(VT_DEPTH_MAX <= 64, "a bit for each level in `maps`");

static inline bool
skim_wants_key(const struct skim *skim)
{
    if (skim->open == 0 || (skim->maps >> (skim->open - 1) & 1) == 0)
        return false;
    return (skim->rest[skim->open - 1] & 1) == 0;
}

static vt_err
skim_open(struct skim *skim, struct msgpack_cursor *cursor, uint32_t level,
          const struct msgpack_item *item)
{
    uint32_t elements = item->kind == MP_MAP ? item->count * 2 : item->count;

    if (level + skim->open >= VT_DEPTH_MAX) {
        cursor->problem = "nested too deeply";
        return VT_TOO_DEEP;
    }
    skim->awaited += elements;
    if (skim->awaited > msgpack_cursor_left(cursor))
        return refuse(cursor, "more elements than bytes");
    uint64_t bit = UINT64_C(1) << skim->open;

    skim->maps = item->kind == MP_MAP ? skim->maps | bit : skim->maps & ~bit;
    skim->rest[skim->open++] = elements;
    return VT_OK;
}

/* One element of the innermost container is complete, and with it perhaps containers around it. */
static inline void
skim_close(struct skim *skim)
{
    while (skim->open > 0 && skim->rest[skim->open - 1] == 0)
        skim->open--;
}

vt_err
msgpack_cursor_skim(struct msgpack_cursor *cursor, uint32_t level, bool *out_well_formed)
{
    struct skim skim;
    struct msgpack_item item;
    bool well_formed = true;

    VT_ASSERT(level >= 1);
    VT_ASSERT(level <= VT_DEPTH_MAX);
    skim.open = 0;
    skim.maps = 0;
    skim.awaited = 0;
    do {
        const uint8_t *begin = cursor->at;
        bool key = skim_wants_key(&skim);
        vt_err err = msgpack_cursor_next(cursor, &item);

        if (err != VT_OK)
            return err;
        if (skim.open > 0) {
            skim.rest[skim.open - 1]--;
            skim.awaited--;
        }
        if (key && item.kind != MP_STRING)
            err = refuse(cursor, "map: key is no string");
        else if (item.kind == MP_STRING)
            well_formed = well_formed && vt_utf8_valid(item.bytes);
        else if (item.count > 0)
            err = skim_open(&skim, cursor, level, &item);
        if (err != VT_OK) {
            cursor->at = begin;
            return err;
        }
        skim_close(&skim);
    } while (skim.open > 0);
    *out_well_formed = well_formed;
    return VT_OK;
}
