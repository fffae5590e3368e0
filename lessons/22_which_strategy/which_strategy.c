// SPDX-License-Identifier: MIT
// Lesson 22: which strategy for my model, data and machine. Memory first, then what is sent, then
// the simulator; and what sim --advise does about it (sim/advise.h).
#include "lessons/lessons.h"

#include "core/nn/model.h"
#include "lessons/engine/translate.h"
#include "lessons/engine/trial.h"
#include "sim/advise.h"
#include "viz/scene/scene.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

enum { DEVICES = 8, BATCH = 64, SHOWN = 3, ADVISED = 16 };
enum { BYTES_OF_A_PARAMETER = 16 };  // f32: weight, gradient, two moments of Adam

// What is tried by hand.
enum { WITH_DDP, WITH_ZERO, WITH_TENSOR, WITH_PIPE, STRATEGIES };

typedef struct {
    char model[64];
    double parameters;
    double memory;  // bytes that a device has
    double step_ms[STRATEGIES], bytes[STRATEGIES];
    double state_bytes;  // of weights, gradients and moments of DDP, as planned
    int small_batch;
    double small_step_ms[2];  // of the article's network on one device, and on all
    int tried, combinations;  // by the advisor: simulated, and listed
    double advised_ms[SHOWN], advised_bytes[SHOWN];
    const char *advised[SHOWN];
    int shown;
    bool advised_them;
} Choice;

// --- numbers

static JobSpec job_of(const Choice *x) {
    JobSpec spec = job_spec_default();
    spec.model = x->model;
    spec.ranks = DEVICES;
    spec.batch = BATCH;
    spec.optimizer.kind = OPTIMIZER_ADAM;
    return spec;
}

static Status try_strategies(const LessonRun *run, Choice *x) {
    for (int k = 0; k < STRATEGIES; k++) {
        Prediction p;
        JobSpec spec = job_of(x);
        if (k == WITH_ZERO) spec.strategy.zero = 3;
        if (k == WITH_TENSOR) spec.mesh.tensor = DEVICES;
        if (k == WITH_PIPE) spec.mesh.pipe = spec.micro_batches = DEVICES;
        TRY(trial_predict(&p, run, &spec, "pcie-8"));
        x->step_ms[k] = p.step_ms;
        x->bytes[k] = (double)p.memory_bytes;
        const int64_t *class_bytes = p.report.answers->memory_bytes;
        if (k == WITH_DDP)
            x->state_bytes =
                (double)(class_bytes[MEMORY_PARAMETERS] + class_bytes[MEMORY_GRADIENTS] +
                         class_bytes[MEMORY_OPTIMISER]);
    }
    return OK;
}

static Status try_small(const LessonRun *run, Choice *x) {
    for (int k = 0; k < 2; k++) {
        Prediction p;
        JobSpec spec = job_spec_default();
        spec.batch = x->small_batch;
        spec.ranks = k ? DEVICES : 1;
        TRY(trial_predict(&p, run, &spec, "dgx-a100"));
        x->small_step_ms[k] = p.step_ms;
    }
    return OK;
}

static Status draw(const LessonRun *run, void *state) {
    Choice *x = state;
    Rng r = lesson_rng(run, 0);
    Model m;
    int layers = 4 + (int)rng_below(&r, 3), heads = rng_below(&r, 2) ? 24 : 32;
    snprintf(x->model, sizeof x->model, "gpt:layers=%d,hidden=%d,heads=%d,seq=512", layers,
             128 * heads, heads);
    x->small_batch = 32 << rng_below(&r, 3);
    TRY(model_read(&m, run->arena, x->model));
    x->parameters = (double)model_parameters(&m);
    TRY(try_strategies(run, x));
    x->memory = 1e9 * floor(0.95 * x->bytes[WITH_DDP] / 1e9);
    return try_small(run, x);
}

static const char *options_of(const LessonRun *run, const Advice *v, int candidate) {
    enum { TEXT = 80 };
    char *text = ARENA_NEW(run->arena, char, TEXT);
    int used = 0;
    if (!text) return "";
    for (int o = 0; o < ADVISE_OPTIONS; o++) {
        int value = advise_value(v, candidate, (AdviseOption)o);
        if (v->space.counts[o] < 2 || value == v->space.values[o][0]) continue;
        int more = snprintf(text + used, (size_t)(TEXT - used), "%s--%s %d", used ? " " : "",
                            advise_option_name((AdviseOption)o), value);
        used = more < TEXT - used ? used + more : TEXT - 1;
    }
    return used ? text : "DDP";
}

