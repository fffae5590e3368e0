// SPDX-License-Identifier: MIT
// Lesson 10: strong and weak scaling. Speed-up and efficiency, Amdahl's law (AFIPS 1967) from two
// times, what it says of 1,024 devices, and which baseline is honest.
#include "lessons/lessons.h"

#include "lessons/engine/translate.h"
#include "lessons/engine/trial.h"
#include "parallel/comm/comm_world.h"
#include "viz/law.h"
#include "viz/scene/scene.h"

#include <math.h>

enum {
    COUNTS = 5,
    AT_64 = 2,
    FIRST_ASKED = 3,
    ASKED = 2,
    HOST_RUNS = 3,
    CLAIMS = 4,
    WEAK_ROWS = 64
};
static const int GPUS[COUNTS] = {1, 8, 64, 256, 1024};

// A run that somebody reports.
typedef struct {
    int gpus, batch_of_one, batch;
    double speed_up;  // samples per second, times those of one device
    bool strong;      // it is called strong scaling
} Claim;

typedef struct {
    int batch;  // global, of strong scaling
    double step_s[COUNTS];
    double slow_s;  // of an older program on one device
    Claim claims[CLAIMS];
    bool simulated_all;
    double share;  // serial, of the law fitted to all of step_s
    // Ranks on a host: 1, as many as cores, twice as many.
    bool host_ran, host_simulated;
    int host_ranks[HOST_RUNS];
    double host_ms[HOST_RUNS], contended_ms[HOST_RUNS];
} Scaling;

// --- simulated devices

static Status predict(double *step_s, const LessonRun *run, int gpus, int batch) {
    JobSpec spec = job_spec_default();
    Prediction p;
    spec.model = "resnet18";
    spec.ranks = gpus;
    spec.batch = batch;
    TRY(trial_predict(&p, run, &spec, "dgx-h100"));
    *step_s = 1e-3 * p.step_ms;
    return OK;
}

static double speed_up(const Scaling *x, int i) { return x->step_s[0] / x->step_s[i]; }

static double efficiency(const Claim *c) { return c->speed_up / c->gpus; }
static bool is_strong(const Claim *c) { return c->batch == c->batch_of_one; }

// The claim at a place in the order of efficiencies, the lowest first.
static int by_efficiency(const Scaling *x, int place) {
    for (int i = 0; i < CLAIMS; i++) {
        int lower = 0;
        for (int k = 0; k < CLAIMS; k++) {
            double a = efficiency(&x->claims[k]), b = efficiency(&x->claims[i]);
            lower += a < b || (a == b && k < i);
        }
        if (lower == place) return i;
    }
    return 0;
}

static Status draw(const LessonRun *run, void *state) {
    Scaling *x = state;
    Rng r = lesson_rng(run, 0);
    double weak_s[3];
    x->batch = 1024 + 64 * (int)rng_below(&r, 7);
    for (int i = 0; i <= AT_64; i++) {
        TRY(predict(&x->step_s[i], run, GPUS[i], x->batch));
        TRY(predict(&weak_s[i], run, GPUS[i], GPUS[i] * WEAK_ROWS));
    }
    x->slow_s = x->step_s[0] * (1.5 + 0.1 * rng_below(&r, 10));
    for (int i = 1; i <= AT_64; i++) {
        x->claims[i - 1] = (Claim){GPUS[i], x->batch, x->batch, speed_up(x, i), true};
        x->claims[i + 1] = (Claim){GPUS[i], WEAK_ROWS, GPUS[i] * WEAK_ROWS,
                                   GPUS[i] * weak_s[0] / weak_s[i], false};
    }
    // Neither the most nor the least efficient one has the wrong name.
    Claim *wrong = &x->claims[by_efficiency(x, 1 + (int)rng_below(&r, 2))];
    wrong->strong = !wrong->strong;
    return OK;
}

static Status run_all(const LessonRun *run, void *state) {
    Scaling *x = state;
    double ranks[COUNTS], rates[COUNTS];
    Law law;
    for (int i = FIRST_ASKED; i < COUNTS; i++) TRY(predict(&x->step_s[i], run, GPUS[i], x->batch));
    for (int i = 0; i < COUNTS; i++) {
        ranks[i] = GPUS[i];
        rates[i] = x->batch / x->step_s[i];
    }
    TRY(law_fit(&law, LAW_AMDAHL, ranks, rates, COUNTS));
    x->share = law.share.value;
    x->simulated_all = true;
    return OK;
}

