// SPDX-License-Identifier: MIT
// Lesson 6: where time and memory go on one device. Flops and bytes of a step, the roofline
// (Williams, Waterman and Patterson, 2009), and the ledger of memory.
#include "lessons/06_device/roofline.h"

#include "core/nn/model.h"
#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "viz/scene/scene.h"

#include <math.h>
#include <stdlib.h>

// --- texts

static void hook(Page *p, const void *state) {
    const Roofline *x = state;
    page_say(p,
             _("A network of two hidden layers of %d units learns digits of 28 x 28 pixels, with "
               "Adam, in batches of %d: train --model mlp:hidden=%d,layers=2 --batch %d "
               "--optimizer adam."),
             x->hidden, x->rows, x->hidden, x->rows);
    page_say(p, _("How much does one step compute? Which part of it takes the time, and which the "
                  "memory? Both can be said before anything runs."));
}

static void idea(Page *p, const void *state) {
    const Roofline *x = state;
    page_say(p, _("An operation computes (flops) and moves data (bytes). A device does so many "
                  "flops a second and moves so many bytes a second, both at once, so the longer "
                  "of the two decides. That is the roofline:"));
    page_line(p, _("  time = the larger of  flops / (flops per second),"));
    page_line(p, _("                        bytes / (bytes per second)"));
    page_say(p, _("Flops per byte are an operation's intensity. Where it is below the ridge, the "
                  "quotient of both rates, memory decides; above it, arithmetic."));
    page_line(p, _("  laptop: %.0f Gflop/s reached of %.0f, %.0f GB/s: ridge %.2f flops per byte"),
              x->flops_per_s / 1e9, x->flops_per_s / x->laptop_share / 1e9, x->bytes_per_s / 1e9,
              x->flops_per_s / x->bytes_per_s);
}

static double reached_rate(const RooflineKernel *k, bool measured) {
    return (double)k->flops / (measured ? k->measured_s : k->modelled_s);
}

static double intensity(const RooflineKernel *k) { return (double)k->flops / (double)k->bytes; }

static void box(Page *p, const void *state) {
    const Roofline *x = state;
    const RooflineKernel *k = &x->asked[KERNEL_PRODUCT];
    page_box(p,
             _("time = max(flops / %s, bytes / %s) (%s): the ridge is at %.1f flops per byte, and "
               "the first product, at %.1f, reaches %.0f %% of those flops per second. The "
               "backward pass does %.2f times the flops of the forward pass here."),
             page_text(p, _("%.0f Gflop/s"), x->flops_per_s / 1e9),
             page_text(p, _("%.0f GB/s"), x->bytes_per_s / 1e9),
             x->measured ? _("measured") : _("simulated"), x->flops_per_s / x->bytes_per_s,
             intensity(k), 100 * fmin(1, reached_rate(k, x->measured) / x->flops_per_s),
             ((double)x->counted_flops - roofline_forward(x)) / roofline_forward(x));
}

// --- flops

static double step_flops(const Roofline *x) {
    return 2 * roofline_forward(x) + roofline_backward_input(x);
}

static void ask_flops(Page *p, const void *state) {
    const Roofline *x = state;
    page_line(p, _("  %d -> %d -> %d -> %d, a batch of %d"), PIXELS, x->hidden, x->hidden, CLASSES,
              x->rows);
    page_say(p, _("A multiply-add counts as 2 flops; only matrix products count. How many flops "
                  "does one training step do, forward and backward?"));
}

static void truth_flops(Truth *out, const void *state) {
    const Roofline *x = state;
    truth_one(out, FROM_THEORY, step_flops(x));
    answer_one(&out->from[FROM_MEASUREMENT], (double)x->counted_flops);
    out->known[FROM_MEASUREMENT] = x->planned;
    out->relative = 0.004;
}

static void only_forward(Answer *out, const void *state) {
    answer_one(out, roofline_forward(state));
}
static void as_forward(Answer *out, const void *state) {
    answer_one(out, 2 * roofline_forward(state));
}
static void three_times(Answer *out, const void *state) {
    answer_one(out, 3 * roofline_forward(state));
}
static void one_a_multiply_add(Answer *out, const void *state) {
    answer_one(out, step_flops(state) / 2);
}

