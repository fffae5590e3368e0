// SPDX-License-Identifier: MIT
// Lesson 21: nn.DataParallel against DistributedDataParallel. The same gradients and the same bits,
// but one sends everything through device 0 and overlaps nothing (Li et al., VLDB 2020).
#include "lessons/lessons.h"

#include "core/nn/model.h"
#include "lessons/engine/translate.h"
#include "lessons/engine/trial.h"
#include "viz/scene/scene.h"

#include <stdbool.h>
#include <stdio.h>

enum { STEPS = 6, CLASSES = 10, PIXELS = 784, SIMULATED_ROWS = 32, SIZES = 3 };
static const int SIZE[SIZES] = {2, 4, 8};  // devices that are simulated

typedef struct {
    int ranks, rows;  // rows: of a device
    char model[32];
    double weight_bytes;
    Trial ddp, data_parallel;
    bool ran, predicted;
    double step_ms[2][SIZES];          // simulated: of DDP, of DataParallel
    double exposed_ms[2], comm_ms[2];  // of the largest size
} Devices;

enum { DDP, DATA_PARALLEL };

// --- numbers

static Status draw(const LessonRun *run, void *state) {
    Devices *x = state;
    Rng r = lesson_rng(run, 0);
    Model m;
    x->ranks = 4 + (int)rng_below(&r, 3);
    x->rows = 4 + (int)rng_below(&r, 5);
    snprintf(x->model, sizeof x->model, "mlp:layers=1,hidden=%d", 8 * (4 + (int)rng_below(&r, 8)));
    TRY(model_read(&m, run->arena, x->model));
    x->weight_bytes = (double)model_parameters(&m) * (double)sizeof(float);
    return OK;
}

static Status run_both(const LessonRun *run, void *state) {
    Devices *x = state;
    JobOptions o = trial_options();
    o.spec.model = x->model;
    o.spec.ranks = x->ranks;
    o.spec.batch = (int64_t)x->ranks * x->rows;
    o.steps = STEPS;
    o.test_fraction = 0;
    TRY(trial_train(&x->ddp, run, &o));
    o.spec.strategy.data_parallel = true;
    TRY(trial_train(&x->data_parallel, run, &o));
    x->ran = true;
    return OK;
}

static Status predict(Prediction *out, const LessonRun *run, int devices, bool data_parallel) {
    JobSpec spec = job_spec_default();
    spec.model = "resnet50";
    spec.ranks = devices;
    spec.batch = (int64_t)devices * SIMULATED_ROWS;
    spec.strategy.data_parallel = data_parallel;
    return trial_predict(out, run, &spec, "pcie-8");
}

static Status run_predictions(const LessonRun *run, void *state) {
    Devices *x = state;
    for (int i = 0; i < SIZES; i++)
        for (int how = DDP; how <= DATA_PARALLEL; how++) {
            Prediction p;
            TRY(predict(&p, run, SIZE[i], how == DATA_PARALLEL));
            x->step_ms[how][i] = p.step_ms;
            x->exposed_ms[how] = p.report.breakdown_ms[TIME_EXPOSED_COMM];
            x->comm_ms[how] = p.comm_ms;
        }
    x->predicted = true;
    return OK;
}

static double ring_bytes(const Devices *x) {
    return 2 * x->weight_bytes * (x->ranks - 1) / x->ranks;
}
static double output_bytes(const Devices *x) {
    return (double)(x->ranks - 1) * x->rows * CLASSES * (double)sizeof(float);
}
static double device0_bytes(const Devices *x) {
    return (x->ranks - 1) * x->weight_bytes + output_bytes(x);
}
static double input_bytes(const Devices *x) {
    return (double)x->rows * PIXELS * (double)sizeof(float);
}

// --- texts

static void hook(Page *p, const void *state) {
    const Devices *x = state;
    page_say(p,
             _("Two classes of PyTorch have almost one name. DataParallel takes one more line in a "
               "program; DistributedDataParallel wants processes, a group and a sampler. On %d "
               "devices, is the simple one as good?"),
             x->ranks);
}

