// SPDX-License-Identifier: MIT
#include "core/plan/placement.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/testing.h"

START_TEST(every_placement_reads_back_as_it_is_printed) {
    static const char *const texts[] = {"R",         "S0",
                                        "S3",        "P+",
                                        "Pmax",      "O",
                                        "D",         "S1:zigzag",
                                        "S0:inner",  "S0:interleaved/3",
                                        "S:flat/64", "S:flat/2147483646:inner",
                                        "O:0",       "O:2147483646",
                                        "S1@2",      "S1:zigzag@1",
                                        "S1:sum0-0", "S1:zigzag:inner@12:sum3-5"};
    char text[PLACEMENT_TEXT];
    Placement all[sizeof texts / sizeof *texts];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ck_assert(placement_parse(texts[i], &all[i]));
        ck_assert_str_eq(placement_text(all[i], text), texts[i]);
        for (size_t k = 0; k < i; k++) ck_assert(!placement_equal(all[i], all[k]));
    }
    ck_assert(placement_equal(all[0], PLACEMENT_REPLICATED));
    ck_assert(placement_equal(all[2], PLACEMENT_SHARD(3)));
}
END_TEST

START_TEST(what_is_no_placement_is_not_read) {
    static const char *const texts[] = {
        "",
        "r",
        "P",
        "S",
        "S4",
        "S00",
        "S0zigzag",
        "S0:",
        "S0:zig",
        "S0:zigzag/",
        "S0:zigzag/2",
        "S0:interleaved",
        "S0:flat/4",
        "S:flat",
        "S:flat/0",
        "S:flat/-1",
        "S:flat/4x",
        "S:flat/2147483648",
        "O:",
        "O:-1",
        "O:2147483647",
        "O0",
        "S:zigzag",
        "R:inner",
        "S0:contiguous",
        "S0:inner:inner",
        "S:flat/99999999999999999999",
        "S0:interleaved/3:zigzag",
        "S0 ",
        "S0@",
        "S0@0",
        "S0@-1",
        "R@1",
        "P+@1",
        "S0:sum",
        "S0:sum2-1",
        "S0:sum-1-1",
        "S0:sum0-1x",
        "S0:sum0-99999",
        "S0:sum0-1@2",
        "S:flat/4@1",
        "S:flat/4:sum0-1",
        "Pmax1",
        "S0:interleaved/000000000000000000000000000000000000000000000000000000000000000000003"};
    Placement p;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(!placement_parse(texts[i], &p), "%s was read", texts[i]);
}
END_TEST

SUITE("placement", every_placement_reads_back_as_it_is_printed, what_is_no_placement_is_not_read)
