/*
 * utf8.h - validation of text from outside: every string that is stored or shown passes it once.
 *
 * Thread: any.
 */
#pragma once

#include <stdbool.h>

#include "venturi/bytes.h"

/* Strict UTF-8 (Unicode 15, table 3-7): no surrogates, no overlong forms, nothing above U+10FFFF,
 * no sequence cut short. U+0000 is valid; empty is valid. */
bool vt_utf8_valid(struct vt_bytes bytes);
