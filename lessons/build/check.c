// SPDX-License-Identifier: MIT
// What checkers of exercises share: guarded arrays, comparing, drawing, our kernels.
#include "lessons/build/exercise.h"

#include "core/device/kernel.h"
#include "lessons/engine/translate.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BEFORE = 0xA5 };  // fills a page up to where an array begins

static void drop_arrays(BuildCheck *c) {
    for (int i = 0; i < c->array_count; i++) munmap(c->arrays[i].map, c->arrays[i].mapped);
    c->array_count = 0;
}

void exercise_case(BuildCheck *c, const char *fmt, ...) {
    va_list args;
    drop_arrays(c);
    if (*c->report->at) c->report->passed++;
    va_start(args, fmt);
    vsnprintf(c->report->at, sizeof c->report->at, fmt, args);
    va_end(args);
}

Status exercise_fail(BuildCheck *c, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(c->report->message, sizeof c->report->message, fmt, args);
    va_end(args);
    FAIL(ERR_FAILED, "%s", c->report->message);
}

void exercise_end(void) {
    fflush(NULL);
    _exit(0);
}

// --- arrays

static BuildArray *new_array(BuildCheck *c, const char *name, int64_t count, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (size_t)count * size;
    size_t body = (bytes + page) / page * page;
    char *map = c->array_count == BUILD_ARRAYS ? MAP_FAILED
                                               : mmap(NULL, body + page, PROT_READ | PROT_WRITE,
                                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + body, page, PROT_NONE) != 0) {
        if (exercise_fail(c, "out of memory for %s", name)) exercise_end();
    }
    BuildArray *a = &c->arrays[c->array_count++];
    *a = (BuildArray){.map = map,
                      .data = map + body - bytes,
                      .mapped = body + page,
                      .elements = count,
                      .size = size};
    snprintf(a->name, sizeof a->name, "%s", name);
    memset(map, BEFORE, body - bytes);
    return a;
}

const void *exercise_input(BuildCheck *c, const char *name, const void *from, int64_t count,
                           size_t size) {
    BuildArray *a = new_array(c, name, count, size);
    memcpy(a->data, from, (size_t)count * size);
    a->constant = true;
    mprotect(a->map, (size_t)(a->data - a->map) + (size_t)count * size, PROT_READ);
    return a->data;
}

void *exercise_inout(BuildCheck *c, const char *name, const void *from, int64_t count,
                     size_t size) {
    BuildArray *a = new_array(c, name, count, size);
    memcpy(a->data, from, (size_t)count * size);
    return a->data;
}

void *exercise_output(BuildCheck *c, const char *name, int64_t count, size_t size) {
    BuildArray *a = new_array(c, name, count, size);
    memset(a->data, 0xFF, (size_t)count * size);
    return a->data;
}

Status exercise_intact(BuildCheck *c) {
    for (int i = 0; i < c->array_count; i++)
        for (const char *at = c->arrays[i].map; at < c->arrays[i].data; at++)
            if ((unsigned char)*at != BEFORE)
                return exercise_fail(c, _("something was written before the beginning of %s"),
                                     c->arrays[i].name);
    return OK;
}

Status exercise_near(BuildCheck *c, const char *name, const float *got, const float *expected,
                     int64_t count, double tolerance) {
    TRY(exercise_intact(c));
    for (int64_t i = 0; i < count; i++) {
        double want = (double)expected[i];
        if (fabs((double)got[i] - want) <= tolerance * (1 + fabs(want))) continue;
        return exercise_fail(c, _("%s[%lld] is %.9g; it should be %.9g"), name, (long long)i,
                             (double)got[i], want);
    }
    return OK;
}

void exercise_score(BuildCheck *c, const char *what, const char *unit, double yours, double ours) {
    BuildReport *r = c->report;
    if (r->score_count < (int)(sizeof r->scores / sizeof *r->scores))
        r->scores[r->score_count++] = (BuildScore){what, unit, yours, ours};
}

// --- drawing, our kernels

int exercise_draw(BuildCheck *c, int low, int high) {
    return low + (int)rng_below(&c->rng, (uint32_t)(high - low + 1));
}

float *exercise_draw_floats(BuildCheck *c, int64_t count, double scale) {
    float *out = ARENA_NEW(c->arena, float, count);
    if (!out && exercise_fail(c, "out of memory for a case")) exercise_end();
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)(scale * (2 * (double)rng_float(&c->rng) - 1));
    return out;
}

Operand exercise_operand(const void *data, int64_t rows, int64_t columns) {
    Operand o = {.shape = {rows, columns}, .dims = columns ? 2 : 1};
    memcpy(&o.data, &data, sizeof data);  // a kernel writes to its outputs alone
    return o;
}

void exercise_kernel(Kind kind, int outputs, int inputs, const Operand *operands) {
    static const int64_t none[8];
    device_run(&device_reference, &(KernelCall){.kind = kind,
                                                .dtype = DTYPE_F32,
                                                .outputs = outputs,
                                                .inputs = inputs,
                                                .operand = operands,
                                                .attr = none});
}
