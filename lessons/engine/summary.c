// SPDX-License-Identifier: MIT
// A table for each lesson that was begun, and a count at the end.
#include "lessons/engine/summary.h"

#include "core/base/text.h"
#include "lessons/engine/translate.h"

#include <string.h>

// A text as one cell: its lines behind each other, without what would end the cell.
static void write_cell(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|') fputc('\\', out);
        fputc(*text == '\n' ? ' ' : *text, out);
    }
}

static void write_question(FILE *out, const Session *s, int step) {
    Arena arena = {0};
    Page page = {.arena = &arena};
    const char *between = "";
    s->lesson->steps[step].question->ask(&page, s->state);
    for (const PageBlock *b = page.first; b; b = b->next) {
        if (!b->text) continue;
        fputs(between, out);
        write_cell(out, b->text);
        between = " ";
    }
    arena_finish(&arena);
}

// As a learner would write it, but of a choice the option itself.
static void write_answer(FILE *out, const Session *s, int step, const Answer *a) {
    char text[ANSWER_TEXT];
    const Question *q = s->lesson->steps[step].question;
    Arena arena = {0};
    Page page = {.arena = &arena};
    if (q->shape.form == ANSWER_CHOICE)
        write_cell(out, question_option(&page, q, s->state, (int)a->values[0]));
    else if (a->count == 1)
        fputs(page_digits(&page, q->shape.unit, 5, a->values[0]), out);
    else
        fputs(session_print_answer(text, s, step, a), out);
    arena_finish(&arena);
}

static const char *verdict(Summary *sum, const Session *s, int step) {
    const Given *given = &s->given[step];
    const Question *q = s->lesson->steps[step].question;
    Verdict v;
    sum->hints += given->hints;
    if (given->kind == GIVEN_SHOWN) {
        sum->shown++;
        return _("shown");
    }
    question_judge(&v, q, s->state, &given->answer);
    sum->right += v.right;
    sum->wrong += !v.right;
    sum->intervals += q->shape.form == ANSWER_INTERVAL;
    sum->held += q->shape.form == ANSWER_INTERVAL && v.right;
    return v.right ? _("right") : v.misconception ? v.misconception->id : _("wrong");
}

static void write_row(FILE *out, Summary *sum, const Session *s, int step) {
    const Given *given = &s->given[step];
    Truth truth = {0};
    s->lesson->steps[step].question->truth(&truth, s->state);
    fprintf(out, "| ");
    write_question(out, s, step);
    fprintf(out, " | ");
    if (given->kind == GIVEN_ANSWER) write_answer(out, s, step, &given->answer);
    for (int i = 0; i < FROM_COUNT; i++) {
        fprintf(out, " | ");
        if (truth.known[i]) write_answer(out, s, step, &truth.from[i]);
    }
    fprintf(out, " | %s | %d |\n", verdict(sum, s, step), given->hints);
}

// The step that compares what was predicted at one.
static int compared_at(const Lesson *lesson, int step) {
    for (int i = step; i < lesson->step_count; i++)
        if (lesson->steps[i].kind == STEP_COMPARE &&
            lesson->steps[i].question == lesson->steps[step].question)
            return i;
    return lesson->step_count;
}

static void write_table(FILE *out, Summary *sum, const Session *s, int reached) {
    const Lesson *lesson = s->lesson;
    fprintf(out, "\n## %d %s\n\n", lesson->number, _(lesson->title));
    fprintf(out, _("Seed %llu.\n"), (unsigned long long)s->run.seed);
    fprintf(out, "\n%s\n|---|---|---|---|---|---|---|\n",
            _("| question | predicted | theory | simulated | measured | verdict | hints |"));
    for (int i = 0; i < lesson->step_count; i++)
        if (lesson->steps[i].kind == STEP_PREDICT && s->given[i].kind != GIVEN_NOTHING &&
            compared_at(lesson, i) < reached)
            write_row(out, sum, s, i);
}

// Up to where the learner is.
static Status compute(Session *s, int reached) {
    for (; s->at < reached; session_next(s))
        if (session_step(s)->kind == STEP_RUN) TRY(session_compute(s));
    return OK;
}

void summary_begin(FILE *out) {
    fprintf(
        out, "# %s\n\n%s\n", _("Lessons: predictions and results"),
        _("Results are computed again from each lesson's seed; times are those of this machine, "
          "unless --virtual-time is given."));
}

Status summary_lesson(FILE *out, Summary *sum, const Saved *saved, const Lesson *lesson,
                      bool virtual_time) {
    SavedLesson known;
    Session session = {0};
    saved_find(&known, saved, lesson->number);
    if (known.kind == SAVED_NEW) return OK;
    int reached = known.kind == SAVED_DONE ? lesson->step_count : known.at;
    Status s = session_init(&session, lesson,
                            &(LessonRun){.seed = known.seed, .virtual_time = virtual_time});
    if (s == OK) s = saved_restore(saved, &session);
    if (s == OK) s = compute(&session, reached);
    if (s == OK) write_table(out, sum, &session, reached);
    session_finish(&session);
    return s;
}

void summary_end(FILE *out, const Summary *sum) {
    fprintf(out, "\n");
    fprintf(out, _("%d predictions right, %d wrong, %d shown; %d hints.\n"), sum->right,
            sum->wrong, sum->shown, sum->hints);
    if (sum->intervals)
        fprintf(out,
                _("%d of %d intervals contain the value; of 80 %% intervals, 8 in 10 should.\n"),
                sum->held, sum->intervals);
}
