// SPDX-License-Identifier: MIT
// Lesson 3: backpropagation as a ledger (Rumelhart, Hinton and Williams, 1986): local derivative
// times what arrives, added up where a value was used more than once; and what it saves.
#include "lessons/03_backprop/backprop.h"

#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "viz/scene/scene.h"

#include <math.h>
#include <stdio.h>

// dL/dW1[unit][input] of sample 0.
static double asked(const Backprop *b) { return b->x[0][b->input] * backprop_arriving(b, b->unit); }

// --- texts

static void hook(Page *p, const void *state) {
    const Backprop *b = state;
    page_say(p,
             _("A network with one hidden layer: %d inputs, %d units, %d classes. It has %d "
               "weights and biases."),
             INPUTS, b->units, OUTPUTS, b->weight_count);
    page_line(p, "  z = W1 x + b1    a = max(z, 0)    s = W2 a + b2    L = -log softmax(s)_c");
    page_say(p, _("To learn, it needs the derivative of the loss with respect to each of them. "
                  "One could nudge one weight after the other and look what the loss does. There "
                  "is a way that gets all of them at about the price of three such looks, however "
                  "many there are."));
}

static void idea(Page *p, const void *state) {
    page_say(p, _("Think of a ledger. In the forward pass every operation writes down its inputs. "
                  "In the backward pass it gets one number, how the loss changes with its result, "
                  "multiplies it by its own derivative, and hands it on to its inputs."));
    page_line(p, "  softmax, loss   dL/ds_k = p_k - y_k");
    page_line(p, "  s = W2 a        dL/da_u = sum over k of W2[k][u] dL/ds_k");
    page_line(p, _("  a = max(z, 0)   dL/dz_u = dL/da_u where z_u > 0, else 0"));
    page_line(p, "  z = W1 x        dL/dW1[u][i] = x_i dL/dz_u");
    page_say(p, _("A value that was used more than once gets one entry for each use; they are "
                  "added up."));
}

static void box(Page *p, const void *state) {
    const Backprop *b = state;
    page_box(p,
             _("One forward and one backward pass give all %d derivatives; differences took %lld "
               "forward passes for the same (measured), and agree to %.0e. A backward pass costs "
               "about two forward passes, whatever the number of weights."),
             b->weight_count, (long long)b->forwards, b->farthest);
}

static void before_run(Page *p, const void *state) {
    page_say(p, _("Now the trainer's own network is made of these weights, and its step runs on "
                  "the reference device in double: first on sample 1, then on all samples."));
}

// The path of one weight: what went forward, what came back.
static void draw_ledger(Page *p, const Backprop *b) {
    enum { PLACES = 4 + OUTPUTS };
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    SceneCell cells[2 * PLACES] = {{{0}}};
    const char *rows[2] = {_("forward"), _("backward")}, *columns[PLACES];
    double arriving = backprop_arriving(b, b->unit), x = b->x[0][b->input];
    double forward[4] = {x, b->w1[b->unit][b->input], b->z[0][b->unit], b->z[0][b->unit]};
    double backward[4] = {b->w1[b->unit][b->input] * arriving, x * arriving, arriving, arriving};
    if (!d) return;
    columns[0] = page_text(p, "x_%d", b->input + 1);
    columns[1] = "W1";
    columns[2] = page_text(p, "z_%d", b->unit + 1);
    columns[3] = page_text(p, "a_%d", b->unit + 1);
    for (int k = 0; k < OUTPUTS; k++) {
        double share = b->w2[k][b->unit] * b->z[0][b->unit];
        columns[4 + k] = page_text(p, "s_%d", k + 1);
        snprintf(cells[4 + k].text, sizeof cells->text, "%.3f", share);
        snprintf(cells[PLACES + 4 + k].text, sizeof cells->text, "%.3f", b->ds[k]);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(cells[i].text, sizeof cells->text, "%.3f", forward[i]);
        snprintf(cells[PLACES + i].text, sizeof cells->text, "%.3f", backward[i]);
    }
    cells[PLACES + 1].kind = CELL_MOVING;
    scene_board(d, p->arena, PAGE_COLUMNS, &(SceneBoard){rows, columns, 2, PLACES, cells});
    page_draw(p, d);
}

// What each unit gets on each sample.
static void draw_units(Page *p, const Backprop *b) {
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    SceneCell cells[SAMPLES * MOST_UNITS] = {{{0}}};
    const char *rows[SAMPLES], *columns[MOST_UNITS];
    if (!d) return;
    for (int u = 0; u < b->units; u++) columns[u] = page_text(p, "z_%d", u + 1);
    for (int n = 0; n < SAMPLES; n++) {
        rows[n] = page_text(p, _("sample %d"), n + 1);
        for (int u = 0; u < b->units; u++)
            snprintf(cells[n * b->units + u].text, sizeof cells->text, "%.2f", b->z[n][u]);
    }
    scene_board(d, p->arena, PAGE_COLUMNS, &(SceneBoard){rows, columns, SAMPLES, b->units, cells});
    page_draw(p, d);
}

