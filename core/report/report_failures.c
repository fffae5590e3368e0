// SPDX-License-Identifier: MIT
// Goodput as JSON: docs/formats.md, "Reports".
#include "core/report/report_failures.h"

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
