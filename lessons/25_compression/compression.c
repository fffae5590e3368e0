// SPDX-License-Identifier: MIT
// Lesson 25: gradients that are sent smaller. PowerSGD (Vogels et al., 2019), top-k with error
// feedback (Stich et al., 2018); their bytes, their losses, and when they do not pay.
#include "lessons/lessons.h"

#include "core/nn/model.h"
#include "lessons/engine/translate.h"
#include "lessons/engine/trial.h"
#include "viz/scene/scene.h"

#include <stdbool.h>
#include <stdio.h>

enum { PIXELS = 784, CLASSES = 10, STEPS = 30, ROWS = 24, DEVICES = 8, SIMULATED_ROWS = 64 };
enum { SENT_WHOLE, SENT_BF16, SENT_FACTORS, SENT_LARGEST, SENT_FORGETFUL, RUNS };
enum { ON_NVLINK, ON_ETHERNET, MACHINES };

#define FRACTION 0.02  // of the elements, that top-k sends

typedef struct {
    int ranks, hidden, rank;  // rank: of the factors
    char model[32];
    double weight_bytes;
    Trial trained[RUNS];
    bool ran;
    double step_ms[MACHINES][2];  // simulated: whole, as factors
} Compression;

// --- numbers

static Status predict(const LessonRun *run, Compression *x) {
    static const char *const NAMES[MACHINES] = {"dgx-a100", "ethernet-cluster"};
    for (int m = 0; m < MACHINES; m++)
        for (int k = 0; k < 2; k++) {
            Prediction p;
            JobSpec spec = job_spec_default();
            spec.model = "vgg16";
            spec.ranks = DEVICES;
            spec.batch = SIMULATED_ROWS;
            if (k) spec.strategy.compress = (OptionForm){COMPRESS_POWERSGD, x->rank};
            TRY(trial_predict(&p, run, &spec, NAMES[m]));
            x->step_ms[m][k] = p.step_ms;
        }
    return OK;
}

static Status draw(const LessonRun *run, void *state) {
    Compression *x = state;
    Rng r = lesson_rng(run, 0);
    Model m;
    x->ranks = 3 + (int)rng_below(&r, 3);
    x->hidden = 8 * (3 + (int)rng_below(&r, 4));
    x->rank = 2 + (int)rng_below(&r, 2);
    snprintf(x->model, sizeof x->model, "mlp:layers=1,hidden=%d", x->hidden);
    TRY(model_read(&m, run->arena, x->model));
    x->weight_bytes = (double)model_parameters(&m) * (double)sizeof(float);
    return predict(run, x);
}

// Error feedback that is forgotten: nothing of the last step is added to a gradient.
typedef struct {
    Arena scratch[COMM_RANKS];  // of each rank's thread
    Status status[COMM_RANKS];
} Forgetting;

static void forget(void *context, Executor *e, int plan, int op) {
    Forgetting *f = context;
    const Program *p = e->program;
    const Plan *k = &p->plans[plan];
    if (op_kind(p, &k->ops[op]) != KIND_FEED_ERROR || f->status[e->rank] != OK) return;
    int error = op_inputs(k, &k->ops[op])[0];
    void *zeros = arena_push(&f->scratch[e->rank], (size_t)p->tensors[error].bytes);
    f->status[e->rank] = zeros ? executor_write(e, error, zeros) : ERR_MEMORY;
    arena_finish(&f->scratch[e->rank]);
}

static Status train(Trial *out, const LessonRun *run, const Compression *x, int how) {
    Forgetting forgetting = {0};
    const TrialHook hook = {&forgetting, forget};
    LessonRun real = *run;  // no time is shown
    JobOptions o = trial_options();
    o.spec.model = x->model;
    o.spec.ranks = x->ranks;
    o.spec.batch = ROWS;
    o.spec.seed = (int64_t)(run->seed % 100000) + 1;
    o.spec.optimizer.momentum = 0;
    o.spec.learning_rate = 0.05;
    if (how == SENT_BF16) o.spec.strategy.compress.word = COMPRESS_BF16;
    if (how == SENT_FACTORS) o.spec.strategy.compress = (OptionForm){COMPRESS_POWERSGD, x->rank};
    if (how >= SENT_LARGEST) o.spec.strategy.compress = (OptionForm){COMPRESS_TOPK, FRACTION};
    o.steps = STEPS;
    o.test_fraction = 0;
    real.virtual_time = false;
    TRY(trial_train_hooked(out, &real, &o, how == SENT_FORGETFUL ? &hook : NULL));
    for (int r = 0; r < x->ranks; r++)
        if (forgetting.status[r] != OK) FAIL(forgetting.status[r], "out of memory for gradients");
    return OK;
}

