// SPDX-License-Identifier: MIT
// Free play: the lesson's computation with numbers that the learner chooses, beside the lesson,
// whose own numbers and locked answers stay as they are.
#include "lessons/engine/player_internal.h"

#include "core/base/nearest.h"
#include "lessons/engine/translate.h"

#include <ctype.h>
#include <string.h>

static double *number_of(void *state, const LessonKnob *knob) {
    return (double *)((char *)state + knob->at);
}

static void write_knobs(const Player *p, const Lesson *lesson, void *state) {
    for (int i = 0; i < lesson->knob_count; i++) {
        const LessonKnob *k = &lesson->knobs[i];
        char now[64], low[64], high[64];
        fprintf(p->out, _("  %-12s %s (from %s to %s)\n"), k->name,
                answer_print_value(now, sizeof now, k->unit, 4, *number_of(state, k)),
                answer_print_value(low, sizeof low, k->unit, 4, k->low),
                answer_print_value(high, sizeof high, k->unit, 4, k->high));
    }
}

static const LessonKnob *find_knob(const Lesson *lesson, const char *name) {
    Nearest near = {.word = name};
    for (int i = 0; i < lesson->knob_count; i++) {
        if (strcmp(lesson->knobs[i].name, name) == 0) return &lesson->knobs[i];
        nearest_offer(&near, lesson->knobs[i].name);
    }
    if (near.best)
        status_fail(ERR_USAGE, __FILE__, __LINE__, _("\"%s\" is no number here; do you mean %s?"),
                    name, near.best);
    else
        status_fail(ERR_USAGE, __FILE__, __LINE__, _("\"%s\" is no number here"), name);
    return NULL;
}

// "NAME VALUE" or "NAME=VALUE".
static Status set_knob(const Lesson *lesson, void *state, char *line) {
    size_t length = strcspn(line, " =");
    char *value = line + length;
    while (*value == ' ' || *value == '=') *value++ = '\0';
    const LessonKnob *knob = find_knob(lesson, line);
    Answer a;
    if (!knob) return ERR_USAGE;
    TRY(answer_parse(&a, &(AnswerShape){ANSWER_VALUE, knob->unit, 0}, value));
    if (a.values[0] < knob->low || a.values[0] > knob->high) {
        char low[64], high[64];
        answer_print_value(low, sizeof low, knob->unit, 4, knob->low);
        answer_print_value(high, sizeof high, knob->unit, 4, knob->high);
        FAIL(ERR_USAGE, _("%s goes from %s to %s"), knob->name, low, high);
    }
    *number_of(state, knob) = a.values[0];
    return OK;
}

static Status compute(const Player *p, const Session *s, void *state) {
    Arena arena = {0};
    Page page = {.arena = &arena};
    Status status = s->lesson->play(&s->run, state, &page);
    if (status == OK) status = page_write(p->out, &page, &p->style);
    arena_finish(&arena);
    return status;
}

Status player_play(Player *p, Session *s) {
    Arena arena = {0};
    const Lesson *lesson = s->lesson;
    if (!lesson->play) {
        fprintf(p->out, "%s\n", _("This lesson has nothing to play with."));
        return OK;
    }
    void *state = arena_push(&arena, lesson->state_size);
    if (!state) FAIL(ERR_MEMORY, "out of memory to play");
    memcpy(state, s->state, lesson->state_size);
    fprintf(p->out, "%s\n", _("Change a number (NAME VALUE) to compute with it; Enter goes back."));
    write_knobs(p, lesson, state);
    Status status = OK;
    char line[512];
    while (status == OK || status == ERR_USAGE) {
        fprintf(p->out, "\n%s> ", "play");
        fflush(p->out);
        if (!fgets(line, sizeof line, p->in)) break;
        line[strcspn(line, "\n")] = '\0';
        if (p->repeats) fprintf(p->out, "%s\n", line);
        if (line[strspn(line, " \t")] == '\0' || strcmp(line, "q") == 0) break;
        status = set_knob(lesson, state, line + strspn(line, " \t"));
        if (status == OK) status = compute(p, s, state);
        if (status == ERR_USAGE) fprintf(p->out, "%s\n", status_message());
    }
    arena_finish(&arena);
    return status == ERR_USAGE ? OK : status;
}
