// SPDX-License-Identifier: MIT
// A lesson as JSON: one object on a line for each step (docs/formats.md). Answers are read as in
// text, a line each, when they are asked for.
#include "lessons/engine/player_internal.h"

#include "core/base/json.h"
#include "lessons/engine/translate.h"

#include <stdlib.h>
#include <string.h>

// The lines of a page, as an array.
static json_t *lines_of(const Page *page, const PageStyle *style) {
    json_t *lines = json_array();
    char *text = NULL, *rest;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (memory && page_write(memory, page, style) != OK) length = 0;
    if (memory) fclose(memory);
    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        json_array_append_new(lines, json_text(line));
    free(text);
    return lines;
}

static const char *const KINDS[] = {[STEP_SAY] = "say",
                                    [STEP_PREDICT] = "predict",
                                    [STEP_RUN] = "run",
                                    [STEP_COMPARE] = "compare",
                                    [STEP_BOX] = "box"};

static json_t *begin(const Session *s) {
    json_t *object = json_object();
    json_object_set_new(object, "lesson", json_integer(s->lesson->number));
    json_object_set_new(object, "step", json_integer(s->at + 1));
    json_object_set_new(object, "kind", json_string(KINDS[session_step(s)->kind]));
    return object;
}

static void end_line(const Player *p, json_t *object) {
    json_dumpf(object, p->out, JSON_COMPACT | JSON_PRESERVE_ORDER);
    fprintf(p->out, "\n");
    fflush(p->out);
    json_decref(object);
}

static json_t *values_of(const Answer *a) {
    if (a->count == 1) return json_number(a->values[0]);
    json_t *list = json_array();
    for (int i = 0; i < a->count; i++) json_array_append_new(list, json_number(a->values[i]));
    return list;
}

// What was given, what is right, what was believed.
static void add_verdict(json_t *object, const Session *s) {
    static const char *const FROM[FROM_COUNT] = {"theory", "simulated", "measured"};
    const Question *q = session_step(s)->question;
    const Given *given = &s->given[session_asked(s, s->at)];
    Truth truth = {0};
    q->truth(&truth, s->state);
    json_object_set_new(object, "question", json_string(q->id));
    for (int i = 0; i < FROM_COUNT; i++)
        if (truth.known[i]) json_object_set_new(object, FROM[i], values_of(&truth.from[i]));
    if (given->kind != GIVEN_ANSWER) return;
    Verdict v;
    question_judge(&v, q, s->state, &given->answer);
    json_object_set_new(object, "given", values_of(&given->answer));
    json_object_set_new(object, "right", json_boolean(v.right));
    if (v.misconception)
        json_object_set_new(object, "misconception", json_string(v.misconception->id));
}

static void add_question(json_t *object, Page *page, const Session *s) {
    const Question *q = session_step(s)->question;
    bool places = q->shape.form == ANSWER_CHOICE || q->shape.form == ANSWER_ORDER;
    json_object_set_new(object, "question", json_string(q->id));
    q->ask(page, s->state);
    if (!places) return;
    json_t *options = json_array();
    for (int k = 0; k < q->shape.count; k++)
        json_array_append_new(options,
                              json_text(question_option(page, q, s->state, s->shown[s->at][k])));
    json_object_set_new(object, "options", options);
}

static Status write_step(Player *p, Session *s) {
    const LessonStep *step = session_step(s);
    Arena arena = {0};
    Page page = {.arena = &arena};
    json_t *object = begin(s);
    Status status = OK;
    if (step->kind == STEP_RUN) {
        saying_write(&page, &step->before, s->state);
        status = session_compute(s);
    }
    if (status == OK) saying_write(&page, &step->write, s->state);
    if (step->kind == STEP_PREDICT) add_question(object, &page, s);
    if (step->kind == STEP_COMPARE) {
        session_compare(&page, s, s->at);
        add_verdict(object, s);
    }
    json_object_set_new(object, "text", lines_of(&page, &p->style));
    if (status == OK)
        end_line(p, object);
    else
        json_decref(object);
    arena_finish(&arena);
    return status;
}

static void write_error(const Player *p, const Session *s, const char *message) {
    json_t *object = begin(s);
    json_object_set_new(object, "error", json_text(message));
    end_line(p, object);
}

// Read the answer of a predict step; a line that is none is said and the next one read.
static Status read_answer(Player *p, Session *s, PlayerEnd *end) {
    char line[512];
    while (fgets(line, sizeof line, p->in)) {
        line[strcspn(line, "\n")] = '\0';
        PlayerCommand c = player_command(line);
        if (c.kind == COMMAND_SHOW && !p->no_skip) {
            session_answer(s, GIVEN_SHOWN, NULL);
            return OK;
        }
        if (c.kind == COMMAND_QUIT) {
            *end = PLAYER_QUIT;
            return OK;
        }
        Answer a;
        Status read = session_read_answer(&a, s, s->at, line);
        if (read == OK) {
            session_answer(s, GIVEN_ANSWER, &a);
            return OK;
        }
        if (read != ERR_USAGE) return read;
        write_error(p, s, status_message());
    }
    *end = p->interrupted && *p->interrupted ? PLAYER_INTERRUPTED : PLAYER_NO_INPUT;
    return OK;
}

Status player_run_json(Player *p, Session *s, PlayerEnd *end) {
    while (session_step(s) && *end == PLAYER_ENDED) {
        TRY(write_step(p, s));
        if (session_step(s)->kind == STEP_PREDICT) {
            if (p->mode == PLAYER_ASKS)
                TRY(read_answer(p, s, end));
            else
                player_answer_itself(p, s);
        }
        if (*end == PLAYER_ENDED) session_next(s);
        if (p->saved) TRY(saved_keep(p->saved, s));
        if (ferror(p->out)) FAIL(ERR_IO, "standard output could not be written");
    }
    return OK;
}