static void show_run(Page *p, const void *state) {
    const Backprop *b = state;
    const char *const names[] = {"W1", "b1", "W2", "b2"};
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    SceneBar bars[4];
    for (int i = 0; i < 4; i++) bars[i] = (SceneBar){names[i], b->norm[i], 0, false, TONE_COMPUTE};
    page_say(p, _("How large the gradient of each layer is, of all samples: the root of the sum of "
                  "its squares (measured)."));
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, 4, "%.4f", 0});
    page_draw(p, d);
}

// --- one entry

static void ask_entry(Page *p, const void *state) {
    const Backprop *b = state;
    page_say(p, _("Sample 1 is of class %d. Known from the forward pass, and of the last layer:"),
             b->label[0] + 1);
    page_line(p, "  x = (%.1f, %.1f)    p - y = (%.3f, %.3f, %.3f)", b->x[0][0], b->x[0][1],
              b->ds[0], b->ds[1], b->ds[2]);
    page_line(p, _("  unit %d: z = %.2f, its weights to the three outputs: %.1f, %.1f, %.1f"),
              b->unit + 1, b->z[0][b->unit], b->w2[0][b->unit], b->w2[1][b->unit],
              b->w2[2][b->unit]);
    page_say(p,
             _("The weight from x_%d to unit %d is %.1f, and the learning rate is %.1f. What is "
               "the derivative of the loss with respect to that weight, to three decimal places?"),
             b->input + 1, b->unit + 1, b->w1[b->unit][b->input], b->rate);
}

static void truth_entry(Truth *out, const void *state) {
    const Backprop *b = state;
    truth_one(out, FROM_THEORY, asked(b));
    answer_one(&out->from[FROM_MEASUREMENT], b->gradient);
    out->known[FROM_MEASUREMENT] = b->ran;
    out->absolute = 1.5e-3;
}

static void one_path(Answer *out, const void *state) {
    const Backprop *b = state;
    int c = b->label[0];
    answer_one(out, b->x[0][b->input] * b->w2[c][b->unit] * b->ds[c]);
}
static void overwritten(Answer *out, const void *state) {
    const Backprop *b = state;
    int last = OUTPUTS - 1;
    answer_one(out, b->x[0][b->input] * b->w2[last][b->unit] * b->ds[last]);
}
static void without_input(Answer *out, const void *state) {
    const Backprop *b = state;
    answer_one(out, backprop_arriving(b, b->unit));
}
static void updated(Answer *out, const void *state) {
    const Backprop *b = state;
    answer_one(out, b->w1[b->unit][b->input] - b->rate * asked(b));
}

static void reply_without_input(Page *p, const void *state) {
    const Backprop *b = state;
    page_say(
        p,
        _("That is what arrives at the unit, dL/dz. The weight multiplies x_%d = %.1f, so that "
          "is its local derivative and still a factor."),
        b->input + 1, b->x[0][b->input]);
}
static void hint_entry_3(Page *p, const void *state) {
    const Backprop *b = state;
    page_line(p, "  %.1f * (%.1f * %.3f + %.1f * %.3f + %.1f * %.3f)", b->x[0][b->input],
              b->w2[0][b->unit], b->ds[0], b->w2[1][b->unit], b->ds[1], b->w2[2][b->unit],
              b->ds[2]);
}
static void explain_entry(Page *p, const void *state) {
    const Backprop *b = state;
    draw_ledger(p, b);
    page_say(p,
             _("From the three outputs %.4f arrives at the unit. It is on (z > 0), so that all of "
               "it passes; times x_%d = %.1f that is %.4f. Under s_k, forward: what the unit gives "
               "to each output."),
             backprop_arriving(b, b->unit), b->input + 1, b->x[0][b->input], asked(b));
}

static const Question ENTRY = {
    .id = "one_entry",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_entry,
    .truth = truth_entry,
    .wrong = {{"right_class_alone",
               one_path,
               {.text = N_("That follows the path over the right class alone. The unit feeds all "
                           "three outputs; what comes back over each is added.")}},
              {"inner_gradients_start_anew",
               overwritten,
               {.text = N_("That is what came back over the last output, as if each new entry "
                           "replaced the one before. Within one backward pass entries are added; "
                           "gradients are set to zero between steps only.")}},
              {"without_the_input", without_input, {reply_without_input}},
              {"backprop_is_descent",
               updated,
               {.text = N_("That is the weight after a step of descent. Backpropagation only "
                           "computes the derivative; what is done with it, and at which rate, is "
                           "the optimizer's business.")}}},
    .hint = {{.text = N_("What arrives at the unit from the three outputs together?")},
             {.text = "  dL/dW1[u][i] = x_i * sum over k of W2[k][u] (p_k - y_k)"},
             {hint_entry_3}},
    .explain = {explain_entry},
};

