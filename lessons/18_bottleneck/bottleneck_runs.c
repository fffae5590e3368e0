// SPDX-License-Identifier: MIT
// The runs of lesson 18: one whose numbers are wrong, trained for real; one that is slow,
// simulated, and executed by the trainer on devices that are described.
#include "lessons/18_bottleneck/bottleneck.h"

enum { OF_NUMBERS = FAULT_STALE - FAULT_NONE, OF_TIMES = FAULT_COUNT - FAULT_SLOW_RANK };

static Status inject(Bottleneck *x, const char *what) {
    Fault f;
    TRY(fault_parse(&f, what));
    if (fault_is_of_numbers(f.kind))
        x->wrong = f;
    else
        x->slow = f;
    return OK;
}

Status bottleneck_draw(const LessonRun *run, void *state) {
    Bottleneck *x = state;
    Rng r = lesson_rng(run, 0);
    const Fault none = {.kind = FAULT_NONE};
    x->wrong = fault_draw((FaultKind)(FAULT_SUM + (int)rng_below(&r, OF_NUMBERS)), rng_u32(&r));
    x->slow = fault_draw((FaultKind)(FAULT_SLOW_RANK + (int)rng_below(&r, OF_TIMES)), rng_u32(&r));
    if (run->inject) TRY(inject(x, run->inject));
    x->pipeline = x->slow.kind == FAULT_STAGES;
    x->spare =
        x->pipeline ? 1 : (x->slow.rank + 1 + (int)rng_below(&r, FAULT_RANKS - 1)) % FAULT_RANKS;
    TRY(fault_predict(&x->healthy, run, &none, x->pipeline, NONE));
    TRY(fault_predict(&x->seen, run, &x->slow, x->pipeline, NONE));
    return fault_predict(&x->with, run, &x->slow, x->pipeline, x->spare);
}

Status bottleneck_train(const LessonRun *run, void *state) {
    Bottleneck *x = state;
    TRY(fault_train(&x->numbers, run, &x->wrong));
    x->trained = true;
    return OK;
}

// In virtual time what is simulated has to do.
Status bottleneck_execute(const LessonRun *run, void *state) {
    Bottleneck *x = state;
    const Fault none = {.kind = FAULT_NONE};
    if (run->virtual_time) return OK;
    TRY(fault_execute(&x->mended, run, &none, x->pipeline));
    TRY(fault_execute(&x->slowed, run, &x->slow, x->pipeline));
    x->executed = true;
    return OK;
}

double bottleneck_gain(const Bottleneck *x) { return 1 - x->healthy.step_ms / x->seen.step_ms; }

double bottleneck_spare_gain(const Bottleneck *x) { return 1 - x->with.step_ms / x->seen.step_ms; }

double bottleneck_whole(const Bottleneck *x) {
    if (x->slow.kind == FAULT_SLOW_RANK) return 1 - 1000.0 / x->slow.permille;
    if (x->slow.kind == FAULT_STAGES) return x->seen.bubble_ms / x->seen.step_ms;
    return x->seen.comm_ms / x->seen.step_ms;
}
