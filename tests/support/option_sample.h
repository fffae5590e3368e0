// SPDX-License-Identifier: MIT
// A table with an option of every kind, and how tests parse with it.
#ifndef TESTS_SUPPORT_OPTION_SAMPLE_H
#define TESTS_SUPPORT_OPTION_SAMPLE_H

#include "core/cli/option.h"
#include "tests/support/testing.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t ranks, seed, bucket_bytes, timeout_ps, jobs;
    double rate;
    const char *data;
    int dtype, verbose;
    bool overlap, quiet;
    IntList sweep;
} Values;

enum { DTYPE_F64 = 1 };

#define AT(field) offsetof(Values, field)
// clang-format off
static const Option OPTIONS[] = {
    {.kind = OPTION_HEADING, .help = "Work"},
    {.name = "ranks", .kind = OPTION_INT, .at = AT(ranks), .value = "N", .initial = "1",
     .min = 1, .max = 64, .brief = true, .help = "ranks to start"},
    {.name = "data", .kind = OPTION_STRING, .at = AT(data), .value = "DIR|FILE",
     .initial = "digits", .brief = true, .help = "what to train on"},
    {.name = "lr", .kind = OPTION_REAL, .at = AT(rate), .value = "X", .initial = "0.01",
     .min = 0, .max = HUGE_VAL, .help = "learning rate"},
    {.name = "dtype", .kind = OPTION_CHOICE, .at = AT(dtype), .value = "f32|f64|bf16",
     .initial = "f32",
     .help = "type of parameters and gradients, which is also the type that activations and "
             "messages have"},
    {.name = "seed", .kind = OPTION_INT, .at = AT(seed), .value = "N",
     .help = "of every random number"},
    {.kind = OPTION_HEADING, .name = "talk", .help = "Communication"},
    {.name = "bucket", .kind = OPTION_SIZE, .at = AT(bucket_bytes), .value = "SIZE",
     .initial = "32KiB", .min = 1024, .max = 1 << 30, .help = "cap of a bucket"},
    {.name = "timeout", .kind = OPTION_DURATION, .at = AT(timeout_ps), .value = "TIME",
     .initial = "30", .bare_ps = PS_PER_S,
     .help = "a rank is lost after this (a bare number is seconds)"},
    {.name = "overlap", .kind = OPTION_FLAG, .at = AT(overlap), .initial = "yes", .no = true,
     .help = "communicate during the backward pass"},
    {.name = "sweep", .kind = OPTION_LIST, .at = AT(sweep), .value = "N,N..N",
     .min = 1, .max = HUGE_VAL, .help = "rank counts to try"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .at = AT(quiet), .brief = true,
     .help = "no progress"},
    {.name = "verbose", .letter = 'v', .kind = OPTION_COUNT, .at = AT(verbose),
     .help = "say more"},
    {.name = "jobs", .letter = 'j', .kind = OPTION_INT, .at = AT(jobs), .value = "N",
     .help = "at once"},
};
// clang-format on
static const OptionExample EXAMPLES[] = {
    {"train --ranks 2 --data digits", "two processes, digits made on the spot"},
    {"train --dtype f64 file",
     "double precision, with a description so long that it has to go on in a second line of text"},
    {"train --no-overlap", "communication after the backward pass"},
};
static const OptionDetail DETAILS[] = {
    {"talk", "How gradients meet."},
    {"bucket",
     "Gradients wait in a bucket until it is full, or until the last of them has come, and "
     "then travel together.\nSmall ones start early."},
    {"ranks", NULL, "world-size gpus n"},
    {"of another table", "Not shown.", "elsewhere"},
};
#define COUNT(array) ((int)(sizeof array / sizeof *array))
static const OptionTable TABLE = {.program = "train",
                                  .summary = "train a network",
                                  .options = OPTIONS,
                                  .option_count = COUNT(OPTIONS),
                                  .examples = EXAMPLES,
                                  .example_count = COUNT(EXAMPLES),
                                  .details = DETAILS,
                                  .detail_count = COUNT(DETAILS),
                                  .arguments = "PATH...",
                                  .arguments_max = 2};

__attribute__((unused)) static Arena arena;  // given up with the process of the test

// Parse the words, at most 15, after the program's name.
static inline Status parse_with(OptionLine *line, Values *v, const OptionTable *t,
                                const char *const *words) {
    char *argv[16] = {(char *)"train"};
    int argc = 1;
    for (; *words; words++) argv[argc++] = (char *)*words;
    return option_parse(line, v, &arena, t, argc, argv);
}
#define PARSE(line, v, ...) parse_with(line, v, &TABLE, (const char *const[]){__VA_ARGS__, NULL})
#define REFUSES(part, ...)                                              \
    do {                                                                \
        OptionLine l_;                                                  \
        Values v_;                                                      \
        ck_assert_fails(PARSE(&l_, &v_, __VA_ARGS__), ERR_USAGE, part); \
    } while (0)

#endif
