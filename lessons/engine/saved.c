// SPDX-License-Identifier: MIT
// The file is kept as its lines: what a session says replaces the lines of its lesson, all others
// stay in their places. The header is written anew and the line `end` left out, which is the last.
#include "lessons/engine/saved.h"

#include "core/base/file.h"
#include "lessons/engine/translate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct SavedLine {
    const char *text;  // without its newline
    SavedLine *next;
};

#define HEADER "tandem-lessons"
#define END "end"

// --- the file

Status saved_path(const char **out, Arena *a, const char *given) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char path[4096];
    if (given) {
        *out = given;
        return OK;
    }
    if (state && *state == '/')
        snprintf(path, sizeof path, "%s/tandem/lessons", state);
    else if (home && *home == '/')
        snprintf(path, sizeof path, "%s/.local/state/tandem/lessons", home);
    else
        FAIL(ERR_USAGE, _("there is no home directory to keep your place in: give --state FILE"));
    *out = arena_string(a, path);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for a path");
    return OK;
}

static Status add(Saved *s, const char *text) {
    SavedLine *line = ARENA_NEW(s->arena, SavedLine, 1);
    if (!line || !text) FAIL(ERR_MEMORY, "out of memory for the state of lessons");
    line->text = text;
    if (s->last)
        s->last->next = line;
    else
        s->first = line;
    s->last = line;
    return OK;
}

static Status check_header(int *out, const char *line, const char *path) {
    int version = 0, end = 0;
    if (sscanf(line, HEADER " %d%n", &version, &end) != 1 || line[end])
        FAIL(ERR_FORMAT,
             _("%s: this is no state of lessons (it begins with \"%.40s\"); give another "
               "file with --state FILE"),
             path, line);
    if (version > SAVED_VERSION)
        FAIL(ERR_FORMAT,
             _("%s: a newer Tandem wrote this (version %d, known here: %d); it stays as "
               "it is: give another file with --state FILE"),
             path, version, SAVED_VERSION);
    *out = version;
    return OK;
}

enum { SAVED_MOST_BYTES = 1 << 20 };

// The first version had no last line: there a header alone, or a line without its end, is cut off.
static Status read_lines(Saved *s, char *text, size_t length) {
    bool whole_line = length && text[length - 1] == '\n' && !memchr(text, '\0', length);
    bool ended = false;
    int version = 0, lines = 0;
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (!version) {
            TRY(check_header(&version, line, s->path));
            continue;
        }
        lines++;
        if (strcmp(line, END) == 0)
            ended = true;
        else if (whole_line || *rest)
            TRY(add(s, line));
    }
    s->cut = version > 1 ? !ended : !whole_line || !lines;
    return OK;
}

Status saved_read(Saved *out, Arena *a, const char *path) {
    char *text;
    size_t length;
    *out = (Saved){.arena = a, .path = path};
    if (!path || access(path, F_OK) != 0) return OK;
    TRY(file_read_most(&text, &length, a, SAVED_MOST_BYTES, path));
    out->found = ARENA_NEW(a, char, length + 1);
    if (!out->found) FAIL(ERR_MEMORY, "out of memory for the state of lessons");
    memcpy(out->found, text, length);
    out->found_bytes = length;
    return read_lines(out, text, length);
}

static Status write_all(const Saved *s) {
    char folder[FILE_FOLDER];
    OutputFile file;
    if (!s->path) return OK;
    file_folder(folder, s->path);
    TRY(file_make_directory(folder));
    TRY(file_create(&file, s->path));
    fprintf(file.stream, HEADER " %d\n", SAVED_VERSION);
    for (const SavedLine *line = s->first; line; line = line->next)
        fprintf(file.stream, "%s\n", line->text);
    fprintf(file.stream, END "\n");
    return file_commit(&file);
}

// A name beside the file that nothing has.
static Status free_name(const char **out, const Saved *s) {
    char path[4096];
    int number = 0;
    do {
        snprintf(path, sizeof path, number ? "%s.damaged.%d" : "%s.damaged", s->path, number);
    } while (access(path, F_OK) == 0 && ++number);
    *out = arena_string(s->arena, path);
    if (!*out) FAIL(ERR_MEMORY, "out of memory for a path");
    return OK;
}

Status saved_mend(Saved *s, const char **kept) {
    OutputFile file;
    *kept = NULL;
    if (!s->cut) return OK;
    if (s->found_bytes) {
        TRY(free_name(kept, s));
        TRY(file_create(&file, *kept));
        fwrite(s->found, 1, s->found_bytes, file.stream);
        TRY(file_commit(&file));
    }
    s->cut = false;
    return write_all(s);
}

// --- what lines say

// The lesson that a line is about, and where its kind's own words begin; -1: it is about none.
static int lesson_of(const char *line, const char *kind) {
    int number, end = 0;
    size_t length = strlen(kind);
    if (strncmp(line, kind, length) != 0 || line[length] != ' ') return -1;
    if (sscanf(line + length, " %d%n", &number, &end) != 1) return -1;
    return number;
}

static const char *const KINDS[] = {"lesson", "answer", "shown", "done"};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

static bool is_about(const char *line, int number) {
    for (int k = 0; k < KIND_COUNT; k++) {
        int about = lesson_of(line, KINDS[k]);
        if (about >= 0 && (number < 0 || about == number)) return true;
    }
    return false;
}

int saved_current(const Saved *s) {
    int number = -1;
    for (const SavedLine *line = s->first; line; line = line->next) {
        int current = lesson_of(line->text, "current");
        if (current >= 0) number = current;
    }
    return number;
}