// The fastest that fit, of those that were simulated.
static void keep_best(const LessonRun *run, Choice *x, const Advice *v) {
    bool taken[ADVISE_MOST] = {false};
    for (x->shown = 0; x->shown < SHOWN; x->shown++) {
        int best = NONE;
        for (int i = 0; i < v->simulated; i++) {
            bool fits = v->candidates[v->of_point[i]].fate == ADVISE_SIMULATED;
            if (taken[i] || !fits) continue;
            if (best == NONE || v->points[i].step_ms < v->points[best].step_ms) best = i;
        }
        if (best == NONE) return;
        taken[best] = true;
        x->advised_ms[x->shown] = v->points[best].step_ms;
        x->advised_bytes[x->shown] = (double)v->points[best].memory_bytes;
        x->advised[x->shown] = options_of(run, v, v->of_point[best]);
    }
}

static Status run_advice(const LessonRun *run, void *state) {
    Choice *x = state;
    Advice v;
    Machine machine;
    SimJob job = {.spec = job_of(x)};
    bool fixed[ADVISE_OPTIONS] = {
        [ADVISE_CONTEXT] = true,  [ADVISE_EXPERT] = true,        [ADVISE_RECOMPUTE] = true,
        [ADVISE_SCHEDULE] = true, [ADVISE_MICRO_BATCHES] = true, [ADVISE_BUCKET] = true};
    job.spec.device = "timed:pcie-8";
    TRY(machine_read(&machine, run->arena, "pcie-8"));
    const SimSetting setting = {.machine = &machine, .devices = true};
    TRY(advise_find(&v, run->arena,
                    &(AdviseAsk){.job = &job,
                                 .setting = &setting,
                                 .memory_bytes = (int64_t)x->memory,
                                 .threads = 2,
                                 .most = ADVISED,
                                 .fixed = fixed}));
    x->tried = v.simulated;
    x->combinations = v.count;
    keep_best(run, x, &v);
    x->advised_them = true;
    return OK;
}

// The fastest; of those that fit, or of all.
static int fastest(const Choice *x, bool must_fit) {
    int best = NONE;
    for (int k = 0; k < STRATEGIES; k++) {
        if (must_fit && x->bytes[k] > x->memory) continue;
        if (best == NONE || x->step_ms[k] < x->step_ms[best]) best = k;
    }
    return best;
}

static int leanest(const Choice *x) {
    int best = 0;
    for (int k = 1; k < STRATEGIES; k++)
        if (x->bytes[k] < x->bytes[best]) best = k;
    return best;
}

// --- texts

static void hook(Page *p, const void *state) {
    const Choice *x = state;
    page_say(
        p,
        _("A model of %.2f billion parameters, %d devices on PCI Express with %s each, a batch "
          "of %d texts. Data parallel, sharded, tensor parallel, a pipeline?"),
        x->parameters / 1e9, DEVICES, page_quantity(p, UNIT_BYTES, x->memory), BATCH);
    page_say(p, _("\"It depends on the model, the data and the machine\" is true, and no answer. "
                  "This lesson computes it."));
}

static void idea(Page *p, const void *state) {
    page_say(p, _("Three questions, in this order:"));
    page_line(p, _("  1. does it fit?         weights, gradients, moments, activations"));
    page_line(p, _("  2. what is sent?        gradients once a step, or activations often"));
    page_line(p, _("  3. what hides it?       the backward of the layers that remain"));
    page_say(p, _("DDP keeps everything everywhere. ZeRO-3 (FSDP) divides weights, gradients and "
                  "moments, and gathers weights layer by layer. Tensor parallelism divides each "
                  "product and sums activations in every layer. A pipeline divides layers and "
                  "waits while it fills."));
}

static const char *const STRATEGY_NAMES[STRATEGIES] = {
    [WITH_DDP] = N_("DDP"),
    [WITH_ZERO] = N_("ZeRO-3"),
    [WITH_TENSOR] = N_("tensor parallel over all 8"),
    [WITH_PIPE] = N_("a pipeline of 8 stages"),
};

static void show_advice(Page *p, const void *state) {
    const Choice *x = state;
    page_say(
        p,
        _("Of %d combinations of --tp, --pp and --zero it rejected those that do not divide or "
          "fit, estimated the others and simulated %d. The fastest that fit:"),
        x->combinations, x->tried);
    for (int i = 0; i < x->shown; i++)
        page_line(p, _("  %8.1f ms  %8s  %s"), x->advised_ms[i],
                  page_quantity(p, UNIT_BYTES, x->advised_bytes[i]), x->advised[i]);
    page_say(p, _("sim --gpus 8 --platform FILE --model NAME --advise does this for your job, with "
                  "all options; train --advise for the cores of this host."));
}