static Status run_all(const LessonRun *run, void *state) {
    Compression *x = state;
    for (int how = 0; how < RUNS; how++) TRY(train(&x->trained[how], run, x, how));
    x->ran = true;
    return OK;
}

static double all_reduced(const Compression *x, double elements) {
    return 2.0 * (x->ranks - 1) / x->ranks * elements * (double)sizeof(float);
}

static double taken(const Compression *x, int how) {
    return (double)x->trained[how].taken_bytes / STEPS;
}

static double last_loss(const Compression *x, int how) { return x->trained[how].loss[STEPS - 1]; }

// --- texts

static void hook(Page *p, const void *state) {
    const Compression *x = state;
    page_say(
        p,
        _("Gradients of %s go between %d ranks in every step. A gradient is a noisy direction; "
          "must each of its numbers be sent, in 32 bits?"),
        page_quantity(p, UNIT_BYTES, x->weight_bytes), x->ranks);
}

static void idea(Page *p, const void *state) {
    page_line(p, _("  bf16, fp16   round: half the bytes"));
    page_line(p, _("  PowerSGD     a matrix n x m as P Q^T, of r columns each"));
    page_line(p, _("  top-k        the largest elements, with their places"));
    page_say(p,
             _("What is not sent is not thrown away: error feedback adds it to the gradient of "
               "the next step, until it is large enough to be sent. So nothing is lost, but some "
               "of it comes late."));
    page_say(p, _("In train: --compress bf16, fp16, powersgd:RANK or topk:FRACTION."));
}

static const char *const RUN_NAMES[RUNS] = {
    N_("whole"), N_("bf16"), N_("PowerSGD"), N_("top-k"), N_("top-k, error forgotten"),
};

static void show_all(Page *p, const void *state) {
    static const Tone TONES[] = {TONE_COMPUTE, TONE_COMM, TONE_EXPOSED};
    const Compression *x = state;
    double steps[STEPS];
    SceneSeries series[3];
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    for (int i = 0; i < STEPS; i++) steps[i] = i + 1;
    for (int k = 0; k < 3; k++) {
        int how = k == 0 ? SENT_WHOLE : SENT_FACTORS + k - 1;
        series[k] = (SceneSeries){_(RUN_NAMES[how]), steps, x->trained[how].loss, STEPS, TONES[k]};
    }
    if (!d) return;
    scene_curve(d, p->arena, PAGE_COLUMNS - 4,
                &(SceneCurve){series, 3, _("step"), _("loss"), false, false, 8});
    page_draw(p, d);
    page_say(p, _("Measured: bytes that a rank took in a step, and the last loss."));
    for (int how = 0; how < RUNS; how++)
        page_line(p, "  %8s  %.4f  %s", page_quantity(p, UNIT_BYTES, taken(x, how)),
                  last_loss(x, how), _(RUN_NAMES[how]));
}

static void box(Page *p, const void *state) {
    const Compression *x = state;
    page_box(
        p,
        _("Compression trades bytes for late gradients: here %.0f times fewer bytes, and a "
          "last loss of %.3f instead of %.3f. It pays where communication is waited for: "
          "simulated %.0f instead of %.0f ms on Ethernet, but %.1f instead of %.1f on NVLink."),
        taken(x, SENT_WHOLE) / taken(x, SENT_FACTORS), last_loss(x, SENT_FACTORS),
        last_loss(x, SENT_WHOLE), x->step_ms[ON_ETHERNET][1], x->step_ms[ON_ETHERNET][0],
        x->step_ms[ON_NVLINK][1], x->step_ms[ON_NVLINK][0]);
}

