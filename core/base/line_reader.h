// SPDX-License-Identifier: MIT
// Text files of lines and words: what model files and plan files share. Words are separated by
// blanks, "#" begins a comment, lines without words are passed over; a byte-order mark and DOS line
// ends are no part of a word.
//
//     LineReader r;
//     bool found;
//     TRY(line_reader_open(&r, text, length, "net.model"));
//     for (;;) {
//         TRY(line_reader_next(&r, &found));  // then r.words[0 .. r.word_count - 1]
//         if (!found) break;
//     }
//     line_reader_close(&r);
#ifndef CORE_BASE_LINE_READER_H
#define CORE_BASE_LINE_READER_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *source;        // borrowed: names the text in messages
    const char *cursor, *end;  // of what follows the current line; the text is borrowed
    int line;                  // number of the current line, from 1
    char **words;              // of the current line: valid until the next one is read
    int word_count, word_capacity;
    char *text;  // the current line, cut into words; owned, as `words`
    int text_capacity;
} LineReader;

// Begin before the first line. ERR_FORMAT when the text has a zero byte, and so is none.
Status line_reader_open(LineReader *r, const char *text, size_t length,
                        const char *source) MUST_USE;
void line_reader_close(LineReader *r);  // safe on a zeroed reader

// Cut the next line that has words into words; *found is false at the end. To read lines again,
// keep `cursor` and `line` and put them back. ERR_MEMORY; ERR_FORMAT for a line of gigabytes.
Status line_reader_next(LineReader *r, bool *found) MUST_USE;

#endif
