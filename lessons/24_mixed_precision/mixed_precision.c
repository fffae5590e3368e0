// SPDX-License-Identifier: MIT
// Lesson 24: mixed precision (Micikevicius et al., 2018). What 16 bits can hold: small updates,
// small gradients; hence weights in f32 and a scaled loss. And what is saved: not the states.
#include "lessons/lessons.h"

#include "core/base/bf16.h"
#include "core/base/f16.h"
#include "core/nn/model.h"
#include "lessons/engine/translate.h"
#include "lessons/engine/trial.h"
#include "viz/scene/scene.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

enum { STEPS = 30, ROWS = 16, RUNS = 3 };
#define RATE 2e-4
enum { RUN_F32, RUN_BF16, RUN_ROUNDED };  // rounded: weights, too, are bf16

typedef struct {
    float update;  // that is added to a weight of 1
    int updates;
    float in_bf16, in_f32;  // what it is then; 0: not yet
    float gradient;         // that is to be kept in fp16
    int exponent;           // of the smallest scale that keeps it, found by trying; -1: not yet
    char model[32];
    double parameters;
    double state_bytes[2], activation_bytes[2];  // planned, of f32 and of bf16, with Adam
    Trial trained[RUNS];
    double moved[RUNS];  // share of the weights that are not where they began
    bool ran;
} Precision;

// --- numbers

static Status plan(const LessonRun *run, Precision *x) {
    for (int k = 0; k < 2; k++) {
        Prediction p;
        JobSpec spec = job_spec_default();
        spec.model = x->model;
        spec.dtype = k ? DTYPE_BF16 : DTYPE_F32;
        spec.optimizer.kind = OPTIMIZER_ADAM;
        TRY(trial_predict(&p, run, &spec, "dgx-a100"));
        const int64_t *bytes = p.report.answers->memory_bytes;
        x->state_bytes[k] =
            (double)(bytes[MEMORY_PARAMETERS] + bytes[MEMORY_GRADIENTS] + bytes[MEMORY_OPTIMISER]);
        x->activation_bytes[k] = (double)bytes[MEMORY_ACTIVATIONS];
    }
    return OK;
}

static Status draw(const LessonRun *run, void *state) {
    Precision *x = state;
    Rng r = lesson_rng(run, 0);
    Model m;
    x->update = (float)(6 + rng_below(&r, 20)) * 1e-4F;
    x->updates = 50 * (4 + (int)rng_below(&r, 9));
    x->gradient = (float)(1 + rng_below(&r, 9)) * (rng_below(&r, 2) ? 1e-9F : 1e-10F);
    x->exponent = -1;
    snprintf(x->model, sizeof x->model, "mlp:layers=2,hidden=%d",
             256 * (1 + (int)rng_below(&r, 4)));
    TRY(model_read(&m, run->arena, x->model));
    x->parameters = (double)model_parameters(&m);
    return plan(run, x);
}

static Status run_formats(const LessonRun *run, void *state) {
    Precision *x = state;
    Bf16 narrow = bf16_from_f32(1);
    x->in_f32 = 1;
    for (int i = 0; i < x->updates; i++) {
        narrow = bf16_from_f32(bf16_to_f32(narrow) + x->update);
        x->in_f32 += x->update;
    }
    x->in_bf16 = bf16_to_f32(narrow);
    x->exponent = 0;
    while (f16_from_f32(ldexpf(x->gradient, x->exponent)) == 0) x->exponent++;
    return OK;
}

typedef struct {
    Arena scratch;
    Status status;
} Rounding;

static Status round_tensor(Rounding *r, Executor *e, int tensor) {
    int64_t count = tensor_elements(&e->program->tensors[tensor]);
    float *values = ARENA_NEW(&r->scratch, float, count);
    if (!values) return ERR_MEMORY;
    TRY(executor_read(e, tensor, values));
    for (int64_t k = 0; k < count; k++) values[k] = bf16_to_f32(bf16_from_f32(values[k]));
    return executor_write(e, tensor, values);
}

// Before a step begins, weights as bf16 would have kept them.
static void round_weights(void *context, Executor *e, int plan, int op) {
    Rounding *r = context;
    const Program *p = e->program;
    if (op != 0 || plan != program_find_plan(p, "step")) return;
    for (int i = 0; i < p->tensor_count && r->status == OK; i++) {
        const Tensor *t = &p->tensors[i];
        if (t->role == ROLE_PARAMETER && t->alias == NONE && t->dtype == DTYPE_F32)
            r->status = round_tensor(r, e, i);
    }
    arena_finish(&r->scratch);
}