// --- bytes of factors

static double factor_elements(const Compression *x) {
    return (double)x->rank * (PIXELS + x->hidden) + x->rank * (x->hidden + CLASSES) + x->hidden +
           CLASSES;
}

static void ask_factors(Page *p, const void *state) {
    const Compression *x = state;
    page_say(p,
             _("%d ranks; weights of %d x %d and %d x %d, and a bias of each layer. With PowerSGD "
               "of rank %d, biases sent whole, how many bytes does a rank take in a step?"),
             x->ranks, x->hidden, PIXELS, CLASSES, x->hidden, x->rank);
}

static void truth_factors(Truth *out, const void *state) {
    const Compression *x = state;
    truth_one(out, FROM_THEORY, all_reduced(x, factor_elements(x)));
    answer_one(&out->from[FROM_MEASUREMENT], taken(x, SENT_FACTORS));
    out->known[FROM_MEASUREMENT] = x->ran;
    out->relative = 0.03;
}

static void divided_by_rank(Answer *out, const void *state) {
    const Compression *x = state;
    answer_one(out, all_reduced(x, x->weight_bytes / 4) / x->rank);
}
static void left_factor(Answer *out, const void *state) {
    const Compression *x = state;
    answer_one(out, all_reduced(x, (double)x->rank * (x->hidden + CLASSES) + x->hidden + CLASSES));
}
static void as_a_whole(Answer *out, const void *state) {
    const Compression *x = state;
    answer_one(out, all_reduced(x, x->weight_bytes / 4));
}

static void hint_factors_3(Page *p, const void *state) {
    const Compression *x = state;
    page_line(p, "  2 * %d/%d * 4 B * (%d (%d + %d) + %d (%d + %d) + %d + %d)", x->ranks - 1,
              x->ranks, x->rank, x->hidden, PIXELS, x->rank, CLASSES, x->hidden, x->hidden,
              CLASSES);
}
static void explain_factors(Page *p, const void *state) {
    const Compression *x = state;
    page_say(
        p,
        _("n x m numbers become r (n + m): the larger the matrix, the more is saved. Here %.0f "
          "times less than the whole gradient. Both factors are all-reduced, P first: Q "
          "depends on the sum of all ranks' P."),
        all_reduced(x, x->weight_bytes / 4) / all_reduced(x, factor_elements(x)));
}

static const Question FACTORS = {
    .id = "bytes_of_factors",
    .shape = {ANSWER_VALUE, UNIT_BYTES, 0},
    .ask = ask_factors,
    .truth = truth_factors,
    .wrong = {{"divided_by_the_rank",
               divided_by_rank,
               {.text =
                    N_("A higher rank sends more, not less: each column more is one more number "
                       "for every row and every column.")}},
              {"one_factor_is_enough",
               left_factor,
               {.text = N_("That is the left factor, P. Without Q nobody can put the matrix "
                           "together again.")}},
              {"gradients_as_they_are",
               as_a_whole,
               {.text = N_("That is the all-reduce of whole gradients. The factors are sent in "
                           "their place.")}}},
    .hint = {{.text = N_("How many numbers do the two factors of each matrix have?")},
             {.text = N_("  2 (N-1)/N * 4 bytes * (sum of r (n + m) + biases)")},
             {hint_factors_3}},
    .explain = {explain_factors},
};

// --- where top-k breaks even

static void ask_even(Page *p, const void *state) {
    const Compression *x = state;
    page_say(p,
             _("top-k sends each element as 4 bytes and its place as 4 more, and every rank takes "
               "the lists of all others. Below which share of the elements is that less than an "
               "all-reduce of all of them, on %d ranks?"),
             x->ranks);
}

static void truth_even(Truth *out, const void *state) {
    const Compression *x = state;
    truth_one(out, FROM_THEORY, 1.0 / x->ranks);
    out->relative = 0.06;
    if (x->ran)
        truth_one(out, FROM_MEASUREMENT, FRACTION * taken(x, SENT_WHOLE) / taken(x, SENT_LARGEST));
}

