// SPDX-License-Identifier: MIT
// What the figures of --sensitivity, --sweep, --advise and --collective share.
#include "programs/sim_figures.h"

#include "core/base/file.h"
#include "programs/outputs.h"

#include <math.h>
#include <stdio.h>

FigureOptions sim_figures_options(const Sim *s, const Machine *m) {
    return (FigureOptions){.directory = s->o->plot,
                           .platform = m->name,
                           .devices = true,
                           .argv = s->argv,
                           .argc = s->argc,
                           .require = s->o->require_plot};
}

Status sim_figures_run(Report *out, Arena *a, const SimJob *job, const Machine *m, double step_ms) {
    *out = (Report){.step_ms = {step_ms, step_ms, step_ms, step_ms}};
    TRY(job_spec_describe(&out->run, a, &job->spec, job->settings, job->setting_count));
    out->run.kind = "sim";
    out->run.comm = "network";
    snprintf(out->machine.cpu, sizeof out->machine.cpu, "%s: %s", m->name, m->device.name);
    out->machine.load = (double)NAN;
    return OK;
}

Status sim_figures_check(const Sim *s) {
    if (!s->o->plot) return OK;
    return outputs_name(file_make_directory(s->o->plot), "plot");
}

Status sim_figures_end(const Sim *s, const FigureOptions *o, FigureNotes *n, Status status) {
    if (status == OK) status = figures_remove_stale(o, n);
    for (int i = 0; i < n->count; i++) log_say(s->log, LOG_NOTE, "%s", n->lines[i]);
    return status;
}
