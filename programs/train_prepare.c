// SPDX-License-Identifier: MIT
// The progress of what comes before the first step. See train_prepare.h.
#include "programs/train_prepare.h"

#include "core/base/clock.h"
#include "core/cli/progress.h"

static const int64_t SHORT_NS = 1000000000;  // nobody wants to read of less

typedef struct {
    Progress progress;
    int64_t start_ns;
} Drawing;

static void show(void *context, int64_t done, int64_t count) {
    Drawing *d = context;
    if (clock_ns() - d->start_ns < SHORT_NS) return;
    d->progress.total = count;
    progress_update(&d->progress, done, clock_ns(), "drawn");
}

Status train_prepare_job(Job *out, const TrainOptions *o, const JobOptions *options) {
    Drawing d = {.start_ns = clock_ns()};
    JobOptions watched = *options;
    watched.drawing = (DatasetProgress){.context = &d, .call = show};
    progress_init(&d.progress, stderr, "data", "digits", 0, o->quiet, d.start_ns);
    Status s = job_create(out, &watched);
    progress_clear(&d.progress);
    out->options.drawing = (DatasetProgress){0};
    return s;
}
