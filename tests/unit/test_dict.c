/*
 * Goal:   a dictionary gives each string one code for ever, and its strings never move.
 * Method: a naive list of strings beside it; pointers taken early are read again at the end.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "dict.h"
#include "venturi/assert.h"

static struct vt_str
name_of(uint32_t i, char buffer[32])
{
    int size = snprintf(buffer, 32, "%s%u", i % 3 == 0 ? "region-" : "", i);

    return (struct vt_str){buffer, (uint32_t)size};
}

Test(dict, gives_each_string_one_code, .timeout = 30)
{
    enum { NAMES = 20000 };
    struct dict *dict = NULL;
    char buffer[32];

    cr_assert(dict_open(&dict) == VT_OK);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < NAMES; i++) {
            uint32_t code = UINT32_MAX;

            cr_assert(dict_code(dict, name_of(i, buffer), &code) == VT_OK);
            cr_assert(code == i + 1, "string %u has code %u", i, code);
            cr_assert(vt_str_equal(dict_string(dict, code), name_of(i, buffer)));
        }
        cr_assert(dict_count(dict) == NAMES + 1);
    }
    dict_close(dict);
}

Test(dict, empty_string_is_code_zero, .timeout = 5)
{
    struct dict *dict = NULL;
    uint32_t code = 7;

    cr_assert(dict_open(&dict) == VT_OK);
    cr_expect(dict_count(dict) == 1);
    cr_expect(dict_code(dict, (struct vt_str){NULL, 0}, &code) == VT_OK);
    cr_expect(code == 0);
    cr_expect(dict_count(dict) == 1);
    cr_expect(dict_string(dict, 0).size == 0);
    dict_close(dict);
}

Test(dict, strings_are_bytes_and_never_move, .timeout = 10)
{
    static const struct vt_str texts[] = {
        {"a", 1}, {"a\0", 2}, {"a\0b", 3}, {"\0", 1}, {"\0\0", 2}, {"A", 1}, {"\xc3\xa4", 2},
    };
    struct dict *dict = NULL;
    struct vt_str early[VT_COUNT(texts)];
    char buffer[32];
    uint32_t code;

    cr_assert(dict_open(&dict) == VT_OK);
    for (uint32_t i = 0; i < VT_COUNT(texts); i++) {
        cr_assert(dict_code(dict, texts[i], &code) == VT_OK);
        cr_expect(code == i + 1, "text %u", i);
        early[i] = dict_string(dict, code);
    }
    for (uint32_t i = 0; i < 5000; i++)
        cr_assert(dict_code(dict, name_of(i, buffer), &code) == VT_OK);
    for (uint32_t i = 0; i < VT_COUNT(texts); i++) {
        cr_expect(vt_str_equal(early[i], texts[i]), "text %u", i);
        cr_expect(dict_string(dict, i + 1).data == early[i].data, "text %u moved", i);
    }
    dict_close(dict);
}

Test(dict, array_has_the_strings_below_the_count, .timeout = 10)
{
    struct dict *dict = NULL;
    struct vt_str *array = NULL;
    char buffer[32];
    uint32_t code;

    cr_assert(dict_open(&dict) == VT_OK);
    for (uint32_t i = 0; i < 1000; i++)
        cr_assert(dict_code(dict, name_of(i, buffer), &code) == VT_OK);
    cr_assert(dict_array(dict, 700, &array) == VT_OK);
    cr_expect(array[0].size == 0);
    for (uint32_t i = 1; i < 700; i++)
        cr_assert(vt_str_equal(array[i], name_of(i - 1, buffer)), "%u", i);
    free(array);
    dict_close(dict);
}

Test(dict, ids_differ, .timeout = 5)
{
    struct dict *a = NULL;
    struct dict *b = NULL;

    cr_assert(dict_open(&a) == VT_OK);
    cr_assert(dict_open(&b) == VT_OK);
    cr_expect(dict_id(a) != dict_id(b));
    cr_expect(dict_new_id() != dict_id(b));
    cr_expect(dict_id(a) != 0);
    dict_close(a);
    dict_close(b);
    dict_close(NULL);
}
