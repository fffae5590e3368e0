// SPDX-License-Identifier: MIT
// Lesson 1: one neuron, one step. Loss, derivative and update as arithmetic; how long a step may
// be; what finite differences tell about a derivative (Nocedal and Wright, 2006, 8.1).
#include "lessons/01_neuron/neuron.h"

#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "viz/scene/scene.h"

#include <float.h>
#include <math.h>

enum { CURVE = 61 };

// --- texts

// The loss over w, and two places on it.
static void draw_loss(Page *p, const Neuron *n, double from, double to) {
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    double *w = ARENA_NEW(p->arena, double, CURVE), *loss = ARENA_NEW(p->arena, double, CURVE);
    double *ends = ARENA_NEW(p->arena, double, 4);
    if (!d || !w || !loss || !ends) return;
    double best = (n->y - n->b) / n->x;
    double reach = 1.4 * fmax(fabs(from - best), fabs(to - best));
    for (int i = 0; i < CURVE; i++) {
        w[i] = best + reach * (2.0 * i / (CURVE - 1) - 1);
        loss[i] = neuron_loss(n, w[i], n->b);
    }
    ends[0] = from, ends[1] = to;
    ends[2] = neuron_loss(n, from, n->b), ends[3] = neuron_loss(n, to, n->b);
    const SceneSeries series[] = {{_("loss"), w, loss, CURVE, TONE_FAINT},
                                  {_("step"), ends, ends + 2, 2, TONE_EXPOSED}};
    scene_curve(d, p->arena, PAGE_COLUMNS - 4,
                &(SceneCurve){.series = series, .count = 2, .x_name = "w", .y_name = "L"});
    page_draw(p, d);
}

static void hook(Page *p, const void *state) {
    const Neuron *n = state;
    page_say(p, _("The smallest network has one neuron, one weight w and one bias b. It is shown "
                  "one sample: for the input x it should say y."));
    page_line(p, "  p = w x + b        L = (p - y)^2 / 2");
    page_line(p, "  w = %.1f   b = %.1f   x = %.1f   y = %.1f", n->w, n->b, n->x, n->y);
    page_say(p,
             _("It says p = %.2f, so its error is p - y = %.2f. Training changes w and b so that "
               "the loss L falls. Which way, and how far?"),
             neuron_error(n, n->w, n->b) + n->y, neuron_error(n, n->w, n->b));
}

static void idea(Page *p, const void *state) {
    page_say(p, _("The derivative dL/dw says how L changes when w does, here and now. By the chain "
                  "rule it is a product: how L follows p, times how p follows w."));
    page_line(p, "  dL/dw = (p - y) * x        dL/db = (p - y) * 1");
    page_say(p, _("Gradient descent takes a step against it, as long as the learning rate eta "
                  "says: w becomes w - eta dL/dw. That is one training step. Large networks do the "
                  "same with millions of weights."));
}

static void box(Page *p, const void *state) {
    const Neuron *n = state;
    page_box(
        p,
        _("w becomes w - eta dL/dw. The derivative is a slope, not a distance: the step lowers "
          "the loss only while eta < 2 / (x^2 + 1), here %.4f (theory), and %.4f by bisection "
          "(measured)."),
        2 / (n->x * n->x + 1), n->same_loss_rate);
}

static void before_step(Page *p, const void *state) {
    page_say(p, _("Now the step is taken, in float as a trainer would. As a check of the "
                  "derivative, the loss is also computed a little to the right and to the left:"));
    page_line(p, "  dL/dw ~ (L(w + h) - L(w - h)) / 2h,   h = 0.01");
}

static void show_step(Page *p, const void *state) {
    const Neuron *n = state;
    page_line(p, _("  dL/dw by the chain rule    %9.4f  (theory)"), neuron_slope(n, n->w));
    page_line(p, _("  dL/dw as a difference      %9.4f  (measured)"), n->difference);
    page_line(p, _("  loss before and after      %9.4f  %9.4f  (measured)"),
              neuron_loss(n, n->w, n->b), n->stepped_loss);
}

// --- one step

static void ask_step(Page *p, const void *state) {
    const Neuron *n = state;
    page_say(
        p,
        _("w = %.1f, b = %.1f, x = %.1f, y = %.1f, and eta = %.2f. What is dL/dw, and what is w "
          "after one step? Two numbers, to four digits."),
        n->w, n->b, n->x, n->y, n->rate);
}

