// SPDX-License-Identifier: MIT
// Lesson 17: is the simulator right? Fit a small model of step times to a few runs, predict others,
// run those, and report the error so that it says something. Numbers are in validation_runs.c.
#include "lessons/17_validation/validation.h"
#include "lessons/lessons.h"

#include "lessons/engine/translate.h"
#include "viz/scene/scene.h"

#include <math.h>

static const char *name_of(Page *p, const ValidationRun *r) {
    return r->ranks == 1 ? page_text(p, _("%d rows, 1 rank"), r->rows)
                         : page_text(p, _("%d rows on each of %d ranks"), r->rows, r->ranks);
}

// Where the times that a run has come from.
static const char *source_of(const Validation *x) {
    return x->simulated ? _("simulated, on the machine laptop") : _("measured");
}

// --- drawings

// What was predicted, and marked what the run took.
static void draw_parity(Page *p, const Validation *x, const ValidationRun *runs, int count) {
    SceneBar bars[VALIDATION_FITTED + VALIDATION_HELD];
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    for (int i = 0; i < count; i++)
        bars[i] = (SceneBar){name_of(p, &runs[i]), runs[i].predicted, runs[i].measured, true,
                             TONE_COMPUTE};
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, count, "%.4f ms", 0});
    page_draw(p, d);
    page_line(p, _("bars: predicted; marks: %s"), source_of(x));
}

static void draw_tornado(Page *p, const Validation *x) {
    SceneBar bars[VALIDATION_NUMBERS];
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    for (int i = 0; i < VALIDATION_NUMBERS; i++)
        bars[i] = (SceneBar){x->number_names[i], 100 * x->effects[i], 0, false, TONE_EXPOSED};
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8,
               &(SceneBars){bars, VALIDATION_NUMBERS, "%+.2f %%", 0});
    page_draw(p, d);
}

// --- texts

static void hook(Page *p, const void *state) {
    page_say(p, _("A simulator says how long a step will take. It agrees with the runs it was made "
                  "from. Does that mean that it is right?"));
    page_say(p, _("Here is the smallest simulator there is, a line: a step takes a + b x rows. You "
                  "see it being fitted, and then predict how well it predicts."));
}

static void idea(Page *p, const void *state) {
    page_say(p,
             _("Calibration chooses numbers of a model so that it agrees with some runs. "
               "Validation compares it with runs that it has not seen. Only the second says what "
               "a prediction is worth, and only for runs of that kind."));
    page_say(p, _("The error of a prediction is predicted / measured - 1. Over several runs the "
                  "mean of its absolute values is reported (MAPE), with the worst; each run more "
                  "than once, or nobody knows what of it is noise."));
}

static void before_fit(Page *p, const void *state) {
    const Validation *x = state;
    page_say(p,
             _("The trainer runs an MLP of two hidden layers of %d units on one rank, with %d, %d "
               "and %d rows."),
             x->hidden, x->fitted[0].rows, x->fitted[1].rows, x->fitted[2].rows);
}

static void show_fit(Page *p, const void *state) {
    const Validation *x = state;
    draw_parity(p, x, x->fitted, VALIDATION_FITTED);
    page_line(p, _("  step = %.5f ms + rows * %.6f ms; mean error of the fit %.2f %%"), x->constant,
              x->per_row, 100 * x->fit_error);
    page_say(p, _("Two numbers through three runs: that it fits is no merit."));
}

static void before_held(Page *p, const void *state) {
    page_say(p, _("Now the four runs that were held out."));
}

static void show_held(Page *p, const void *state) {
    const Validation *x = state;
    draw_parity(p, x, x->held, VALIDATION_HELD);
    if (x->simulated) return;
    double most = 0;
    for (int i = 0; i < VALIDATION_HELD; i++) most = fmax(most, x->held[i].spread);
    page_say(p,
             _("Repeats of the same run lie up to %.1f %% apart (measured): nothing can be "
               "predicted better than that."),
             100 * most);
}

static void box(Page *p, const void *state) {
    const Validation *x = state;
    const ValidationRun *worst = &x->held[validation_worst(x)];
    page_box(p,
             _("Fitted within %.1f %%, predicted within %.1f %% on average and %.1f %% at worst "
               "(%s). An error belongs to a kind of run; say which were held out, how many, how "
               "often each was run, and the worst."),
             100 * x->fit_error, 100 * validation_mape(x), 100 * fabs(validation_error(worst)),
             name_of(p, worst));
}

