// SPDX-License-Identifier: MIT
// Lesson 4: descent, curvature, momentum. How large a rate may be, how many steps a badly shaped
// loss takes, and what momentum changes about both (Polyak, 1964; Goh, Distill 2017).
#include "lessons/04_descent/descent.h"

#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "viz/scene/scene.h"

#include <math.h>

// --- texts

static void list_curvatures(Page *p, const Descent *d) {
    page_line(p, "  %.3f   %.3f   %.3f   %.3f", d->curvature[0], d->curvature[1], d->curvature[2],
              d->curvature[3]);
}

static void hook(Page *p, const void *state) {
    const Descent *d = state;
    page_say(p, _("Near a minimum a loss is a bowl. In some directions it is steep, in others "
                  "nearly flat. How fast its slope changes in a direction is its curvature there. "
                  "Here is a bowl of four weights, with the curvatures:"));
    list_curvatures(p, d);
    page_say(p, _("Descent has one learning rate for all directions. How large may it be, and how "
                  "long does it take?"));
}

static void idea(Page *p, const void *state) {
    page_say(p, _("In a direction of curvature lambda the slope at distance w from the minimum "
                  "is lambda w. So a step multiplies that distance by the same factor each time:"));
    page_line(p, "  w' = w - eta lambda w = (1 - eta lambda) w");
    page_say(p, _("Every direction has its own factor. A factor below 0 jumps to the other side of "
                  "the minimum: that is no fault, as long as it comes nearer."));
    page_say(p, _("Momentum adds a share beta of the last step to each step:"));
    page_line(p, "  w' = w - eta lambda w + beta (w - w before)");
}

static void box(Page *p, const void *state) {
    const Descent *d = state;
    page_box(
        p,
        _("Descent converges while eta < 2 / lambda_max, and needs about kappa ln(1000) steps, "
          "kappa = lambda_max / lambda_min = %.0f: here %d. With momentum %d were enough "
          "(measured). Well below the limit, a smaller rate is only slower."),
        descent_condition(d), d->steps, d->momentum_steps);
}

// --- the limit

static void ask_limit(Page *p, const void *state) {
    page_say(p, _("What is the largest learning rate at which descent, without momentum, still "
                  "converges? To three digits."));
    list_curvatures(p, state);
}

static double most(const Descent *d) { return d->curvature[0]; }
static double least(const Descent *d) { return d->curvature[DIRECTIONS - 1]; }
static double mean(const Descent *d) {
    double sum = 0;
    for (int k = 0; k < DIRECTIONS; k++) sum += d->curvature[k] / DIRECTIONS;
    return sum;
}

static void truth_limit(Truth *out, const void *state) {
    const Descent *d = state;
    truth_one(out, FROM_THEORY, 2 / most(d));
    answer_one(&out->from[FROM_MEASUREMENT], d->limit);
    out->known[FROM_MEASUREMENT] = d->limit > 0;
    out->relative = 0.02;
}

static void no_overshoot(Answer *out, const void *state) { answer_one(out, 1 / most(state)); }
static void flattest(Answer *out, const void *state) { answer_one(out, 2 / least(state)); }
static void on_average(Answer *out, const void *state) { answer_one(out, 2 / mean(state)); }

static void hint_limit_3(Page *p, const void *state) {
    page_line(p, "  1 - eta * %.3f = -1", most(state));
}
static void explain_limit(Page *p, const void *state) {
    const Descent *d = state;
    page_say(p,
             _("The steepest direction decides: its factor 1 - eta lambda must stay above -1. "
               "Between %.4f and %.4f it jumps from side to side and still converges."),
             1 / most(d), 2 / most(d));
    page_line(p, _("  largest curvature, by power iteration  %.4f  (measured)"),
              d->found_curvature);
}

static const Question LIMIT = {
    .id = "largest_rate",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_limit,
    .truth = truth_limit,
    .wrong = {{"oscillation_is_a_bug",
               no_overshoot,
               {.text = N_("At that rate the steepest direction reaches its minimum in one step. "
                           "Above it the step overshoots, but comes back nearer each time: up to "
                           "twice that rate.")}},
              {"flattest_direction_decides",
               flattest,
               {.text = N_("That is the limit of the flattest direction. At that rate the steepest "
                           "one explodes, and with it the loss.")}},
              {"mean_curvature_decides",
               on_average,
               {.text = N_("Directions do not share a limit: one that explodes is enough. The "
                           "average says nothing about it.")}}},
    .hint = {{.text = N_("In which direction does a step overshoot first?")},
             {.text = "  |1 - eta lambda| < 1"},
             {hint_limit_3}},
    .explain = {explain_limit},
};

