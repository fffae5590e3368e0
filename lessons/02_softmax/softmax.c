// SPDX-License-Identifier: MIT
// Lesson 2: softmax and cross-entropy. The probabilities p, the loss -log p[right], and why the
// gradient of the loss with respect to the logits is p - y (Bishop 2006, 4.3.4).
#include "lessons/lessons.h"

#include "lessons/engine/translate.h"
#include "viz/scene/scene.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

enum { CLASSES = 3, MOST_CLASSES = 20, LARGE_LOGIT = 1000 };

typedef struct {
    double logit[CLASSES], p[CLASSES];
    int right;          // the class that the sample is of
    double loss;        // -log p[right]
    int classes;        // of an untrained network
    double first_loss;  // its mean over draws of logits
    int draws;
    double naive, safe;  // f32: the loss with a logit of 1000, as written and as log-sum-exp
} Softmax;

// --- numbers

static void probabilities(double p[], const double logit[], int count) {
    double most = logit[0], sum = 0;
    for (int i = 1; i < count; i++)
        if (logit[i] > most) most = logit[i];
    for (int i = 0; i < count; i++) sum += p[i] = exp(logit[i] - most);
    for (int i = 0; i < count; i++) p[i] /= sum;
}

static double uniform(Rng *r, double low, double high) {
    return low + (high - low) * (double)rng_float(r);
}

static Status draw(const LessonRun *run, void *state) {
    Softmax *x = state;
    Rng r = lesson_rng(run, 0);
    for (int i = 0; i < CLASSES; i++) x->logit[i] = round(10 * uniform(&r, -2, 3)) / 10;
    x->right = (int)rng_below(&r, CLASSES);
    x->classes = 5 + (int)rng_below(&r, MOST_CLASSES - 5);
    probabilities(x->p, x->logit, CLASSES);
    x->loss = -log(x->p[x->right]);
    return OK;
}

// An untrained network gives every class about the same: logits near 0 (here a standard deviation
// of 0.1, as the last layer of `net` begins with).
static Status run_untrained(const LessonRun *run, void *state) {
    Softmax *x = state;
    Rng r = lesson_rng(run, 1);
    x->draws = 1000;
    for (int n = 0; n < x->draws; n++) {
        double logit[MOST_CLASSES], p[MOST_CLASSES];
        for (int i = 0; i < x->classes; i++)
            logit[i] = 0.1 * (uniform(&r, -1, 1) + uniform(&r, -1, 1) + uniform(&r, -1, 1));
        probabilities(p, logit, x->classes);
        x->first_loss -= log(p[rng_below(&r, (uint32_t)x->classes)]) / x->draws;
    }
    return OK;
}

// The loss of the right class when another one has a logit of 1000, in f32.
static Status run_large(const LessonRun *run, void *state) {
    Softmax *x = state;
    float right = 0, other = LARGE_LOGIT;
    float sum = expf(right) + expf(other);
    x->naive = (double)-logf(expf(right) / sum);
    x->safe = (double)(other + logf(expf(right - other) + expf(other - other)) - right);
    return OK;
}

// --- texts

static void hook(Page *p, const void *state) {
    const Softmax *x = state;
    page_say(p,
             _("A network gives one number to each of %d classes, its logits. For one sample "
               "they are:"),
             CLASSES);
    page_line(p, "  z = (%.1f, %.1f, %.1f)", x->logit[0], x->logit[1], x->logit[2]);
    page_say(p,
             _("The sample is of class %d. How wrong is the network, as one number? And which "
               "way should each logit move?"),
             x->right + 1);
}

static void idea(Page *p, const void *state) {
    page_say(p, _("Softmax turns logits into probabilities; cross-entropy is what the network pays "
                  "for the probability that it gives to the right class c:"));
    page_line(p, "  p_i = exp(z_i) / (exp(z_1) + ... + exp(z_C))      L = -log p_c");
    page_say(
        p, _("Adding the same number to all logits changes no probability. Multiplying all by a "
             "number above 1 makes the largest probability larger. log is the natural logarithm."));
}

static void box(Page *p, const void *state) {
    const Softmax *x = state;
    page_box(p,
             _("dL/dz = p - y: every logit is pushed as hard as its probability is wrong. A "
               "network of %d classes that knows nothing has a loss of ln %d = %.4f."),
             x->classes, x->classes, log(x->classes));
}