// --- an interval

static void ask_interval(Page *p, const void *state) {
    const Validation *x = state;
    page_say(p,
             _("Runs of %d, %d and %d rows took %.4f, %.4f and %.4f ms (%s). Between which two "
               "times does a step of %d rows lie, so that you would be right 8 times of 10?"),
             x->fitted[0].rows, x->fitted[1].rows, x->fitted[2].rows, x->fitted[0].measured,
             x->fitted[1].measured, x->fitted[2].measured, source_of(x),
             x->held[HELD_BETWEEN].rows);
}

static AnswerSource run_source(const Validation *x) {
    return x->simulated ? FROM_SIMULATION : FROM_MEASUREMENT;
}

static void truth_interval(Truth *out, const void *state) {
    const Validation *x = state;
    const ValidationRun *r = &x->held[HELD_BETWEEN];
    AnswerSource source = run_source(x);
    answer_one(&out->from[source], r->measured * 1e-3);
    out->known[source] = x->validated;
    answer_one(&out->from[FROM_THEORY], r->predicted * 1e-3);
    out->known[FROM_THEORY] = x->calibrated;
    out->relative = 0.1;
}

static void around(Answer *out, double ms) { *out = (Answer){{ms * 0.97e-3, ms * 1.03e-3}, 2}; }

static void in_proportion(Answer *out, const void *state) {
    const Validation *x = state;
    const ValidationRun *first = &x->fitted[0];
    around(out, first->measured * x->held[HELD_BETWEEN].rows / first->rows);
}
static void of_the_nearest(Answer *out, const void *state) {
    const Validation *x = state;
    around(out, x->fitted[VALIDATION_FITTED - 1].measured);
}

static void hint_interval_3(Page *p, const void *state) {
    const Validation *x = state;
    page_line(p, "  %.5f + %d * %.6f = %.4f ms", x->constant, x->held[HELD_BETWEEN].rows,
              x->per_row, x->held[HELD_BETWEEN].predicted);
}

static void explain_interval(Page *p, const void *state) {
    const Validation *x = state;
    const ValidationRun *r = &x->held[HELD_BETWEEN];
    page_say(p,
             _("The line says %.4f ms, the run took %.4f ms (%s): an error of %+.2f %%. It lies "
               "between runs that were fitted, where a line can hardly go wrong."),
             r->predicted, r->measured, source_of(x), 100 * validation_error(r));
}

static const Question INTERVAL = {
    .id = "interval",
    .shape = {ANSWER_INTERVAL, UNIT_SECONDS, 0},
    .ask = ask_interval,
    .truth = truth_interval,
    .wrong = {{"in_proportion",
               in_proportion,
               {.text = N_("That is the first run times the ratio of rows. A step also has a part "
                           "that does not depend on rows: it would be counted too often.")}},
              {"as_the_nearest",
               of_the_nearest,
               {.text = N_("That is the nearest run itself. Fewer rows take less.")}}},
    .hint = {{.text = N_("Which two runs does it lie between, and how far from each?")},
             {.text = N_("  step = a + b * rows, and some room for noise")},
             {hint_interval_3}},
    .explain = {explain_interval},
};

// --- where the error is largest

enum { ALL_GOOD = VALIDATION_HELD, WORST_OPTIONS };

static const char *option_worst(Page *p, const void *state, int which) {
    const Validation *x = state;
    return which == ALL_GOOD ? _("nowhere: all within 10 %, since the fit is good")
                             : name_of(p, &x->held[which]);
}

static void ask_worst(Page *p, const void *state) {
    const Validation *x = state;
    page_say(p,
             _("The line knows only the rows of one rank and takes ranks to be independent. Where "
               "will its error be largest? There are %d cores."),
             x->cores);
}

static void truth_worst(Truth *out, const void *state) {
    const Validation *x = state;
    AnswerSource source = run_source(x);
    int worst = validation_worst(x);
    if (x->validated && fabs(validation_error(&x->held[worst])) < 0.1) worst = ALL_GOOD;
    answer_one(&out->from[source], worst);
    out->known[source] = x->validated;
}

