// SPDX-License-Identifier: MIT
// Sizes of buckets that follow from the ranks, in what a report says and in the plan.
#include "parallel/strategy/bucket_sizes.h"
#include "parallel/strategy/job_spec.h"
#include "tests/support/testing.h"

enum { MIB = 1 << 20 };

static JobSpec job_of(int ranks, int zero) {
    JobSpec job = job_spec_default();
    job.model = "vgg16";
    job.ranks = ranks;
    job.batch = ranks;
    job.strategy.zero = zero;
    bucket_sizes_of_devices(&job.strategy);
    return job;
}

// 25 ranks with 1 MiB each have 25 MiB.
START_TEST(buckets_of_zero_have_a_mebibyte_a_rank_and_25_at_least) {
    static const struct {
        int ranks, zero;
        int64_t mib;
    } cases[] = {{2, 1, 25}, {25, 2, 25}, {26, 1, 26}, {1024, 3, 1024}, {1024, 0, 25}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        StrategyOptions o = job_of(cases[i].ranks, cases[i].zero).strategy;
        for (int again = 0; again < 2; again++) {
            bucket_sizes_settle(&o, cases[i].ranks);
            ck_assert_int_eq(o.bucket_bytes[0], MIB);
            ck_assert_int_eq(o.bucket_bytes[1], cases[i].mib * MIB);
        }
    }
}
END_TEST

START_TEST(what_is_given_stays) {
    StrategyOptions o = {.zero = 1, .bucket_bytes = {4096, 32768}};
    bucket_sizes_settle(&o, 1024);
    ck_assert_int_eq(o.bucket_bytes[1], 32768);
}
END_TEST

// Of 64 ranks with --tp 2 the 32 that have other samples count.
START_TEST(a_report_says_the_size_that_buckets_have) {
    Arena a = {0};
    RunInfo run;
    JobSpec job = job_of(64, 1);
    ck_assert_ok(job_spec_describe(&run, &a, &job, NULL, 0));
    ck_assert_str_eq(job_spec_setting(&run, "bucket_kib"), "1024,65536");
    job.mesh.tensor = 2;
    ck_assert_ok(job_spec_describe(&run, &a, &job, NULL, 0));
    ck_assert_str_eq(job_spec_setting(&run, "bucket_kib"), "1024,32768");
    arena_finish(&a);
}
END_TEST

SUITE("bucket_sizes", buckets_of_zero_have_a_mebibyte_a_rank_and_25_at_least, what_is_given_stays,
      a_report_says_the_size_that_buckets_have)
