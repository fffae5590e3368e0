// SPDX-License-Identifier: MIT
// Lesson 5: minibatches and noise. The gradient of a batch is that of all samples, and a spread
// that falls with the root of its size (Bottou, Curtis and Nocedal, 2018); accumulation; what an
// epoch is worth.
#include "lessons/05_minibatch/minibatch.h"

#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "viz/scene/scene.h"

#include <float.h>
#include <math.h>

// --- texts

static void hook(Page *p, const void *state) {
    const Minibatch *m = state;
    page_say(p,
             _("A network with 970 weights learns %d digits of %d x %d pixels. The gradient of the "
               "mean loss over all of them is what descent wants. It costs %d samples a step."),
             ALL_SAMPLES, SIDE, SIDE, ALL_SAMPLES);
    page_say(p,
             _("Training takes the gradient of a few samples instead, %d, say. How wrong is that, "
               "and how much better is a batch of %d?"),
             m->small, m->small * m->times);
}

static void idea(Page *p, const void *state) {
    page_say(p, _("Samples are drawn at random, so the gradient of a batch is on average that of "
                  "all samples: it is unbiased. Around that average it scatters. By sigma we "
                  "mean the root of the mean squared distance from the gradient of all."));
    page_say(p, _("The mean of B independent values scatters less than one of them: their "
                  "variances add up, and a mean divides the sum by B."));
    page_line(p, "  variance(g_B) = variance(g_1) / B");
}

static void box(Page *p, const void *state) {
    const Minibatch *m = state;
    page_box(p,
             _("sigma falls as 1/sqrt(B): %d times the samples, %.2f times less noise (measured; "
               "theory %.2f). At the same rate the larger batch needed %d steps, the smaller %d: "
               "far more samples for nearly the same path."),
             m->times, m->spread[0] / m->spread[SIZES - 1], sqrt(m->times), m->steps_large,
             m->steps_small);
}

// --- spread

static void ask_spread(Page *p, const void *state) {
    const Minibatch *m = state;
    page_say(p,
             _("Gradients of %d batches of %d samples are computed, and of %d batches of %d. How "
               "many times larger is sigma of the small batches than of the large ones?"),
             GRADIENTS, m->small, GRADIENTS, m->small * m->times);
}

static void truth_spread(Truth *out, const void *state) {
    const Minibatch *m = state;
    truth_one(out, FROM_THEORY, sqrt(m->times));
    out->relative = 0.06;
    if (!m->spread_known) return;
    double ratio = m->spread[0] / m->spread[SIZES - 1];
    truth_one(out, FROM_MEASUREMENT, ratio);
    out->relative = fmax(out->relative, (m->high - m->low) / 2 / ratio);
}

static void variances(Answer *out, const void *state) {
    const Minibatch *m = state;
    answer_one(out, m->times);
}
static void just_as_wide(Answer *out, const void *state) { answer_one(out, 1); }
static void turned_around(Answer *out, const void *state) {
    const Minibatch *m = state;
    answer_one(out, 1 / sqrt(m->times));
}

static void show_spread(Page *p, const void *state) {
    const Minibatch *m = state;
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    SceneBar bars[SIZES];
    for (int i = 0; i < SIZES; i++)
        bars[i] =
            (SceneBar){page_text(p, "B = %d", m->size[i]), m->spread[i],
                       m->spread[0] * sqrt((double)m->small / m->size[i]), i > 0, TONE_COMPUTE};
    page_say(p, _("sigma (measured), and where 1/sqrt(B) would have it:"));
    if (d) {
        scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, SIZES, "%.4f", 0});
        page_draw(p, d);
    }
    page_line(p, _("  ratio %.3f, between %.3f and %.3f by bootstrap (95 %%, measured)"),
              m->spread[0] / m->spread[SIZES - 1], m->low, m->high);
    page_line(p, _("  the mean of %d gradients is %.4f off (measured), about %.4f (theory)"),
              GRADIENTS, m->off_mean, m->expected_off_mean);
}

static void hint_spread_3(Page *p, const void *state) {
    const Minibatch *m = state;
    page_line(p, "  sqrt(%d / %d)", m->small * m->times, m->small);
}
static void explain_spread(Page *p, const void *state) {
    const Minibatch *m = state;
    page_say(p,
             _("sqrt(%d) = %.2f. To halve the noise takes four times the samples: the first ones "
               "help most. That is why a larger batch is not always better: its cost grows with B, "
               "what it gains with the root of B."),
             m->times, sqrt(m->times));
}