static void explain_worst(Page *p, const void *state) {
    const Validation *x = state;
    page_say(p, _("The errors, predicted / %s - 1:"),
             x->simulated ? _("simulated") : _("measured"));
    for (int i = 0; i < VALIDATION_HELD; i++)
        page_line(p, "  %+7.2f %%   %s", 100 * validation_error(&x->held[i]),
                  name_of(p, &x->held[i]));
    page_say(p, _("Two ranks on one core take turns, and the line knows nothing of cores. No "
                  "fitting mends that: what is missing is a part of the model. Ask of a large "
                  "error first whether the run was what it was taken for."));
}

static const Question WORST = {
    .id = "largest_error",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, WORST_OPTIONS},
    .ask = ask_worst,
    .option = option_worst,
    .truth = truth_worst,
    .wrong = {{"fits_so_predicts", .option = ALL_GOOD,
               .reply = {.text =
                             N_("The fit says how well two numbers can follow three runs of one "
                                "kind. Of other kinds it says nothing.")}},
              {"farthest_away", .option = HELD_BEYOND,
               .reply = {.text = N_("Going beyond what was fitted is a risk, but the same things "
                                    "happen there, only more of them: the line errs less than "
                                    "where something new happens.")}}},
    .hint = {{.text = N_("In which run does something happen that happened in none of the fitted "
                         "ones?")},
             {.text = N_("  ranks / cores: how many share a core?")},
             {.text = N_("Two ranks a core: about twice the time; the line says once.")}},
    .explain = {explain_worst},
};

// --- the mean error

static void ask_mape(Page *p, const void *state) {
    const Validation *x = state;
    page_say(p, _("Predicted, and then %s:"), source_of(x));
    for (int i = 0; i < VALIDATION_HELD; i++)
        page_line(p, "  %9.4f ms  %9.4f ms   %s", x->held[i].predicted, x->held[i].measured,
                  name_of(p, &x->held[i]));
    page_say(p, _("What is the mean absolute error, relative to the runs (MAPE)?"));
}

static void truth_mape(Truth *out, const void *state) {
    const Validation *x = state;
    AnswerSource source = run_source(x);
    answer_one(&out->from[source], validation_mape(x));
    out->known[source] = x->validated;
    out->absolute = 0.002;
}

static void signs_cancel(Answer *out, const void *state) {
    const Validation *x = state;
    double sum = 0;
    for (int i = 0; i < VALIDATION_HELD; i++) sum += validation_error(&x->held[i]);
    answer_one(out, sum / VALIDATION_HELD);
}
static void of_sums(Answer *out, const void *state) {
    const Validation *x = state;
    double predicted = 0, measured = 0;
    for (int i = 0; i < VALIDATION_HELD; i++) {
        predicted += x->held[i].predicted;
        measured += x->held[i].measured;
    }
    answer_one(out, fabs(predicted / measured - 1));
}
static void over_predicted(Answer *out, const void *state) {
    const Validation *x = state;
    double sum = 0;
    for (int i = 0; i < VALIDATION_HELD; i++)
        sum += fabs(x->held[i].measured / x->held[i].predicted - 1);
    answer_one(out, sum / VALIDATION_HELD);
}

static void hint_mape_3(Page *p, const void *state) {
    const Validation *x = state;
    page_line(p, "  (%.4f + %.4f + %.4f + %.4f) / 4", fabs(validation_error(&x->held[0])),
              fabs(validation_error(&x->held[1])), fabs(validation_error(&x->held[2])),
              fabs(validation_error(&x->held[3])));
}

static void explain_mape(Page *p, const void *state) {
    const Validation *x = state;
    int within = 0;
    for (int i = 0; i < VALIDATION_HELD; i++) within += fabs(validation_error(&x->held[i])) < 0.1;
    page_say(
        p,
        _("%.1f %%, of which the worst run alone makes %.1f, and %d of %d lie within 10 %%. So a "
          "mean is reported with the worst and with the number of runs, not alone."),
        100 * validation_mape(x),
        100 * fabs(validation_error(&x->held[validation_worst(x)])) / VALIDATION_HELD, within,
        VALIDATION_HELD);
}