static void idea(Page *p, const void *state) {
    page_say(p, _("DataParallel is one process. In every step device 0"));
    page_line(p, _("  replicate   sends its weights to all other devices"));
    page_line(p, _("  scatter     sends each its rows of the batch"));
    page_line(p, _("  gather      takes their outputs, and computes the loss of all rows"));
    page_line(p, _("  reduce      takes all their gradients, and alone updates"));
    page_say(p, _("DDP is a process a device. Each keeps the weights, reads its own rows, computes "
                  "its own loss and updates; only gradients travel, in an all-reduce, bucket by "
                  "bucket, while the backward goes on."));
    page_say(p, _("train has both: --ranks N, and --data-parallel."));
}

static void before_both(Page *p, const void *state) {
    const Devices *x = state;
    page_say(p,
             _("Both now, on %d threads: %s, %d rows each, %d steps. Rank 0's communicator counts "
               "what it takes from others."),
             x->ranks, x->model, x->rows, STEPS);
}

static const char *source(const Trial *t) { return t->simulated ? _("simulated") : _("measured"); }

static void show_both(Page *p, const void *state) {
    const Devices *x = state;
    page_line(p, _("  DDP            %8.3f ms a step (%s)   loss %.6f"), x->ddp.step_ms,
              source(&x->ddp), x->ddp.loss[STEPS - 1]);
    page_line(p, _("  DataParallel   %8.3f ms a step (%s)   loss %.6f"), x->data_parallel.step_ms,
              source(&x->data_parallel), x->data_parallel.loss[STEPS - 1]);
    page_say(p, _("Threads that share memory are the best case of DataParallel: sending costs "
                  "little there. A busy host says little about so small a step."));
}

static void before_predictions(Page *p, const void *state) {
    page_say(p, _("The simulator: resnet50, %d images a device, on A100s that share PCI Express."),
             SIMULATED_ROWS);
}

static void show_predictions(Page *p, const void *state) {
    const Devices *x = state;
    SceneBar bars[2 * SIZES];
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    for (int i = 0; i < SIZES; i++) {
        bars[2 * i] = (SceneBar){page_text(p, _("%d devices, DDP"), SIZE[i]), x->step_ms[DDP][i], 0,
                                 false, TONE_COMPUTE};
        bars[2 * i + 1] = (SceneBar){page_text(p, _("%d devices, DataParallel"), SIZE[i]),
                                     x->step_ms[DATA_PARALLEL][i], 0, false, TONE_EXPOSED};
    }
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, 2 * SIZES, "%.1f ms", 0});
    page_draw(p, d);
    page_say(p,
             _("A step, simulated. On %d devices %.1f of %.1f ms of communication are waited for "
               "with DataParallel, and %.1f of %.1f ms with DDP."),
             SIZE[SIZES - 1], x->exposed_ms[DATA_PARALLEL], x->comm_ms[DATA_PARALLEL],
             x->exposed_ms[DDP], x->comm_ms[DDP]);
}

static void box(Page *p, const void *state) {
    const Devices *x = state;
    page_box(p,
             _("DataParallel: (N-1) gradients into device 0 a step, here %s; DDP: 2(N-1)/N, here "
               "%s, on every rank alike, and behind the backward. Same bits. On %d simulated "
               "devices a step takes %.1f ms instead of %.1f."),
             page_quantity(p, UNIT_BYTES, (double)x->data_parallel.taken_bytes / STEPS),
             page_quantity(p, UNIT_BYTES, (double)x->ddp.taken_bytes / STEPS), SIZE[SIZES - 1],
             x->step_ms[DATA_PARALLEL][SIZES - 1], x->step_ms[DDP][SIZES - 1]);
}

// --- bytes into device 0

static void ask_bytes(Page *p, const void *state) {
    const Devices *x = state;
    page_say(p,
             _("DataParallel on %d devices: weights of %s, %d rows a device, %d outputs a row. How "
               "many bytes does device 0 take from the others in a step?"),
             x->ranks, page_digits(p, UNIT_BYTES, 4, x->weight_bytes), x->rows, CLASSES);
}