static void hint_flops_3(Page *p, const void *state) {
    const Roofline *x = state;
    page_line(p, _("  forward   2 * %d * (%d*%d + %d*%d + %d*%d)"), x->rows, PIXELS, x->hidden,
              x->hidden, x->hidden, x->hidden, CLASSES);
    page_line(p, _("  backward  the same for weights, and without the first for inputs"));
}
static void explain_flops(Page *p, const void *state) {
    const Roofline *x = state;
    page_say(p,
             _("Forward %.4g; the gradients of the weights cost the same again; those of the "
               "inputs %.4g, since nothing is trained before the first layer. Together %lld, as "
               "the plan counts them. Deep networks come near three times the forward pass."),
             roofline_forward(x), roofline_backward_input(x), (long long)x->counted_flops);
}

static const Question FLOPS = {
    .id = "flops",
    .shape = {ANSWER_VALUE, UNIT_COUNT, 0},
    .ask = ask_flops,
    .truth = truth_flops,
    .wrong = {{"forward_alone",
               only_forward,
               {.text = N_("That is the forward pass alone. The backward pass computes products as "
                           "well, more of them than the forward pass.")}},
              {"backward_as_forward",
               as_forward,
               {.text =
                    N_("That counts the backward pass as much as the forward one. Each layer has "
                       "two products in the backward pass: for its weights and for its input.")}},
              {"every_input_gradient",
               three_times,
               {.text = N_("That is the rule of thumb, three times the forward pass. It counts the "
                           "gradient of the first layer's input as well: of the pixels, which "
                           "nobody trains.")}},
              {"multiply_add_is_one",
               one_a_multiply_add,
               {.text = N_("A multiply-add is two operations, a product and a sum, and is counted "
                           "so.")}}},
    .hint = {{.text = N_("How many products has each layer, forward and backward?")},
             {.text = N_("  product of (B x C) and (C x K): 2 B C K flops")},
             {hint_flops_3}},
    .explain = {explain_flops},
};

// --- times

static const char *const KERNEL[KERNEL_ASKED] = {"fc1.forward", "logits.forward",
                                                 "adam.fc1.weight"};

static void ask_times(Page *p, const void *state) {
    page_say(p, _("Three operations of that step: the first layer's product, the last layer's, and "
                  "Adam's update of the first layer's weights. Which takes longest? Give all "
                  "three, the longest first."));
}

static const char *option_times(Page *p, const void *state, int which) {
    const Roofline *x = state;
    return page_text(p, _("%-16s %11.4g flops   %s read and written"), KERNEL[which],
                     (double)x->asked[which].flops,
                     page_quantity(p, UNIT_BYTES, (double)x->asked[which].bytes));
}

// The places of operations, the largest first.
static void order_by(Answer *out, const double size[KERNEL_ASKED]) {
    *out = (Answer){{0}, KERNEL_ASKED};
    for (int i = 0; i < KERNEL_ASKED; i++) {
        int place = 0;
        for (int k = 0; k < KERNEL_ASKED; k++)
            place += size[k] > size[i] || (size[k] == size[i] && k < i);
        out->values[place] = i;
    }
}

static void truth_times(Truth *out, const void *state) {
    const Roofline *x = state;
    double modelled[KERNEL_ASKED], measured[KERNEL_ASKED];
    for (int i = 0; i < KERNEL_ASKED; i++) {
        modelled[i] = x->asked[i].modelled_s;
        measured[i] = x->asked[i].measured_s;
    }
    order_by(&out->from[FROM_SIMULATION], modelled);
    out->known[FROM_SIMULATION] = true;
    if (!x->measured) return;
    order_by(&out->from[FROM_MEASUREMENT], measured);
    out->known[FROM_MEASUREMENT] = true;
}

static void by_flops(Answer *out, const void *state) {
    const Roofline *x = state;
    double size[KERNEL_ASKED];
    for (int i = 0; i < KERNEL_ASKED; i++) size[i] = (double)x->asked[i].flops;
    order_by(out, size);
}
static void by_missing_flops(Answer *out, const void *state) {
    const Roofline *x = state;
    double size[KERNEL_ASKED];
    for (int i = 0; i < KERNEL_ASKED; i++) size[i] = -(double)x->asked[i].flops;
    order_by(out, size);
}

// All operations on the roof: what they reach at their intensity.
static int by_intensity(const void *a, const void *b) {
    double x = intensity(a), y = intensity(b);
    return (x > y) - (x < y);
}

