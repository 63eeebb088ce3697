/* http_catalog.c - the catalog in force, what another one would add, and putting it in force. */
#include <stdio.h>
#include <string.h>

#include "http_internal.h"
#include "venturi/assert.h"

vt_err
handle_catalog_get(struct http_request *request)
{
    struct view *view = NULL;
    vt_err err = request_view(request, false, &view);

    request->content_type = HTTP_JSON;
    if (err == VT_OK)
        err = spool_add(&request->spool, view->catalog->text.data, view->catalog->text.size);
    request_view_put(view);
    return err;
}

static struct vt_str
body_text(const struct http_request *request)
{
    return (struct vt_str){request->body == NULL ? "" : (const char *)request->body,
                           (uint32_t)request->body_bytes};
}

/* ---- what is added */

static void
put_versioned(struct json_out *out, struct vt_str key, int64_t version)
{
    char text[1200];
    int size =
        snprintf(text, sizeof text, "%.*s@%lld", (int)key.size, key.data, (long long)version);

    if (size > 0 && (size_t)size < sizeof text)
        json_string(out, (struct vt_str){text, (uint32_t)size});
    else
        json_string(out, key);
}

static void
put_types(struct json_out *out, const struct catalog *base, const struct catalog *next)
{
    json_key(out, VT_STR("event_types"));
    json_open(out, '[');
    for (uint32_t t = 0; t < next->type_count; t++)
        if (catalog_find_type(base, next->types[t].name) == CATALOG_NONE)
            json_string(out, next->types[t].name);
    json_close(out, ']');
    json_key(out, VT_STR("fields"));
    json_open(out, '[');
    for (uint32_t t = 0; t < next->type_count; t++) {
        const struct catalog_type *type = &next->types[t];
        uint32_t old = catalog_find_type(base, type->name);

        for (uint32_t f = 0; old != CATALOG_NONE && f < type->field_count; f++)
            if (catalog_type_slot(&base->types[old], type->fields[f].name) == CATALOG_NONE) {
                char text[2200];
                int size =
                    snprintf(text, sizeof text, "%.*s.%.*s", (int)type->name.size, type->name.data,
                             (int)type->fields[f].name.size, type->fields[f].name.data);

                if (size > 0 && (size_t)size < sizeof text)
                    json_string(out, (struct vt_str){text, (uint32_t)size});
            }
    }
    json_close(out, ']');
}

static void
put_plans(struct json_out *out, const struct catalog *base, const struct catalog *next)
{
    json_key(out, VT_STR("plans"));
    json_open(out, '[');
    for (uint32_t p = 0; p < next->plan_count; p++) {
        const struct plan *plan = &next->plans[p];
        bool known = false;

        for (uint32_t b = 0; b < base->plan_count && !known; b++)
            known = base->plans[b].version == plan->version &&
                    vt_str_equal(base->plans[b].key, plan->key);
        if (!known)
            put_versioned(out, plan->key, plan->version);
    }
    json_close(out, ']');
}

static bool
has_version(const struct catalog *base, struct vt_str key, int64_t version)
{
    for (uint32_t c = 0; c < base->contract_count; c++) {
        const struct contract *contract = &base->contracts[c];

        if (!vt_str_equal(contract->key, key))
            continue;
        for (uint32_t v = 0; v < contract->version_count; v++)
            if (contract->versions[v].version == version)
                return true;
    }
    return false;
}

static void
put_contracts(struct json_out *out, const struct catalog *base, const struct catalog *next)
{
    json_key(out, VT_STR("contracts"));
    json_open(out, '[');
    for (uint32_t c = 0; c < next->contract_count; c++) {
        const struct contract *contract = &next->contracts[c];

        for (uint32_t v = 0; v < contract->version_count; v++)
            if (!has_version(base, contract->key, contract->versions[v].version))
                put_versioned(out, contract->key, contract->versions[v].version);
    }
    json_close(out, ']');
}

