// SPDX-License-Identifier: MIT
// A simulation of the run's own job, for the time left.
#include "programs/train_expect.h"

#include "core/platform/device_traits.h"
#include "sim/predict.h"

static Status predict(Prediction *out, Arena *a, const Job *job, const char *platform) {
    const JobOptions *o = &job->options;
    Machine machine;
    TRY(machine_read(&machine, a, platform));
    machine.device.issue_ps = 0;  // a timed device waits for no host
    const SimJob what = {.spec = o->spec};
    const SimSetting where = {
        .machine = &machine, .devices = true, .link = o->link, .dilation = o->slowdown_permille};
    return predict_job(out, a, &what, &where);
}

double train_expected_ns(const Job *job) {
    const char *platform = device_traits_platform(job->options.spec.device);
    if (!platform) return 0;
    Arena a = {0};
    Prediction p;
    bool known = predict(&p, &a, job, platform) == OK;
    arena_finish(&a);
    return known ? p.step_ms * 1e6 / (double)job->options.spec.batch : 0;
}
