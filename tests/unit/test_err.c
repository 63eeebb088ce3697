/*
 * Goal:   every error has one number, one name and one text; a detail belongs to its thread, stays
 *         within its bounds and the first one wins.
 * Method: the table itself; a second thread.
 */
#include "venturi/err.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "venturi/assert.h"

static const struct {
    int number;
    const char *name;
} table[] = {
#define TABLE_ROW(name, code, retry, text) {code, #name},
    VT_ERR_TABLE(TABLE_ROW)
#undef TABLE_ROW
};

Test(err, numbers_and_names_are_unique, .timeout = 5)
{
    for (size_t i = 0; i < VT_COUNT(table); i++) {
        cr_expect_str_eq(vt_err_name((vt_err)table[i].number), table[i].name);
        cr_expect(strlen(vt_err_text((vt_err)table[i].number)) > 0);
        for (size_t k = 0; k < i; k++)
            cr_expect(table[i].number != table[k].number, "%s and %s", table[i].name,
                      table[k].name);
    }
    cr_expect_str_eq(vt_err_name((vt_err)63), "VT_UNKNOWN");
    cr_expect(vt_err_may_retry(VT_DEDUP_FULL));
    cr_expect(!vt_err_may_retry(VT_DAMAGED));
}

Test(err, the_first_detail_wins, .timeout = 5)
{
    vt_err_clear();
    cr_expect_str_eq(vt_err_last(), "");
    cr_expect(vt_err_detail(VT_DAMAGED, "%s at %d", "file", 7) == VT_DAMAGED);
    cr_expect(vt_err_detail(VT_IO, "later") == VT_IO);
    cr_expect_str_eq(vt_err_last(), "file at 7");
    vt_err_clear();
    cr_expect(vt_err_detail(VT_IO, "later") == VT_IO);
    cr_expect_str_eq(vt_err_last(), "later");
}

Test(err, a_detail_is_one_bounded_line, .timeout = 5)
{
    char text[2000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    text[3] = '\n';
    vt_err_clear();
    (void)vt_err_detail(VT_IO, "%s", text);
    cr_expect(strlen(vt_err_last()) == 511);
    cr_expect(strncmp(vt_err_last(), "xxx xxx", 7) == 0);
}

static void *
other_thread(void *context)
{
    const char **seen = context;

    (void)vt_err_detail(VT_IO, "of the other");
    *seen = strcmp(vt_err_last(), "of the other") == 0 ? "its own" : "not its own";
    return NULL;
}

Test(err, a_detail_belongs_to_its_thread, .timeout = 5)
{
    const char *seen = NULL;
    pthread_t thread;

    vt_err_clear();
    (void)vt_err_detail(VT_IO, "of the first");
    cr_assert(pthread_create(&thread, NULL, other_thread, &seen) == 0);
    cr_assert(pthread_join(thread, NULL) == 0);
    cr_expect_str_eq(seen, "its own");
    cr_expect_str_eq(vt_err_last(), "of the first");
}
