// SPDX-License-Identifier: MIT
// ZeRO by docs/contract.md, 7: P ranks that hold shards compute, bit for bit, what one rank does
// with as many shards of the batch. Every two settings meet in some run, with delays at random.
#include "core/base/rng.h"
#include "core/platform/device_traits.h"
#include "tests/support/testing.h"
#include "tests/support/training.h"

#include <stdio.h>
#include <string.h>

enum { STAGE, COMM, OVERLAP, CAPS, PREFETCH, DTYPE, DEVICE, CUT, OPTIMIZER, SETTINGS };
enum { CHOICES = 3, ORACLES = 36 };
static const int choices[SETTINGS] = {3, 3, 2, 3, 3, 2, 2, 3, 3};
static const char *const devices[] = {"reference", device_traits_default};
static const int64_t caps[][2] = {{4096, 32768}, {0, 0}, {1 << 30, 1 << 30}};
static const int prefetches[] = {0, 1, 3};

typedef struct {
    int value[SETTINGS];
} Setting;

// seen[i][j][a][b]: setting i was a where j was b.
typedef struct {
    bool seen[SETTINGS][SETTINGS][CHOICES][CHOICES];
    int left;
} Cover;

static int cover_add(Cover *c, const Setting *s, bool keep) {
    int added = 0;
    for (int i = 0; i < SETTINGS; i++)
        for (int j = i + 1; j < SETTINGS; j++) {
            bool *seen = &c->seen[i][j][s->value[i]][s->value[j]];
            added += !*seen;
            *seen |= keep;
        }
    if (keep) c->left -= added;
    return added;
}

// The best of some random settings.
static Setting cover_next(Cover *c, Rng *r) {
    Setting best = {{0}};
    for (int n = 0, most = 0; n < 200 || most == 0; n++) {
        Setting s;
        for (int i = 0; i < SETTINGS; i++) s.value[i] = (int)rng_below(r, (uint32_t)choices[i]);
        int added = cover_add(c, &s, false);
        if (added <= most) continue;
        most = added;
        best = s;
    }
    cover_add(c, &best, true);
    return best;
}

static JobOptions zero_options(void) {
    static char model[4096];
    JobOptions o = training_options();
    snprintf(model, sizeof model, "%s", test_source("tests/data/zero.model"));
    o.spec.model = model;
    o.spec.batch = 31;
    o.data = "digits:count=100";
    o.steps = 4;  // the third is the last of an epoch, a batch of 23 rows
    return o;
}

// CUT: one shard a rank; three micro-batches; two shards a rank.
// OPTIMIZER: SGD without momentum; with it; AdamW.
static JobOptions options_of(const Setting *s, int ranks) {
    const int *v = s->value;
    JobOptions o = zero_options();
    o.comm = (CommKind)v[COMM];
    o.spec.dtype = v[DTYPE] ? DTYPE_F64 : DTYPE_F32;
    o.spec.device = devices[v[DEVICE]];
    o.spec.micro_batches = v[CUT] == 1 ? 3 : 1;
    o.spec.shards = v[CUT] == 2 ? 2 * ranks : ranks;
    o.spec.optimizer.momentum = v[OPTIMIZER] ? 0.9 : 0;
    if (v[OPTIMIZER] == 2) o.spec.optimizer.kind = OPTIMIZER_ADAMW;
    return o;
}

static const Outcome *oracle_of(Outcome oracles[ORACLES], const Setting *s, int ranks) {
    const int *v = s->value;
    Outcome *o = &oracles[v[DTYPE] + 2 * v[DEVICE] + 4 * v[OPTIMIZER] + 12 * v[CUT]];
    JobOptions options = options_of(s, ranks);
    if (!o->state) ck_assert_ok(training_run(o, &options, NULL));
    return o;
}

static void check_setting(const Outcome *oracle, const Setting *s, int ranks, uint64_t delays) {
    const int *v = s->value;
    JobOptions o = options_of(s, ranks);
    Outcome got;
    o.spec.ranks = ranks;
    o.spec.strategy.zero = v[STAGE] + 1;
    o.spec.strategy.no_overlap = v[OVERLAP];
    o.spec.strategy.prefetch = prefetches[v[PREFETCH]];
    memcpy(o.spec.strategy.bucket_bytes, caps[v[CAPS]], sizeof caps[0]);
    ck_assert_ok(
        training_run(&got, &o, &(TrainingProbe){.context = &delays, .before = training_delay}));
    const char *d = outcome_result_difference(oracle, &got);
    ck_assert_msg(!d, "ZeRO-%d, %d ranks, %s%s, caps %lld, prefetch %d, %s, %s, cut %d: %s",
                  v[STAGE] + 1, ranks, comm_kind_name(o.comm), v[OVERLAP] ? ", no overlap" : "",
                  (long long)caps[v[CAPS]][1], prefetches[v[PREFETCH]], dtype_name(o.spec.dtype),
                  devices[v[DEVICE]], v[CUT], d ? d : "");
    outcome_finish(&got);
}