static Status train(Trial *out, const LessonRun *run, int how, double rate) {
    Rounding rounding = {0};
    const TrialHook hook = {&rounding, round_weights};
    LessonRun real = *run;  // no time is shown, and `laptop` has none of bf16
    JobOptions o = trial_options();
    o.spec.model = "mlp:layers=1,hidden=24";
    o.spec.dtype = how == RUN_F32 ? DTYPE_F32 : DTYPE_BF16;
    o.spec.batch = ROWS;
    o.spec.learning_rate = rate;
    o.spec.seed = (int64_t)(run->seed % 100000) + 1;
    o.info.dtype = how == RUN_F32 ? "f32" : "bf16";
    o.steps = STEPS;
    o.test_fraction = 0;
    real.virtual_time = false;
    TRY(trial_train_hooked(out, &real, &o, how == RUN_ROUNDED ? &hook : NULL));
    if (rounding.status != OK) FAIL(rounding.status, "weights could not be rounded");
    return OK;
}

static float kept(double weight, bool rounds) {
    return rounds ? bf16_to_f32(bf16_from_f32((float)weight)) : (float)weight;
}

// The same small steps three times; and no step at all, for the weights at the beginning.
static Status run_training(const LessonRun *run, void *state) {
    Precision *x = state;
    Trial start;
    TRY(train(&start, run, RUN_F32, 0));
    for (int how = 0; how < RUNS; how++) {
        bool rounds = how == RUN_ROUNDED;
        const Trial *t = &x->trained[how];
        TRY(train(&x->trained[how], run, how, RATE));
        for (int64_t i = 0; i < t->weight_count; i++)
            if (kept(t->weights[i], rounds) != kept(start.weights[i], rounds))
                x->moved[how] += 1.0 / (double)t->weight_count;
    }
    x->ran = true;
    return OK;
}

// --- texts

static void hook(Page *p, const void *state) {
    page_say(p, _("Numbers of 16 bits take half the memory and half the bytes on a link, and "
                  "matrix units multiply them many times as fast. Why is then not everything in 16 "
                  "bits, and how much memory is saved?"));
}

static void idea(Page *p, const void *state) {
    page_line(p, _("         bits of exponent   of digits   smallest    largest"));
    page_line(p, _("  f32           8             24       1.4e-45     3.4e38"));
    page_line(p, _("  bf16          8              8       9.2e-41     3.4e38"));
    page_line(p, _("  fp16          5             11       6.0e-8      65504"));
    page_say(p,
             _("bf16 is f32 without its lower half: the same range, two to three decimal digits. "
               "fp16 has a digit more and a small range."));
    page_say(p, _("Mixed precision: forward and backward in 16 bits; weights, and what the "
                  "optimiser keeps, in f32. In train: --dtype bf16, and --loss-scale."));
}

static void show_training(Page *p, const void *state) {
    static const char *const NAMES[RUNS] = {N_("f32"), N_("bf16 passes, f32 weights"),
                                            N_("bf16 weights as well")};
    static const char *const SHORT[RUNS] = {"f32", "bf16 + f32", "bf16"};
    static const Tone TONES[RUNS] = {TONE_COMPUTE, TONE_COMM, TONE_EXPOSED};
    const Precision *x = state;
    double steps[STEPS];
    SceneSeries series[RUNS];
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    for (int i = 0; i < STEPS; i++) steps[i] = i + 1;
    for (int k = 0; k < RUNS; k++)
        series[k] = (SceneSeries){SHORT[k], steps, x->trained[k].loss, STEPS, TONES[k]};
    if (!d) return;
    scene_curve(d, p->arena, PAGE_COLUMNS - 4,
                &(SceneCurve){series, RUNS, _("step"), _("loss"), false, false, 8});
    page_draw(p, d);
    page_say(p, _("Measured: the last loss, and the share of weights that moved at all:"));
    for (int k = 0; k < RUNS; k++)
        page_line(p, "  %.4f   %5.1f %%   %s", x->trained[k].loss[STEPS - 1], 100 * x->moved[k],
                  _(NAMES[k]));
}

static void box(Page *p, const void *state) {
    const Precision *x = state;
    page_box(
        p,
        _("16 bits for what is computed, 32 for what is kept: an update below half of the last "
          "digit is lost (%.1f %% of weights moved, %.1f %% with f32). Activations halve; "
          "weights, gradients and Adam take %.0f bytes instead of %.0f."),
        100 * x->moved[RUN_ROUNDED], 100 * x->moved[RUN_BF16], x->state_bytes[1] / x->parameters,
        x->state_bytes[0] / x->parameters);
}

// --- small updates