// --- ranks on a host

static Status run_one(Scaling *x, int i, const LessonRun *run) {
    JobOptions o = trial_options();
    Prediction p;
    Trial t;
    o.spec.device = o.info.device = "cpu";
    o.spec.ranks = x->host_ranks[i];
    o.spans = true;
    if (run->virtual_time) {
        TRY(trial_predict(&p, run, &o.spec, "laptop"));
        x->host_ms[i] = p.step_ms;
        x->contended_ms[i] = p.report.breakdown_ms[TIME_CONTENDED];
        return OK;
    }
    TRY(trial_train(&t, run, &o));
    x->host_ms[i] = t.step_ms;
    x->contended_ms[i] = t.breakdown_ms[TIME_CONTENDED];
    return OK;
}

static Status run_host(const LessonRun *run, void *state) {
    Scaling *x = state;
    enum { LAPTOP_CORES = 4, MOST_CORES = 8 };
    int cores = run->virtual_time ? LAPTOP_CORES : comm_options_resolve(&(CommOptions){0}, 1).cores;
    for (int i = 0; i < HOST_RUNS; i++) {
        x->host_ranks[i] = i == 0 ? 1 : i * (cores < MOST_CORES ? cores : MOST_CORES);
        TRY(run_one(x, i, run));
    }
    x->host_simulated = run->virtual_time;
    x->host_ran = true;
    return OK;
}

// --- texts

static void hook(Page *p, const void *state) {
    const Scaling *x = state;
    page_say(p,
             _("One H100 takes %s for a training step of ResNet-18 with a batch of %d (simulated). "
               "How long do 64 of them take, and 1,024?"),
             page_quantity(p, UNIT_SECONDS, x->step_s[0]), x->batch);
    page_say(p, _("Strong scaling: the global batch stays, every device gets less to do. Weak "
                  "scaling: every device keeps its batch, the global one grows."));
}

static void idea(Page *p, const void *state) {
    page_line(p, "  speed-up    S(N) = T(1) / T(N)");
    page_line(p, "  efficiency  E(N) = S(N) / N");
    page_say(p, _("Amdahl: a share s of the time does not become shorter with more devices, the "
                  "rest is divided by N. Then the speed-up never exceeds 1/s."));
    page_line(p, "  T(N) = T(1) (s + (1 - s) / N)");
    page_say(p, _("Two measured times give s. That it stays the same for every N is an assumption, "
                  "which can be tested."));
}

static double share_of(const Scaling *x, double one_s) {
    return (GPUS[AT_64] * x->step_s[AT_64] / one_s - 1) / (GPUS[AT_64] - 1);
}
static double serial(const Scaling *x) { return share_of(x, x->step_s[0]); }
static double amdahl(const Scaling *x, int gpus) {
    double s = serial(x);
    return 1 / (s + (1 - s) / gpus);
}

static void box(Page *p, const void *state) {
    const Scaling *x = state;
    page_box(p,
             _("S(N) <= 1/s: with s = %s no number of devices is more than %.0f times as fast as "
               "one. At 1,024 the efficiency is %s (simulated); a larger batch would raise it, but "
               "that is weak scaling."),
             page_quantity(p, UNIT_SHARE, serial(x)), 1 / serial(x),
             page_quantity(p, UNIT_SHARE, speed_up(x, COUNTS - 1) / GPUS[COUNTS - 1]));
}

// --- the serial share

static void ask_serial(Page *p, const void *state) {
    const Scaling *x = state;
    page_say(p, _("A step with a global batch of %d (simulated):"), x->batch);
    page_line(p, _("  an older program on 1 GPU   %s"), page_digits(p, UNIT_SECONDS, 5, x->slow_s));
    page_line(p, _("  this program on 1 GPU       %s"),
              page_digits(p, UNIT_SECONDS, 5, x->step_s[0]));
    page_line(p, _("  this program on 64 GPUs     %s"),
              page_digits(p, UNIT_SECONDS, 5, x->step_s[AT_64]));
    page_say(p, _("What is the serial share s of Amdahl's law?"));
}

