// SPDX-License-Identifier: MIT
// What a layer keeps for its backward, in bytes: equal to the formulas of Korthikanti et al.,
// "Reducing Activation Recomputation in Large Transformer Models", 2022, table 2, with s positions,
// b rows, h channels, a heads, t ranks of tensor parallelism, two bytes a number:
//
//     no recomputation         s b h (10 + 24/t + 5 a s / (h t))
//     and sequence parallel    s b h (34/t + 5 a s / (h t))
//     selective                s b h (10 + 24/t)
//     and sequence parallel    s b h (34/t)
//     full                     s b h 2
//     and sequence parallel    s b h (2/t)
//
// It is the difference between networks of so many layers and of four more. Megatron-LM gathers
// again in the backward what sequence parallelism gathered, whatever else is computed again:
// `gathers`; its selective is `attention` here, its full is `block`.
#include "sim/job.h"
#include "tests/support/testing.h"

#include <stdio.h>

enum { ROWS_B = 2, MORE = 4 };
typedef struct {
    int64_t s, h, a;
} Sizes;

// Of what passes through memory: activations, and gathered pieces that wait in buffers.
static int64_t bytes_of(const Sizes *z, int layers, int tp, bool sequence, Recompute how) {
    static Arena arena;
    ProgramSet set;
    char model[128];
    SimJob sim = {.spec = job_spec_default()};
    JobSpec *job = &sim.spec;
    snprintf(model, sizeof model, "megatron:layers=%d,hidden=%lld,heads=%lld,seq=%lld", layers,
             (long long)z->h, (long long)z->a, (long long)z->s);
    job->model = model;
    job->device = "reference";
    job->dtype = DTYPE_BF16;
    job->batch = ROWS_B;
    job->ranks = job->mesh.tensor = tp;
    job->strategy.sequence_parallel = sequence;
    job->strategy.recompute = how;
    ck_assert_ok(sim_job_step(&set, &arena, &sim));
    const Program *p = &set.programs[0];
    int64_t bytes = program_memory(p, MEMORY_ACTIVATIONS) + program_memory(p, MEMORY_COMMUNICATION);
    program_set_finish(&set);
    arena_finish(&arena);
    return bytes;
}

// Times t.
static int64_t published(const Sizes *z, int t, bool sequence, Recompute how) {
    int64_t u = z->s * ROWS_B * z->h, scores = 5 * z->a * z->s * z->s * ROWS_B;
    int64_t whole = sequence ? 10 * u : 10 * u * t;
    switch (how) {
    case RECOMPUTE_GATHERS: return whole + 24 * u + scores;
    case RECOMPUTE_ATTENTION: return whole + 24 * u;
    default: return sequence ? 2 * u : 2 * u * t;
    }
}

static void check(const Sizes *z, int t, bool sequence, Recompute how) {
    int64_t layer =
        (bytes_of(z, 2 + MORE, t, sequence, how) - bytes_of(z, 2, t, sequence, how)) / MORE;
    ck_assert_msg(t * layer == published(z, t, sequence, how),
                  "s %lld, h %lld, a %lld, t %d%s, %s: %lld bytes a layer, not %lld",
                  (long long)z->s, (long long)z->h, (long long)z->a, t,
                  sequence ? " in pieces" : "", recompute_words[how], (long long)layer,
                  (long long)(published(z, t, sequence, how) / t));
}

START_TEST(a_layer_keeps_the_bytes_that_were_published) {
    static const Sizes sizes[] = {{32, 64, 8}, {64, 32, 8}, {16, 128, 16}};
    static const Recompute hows[] = {RECOMPUTE_GATHERS, RECOMPUTE_ATTENTION, RECOMPUTE_BLOCK};
    for (int i = 0; i < 3; i++)
        for (int t = 1; t <= 8; t *= 2)
            for (int sequence = 0; sequence < 1 + (t > 1); sequence++)
                for (int k = 0; k < 3; k++) check(&sizes[i], t, sequence, hows[k]);
}
END_TEST

SUITE("activation_forms", a_layer_keeps_the_bytes_that_were_published)