static void draw_roof(Page *p, const Roofline *x) {
    enum { ROOF = 41 };
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    double *at = ARENA_NEW(p->arena, double, 2 * ROOF);
    double *dots = ARENA_NEW(p->arena, double, 2 * MOST_KERNELS);
    if (!d || !at || !dots) return;
    RooflineKernel sorted[MOST_KERNELS];
    int count = 0;
    for (int i = 0; i < x->kernel_count; i++) {
        const RooflineKernel *k = &x->kernels[i];
        if (k->flops && (!x->measured || k->measured_s > 0)) sorted[count++] = *k;
    }
    qsort(sorted, (size_t)count, sizeof *sorted, by_intensity);
    for (int i = 0; i < ROOF; i++) {
        at[i] = pow(10, -1 + 3.0 * i / (ROOF - 1));
        at[ROOF + i] = fmin(x->flops_per_s, at[i] * x->bytes_per_s) / 1e9;
    }
    for (int i = 0; i < count; i++) {
        dots[i] = intensity(&sorted[i]);
        dots[MOST_KERNELS + i] = reached_rate(&sorted[i], x->measured) / 1e9;
    }
    const SceneSeries series[] = {{_("roof"), at, at + ROOF, ROOF, TONE_FAINT},
                                  {_("products"), dots, dots + MOST_KERNELS, count, TONE_EXPOSED}};
    scene_curve(d, p->arena, PAGE_COLUMNS - 4,
                &(SceneCurve){.series = series,
                              .count = 2,
                              .x_name = _("flops per byte"),
                              .y_name = "Gflop/s",
                              .log_x = true,
                              .log_y = true});
    page_draw(p, d);
}

static void show_run(Page *p, const void *state) {
    const Roofline *x = state;
    for (int i = 0; i < KERNEL_ASKED; i++) {
        const RooflineKernel *k = &x->asked[i];
        page_line(p, _("  %-16s %10s  laptop (simulated)"), KERNEL[i],
                  page_quantity(p, UNIT_SECONDS, k->modelled_s));
        if (x->measured)
            page_line(p, _("  %-16s %10s  here (measured)"), "",
                      page_quantity(p, UNIT_SECONDS, k->measured_s));
    }
    page_say(p, _("The products of the step, at their intensities, and the roof above them:"));
    draw_roof(p, x);
}

static void hint_times_3(Page *p, const void *state) {
    const Roofline *x = state;
    for (int i = 0; i < KERNEL_ASKED; i++) {
        const RooflineKernel *k = &x->asked[i];
        page_line(p, _("  %-16s arithmetic %9s, memory %9s"), KERNEL[i],
                  page_quantity(p, UNIT_SECONDS, (double)k->flops / x->flops_per_s),
                  page_quantity(p, UNIT_SECONDS, (double)k->bytes / x->bytes_per_s));
    }
}
static void explain_times(Page *p, const void *state) {
    const Roofline *x = state;
    const RooflineKernel *product = &x->asked[KERNEL_PRODUCT], *update = &x->asked[KERNEL_UPDATE];
    page_say(p,
             _("The update counts no flops of products, but moves %.1f times the bytes of the "
               "first product: the weights, their gradient and two averages. Its time does not "
               "depend on the batch; that of the product does. So at %d rows %s takes longer."),
             (double)update->bytes / (double)product->bytes, x->rows,
             update->modelled_s > product->modelled_s ? _("the update") : _("the product"));
}

static const Question TIMES = {
    .id = "times",
    .shape = {ANSWER_ORDER, UNIT_NUMBER, KERNEL_ASKED},
    .ask = ask_times,
    .option = option_times,
    .truth = truth_times,
    .wrong = {{"more_flops_is_slower",
               by_flops,
               {.text = N_("That is the order of the flops. What does few of them may still move "
                           "many bytes, and then it waits for memory.")}},
              {"memory_bound_is_slower",
               by_missing_flops,
               {.text =
                    N_("That is the order of the fewest flops. Waiting for memory does not make "
                       "an operation long by itself: how many bytes it moves does.")}}},
    .hint = {{.text = N_("Two times for each operation: for its arithmetic and for its bytes.")},
             {.text = N_("  time = the larger of  flops / rate,  bytes / bandwidth")},
             {hint_times_3}},
    .explain = {explain_times},
};

// --- what binds

static void ask_bound(Page *p, const void *state) {
    const Roofline *x = state;
    const RooflineKernel *k = &x->asked[KERNEL_PRODUCT];
    page_line(p, _("  %s: %.4g flops, %s"), KERNEL[KERNEL_PRODUCT], (double)k->flops,
              page_quantity(p, UNIT_BYTES, (double)k->bytes));
    page_line(p, _("  rates: %.1f Gflop/s, %.1f GB/s  (%s)"), x->flops_per_s / 1e9,
              x->bytes_per_s / 1e9, x->measured ? _("measured") : _("simulated"));
    page_say(p, _("What bounds the first layer's product at this batch?"));
}