static void ask_update(Page *p, const void *state) {
    const Precision *x = state;
    page_say(p,
             _("A weight of 1 is kept in bf16. %d times, %.4f is added to it, and the sum is "
               "rounded to bf16 again. What is it then?"),
             x->updates, (double)x->update);
}

// The distance of bf16 numbers from 1 on: the 8th binary digit.
#define BF16_STEP 0x1p-7

static void truth_update(Truth *out, const void *state) {
    const Precision *x = state;
    bool lost = (double)x->update < BF16_STEP / 2;
    truth_one(out, FROM_THEORY, lost ? 1 : 1 + BF16_STEP * x->updates);
    answer_one(&out->from[FROM_MEASUREMENT], (double)x->in_bf16);
    out->known[FROM_MEASUREMENT] = x->in_bf16 != 0;
    out->absolute = 1e-3;
}

static void exact_sum(Answer *out, const void *state) {
    const Precision *x = state;
    answer_one(out, 1 + (double)x->update * x->updates);
}
static void always_up(Answer *out, const void *state) {
    const Precision *x = state;
    answer_one(out, 1 + BF16_STEP * x->updates);
}
static void one_step(Answer *out, const void *state) { answer_one(out, 1 + BF16_STEP); }

static void hint_update_3(Page *p, const void *state) {
    const Precision *x = state;
    page_line(p, "  %.4f < %.4f", (double)x->update, BF16_STEP / 2);
}
static void explain_update(Page *p, const void *state) {
    const Precision *x = state;
    page_say(p,
             _("Between 1 and 2, bf16 has a number every 2^-7 = %.4f. Less than half of that is "
               "rounded away, each time. In f32 the same sum came to %.4f (measured). So weights "
               "are kept in f32, and rounded for the passes only."),
             BF16_STEP, (double)x->in_f32);
}

static const Question UPDATE = {
    .id = "small_updates",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_update,
    .truth = truth_update,
    .wrong = {{"rounding_errors_average_out",
               exact_sum,
               {.text = N_("That is the exact sum. Rounding errors average out where they are "
                           "random; here each is the same, and takes the whole update.")}},
              {"rounds_up_each_time",
               always_up,
               {.text = N_("That would be one step of bf16 for each update. An update that is "
                           "smaller than half a step rounds to where it was.")}},
              {"moves_once",
               one_step,
               {.text = N_("That is the next number that bf16 has. Nothing is remembered of what "
                           "was lost, so no number of small updates reaches it.")}}},
    .hint = {{.text = N_("How far apart are two neighbouring numbers of bf16 near 1?")},
             {.text = N_("  distance 2^-7;  lost if update < 2^-8")},
             {hint_update_3}},
    .explain = {explain_update},
};

// --- small gradients

static void ask_scale(Page *p, const void *state) {
    const Precision *x = state;
    page_say(p,
             _("A gradient of %.0e would be 0 in fp16, whose smallest number is 2^-24 = 5.96e-8. "
               "The loss is multiplied by 2^k, and with it all gradients. What is the smallest k "
               "with which this one is not 0?"),
             (double)x->gradient);
}

// From half of the smallest number on it is rounded up to that; exactly half is rounded to 0.
static void truth_scale(Truth *out, const void *state) {
    const Precision *x = state;
    truth_one(out, FROM_THEORY, floor(log2(0x1p-25 / (double)x->gradient)) + 1);
    answer_one(&out->from[FROM_MEASUREMENT], x->exponent);
    out->known[FROM_MEASUREMENT] = x->exponent >= 0;
}

static void until_one(Answer *out, const void *state) {
    const Precision *x = state;
    answer_one(out, ceil(log2(1 / (double)x->gradient)));
}
static void until_normal(Answer *out, const void *state) {
    const Precision *x = state;
    answer_one(out, ceil(log2(0x1p-14 / (double)x->gradient)));
}
static void no_scale(Answer *out, const void *state) { answer_one(out, 0); }

static void hint_scale_3(Page *p, const void *state) {
    const Precision *x = state;
    page_line(p, "  2^k > %.3g", 0x1p-25 / (double)x->gradient);
}