static void box(Page *p, const void *state) {
    const Choice *x = state;
    int best = fastest(x, true);
    page_box(
        p,
        _("Memory first: 16 bytes a parameter with Adam in f32, here %s, then the fastest that "
          "fits: %s, %.0f ms a step (simulated). A small network gains little from more "
          "devices: here %.2f times on %d."),
        page_quantity(p, UNIT_BYTES, BYTES_OF_A_PARAMETER * x->parameters), _(STRATEGY_NAMES[best]),
        x->step_ms[best], x->small_step_ms[0] / x->small_step_ms[1], DEVICES);
}

// --- memory

static void ask_memory(Page *p, const void *state) {
    const Choice *x = state;
    page_say(
        p,
        _("%.3f billion parameters in f32, with Adam, on %d devices with DDP. What do weights, "
          "gradients and moments take on each device?"),
        x->parameters / 1e9, DEVICES);
}

static void truth_memory(Truth *out, const void *state) {
    const Choice *x = state;
    truth_one(out, FROM_THEORY, BYTES_OF_A_PARAMETER * x->parameters);
    truth_one(out, FROM_SIMULATION, x->state_bytes);
    out->relative = 0.03;
}

static void weights_alone(Answer *out, const void *state) {
    const Choice *x = state;
    answer_one(out, 4 * x->parameters);
}
static void no_moments(Answer *out, const void *state) {
    const Choice *x = state;
    answer_one(out, 8 * x->parameters);
}
static void divided(Answer *out, const void *state) {
    const Choice *x = state;
    answer_one(out, BYTES_OF_A_PARAMETER * x->parameters / DEVICES);
}

static void reply_divided(Page *p, const void *state) {
    page_say(p,
             _("That is 1/%d of it. DDP divides the batch alone; whoever wants this number wants "
               "ZeRO-3."),
             DEVICES);
}
static void hint_memory_3(Page *p, const void *state) {
    const Choice *x = state;
    page_line(p, "  (4 + 4 + 4 + 4) B * %.4g", x->parameters);
}
static void explain_memory(Page *p, const void *state) {
    const Choice *x = state;
    page_say(p,
             _("4 bytes each for weight, gradient, and Adam's two averages. Planned for a step of "
               "DDP: %s, and %s with activations, of %s that a device has."),
             page_quantity(p, UNIT_BYTES, x->state_bytes),
             page_quantity(p, UNIT_BYTES, x->bytes[WITH_DDP]),
             page_quantity(p, UNIT_BYTES, x->memory));
}

static const Question MEMORY = {
    .id = "memory_of_ddp",
    .shape = {ANSWER_VALUE, UNIT_BYTES, 0},
    .ask = ask_memory,
    .truth = truth_memory,
    .wrong = {{"weights_alone",
               weights_alone,
               {.text = N_("Those are the weights. Training keeps a gradient of each, and Adam two "
                           "averages.")}},
              {"no_optimiser_state",
               no_moments,
               {.text = N_("Weights and gradients: so much for plain SGD. Adam keeps an average of "
                           "the gradient and one of its square as well.")}},
              {"ddp_divides_the_model", divided, {reply_divided}}},
    .hint = {{.text = N_("What is kept for each parameter from step to step, and what during it?")},
             {.text = N_("  (weight + gradient + 2 averages) * 4 bytes * parameters")},
             {hint_memory_3}},
    .explain = {explain_memory},
};

// --- the fastest that fits

static void ask_fastest(Page *p, const void *state) {
    const Choice *x = state;
    page_say(p,
             _("The same model with %d texts of 512 tokens, on %d A100s over PCI Express of which "
               "each may use %s. Which of these trains fastest?"),
             BATCH, DEVICES, page_quantity(p, UNIT_BYTES, x->memory));
}

static void truth_fastest(Truth *out, const void *state) {
    truth_one(out, FROM_SIMULATION, fastest(state, true));
}
static void just_fastest(Answer *out, const void *state) { answer_one(out, fastest(state, false)); }
static void just_leanest(Answer *out, const void *state) { answer_one(out, leanest(state)); }

static void reply_just_fastest(Page *p, const void *state) {
    const Choice *x = state;
    int k = fastest(x, false);
    page_say(p, _("It would be the fastest, but it needs %s on a device and there are %s."),
             page_quantity(p, UNIT_BYTES, x->bytes[k]), page_quantity(p, UNIT_BYTES, x->memory));
}
static void reply_leanest(Page *p, const void *state) {
    const Choice *x = state;
    int k = leanest(x);
    page_say(p,
             _("It needs the least memory, %s, but what fits is not what is fast: %.0f ms a step."),
             page_quantity(p, UNIT_BYTES, x->bytes[k]), x->step_ms[k]);
}
static void reply_tensor(Page *p, const void *state) {
    const Choice *x = state;
    page_say(
        p,
        _("It divides the weights, too, but sums activations of all tokens in every layer, and "
          "nothing hides that: %.0f ms a step over PCI Express."),
        x->step_ms[WITH_TENSOR]);
}

