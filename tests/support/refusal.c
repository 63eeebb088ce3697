/* refusal.c - see refusal.h. */
#include "refusal.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/catalog.h"
#include "net/zones.h"

#define TEXT_BYTES 16384

static const char good[] =
    "{'event_types': [\n"
    "  {'type': 't', 'late_limit': '48h', 'fields': [{'name': 'd', 'kind': 'string'},\n"
    "    {'name': 'e', 'kind': 'string'}, {'name': 'q', 'kind': 'decimal', 'scale': 2}]},\n"
    "  {'type': 'u', 'fields': [{'name': 'x', 'kind': 'string'}]}],\n"
    " 'meters': [\n"
    "  {'key': 'm', 'event_type': 't', 'aggregation': 'sum', 'field': 'q', 'window': '1h',\n"
    "   'group_by': ['d'], 'filter': {'e': 'z'}, 'grace': '90s'},\n"
    "  {'key': 'top', 'event_type': 't', 'aggregation': 'max', 'field': 'q', 'window': '1d'},\n"
    "  {'key': 'n', 'event_type': 't', 'aggregation': 'count', 'window': '5m'},\n"
    "  {'key': 'who', 'event_type': 't', 'aggregation': 'unique', 'field': 'd', 'window': "
    "'15m'}],\n"
    " 'tenants': [{'key': 'a', 'vat': {'no': [1, null]}}, {'key': 'b'}],\n"
    " 'plans': [\n"
    "  {'key': 'p', 'version': 1, 'currency': 'USD', 'rounding': 'half_even',\n"
    "   'minimum_commitment': '10', 'effective_from': '2024-01-01T00:00:00Z', 'charges': [\n"
    "    {'key': 'unit', 'meter': 'm', 'model': 'per_unit', 'price': '1', 'minimum': '1',\n"
    "     'maximum': '9'},\n"
    "    {'key': 'tier', 'meter': 'm', 'model': 'graduated',\n"
    "     'tiers': [{'up_to': '10', 'price': '2', 'flat': '3'}, {'price': '1.5'}]},\n"
    "    {'key': 'pack', 'meter': 'm', 'model': 'package', 'package_size': '5', 'price': '4'},\n"
    "    {'key': 'cut', 'meter': 'n', 'model': 'percentage', 'rate': '7'},\n"
    "    {'key': 'peak', 'meter': 'top', 'model': 'volume', 'tiers': [{'price': '11'}],\n"
    "     'filter': {'d': 'k'}},\n"
    "    {'key': 'rows', 'meter': 'm', 'model': 'per_unit', 'price_by': ['d'], 'split_by': ['e'],\n"
    "     'prices': [{'when': {'d': 'v'}, 'price': '6'}, {'price': '8', 'included': '2'}]},\n"
    "    {'key': 'base', 'model': 'fixed', 'price': '99'}]},\n"
    "  {'key': 'p', 'version': 2, 'currency': 'USD', 'effective_from': 1706745600000000,\n"
    "   'charges': [{'key': 'unit', 'meter': 'm', 'model': 'per_unit', 'price': 2},\n"
    "    {'key': 'peak', 'meter': 'top', 'model': 'volume', 'tiers': [{'price': '12'}],\n"
    "     'filter': {'d': ['k']}}]},\n"
    "  {'key': 'euro', 'version': 1, 'currency': 'EUR', 'effective_from': '2024-01-01T00:00:00Z',\n"
    "   'charges': [{'key': 'fee', 'model': 'fixed', 'price': '5'}]}],\n"
    " 'contracts': [\n"
    "  {'key': 'k', 'tenant': 'a', 'plan': 'p', 'plan_version': 1, 'from': "
    "'2024-01-01T00:00:00Z',\n"
    "   'time_zone': 'Europe/Berlin', 'billing_anchor_day': 31, 'usage_filter': {'d': ['1', "
    "'2']},\n"
    "   'overrides': {'unit': {'price': '0.9'}}},\n"
    "  {'key': 'k', 'version': 2, 'tenant': 'a', 'plan': 'p', 'plan_version': 'latest',\n"
    "   'from': '2024-06-01T00:00:00Z', 'to': null, 'counters': 'continue',\n"
    "   'time_zone': 'Europe/Berlin', 'billing_anchor_day': 31, 'usage_filter': {'d': ['2', "
    "'1']}},\n"
    "  {'key': 'k2', 'tenant': 'b', 'plan': 'euro', 'plan_version': 'latest',\n"
    "   'from': '2024-01-01T00:00:00Z', 'to': '2025-01-01T00:00:00Z'}]}\n";

static void
quotes_set(char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '\'')
            *text = '"';
}

char *
good_catalog(void)
{
    char *text = strdup(good);

    if (text != NULL)
        quotes_set(text);
    return text;
}

/* The text of a case; false where the piece does not stand exactly once in the good catalog. */
static bool
text_make(const struct refusal *c, char text[TEXT_BYTES])
{
    const char *at = c->find == NULL ? good : strstr(good, c->find);
    size_t find_bytes = c->find == NULL ? strlen(good) : strlen(c->find);

    if (at == NULL || (c->find != NULL && strstr(at + 1, c->find) != NULL))
        return false;
    int size =
        snprintf(text, TEXT_BYTES, "%.*s%s%s", (int)(at - good), good, c->put, at + find_bytes);

    quotes_set(text);
    return size >= 0 && size < TEXT_BYTES;
}

/* NULL, or what came out instead. A copy of exactly the text's size shows a read past its end. */
static const char *
refusal_try(const struct refusal *c, const struct catalog_zones *zones)
{
    static char text[TEXT_BYTES];
    struct catalog *catalog = NULL;

    if (!text_make(c, text))
        return "the piece does not stand there once";
    size_t size = strlen(text);
    char *copy = malloc(size + (size == 0));

    if (copy == NULL)
        return "no memory";
    memcpy(copy, text, size);
    vt_err err = catalog_load((struct vt_str){copy, (uint32_t)size}, zones, &catalog);

    free(copy);
    catalog_free(catalog);
    if (c->want == NULL)
        return err == VT_OK ? NULL : vt_err_last();
    if (err != VT_BAD_CATALOG)
        return vt_err_name(err);
    return strcmp(c->want, vt_err_last()) == 0 ? NULL : vt_err_last();
}

uint32_t
refusals_check(const struct refusal *cases, size_t count)
{
    struct zones *zones;
    uint32_t wrong = 0;

    if (zones_open(&zones) != VT_OK)
        return 1;
    struct catalog_zones source = zones_source(zones);

    for (size_t i = 0; i < count; i++) {
        const char *got = refusal_try(&cases[i], &source);

        if (got == NULL)
            continue;
        wrong++;
        (void)fprintf(stderr, "%s: want \"%s\", got \"%s\"\n", cases[i].name,
                      cases[i].want == NULL ? "it loads" : cases[i].want, got);
    }
    zones_close(zones);
    return wrong;
}