// --- the loss

static void ask_loss(Page *p, const void *state) {
    const Softmax *x = state;
    page_say(p,
             _("z = (%.1f, %.1f, %.1f), and class %d is right. What is the loss, to three "
               "decimal places?"),
             x->logit[0], x->logit[1], x->logit[2], x->right + 1);
}

static void truth_loss(Truth *out, const void *state) {
    const Softmax *x = state;
    truth_one(out, FROM_THEORY, x->loss);
    out->absolute = 2e-3;
}

static void probability_loss(Answer *out, const void *state) {
    const Softmax *x = state;
    answer_one(out, x->p[x->right]);
}

static void logit_loss(Answer *out, const void *state) {
    const Softmax *x = state;
    answer_one(out, -x->logit[x->right]);
}

static void base2_loss(Answer *out, const void *state) {
    const Softmax *x = state;
    answer_one(out, x->loss / log(2));
}

static void reply_probability(Page *p, const void *state) {
    const Softmax *x = state;
    page_say(p,
             _("%.4f is the probability of class %d itself. The loss is minus its logarithm: a "
               "probability of 1 costs nothing, one near 0 costs without limit."),
             x->p[x->right], x->right + 1);
}

static void reply_logit(Page *p, const void *state) {
    const Softmax *x = state;
    page_say(p,
             _("%.4f is minus the logit of class %d. Logits mean nothing by themselves: only their "
               "differences count, through softmax."),
             -x->logit[x->right], x->right + 1);
}

static void hint_loss_3(Page *p, const void *state) {
    const Softmax *x = state;
    page_line(p, "  L = ln(%.4f + %.4f + %.4f) - (%.1f)", exp(x->logit[0]), exp(x->logit[1]),
              exp(x->logit[2]), x->logit[x->right]);
}

static void explain_loss(Page *p, const void *state) {
    const Softmax *x = state;
    page_say(p, _("p = (%.4f, %.4f, %.4f), and L = -ln %.4f = %.4f."), x->p[0], x->p[1], x->p[2],
             x->p[x->right], x->loss);
}

static const Question LOSS = {
    .id = "loss",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_loss,
    .truth = truth_loss,
    .wrong = {{"probability_itself", probability_loss, {reply_probability}},
              {"minus_the_logit", logit_loss, {reply_logit}},
              {"base_two",
               base2_loss,
               {.text = N_("That is the logarithm to base 2, in bits. Losses of networks are in "
                           "nats: the natural logarithm.")}}},
    .hint = {{.text = N_("First the probability of the right class, then its logarithm.")},
             {.text = "  L = log(exp(z_1) + exp(z_2) + exp(z_3)) - z_c"},
             {hint_loss_3}},
    .explain = {explain_loss},
};

// --- its gradient

static void ask_gradient(Page *p, const void *state) {
    const Softmax *x = state;
    page_say(p,
             _("p = (%.4f, %.4f, %.4f), and class %d is right. What is the derivative of the loss "
               "with respect to each logit? Three numbers."),
             x->p[0], x->p[1], x->p[2], x->right + 1);
}

static void gradient(Answer *out, const Softmax *x, double right, double others) {
    out->count = CLASSES;
    for (int i = 0; i < CLASSES; i++)
        out->values[i] = others * x->p[i] - (i == x->right ? right : 0);
}

static void truth_gradient(Truth *out, const void *state) {
    gradient(&out->from[FROM_THEORY], state, 1, 1);
    out->known[FROM_THEORY] = true;
    out->absolute = 2e-3;
}

static void only_target(Answer *out, const void *state) {
    const Softmax *x = state;
    gradient(out, x, 0, 0);
    out->values[x->right] = x->p[x->right] - 1;
}

static void other_sign(Answer *out, const void *state) { gradient(out, state, -1, -1); }

static void just_probabilities(Answer *out, const void *state) { gradient(out, state, 0, 1); }

static void hint_gradient_3(Page *p, const void *state) {
    const Softmax *x = state;
    page_line(p, "  dL/dz_%d = %.4f - 1", x->right + 1, x->p[x->right]);
}

