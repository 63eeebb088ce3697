#include "venturi/assert.h"

#include <stdio.h>
#include <stdlib.h>

void
vt_assert_failed(const char *condition, const char *file, int line)
{
    /* Nothing can be done about a failure to print; the core says the rest. */
    (void)fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}