static void check_ranks(int ranks) {
    static Outcome oracles[ORACLES];
    Cover cover = {.left = 0};
    Rng r;
    for (int i = 0; i < SETTINGS; i++)
        for (int j = i + 1; j < SETTINGS; j++) cover.left += choices[i] * choices[j];
    rng_init(&r, 1, RNG_TEST, (uint32_t)ranks, 0);
    for (uint64_t turn = 0; cover.left > 0; turn++) {
        Setting s = cover_next(&cover, &r);
        check_setting(oracle_of(oracles, &s, ranks), &s, ranks, turn);
    }
    for (int i = 0; i < ORACLES; i++) outcome_finish(&oracles[i]);
}

START_TEST(two_ranks_equal_one_rank_with_two_shards) { check_ranks(2); }
END_TEST
START_TEST(three_ranks_equal_one_rank_with_three_shards) { check_ranks(3); }
END_TEST
START_TEST(four_ranks_equal_one_rank_with_four_shards) { check_ranks(4); }
END_TEST

// Of 10 blocks seven of eight ranks get one or two, of 3 blocks five get none.
START_TEST(eight_ranks_equal_one_rank_with_eight_shards) {
    JobOptions o = zero_options();
    Outcome oracle;
    o.spec.shards = 8;
    ck_assert_ok(training_run(&oracle, &o, NULL));
    o.spec.ranks = 8;
    for (o.spec.strategy.zero = 1; o.spec.strategy.zero <= 3; o.spec.strategy.zero++) {
        Outcome got;
        ck_assert_ok(training_run(&got, &o, NULL));
        const char *d = outcome_result_difference(&oracle, &got);
        ck_assert_msg(!d, "ZeRO-%d: %s", o.spec.strategy.zero, d ? d : "");
        outcome_finish(&got);
    }
    outcome_finish(&oracle);
}
END_TEST

// A ring of three adds in an order of its own.
START_TEST(a_ring_gives_the_same_bits_through_every_communicator) {
    JobOptions o = zero_options();
    o.spec.ranks = 3;
    o.spec.strategy.algorithm = ALGORITHM_RING;
    for (o.spec.strategy.zero = 1; o.spec.strategy.zero <= 3; o.spec.strategy.zero++) {
        Outcome serial, got;
        o.comm = COMM_SERIAL;
        ck_assert_ok(training_run(&serial, &o, NULL));
        for (int comm = COMM_SERIAL + 1; comm < COMM_KINDS; comm++) {
            o.comm = (CommKind)comm;
            ck_assert_ok(training_run(&got, &o, NULL));
            const char *d = outcome_result_difference(&serial, &got);
            ck_assert_msg(!d, "%s: %s", comm_kind_name(o.comm), d ? d : "");
            outcome_finish(&got);
        }
        outcome_finish(&serial);
    }
}
END_TEST

static void check_refused(int ranks, int stage, Algorithm algorithm, const char *says) {
    JobOptions o = zero_options();
    Outcome out;
    o.spec.ranks = ranks;
    o.spec.strategy.zero = stage;
    o.spec.strategy.algorithm = algorithm;
    ck_assert_fails(training_run(&out, &o, NULL), ERR_USAGE, says);
}

START_TEST(one_rank_has_nothing_to_divide) {
    for (int stage = 1; stage <= 3; stage++)
        check_refused(1, stage, ALGORITHM_DIRECT, "among data-parallel ranks, but there is one");
}
END_TEST

START_TEST(an_algorithm_without_a_reduce_scatter_is_refused) {
    check_refused(2, 2, ALGORITHM_CHAIN, "--all-reduce chain has no reduce-scatter");
}
END_TEST

SUITE("zero", two_ranks_equal_one_rank_with_two_shards,
      three_ranks_equal_one_rank_with_three_shards, four_ranks_equal_one_rank_with_four_shards,
      eight_ranks_equal_one_rank_with_eight_shards,
      a_ring_gives_the_same_bits_through_every_communicator, one_rank_has_nothing_to_divide,
      an_algorithm_without_a_reduce_scatter_is_refused)
