// SPDX-License-Identifier: MIT
// Text put together piece by piece, in a buffer of fixed size.
#ifndef CORE_BASE_TEXT_H
#define CORE_BASE_TEXT_H

#include <stddef.h>

#include "core/base/status.h"

// Add to the string in text[size]; what does not fit is left out, and the end stays terminated.
void text_append(char *text, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);

// Past the byte-order mark (U+FEFF) that some editors put before UTF-8 text; `text` without one.
enum { TEXT_MARK_BYTES = 3 };
const char *text_skip_mark(const char *text);

// Columns that UTF-8 text takes on a terminal: wide characters (Chinese, Japanese, Korean, their
// punctuation, emoji) two, marks that combine with the one before none, all others one.
int text_width(const char *text);

// The same of its first character, and how many bytes that has; 0 of both at the end.
int text_character_width(const char *text, int *bytes);

#endif