static void explain_fastest(Page *p, const void *state) {
    const Choice *x = state;
    page_say(p, _("Simulated, a step and the memory of a device:"));
    for (int k = 0; k < STRATEGIES; k++)
        page_line(p, "  %6.0f ms  %8s  %s%s", x->step_ms[k],
                  page_quantity(p, UNIT_BYTES, x->bytes[k]), _(STRATEGY_NAMES[k]),
                  x->bytes[k] > x->memory ? _(", too large") : "");
    page_say(p, _("ZeRO-3 sends one and a half times what DDP sends, but while layers compute."));
}

static const Question FASTEST = {
    .id = "fastest_that_fits",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, STRATEGIES},
    .ask = ask_fastest,
    .options = STRATEGY_NAMES,
    .truth = truth_fastest,
    .wrong = {{"fastest_of_all", just_fastest, {reply_just_fastest}},
              {"what_fits_is_fast", just_leanest, {reply_leanest}},
              {"tensor_parallel_everywhere", .option = WITH_TENSOR, .reply = {reply_tensor}}},
    .hint = {{.text =
                  N_("First cross out what does not fit. Then: who sends what, and how often?")},
             {.text = N_("  fits: state/N + activations < memory;  then least waited for")},
             {.text = N_("  gradients and weights hide behind layers; activations' sums do not")}},
    .explain = {explain_fastest},
};

// --- a small network

static void ask_small(Page *p, const void *state) {
    const Choice *x = state;
    page_say(p,
             _("The article's network, 27,100 parameters, a batch of %d in all: how many times as "
               "fast is it on %d A100s with NVLink as on one? Give an interval that you believe it "
               "lies in."),
             x->small_batch, DEVICES);
}

static void truth_small(Truth *out, const void *state) {
    const Choice *x = state;
    truth_one(out, FROM_SIMULATION, x->small_step_ms[0] / x->small_step_ms[1]);
    out->relative = 0.04;
}

static void as_many_times(Answer *out, const void *state) { answer_one(out, DEVICES); }
static void not_at_all(Answer *out, const void *state) { answer_one(out, 1); }

static void explain_small(Page *p, const void *state) {
    const Choice *x = state;
    page_say(p,
             _("Simulated: %.3f ms on one, %.3f ms on %d. Most of a step is what each kernel takes "
               "whatever its size; an eighth of the rows makes that no shorter, and the all-reduce "
               "comes on top. One device, or one core, is the right machine for it."),
             x->small_step_ms[0], x->small_step_ms[1], DEVICES);
}

static const Question SMALL = {
    .id = "small_network",
    .shape = {ANSWER_INTERVAL, UNIT_TIMES, 0},
    .ask = ask_small,
    .truth = truth_small,
    .wrong = {{"devices_times",
               as_many_times,
               {.text = N_("Only work that fills a device is divided so well. Kernels that are too "
                           "small to fill one do not get 8 times as short.")}},
              {"no_faster_at_all",
               not_at_all,
               {.text = N_("A little is gained: the largest layers do get shorter with fewer "
                           "rows.")}}},
    .hint = {{.text = N_("Which part of a step gets shorter with fewer rows a device?")},
             {.text = N_("  T(N) = fixed + work/N + all-reduce")},
             {.text = N_("  a kernel takes some microseconds, however little it does")}},
    .explain = {explain_small},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &MEMORY},
    {.kind = STEP_COMPARE, .question = &MEMORY},
    {.kind = STEP_PREDICT, .question = &FASTEST},
    {.kind = STEP_COMPARE, .question = &FASTEST},
    {.kind = STEP_RUN,
     .before = {.text = N_("The advisor searches the same job, with degrees combined:")},
     .run = run_advice,
     .write = {show_advice}},
    {.kind = STEP_PREDICT, .question = &SMALL},
    {.kind = STEP_COMPARE, .question = &SMALL},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson which_strategy_lesson = {
    .number = 22,
    .name = "which_strategy",
    .title = N_("Which strategy"),
    .objective = N_("Choosing by memory, then by what is sent and what hides it; and letting the "
                    "advisor search."),
    .minutes = 12,
    .state_size = sizeof(Choice),
    .draw = draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