// --- units that learn nothing

static void ask_dead(Page *p, const void *state) {
    draw_units(p, state);
    page_say(p,
             _("These are the sums z of all units, on all %d samples. How many units are dead "
               "on this batch: their incoming weights get a gradient of exactly 0?"),
             SAMPLES);
}

// Units that are off on `least` samples or more.
static int off_on(const Backprop *b, int least) {
    int count = 0;
    for (int u = 0; u < b->units; u++) {
        int off = 0;
        for (int n = 0; n < SAMPLES; n++) off += b->z[n][u] <= 0;
        count += off >= least;
    }
    return count;
}

static void truth_dead(Truth *out, const void *state) {
    const Backprop *b = state;
    truth_one(out, FROM_THEORY, off_on(b, SAMPLES));
    answer_one(&out->from[FROM_MEASUREMENT], b->zero_units);
    out->known[FROM_MEASUREMENT] = b->ran;
}

static void off_once(Answer *out, const void *state) { answer_one(out, off_on(state, 1)); }
static void off_on_first(Answer *out, const void *state) {
    const Backprop *b = state;
    int count = 0;
    for (int u = 0; u < b->units; u++) count += b->z[0][u] <= 0;
    answer_one(out, count);
}
static void mostly_off(Answer *out, const void *state) {
    answer_one(out, off_on(state, SAMPLES / 2 + 1));
}

static void hint_dead_3(Page *p, const void *state) {
    const Backprop *b = state;
    for (int u = 0; u < b->units; u++) {
        int on = 0;
        for (int n = 0; n < SAMPLES; n++) on += b->z[n][u] > 0;
        page_line(p, _("  unit %d is on for %d of %d samples"), u + 1, on, SAMPLES);
    }
}

static const Question DEAD = {
    .id = "dead_units",
    .shape = {ANSWER_VALUE, UNIT_COUNT, 0},
    .ask = ask_dead,
    .truth = truth_dead,
    .wrong = {{"off_on_one_sample",
               off_once,
               {.text = N_("Those are off on some sample. The gradient is a sum over the samples: "
                           "one on which the unit is on is enough for it to learn.")}},
              {"first_sample_only",
               off_on_first,
               {.text = N_("Those are off on the first sample. The batch has others, on which "
                           "they may be on.")}},
              {"off_on_most",
               mostly_off,
               {.text = N_("Those are off on most samples. They learn from the few others: small "
                           "is not zero.")}}},
    .hint = {{.text = N_("When does ReLU let a gradient through, and when not?")},
             {.text = N_("  dead: z <= 0 on every sample")},
             {hint_dead_3}},
    .explain = {.text = N_("ReLU passes what arrives where z > 0 and stops it elsewhere. A unit "
                           "that is off on all samples gets exactly 0, so no step changes it: on "
                           "these data it stays dead.")},
};

// --- what has not been computed

static void ask_fresh(Page *p, const void *state) {
    const Backprop *b = state;
    page_say(p,
             _("Before the first backward pass the gradient of the weight from x_%d to unit %d is "
               "printed: it is 0. What does that say about the loss?"),
             b->input + 1, b->unit + 1);
}

enum { FRESH_NOTHING, FRESH_FLAT, FRESH_DEAD, FRESH_OPTIONS };
static const char *const FRESH[FRESH_OPTIONS] = {
    N_("nothing: it has not been computed yet"),
    N_("the loss is flat in that direction: the weight does not matter"),
    N_("the unit is dead: it will never learn")};

// A slope is no slope only if it is 0, and the unit only dead if it is off everywhere.
static int fresh_option(double before, double slope, bool dead) {
    if (before == slope) return dead ? FRESH_DEAD : FRESH_FLAT;
    return FRESH_NOTHING;
}

static void truth_fresh(Truth *out, const void *state) {
    const Backprop *b = state;
    truth_one(out, FROM_THEORY, fresh_option(0, asked(b), b->z[0][b->unit] <= 0));
    answer_one(&out->from[FROM_MEASUREMENT], fresh_option(b->before, b->slope, b->gradient == 0));
    out->known[FROM_MEASUREMENT] = b->ran;
}

static void hint_fresh_3(Page *p, const void *state) {
    const Backprop *b = state;
    page_line(p, _("  the slope is %.3f, by the formula"), asked(b));
}
static void explain_fresh(Page *p, const void *state) {
    const Backprop *b = state;
    page_say(p,
             _("The memory held %g, while the loss, computed a little above and below that weight, "
               "has a slope of %.4f (measured). A gradient is a number in memory that the backward "
               "pass writes; before it there is only what memory was filled with."),
             b->before, b->slope);
}

