// SPDX-License-Identifier: MIT
// The host is measured as --trace does it, with the rows of several divisions of the batch, whose
// operations then have measured costs. For each number of ranks there is a search (sim/advise.h).
// Read train_advise() at the end.
#include "programs/train_advise.h"

#include "core/base/clock.h"
#include "core/base/host.h"
#include "core/cli/progress.h"
#include "parallel/calibrate/calibrate.h"
#include "programs/advise_guard.h"
#include "programs/train_interrupt.h"
#include "programs/train_prepare.h"

#include <stdlib.h>
#include <string.h>

enum { SEARCHES = 12, ROWS = 4 };

typedef struct {
    const TrainOptions *o;
    const JobOptions *options;
    const OptionLine *line;
    Arena *arena;
    Machine machine;
    int64_t memory_bytes;  // of the host
    bool fixed[ADVISE_OPTIONS];
    Advice searches[SEARCHES];
    AdvisePrint print;
    AdviseGuard guard;
    Progress progress;
} Asked;

// --- the host

static void show_part(void *context, int done, int total, const char *part) {
    Progress *p = context;
    p->total = total;
    progress_update(p, done, clock_ns(), part);
}

// Undivided: the operations of one rank, which are also those of data-parallel ranks and stages.
static JobOptions undivided(const JobOptions *options) {
    JobOptions o = *options;
    o.spec.ranks = 1;
    o.spec.mesh = (Mesh){0};
    o.spec.shards = 0;
    o.spec.micro_batches = 1;
    o.spec.strategy.sequence_parallel = o.spec.strategy.data_parallel = false;
    o.spec.strategy.experts = o.spec.strategy.zero = 0;
    o.resume = o.load = o.save = o.trace = o.record = NULL;
    o.save_every = 0;
    return o;
}

// The batch, a half, a quarter and an eighth of it: as ranks and micro-batches divide it.
static void choose_rows(CalibrateOptions *c, int64_t batch) {
    for (int64_t parts = 1; c->row_count < ROWS && batch % parts == 0; parts *= 2)
        c->rows[c->row_count++] = batch / parts;
}

static Status measure(Asked *a) {
    JobOptions options = undivided(a->options);
    CalibrateOptions c = {.quick = true, .context = &a->progress, .progress = show_part};
    Job job;
    choose_rows(&c, options.spec.batch);
    Status s = train_prepare_job(&job, a->o, &options);
    if (s == OK) s = device_reserve(job.device, 1);
    progress_init(&a->progress, stderr, "calibrate", "parts", 0, a->o->quiet, clock_ns());
    a->progress.uneven = true;
    if (s == OK) s = calibrate(&a->machine, a->arena, &job, &c);
    progress_clear(&a->progress);
    job_destroy(&job);
    a->memory_bytes = a->machine.device.memory_bytes * a->machine.host.cores;
    return s;
}

// --- the searches

static void follow(void *context, const AdviseProgress *p) {
    Asked *a = context;
    char note[128];
    advise_print_progress(note, sizeof note, p);
    progress_update(&a->progress, 0, clock_ns(), note);
}

static Status search(Asked *a, int ranks) {
    SimJob job = {.spec = a->options->spec};
    const SimSetting setting = {.machine = &a->machine, .unkept = true};
    job.spec.ranks = ranks;
    if (ranks % job_spec_model_ranks(&job.spec)) return OK;
    const AdviseAsk ask = {.job = &job,
                           .setting = &setting,
                           .memory_bytes = a->memory_bytes / ranks,
                           .threads = a->machine.host.cores,
                           .fixed = a->fixed,
                           .lock = &a->guard.lock,
                           .progress = follow,
                           .context = a};
    pthread_mutex_lock(&a->guard.lock);
    Advice *out = &a->searches[a->print.count++];
    pthread_mutex_unlock(&a->guard.lock);
    return advise_find(out, a->arena, &ask);
}

// One rank, two, four and so on, and one for each core; or as many as --ranks says.
static Status search_all(Asked *a) {
    int cores = a->machine.host.cores;
    if (option_given(a->line, "ranks")) return search(a, a->options->spec.ranks);
    for (int n = 1; n < cores && a->print.count < SEARCHES - 1; n *= 2) TRY(search(a, n));
    return search(a, cores);
}

static Status search_shown(Asked *a, Log *l) {
    progress_init(&a->progress, stderr, "advise", NULL, 0, a->o->quiet, clock_ns());
    l->progress = &a->progress;
    a->guard = (AdviseGuard){.print = &a->print,
                             .json = a->o->json,
                             .log = l,
                             .interrupted = train_interrupt_now};
    train_interrupt_phase(TRAIN_ADVISES);
    TRY(advise_guard_start(&a->guard));
    Status s = search_all(a);
    advise_guard_end(&a->guard);
    l->progress = NULL;
    progress_clear(&a->progress);
    return s;
}

// Before anything is measured.
static Status check_ranks(const Asked *a) {
    HostInfo host;
    host_info_read(&host);
    const JobSpec *s = &a->options->spec;
    bool given = option_given(a->line, "ranks");
    int of = job_spec_model_ranks(s), most = given ? s->ranks : host.cores;
    if (given ? most % of == 0 : most >= of) return OK;
    FAIL(ERR_USAGE, "%d rank%s cannot be divided by the degrees given, %d in all; give --ranks %d",
         most, most == 1 ? "" : "s", of, of);
}

// --- what is printed

// The line without what asks for advice, and what is advised.
static bool is_kept(const char *word, bool *value_follows) {
    static const char *const left_out[] = {"--advise", "--json", "--quiet", "-q", "--ranks"};
    *value_follows = !strcmp(word, "--ranks");
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
        if (!strcmp(word, left_out[i])) return false;
    return strncmp(word, "--ranks=", strlen("--ranks=")) != 0;
}

static Status prepare_print(Asked *a) {
    const RunInfo *run = &a->options->info;
    const char **words = ARENA_NEW(a->arena, const char *, run->argc + 1);
    if (!words) FAIL(ERR_MEMORY, "out of memory");
    a->print = (AdvisePrint){.searches = a->searches,
                             .machine = a->machine.name,
                             .memory_bytes = a->memory_bytes,
                             .words = words};
    for (int i = 0; i < run->argc; i++) {
        bool value_follows = false;
        if (i == 0 || is_kept(run->argv[i], &value_follows))
            words[a->print.word_count++] = run->argv[i];
        i += value_follows;
    }
    return OK;
}

static Status print(const Asked *a) {
    TRY(advise_print(&a->print, a->arena, a->o->json));
    return advise_print_end(&a->print);
}

// --- all of it

Status train_advise(const TrainOptions *o, const JobOptions *options, const OptionLine *line,
                    Log *l) {
    Arena arena = {0};
    Asked *a = calloc(1, sizeof *a);
    if (!a) FAIL(ERR_MEMORY, "out of memory");
    a->o = o;
    a->options = options;
    a->line = line;
    a->arena = &arena;
    for (int k = 0; k < ADVISE_OPTIONS; k++)
        a->fixed[k] = option_given(line, advise_option_name((AdviseOption)k));
    train_interrupt_phase(TRAIN_CALIBRATES);
    log_say(l, LOG_DETAIL, "measuring what operations cost on this host");
    Status s = check_ranks(a);
    if (s == OK) s = measure(a);
    if (s == OK) s = prepare_print(a);
    if (s == OK) s = search_shown(a, l);
    if (s == OK) s = print(a);
    arena_finish(&arena);
    free(a);
    return s;
}