static const Question SPREAD = {
    .id = "spread",
    .shape = {ANSWER_VALUE, UNIT_TIMES, 0},
    .ask = ask_spread,
    .truth = truth_spread,
    .wrong = {{"variance_for_spread",
               variances,
               {.text = N_("That is the ratio of the variances, which fall as 1/B. sigma is a "
                           "distance, the root of a variance.")}},
              {"always_as_wide",
               just_as_wide,
               {.text = N_("The average of the gradients does not depend on B. How far a single "
                           "one is from it does.")}},
              {"large_is_wider",
               turned_around,
               {.text = N_("The larger batch scatters less: among many samples, unusual ones make "
                           "up for each other.")}}},
    .hint = {{.text = N_("How does the variance of a mean depend on how many are averaged?")},
             {.text = "  sigma(B1) / sigma(B2) = sqrt(B2 / B1)"},
             {hint_spread_3}},
    .explain = {explain_spread},
};

// --- an epoch's mean

static double epoch_mean(const Minibatch *m) {
    return ((ALL_SAMPLES - m->last_rows) * m->full_batches + m->last_rows * m->last_batch) /
           ALL_SAMPLES;
}

static void ask_mean(Page *p, const void *state) {
    const Minibatch *m = state;
    page_say(p,
             _("%d samples in batches of %d: the last batch has only %d. Here the samples are not "
               "shuffled, they come class by class. The mean losses of the batches are:"),
             ALL_SAMPLES, m->epoch_batch, m->last_rows);
    page_line(p, _("  %d full batches, on average   %.4f  (measured)"), m->batches - 1,
              m->full_batches);
    page_line(p, _("  the last batch, of %-3d        %.4f  (measured)"), m->last_rows,
              m->last_batch);
    page_say(p, _("What is the mean loss of all samples, to three decimal places?"));
}

static void truth_mean(Truth *out, const void *state) {
    const Minibatch *m = state;
    truth_one(out, FROM_THEORY, epoch_mean(m));
    answer_one(&out->from[FROM_MEASUREMENT], m->epoch_loss);
    out->known[FROM_MEASUREMENT] = m->epoch_known;
    out->absolute = 1e-3;
}

static void mean_of_means(Answer *out, const void *state) {
    const Minibatch *m = state;
    answer_one(out, ((m->batches - 1) * m->full_batches + m->last_batch) / m->batches);
}
static void half_and_half(Answer *out, const void *state) {
    const Minibatch *m = state;
    answer_one(out, (m->full_batches + m->last_batch) / 2);
}
static void last_one_left_out(Answer *out, const void *state) {
    const Minibatch *m = state;
    answer_one(out, m->full_batches);
}

static void hint_mean_3(Page *p, const void *state) {
    const Minibatch *m = state;
    page_line(p, "  (%d * %.4f + %d * %.4f) / %d", ALL_SAMPLES - m->last_rows, m->full_batches,
              m->last_rows, m->last_batch, ALL_SAMPLES);
}
static void explain_mean(Page *p, const void *state) {
    const Minibatch *m = state;
    Answer means;
    mean_of_means(&means, m);
    page_say(p,
             _("Each sample counts once: %.4f. The mean of the batch means is %.4f, since a sample "
               "of the last batch counts %.1f times as much there. The same happens to gradients "
               "of ranks with unequal shards; Tandem divides once, by the global batch."),
             epoch_mean(m), means.values[0], (double)m->epoch_batch / m->last_rows);
}

static const Question MEAN = {
    .id = "mean_of_means",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_mean,
    .truth = truth_mean,
    .wrong = {{"mean_of_batch_means",
               mean_of_means,
               {.text =
                    N_("That is the mean of the batch means. It is the mean of the samples only "
                       "if all batches are of one size; the last one here is shorter.")}},
              {"two_kinds_of_batches",
               half_and_half,
               {.text = N_("That weighs the last batch as much as all full ones together.")}},
              {"last_batch_is_dropped",
               last_one_left_out,
               {.text = N_("That leaves the last batch out. Its samples are samples as well.")}}},
    .hint = {{.text = N_("How many samples stand behind each of the two numbers?")},
             {.text = N_("  sum over batches of rows * mean / all rows")},
             {hint_mean_3}},
    .explain = {explain_mean},
};

// --- pieces of a batch

