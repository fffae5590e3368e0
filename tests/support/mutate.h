// SPDX-License-Identifier: MIT
// Random edits of a text of words and lines, such as a plan file: what a hand that slips would do.
#ifndef TESTS_SUPPORT_MUTATE_H
#define TESTS_SUPPORT_MUTATE_H

#include <stddef.h>
#include <stdint.h>

// Edit text[0 .. length) in place, at most `capacity` bytes of it, from one to three times: a word
// is replaced by another of the text, a number by one that is near a limit, a value by that of
// another key, neighbours change places, a line is removed, doubled or moved, or gets one of the
// phrases (ended by NULL) at its end. Equal seeds give equal edits. Returns the new length.
size_t mutate_text(char *text, size_t length, size_t capacity, uint64_t seed,
                   const char *const *phrases);

#endif