static const Question MAPE = {
    .id = "mean_error",
    .shape = {ANSWER_VALUE, UNIT_SHARE, 0},
    .ask = ask_mape,
    .truth = truth_mape,
    .wrong = {{"signs_cancel",
               signs_cancel,
               {.text = N_("That adds errors with their signs: too much here makes up for too "
                           "little there, and a bad model can have a mean of 0.")}},
              {"error_of_the_sums",
               of_sums,
               {.text = N_("That is the error of the sum. The longest run decides it alone, and "
                           "the others may be wrong as they like.")}},
              {"relative_to_the_prediction",
               over_predicted,
               {.text = N_("That divides by what was predicted. Who predicts much would look "
                           "better for it: what was run is the measure.")}}},
    .hint = {{.text = N_("One error for each run, without its sign; then their mean.")},
             {.text = N_("  mean of |predicted / measured - 1|")},
             {hint_mape_3}},
    .explain = {explain_mape},
};

// --- sensitivity

static const char *option_sensitive(Page *p, const void *state, int which) {
    const Validation *x = state;
    return x->number_names[which];
}

static void ask_sensitive(Page *p, const void *state) {
    const Validation *x = state;
    page_say(
        p,
        _("Now the simulator of this project: a step of %s on a DGX H100, devices: %d, samples "
          "on each: %d, takes %.3f ms. Which number of the machine, if it is 10 %% larger, "
          "changes that most?"),
        x->asked, x->devices, x->samples, x->asked_ms);
}

static void truth_sensitive(Truth *out, const void *state) {
    truth_one(out, FROM_SIMULATION, validation_most_sensitive(state));
}

static void explain_sensitive(Page *p, const void *state) {
    draw_tornado(p, state);
    page_say(p,
             _("Each number alone 10 %% larger: change of the step (simulated; sim --sensitivity "
               "does it for all). What matters most has to be known best; that many others "
               "matter little is why a prediction can be good although they are guesses."));
}

enum { NUMBER_FLOPS = 0, NUMBER_CHANNEL = 3 };

static const Question SENSITIVE = {
    .id = "most_sensitive",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, VALIDATION_NUMBERS},
    .ask = ask_sensitive,
    .option = option_sensitive,
    .truth = truth_sensitive,
    .wrong =
        {{"the_peak_decides", .option = NUMBER_FLOPS,
          .reply = {.text = N_("The peak is what is printed largest. It counts only for large "
                               "products of many rows: not for tiny operations, nor for "
                               "products of few rows, which read more than they compute.")}},
         {"the_network_decides", .option = NUMBER_CHANNEL,
          .reply =
              {.text = N_(
                   "The network counts where its end is waited for. One device sends nothing; of "
                   "several what is sent is hidden behind the backward pass, or "
                   "short beside the rest.")}}},
    .hint = {{.text = N_("What does this step spend most of its time on: launching, products, "
                         "memory or the network?")},
             {.text = N_("  effect = (step with the number * 1.1) / step - 1")},
             {.text = N_("A small GPT has many tiny operations; a wide MLP with few samples reads "
                         "many weights for little work.")}},
    .explain = {explain_sensitive},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_RUN, .before = {before_fit}, .run = validation_fit, .write = {show_fit}},
    {.kind = STEP_PREDICT, .question = &INTERVAL},
    {.kind = STEP_PREDICT, .question = &WORST},
    {.kind = STEP_RUN, .before = {before_held}, .run = validation_hold_out, .write = {show_held}},
    {.kind = STEP_COMPARE, .question = &INTERVAL},
    {.kind = STEP_PREDICT, .question = &MAPE},
    {.kind = STEP_COMPARE, .question = &MAPE},
    {.kind = STEP_COMPARE, .question = &WORST},
    {.kind = STEP_PREDICT, .question = &SENSITIVE},
    {.kind = STEP_COMPARE, .question = &SENSITIVE},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson validation_lesson = {
    .number = 17,
    .name = "validation",
    .title = N_("Is the simulator right?"),
    .objective =
        N_("Calibration against validation: how an error is reported, where a model fails, "
           "and which number matters."),
    .minutes = 12,
    .state_size = sizeof(Validation),
    .draw = validation_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
