// SPDX-License-Identifier: MIT
// Activations that a transformer layer keeps for its backward, beside Korthikanti et al., Reducing
// Activation Recomputation in Large Transformer Models, 2022. With s positions, b sequences, h
// channels, a heads and t ranks of tensor parallelism, in two bytes, a layer keeps there
//
//     one rank                        s b h (34 + 5 a s / h)               equation 1
//     tensor parallelism              s b h (10 + 24 / t + 5 a s / (h t))  equation 2
//     and sequence parallelism        s b h (34 + 5 a s / h) / t           equation 4
//     full recomputation              2 s b h                              section 5
//
// Here attention keeps no matrix of scores (their 5 a s / h), but 4 bytes of each row's logarithm
// of the sum, 4 a b s; and dropout keeps no mask, since its random numbers are made again (their 2:
// one byte each for the two dropouts of a layer).
#include "sim/job.h"
#include "tests/support/testing.h"

#include <stdio.h>

// The 22B model of their table 3, and the tensor parallelism that they train it with.
enum { POSITIONS = 2048, SEQUENCES = 4, WIDTH = 6144, HEADS = 64, CUT = 8 };
static const int64_t unit = (int64_t)POSITIONS * SEQUENCES * WIDTH;
static const int64_t sums = (int64_t)4 * HEADS * SEQUENCES * POSITIONS;

static int64_t activations(SimJob *job, int layers) {
    static Arena arena;
    ProgramSet set;
    char model[96];
    snprintf(model, sizeof model, "gpt:layers=%d,hidden=%d,heads=%d,seq=%d,vocabulary=51200",
             layers, WIDTH, HEADS, POSITIONS);
    job->spec.model = model;
    ck_assert_ok(sim_job_step(&set, &arena, job));
    int64_t bytes = program_memory(&set.programs[0], MEMORY_ACTIVATIONS);
    program_set_finish(&set);
    arena_finish(&arena);
    return bytes;
}

// What one more layer keeps.
static int64_t of_layer(int tensor, bool sequence, Recompute recompute) {
    SimJob job = {.spec = job_spec_default()};
    job.spec.device = "reference";
    job.spec.dtype = DTYPE_BF16;
    job.spec.batch = SEQUENCES;
    job.spec.ranks = tensor;
    job.spec.mesh.tensor = tensor;
    job.spec.strategy.sequence_parallel = sequence;
    job.spec.strategy.recompute = recompute;
    return activations(&job, 4) - activations(&job, 3);
}

START_TEST(a_layer_keeps_what_was_published) {
    ck_assert_int_eq(of_layer(1, false, RECOMPUTE_NONE), unit * (34 - 2) + sums);
}
END_TEST

START_TEST(so_does_one_that_is_cut_over_ranks) {
    int64_t kept = unit * 10 + unit * 24 / CUT - unit * 2;
    ck_assert_int_eq(of_layer(CUT, false, RECOMPUTE_NONE), kept + sums / CUT);
}
END_TEST

// The paper gathers the inputs of the two pairs of products again in the backward. Here both stay
// whole on each rank: 2 s b h each in place of 2 s b h / t.
START_TEST(sequence_parallelism_keeps_the_inputs_of_products_besides) {
    int64_t gathered = 2 * (unit * 2 - unit * 2 / CUT);
    ck_assert_int_eq(of_layer(CUT, true, RECOMPUTE_NONE),
                     unit * (34 - 2) / CUT + gathered + sums / CUT);
}
END_TEST

START_TEST(full_recomputation_keeps_the_input_of_a_layer) {
    ck_assert_int_eq(of_layer(1, false, RECOMPUTE_FULL), unit * 2);
}
END_TEST

SUITE("published", a_layer_keeps_what_was_published, so_does_one_that_is_cut_over_ranks,
      sequence_parallelism_keeps_the_inputs_of_products_besides,
      full_recomputation_keeps_the_input_of_a_layer)
