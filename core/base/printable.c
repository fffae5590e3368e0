// SPDX-License-Identifier: MIT
// UTF-8 decoded strictly; what a terminal would obey, or what is malformed, becomes '?'.
#include "core/base/printable.h"

#include <string.h>

// The table of well-formed sequences is Unicode's (table 3-7); U+0080 to U+009F are controls.
int printable_length(const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) return s[0] >= 0x20 && s[0] != 0x7f;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    int length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool control = s[0] == 0xc2 && s[1] < 0xa0, overlong = s[0] == 0xe0 && s[1] < 0xa0;
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    bool beyond = (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90);
    return control || overlong || surrogate || beyond ? 0 : length;
}

bool printable(const char *text) {
    int length;
    while ((length = printable_length(text)) > 0) text += length;
    return !*text;
}

void printable_write(FILE *out, const char *text) {
    while (*text) {
        int length = printable_length(text);
        if (length == 0) putc('?', out);
        fwrite(text, 1, (size_t)length, out);
        text += length ? length : 1;
    }
}

void printable_make(char *text) {
    while (*text) {
        int length = printable_length(text);
        if (length == 0) *text = '?';
        text += length ? length : 1;
    }
}

void printable_command(FILE *out, const char *const *argv, int argc) {
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        bool plain = *word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                                                 "WXYZ0123456789-_./=:,+@%")];
        if (i) putc(' ', out);
        if (!plain) putc('\'', out);
        for (int bytes; *word; word += bytes ? bytes : 1) {
            bytes = printable_length(word);
            if (*word == '\'')
                fputs("'\\''", out);
            else if (bytes == 0)
                putc('?', out);  // a line stays one line
            else
                fwrite(word, 1, (size_t)bytes, out);
        }
        if (!plain) putc('\'', out);
    }
}