static void
put_added(struct json_out *out, const struct catalog *base, const struct catalog *next)
{
    json_key(out, VT_STR("added"));
    json_open(out, '{');
    put_types(out, base, next);
    json_key(out, VT_STR("meters"));
    json_open(out, '[');
    for (uint32_t m = 0; m < next->meter_count; m++)
        if (catalog_find_meter(base, next->meters[m].key) == CATALOG_NONE)
            json_string(out, next->meters[m].key);
    json_close(out, ']');
    json_key(out, VT_STR("tenants"));
    json_open(out, '[');
    for (uint32_t t = 0; t < next->tenant_count; t++)
        if (catalog_find_tenant(base, next->tenants[t].key) == CATALOG_NONE)
            json_string(out, next->tenants[t].key);
    json_close(out, ']');
    put_plans(out, base, next);
    put_contracts(out, base, next);
    json_close(out, '}');
}

static void
put_hash(struct json_out *out, const struct catalog *catalog)
{
    static const char digits[] = "0123456789abcdef";
    char text[64];

    for (uint32_t i = 0; i < 32; i++) {
        text[(size_t)2 * i] = digits[catalog->sha256[i] >> 4];
        text[(size_t)2 * i + 1] = digits[catalog->sha256[i] & 15];
    }
    json_key(out, VT_STR("sha256"));
    json_string(out, (struct vt_str){text, sizeof text});
}

/* ---- apply, diff */

static vt_err
next_load(struct http_request *request, struct catalog **out_next)
{
    struct zones *zones = NULL;
    vt_err err = zones_open(&zones);

    if (err != VT_OK)
        return err;
    struct catalog_zones source = zones_source(zones);

    err = catalog_load(body_text(request), &source, out_next);
    zones_close(zones);
    return err;
}

static vt_err
put_diff(struct http_request *request, const struct view *view, const struct catalog *next)
{
    struct json_out out;
    bool equal = vt_str_equal(view->catalog->text, next->text);
    vt_err why = catalog_check_extension(view->catalog, next);

    if (why != VT_OK && why != VT_NOT_EXTENSION)
        return why;
    json_out_init(&out);
    json_open(&out, '{');
    json_key(&out, VT_STR("equal"));
    json_bool(&out, equal);
    json_key(&out, VT_STR("extension"));
    json_bool(&out, why == VT_OK);
    if (why != VT_OK) {
        const char *detail = vt_err_last();

        json_key(&out, VT_STR("detail"));
        json_string(&out, (struct vt_str){detail, (uint32_t)strlen(detail)});
    }
    put_hash(&out, next);
    put_added(&out, view->catalog, next);
    json_close(&out, '}');
    json_end_line(&out);
    vt_err_clear();
    vt_err err = request_put(request, &out);

    json_out_deinit(&out);
    return err;
}

vt_err
handle_catalog_diff(struct http_request *request)
{
    struct view *view = NULL;
    struct catalog *next = NULL;
    vt_err err = request_view(request, false, &view);

    request->content_type = HTTP_JSON;
    if (err == VT_OK)
        err = next_load(request, &next);
    if (err == VT_OK)
        err = put_diff(request, view, next);
    catalog_free(next);
    request_view_put(view);
    return err;
}

static vt_err
put_applied(struct http_request *request, const struct catalog *base, const struct catalog *next,
            bool applied)
{
    struct json_out out;

    json_out_init(&out);
    json_open(&out, '{');
    json_key(&out, VT_STR("applied"));
    json_bool(&out, applied);
    json_key(&out, VT_STR("position"));
    json_unsigned(&out, request->position);
    put_hash(&out, next);
    put_added(&out, base, next);
    json_close(&out, '}');
    json_end_line(&out);
    vt_err err = request_put(request, &out);

    json_out_deinit(&out);
    return err;
}

vt_err
handle_catalog_apply(struct http_request *request)
{
    struct call call = {.kind = CALL_CATALOG, .text = body_text(request)};
    struct view *view = NULL;
    struct catalog *next = NULL;
    bool equal = false;
    vt_err err = request_view(request, false, &view);

    request->content_type = HTTP_JSON;
    /* Judged here first: a large catalog that is refused costs the front thread nothing. */
    if (err == VT_OK)
        err = next_load(request, &next);
    if (err == VT_OK)
        err = catalog_check_extension(view->catalog, next);
    if (err == VT_OK)
        equal = vt_str_equal(view->catalog->text, next->text);
    if (err == VT_OK && !equal) {
        err = request_call(request, &call);
        if (err == VT_OK)
            request_position(request, call.position);
    }
    if (err == VT_OK)
        err = put_applied(request, view->catalog, next, !equal);
    catalog_free(next);
    request_view_put(view);
    return err;
}