static void one_half(Answer *out, const void *state) { answer_one(out, 0.5); }
static void always_less(Answer *out, const void *state) { answer_one(out, 1); }

static void hint_even_3(Page *p, const void *state) {
    const Compression *x = state;
    page_line(p, "  %d * 8 k = 2 * %d/%d * 4", x->ranks - 1, x->ranks - 1, x->ranks);
}
static void explain_even(Page *p, const void *state) {
    page_say(p,
             _("Lists of different ranks name different elements, so they cannot be added on the "
               "way: each goes to everybody, (N-1) 8k bytes an element against 2 (N-1)/N 4. With N "
               "ranks k has to be below 1/N. Measured from a run with %.0f %%."),
             100 * FRACTION);
}

static const Question EVEN = {
    .id = "top_k_breaks_even",
    .shape = {ANSWER_VALUE, UNIT_SHARE, 0},
    .ask = ask_even,
    .truth = truth_even,
    .wrong = {{"places_double_the_size",
               one_half,
               {.text =
                    N_("So it would be between two ranks. An all-reduce sends a sum, whose size "
                       "does not grow with ranks; lists do not add up.")}},
              {"fewer_elements_fewer_bytes",
               always_less,
               {.text = N_("Places cost as much as values, and every list goes to all other "
                           "ranks.")}}},
    .hint = {{.text = N_("How many bytes does a rank take for each element, in both ways?")},
             {.text = N_("  (N-1) * 8 k  against  2 (N-1)/N * 4")},
             {hint_even_3}},
    .explain = {explain_even},
};

// --- error feedback

static void ask_feedback(Page *p, const void *state) {
    page_say(p,
             _("top-k with %.0f %% of the elements, %d steps: once with error feedback, once with "
               "what was not sent thrown away. Which loss is lower at the end?"),
             100 * FRACTION, STEPS);
}

enum { FEEDBACK_LOWER, FEEDBACK_SAME, FEEDBACK_HIGHER, FEEDBACK_OPTIONS };
static const char *const FEEDBACK_NAMES[FEEDBACK_OPTIONS] = {
    [FEEDBACK_LOWER] = N_("with error feedback"),
    [FEEDBACK_SAME] = N_("about the same: small elements do not matter"),
    [FEEDBACK_HIGHER] = N_("without: old gradients only disturb"),
};

static void truth_feedback(Truth *out, const void *state) {
    const Compression *x = state;
    if (!x->ran) return;
    double ratio = last_loss(x, SENT_LARGEST) / last_loss(x, SENT_FORGETFUL);
    truth_one(out, FROM_MEASUREMENT,
              ratio < 0.98 ? FEEDBACK_LOWER : (ratio > 1.02 ? FEEDBACK_HIGHER : FEEDBACK_SAME));
}

static void explain_feedback(Page *p, const void *state) {
    const Compression *x = state;
    page_say(p,
             _("Measured: %.4f with it, %.4f without. An element that is small in every step adds "
               "up until it is among the largest; without feedback it never moves a weight."),
             last_loss(x, SENT_LARGEST), last_loss(x, SENT_FORGETFUL));
}

static const Question FEEDBACK = {
    .id = "error_feedback",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, FEEDBACK_OPTIONS},
    .ask = ask_feedback,
    .options = FEEDBACK_NAMES,
    .truth = truth_feedback,
    .wrong = {{"small_elements_do_not_matter", .option = FEEDBACK_SAME,
               .reply = {.text = N_("In one step, little. But the same elements are small in every "
                                    "step, and together they are most of the gradient.")}},
              {"old_gradients_disturb", .option = FEEDBACK_HIGHER,
               .reply = {.text =
                             N_("They are late, which is why the rate has to be modest. But late "
                                "is better than never.")}}},
    .hint = {{.text = N_("What becomes of an element that is just too small in every step?")},
             {.text = N_("  e <- e + g;  sent when |e| is among the largest")},
             {.text = N_("  without feedback: e = 0 in each step, never sent")}},
    .explain = {explain_feedback},
};

// --- where it pays

