/*
 * Goal:   the ground holds: a test is built, found by ctest and run, and its verdict counts.
 * Method: facts of the build that every floor relies on.
 */
#include <criterion/criterion.h>
#include <stdint.h>

Test(ground, the_version_is_in_the_build, .timeout = 5)
{
    cr_expect_str_eq(VENTURI_VERSION, "0.1.0");
}

Test(ground, assertions_are_never_compiled_out, .timeout = 5)
{
#ifdef NDEBUG
    cr_fail("NDEBUG is defined");
#endif
}

Test(ground, sums_have_128_bits, .timeout = 5)
{
    __extension__ typedef __int128 wide;
    wide product = (wide)INT64_MAX * INT64_MAX;

    cr_expect(product / INT64_MAX == INT64_MAX);
}