static void pair(Answer *out, double gradient, double w) { *out = (Answer){{gradient, w}, 2}; }

static void truth_step(Truth *out, const void *state) {
    const Neuron *n = state;
    pair(&out->from[FROM_THEORY], neuron_slope(n, n->w), n->w - n->rate * neuron_slope(n, n->w));
    out->known[FROM_THEORY] = true;
    pair(&out->from[FROM_MEASUREMENT], n->difference, n->stepped_w);
    out->known[FROM_MEASUREMENT] = n->stepped;
    out->relative = 5e-4;
    out->absolute = 5e-4;
}

static void uphill(Answer *out, const void *state) {
    const Neuron *n = state;
    pair(out, neuron_slope(n, n->w), n->w + n->rate * neuron_slope(n, n->w));
}
static void scaled(Answer *out, const void *state) {
    const Neuron *n = state;
    pair(out, n->rate * neuron_slope(n, n->w), n->w - n->rate * neuron_slope(n, n->w));
}
static void error_alone(Answer *out, const void *state) {
    const Neuron *n = state;
    double e = neuron_error(n, n->w, n->b);
    pair(out, e, n->w - n->rate * e);
}
static void whole_gradient(Answer *out, const void *state) {
    const Neuron *n = state;
    pair(out, neuron_slope(n, n->w), n->w - neuron_slope(n, n->w));
}

static void reply_error_alone(Page *p, const void *state) {
    const Neuron *n = state;
    page_say(p,
             _("%.4f is the error p - y, which is how L follows p. How p follows w is missing: p "
               "moves by x = %.1f for each unit of w."),
             neuron_error(n, n->w, n->b), n->x);
}
static void hint_step_3(Page *p, const void *state) {
    const Neuron *n = state;
    page_line(p, "  dL/dw = (%.1f * %.1f + %.1f - %.1f) * %.1f", n->w, n->x, n->b, n->y, n->x);
    page_line(p, "  w - %.2f dL/dw", n->rate);
}
static void explain_step(Page *p, const void *state) {
    const Neuron *n = state;
    double to = n->w - n->rate * neuron_slope(n, n->w);
    draw_loss(p, n, n->w, to);
    page_say(p,
             _("dL/dw = %.2f * %.1f = %.4f: a larger w would make the loss %s, so w goes the other "
               "way, by eta times that: %.1f - %.2f * %.4f = %.4f."),
             neuron_error(n, n->w, n->b), n->x, neuron_slope(n, n->w),
             neuron_slope(n, n->w) > 0 ? _("larger") : _("smaller"), n->w, n->rate,
             neuron_slope(n, n->w), to);
}

static const Question STEP = {
    .id = "one_step",
    .shape = {ANSWER_CURVE, UNIT_NUMBER, 2},
    .ask = ask_step,
    .truth = truth_step,
    .wrong = {{"gradient_points_to_the_minimum",
               uphill,
               {.text = N_("The gradient points to where the loss rises. The step goes against it, "
                           "hence the minus.")}},
              {"rate_changes_the_gradient",
               scaled,
               {.text = N_("The learning rate is not part of the derivative: dL/dw belongs to the "
                           "loss and to w. Only the step is multiplied by the rate.")}},
              {"gradient_is_the_error", error_alone, {reply_error_alone}},
              {"whole_gradient_at_once",
               whole_gradient,
               {.text =
                    N_("That is a step by the derivative itself, as if eta were 1. A slope is no "
                       "distance: it does not say how far the minimum is.")}}},
    .hint = {{.text = N_("How does L follow p, and how does p follow w?")},
             {.text = "  dL/dw = (p - y) x,   w' = w - eta dL/dw"},
             {hint_step_3}},
    .explain = {explain_step},
};

// --- how steep, and how far

static void ask_steep(Page *p, const void *state) {
    const Neuron *n = state;
    page_say(p, _("The same neuron, begun at three other weights, each with a learning rate of its "
                  "own. At which is the derivative dL/dw largest in size? Give all three, the "
                  "largest first."));
    page_say(p, _("The loss would be 0 at w = %.2f."), (n->y - n->b) / n->x);
}