static void truth_serial(Truth *out, const void *state) {
    const Scaling *x = state;
    truth_one(out, FROM_THEORY, serial(x));
    answer_one(&out->from[FROM_SIMULATION], x->share);
    out->known[FROM_SIMULATION] = x->simulated_all;
    out->relative = 0.03;
}

static void one_less_efficiency(Answer *out, const void *state) {
    const Scaling *x = state;
    answer_one(out, 1 - speed_up(x, AT_64) / GPUS[AT_64]);
}
static void slow_baseline(Answer *out, const void *state) {
    const Scaling *x = state;
    answer_one(out, share_of(x, x->slow_s));
}
static void share_of_time(Answer *out, const void *state) {
    answer_one(out, 1 / speed_up(state, AT_64));
}

static void reply_slow_baseline(Page *p, const void *state) {
    const Scaling *x = state;
    page_say(p,
             _("That compares with the older program: a speed-up of %.1f, of which %.2f is not "
               "owed to devices at all. The baseline is the same program, at its best, on one "
               "device."),
             x->slow_s / x->step_s[AT_64], x->slow_s / x->step_s[0]);
}
static void hint_serial_3(Page *p, const void *state) {
    const Scaling *x = state;
    page_line(p, "  s = (64 * %.5f - 1) / 63", 1 / speed_up(x, AT_64));
}
static void explain_serial(Page *p, const void *state) {
    const Scaling *x = state;
    page_say(p,
             _("64 GPUs are %.1f times as fast as one, an efficiency of %s. Already a share of %s "
               "that is not divided does that: it counts 64 times."),
             speed_up(x, AT_64), page_quantity(p, UNIT_SHARE, speed_up(x, AT_64) / GPUS[AT_64]),
             page_quantity(p, UNIT_SHARE, serial(x)));
    if (x->simulated_all)
        page_say(p, _("Beside it stands the share of the law fitted to all five numbers of GPUs by "
                      "least squares: two times decide less than five."));
}

static const Question SERIAL = {
    .id = "serial_share",
    .shape = {ANSWER_VALUE, UNIT_SHARE, 0},
    .ask = ask_serial,
    .truth = truth_serial,
    .wrong =
        {{"one_less_efficiency",
          one_less_efficiency,
          {.text = N_("That is what is missing to full efficiency. It is not the serial share: "
                      "a small share costs much when the rest is divided by 64.")}},
         {"slow_baseline", slow_baseline, {reply_slow_baseline}},
         {"share_of_the_time",
          share_of_time,
          {.text = N_("That is T(64) / T(1), all that is left of the time. A part of it is the "
                      "divided work, (1 - s) / 64.")}}},
    .hint = {{.text = N_("T(64) has two parts: what is not divided, and a 64th of the rest.")},
             {.text = "  s = (N T(N)/T(1) - 1) / (N - 1)"},
             {hint_serial_3}},
    .explain = {explain_serial},
};

// --- speed-ups

static void ask_speed_ups(Page *p, const void *state) {
    const Scaling *x = state;
    page_say(p,
             _("The speed-up is %.1f with 64 GPUs, and s = %s. What will it be with 256, and with "
               "1,024, for the same global batch? Two numbers."),
             speed_up(x, AT_64), page_digits(p, UNIT_SHARE, 4, serial(x)));
}

static void truth_speed_ups(Truth *out, const void *state) {
    const Scaling *x = state;
    for (int i = 0; i < ASKED; i++) {
        out->from[FROM_THEORY].values[i] = amdahl(x, GPUS[FIRST_ASKED + i]);
        out->from[FROM_SIMULATION].values[i] = x->simulated_all ? speed_up(x, FIRST_ASKED + i) : 0;
    }
    out->from[FROM_THEORY].count = out->from[FROM_SIMULATION].count = ASKED;
    out->known[FROM_THEORY] = true;
    out->known[FROM_SIMULATION] = x->simulated_all;
    out->relative = 0.05;
}

static void as_many_times(Answer *out, const void *state) {
    out->count = ASKED;
    for (int i = 0; i < ASKED; i++) out->values[i] = GPUS[FIRST_ASKED + i];
}
static void straight_line(Answer *out, const void *state) {
    const Scaling *x = state;
    double slope = log(speed_up(x, AT_64)) / log(GPUS[AT_64]);
    out->count = ASKED;
    for (int i = 0; i < ASKED; i++) out->values[i] = pow(GPUS[FIRST_ASKED + i], slope);
}

