// SPDX-License-Identifier: MIT
// Goodput as JSON and in documents: docs/formats.md, "Reports".
#include "core/report/report_internal.h"

int report_set_failures(json_t *report, const ReportFailures *f) {
    if (!f) return 0;
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"device_mtbf_s", f->device_mtbf_s},
                   {"mtbf_s", f->mtbf_s},
                   {"checkpoint_s", f->checkpoint_s},
                   {"restart_s", f->restart_s},
                   {"young_s", f->young_s},
                   {"daly_s", f->daly_s},
                   {"best_s", f->best_s},
                   {"goodput", f->goodput},
                   {"goodput_error", f->goodput_error},
                   {"expected", f->expected},
                   {"young_goodput", f->young_goodput},
                   {"daly_goodput", f->daly_goodput},
                   {"checkpoint", f->checkpoint},
                   {"redo", f->redo},
                   {"restart", f->restart},
                   {"step_ms", f->step_ms}};
    json_t *out = json_object();
    int failed = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        failed |= json_object_set_new(out, numbers[i].name, json_number(numbers[i].value));
    failed |= json_object_set_new(out, "best_steps", json_integer(f->best_steps));
    failed |= json_object_set_new(out, "simulated", json_integer(f->failures));
    failed |= json_object_set_new(out, "seed", json_integer((json_int_t)f->seed));
    return failed | json_object_set_new(report, "failures", out);
}

void report_document_failures(const Report *r, const Markup *m) {
    const ReportFailures *f = r->failures;
    const double minute = 60, hour = 3600;
    if (!f) return;
    markup_section(m, "Failures and checkpoints");
    markup_facts(m);
    markup_fact(m, "between failures", "%.4g h of one %s, %.4g h of the run",
                f->device_mtbf_s / hour, report_rank_word(r), f->mtbf_s / hour);
    markup_fact(m, "a checkpoint, a restart", "%.4g s, %.4g s", f->checkpoint_s, f->restart_s);
    markup_fact(m, "work between checkpoints",
                "best %.4g minutes (%lld steps); Young %.4g, Daly %.4g", f->best_s / minute,
                (long long)f->best_steps, f->young_s / minute, f->daly_s / minute);
    markup_fact(m, "goodput", "%.2f %% of the time, +- %.2f (by Daly's formula %.2f %%)",
                100 * f->goodput, 100 * f->goodput_error, 100 * f->expected);
    markup_fact(m, "lost to", "saving %.2f %%, work done again %.2f %%, restarts %.2f %%",
                100 * f->checkpoint, 100 * f->redo, 100 * f->restart);
    if (f->goodput > 0) markup_fact(m, "a step, with failures", "%.4g ms", f->step_ms);
    markup_end_table(m);
    markup_paragraph(m,
                     "%d simulated failures; goodput is the share of time that is work and is "
                     "kept.",
                     f->failures);
}