static const Question FRESH_QUESTION = {
    .id = "fresh_gradient",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, FRESH_OPTIONS},
    .ask = ask_fresh,
    .options = FRESH,
    .truth = truth_fresh,
    .wrong = {{"zero_means_flat", .option = FRESH_FLAT,
               .reply = {.text = N_("It would mean that after a backward pass. Nothing has looked "
                                    "at the loss yet: that 0 is what the memory began with.")}},
              {"zero_means_dead", .option = FRESH_DEAD,
               .reply = {.text = N_("A dead unit gets a 0 from the backward pass. There has been "
                                    "none, and the unit is on: z > 0.")}}},
    .hint = {{.text = N_("Who writes a gradient, and when?")},
             {.text = N_("  Compare with (L(w + h) - L(w - h)) / 2h.")},
             {hint_fresh_3}},
    .explain = {explain_fresh},
};

// --- the price of nudging

static void ask_passes(Page *p, const void *state) {
    const Backprop *b = state;
    page_say(p,
             _("The gradient is checked by central differences, (L(w + h) - L(w - h)) / 2h, for "
               "each weight and bias: W1 is %d x %d, W2 is %d x %d, and each layer has biases. "
               "How many forward passes does that take?"),
             b->units, INPUTS, OUTPUTS, b->units);
}

static void truth_passes(Truth *out, const void *state) {
    const Backprop *b = state;
    truth_one(out, FROM_THEORY, 2 * b->weight_count);
    answer_one(&out->from[FROM_MEASUREMENT], (double)b->forwards);
    out->known[FROM_MEASUREMENT] = b->checked;
}

static void once_each(Answer *out, const void *state) {
    const Backprop *b = state;
    answer_one(out, b->weight_count);
}
static void no_biases(Answer *out, const void *state) {
    const Backprop *b = state;
    answer_one(out, 2 * b->units * (INPUTS + OUTPUTS));
}
static void one_a_layer(Answer *out, const void *state) { answer_one(out, 2 * 2); }

static void hint_passes_3(Page *p, const void *state) {
    const Backprop *b = state;
    page_line(p, "  2 * (%d * %d + %d + %d * %d + %d)", b->units, INPUTS, b->units, OUTPUTS,
              b->units, OUTPUTS);
}
static void explain_passes(Page *p, const void *state) {
    const Backprop *b = state;
    page_say(p,
             _("Two passes for each of %d numbers. One backward pass gave the same %d derivatives, "
               "all at once (%lld backward pass, measured); the largest difference is %.1e. So "
               "differences check a gradient, and backpropagation computes it."),
             b->weight_count, b->weight_count, (long long)b->backwards, b->farthest);
}

static const Question PASSES = {
    .id = "forward_passes",
    .shape = {ANSWER_VALUE, UNIT_COUNT, 0},
    .ask = ask_passes,
    .truth = truth_passes,
    .wrong = {{"one_pass_a_weight",
               once_each,
               {.text = N_("That is one pass for each weight. A central difference looks on both "
                           "sides of it.")}},
              {"biases_are_free",
               no_biases,
               {.text = N_("The biases are trained as well, so each has a derivative to check.")}},
              {"layers_at_once",
               one_a_layer,
               {.text =
                    N_("Nudging a whole layer at once tells how the loss follows all its "
                       "weights together. For each by itself each must be nudged by itself.")}}},
    .hint = {{.text = N_("How many numbers are trained, and how many losses does each one need?")},
             {.text = N_("  2 (weights of W1 and W2 + biases)")},
             {hint_passes_3}},
    .explain = {explain_passes},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &ENTRY},
    {.kind = STEP_PREDICT, .question = &DEAD},
    {.kind = STEP_PREDICT, .question = &FRESH_QUESTION},
    {.kind = STEP_RUN, .before = {before_run}, .run = backprop_run, .write = {show_run}},
    {.kind = STEP_COMPARE, .question = &ENTRY},
    {.kind = STEP_COMPARE, .question = &DEAD},
    {.kind = STEP_COMPARE, .question = &FRESH_QUESTION},
    {.kind = STEP_PREDICT, .question = &PASSES},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now every weight of the trainer's network is nudged up and down, and "
                           "its forward passes are counted.")},
     .run = backprop_check},
    {.kind = STEP_COMPARE, .question = &PASSES},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson backprop_lesson = {
    .number = 3,
    .name = "backprop",
    .title = N_("Backpropagation as a ledger"),
    .objective = N_("Where a gradient comes from: local derivative times what arrives, added up."),
    .minutes = 12,
    .state_size = sizeof(Backprop),
    .draw = backprop_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