static void ask_pieces(Page *p, const void *state) {
    const Minibatch *m = state;
    page_say(p,
             _("A batch of %d does not fit into memory. It is cut into %d micro-batches, one after "
               "the other; each loss is divided by %d, and the gradients are added up in float. "
               "How does the sum compare with the gradient of the whole batch?"),
             m->epoch_batch, m->micro_batches, m->epoch_batch);
}

enum { PIECES_ROUNDING, PIECES_EQUAL, PIECES_NOISE, PIECES_FACTOR, PIECES_OPTIONS };
static const char *const PIECES[PIECES_OPTIONS] = {
    N_("the same, but for the last bits"), N_("the same, to the last bit"),
    N_("noisier, as small batches are"), N_("as many times larger as there are micro-batches")};

// What a difference relative to the largest entry means.
static int pieces_option(double relative, double factor) {
    if (factor > 1.5) return PIECES_FACTOR;
    if (relative == 0) return PIECES_EQUAL;
    return relative < 1e-4 ? PIECES_ROUNDING : PIECES_NOISE;
}

// By theory each of the B additions may round in another way when their order changes.
static void truth_pieces(Truth *out, const void *state) {
    const Minibatch *m = state;
    double bound = m->epoch_batch * (double)FLT_EPSILON / 2;
    truth_one(out, FROM_THEORY, pieces_option(bound, 1));
    if (!m->accumulated) return;
    truth_one(out, FROM_MEASUREMENT, pieces_option(m->farthest / m->largest, m->factor));
}

static void hint_pieces_3(Page *p, const void *state) {
    const Minibatch *m = state;
    page_line(p, "  (g_1 + ... + g_%d) / %d", m->epoch_batch, m->epoch_batch);
}
static void explain_pieces(Page *p, const void *state) {
    const Minibatch *m = state;
    page_say(p,
             _("Both are the same sum over %d samples; only the order of additions differs. The "
               "largest difference of an entry is %.1e, which is %.0f units in its last place "
               "(measured); the largest entry is %.1e. Accumulation is the large batch, at less "
               "memory and more time."),
             m->epoch_batch, m->farthest, m->farthest_ulp, m->largest);
}

static const Question PIECES_QUESTION = {
    .id = "accumulation",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, PIECES_OPTIONS},
    .ask = ask_pieces,
    .options = PIECES,
    .truth = truth_pieces,
    .wrong =
        {{"small_batches_are_noisy", .option = PIECES_NOISE,
          .reply = {.text = N_("Noise comes from which samples are seen, not from how they are "
                               "cut: all of them are in the sum.")}},
         {"sum_is_larger", .option = PIECES_FACTOR,
          .reply = {.text = N_("It would be if each micro-batch's loss were divided by its own "
                               "rows. Here all are divided by the rows of the whole batch.")}},
         {"order_does_not_matter", .option = PIECES_EQUAL,
          .reply = {.text = N_("In exact arithmetic. A float sum depends on the order of its "
                               "additions, in the last bits.")}}},
    .hint = {{.text = N_("Which samples are in each of the two sums, and what are they divided "
                         "by?")},
             {.text = N_("  the order of additions: ((a + b) + c) + d against (a + b) + (c + d)")},
             {hint_pieces_3}},
    .explain = {explain_pieces},
};

// --- steps and epochs

static void ask_steps(Page *p, const void *state) {
    const Minibatch *m = state;
    page_say(p,
             _("The network is trained from the start until the loss of all samples has halved, "
               "with batches of %d, and again with batches of %d. The learning rate is %.2f both "
               "times. How many steps does the larger batch take?"),
             m->small, m->small * m->times, m->rate);
}

enum { STEPS_SAME, STEPS_SAME_EPOCHS, STEPS_FEWER, STEPS_OPTIONS };

static const char *option_steps(Page *p, const void *state, int which) {
    const Minibatch *m = state;
    if (which == STEPS_SAME)
        return page_text(p, _("about as many, and so %d times as many samples"), m->times);
    if (which == STEPS_SAME_EPOCHS)
        return page_text(p, _("1/%d of them: the same number of epochs"), m->times);
    return page_text(p, _("less than 1/%d: a better gradient needs fewer samples"), m->times);
}

// What a ratio of steps comes nearest to: 1, the ratio of the batches, or twice that.
static int steps_option(double ratio, int times) {
    if (ratio < sqrt(times)) return STEPS_SAME;
    return ratio < times * sqrt(2) ? STEPS_SAME_EPOCHS : STEPS_FEWER;
}

