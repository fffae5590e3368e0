// SPDX-License-Identifier: MIT
#include "core/base/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static _Thread_local char message[STATUS_TEXT];
static _Thread_local char place[128];

const char *status_name(Status s) {
    switch (s) {
#define X(name, text) \
    case name: return #name;
        STATUS_LIST(X)
#undef X
    }
    return "?";
}

const char *status_text(Status s) {
    switch (s) {
#define X(name, text) \
    case name: return text;
        STATUS_LIST(X)
#undef X
    }
    return "?";
}

int status_exit(Status s) {
    switch (s) {
    case OK: return 0;
    case ERR_USAGE:
    case ERR_SHAPE:
    case ERR_PLAN:
    case ERR_FORMAT:
    case ERR_INPUT:
    case ERR_UNAVAILABLE: return 2;
    case ERR_PEER: return 4;
    case ERR_INTERRUPTED: return 130;
    case ERR_IO:
    case ERR_MEMORY:
    case ERR_FAILED: return 1;
    }
    return 1;
}

const StatusExit *status_exits(void) {
    static const StatusExit exits[] = {{0, "done"},
                                       {1, "the run failed, or a result could not be written"},
                                       {2, "command line, input, or a part that is not built in"},
                                       {4, "a rank was lost or timed out"},
                                       {130, "interrupted; what was done is kept"},
                                       {0, NULL}};
    return exits;
}

// Length of the printable UTF-8 character at s; 0 where there is none: control characters, bytes
// that are not UTF-8, a character that is cut off.
static int printable(const unsigned char *s) {
    if (s[0] < 0x80) return s[0] >= 0x20 && s[0] != 0x7f;
    int length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    bool control = s[0] == 0xc2 && s[1] < 0xa0, overlong = s[0] == 0xe0 && s[1] < 0xa0;
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    bool beyond = (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90);
    return control || overlong || surrogate || beyond ? 0 : length;
}

// A message quotes files and command lines, and a terminal obeys what it is sent: one line of
// printable text, whatever the arguments were.
static void make_printable(char *text) {
    for (unsigned char *c = (unsigned char *)text; *c;) {
        int length = printable(c);
        if (length == 0) *c = '?';
        c += length ? length : 1;
    }
}

const char *status_message(void) { return message; }
const char *status_place(void) { return place; }

Status status_fail(Status s, const char *file, int line, const char *fmt, ...) {
    snprintf(place, sizeof place, "%s:%d", file, line);
    char text[STATUS_TEXT];  // the arguments may point into `message`
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    make_printable(text);
    snprintf(message, sizeof message, "%s", text);
    return s;
}