static void ask_pays(Page *p, const void *state) {
    const Compression *x = state;
    page_say(
        p,
        _("vgg16, 138 million parameters, %d images on %d A100s: once with NVLink, once on 100 "
          "Gbit/s Ethernet. Where does PowerSGD of rank %d make a step shorter?"),
        SIMULATED_ROWS, DEVICES, x->rank);
}

enum { PAYS_BOTH, PAYS_SLOW, PAYS_NEVER, PAYS_OPTIONS };
static const char *const PAYS_NAMES[PAYS_OPTIONS] = {
    [PAYS_BOTH] = N_("on both: fewer bytes take less time"),
    [PAYS_SLOW] = N_("on Ethernet only"),
    [PAYS_NEVER] = N_("on neither: communication is hidden anyway"),
};

static void truth_pays(Truth *out, const void *state) {
    const Compression *x = state;
    bool fast = x->step_ms[ON_NVLINK][1] < x->step_ms[ON_NVLINK][0];
    bool slow = x->step_ms[ON_ETHERNET][1] < x->step_ms[ON_ETHERNET][0];
    truth_one(out, FROM_SIMULATION, fast ? PAYS_BOTH : (slow ? PAYS_SLOW : PAYS_NEVER));
}

static void explain_pays(Page *p, const void *state) {
    const Compression *x = state;
    const SceneBar bars[] = {
        {_("NVLink, whole"), x->step_ms[ON_NVLINK][0], 0, false, TONE_COMPUTE},
        {_("NVLink, PowerSGD"), x->step_ms[ON_NVLINK][1], 0, false, TONE_COMM},
        {_("Ethernet, whole"), x->step_ms[ON_ETHERNET][0], 0, false, TONE_COMPUTE},
        {_("Ethernet, PowerSGD"), x->step_ms[ON_ETHERNET][1], 0, false, TONE_COMM}};
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, 4, "%.1f ms", 0});
    page_draw(p, d);
    page_say(p, _("Simulated. On NVLink the all-reduce hides behind the backward already, and "
                  "making factors costs time. On Ethernet much of it was waited for."));
}

static const Question PAYS = {
    .id = "where_it_pays",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, PAYS_OPTIONS},
    .ask = ask_pays,
    .options = PAYS_NAMES,
    .truth = truth_pays,
    .wrong = {{"fewer_bytes_less_time", .option = PAYS_BOTH,
               .reply = {.text = N_("Only time that is waited for can be saved. What hides behind "
                                    "the backward costs nothing, and compressing does.")}},
              {"overlap_hides_everything", .option = PAYS_NEVER,
               .reply = {.text = N_("Overlap hides at most as long as the backward takes. Over a "
                                    "slow link the gradients take longer.")}}},
    .hint = {{.text = N_("How much of the communication does a step wait for?")},
             {.text = N_("  gain = exposed communication - time to compress")},
             {.text = N_("  NVLink: 0 - some ms;   Ethernet: tens of ms - some ms")}},
    .explain = {explain_pays},
};

static const LessonStep STEPS_OF_LESSON[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &FACTORS},
    {.kind = STEP_PREDICT, .question = &EVEN},
    {.kind = STEP_PREDICT, .question = &FEEDBACK},
    {.kind = STEP_RUN,
     .before = {.text = N_("Five real trainings from the same weights on the same rows:")},
     .run = run_all,
     .write = {show_all}},
    {.kind = STEP_COMPARE, .question = &FACTORS},
    {.kind = STEP_COMPARE, .question = &EVEN},
    {.kind = STEP_COMPARE, .question = &FEEDBACK},
    {.kind = STEP_PREDICT, .question = &PAYS},
    {.kind = STEP_COMPARE, .question = &PAYS},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson compression_lesson = {
    .number = 25,
    .name = "compression",
    .title = N_("Compressed gradients"),
    .objective = N_("What factors and largest elements send, what error feedback is for, and when "
                    "none of it pays."),
    .minutes = 14,
    .state_size = sizeof(Compression),
    .draw = draw,
    .steps = STEPS_OF_LESSON,
    .step_count = LESSON_COUNT(STEPS_OF_LESSON),
};