// --- the limit with momentum

static void ask_momentum(Page *p, const void *state) {
    const Descent *d = state;
    page_say(p,
             _("And with momentum, beta = %.1f: what is the largest learning rate that converges? "
               "To three digits."),
             d->momentum);
    list_curvatures(p, d);
}

static void truth_momentum(Truth *out, const void *state) {
    const Descent *d = state;
    truth_one(out, FROM_THEORY, 2 * (1 + d->momentum) / most(d));
    answer_one(&out->from[FROM_MEASUREMENT], d->momentum_limit);
    out->known[FROM_MEASUREMENT] = d->momentum_limit > 0;
    out->relative = 0.02;
}

static void unchanged(Answer *out, const void *state) { answer_one(out, 2 / most(state)); }
static void longer_steps(Answer *out, const void *state) {
    const Descent *d = state;
    answer_one(out, 2 * (1 - d->momentum) / most(d));
}

static void hint_momentum_3(Page *p, const void *state) {
    const Descent *d = state;
    page_line(p, "  1 + 1 - eta * %.3f + %.1f + %.1f = 0", most(d), d->momentum, d->momentum);
}
static void explain_momentum(Page *p, const void *state) {
    const Descent *d = state;
    page_say(
        p,
        _("At the limit w changes its sign each step: the last step was 2 w, the next is -2 w. "
          "Momentum adds a share of the last one and so pulls against the overshoot: it also "
          "damps, and allows %.1f times the rate. Along a flat direction steps agree and add "
          "up."),
        1 + d->momentum);
}

static const Question MOMENTUM = {
    .id = "largest_rate_with_momentum",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_momentum,
    .truth = truth_momentum,
    .wrong = {{"momentum_does_not_matter",
               unchanged,
               {.text = N_("That is the limit without momentum. The last step has a say in where "
                           "the next one ends, so the limit moves.")}},
              {"momentum_only_accelerates",
               longer_steps,
               {.text = N_("That takes momentum for a rate 1/(1 - beta) times as large. So it is "
                           "where steps agree; where they turn around each time, it brakes.")}}},
    .hint = {{.text =
                  N_("At the limit w only changes its sign, step by step. What does momentum add "
                     "then?")},
             {.text = "  -w = w - eta lambda w + beta (w - (-w))"},
             {hint_momentum_3}},
    .explain = {explain_momentum},
};

// --- steps

static double steps_at(double factor) { return ceil(log(1e-3) / log(factor)); }

static void ask_steps(Page *p, const void *state) {
    const Descent *d = state;
    page_say(p,
             _("The rate is 1 / lambda_max = %.4f, without momentum. How many steps does it take "
               "until every direction has come below 1/1000 of where it began?"),
             1 / most(d));
    list_curvatures(p, d);
}

static void truth_steps(Truth *out, const void *state) {
    const Descent *d = state;
    truth_one(out, FROM_THEORY, steps_at(1 - least(d) / most(d)));
    answer_one(&out->from[FROM_MEASUREMENT], d->steps);
    out->known[FROM_MEASUREMENT] = d->steps > 0;
    out->relative = 0.03;
}

static void steepest_only(Answer *out, const void *state) { answer_one(out, 1); }
static void condition_itself(Answer *out, const void *state) {
    answer_one(out, round(descent_condition(state)));
}
static void average_curvature(Answer *out, const void *state) {
    const Descent *d = state;
    answer_one(out, steps_at(1 - mean(d) / most(d)));
}

static void hint_steps_3(Page *p, const void *state) {
    const Descent *d = state;
    page_line(p, "  (1 - %.3f / %.3f)^n = 1/1000", least(d), most(d));
}

