// SPDX-License-Identifier: MIT
// Logarithms by halving and a table (sim/noise.h).
#include "sim/noise.h"

#include "core/base/rng.h"

#include <stdlib.h>
#include <string.h>

#define BILLION INT64_C(1000000000)

enum { LN_STEPS = 64 };

// -ln(1/2 + i/128) in billionths.
static const int32_t ln_table[LN_STEPS + 1] = {
    693147181, 677642994, 662375522, 647337645, 632522559, 617923759, 603535022, 589350387,
    575364145, 561570823, 547965171, 534542150, 521296924, 508224842, 495321437, 482582411,
    470003629, 457581109, 445311017, 433189656, 421213465, 409379007, 397682968, 386122145,
    374693449, 363393894, 352220594, 341170757, 330241687, 319430771, 308735482, 298153372,
    287682072, 277319285, 267062785, 256910414, 246860078, 236909747, 227057451, 217301276,
    207639365, 198069914, 188591170, 179201429, 169899037, 160682382, 151549898, 142500063,
    133531393, 124642445, 115831816, 107098136, 98440073,  89856329,  81345639,  72906771,
    64538521,  56239718,  48009219,  39845909,  31748698,  23716527,  15748357,  7843177,
    0,
};

int64_t noise_exponential(uint64_t u) {
    int halvings = __builtin_clzll(u | 1);
    uint64_t mantissa = u << halvings;  // from 2^63 on: u is mantissa / 2^64 / 2^halvings
    int i = (int)(mantissa >> 57) & (LN_STEPS - 1);
    int64_t fraction = (int64_t)(mantissa >> 27) & ((1 << 30) - 1);
    int64_t between = (ln_table[i + 1] - ln_table[i]) * fraction / (1 << 30);
    return halvings * (int64_t)ln_table[0] + ln_table[i] + between;
}

static int64_t scaled(int64_t ps, int64_t factor, int64_t unit) {
    __int128 scaled = (__int128)ps * factor / unit;
    return scaled > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)scaled;
}

static int64_t jittered(const Noise *n, int rank, int op, int step, int64_t ps) {
    Rng rng;
    rng_init(&rng, n->seed, RNG_JITTER, (uint32_t)rank, (uint32_t)op);
    uint64_t high = rng_at(&rng, 2 * (uint64_t)step), low = rng_at(&rng, 2 * (uint64_t)step + 1);
    int64_t e = noise_exponential(high << 32 | low | 1);
    return scaled(ps, BILLION + n->variation * (e - BILLION) / NOISE_UNIT, BILLION);
}

int64_t noise_ps(const Noise *n, int rank, int op, int step, int64_t ps) {
    for (int i = 0; i < n->straggler_count; i++)
        if (n->stragglers[i].rank == rank) ps = scaled(ps, n->stragglers[i].permille, 1000);
    return n->variation ? jittered(n, rank, op, step, ps) : ps;
}

static Status parse_one(Straggler *out, const char *text) {
    char *equals, *end;
    long rank = strtol(text, &equals, 10);
    double factor = *equals == '=' ? strtod(equals + 1, &end) : 0;
    if (equals == text || *equals != '=' || end == equals + 1 || *end || rank < 0 || rank > 1 << 20)
        FAIL(ERR_USAGE, "--straggler %s: expected RANK=FACTOR, such as 3=1.3", text);
    if (!(factor >= 1 && factor <= 1000))
        FAIL(ERR_USAGE, "--straggler %s: expected a factor from 1 to 1000", text);
    *out = (Straggler){(int32_t)rank, (int32_t)(factor * 1000 + 0.5)};
    return OK;
}

Status noise_parse_stragglers(Noise *n, Arena *a, const char *text) {
    enum { STRAGGLERS = 64 };
    Straggler *all = ARENA_NEW(a, Straggler, STRAGGLERS);
    char *words = arena_string(a, text), *next;
    int count = 0;
    if (!all || !words) FAIL(ERR_MEMORY, "out of memory for stragglers");
    for (char *word = strtok_r(words, ",", &next); word; word = strtok_r(NULL, ",", &next)) {
        if (count == STRAGGLERS) FAIL(ERR_USAGE, "--straggler takes at most %d ranks", STRAGGLERS);
        TRY(parse_one(&all[count], word));
        for (int i = 0; i < count; i++)
            if (all[i].rank == all[count].rank)
                FAIL(ERR_USAGE, "--straggler has rank %d twice", all[i].rank);
        count++;
    }
    if (!count) FAIL(ERR_USAGE, "--straggler: expected RANK=FACTOR, such as 3=1.3");
    n->stragglers = all;
    n->straggler_count = count;
    return OK;
}
