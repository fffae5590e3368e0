// SPDX-License-Identifier: MIT
// Exercises in which a learner writes C, each of a stub, a checker and an official solution. The
// checker runs in a child process, with the learner's function loaded into it: it draws cases from
// a seed, computes with Tandem's own libraries what must come out, and compares.
//
//     exercise_case(c, "rows: %d", rows);
//     const float *x = exercise_input(c, "x", values, rows, sizeof *x);  // cannot be written to
//     float *y = exercise_output(c, "y", rows, sizeof *y);               // guarded past its end
//     ((Function *)c->function)(y, x, rows);
//     TRY(exercise_near(c, "y", y, expected, rows, 1e-5));
//
// Stubs and solutions are files of stubs/ and solutions/, which are part of the program.
#ifndef LESSONS_BUILD_EXERCISE_H
#define LESSONS_BUILD_EXERCISE_H

#include "core/base/embedded.h"
#include "core/base/rng.h"
#include "core/device/device.h"

#include <stdbool.h>
#include <stdint.h>

typedef void BuildFunction(void);  // to be cast to what the exercise's function is

// What it took beside what our own solver took.
typedef struct {
    const char *what;  // "time", with its unit in `unit`; translated where it is shown
    const char *unit;
    double yours, ours;
} BuildScore;

typedef enum { BUILD_CRASH_NONE, BUILD_CRASH_PAST, BUILD_CRASH_CONST, BUILD_CRASH_ELSEWHERE } Crash;

// What a child says; it lies in memory that the child shares with its parent.
typedef struct {
    bool loaded, finished;  // the library was loaded; the checker came to its end
    int passed;             // cases
    char at[200];           // the case at work
    char message[400];      // what is wrong; "": nothing
    BuildScore scores[2];
    int score_count;
    Crash crash;
    uintptr_t address;  // that was touched
    char array[32];     // of a crash at an array: its name, the element touched, how many it has
    int64_t element, elements;
} BuildReport;

enum { BUILD_ARRAYS = 64 };
typedef struct {
    char name[32];
    char *map, *data;  // pages, of which the last may not be touched; the elements end before it
    size_t mapped;
    int64_t elements;
    size_t size;  // of an element
    bool constant;
} BuildArray;

typedef struct {
    Arena *arena;  // borrowed
    uint64_t seed;
    Rng rng;
    BuildFunction *function;
    BuildReport *report;
    BuildArray arrays[BUILD_ARRAYS];  // of the case at work
    int array_count;
} BuildCheck;

// Begin a case, which counts as passed when the next one begins or the checker returns OK. Arrays
// of the case before are gone.
void exercise_case(BuildCheck *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

// Memory for the learner's function: NULL and a failed report where there is none. An output is
// filled with bytes of 0xFF, which are NaN as floats and -1 as integers.
const void *exercise_input(BuildCheck *c, const char *name, const void *from, int64_t count,
                           size_t size);
void *exercise_inout(BuildCheck *c, const char *name, const void *from, int64_t count, size_t size);
void *exercise_output(BuildCheck *c, const char *name, int64_t count, size_t size);

// ERR_FAILED with a text that a learner reads.
Status exercise_fail(BuildCheck *c, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_USE;

// Are all `count` elements within tolerance * (1 + |expected|)? Was nothing written before the
// beginning of an array? exercise_fail() names the first that is not.
Status exercise_near(BuildCheck *c, const char *name, const float *got, const float *expected,
                     int64_t count, double tolerance) MUST_USE;
Status exercise_intact(BuildCheck *c) MUST_USE;

// The child says so at once, whatever thread of it this is: exercise_fail() was called.
void exercise_end(void) __attribute__((noreturn));

void exercise_score(BuildCheck *c, const char *what, const char *unit, double yours, double ours);

// Drawing: an integer in [low, high], and floats in [-scale, scale), in the arena.
int exercise_draw(BuildCheck *c, int low, int high);
float *exercise_draw_floats(BuildCheck *c, int64_t count, double scale);

// The reference device's kernel of a kind, on f32: outputs, then inputs.
Operand exercise_operand(const void *data, int64_t rows, int64_t columns);
void exercise_kernel(Kind kind, int outputs, int inputs, const Operand *operands);

typedef struct {
    int number;         // 1 ...
    const char *name;   // "softmax": stubs/softmax.c
    const char *title;  // translated where they are shown, as the following
    const char *task;   // lines that a learner's file begins with
    const char *function;
    const char *hints[3];
    Status (*check)(BuildCheck *c);
} Exercise;

const Exercise *const *exercises_all(int *count);

extern const EmbeddedFile exercise_stubs[], exercise_solutions[];
extern const int exercise_stubs_count, exercise_solutions_count;

#endif