static void truth_bytes(Truth *out, const void *state) {
    const Devices *x = state;
    truth_one(out, FROM_THEORY, device0_bytes(x));
    answer_one(&out->from[FROM_MEASUREMENT], (double)x->data_parallel.taken_bytes / STEPS);
    out->known[FROM_MEASUREMENT] = x->ran;
    out->relative = 0.03;
}

static void as_a_ring(Answer *out, const void *state) { answer_one(out, ring_bytes(state)); }
static void only_outputs(Answer *out, const void *state) { answer_one(out, output_bytes(state)); }
static void one_gradient(Answer *out, const void *state) {
    const Devices *x = state;
    answer_one(out, x->weight_bytes);
}

static void hint_bytes_3(Page *p, const void *state) {
    const Devices *x = state;
    page_line(p, "  %d * (%s + %d * %d * 4 B)", x->ranks - 1,
              page_digits(p, UNIT_BYTES, 4, x->weight_bytes), x->rows, CLASSES);
}

static void explain_bytes(Page *p, const void *state) {
    const Devices *x = state;
    const SceneBar bars[] = {
        {_("into device 0"), device0_bytes(x), 0, false, TONE_EXPOSED},
        {_("into each other"), x->weight_bytes + input_bytes(x), 0, false, TONE_COMM},
        {_("DDP, into each"), ring_bytes(x), 0, false, TONE_COMPUTE}};
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, 3, "%.0f B", 0});
    page_draw(p, d);
    page_say(p,
             _("Bytes a step, by theory. Every other device sends its whole gradient to device 0, "
               "and its outputs. That link "
               "grows with N; those of DDP stay below twice the gradient. Measured with DDP: %s."),
             page_quantity(p, UNIT_BYTES, (double)x->ddp.taken_bytes / STEPS));
}

static const Question BYTES = {
    .id = "bytes_into_device_0",
    .shape = {ANSWER_VALUE, UNIT_BYTES, 0},
    .ask = ask_bytes,
    .truth = truth_bytes,
    .wrong = {{"all_reduces_as_ddp",
               as_a_ring,
               {.text =
                    N_("That is DDP's all-reduce, 2(N-1)/N times the gradient. DataParallel has "
                       "none: all gradients go to one device.")}},
              {"only_outputs_return",
               only_outputs,
               {.text = N_("Those are the outputs that are gathered. The backward runs on all "
                           "devices, and their gradients have to come back as well.")}},
              {"one_gradient_in_all",
               one_gradient,
               {.text = N_("That is one gradient. Each of the other devices has one, and they are "
                           "added on device 0.")}}},
    .hint = {{.text = N_("What does each of the other devices send back, forward and backward?")},
             {.text = N_("  (N-1) * (gradient + rows * outputs * 4 bytes)")},
             {hint_bytes_3}},
    .explain = {explain_bytes},
};

// --- the result

static void ask_result(Page *p, const void *state) {
    page_say(p,
             _("After %d steps on the same rows, how do the weights of DataParallel and of DDP "
               "compare?"),
             STEPS);
}

enum { RESULT_SAME, RESULT_ROUNDING, RESULT_OTHER, RESULTS };
static const char *const RESULT_NAMES[RESULTS] = {
    [RESULT_SAME] = N_("the same bits"),
    [RESULT_ROUNDING] = N_("different in the last bits"),
    [RESULT_OTHER] = N_("different: DDP averages, DataParallel sums"),
};

static void truth_result(Truth *out, const void *state) {
    const Devices *x = state;
    double most = 0;
    if (!x->ran) return;
    for (int64_t i = 0; i < x->ddp.weight_count; i++) {
        double apart = x->ddp.weights[i] - x->data_parallel.weights[i];
        if (apart < 0) apart = -apart;
        if (apart > most) most = apart;
    }
    truth_one(out, FROM_MEASUREMENT,
              most == 0 ? RESULT_SAME : (most < 1e-5 ? RESULT_ROUNDING : RESULT_OTHER));
}

static void explain_result(Page *p, const void *state) {
    const Devices *x = state;
    page_say(
        p,
        _("Hash of all weights: %016llx with DDP, %016llx with DataParallel. Both sum the "
          "gradients of the same shards in the order of the shards, and the loss is divided by "
          "the rows of the whole batch. A strategy changes who sends what, not what is "
          "computed."),
        (unsigned long long)x->ddp.hash, (unsigned long long)x->data_parallel.hash);
}