enum { BOUND_ARITHMETIC, BOUND_MEMORY, BOUND_ALWAYS, BOUND_OPTIONS };
static const char *const BOUND[BOUND_OPTIONS] = {N_("arithmetic: its intensity is above the ridge"),
                                                 N_("memory: its intensity is below the ridge"),
                                                 N_("arithmetic: a matrix product always is")};

static int bound(const Roofline *x) {
    return intensity(&x->asked[KERNEL_PRODUCT]) > x->flops_per_s / x->bytes_per_s ? BOUND_ARITHMETIC
                                                                                  : BOUND_MEMORY;
}

static void truth_bound(Truth *out, const void *state) {
    truth_one(out, FROM_THEORY, bound(state));
}

static void other_side(Answer *out, const void *state) {
    answer_one(out, bound(state) == BOUND_MEMORY ? BOUND_ARITHMETIC : BOUND_MEMORY);
}

static void hint_bound_3(Page *p, const void *state) {
    const Roofline *x = state;
    const RooflineKernel *k = &x->asked[KERNEL_PRODUCT];
    page_line(p, _("  %.4g / %.4g against %.1f / %.1f"), (double)k->flops, (double)k->bytes,
              x->flops_per_s / 1e9, x->bytes_per_s / 1e9);
}
static void explain_bound(Page *p, const void *state) {
    const Roofline *x = state;
    const RooflineKernel *k = &x->asked[KERNEL_PRODUCT];
    page_say(
        p,
        _("It does %.2f flops per byte; the ridge is at %.2f. Each weight is read once a step, "
          "and used for %d rows: it is the batch that makes a product intense."),
        intensity(k), x->flops_per_s / x->bytes_per_s, x->rows);
    page_say(p,
             _("The roof is what kernels reach here. A peak on paper is higher: of the laptop's, "
               "%.0f %% are reached, and no data sheet says how much yours does."),
             100 * x->laptop_share);
}

static const Question BOUND_QUESTION = {
    .id = "bound",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, BOUND_OPTIONS},
    .ask = ask_bound,
    .options = BOUND,
    .truth = truth_bound,
    .wrong = {{"products_are_arithmetic", .option = BOUND_ALWAYS,
               .reply = {.text = N_("That depends on its shape. With few rows a product reads all "
                                    "its weights for little arithmetic.")}},
              {"other_side_of_the_ridge",
               other_side,
               {.text =
                    N_("That is the other side of the ridge: divide the flops by the bytes, and "
                       "the rate of flops by that of bytes, and compare.")}}},
    .hint = {{.text = N_("How many flops does it do for each byte that it moves?")},
             {.text =
                  N_("  intensity = flops / bytes,  ridge = flops per second / bytes per second")},
             {hint_bound_3}},
    .explain = {explain_bound},
};

// --- memory

enum { CLASS_PARAMETERS, CLASS_GRADIENTS, CLASS_OPTIMISER, CLASS_ACTIVATIONS, CLASS_OPTIONS };
static const char *const CLASS[CLASS_OPTIONS] = {N_("parameters"), N_("gradients"),
                                                 N_("the optimizer's averages"), N_("activations")};

static void ask_memory(Page *p, const void *state) {
    const Roofline *x = state;
    page_say(p,
             _("What takes the most memory in this step? %.0f weights and biases, a batch of %d, "
               "all in float (4 bytes)."),
             roofline_weights(x), x->rows);
}

static int largest(const double bytes[CLASS_OPTIONS]) {
    int most = 0;
    for (int i = 1; i < CLASS_OPTIONS; i++)
        if (bytes[i] > bytes[most]) most = i;
    return most;
}

// The input, and of each layer its output; ReLU has an output of its own.
static double activations(const Roofline *x) {
    return 4.0 * x->rows * (PIXELS + 4.0 * x->hidden + CLASSES);
}

static void truth_memory(Truth *out, const void *state) {
    const Roofline *x = state;
    double one = 4 * roofline_weights(x);
    const double theory[CLASS_OPTIONS] = {one, one, 2 * one, activations(x)};
    const double planned[CLASS_OPTIONS] = {
        (double)x->memory[MEMORY_PARAMETERS], (double)x->memory[MEMORY_GRADIENTS],
        (double)x->memory[MEMORY_OPTIMISER], (double)x->memory[MEMORY_ACTIVATIONS]};
    truth_one(out, FROM_THEORY, largest(theory));
    answer_one(&out->from[FROM_MEASUREMENT], largest(planned));
    out->known[FROM_MEASUREMENT] = x->planned;
}