static void draw_losses(Page *p, const Descent *d) {
    DrawList *list = ARENA_NEW(p->arena, DrawList, 1);
    double *step = ARENA_NEW(p->arena, double, DESCENT_STEPS + 1);
    if (!list || !step) return;
    for (int i = 0; i <= DESCENT_STEPS; i++) step[i] = i;
    const SceneSeries series[] = {
        {_("descent"), step, d->loss, d->steps + 1, TONE_COMPUTE},
        {_("momentum"), step, d->momentum_loss, d->momentum_steps + 1, TONE_EXPOSED}};
    scene_curve(list, p->arena, PAGE_COLUMNS - 4,
                &(SceneCurve){.series = series,
                              .count = 2,
                              .x_name = _("step"),
                              .y_name = "L",
                              .log_y = true,
                              .rows = 10});
    page_draw(p, list);
}

static void show_steps(Page *p, const void *state) {
    const Descent *d = state;
    page_line(p, _("  descent, eta = %.4f                %4d steps  (measured)"), 1 / most(d),
              d->steps);
    page_line(p, _("  momentum, eta = %.4f, beta = %.2f  %4d steps  (measured)"),
              descent_best_rate(d), descent_best_momentum(d), d->momentum_steps);
    draw_losses(p, d);
}

static void explain_steps(Page *p, const void *state) {
    const Descent *d = state;
    page_say(p,
             _("The flattest direction is the last: its factor is 1 - %.3f / %.3f = %.4f a step. "
               "The ratio of the curvatures, the condition number, is %.1f. At a tenth of the rate "
               "it would take %.0f steps (theory): smaller is not better."),
             least(d), most(d), 1 - least(d) / most(d), descent_condition(d),
             steps_at(1 - least(d) / most(d) / 10));
    page_say(p,
             _("With momentum, at the best rate, distances shrink by about (sqrt(kappa) - 1) / "
               "(sqrt(kappa) + 1) = %.3f a step: the root of the condition number counts."),
             sqrt(descent_best_momentum(d)));
}

static const Question STEPS_QUESTION = {
    .id = "steps",
    .shape = {ANSWER_VALUE, UNIT_COUNT, 0},
    .ask = ask_steps,
    .truth = truth_steps,
    .wrong = {{"steepest_decides",
               steepest_only,
               {.text = N_("One step brings the steepest direction to its minimum. The flat ones "
                           "have hardly moved by then.")}},
              {"condition_number_of_steps",
               condition_itself,
               {.text = N_("After so many steps the slowest direction has come to 1/e of where it "
                           "began. 1/1000 takes ln 1000 = 6.9 times as long.")}},
              {"mean_curvature",
               average_curvature,
               {.text = N_("That is how fast a direction of average curvature would be. Every "
                           "direction must arrive, so the slowest counts.")}}},
    .hint = {{.text = N_("Which direction is the slowest, and what is its factor?")},
             {.text = "  n = ln(1/1000) / ln(1 - eta lambda_min)"},
             {hint_steps_3}},
    .explain = {explain_steps},
};

// --- what holds it up

static void ask_stall(Page *p, const void *state) {
    page_say(
        p,
        _("At that rate the loss falls fast at first. After %d steps it hardly falls any more, "
          "and is not 0. What is holding it up?"),
        LOOK_STEPS);
}

enum { STALL_FLAT, STALL_MINIMUM, STALL_RATE, STALL_OPTIONS };
static const char *const STALL[STALL_OPTIONS] = {
    N_("a direction of small curvature, in which steps are short"), N_("a local minimum"),
    N_("the rate is too large: a smaller one would get farther")};

// What is left of the loss in each direction tells: nothing of a slope means a minimum; the
// steepest, that it does not settle; the flattest, that it has not arrived.
static int stall_option(const Descent *d, const double left[DIRECTIONS]) {
    double slope = 0;
    int worst = 0;
    for (int k = 0; k < DIRECTIONS; k++) {
        slope += fabs(d->curvature[k] * left[k]);
        if (d->curvature[k] * left[k] * left[k] > d->curvature[worst] * left[worst] * left[worst])
            worst = k;
    }
    if (slope < 1e-12) return STALL_MINIMUM;
    return worst == 0 ? STALL_RATE : STALL_FLAT;
}

static void expected_left(double left[DIRECTIONS], const Descent *d) {
    for (int k = 0; k < DIRECTIONS; k++) left[k] = pow(1 - d->curvature[k] / most(d), LOOK_STEPS);
}

static void truth_stall(Truth *out, const void *state) {
    const Descent *d = state;
    double left[DIRECTIONS];
    expected_left(left, d);
    truth_one(out, FROM_THEORY, stall_option(d, left));
    answer_one(&out->from[FROM_MEASUREMENT], stall_option(d, d->left));
    out->known[FROM_MEASUREMENT] = d->steps > 0;
}