static const Question RESULT = {
    .id = "same_result",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, RESULTS},
    .ask = ask_result,
    .options = RESULT_NAMES,
    .truth = truth_result,
    .wrong = {{"another_order", .option = RESULT_ROUNDING,
               .reply = {.text = N_("That is what two orders of additions would do. Here both add "
                                    "the shards' gradients in the same order.")}},
              {"sum_against_mean", .option = RESULT_OTHER,
               .reply = {.text = N_("DDP does divide by N, after each rank took the mean over its "
                                    "own rows; DataParallel takes the mean over all rows at once. "
                                    "With as many rows on each that is the same.")}}},
    .hint = {{.text = N_("Which gradients are added, and in which order?")},
             {.text = "  ((g_0 + g_1) + g_2) + ..."},
             {.text = N_("  both:  ((g_0 + g_1) + g_2) + ...,  1/B in the loss")}},
    .explain = {explain_result},
};

// --- what is hidden

static void ask_exposed(Page *p, const void *state) {
    page_say(p,
             _("resnet50 on %d simulated A100s over PCI Express. Of the time that DataParallel "
               "communicates, which share does the step wait for?"),
             SIZE[SIZES - 1]);
}

static void truth_exposed(Truth *out, const void *state) {
    const Devices *x = state;
    truth_one(out, FROM_THEORY, 1);
    out->absolute = 0.06;
    if (!x->predicted) return;
    truth_one(out, FROM_SIMULATION, x->exposed_ms[DATA_PARALLEL] / x->comm_ms[DATA_PARALLEL]);
}

static void all_hidden(Answer *out, const void *state) { answer_one(out, 0); }
static void one_of_two(Answer *out, const void *state) { answer_one(out, 0.5); }

static const Question EXPOSED = {
    .id = "exposed_share",
    .shape = {ANSWER_VALUE, UNIT_SHARE, 0},
    .ask = ask_exposed,
    .truth = truth_exposed,
    .wrong = {{"hidden_as_in_ddp",
               all_hidden,
               {.text = N_("That is what DDP comes near to: its buckets leave while the backward "
                           "goes on. DataParallel sends gradients when the backward is done, and "
                           "weights before the forward begins.")}},
              {"gradients_overlap",
               one_of_two,
               {.text = N_("Then the gradients would hide behind the backward. They are reduced "
                           "when it has ended; only DDP sends them earlier.")}}},
    .hint = {{.text = N_("What could be computed while weights are replicated, and while gradients "
                         "are reduced?")},
             {.text = N_("  share = communication that nothing hides / all communication")},
             {.text = N_("  replicate before the forward, gather after it, reduce after the "
                         "backward")}},
    .explain = {.text = N_("Nobody can begin before the weights are there, the loss waits for all "
                           "outputs, the backward for the loss, and the update for all gradients: "
                           "each transfer stands between two computations.")},
};

static const LessonStep STEPS_OF_LESSON[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &BYTES},
    {.kind = STEP_PREDICT, .question = &RESULT},
    {.kind = STEP_RUN, .before = {before_both}, .run = run_both, .write = {show_both}},
    {.kind = STEP_COMPARE, .question = &BYTES},
    {.kind = STEP_COMPARE, .question = &RESULT},
    {.kind = STEP_PREDICT, .question = &EXPOSED},
    {.kind = STEP_RUN,
     .before = {before_predictions},
     .run = run_predictions,
     .write = {show_predictions}},
    {.kind = STEP_COMPARE, .question = &EXPOSED},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson data_parallel_ddp_lesson = {
    .number = 21,
    .name = "data_parallel_ddp",
    .title = N_("DataParallel against DDP"),
    .objective = N_("Why two classes that compute the same bits differ in what they send, and in "
                    "what a step waits for."),
    .minutes = 10,
    .state_size = sizeof(Devices),
    .draw = draw,
    .steps = STEPS_OF_LESSON,
    .step_count = LESSON_COUNT(STEPS_OF_LESSON),
};
