// SPDX-License-Identifier: MIT
// The runs of lesson 20: ranks that hang, a run that is killed and goes on from its checkpoint, and
// simulated failures of a long one.
#include "lessons/20_failures/failures.h"

#include "lessons/engine/ranks.h"
#include "lessons/engine/trial.h"
#include "parallel/run/launch.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Status failures_draw(const LessonRun *run, void *state) {
    Failures *x = state;
    Rng r = lesson_rng(run, 0);
    x->guilty = (int)rng_below(&r, FAILURES_RANKS);
    x->skipped = 1 + (int)rng_below(&r, FAILURES_CALLS - 3);
    x->killed_at = FAILURES_EVERY + 1 + (int)rng_below(&r, FAILURES_STEPS - FAILURES_EVERY - 2);
    if (x->killed_at % FAILURES_EVERY == 0) x->killed_at++;
    double devices = 256 * (double)(1 + rng_below(&r, 8)), device_mtbf_h = 10000;
    x->model = (FailureModel){.mtbf_s = device_mtbf_h * 3600 / devices,
                              .checkpoint_s = 10 * (double)(2 + rng_below(&r, 9)),
                              .restart_s = 60 * (double)(2 + rng_below(&r, 9)),
                              .step_s = 2,
                              .seed = run->seed,
                              .failures = 3000};
    return OK;
}

// --- a collective that one rank leaves out

static Status issue(Comm *c, void *context) {
    Failures *x = context;
    float *pool = c->pool;
    pool[0] = 1;
    for (int k = 0; k < FAILURES_CALLS; k++) {
        if (c->rank == x->guilty && k == x->skipped) continue;
        x->issued[c->rank][x->started[c->rank]++] = k;
        TRY(ranks_all_reduce(c, ALGORITHM_DIRECT, 1));
        x->ended[c->rank]++;
    }
    return OK;
}

// Did a rank give up too early, on a machine that is busy?
static bool impatient(const Failures *x) {
    for (int r = 0; r < FAILURES_RANKS; r++)
        if (x->ended[r] < FAILURES_CALLS - 1) return true;
    return false;
}

Status failures_hang(const LessonRun *run, void *state) {
    const int64_t most_ns = INT64_C(10000000000);
    Failures *x = state;
    for (int64_t timeout_ns = 200000000; timeout_ns < most_ns; timeout_ns *= 3) {
        memset(x->started, 0, sizeof x->started);
        memset(x->ended, 0, sizeof x->ended);
        Status s = ranks_run_within(FAILURES_RANKS, 4096, timeout_ns, issue, x);
        if (s == OK) FAIL(ERR_FAILED, "ranks that do not match have ended");
        if (s != ERR_PEER) return s;
        x->hung = !impatient(x);
        if (x->hung) return OK;
    }
    FAIL(ERR_PEER, "%s", status_message());
}

int failures_blamed(const Failures *x) {
    int least = 0;
    for (int r = 1; r < FAILURES_RANKS; r++)
        if (x->started[r] < x->started[least]) least = r;
    return least;
}

int failures_first_other(const Failures *x) {
    int blamed = failures_blamed(x), other = (blamed + 1) % FAILURES_RANKS, k = 0;
    while (k < x->started[blamed] && x->issued[blamed][k] == x->issued[other][k]) k++;
    return k;
}

// --- a run that is killed

typedef struct {
    const Failures *x;
    Executor *executor;  // of this process
} Killer;

static void ready(void *context, Executor *e) { ((Killer *)context)->executor = e; }

static void kill_at(void *context, int rank, int plan, int op) {
    const Killer *k = context;
    bool step = k->executor->program->plans[plan].when == WHEN_EACH_STEP;
    if (step && rank == 1 && k->executor->step == k->x->killed_at) raise(SIGKILL);
}

static JobOptions long_run(const char *path) {
    JobOptions o = trial_options();
    o.spec.model = "linear";
    o.spec.ranks = 2;
    o.spec.batch = 16;
    o.data = "digits:count=64";
    o.steps = FAILURES_STEPS;
    o.comm = COMM_SHM;
    o.save = path;
    o.save_every = path ? FAILURES_EVERY : 0;
    return o;
}

// Steps that rank 0 has done, and the hash of the weights they lead to.
static Status train(int *steps, uint64_t *hash, const JobOptions *o, const RunHooks *hooks) {
    Job job;
    Training t = {0};
    TRY(job_create(&job, o));
    Status s = launch_run(&t, &job, hooks);
    const Timeline *line = t.shared ? &t.shared->results[0].timeline : NULL;
    *steps = 0;
    for (int i = 0; line && i < line->step_count; i++) *steps += line->steps[i].rows > 0;
    if (s == OK) *hash = t.shared->results[0].parameters_hash;
    launch_finish(&t);
    job_destroy(&job);
    return s;
}

static Status kill_and_restart(Failures *x, Arena *a, const char *path) {
    Killer killer = {.x = x};
    const RunHooks hooks = {.context = &killer, .ready = ready, .before = kill_at};
    JobOptions o = long_run(path);
    uint64_t whole = 0, again = 0;
    int steps;
    Status s = train(&x->done, &again, &o, &hooks);
    if (s == OK) FAIL(ERR_FAILED, "a run whose rank was killed has ended well");
    if (s != ERR_PEER) return s;
    x->lost = arena_string(a, status_message());
    if (!x->lost) return ERR_MEMORY;
    o.resume = path;
    TRY(train(&steps, &again, &o, NULL));
    x->repeated = x->done + steps - FAILURES_STEPS;
    const JobOptions unbroken = long_run(NULL);
    TRY(train(&steps, &whole, &unbroken, NULL));
    x->equal = whole == again;
    x->restarted = true;
    return OK;
}

static void remove_all(const char *folder) {
    DIR *d = opendir(folder);
    char path[4096];
    for (struct dirent *f; d && (f = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", folder, f->d_name);
        if (strcmp(f->d_name, ".") && strcmp(f->d_name, "..")) unlink(path);
    }
    if (d) closedir(d);
    rmdir(folder);
}

Status failures_restart(const LessonRun *run, void *state) {
    const char *temporary = getenv("TMPDIR");
    char folder[3072], path[4096];
    snprintf(folder, sizeof folder, "%s/tandem-lesson-XXXXXX",
             temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(folder))
        FAIL(ERR_IO, "%s: no folder can be made for a checkpoint; set TMPDIR", folder);
    snprintf(path, sizeof path, "%s/checkpoint", folder);
    Status s = kill_and_restart(state, run->arena, path);
    remove_all(folder);
    return s;
}

// --- failures of a long run

Status failures_long_run(const LessonRun *run, void *state) {
    Failures *x = state;
    const FailureModel *m = &x->model;
    x->best = failures_best(m);
    x->rare = failures_simulate(m, failures_steps(m, m->mtbf_s / 2)).goodput;
    x->often = failures_simulate(m, failures_steps(m, 10 * m->checkpoint_s)).goodput;
    x->simulated = true;
    return OK;
}