// By theory the mean step, and so their number, is the same whatever the batch.
static void truth_steps(Truth *out, const void *state) {
    const Minibatch *m = state;
    truth_one(out, FROM_THEORY, steps_option(1, m->times));
    if (!m->steps_large) return;
    truth_one(out, FROM_MEASUREMENT,
              steps_option((double)m->steps_small / m->steps_large, m->times));
}

static void show_training(Page *p, const void *state) {
    const Minibatch *m = state;
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    double *step = ARENA_NEW(p->arena, double, TRAINED_STEPS + 1);
    page_line(p, _("  batches of %-4d  %d steps, %.1f epochs  (measured)"), m->small,
              m->steps_small, (double)m->steps_small * m->small / ALL_SAMPLES);
    page_line(p, _("  batches of %-4d  %d steps, %.1f epochs  (measured)"), m->small * m->times,
              m->steps_large, (double)m->steps_large * m->small * m->times / ALL_SAMPLES);
    if (!d || !step) return;
    for (int i = 0; i <= TRAINED_STEPS; i++) step[i] = i;
    const SceneSeries series[] = {
        {page_text(p, "B = %d", m->small), step, m->loss_small, m->steps_small + 1, TONE_COMPUTE},
        {page_text(p, "B = %d", m->small * m->times), step, m->loss_large, m->steps_large + 1,
         TONE_EXPOSED}};
    scene_curve(d, p->arena, PAGE_COLUMNS - 4,
                &(SceneCurve){.series = series, .count = 2, .x_name = _("step"), .y_name = "L"});
    page_draw(p, d);
}

static void hint_steps_3(Page *p, const void *state) {
    const Minibatch *m = state;
    page_line(p, _("  mean step: -%.2f times the gradient of all, both times"), m->rate);
}
static void explain_steps(Page *p, const void *state) {
    const Minibatch *m = state;
    page_say(
        p,
        _("Both take the same step on average, so %d and %d steps lie close together. An epoch "
          "is no fixed amount of learning: the small batches made %d steps of one, the large "
          "ones %d. A larger batch pays off only where noise is what limits the rate: then it "
          "allows a higher one."),
        m->steps_small, m->steps_large, ALL_SAMPLES / m->small,
        ALL_SAMPLES / (m->small * m->times));
}

static const Question STEPS_QUESTION = {
    .id = "steps",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, STEPS_OPTIONS},
    .ask = ask_steps,
    .option = option_steps,
    .truth = truth_steps,
    .wrong = {{"epoch_is_learning", .option = STEPS_SAME_EPOCHS,
               .reply = {.text = N_("That takes an epoch for a fixed amount of learning. Weights "
                                    "change once a step, by the rate times the gradient: a mean "
                                    "over more samples does not make it longer.")}},
              {"bigger_is_better", .option = STEPS_FEWER,
               .reply = {.text =
                             N_("The better gradient points more exactly to where the small one "
                                "points on average. It does not go farther.")}}},
    .hint = {{.text = N_("How far does a step go, on average, for each of the two sizes?")},
             {.text = "  w' = w - eta * mean of the B gradients"},
             {hint_steps_3}},
    .explain = {explain_steps},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &SPREAD},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now the trainer's network computes the gradient of all samples, and "
                           "those of 200 random batches of three sizes.")},
     .run = minibatch_run_spread,
     .write = {show_spread}},
    {.kind = STEP_COMPARE, .question = &SPREAD},
    {.kind = STEP_PREDICT, .question = &MEAN},
    {.kind = STEP_PREDICT, .question = &PIECES_QUESTION},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now the batch is computed at once, and in micro-batches by the plan "
                           "that train --accumulate makes; and the loss of all samples at "
                           "once.")},
     .run = minibatch_run_pieces},
    {.kind = STEP_COMPARE, .question = &MEAN},
    {.kind = STEP_COMPARE, .question = &PIECES_QUESTION},
    {.kind = STEP_PREDICT, .question = &STEPS_QUESTION},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now both trainings run, with batches drawn at random.")},
     .run = minibatch_run_training,
     .write = {show_training}},
    {.kind = STEP_COMPARE, .question = &STEPS_QUESTION},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson minibatch_lesson = {
    .number = 5,
    .name = "minibatch",
    .title = N_("Minibatches and noise"),
    .objective = N_("How far the gradient of a few samples is from that of all, and what a larger "
                    "batch buys."),
    .minutes = 12,
    .state_size = sizeof(Minibatch),
    .draw = minibatch_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