static const char *option_steep(Page *p, const void *state, int which) {
    const Neuron *n = state;
    return page_text(p, "w = %5.2f   eta = %.2f", n->start[which], n->start_rate[which]);
}

// Places by size, the largest first.
static void order_by(Answer *out, const double size[STARTS]) {
    *out = (Answer){{0}, STARTS};
    for (int i = 0; i < STARTS; i++) {
        int place = 0;
        for (int k = 0; k < STARTS; k++) place += size[k] > size[i];
        out->values[place] = i;
    }
}

static void truth_steep(Truth *out, const void *state) {
    const Neuron *n = state;
    double theory[STARTS], measured[STARTS];
    for (int i = 0; i < STARTS; i++) {
        theory[i] = fabs(neuron_slope(n, n->start[i]));
        measured[i] = fabs(n->start_difference[i]);
    }
    order_by(&out->from[FROM_THEORY], theory);
    out->known[FROM_THEORY] = true;
    order_by(&out->from[FROM_MEASUREMENT], measured);
    out->known[FROM_MEASUREMENT] = n->stepped;
}

static void nearest_first(Answer *out, const void *state) {
    const Neuron *n = state;
    double size[STARTS];
    for (int i = 0; i < STARTS; i++) size[i] = -fabs(neuron_slope(n, n->start[i]));
    order_by(out, size);
}
static void longest_step_first(Answer *out, const void *state) {
    const Neuron *n = state;
    double size[STARTS];
    for (int i = 0; i < STARTS; i++)
        size[i] = n->start_rate[i] * fabs(neuron_slope(n, n->start[i]));
    order_by(out, size);
}
static void largest_weight_first(Answer *out, const void *state) {
    const Neuron *n = state;
    order_by(out, n->start);
}

static void hint_steep_3(Page *p, const void *state) {
    const Neuron *n = state;
    for (int i = 0; i < STARTS; i++)
        page_line(p, "  w = %5.2f   p - y = %.2f", n->start[i], neuron_error(n, n->start[i], n->b));
}
static void explain_steep(Page *p, const void *state) {
    const Neuron *n = state;
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    SceneBar bars[STARTS];
    for (int i = 0; i < STARTS; i++)
        bars[i] = (SceneBar){page_text(p, "w = %5.2f", n->start[i]), neuron_slope(n, n->start[i]),
                             0, false, TONE_COMPUTE};
    if (d) {
        scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, STARTS, "%.4f", 0});
        page_draw(p, d);
    }
    page_say(p, _("dL/dw = (p - y) x grows with the error, so it is largest farthest from the "
                  "minimum and 0 at it: steps become shorter by themselves. The learning rate "
                  "changes how far the step goes, not how steep the loss is."));
}

static const Question STEEP = {
    .id = "steepest",
    .shape = {ANSWER_ORDER, UNIT_NUMBER, STARTS},
    .ask = ask_steep,
    .option = option_steep,
    .truth = truth_steep,
    .wrong = {{"large_gradient_means_near",
               nearest_first,
               {.text = N_("That is the order from the nearest to the farthest. A parabola is flat "
                           "at its bottom: near the minimum the derivative is small.")}},
              {"rate_counts",
               longest_step_first,
               {.text =
                    N_("That is the order of the steps, eta times the derivative. The derivative "
                       "itself knows no learning rate.")}},
              {"large_weight_large_gradient",
               largest_weight_first,
               {.text = N_("That is the order of the weights themselves. What counts is how wrong "
                           "the neuron is there, not how large w is.")}}},
    .hint = {{.text = N_("What is the error p - y at each of the three?")},
             {.text = "  |dL/dw| = |p - y| |x|"},
             {hint_steep_3}},
    .explain = {explain_steep},
};

// --- the rate at which nothing is won

static void ask_rate(Page *p, const void *state) {
    const Neuron *n = state;
    page_say(p,
             _("x = %.1f. A step changes w and b, both. At which learning rate, other than 0, is "
               "the loss after the step the same as before? To three digits."),
             n->x);
}

static void truth_rate(Truth *out, const void *state) {
    const Neuron *n = state;
    truth_one(out, FROM_THEORY, 2 / (n->x * n->x + 1));
    answer_one(&out->from[FROM_MEASUREMENT], n->same_loss_rate);
    out->known[FROM_MEASUREMENT] = n->same_loss_rate > 0;
    out->relative = 5e-3;
}

