// SPDX-License-Identifier: MIT
// Text from a trained language model: the next token is drawn from what the model says of it, and
// joins the text that the model reads.
//
//     Generator g;
//     TRY(generator_create(&g, &job));             // the job: generates, and weights to begin with
//     TRY(generator_prompt(&g, "ROMEO:"));
//     for (int i = 0; i < 200; i++) {
//         TRY(generator_next(&g, 0.8, &token));    // a token of job.data.text
//         ...
//     }
//     generator_destroy(&g);
#ifndef PARALLEL_RUN_GENERATE_H
#define PARALLEL_RUN_GENERATE_H

#include "parallel/run/executor.h"
#include "parallel/run/job.h"

typedef struct {
    const Job *job;  // borrowed
    ProgramSet set;  // owned: the model for one row
    Executor executor;
    Arena arena;
    int plan;               // that computes the logits of a row
    int32_t *tokens;        // in the arena, [window]: what the model reads, from the first on
    int64_t window, count;  // tokens that it can read, and that there are
    int64_t drawn;          // tokens so far
    double *logits;         // in the arena, [vocabulary]: of the token after the last one
} Generator;

// Bind the model for one row, with the weights of job->restore. ERR_USAGE: the model reads no
// tokens, or attends to tokens that come later.
Status generator_create(Generator *g, const Job *job) MUST_USE;
void generator_destroy(Generator *g);  // safe on a zeroed one

// Begin with this text, of which the model reads the last `window` tokens. ERR_INPUT for a
// character that the corpus does not have; ERR_USAGE for an empty text.
Status generator_prompt(Generator *g, const char *text) MUST_USE;

// Draw the next token: softmax(logits / temperature), with a random number of (seed, place in the
// text); at temperature 0 the most likely one, of equal ones the first. ERR_FAILED: a logit is not
// finite. Each token costs a whole pass over the window.
Status generator_next(Generator *g, double temperature, int *token) MUST_USE;

#endif
