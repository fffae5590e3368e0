// SPDX-License-Identifier: MIT
// Tables of nccl-tests and others: what they look like is written out here.
#include "sim/nccl_table.h"

#include "core/base/units.h"
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

static const char today[] =
    "# nThread 1 nGpus 1 minBytes 8 maxBytes 1024 step: 2(factor) warmup iters: 5 iters: 20\n"
    "#\n"
    "# Using devices\n"
    "#  Rank  0 Group  0 Pid   4242 on     node-a device  0 [0x10] NVIDIA A100-SXM4-80GB\n"
    "#  Rank  1 Group  0 Pid   4243 on     node-a device  1 [0x16] NVIDIA A100-SXM4-80GB\n"
    "#  Rank  2 Group  0 Pid    777 on     node-b device  0 [0x10] NVIDIA A100-SXM4-80GB\n"
    "#\n"
    "#                                                              out-of-place            "
    "in-place\n"
    "#       size         count      type   redop    root     time   algbw   busbw #wrong     "
    "time\n"
    "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            "
    "(us)\n"
    "           8             2     float     sum      -1    35.92    0.00    0.00      0    "
    "35.43\n"
    "     1048576        262144     float     sum      -1   101.5   10.33   18.08      0   99.10\n"
    "# Out of bounds values : 0 OK\n"
    "# Avg bus bandwidth    : 0.42\n";

static Arena arena;

static Status parse(NcclTable *t, const char *text) {
    char *copy = arena_string(&arena, text);
    ck_assert_ptr_nonnull(copy);
    return nccl_table_parse(t, &arena, copy, "t.txt");
}

START_TEST(what_nccl_tests_prints_is_read_with_its_ranks_and_hosts) {
    NcclTable t;
    ck_assert_ok(parse(&t, today));
    ck_assert_int_eq(t.count, 2);
    ck_assert_int_eq(t.ranks, 3);
    ck_assert_int_eq(t.nodes, 2);
    ck_assert_int_eq(t.rows[0].bytes, 8);
    ck_assert_int_eq(t.rows[0].time_ps, 35920 * PS_PER_NS);
    ck_assert_int_eq(t.rows[1].bytes, 1 << 20);
    ck_assert_int_eq(t.rows[1].time_ps, 101500 * PS_PER_NS);
}
END_TEST

// Older versions have no root; bench/collectives neither; a size of 0 and prose are passed over.
START_TEST(other_columns_are_found_by_their_heads) {
    NcclTable t;
    ck_assert_ok(parse(&t, "#   size      count   type redop      time   algbw   busbw #wrong\n"
                           "       0          0  float   sum      9.00    0.00    0.00      0\n"
                           "mpirun: a note\n"
                           "      64         16  float   sum      1.25    0.05    0.09      0\n"));
    ck_assert_int_eq(t.count, 1);
    ck_assert_int_eq(t.rows[0].bytes, 64);
    ck_assert_int_eq(t.rows[0].time_ps, 1250 * PS_PER_NS);
    ck_assert(t.ranks == 0 && t.nodes == 0);
    ck_assert_ok(
        parse(&t, "size(B),count,type,time(ns),busbw(GB/s)\n1024,256,float,44210,23.72\n"));
    ck_assert_int_eq(t.rows[0].time_ps, 44210 * PS_PER_NS);
    ck_assert_ok(parse(&t, "source,gpus,nodes,link,bytes,time_us_oop,busbw\n"
                           "\"a, b\",16,2,x,4096,12.5,1\n\"a\",16,2,x,8192,,1\n"));
    ck_assert_int_eq(t.count, 1);  // the other was not measured
    ck_assert_int_eq(t.rows[0].bytes, 4096);
    ck_assert_int_eq(t.rows[0].time_ps, 12500 * PS_PER_NS);
    ck_assert(t.ranks == 16 && t.nodes == 2);
}
END_TEST

// As bench/collectives prints them: the first row says whose are read.
START_TEST(of_several_libraries_the_first_is_read) {
    NcclTable t;
    ck_assert_ok(parse(
        &t, "# mpich: not installed\n\n# all_reduce, 2 ranks, 1 rounds\n"
            "#     size     count  type redop library             time range  algbw  busbw\n"
            "         8         2 float   sum tandem-direct       0.38   0 %   0.02   0.02\n"
            "         8         2 float   sum open-mpi            0.27   0 %   0.03   0.03\n"
            "        64        16 float   sum tandem-direct       0.43   0 %   0.15   0.15\n"
            "        64        16 float   sum open-mpi            0.28   0 %   0.23   0.23\n"));
    ck_assert_int_eq(t.count, 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(t.rows[i].bytes, i ? 64 : 8);
        ck_assert_int_eq(t.rows[i].time_ps, (i ? 430 : 380) * PS_PER_NS);
    }
}
END_TEST

START_TEST(what_is_no_table_is_refused_with_its_line) {
    NcclTable t;
    ck_assert_fails(parse(&t, ""), ERR_FORMAT, "t.txt: no line of heads");
    ck_assert_fails(parse(&t, "8 2 float 1.0\n"), ERR_FORMAT, "no line of heads");
    ck_assert_fails(parse(&t, "# size count type time\n"), ERR_FORMAT, "no row");
    ck_assert_fails(parse(&t, "# size count type time\n8 2 float fast\n"), ERR_FORMAT,
                    "t.txt:2: expected a time, found \"fast\"");
    ck_assert_fails(parse(&t, "# size count type time\n\n8 2 float\n"), ERR_FORMAT,
                    "t.txt:3: expected a time, found the end of the line");
    ck_assert_fails(parse(&t, "bytes,time,gpus\n8,1,2\n8,1,4\n"), ERR_FORMAT,
                    "t.txt:3: a row of 4 ranks after rows of 2");
    ck_assert_fails(parse(&t, "bytes,time\n8,1e30\n"), ERR_FORMAT, "t.txt:2");
    ck_assert_fails(parse(&t, "bytes,time\n-8,1\n"), ERR_FORMAT, "expected a size");
}
END_TEST

// Cut off anywhere, it is a shorter table or an error, and nothing else.
START_TEST(a_table_that_is_cut_off_is_read_or_refused) {
    for (size_t length = 0; length < sizeof today; length++) {
        Arena a = {0};
        NcclTable t;
        char *copy = malloc(length + 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, today, length);
        copy[length] = '\0';
        Status s = nccl_table_parse(&t, &a, copy, "t.txt");
        ck_assert(s == OK ? t.count > 0 : s == ERR_FORMAT);
        free(copy);
        arena_finish(&a);
    }
}
END_TEST

SUITE("nccl_table", what_nccl_tests_prints_is_read_with_its_ranks_and_hosts,
      other_columns_are_found_by_their_heads, of_several_libraries_the_first_is_read,
      what_is_no_table_is_refused_with_its_line, a_table_that_is_cut_off_is_read_or_refused)