static void to_the_bottom(Answer *out, const void *state) {
    const Neuron *n = state;
    answer_one(out, 1 / (n->x * n->x + 1));
}
static void without_bias(Answer *out, const void *state) {
    const Neuron *n = state;
    answer_one(out, 2 / (n->x * n->x));
}
static void without_input(Answer *out, const void *state) {
    const Neuron *n = state;
    answer_one(out, 2 / (fabs(n->x) + 1));
}

static void show_bisection(Page *p, const void *state) {
    const Neuron *n = state;
    page_line(p, _("  the loss stays the same at eta = %.6f  (measured)"), n->same_loss_rate);
}

static void hint_rate_2(Page *p, const void *state) {
    page_line(p, "  e' = e - eta (e x) x - eta e = e (1 - eta (x^2 + 1))");
}
static void hint_rate_3(Page *p, const void *state) {
    const Neuron *n = state;
    page_line(p, "  1 - eta (%.2f + 1) = -1", n->x * n->x);
}
static void explain_rate(Page *p, const void *state) {
    const Neuron *n = state;
    double rate = 2 / (n->x * n->x + 1);
    page_say(
        p,
        _("A step multiplies the error by 1 - eta (x^2 + 1). At eta = %.4f that is 0: the minimum "
          "in one step. At %.4f it is -1: the step lands as high on the other side. Beyond, "
          "every step makes the loss larger."),
        rate / 2, rate);
}

static const Question RATE = {
    .id = "same_loss",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_rate,
    .truth = truth_rate,
    .wrong = {{"rate_of_the_minimum",
               to_the_bottom,
               {.text = N_("At that rate one step reaches the minimum exactly: the loss becomes 0. "
                           "It is the same as before at twice that rate, on the other side.")}},
              {"bias_stands_still",
               without_bias,
               {.text = N_("That would be so if b stayed as it is. It moves as well and does part "
                           "of the work, so the limit is lower.")}},
              {"input_counts_once",
               without_input,
               {.text = N_("x counts twice: once in the derivative, so in how far w goes, and once "
                           "more in how far p follows w.")}}},
    .hint = {{.text = N_("What becomes of the error e = p - y in a step? The loss is the same when "
                         "e only changes its sign.")},
             {hint_rate_2},
             {hint_rate_3}},
    .explain = {explain_rate},
};

// --- how small a difference

static void ask_width(Page *p, const void *state) {
    page_say(p, _("Real neurons bend: p = tanh(w x + b). The derivative can be checked without "
                  "any formula, by (L(w + h) - L(w - h)) / 2h. In float, which h comes closest?"));
}

enum { WIDTH_ALIKE = WIDTHS, WIDTH_OPTIONS };

static const char *option_width(Page *p, const void *state, int which) {
    if (which == WIDTH_ALIKE) return _("all alike: it is the same derivative");
    return page_text(p, "h = %g", neuron_width[which]);
}

// What it leaves out, h^2/6 of the third derivative, and what rounding of two losses (and of w
// itself) costs, over 2h.
static double expected_error(const Neuron *n, double h) {
    double p = tanh(n->w * n->x + n->b), loss = (p - n->y) * (p - n->y) / 2;
    double rounding = (double)FLT_EPSILON / 2 * (loss + fabs(n->w * neuron_bent_slope(n, n->w)));
    return h * h / 6 * fabs(neuron_bent_third(n)) + rounding / h;
}

static int least(const double error[WIDTHS]) {
    int best = 0;
    for (int i = 1; i < WIDTHS; i++)
        if (error[i] < error[best]) best = i;
    return best;
}

static void truth_width(Truth *out, const void *state) {
    const Neuron *n = state;
    double expected[WIDTHS];
    for (int i = 0; i < WIDTHS; i++) expected[i] = expected_error(n, neuron_width[i]);
    truth_one(out, FROM_THEORY, least(expected));
    answer_one(&out->from[FROM_MEASUREMENT], least(n->width_error));
    out->known[FROM_MEASUREMENT] = n->differenced;
}

