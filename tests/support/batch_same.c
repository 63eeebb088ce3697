#include "batch_same.h"

static struct vt_str
string_at(const struct batch *batch, uint32_t code)
{
    return batch->strings[code];
}

static bool
extra_same(const struct batch *a, uint32_t i, const struct batch *b, uint32_t k)
{
    struct vt_bytes left = a->extra == NULL ? (struct vt_bytes){NULL, 0} : a->extra[i];
    struct vt_bytes right = b->extra == NULL ? (struct vt_bytes){NULL, 0} : b->extra[k];

    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static const char *
fields_same(const struct batch *a, uint32_t i, const struct batch *b, uint32_t k)
{
    const struct catalog_type *type = &a->catalog->types[a->type[i]];

    for (uint32_t s = 0; s < type->field_count; s++) {
        if (type->fields[s].kind == FIELD_STRING) {
            if (!vt_str_equal(string_at(a, a->string_code[s][i]),
                              string_at(b, b->string_code[s][k])))
                return "string field";
        } else if (a->decimal_present[s][i] != b->decimal_present[s][k]) {
            return "presence";
        } else if (a->decimal_value[s][i] != b->decimal_value[s][k]) {
            return "decimal field";
        }
    }
    return extra_same(a, i, b, k) ? NULL : "extra";
}

const char *
batch_same(const struct batch *a, uint32_t event_a, const struct batch *b, uint32_t event_b)
{
    uint32_t i = event_a;
    uint32_t k = event_b;
    uint8_t scratch[2][16];

    if (a->reason[i] != b->reason[k])
        return "reason";
    if (a->verdict[i] != b->verdict[k])
        return "verdict";
    if (a->tenant[i] != b->tenant[k] || a->partition[i] != b->partition[k])
        return "tenant";
    if (!vt_str_equal(string_at(a, a->tenant_name[i]), string_at(b, b->tenant_name[k])))
        return "tenant's name";
    if (a->reason[i] == VT_REASON_MALFORMED)
        return NULL;
    if (a->type[i] != b->type[k])
        return "type";
    if (!vt_str_equal(string_at(a, a->source[i]), string_at(b, b->source[k])))
        return "source";
    struct row_id one = batch_id(a, i, scratch[0]);
    struct row_id other = batch_id(b, k, scratch[1]);

    if (one.kind != other.kind || row_id_compare(&one, &other) != 0)
        return "id";
    if (a->reason[i] != VT_REASON_NONE)
        return NULL;
    if (a->time_us[i] != b->time_us[k])
        return "time";
    return fields_same(a, i, b, k);
}