static void reply_straight_line(Page *p, const void *state) {
    const Scaling *x = state;
    Answer line;
    straight_line(&line, x);
    page_say(p,
             _("That goes on straight in a picture with two logarithmic axes. There even %.0f at "
               "1,024 looks good, and bending is hard to see; draw efficiency instead."),
             line.values[1]);
}
static void hint_speed_ups_3(Page *p, const void *state) {
    const Scaling *x = state;
    page_line(p, "  1 / (%.5f + %.5f / 256)", serial(x), 1 - serial(x));
}

static void show_speed_ups(Page *p, const void *state) {
    const Scaling *x = state;
    SceneBar bars[COUNTS];
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    for (int i = 0; i < COUNTS; i++)
        bars[i] = (SceneBar){page_text(p, "N = %d", GPUS[i]), speed_up(x, i) / GPUS[i],
                             amdahl(x, GPUS[i]) / GPUS[i], true, TONE_COMPUTE};
    scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, COUNTS, "%.3f", 1});
    page_say(p, _("Efficiency (simulated); marked: Amdahl's law with s from 1 and 64 GPUs "
                  "(theory)."));
    page_draw(p, d);
}

static void explain_speed_ups(Page *p, const void *state) {
    const Scaling *x = state;
    double more = amdahl(x, GPUS[COUNTS - 1]) / speed_up(x, COUNTS - 1) - 1;
    page_say(
        p,
        _("At 1,024 Amdahl promises %s more than the simulator: what does not shrink is no "
          "constant share. Kernels on few rows use a device badly, and an all-reduce over more "
          "devices takes longer."),
        page_digits(p, UNIT_SHARE, 2, more));
}

static const Question SPEED_UPS = {
    .id = "speed_ups",
    .shape = {ANSWER_CURVE, UNIT_TIMES, ASKED},
    .ask = ask_speed_ups,
    .truth = truth_speed_ups,
    .wrong = {{"n_devices_n_times",
               as_many_times,
               {.text = N_("N devices are N times as fast only if nothing is left that is not "
                           "divided. With 64 it was not so; with more it is worse.")}},
              {"straight_log_log_line", straight_line, {reply_straight_line}}},
    .hint = {{.text = N_("What becomes of T(N) when the divided part is nearly gone?")},
             {.text = "  S(N) = 1 / (s + (1 - s) / N)"},
             {hint_speed_ups_3}},
    .explain = {explain_speed_ups},
};

// --- claims

static void ask_claim(Page *p, const void *state) {
    page_say(p, _("Four reports of this program (simulated): the global batch on one GPU and on "
                  "many, and how many times the samples a second. One has the wrong name. Which?"));
}

static const char *option_claim(Page *p, const void *state, int which) {
    const Scaling *x = state;
    const Claim *c = &x->claims[which];
    return page_text(p, _("batch %d -> %d, %d GPUs: %.1fx, \"%s\""), c->batch_of_one, c->batch,
                     c->gpus, c->speed_up, c->strong ? _("strong scaling") : _("weak scaling"));
}

static void truth_claim(Truth *out, const void *state) {
    const Scaling *x = state;
    for (int i = 0; i < CLAIMS; i++)
        if (x->claims[i].strong != is_strong(&x->claims[i])) truth_one(out, FROM_THEORY, i);
}

static void least_efficient(Answer *out, const void *x) { answer_one(out, by_efficiency(x, 0)); }
static void most_efficient(Answer *out, const void *state) {
    answer_one(out, by_efficiency(state, CLAIMS - 1));
}

static const Question CLAIM = {
    .id = "wrong_name",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, CLAIMS},
    .ask = ask_claim,
    .option = option_claim,
    .truth = truth_claim,
    .wrong = {{"low_efficiency_is_suspect",
               least_efficient,
               {.text =
                    N_("Its efficiency is the lowest, but its name is right. How well it scales "
                       "and what was kept equal are two questions.")}},
              {"high_efficiency_is_suspect",
               most_efficient,
               {.text = N_("Its efficiency is the highest, but its name is right. More samples a "
                           "second from a larger batch is not yet strong scaling, nor is it "
                           "wrong.")}}},
    .hint = {{.text = N_("What was kept the same between one GPU and many?")},
             {.text = N_("  strong: the same global batch;  weak: the same batch for each GPU")},
             {.text = N_("  compare the two batches of each line with its name")}},
    .explain = {.text =
                    N_("Samples a second with a batch that grows say nothing about how fast one "
                       "step of the same batch becomes. And a larger batch is another training: "
                       "fewer updates for the same data.")},
};

