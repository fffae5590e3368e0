// SPDX-License-Identifier: MIT
// The search is sim/advise.h, what it says programs/advise_print.h.
#include "programs/sim_advise.h"

#include "core/base/units.h"
#include "programs/advise_guard.h"
#include "programs/sim_advise_internal.h"
#include "programs/sim_figures.h"
#include "programs/sim_grid.h"

static void progress(void *context, const AdviseProgress *p) {
    char note[128];
    advise_print_progress(note, sizeof note, p);
    sim_watch_note(context, note);
}

// An option of the line is not chosen; --dp, which fixes the product of the others, is refused.
static Status search(Advice *out, Sim *s, const SimChange *line, AdviseGuard *guard) {
    bool fixed[ADVISE_OPTIONS];
    for (int o = 0; o < ADVISE_OPTIONS; o++)
        fixed[o] = sim_given(s, advise_option_name((AdviseOption)o));
    const AdviseAsk ask = {.job = &line->job,
                           .setting = &line->sim.setting,
                           .memory_bytes = line->sim.machine.device.memory_bytes,
                           .threads = sim_grid_threads(s),
                           .fixed = fixed,
                           .lock = &guard->lock,
                           .context = &s->watch,
                           .progress = progress};
    sim_watch_start(&s->watch, s->log, s->o->quiet, NULL, 0);
    sim_watch_keeps(&s->watch);
    TRY(advise_guard_start(guard));
    Status status = advise_find(out, s->arena, &ask);
    advise_guard_end(guard);
    sim_watch_end(&s->watch);
    return status;
}

// A number without a unit is bytes; whoever gives 80 means GiB, and 81559 is what nvidia-smi says.
static Status check_memory(int64_t bytes) {
    enum { LEAST = 1 << 20, GIBIBYTES = 4096 };
    char size[UNITS_TEXT];
    if (!bytes || bytes >= LEAST) return OK;
    FAIL(ERR_USAGE, "--memory %s is less than any device has; do you mean %lld%s?",
         units_print_size(size, bytes), (long long)bytes, bytes < GIBIBYTES ? "GiB" : "MiB");
}

static Status check(const Sim *s) {
    TRY(sim_grid_check_alone(s, "advise"));
    TRY(check_memory(s->o->memory));
    if (s->o->csv) FAIL(ERR_USAGE, "--advise has --json for programs; leave out --csv");
    if (s->o->gpus.count > 1)
        FAIL(ERR_USAGE, "--advise is of one number of devices; give --gpus one");
    if (sim_given(s, "dp") || sim_given(s, "plan") || sim_given(s, "data-parallel"))
        FAIL(ERR_USAGE, "--advise chooses how ranks are divided; leave out --%s",
             sim_given(s, "dp")     ? "dp"
             : sim_given(s, "plan") ? "plan"
                                    : "data-parallel");
    return OK;
}

Status sim_advise_print(Sim *s) {
    TRY(check(s));
    TRY(sim_figures_check(s));
    Advice *found = ARENA_NEW(s->arena, Advice, 1);
    SimChange *line = ARENA_NEW(s->arena, SimChange, 1);
    if (!found || !line) FAIL(ERR_MEMORY, "out of memory");
    const SimChangeAsk ask = {NULL, 0, true, "--advise"};
    TRY(sim_change_make(line, s->arena, s, &ask));
    if (s->o->memory) line->sim.machine.device.memory_bytes = s->o->memory;
    AdvisePrint print = {.searches = found,
                               .count = 1,
                               .machine = line->sim.machine.name,
                               .devices = true,
                               .memory_bytes = line->sim.machine.device.memory_bytes};
    AdviseGuard guard = {
        .print = &print, .json = s->o->json, .log = s->log, .interrupted = sim_watch_interrupted};
    TRY(search(found, s, line, &guard));
    TRY(advise_print(&print, s->arena, s->o->json));
    TRY(sim_advise_plot(s, line, found));
    return advise_print_end(&print);
}