static void draw_gradient(Page *p, const Softmax *x, const Answer *a) {
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    SceneBar bars[2 * CLASSES];
    for (int i = 0; i < CLASSES; i++) {
        const char *name = page_text(p, "p_%d", i + 1);
        bars[i] = (SceneBar){name, x->p[i], i == x->right, true, TONE_COMPUTE};
        bars[CLASSES + i] = (SceneBar){page_text(p, "p_%d - y_%d", i + 1, i + 1), a->values[i], 0,
                                       false, TONE_EXPOSED};
    }
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, 2 * CLASSES, "%.4f", 1});
    page_draw(p, d);
}

static void explain_gradient(Page *p, const void *state) {
    const Softmax *x = state;
    Answer a;
    gradient(&a, x, 1, 1);
    draw_gradient(p, x, &a);
    page_say(p,
             _("The mark on a bar of p is y: 1 for the right class, else 0. p - y = (%.4f, %.4f, "
               "%.4f). The entries add up to 0: what one class gains the others lose."),
             a.values[0], a.values[1], a.values[2]);
}

static const Question GRADIENT = {
    .id = "gradient",
    .shape = {ANSWER_CURVE, UNIT_NUMBER, CLASSES},
    .ask = ask_gradient,
    .truth = truth_gradient,
    .wrong = {{"only_the_target",
               only_target,
               {.text =
                    N_("The other logits count as well: they are in the sum below the fraction, "
                       "and raising one of them takes probability from the right class.")}},
              {"other_sign",
               other_sign,
               {.text = N_(
                    "The signs are turned around: y - p is the direction in which the loss falls. "
                    "The gradient points to where it rises, and descent goes against it.")}},
              {"just_the_probabilities",
               just_probabilities,
               {.text = N_("That is the gradient of log(exp(z_1) + ...) alone. The right class "
                           "also has its own -z_c in the loss, which takes 1 away.")}}},
    .hint = {{.text = N_("Each entry says how far a probability is from what it should be.")},
             {.text = "  dL/dz_i = p_i - y_i,   y_c = 1,  y_i = 0"},
             {hint_gradient_3}},
    .explain = {explain_gradient},
};

// --- the loss before training

static void ask_untrained(Page *p, const void *state) {
    const Softmax *x = state;
    page_say(p,
             _("A network of %d classes has just been initialised: its logits are small random "
               "numbers. What is its mean loss, about?"),
             x->classes);
}

static void truth_untrained(Truth *out, const void *state) {
    const Softmax *x = state;
    truth_one(out, FROM_THEORY, log(x->classes));
    answer_one(&out->from[FROM_MEASUREMENT], x->first_loss);
    out->known[FROM_MEASUREMENT] = x->draws > 0;
    out->relative = 0.02;
}

static void no_loss(Answer *out, const void *state) { answer_one(out, 0); }

static void one_over(Answer *out, const void *state) {
    const Softmax *x = state;
    answer_one(out, 1.0 / x->classes);
}

static void share_wrong(Answer *out, const void *state) {
    const Softmax *x = state;
    answer_one(out, 1 - 1.0 / x->classes);
}

static void reply_one_over(Page *p, const void *state) {
    const Softmax *x = state;
    page_say(p, _("1/%d is the probability of each class. The loss is minus its logarithm."),
             x->classes);
}

static void reply_share_wrong(Page *p, const void *state) {
    const Softmax *x = state;
    page_say(p,
             _("1 - 1/%d is how often a guess is wrong. Loss and accuracy are different things: "
               "one can rise while the other does, too."),
             x->classes);
}

static void hint_untrained_3(Page *p, const void *state) {
    const Softmax *x = state;
    page_line(p, "  L = ln %d", x->classes);
}

static void explain_untrained(Page *p, const void *state) {
    const Softmax *x = state;
    page_say(p,
             _("Every class gets 1/%d, so the loss is ln %d. The measured one is a little more, "
               "since the random logits favour wrong classes. With ten classes a loss of ln 10 = "
               "2.3 does not mean that something is broken: the network just knows nothing yet."),
             x->classes, x->classes);
}