static void not_the_truth(Answer *out, const void *state) {
    Truth t = {0};
    truth_memory(&t, state);
    answer_one(out, t.from[FROM_THEORY].values[0] == CLASS_OPTIMISER ? CLASS_ACTIVATIONS
                                                                     : CLASS_OPTIMISER);
}

static void reply_not_the_truth(Page *p, const void *state) {
    const Roofline *x = state;
    page_say(p,
             _("Activations grow with the batch, Adam's averages with the weights: about %s and %s "
               "here (theory)."),
             page_quantity(p, UNIT_BYTES, activations(x)),
             page_quantity(p, UNIT_BYTES, 8 * roofline_weights(x)));
}
static void hint_memory_3(Page *p, const void *state) {
    const Roofline *x = state;
    page_line(p, _("  weights 4 * %.0f bytes, activations about 4 * %d * (%d + 4 * %d + %d)"),
              roofline_weights(x), x->rows, PIXELS, x->hidden, CLASSES);
}
static void explain_memory(Page *p, const void *state) {
    const Roofline *x = state;
    static const Memory classes[] = {MEMORY_PARAMETERS, MEMORY_GRADIENTS, MEMORY_OPTIMISER,
                                     MEMORY_ACTIVATIONS};
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    SceneBar bars[CLASS_OPTIONS];
    for (int i = 0; i < CLASS_OPTIONS; i++)
        bars[i] =
            (SceneBar){_(CLASS[i]), (double)x->memory[classes[i]] / 1e3, 0, false, TONE_COMPUTE};
    if (d) {
        scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, CLASS_OPTIONS, "%.1f kB", 0});
        page_draw(p, d);
    }
    page_say(
        p,
        _("As the plan lays it out, counted in bytes. Parameters and Adam's two averages stay from "
          "step to step; gradients and activations only from their first use to their "
          "last, and take turns in the same memory."));
    if (x->rows < EVALUATION_ROWS)
        page_say(p,
                 _("The activations of the step itself are about %s (theory); those in the ledger "
                   "are of the evaluation, which takes %d rows at a time in the same memory."),
                 page_quantity(p, UNIT_BYTES, activations(x)), EVALUATION_ROWS);
}

static const Question MEMORY_QUESTION = {
    .id = "memory",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, CLASS_OPTIONS},
    .ask = ask_memory,
    .options = CLASS,
    .truth = truth_memory,
    .wrong = {{"parameters_dominate", .option = CLASS_PARAMETERS,
               .reply = {.text = N_("Each parameter comes with a gradient and, with Adam, with two "
                                    "averages: parameters are never the most.")}},
              {"gradients_dominate", .option = CLASS_GRADIENTS,
               .reply = {.text =
                             N_("There is one gradient for each parameter, as large as it. Adam "
                                "keeps twice that.")}},
              {"the_other_of_two", not_the_truth, {reply_not_the_truth}}},
    .hint = {{.text = N_("Which of them grow with the batch, and which with the weights?")},
             {.text = N_("  parameters P, gradients P, Adam 2 P; activations B times all outputs")},
             {hint_memory_3}},
    .explain = {explain_memory},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &FLOPS},
    {.kind = STEP_PREDICT, .question = &TIMES},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now the trainer makes the plan of this step, whose operations state "
                           "their flops and bytes, and this host is calibrated with it.")},
     .run = roofline_run,
     .write = {show_run}},
    {.kind = STEP_COMPARE, .question = &FLOPS},
    {.kind = STEP_COMPARE, .question = &TIMES},
    {.kind = STEP_PREDICT, .question = &BOUND_QUESTION},
    {.kind = STEP_COMPARE, .question = &BOUND_QUESTION},
    {.kind = STEP_PREDICT, .question = &MEMORY_QUESTION},
    {.kind = STEP_COMPARE, .question = &MEMORY_QUESTION},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson device_lesson = {
    .number = 6,
    .name = "device",
    .title = N_("Time and memory on one device"),
    .objective = N_("Flops, bytes and memory of a step, before it runs; and what bounds it."),
    .minutes = 12,
    .state_size = sizeof(Roofline),
    .draw = roofline_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
