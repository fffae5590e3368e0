// SPDX-License-Identifier: MIT
// Runs by the trainer, a line through some of them, and the simulator with changed machines.
#include "lessons/17_validation/validation.h"

#include "core/base/host.h"
#include "lessons/engine/trial.h"
#include "sim/platform_numbers.h"
#include "viz/alpha_beta.h"

#include <math.h>
#include <string.h>

enum { STEPS = 8, REPEATS = 3, LAPTOP_CORES = 4, MOST_RANKS = 64 };

double validation_error(const ValidationRun *r) { return r->predicted / r->measured - 1; }

double validation_mape(const Validation *x) {
    double sum = 0;
    for (int i = 0; i < VALIDATION_HELD; i++) sum += fabs(validation_error(&x->held[i]));
    return sum / VALIDATION_HELD;
}

int validation_worst(const Validation *x) {
    int worst = 0;
    for (int i = 1; i < VALIDATION_HELD; i++)
        if (fabs(validation_error(&x->held[i])) > fabs(validation_error(&x->held[worst])))
            worst = i;
    return worst;
}

int validation_most_sensitive(const Validation *x) {
    int most = 0;
    for (int i = 1; i < VALIDATION_NUMBERS; i++)
        if (fabs(x->effects[i]) > fabs(x->effects[most])) most = i;
    return most;
}

// --- runs

static JobOptions options_of(const Validation *x, const ValidationRun *r) {
    JobOptions o = trial_options();
    o.spec.model = x->model;
    o.spec.ranks = r->ranks;
    o.spec.batch = (int64_t)r->rows * r->ranks;
    o.data = "digits:count=512";
    o.test_fraction = 0;
    return o;
}

// The median step of each repeat, of these the middle one, and their spread. In virtual time all
// repeats would be alike.
static Status measure(Validation *x, ValidationRun *r, const LessonRun *run) {
    double least = HUGE_VAL, most = 0, sum = 0;
    int repeats = run->virtual_time ? 1 : REPEATS;
    for (int i = 0; i < repeats; i++) {
        Trial t;
        JobOptions o = options_of(x, r);
        o.steps = run->virtual_time ? 1 : STEPS;
        TRY(trial_train(&t, run, &o));
        least = fmin(least, t.step_ms);
        most = fmax(most, t.step_ms);
        sum += t.step_ms;
        x->simulated = t.simulated;
    }
    r->measured = repeats == REPEATS ? sum - least - most : sum;
    r->spread = most / least - 1;
    return OK;
}

// The line through the fitted runs, and what it says of all.
static Status fit(Validation *x) {
    double rows[VALIDATION_FITTED], ms[VALIDATION_FITTED];
    AlphaBeta line;
    for (int i = 0; i < VALIDATION_FITTED; i++) {
        rows[i] = x->fitted[i].rows;
        ms[i] = x->fitted[i].measured;
    }
    TRY(alpha_beta_fit(&line, rows, ms, VALIDATION_FITTED));
    x->constant = line.alpha_us;  // milliseconds here, as what it was given
    x->per_row = 1 / line.beta;
    for (int i = 0; i < VALIDATION_FITTED; i++)
        x->fitted[i].predicted = x->constant + x->fitted[i].rows * x->per_row;
    for (int i = 0; i < VALIDATION_HELD; i++)
        x->held[i].predicted = x->constant + x->held[i].rows * x->per_row;
    x->fit_error = line.mean_error;
    return OK;
}

Status validation_fit(const LessonRun *run, void *state) {
    Validation *x = state;
    for (int i = 0; i < VALIDATION_FITTED; i++) TRY(measure(x, &x->fitted[i], run));
    x->calibrated = true;
    return fit(x);
}

// Until something is measured, times are those of the host `laptop`: misconceptions must differ.
static Status describe(Validation *x, const LessonRun *run) {
    for (int i = 0; i < VALIDATION_FITTED; i++) {
        Prediction p;
        const JobOptions o = options_of(x, &x->fitted[i]);
        TRY(trial_predict(&p, run, &o.spec, "laptop"));
        x->fitted[i].measured = p.step_ms;
    }
    return fit(x);
}