static const Question UNTRAINED = {
    .id = "untrained_loss",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_untrained,
    .truth = truth_untrained,
    .wrong = {{"starts_at_zero",
               no_loss,
               {.text = N_(
                    "A loss of 0 would mean that the network is certain, and right, every time.")}},
              {"one_over_classes", one_over, {reply_one_over}},
              {"share_of_errors", share_wrong, {reply_share_wrong}}},
    .hint = {{.text = N_("Which probability does each class get when all logits are about equal?")},
             {.text = "  L = -log(1/C)"},
             {hint_untrained_3}},
    .explain = {explain_untrained},
};

// --- a logit of 1000

static void ask_large(Page *p, const void *state) {
    page_say(p, _("Two classes: z = (0, 1000), and class 1 is right. In float, what does "
                  "-log(exp(z_1) / (exp(z_1) + exp(z_2))) give, computed as it is written?"));
}

enum { LARGE_INFINITE, LARGE_1000, LARGE_ZERO, LARGE_OPTIONS };

static const char *option_large(Page *p, const void *state, int which) {
    if (which == LARGE_INFINITE) return _("infinity: exp(1000) is too large for a float");
    if (which == LARGE_1000) return _("1000, which is right");
    return _("0: the smaller exponential is lost in rounding");
}

// What a loss is taken for.
static int large_option(double loss) {
    if (!isfinite(loss)) return LARGE_INFINITE;
    return loss == 0 ? LARGE_ZERO : LARGE_1000;
}

// By theory an exponential overflows where its argument exceeds the logarithm of the largest float.
static void truth_large(Truth *out, const void *state) {
    const Softmax *x = state;
    bool overflows = LARGE_LOGIT > log((double)FLT_MAX);
    truth_one(out, FROM_THEORY, overflows ? LARGE_INFINITE : LARGE_1000);
    answer_one(&out->from[FROM_MEASUREMENT], large_option(x->naive));
    out->known[FROM_MEASUREMENT] = x->safe != 0;
}

static void before_large(Page *p, const void *state) {
    page_say(p, _("The formula as it is written, and with the largest logit taken out first:"));
    page_line(p, "  L = m + log(exp(z_1 - m) + exp(z_2 - m)) - z_c,   m = max z");
}

static void show_large(Page *p, const void *state) {
    const Softmax *x = state;
    page_line(p, _("  as written    %g"), x->naive);
    page_line(p, _("  log-sum-exp   %g"), x->safe);
}

static const Question LARGE = {
    .id = "large_logit",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, LARGE_OPTIONS},
    .ask = ask_large,
    .option = option_large,
    .truth = truth_large,
    .wrong = {{"formula_is_the_program", .option = LARGE_1000,
               .reply = {.text =
                             N_("1000 is the value of the formula, but not what the computation "
                                "gives: the largest float is about 3.4e38, and exp(89) is more.")}},
              {"rounding_only", .option = LARGE_ZERO,
               .reply = {.text = N_("Rounding does lose the smaller one, but the larger is "
                                    "infinity, and -log(1/infinity) is infinite.")}}},
    .hint = {{.text = N_("How large can a float be?")},
             {.text = "  exp(88.7) = 3.3e38"},
             {.text = "  -log(1 / inf) = ?"}},
    .explain = {.text = N_(
                    "Shifting all logits changes no probability, so the largest is shifted to 0: "
                    "no exponential is above 1 then. Every trainer does this, core/device does.")},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &LOSS},
    {.kind = STEP_COMPARE, .question = &LOSS},
    {.kind = STEP_PREDICT, .question = &GRADIENT},
    {.kind = STEP_COMPARE, .question = &GRADIENT},
    {.kind = STEP_PREDICT, .question = &UNTRAINED},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now 1000 samples get random logits, and their losses are averaged.")},
     .run = run_untrained},
    {.kind = STEP_COMPARE, .question = &UNTRAINED},
    {.kind = STEP_PREDICT, .question = &LARGE},
    {.kind = STEP_RUN, .before = {before_large}, .run = run_large, .write = {show_large}},
    {.kind = STEP_COMPARE, .question = &LARGE},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson softmax_lesson = {
    .number = 2,
    .name = "softmax",
    .title = N_("Softmax and cross-entropy"),
    .objective = N_("What a classifier's loss is, why its gradient is p - y, and what it is before "
                    "anything has been learned."),
    .minutes = 10,
    .state_size = sizeof(Softmax),
    .draw = draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
