// SPDX-License-Identifier: MIT
// Appending with a limit, and the columns that a text takes on a terminal.
#include "core/base/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void text_append(char *text, size_t size, const char *fmt, ...) {
    size_t used = strlen(text);
    va_list args;
    va_start(args, fmt);
    vsnprintf(text + used, size - used, fmt, args);
    va_end(args);
}

const char *text_skip_mark(const char *text) {
    return strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? text + 3 : text;
}

// The code point at the start of a text that is not empty. Of bytes that are no UTF-8, one by one.
static uint32_t code_point(const char *text, int *bytes) {
    const unsigned char *c = (const unsigned char *)text;
    int more = c[0] >= 0xF0 ? 3 : c[0] >= 0xE0 ? 2 : c[0] >= 0xC0 ? 1 : 0;
    uint32_t code = more == 3 ? c[0] & 0x07 : more == 2 ? c[0] & 0x0F : more ? c[0] & 0x1F : c[0];
    *bytes = 1;
    for (; *bytes <= more; ++*bytes) {
        if ((c[*bytes] & 0xC0) != 0x80) return c[0];
        code = code << 6 | (c[*bytes] & 0x3F);
    }
    return code;
}

typedef struct {
    uint32_t first, last;
} Range;

static bool within(uint32_t code, const Range *ranges, int count) {
    for (int i = 0; i < count; i++)
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    return false;
}

int text_character_width(const char *text, int *bytes) {
    // Unicode 15, EastAsianWidth.txt: W and F, in blocks; combining marks and joiners.
    static const Range WIDE[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},
                                 {0x3400, 0x4DBF},   {0x4E00, 0xA4CF},   {0xA960, 0xA97C},
                                 {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
                                 {0xFF01, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F},
                                 {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
    static const Range COMBINING[] = {{0x0300, 0x036F}, {0x200B, 0x200F}, {0xFE00, 0xFE0F}};
    *bytes = 0;
    if (*text == '\0') return 0;
    uint32_t code = code_point(text, bytes);
    if (code < 0x300) return 1;
    if (within(code, COMBINING, sizeof COMBINING / sizeof *COMBINING)) return 0;
    return within(code, WIDE, sizeof WIDE / sizeof *WIDE) ? 2 : 1;
}

int text_width(const char *text) {
    int width = 0, bytes;
    for (; *text; text += bytes) width += text_character_width(text, &bytes);
    return width;
}
