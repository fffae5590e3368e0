// SPDX-License-Identifier: MIT
// A line goes to the terminal by its level, to the file with the time; what others named in it
// (files, arguments) is made printable once, here.
#include "core/cli/log.h"

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/printable.h"
#include "core/base/text.h"
#include "core/cli/terminal.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum { LINE = 1024 };

static LogLevel level_of(int verbose) {
    return verbose <= 0 ? LOG_NOTE : verbose == 1 ? LOG_DETAIL : LOG_MORE;
}

void log_init(Log *l, const char *program, FILE *stream, bool quiet, int verbose, bool color) {
    *l = (Log){.program = program,
               .stream = stream,
               .shown = quiet ? LOG_ERROR : level_of(verbose),
               .kept = level_of(verbose),
               .columns = terminal_is(stream) ? terminal_width(stream) : 0,
               .color = color};
}

Status log_open(Log *l, const char *path) {
    l->file = fopen(path, "ae");
    if (!l->file) FAIL(ERR_IO, "%s: it cannot be written: %s", path, strerror(errno));
    setvbuf(l->file, NULL, _IOLBF, 2 * LINE);  // whole lines, whoever else writes
    return OK;
}

Status log_close(Log *l) {
    FILE *f = l->file;
    l->file = NULL;
    if (!f) return OK;
    errno = 0;
    bool lost = ferror(f);
    if (fclose(f) != 0 || lost)
        FAIL(ERR_IO, "the log could not be written: %s", file_write_reason(errno));
    return OK;
}

bool log_wants(const Log *l, LogLevel level) {
    return level <= l->shown || (l->file && level <= l->kept);
}

static void keep(Log *l, const char *what, const char *text) {
    char time[CLOCK_TEXT];
    if (l->file)
        fprintf(l->file, "%s %-8s %s\n", clock_print_utc(time, clock_utc_ns()), what, text);
}

static const char *const names[] = {"error", "note", "detail", "detail"};

void log_keep(Log *l, LogLevel level, const char *fmt, ...) {
    char text[LINE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printable_make(text);
    if (level <= l->kept) keep(l, names[level], text);
}

void log_progress(void *log, const char *line) { keep(log, "progress", line); }

// Words of a line from column `at` on. Lines after the first begin two columns further in.
static void print_broken(const Log *l, const char *text, int at) {
    int indent = (int)strspn(text, " ") + 2, space = indent - 2;
    bool first = true;
    text += space;
    while (*text) {
        char word[LINE];
        size_t length = strcspn(text, " ");
        snprintf(word, sizeof word, "%.*s", (int)length, text);
        int width = text_width(word);
        if (!first && at + space + width > l->columns) {
            fputc('\n', l->stream);
            at = 0;
            space = indent;
        }
        fprintf(l->stream, "%*s%s", space, "", word);
        at += space + width;
        text += length;
        space = (int)strspn(text, " ");
        text += space;
        first = false;
    }
    fputc('\n', l->stream);
}

static void show(Log *l, LogLevel level, const char *text) {
    if (l->progress) progress_clear(l->progress);
    fflush(stdout);  // where both go to one file, lines stand in the order in which they were said
    if (level == LOG_ERROR)
        fprintf(l->stream, "%s%s:%s ", l->color ? "\033[1;31m" : "", l->program,
                l->color ? "\033[0m" : "");
    if (l->columns > 0 && strncmp(text, "next: ", 6) != 0)
        print_broken(l, text, level == LOG_ERROR ? text_width(l->program) + 2 : 0);
    else
        fprintf(l->stream, "%s\n", text);
}

void log_say(Log *l, LogLevel level, const char *fmt, ...) {
    char text[LINE];
    if (!log_wants(l, level)) return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printable_make(text);
    if (level <= l->shown) show(l, level, text);
    if (level <= l->kept) keep(l, names[level], text);
}
