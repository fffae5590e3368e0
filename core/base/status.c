// SPDX-License-Identifier: MIT
// Names and exit statuses of errors, and the message of the thread's last one.
#include "core/base/status.h"

#include "core/base/printable.h"

#include <stdarg.h>
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

const char *status_message(void) { return message; }
const char *status_place(void) { return place; }

Status status_fail(Status s, const char *file, int line, const char *fmt, ...) {
    snprintf(place, sizeof place, "%s:%d", file, line);
    char text[STATUS_TEXT];  // the arguments may point into `message`
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printable_make(text);  // a message quotes files and command lines
    snprintf(message, sizeof message, "%s", text);
    return s;
}
