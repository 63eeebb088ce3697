/*
 * Goal:   each parameter of a request is read as its kind, and everything else is refused, naming
 *         the parameter.
 * Method: tables of pairs with the verdict and a word that the detail must hold.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "http_query.h"
#include "venturi/assert.h"
#include "venturi/wire.h"

#define ALL UINT32_MAX
#define DAY INT64_C(86400000000)

#define T(literal)                     \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }

static const struct query_case {
    const char *name;
    struct http_pair pairs[3];
    uint32_t count;
    struct http_params params;
    vt_err want;
    const char *detail;
} query_cases[] = {
    /* clang-format off */
    {"nothing", {{T(""), T("")}}, 0, {0, 0}, VT_OK, ""},
    {"tenant", {{T("tenant"), T("acme")}}, 1, {PARAM_TENANT, 0}, VT_OK, ""},
    {"not of this route", {{T("tenant"), T("acme")}}, 1, {PARAM_METER, 0}, VT_INVALID, "tenant"},
    {"unknown", {{T("tenants"), T("acme")}}, 1, {ALL, 0}, VT_INVALID, "tenants"},
    {"upper case", {{T("Tenant"), T("acme")}}, 1, {ALL, 0}, VT_INVALID, "Tenant"},
    {"empty name", {{T(""), T("acme")}}, 1, {ALL, 0}, VT_INVALID, "no such parameter"},
    {"empty tenant", {{T("tenant"), T("")}}, 1, {ALL, 0}, VT_INVALID, "tenant"},
    {"twice", {{T("meter"), T("a")}, {T("meter"), T("a")}}, 2, {ALL, 0}, VT_INVALID, "twice"},
    {"bad UTF-8", {{T("tenant"), T("\xc3(")}}, 1, {ALL, 0}, VT_INVALID, "UTF-8"},
    {"missing", {{T("tenant"), T("a")}}, 1, {ALL, PARAM_BEFORE}, VT_INVALID, "before"},
    {"bad time", {{T("at"), T("2024-02-30T00:00:00Z")}}, 1, {ALL, 0}, VT_BAD_TIME, "at="},
    {"time without zone", {{T("at"), T("2024-02-03T00:00:00")}}, 1, {ALL, 0}, VT_BAD_TIME, "at="},
    {"plus as a space", {{T("at"), T("2024-02-03T00:00:00 01:00")}}, 1, {ALL, 0}, VT_BAD_TIME,
     "%2B"},
    {"start after end", {{T("start"), T("2024-02-03T00:00:00Z")},
                         {T("end"), T("2024-02-02T00:00:00Z")}}, 2, {ALL, 0}, VT_INVALID, "start"},
    {"start at end", {{T("start"), T("2024-02-03T00:00:00Z")},
                      {T("end"), T("2024-02-03T00:00:00Z")}}, 2, {ALL, 0}, VT_OK, ""},
    {"limit 0", {{T("limit"), T("0")}}, 1, {ALL, 0}, VT_INVALID, "limit"},
    {"limit -1", {{T("limit"), T("-1")}}, 1, {ALL, 0}, VT_INVALID, "limit"},
    {"limit of 2^64", {{T("limit"), T("18446744073709551616")}}, 1, {ALL, 0}, VT_INVALID, "limit"},
    {"limit below 2^64", {{T("limit"), T("18446744073709551615")}}, 1, {ALL, 0}, VT_OK, ""},
    {"limit with 21 digits", {{T("limit"), T("000000000000000000001")}}, 1, {ALL, 0}, VT_INVALID,
     "limit"},
    {"a reason", {{T("reason"), T("bad_time")}}, 1, {ALL, 0}, VT_OK, ""},
    {"reason none", {{T("reason"), T("none")}}, 1, {ALL, 0}, VT_INVALID, "reason"},
    {"part of a reason", {{T("reason"), T("bad")}}, 1, {ALL, 0}, VT_INVALID, "reason"},
    {"a flag", {{T("force"), T("yes")}}, 1, {ALL, 0}, VT_INVALID, "force"},
    {"by", {{T("by"), T("meter")}}, 1, {ALL, 0}, VT_INVALID, "by"},
    {"empty cursor", {{T("cursor"), T("")}}, 1, {ALL, 0}, VT_OK, ""},
    /* clang-format on */
};

Test(http_query, each_case_has_its_verdict, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(query_cases); i++) {
        const struct query_case *c = &query_cases[i];
        struct http_query query;

        vt_err_clear();
        vt_err got = http_query_read(c->pairs, c->count, &c->params, &query);

        cr_expect(got == c->want, "%s: want %s, got %s", c->name, vt_err_name(c->want),
                  vt_err_name(got));
        cr_expect(strstr(vt_err_last(), c->detail) != NULL, "%s: \"%s\" lacks \"%s\"", c->name,
                  vt_err_last(), c->detail);
    }
}

Test(http_query, values_arrive, .timeout = 5)
{
    const struct http_pair pairs[] = {
        {T("tenant"), T("acme")},
        {T("start"), T("1970-01-02T00:00:00Z")},
        {T("end"), T("1970-01-03T01:00:00+01:00")},
        {T("limit"), T("12")},
        {T("after"), T("0")},
        {T("reason"), T("future_event")},
        {T("dry_run"), T("")},
        {T("force"), T("false")},
    };
    const struct http_params params = {ALL, PARAM_START};
    struct http_query query;

    cr_assert(http_query_read(pairs, VT_COUNT(pairs), &params, &query) == VT_OK);
    cr_expect(vt_str_equal(query.tenant, VT_STR("acme")));
    cr_expect(query.start_us == DAY);
    cr_expect(query.end_us == 2 * DAY);
    cr_expect(query.limit == 12);
    cr_expect(query.after == 0);
    cr_expect(query.reason == VT_REASON_FUTURE_EVENT);
    cr_expect(query.dry_run);
    cr_expect(!query.force);
    cr_expect((query.given & PARAM_AFTER) != 0);
    cr_expect((query.given & PARAM_AT) == 0);
}

Test(http_query, what_is_not_given_is_everything, .timeout = 5)
{
    const struct http_params params = {ALL, 0};
    struct http_query query;

    cr_assert(http_query_read(NULL, 0, &params, &query) == VT_OK);
    cr_expect(query.given == 0);
    cr_expect(query.start_us == INT64_MIN);
    cr_expect(query.end_us == INT64_MAX);
    cr_expect(query.tenant.size == 0);
    cr_expect(query.limit == 0);
}
