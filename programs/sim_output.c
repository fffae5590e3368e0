// SPDX-License-Identifier: MIT
// What sim leaves behind when its rows are done: JSON, reports, figures, and what to do next.
#include "core/cli/terminal.h"
#include "programs/next.h"
#include "programs/sim_figures.h"

#include <stdio.h>
#include <string.h>

Status sim_output_json(const Sim *s, FILE *out) {
    if (s->sizes.count == 1) return report_write_json(&s->rows[0].report, out);
    for (int i = 0; i < s->done; i++) {
        fputs(i ? ",\n" : "[\n", out);
        TRY(report_write_json(&s->rows[i].report, out));
    }
    fputs("]\n", out);
    return OK;
}

// All rows in one file.
Status sim_output_report(const Sim *s) {
    const Report **list = ARENA_NEW(s->arena, const Report *, s->done);
    if (!list) FAIL(ERR_MEMORY, "out of memory for a list of %d reports", s->done);
    for (int i = 0; i < s->done; i++) list[i] = &s->rows[i].report;
    return report_write_all(list, s->done, s->o->report);
}

// --- figures

static const int *sizes_known(const Sim *s, int *count) {
    *count = s->recorded;
    return &s->recording.ranks;
}

// Of the predictions, or of the measured reports.
static Status list_reports(ReportList *out, const Sim *s, const Prediction *rows, int count) {
    const Report **list = ARENA_NEW(s->arena, const Report *, count + 1);
    if (!list) FAIL(ERR_MEMORY, "out of memory for a list of %d reports", count);
    for (int i = 0; i < count; i++) list[i] = rows ? &rows[i].report : &s->measured[i];
    *out = (ReportList){list, count};
    return OK;
}

Status sim_output_figures(const Sim *s) {
    const SimOptions *o = s->o;
    if (!o->plot && !o->preview) return OK;
    bool host = !s->replay && !s->setting.devices;
    FigureOptions f = {.directory = o->plot,
                       .platform = s->replay ? NULL : s->machine.name,
                       .devices = s->setting.devices,
                       .oversubscribed_from = host ? s->machine.host.cores : 0,
                       .argv = s->argv,
                       .argc = s->argc,
                       .require = o->require_plot,
                       .preview = o->preview ? stdout : NULL,
                       .preview_width = terminal_width(stdout),
                       .preview_color = terminal_color(stdout, (TerminalColor)o->color)};
    f.known_ranks = sizes_known(s, &f.known_count);
    TRY(list_reports(&f.measured, s, NULL, s->measured_count));
    TRY(list_reports(&f.simulated, s, s->rows, s->done));
    FigureNotes notes = {0};
    Status status = figures_scaling(&f, &notes);
    f.preview = NULL;
    if (status == OK && o->plot && s->measured_count) status = figures_parity(&f, &notes);
    if (status == OK && o->plot) status = figures_breakdown(&f, &notes);
    if (status == OK && o->plot && s->done > 1) status = figures_laws(&f, &notes);
    if (status == OK && o->plot) status = sim_figures_roofline(s, &f, &notes);
    if (status == OK && o->plot) status = figures_remove_stale(&f, &notes);
    for (int i = 0; i < notes.count; i++) log_say(s->log, LOG_NOTE, "%s", notes.lines[i]);
    return status;
}

void sim_output_suggest(const Sim *s) {
    if (!terminal_is(stderr) && s->argc > 1) return;
    const char *sim = s->argv[0];
    char train[NEXT_TEXT];
    if (s->argc == 1) {
        log_say(s->log, LOG_NOTE, "next: %s --gpus 1,2,4..64 --batch 4096    # strong scaling",
                sim);
        log_say(s->log, LOG_NOTE, "next: %s --ranks 2 --trace run    # record a run",
                next_program(train, sim, "train"));
        log_say(s->log, LOG_NOTE, "next: %s --trace run    # simulate that run", sim);
    } else if (s->replay)
        log_say(s->log, LOG_NOTE, "next: %s --trace %.*s --ranks 1,2,4    # other numbers of ranks",
                sim, next_path_length(s->o->trace), s->o->trace);
    else if (!s->o->plot)
        log_say(s->log, LOG_NOTE, "next: the same with --plot plots/ --preview    # figures");
}
