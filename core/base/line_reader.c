// SPDX-License-Identifier: MIT
// Lines are copied before they are cut, so that the same text can be read again.
#include "core/base/line_reader.h"

#include "core/base/array.h"
#include "core/base/text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

Status line_reader_open(LineReader *r, const char *text, size_t length, const char *source) {
    *r = (LineReader){.source = source, .cursor = text, .end = text + length};
    if (memchr(text, 0, length)) FAIL(ERR_FORMAT, "%s: a zero byte: this is not text", source);
    if (length >= TEXT_MARK_BYTES) r->cursor = text_skip_mark(text);
    return OK;
}

void line_reader_close(LineReader *r) {
    free(r->words);
    free(r->text);
    *r = (LineReader){0};
}

static Status cut(LineReader *r, size_t length) {
    if (length >= INT_MAX)
        FAIL(ERR_FORMAT, "%s:%d: a line of %zu bytes", r->source, r->line, length);
    TRY(ARRAY_RESERVE(r->text, r->text_capacity, (int)length + 1));
    memcpy(r->text, r->cursor, length);
    r->text[length] = 0;
    r->text[strcspn(r->text, "#")] = 0;
    char *save = NULL;
    for (char *w = strtok_r(r->text, " \t\r", &save); w; w = strtok_r(NULL, " \t\r", &save)) {
        TRY(ARRAY_RESERVE(r->words, r->word_capacity, r->word_count + 1));
        r->words[r->word_count++] = w;
    }
    return OK;
}

Status line_reader_next(LineReader *r, bool *found) {
    for (r->word_count = 0; r->cursor < r->end && !r->word_count;) {
        const char *newline = memchr(r->cursor, '\n', (size_t)(r->end - r->cursor));
        size_t length = (size_t)((newline ? newline : r->end) - r->cursor);
        r->line++;
        TRY(cut(r, length));
        r->cursor += length + (newline != NULL);
    }
    *found = r->word_count > 0;
    return OK;
}