void saved_find(SavedLesson *out, const Saved *s, int number) {
    *out = (SavedLesson){0};
    for (const SavedLine *line = s->first; line; line = line->next) {
        unsigned long long seed;
        int lesson, at, hints;
        if (sscanf(line->text, "lesson %d seed %llu at %d", &lesson, &seed, &at) == 3 &&
            lesson == number) {
            out->seed = seed;
            out->at = at - 1;
            if (out->kind == SAVED_NEW) out->kind = SAVED_BEGUN;
        }
        if (sscanf(line->text, "answer %d.%d hints %d", &lesson, &at, &hints) == 3 &&
            lesson == number) {
            out->answered++;
            out->hints += hints;
        }
        if (sscanf(line->text, "shown %d.%d hints %d", &lesson, &at, &hints) == 3 &&
            lesson == number) {
            out->shown++;
            out->hints += hints;
        }
        if (lesson_of(line->text, "done") == number) out->kind = SAVED_DONE;
    }
}

static Status restore_answer(Session *session, int step, int hints, const char *text,
                             const char *path) {
    if (step < 0 || step >= session->lesson->step_count) return OK;  // of another version
    if (session->lesson->steps[step].kind != STEP_PREDICT) return OK;
    Given *given = &session->given[step];
    Status read = session_read_answer(&given->answer, session, step, text);
    if (read == ERR_USAGE)
        FAIL(ERR_FORMAT,
             _("%s: the answer at step %d of lesson %d does not read: %s; lesson reset %d forgets "
               "it"),
             path, step + 1, session->lesson->number, status_message(), session->lesson->number);
    TRY(read);
    *given = (Given){GIVEN_ANSWER, given->answer, hints};
    return OK;
}

Status saved_restore(const Saved *s, Session *session) {
    SavedLesson known;
    saved_find(&known, s, session->lesson->number);
    for (const SavedLine *line = s->first; line; line = line->next) {
        int lesson, step, hints, end = 0;
        if (sscanf(line->text, "answer %d.%d hints %d %n", &lesson, &step, &hints, &end) == 3 &&
            lesson == session->lesson->number && end)
            TRY(restore_answer(session, step - 1, hints, line->text + end, s->path));
        if (sscanf(line->text, "shown %d.%d hints %d", &lesson, &step, &hints) == 3 &&
            lesson == session->lesson->number && step >= 1 && step <= session->lesson->step_count)
            session->given[step - 1] = (Given){.kind = GIVEN_SHOWN, .hints = hints};
    }
    return OK;
}

// --- changing it

static Status add_text(Saved *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static Status add_text(Saved *s, const char *fmt, ...) {
    char text[ANSWER_TEXT + 80];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return add(s, arena_string(s->arena, text));
}

// All lines but those of a lesson (-1: of any), and but `current` when that is to be written anew.
static void remove_lines(Saved *s, int number, bool current) {
    SavedLine *kept = NULL, **end = &kept;
    s->last = NULL;
    for (SavedLine *line = s->first, *next; line; line = next) {
        next = line->next;
        if (is_about(line->text, number)) continue;
        if (current && lesson_of(line->text, "current") >= 0) continue;
        *end = s->last = line;
        end = &line->next;
    }
    *end = NULL;
    s->first = kept;
}

static Status add_session(Saved *s, const Session *session) {
    int number = session->lesson->number;
    char text[ANSWER_TEXT];
    TRY(add_text(s, "current %d", number));
    TRY(add_text(s, "lesson %d seed %llu at %d", number, (unsigned long long)session->run.seed,
                 session->at + 1));
    for (int i = 0; i < session->lesson->step_count; i++) {
        const Given *given = &session->given[i];
        if (given->kind == GIVEN_ANSWER)
            TRY(add_text(s, "answer %d.%d hints %d %s", number, i + 1, given->hints,
                         session_print_answer(text, session, i, &given->answer)));
        if (given->kind == GIVEN_SHOWN)
            TRY(add_text(s, "shown %d.%d hints %d", number, i + 1, given->hints));
    }
    return OK;
}

Status saved_keep(Saved *s, const Session *session) {
    SavedLesson known;
    int number = session->lesson->number;
    saved_find(&known, s, number);
    remove_lines(s, number, true);
    TRY(add_session(s, session));
    if (known.kind == SAVED_DONE || !session_step(session))
        TRY(add_text(s, "done %d seed %llu", number, (unsigned long long)session->run.seed));
    return write_all(s);
}

Status saved_forget(Saved *s, int number) {
    bool current = number < 0 || saved_current(s) == number;
    remove_lines(s, number, current);
    return s->found ? write_all(s) : OK;
}

// --- exercises

static const char *const BUILD_WORDS[] = {"new", "begun", "asked", "done"};
enum { BUILD_WORD_COUNT = sizeof BUILD_WORDS / sizeof *BUILD_WORDS };

SavedBuild saved_build(const Saved *s, int number) {
    SavedBuild state = SAVED_BUILD_NEW;
    for (const SavedLine *line = s->first; line; line = line->next) {
        char word[16];
        int about;
        if (sscanf(line->text, "build %d %15s", &about, word) != 2 || about != number) continue;
        for (int k = 0; k < BUILD_WORD_COUNT; k++)
            if (strcmp(word, BUILD_WORDS[k]) == 0) state = (SavedBuild)k;
    }
    return state;
}

Status saved_keep_build(Saved *s, int number, SavedBuild state) {
    SavedLine *line = s->first;
    char text[32];
    snprintf(text, sizeof text, "build %d %s", number, BUILD_WORDS[state]);
    while (line && lesson_of(line->text, "build") != number) line = line->next;
    if (!line) {
        TRY(add_text(s, "%s", text));
    } else {
        line->text = arena_string(s->arena, text);
        if (!line->text) FAIL(ERR_MEMORY, "out of memory for the state of lessons");
    }
    return write_all(s);
}