static void hint_stall_3(Page *p, const void *state) {
    const Descent *d = state;
    for (int k = 0; k < DIRECTIONS; k++)
        page_line(p, "  (1 - %.3f / %.3f)^%d", d->curvature[k], most(d), LOOK_STEPS);
}

static void explain_stall(Page *p, const void *state) {
    const Descent *d = state;
    DrawList *list = ARENA_NEW(p->arena, DrawList, 1);
    SceneBar bars[DIRECTIONS];
    double left[DIRECTIONS];
    expected_left(left, d);
    for (int k = 0; k < DIRECTIONS; k++)
        bars[k] = (SceneBar){page_text(p, _("curvature %.3f"), d->curvature[k]), fabs(d->left[k]),
                             left[k], true, TONE_COMPUTE};
    page_say(p, _("What is left of each direction after %d steps (measured), and by theory:"),
             LOOK_STEPS);
    if (list) {
        scene_bars(list, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, DIRECTIONS, "%.4f", 1});
        page_draw(p, list);
    }
    page_say(p, _("A bowl has one minimum, so nothing else can hold it. In large networks, too, "
                  "what looks like the end is mostly a long flat valley."));
}

static const Question STALL_QUESTION = {
    .id = "stall",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, STALL_OPTIONS},
    .ask = ask_stall,
    .options = STALL,
    .truth = truth_stall,
    .wrong =
        {{"local_minima", .option = STALL_MINIMUM,
          .reply = {.text = N_("All curvatures are above 0: there is a single minimum, and the "
                               "loss there is 0.")}},
         {"smaller_is_better", .option = STALL_RATE,
          .reply = {.text = N_("The rate is half of the limit, and no direction jumps back and "
                               "forth. A smaller one makes the short steps shorter.")}}},
    .hint = {{.text = N_("How much is left of each direction after these steps?")},
             {.text = "  (1 - eta lambda)^n"},
             {hint_stall_3}},
    .explain = {explain_stall},
};

// --- a network

static void before_network(Page *p, const void *state) {
    page_say(p, _("A network's loss is no bowl, but near any place it has curvatures as well. A "
                  "small one (2 inputs, 8 units, 2 classes) is trained by the trainer's step. Then "
                  "its largest curvature is found by power iteration: a vector is multiplied by "
                  "the matrix of second derivatives again and again, each time by two gradients "
                  "close to each other, without the matrix."));
}

static void show_network(Page *p, const void *state) {
    const Descent *d = state;
    page_line(p, _("  largest curvature           %8.4f  (measured)"), d->network_curvature);
    page_line(p, _("  2 / largest curvature       %8.4f  (theory)"), 2 / d->network_curvature);
    page_line(p, _("  limit, by bisection         %8.4f  (measured)"), d->network_limit);
    page_say(p, _("For the bisection two trainers begin a ten-thousandth apart in that direction: "
                  "below the limit a step brings them nearer to each other, above it apart."));
}

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &LIMIT},
    {.kind = STEP_PREDICT, .question = &MOMENTUM},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now descent runs at one rate after the other, 4000 steps each, and the "
                           "rate at which it ceases to converge is found by bisection.")},
     .run = descent_run_limit},
    {.kind = STEP_COMPARE, .question = &LIMIT},
    {.kind = STEP_COMPARE, .question = &MOMENTUM},
    {.kind = STEP_PREDICT, .question = &STEPS_QUESTION},
    {.kind = STEP_PREDICT, .question = &STALL_QUESTION},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now descent runs and its steps are counted; once more with momentum, "
                           "at the rate and beta that suit this bowl best.")},
     .run = descent_run_steps,
     .write = {show_steps}},
    {.kind = STEP_COMPARE, .question = &STEPS_QUESTION},
    {.kind = STEP_COMPARE, .question = &STALL_QUESTION},
    {.kind = STEP_RUN,
     .before = {before_network},
     .run = descent_run_network,
     .write = {show_network}},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson descent_lesson = {
    .number = 4,
    .name = "descent",
    .title = N_("Descent, curvature, momentum"),
    .objective = N_("How large a learning rate may be, how many steps it takes, and what momentum "
                    "changes."),
    .minutes = 13,
    .state_size = sizeof(Descent),
    .draw = descent_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
