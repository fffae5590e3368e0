// SPDX-License-Identifier: MIT
#include "tests/support/ending.h"

#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>

void ending_run_probed(Ending *out, Arena *a, const JobOptions *options,
                       const TrainingProbe *probe) {
    static int count;
    JobOptions o = *options;
    char saved[300];
    snprintf(saved, sizeof saved, "%s/ending%d.safetensors", test_directory(), count++);
    o.save = arena_string(a, saved);
    ck_assert_ptr_nonnull(o.save);
    ck_assert_ok(training_run(&out->run, &o, probe));
    ck_assert_ok(safetensors_read(&out->file, a, o.save));
}

JobOptions ending_text_options(const char *model, int steps) {
    JobOptions o = training_options();
    o.spec.model = model;
    o.spec.dtype = DTYPE_F64;
    o.spec.batch = 8;
    o.spec.optimizer.momentum = 0.9;
    o.data = "text:count=2000";
    o.steps = steps;
    return o;
}

void ending_run(Ending *out, Arena *a, const JobOptions *options) {
    ending_run_probed(out, a, options, NULL);
}

void ending_finish(Ending *e) { outcome_finish(&e->run); }

const StepRecord *ending_step(const Ending *e, int rank, int step) {
    const Timeline *t = &e->run.training.shared->results[rank].timeline;
    for (int i = 0; i < t->step_count; i++)
        if (t->steps[i].plan == e->run.job.plan_step && step-- == 0) return &t->steps[i];
    ck_abort_msg("a step is missing");
}

static double element(const SafetensorsEntry *e, int64_t i) {
    return e->dtype == DTYPE_F64   ? ((const double *)e->data)[i]
           : e->dtype == DTYPE_I64 ? (double)((const int64_t *)e->data)[i]
                                   : (double)((const float *)e->data)[i];
}

double ending_distance(const Ending *a, const Ending *b, double bound) {
    double most = 0;
    ck_assert_int_gt(a->file.count, 0);
    ck_assert_int_eq(a->file.count, b->file.count);
    for (int k = 0; k < a->file.count; k++) {
        const SafetensorsEntry *x = &a->file.entries[k], *y = safetensors_find(&b->file, x->name);
        ck_assert_msg(y && x->dtype == y->dtype && safetensors_bytes(x) == safetensors_bytes(y),
                      "%s", x->name);
        int64_t elements = safetensors_bytes(x) / dtype_bytes(x->dtype);
        for (int64_t i = 0; i < elements; i++) {
            double w = element(x, i), d = fabs(w - element(y, i)) / (bound * fmax(1, fabs(w)));
            if (!(d <= most)) most = d;
        }
    }
    return most;
}

// What is not said is one.
static const char *describe(const Ending *e) {
    static char out[300];
    const JobSpec *s = &e->run.job.options.spec;
    snprintf(out, sizeof out, "%s on %d ranks, pp %d, cp %d, tp %d, ep %d, zero %d", s->model,
             s->ranks, s->mesh.pipe, s->mesh.context, s->mesh.tensor, s->strategy.experts,
             s->strategy.zero);
    return out;
}

void ending_check(const Ending *got, const Ending *want, double bound) {
    const JobOptions *o = &got->run.job.options;
    for (int r = 0; r < o->spec.ranks; r++)
        for (int step = 0; step < o->steps; step++) {
            double w = ending_step(want, 0, step)->loss, g = ending_step(got, r, step)->loss;
            ck_assert_msg(fabs(w - g) <= bound * fmax(1, w),
                          "%s: rank %d, step %d: %.17g, not %.17g", describe(got), r, step, g, w);
        }
    double d = ending_distance(want, got, bound);
    ck_assert_msg(d <= 1, "%s: %g bounds apart", describe(got), d);
    const char *uncounted = outcome_uncounted(&got->run);
    ck_assert_msg(!uncounted, "%s: %s", describe(got), uncounted ? uncounted : "");
}

void ending_check_run(const JobOptions *options, Arena *a, const Ending *want, double bound) {
    Ending got;
    ending_run(&got, a, options);
    ending_check(&got, want, bound);
    ending_finish(&got);
}

const char *ending_write_file(Arena *a, const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    FILE *f = fopen(path, "w");
    ck_assert_msg(f && fputs(text, f) >= 0 && fclose(f) == 0, "cannot write %s", path);
    const char *kept = arena_string(a, path);
    ck_assert_ptr_nonnull(kept);
    return kept;
}