static const Question SCALE = {
    .id = "loss_scale",
    .shape = {ANSWER_VALUE, UNIT_COUNT, 0},
    .ask = ask_scale,
    .truth = truth_scale,
    .wrong = {{"until_it_is_one",
               until_one,
               {.text = N_("That makes it about 1. Far less keeps it from vanishing, and a large "
                           "scale makes large gradients overflow at 65504.")}},
              {"until_it_is_normal",
               until_normal,
               {.text = N_("From 2^-14 on fp16 has all its digits. Below, down to 2^-24, numbers "
                           "have fewer, but they are not 0.")}},
              {"range_of_bf16",
               no_scale,
               {.text = N_("bf16 needs none: it has the exponents of f32. fp16 has not.")}}},
    .hint = {{.text = N_("From which size on does a number round to 2^-24 instead of 0?")},
             {.text = N_("  2^k * gradient > 2^-25")},
             {hint_scale_3}},
    .explain = {.text = N_("More than half of the smallest number is rounded up to it. Gradients "
                           "are divided by 2^k again before the update, which changes only their "
                           "exponents. --loss-scale dynamic doubles the scale while all is finite "
                           "and halves it when something overflows; that step is skipped.")},
};

// --- memory

static void ask_memory(Page *p, const void *state) {
    page_say(p,
             _("With Adam in f32, weights, gradients and moments take 16 bytes a parameter. With "
               "--dtype bf16 weights have a copy for the passes, and all of these stay in f32. "
               "How many bytes a parameter does that take, all together?"));
}

enum { MASTER = 4, COPY = 2, GRADIENT = 4, MOMENTS = 8 };

static void truth_memory(Truth *out, const void *state) {
    const Precision *x = state;
    truth_one(out, FROM_THEORY, MASTER + COPY + GRADIENT + MOMENTS);
    truth_one(out, FROM_SIMULATION, x->state_bytes[1] / x->parameters);
    out->relative = 0.015;
}

static void all_halved(Answer *out, const void *state) {
    answer_one(out, (MASTER + GRADIENT + MOMENTS) / 2.0);
}
static void weights_halved(Answer *out, const void *state) {
    answer_one(out, COPY + GRADIENT + MOMENTS);
}
static void as_before(Answer *out, const void *state) {
    answer_one(out, MASTER + GRADIENT + MOMENTS);
}

static void hint_memory_3(Page *p, const void *state) {
    page_line(p, "  %d + %d + %d + %d", MASTER, COPY, GRADIENT, MOMENTS);
}
static void explain_memory(Page *p, const void *state) {
    const Precision *x = state;
    page_say(
        p,
        _("Planned for %s: %s instead of %s. What halves is activations, %s instead of %s, and "
          "they grow with the batch. Other trainers keep gradients in 16 bits as well, and "
          "come to 16 bytes: no less than f32."),
        x->model, page_quantity(p, UNIT_BYTES, x->state_bytes[1]),
        page_quantity(p, UNIT_BYTES, x->state_bytes[0]),
        page_quantity(p, UNIT_BYTES, x->activation_bytes[1]),
        page_quantity(p, UNIT_BYTES, x->activation_bytes[0]));
}

static const Question MEMORY = {
    .id = "bytes_a_parameter",
    .shape = {ANSWER_VALUE, UNIT_BYTES, 0},
    .ask = ask_memory,
    .truth = truth_memory,
    .wrong = {{"everything_halves",
               all_halved,
               {.text = N_("That is half of everything. Only what passes compute with is in 16 "
                           "bits; what is kept from step to step is not.")}},
              {"no_master_weights",
               weights_halved,
               {.text = N_("That is without weights in f32, whose small updates would be lost.")}},
              {"copy_costs_nothing",
               as_before,
               {.text = N_("That is f32 alone. The copy in bf16 lives beside the weights.")}}},
    .hint = {{.text = N_("List what is kept for a parameter, and in which type.")},
             {.text = N_("  weight + copy + gradient + two moments")},
             {hint_memory_3}},
    .explain = {explain_memory},
};

static const LessonStep LESSON[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &UPDATE},
    {.kind = STEP_PREDICT, .question = &SCALE},
    {.kind = STEP_RUN,
     .before = {.text = N_("Both by the rounding that the kernels use, number by number.")},
     .run = run_formats},
    {.kind = STEP_COMPARE, .question = &UPDATE},
    {.kind = STEP_COMPARE, .question = &SCALE},
    {.kind = STEP_RUN,
     .before = {.text = N_("The same small steps in a real training, three times: all in f32; "
                           "passes in bf16; and with weights that are rounded to bf16 as well.")},
     .run = run_training,
     .write = {show_training}},
    {.kind = STEP_PREDICT, .question = &MEMORY},
    {.kind = STEP_COMPARE, .question = &MEMORY},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson mixed_precision_lesson = {
    .number = 24,
    .name = "mixed_precision",
    .title = N_("Mixed precision"),
    .objective = N_("What 16 bits lose, what has to stay in 32, and which memory is saved."),
    .minutes = 12,
    .state_size = sizeof(Precision),
    .draw = draw,
    .steps = LESSON,
    .step_count = LESSON_COUNT(LESSON),
};