static void show_widths(Page *p, const void *state) {
    const Neuron *n = state;
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    for (int i = 0; i < WIDTHS; i++)
        page_line(p, _("  h = %-6g   error %.1e  (measured)   about %.1e  (theory)"),
                  neuron_width[i], n->width_error[i], expected_error(n, neuron_width[i]));
    if (!d) return;
    const SceneSeries error = {_("error"), n->sweep_h, n->sweep_error, SWEEP, TONE_EXPOSED};
    scene_curve(d, p->arena, PAGE_COLUMNS - 4,
                &(SceneCurve){.series = &error,
                              .count = 1,
                              .x_name = "h",
                              .y_name = _("error"),
                              .log_x = true,
                              .log_y = true});
    page_draw(p, d);
}

static void hint_width_3(Page *p, const void *state) {
    for (int i = 0; i < WIDTHS; i++)
        page_line(p, "  h = %-6g   h^2 = %.0e   6e-8 / h = %.0e", neuron_width[i],
                  neuron_width[i] * neuron_width[i], (double)FLT_EPSILON / 2 / neuron_width[i]);
}

static const Question WIDTH_QUESTION = {
    .id = "width",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, WIDTH_OPTIONS},
    .ask = ask_width,
    .option = option_width,
    .truth = truth_width,
    .wrong = {{"smaller_is_better", .option = 2,
               .reply = {.text = N_("In exact arithmetic, yes. In float the two losses agree in "
                                    "almost all digits: their difference is mostly rounding, and "
                                    "dividing by 2h makes that large.")}},
              {"only_rounding_counts", .option = 0,
               .reply = {.text = N_("Rounding is harmless there, but the curve bends between w - h "
                                    "and w + h: the quotient is a chord, no tangent.")}},
              {"all_alike", .option = WIDTH_ALIKE,
               .reply = {.text = N_("The quotient becomes the derivative only as h goes to 0, and "
                                    "a float has 24 bits only.")}}},
    .hint = {{.text = N_("Two errors: the curve bends within h, and the two losses are rounded.")},
             {.text = N_("  error ~ h^2/6 |L'''| + 6e-8 |L| / h")},
             {hint_width_3}},
    .explain = {.text = N_("The first error falls with h squared, the second grows as 1/h: between "
                           "them lies the best h, and nothing is won below it. Gradient checks "
                           "use double, where that best h is smaller and far more exact.")},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &STEP},
    {.kind = STEP_PREDICT, .question = &STEEP},
    {.kind = STEP_RUN, .before = {before_step}, .run = neuron_run_step, .write = {show_step}},
    {.kind = STEP_COMPARE, .question = &STEP},
    {.kind = STEP_COMPARE, .question = &STEEP},
    {.kind = STEP_PREDICT, .question = &RATE},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now the rate is searched for: an interval in whose left end the step "
                           "lowers the loss, and in whose right end it raises it, is halved 60 "
                           "times.")},
     .run = neuron_run_bisection,
     .write = {show_bisection}},
    {.kind = STEP_COMPARE, .question = &RATE},
    {.kind = STEP_PREDICT, .question = &WIDTH_QUESTION},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now the quotient is computed in float for many h, and compared with "
                           "the derivative by the chain rule in double:")},
     .run = neuron_run_widths,
     .write = {show_widths}},
    {.kind = STEP_COMPARE, .question = &WIDTH_QUESTION},
    {.kind = STEP_BOX, .write = {box}},
};

// --- free play: other rates, many steps

static const LessonKnob KNOBS[] = {
    {"rate", UNIT_NUMBER, offsetof(Neuron, rate), 0, 2},
    {"w", UNIT_NUMBER, offsetof(Neuron, w), -10, 10},
};

static Status play(const LessonRun *run, void *state, Page *p) {
    const Neuron *n = state;
    double w = n->w, b = n->b;
    for (int i = 0; i <= 6; i++) {
        page_line(p, _("  step %d   w = %9.4f   b = %9.4f   L = %.4g"), i, w, b,
                  neuron_loss(n, w, b));
        double e = neuron_error(n, w, b);
        w -= n->rate * e * n->x;
        b -= n->rate * e;
    }
    return OK;
}

const Lesson neuron_lesson = {
    .number = 1,
    .name = "neuron",
    .title = N_("One neuron, one step"),
    .objective = N_("Loss, derivative and update as arithmetic, and how long a step may be."),
    .minutes = 12,
    .state_size = sizeof(Neuron),
    .draw = neuron_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
    .knobs = KNOBS,
    .knob_count = LESSON_COUNT(KNOBS),
    .play = play,
};