// --- more ranks than cores

static void ask_host(Page *p, const void *state) {
    page_say(p, _("A host trains with as many ranks as it has cores. Now twice as many ranks share "
                  "the same cores and the same global batch. How many times as long does a step "
                  "take, about?"));
}

static void truth_host(Truth *out, const void *state) {
    const Scaling *x = state;
    truth_one(out, FROM_THEORY, 1);
    if (x->host_ran && x->host_simulated)
        truth_one(out, FROM_SIMULATION, x->host_ms[2] / x->host_ms[1]);
    out->relative = 0.1;
}

static void half_as_long(Answer *out, const void *state) { answer_one(out, 0.5); }
static void twice_as_long(Answer *out, const void *state) { answer_one(out, 2); }

static void show_host(Page *p, const void *state) {
    const Scaling *x = state;
    page_say(p, "%s",
             x->host_simulated ? _("The trainer's step on 4 cores (simulated):")
                               : _("The trainer's step on this host's cores (measured):"));
    for (int i = 0; i < HOST_RUNS; i++)
        page_line(p, _("  N = %2d %9.3f ms, of which %.3f ms wait for a core%s"), x->host_ranks[i],
                  x->host_ms[i], x->contended_ms[i],
                  i == HOST_RUNS - 1 ? _("  (oversubscribed)") : "");
}

static void explain_host(Page *p, const void *state) {
    const Scaling *x = state;
    page_say(
        p,
        _("The same work on the same cores takes about as long; switching between ranks comes on "
          "top. Here it was %.2f times as long (%s): on cores that other programs use, more "
          "ranks can also get more of them. Such a run tests that a program is right, never "
          "how it scales."),
        x->host_ms[2] / x->host_ms[1], x->host_simulated ? _("simulated") : _("measured"));
}

static const Question HOST = {
    .id = "more_ranks_than_cores",
    .shape = {ANSWER_VALUE, UNIT_TIMES, 0},
    .ask = ask_host,
    .truth = truth_host,
    .wrong =
        {{"ranks_are_parallelism",
          half_as_long,
          {.text = N_("That would need twice as many cores. Ranks are only who computes; cores "
                      "are what computes.")}},
         {"every_rank_costs_the_same",
          twice_as_long,
          {.text = N_("Each rank has half of the work now, since the global batch is the same; "
                      "two of them share a core, one after the other.")}}},
    .hint = {{.text = N_("How much work is there in all, and how many cores do it?")},
             {.text = N_("  time = work / cores")},
             {.text = "  (2N * W/2N) / N = W / N"}},
    .explain = {explain_host},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &SERIAL},
    {.kind = STEP_PREDICT, .question = &SPEED_UPS},
    {.kind = STEP_RUN,
     .before = {.text = N_("The simulator: the same step on 256 and 1,024 H100, 8 in each node.")},
     .run = run_all,
     .write = {show_speed_ups}},
    {.kind = STEP_COMPARE, .question = &SERIAL},
    {.kind = STEP_COMPARE, .question = &SPEED_UPS},
    {.kind = STEP_PREDICT, .question = &CLAIM},
    {.kind = STEP_COMPARE, .question = &CLAIM},
    {.kind = STEP_PREDICT, .question = &HOST},
    {.kind = STEP_RUN,
     .before = {.text =
                    N_("Real ranks: the trainer with one, with as many as cores, and with twice "
                       "as many.")},
     .run = run_host,
     .write = {show_host}},
    {.kind = STEP_COMPARE, .question = &HOST},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson scaling_lesson = {
    .number = 10,
    .name = "scaling",
    .title = N_("Strong and weak scaling"),
    .objective = N_("Speed-up, efficiency and the serial share: what two times say of a thousand "
                    "devices, and what is an honest baseline."),
    .minutes = 12,
    .state_size = sizeof(Scaling),
    .draw = draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
