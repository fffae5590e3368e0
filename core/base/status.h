// SPDX-License-Identifier: MIT
// Errors: one status for each kind, a message for people, the place that saw it first.
#ifndef CORE_BASE_STATUS_H
#define CORE_BASE_STATUS_H

// Every function that can fail returns a Status; OK is zero. The list is written once and expanded
// into the enum here and the names in status.c.
#define STATUS_LIST(X)                          \
    X(OK, "ok")                                 \
    X(ERR_USAGE, "command line is not usable")  \
    X(ERR_SHAPE, "shapes do not agree")         \
    X(ERR_PLAN, "plan is not executable")       \
    X(ERR_FORMAT, "file is malformed")          \
    X(ERR_INPUT, "input could not be read")     \
    X(ERR_IO, "output could not be written")    \
    X(ERR_MEMORY, "out of memory")              \
    X(ERR_UNAVAILABLE, "part not built in")     \
    X(ERR_PEER, "a rank was lost or timed out") \
    X(ERR_INTERRUPTED, "interrupted")           \
    X(ERR_FAILED, "the run failed")

typedef enum {
#define X(name, text) name,
    STATUS_LIST(X)
#undef X
} Status;

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum { STATUS_TEXT = 512 };  // bytes of the longest message kept, terminator included

const char *status_name(Status s);  // "ERR_SHAPE"
const char *status_text(Status s);  // "shapes do not agree"

// The exit status that a program ends with.
int status_exit(Status s);

// All of them, with what they tell a user; the last has a NULL meaning.
typedef struct {
    int exit;
    const char *meaning;
} StatusExit;
const StatusExit *status_exits(void);

// The last error of this thread for a user: what is wrong, where, what to do. One line of
// printable UTF-8, with '?' for what is not. Empty when nothing failed yet.
const char *status_message(void);

// The place in our source that first saw it: "core/nn/model.c:41".
const char *status_place(void);

Status status_fail(Status s, const char *file, int line, const char *fmt, ...) PRINTF_LIKE(4, 5);

// Report a failure where it is first seen ...
#define FAIL(s, ...) return status_fail((s), __FILE__, __LINE__, __VA_ARGS__)

// ... and pass it up unchanged everywhere else.
#define TRY(call)                                \
    do {                                         \
        Status try_status = (call);              \
        if (try_status != OK) return try_status; \
    } while (0)

#endif