Status validation_hold_out(const LessonRun *run, void *state) {
    Validation *x = state;
    for (int i = 0; i < VALIDATION_HELD; i++) TRY(measure(x, &x->held[i], run));
    x->validated = true;
    return OK;
}

// --- sensitivity

static Status simulate(double *ms, const Validation *x, const LessonRun *run, const Machine *m) {
    Prediction p;
    SimJob job = {.spec = trial_options().spec};
    job.spec.device = "timed:dgx-h100";
    job.spec.model = x->asked;
    job.spec.ranks = x->devices;
    job.spec.batch = x->devices * x->samples;
    TRY(predict_job(&p, run->arena, &job, &(SimSetting){.machine = m, .devices = true}));
    *ms = p.step_ms;
    return OK;
}

// Of one number at a time, by name.
static Status perturb(Validation *x, const LessonRun *run) {
    static const char *const names[] = {"flops", "memory bandwidth", "issue of a launch",
                                        "NCCL channel within"};
    enum { PERMILLE = 1100 };
    Machine *m = ARENA_NEW(run->arena, Machine, 1);
    PlatformNumber numbers[PLATFORM_NUMBERS];
    LinkModel none = {0};
    if (!m) FAIL(ERR_MEMORY, "out of memory for a machine");
    TRY(machine_read(m, run->arena, "dgx-h100"));
    TRY(simulate(&x->asked_ms, x, run, m));
    int count = platform_numbers_list(numbers, m, &none, DTYPE_F32);
    for (int k = 0; k < VALIDATION_NUMBERS; k++)
        for (int i = 0; i < count; i++) {
            Machine changed = *m;
            double ms;
            if (strcmp(numbers[i].name, names[k]) != 0) continue;
            platform_number_scale(&changed, &none, numbers[i].id, PERMILLE);
            TRY(simulate(&ms, x, run, &changed));
            x->number_names[k] = names[k];
            x->effects[k] = ms / x->asked_ms - 1;
        }
    return OK;
}

// Ranks that are twice the cores, so that two share one.
static void crowd(Validation *x, const LessonRun *run) {
    HostInfo host;
    host_info_read(&host);
    x->cores = run->virtual_time ? LAPTOP_CORES : host.cores;
    x->held[HELD_CROWDED].ranks = 2 * x->cores > MOST_RANKS ? MOST_RANKS : 2 * x->cores;
}

Status validation_draw(const LessonRun *run, void *state) {
    Validation *x = state;
    Rng r = lesson_rng(run, 0);
    int rows = 8 + 4 * (int)rng_below(&r, 3);
    x->hidden = 32 + 16 * (int)rng_below(&r, 3);
    snprintf(x->model, sizeof x->model, "mlp:hidden=%d,layers=2", x->hidden);
    for (int i = 0; i < VALIDATION_FITTED; i++)
        x->fitted[i] = (ValidationRun){.rows = (i + 1) * rows, .ranks = 1};
    x->held[HELD_BETWEEN] = (ValidationRun){.rows = 5 * rows / 2, .ranks = 1};
    x->held[HELD_BEYOND] = (ValidationRun){.rows = 8 * rows, .ranks = 1};
    x->held[HELD_TWO_RANKS] = (ValidationRun){.rows = 2 * rows, .ranks = 2};
    x->held[HELD_CROWDED].rows = 2 * rows;
    crowd(x, run);
    // A small step is bound by its host's launches, a wide one by memory.
    bool small = rng_below(&r, 2);
    snprintf(x->asked, sizeof x->asked, "%s",
             small ? "gpt:layers=2,hidden=64" : "mlp:hidden=4096,layers=3");
    x->devices = small ? 8 : 1;
    x->samples = 1 + (int)rng_below(&r, 2);
    TRY(describe(x, run));
    return perturb(x, run);
}
