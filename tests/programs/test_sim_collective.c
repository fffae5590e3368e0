// SPDX-License-Identifier: MIT
// sim --collective, as a user would call it.
#include "tests/support/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Eight A100: 15 us of NCCL's and 20 of the machine file's; then a bus of 240 GB/s: 7905.37 us.
START_TEST(a_collective_has_the_columns_of_nccl_tests) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --collective all_reduce --gpus 8 --sizes 8,1GiB"), 0);
    test_has(c.out, "all_reduce on 8 devices of dgx-a100, 1 node: NCCL's model  [simulated]\n");
    test_has(c.out,
             "          8           2  float          Ring       LL      35.00    0.00    0.00\n");
    test_has(c.out,
             " 1073741824   268435456  float          Ring   Simple    7905.37  135.82  237.69\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --collective all_gather --gpus 2,16 --sizes 1KiB..4KiB "
                                     "--nccl-algo ring --nccl-proto simple | grep -c Simple"),
                     0);
    ck_assert_str_eq(c.out, "6\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --collective broadcast | awk 'length > 80 {exit 1}'"), 0);
    command_finish(&c);
}
END_TEST

// Four servers of one device: 26.8 us and 8 B at 1.45 GB/s; 36.6 us and 64 KiB at 4 GB/s; 129.36 us
// and 1 GiB at 8 GB/s, which is a bus of 12.
START_TEST(servers_on_ethernet_have_prices) {
    Command c = {0};
    const char *on = "--gpus 4 --platform ethernet-cluster";
    ck_assert_int_eq(command_run(&c, "sim --collective all_reduce %s --sizes 8,64KiB,1GiB", on), 0);
    test_has(c.out, "all_reduce on 4 devices of ethernet-cluster, 4 nodes: NCCL's model");
    test_has(c.out, "  Tree       LL      26.81    0.00    0.00\n");
    test_has(c.out, "  Ring       LL      52.98    1.24    1.86\n");
    test_has(c.out, "  Ring   Simple   134347.1    7.99   11.99\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim %s --network nccl", on), 0);
    test_has(c.out, "network: NCCL's own model");
    command_finish(&c);
}
END_TEST

// As nccl-tests prints 8 GPUs: all_gather_perf "65536 2048 float", all_reduce_perf "65536 16384".
START_TEST(a_count_is_of_one_ranks_part_where_ranks_have_parts) {
    static const struct {
        const char *kind, *columns;
    } rows[] = {{"all_reduce", "65536       16384  float "},
                {"broadcast", "65536       16384  float "},
                {"all_gather", "65536        2048  float "},
                {"reduce_scatter", "65536        2048  float "},
                {"all_to_all", "65536        2048  float "}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Command c = {0};
        ck_assert_int_eq(
            command_run(&c, "sim --collective %s --gpus 8 --sizes 64KiB", rows[i].kind), 0);
        test_has(c.out, rows[i].columns);
        command_finish(&c);
    }
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --collective all_gather --gpus 8 --sizes 64KiB --json"),
                     0);
    test_has(c.out, "\"count\": 2048");
    command_finish(&c);
}
END_TEST

START_TEST(json_has_the_same_and_the_channels) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --collective all_to_all --gpus 16 --sizes 1MiB --json"),
                     0);
    test_has(c.out, "\"collective\": \"all_to_all\"");
    test_has(c.out, "\"nodes\": 2");
    test_has(c.out, "\"algorithm\": \"P2P\"");
    test_has(c.out, "\"channels\": ");
    ck_assert(c.out[0] == '{');
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --collective all_reduce --gpus 2,4 --sizes 8 --json"), 0);
    ck_assert(c.out[0] == '[');
    command_finish(&c);
}
END_TEST

// Measured 70 us where the model says 35: half, -50 %.
START_TEST(a_measured_table_is_set_beside_it) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c,
                                 "printf '#  Rank 0 Pid 1 on a device 0\\n#  Rank 1 Pid 1 on a\\n"
                                 "# size count type time\\n8 2 float 55.6\\n' > t && "
                                 "sim --collective all_reduce --compare t"),
                     0);
    test_has(c.out, "all_reduce on 2 devices of dgx-a100, 1 node");
    test_has(c.out, "27.80    0.00      55.60    0.00  -50.0%\n");
    test_has(c.out, "1 row: mean error 50.0 %, at most -50.0 % at 8B\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "printf 'bytes,time\\n8,70\\n' | sim --collective all_reduce "
                                     "--compare - --gpus 8 --json"),
                     0);
    test_has(c.out, "\"measured_us\": 70");
    test_has(c.out, "\"mean_error\": 0.49999");
    command_finish(&c);
}
END_TEST

// A table that the model made with half the bus is fitted: the written platform says the same.
START_TEST(a_platform_is_fitted_to_a_table_and_written) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c,
                                 "sim --collective all_gather --gpus 8 --sizes 8..4GiB | "
                                 "awk '$1 ~ /^[0-9]/ {print $1\",\"$6*1.5}' > rows && "
                                 "(echo bytes,time; cat rows) > t.csv && "
                                 "sim --fit t.csv --gpus 8 --collective all_gather --out m.yaml"),
                     0);
    test_has(c.out, "dgx-a100: 4 constants fitted to 15 rows of 1 table of all_gather\n");
    test_has(c.out, "  table 1            8      1    30");
    double fitted = 0, others = 0;
    const char *end = strstr(c.out, "\nmean error ");
    ck_assert_ptr_nonnull(end);
    ck_assert_int_eq(
        sscanf(end, "\nmean error %lf %% of rows that were fitted, %lf", &fitted, &others), 2);
    ck_assert_msg(fitted < 2 && others < 2, "%s", end);
    command_finish(&c);
    ck_assert_int_eq(command_run(&c,
                                 "sim --collective all_gather --gpus 8 --sizes 8..4GiB | "
                                 "awk '$1 ~ /^[0-9]/ {print $1\",\"$6*1.5}' > rows && "
                                 "(echo bytes,time; cat rows) > t.csv && "
                                 "sim --fit t.csv --gpus 8 --collective all_gather --out m.yaml "
                                 "> /dev/null && sim --collective all_gather --compare t.csv "
                                 "--gpus 8 --platform ./m.yaml"),
                     0);
    double mean = 100;
    end = strstr(c.out, "30 rows: mean error ");
    ck_assert_ptr_nonnull(end);
    ck_assert_int_eq(sscanf(end, "30 rows: mean error %lf", &mean), 1);
    ck_assert(mean < 2);
    command_finish(&c);
}
END_TEST

// 1 TiB has 13 digits, its floats 12, and a million devices take 15 s for it.
START_TEST(the_largest_sizes_fit_80_columns) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --collective all_reduce --gpus 1000000 --sizes "
                                     "8,1GiB,1TiB > t && awk 'length > 80 {exit 1}' t && cat t"),
                     0);
    test_has(c.out, "\n1099511627776 274877906944 float ");
    test_has(c.out, "\n            8            2 float ");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "printf 'bytes,time\n1099511627776,15443111\n' | sim "
                                     "--collective all_reduce --compare - --gpus 1000000 > t && "
                                     "awk 'length > 80 {exit 1}' t && cat t"),
                     0);
    test_has(c.out, "\n1099511627776 ");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "COLUMNS=40 sim --collective all_reduce --sizes 8,1TiB > t && "
                                     "awk 'length > 40 && /^ *[0-9]/ {exit 1}' t && cat t"),
                     0);
    test_has(c.out, "   busbw\n");
    command_finish(&c);
}
END_TEST

// NVLS is for three ranks and more of a node; one device exchanges with nobody.
START_TEST(numbers_of_devices_that_do_not_suit_say_so_between_the_others) {
    Command c = {0};
    const char *nvls = "sim --collective all_reduce --platform dgx-h100 --nccl-algo nvls ";
    ck_assert_int_eq(command_run(&c, "%s --sizes 1MiB --gpus 1,2,8", nvls), 0);
    test_has(c.out, "  not for 1 device: one device has nobody to exchange with");
    test_has(c.out, "all_reduce on 2 devices of dgx-h100, 1 node: NCCL's model  [simulated]\n"
                    "  not for 2 devices: all_reduce over 2 ranks on 1 node: no NVLS here; leave\n"
                    "  --nccl-algo or --nccl-proto out\n\nall_reduce on 8 devices");
    test_has(c.out, "    1048576      262144  float          NVLS ");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "%s --sizes 1MiB --gpus 2,8 --json", nvls), 0);
    test_has(c.out, "\"rows\": [],\n    \"refused\": \"all_reduce over 2 ranks on 1 node: no NVLS");
    test_has(c.out, "\"algorithm\": \"NVLS\"");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "%s --gpus 1,2", nvls), 2);
    ck_assert_str_eq(c.out, "");
    ck_assert_ptr_nonnull(strstr(c.err, "sim: all_reduce over 2 ranks on 1 node: no NVLS here"));
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "%s --gpus 2", nvls), 2);
    ck_assert_str_eq(c.out, "");
    command_finish(&c);
}
END_TEST

START_TEST(what_does_not_go_together_is_refused) {
    static const struct {
        const char *line, *why;
    } lines[] = {
        {"sim --sizes 8", "--sizes are of --collective"},
        {"sim --collective all_reduce --model net", "leave out --model"},
        {"sim --collective all_reduce --csv", "leave out --csv"},
        {"sim --collective all_reduce --network flow", "--network flow has no table"},
        {"sim --collective all_reduce --sizes 8,x", "\"x\""},
        {"sim --collective all_reduce --sizes 1KiB..3KiB", "doubling"},
        {"sim --collective all_reduce --platform laptop", "laptop has no section `collectives`"},
        {"sim --collective all_reduce --nccl-algo nvls --gpus 8", "no NVLS here"},
        {"printf 'bytes,time\\n8,70\\n' | sim --collective all_reduce --compare -",
         "does not say how many devices"},
        {"sim --collective all_reduce --compare nowhere.txt", "nowhere.txt"},
        {"sim --collective all_reduce --gpus 1", "give --gpus 2 or more"},
        {"sim --collective all_gather --gpus 1 --json", "give --gpus 2 or more"},
        {"printf 'bytes,time,gpus\\n8,70,1\\n' | sim --collective all_reduce --compare -",
         "give --gpus 2 or more"},
        {"printf '# size count type time\\n8 2 float 55.6\\n' > t && sim --gpus 8 --compare t",
         "t is no report but looks like a table of nccl-tests; add --collective all_reduce, or "
         "whichever was measured, and --gpus N"},
        {"printf 'bytes,time,ranks\\n8,70,16\\n' > t && sim --compare t", "and --gpus 16"},
        {"printf 'neither\\n' > t && sim --compare t", "t:1:"},
        {"sim --fit t --plot p", "--fit has no figure; leave out --plot"},
        {"sim --collective broadcast --gpus 2,4 --plot p", "one number of devices"},
        {"sim --out m.yaml", "--out is where --fit TABLE writes"},
        {"sim --fit nowhere.txt", "nowhere.txt"},
        {"sim --fit t --model net", "--fit simulates no job: leave out --model"},
        {"sim --fit t --sizes 8", "leave out --sizes"},
        {"printf 'bytes,time\\n8,70\\n' | sim --fit - --gpus 2,4", "1 table and --gpus 2 numbers"},
        {"printf 'bytes,time\\n8,70\\n' | sim --fit -", "how many devices were measured"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Command c = {0};
        ck_assert_msg(command_run(&c, "%s", lines[i].line) == 2, "%s: %s", lines[i].line, c.out);
        ck_assert_msg(strstr(c.err, lines[i].why) != NULL, "%s: %s", lines[i].line, c.err);
        command_finish(&c);
    }
}
END_TEST

START_TEST(a_figure_has_the_times_of_the_table_and_of_every_algorithm) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c,
                                 "sim --collective all_reduce --gpus 16 --sizes 1MiB,64MiB "
                                 "--plot p && grep '^chosen.1048576' p/collective.dat && grep -c "
                                 "'^# [TR][ri]' p/collective.dat"),
                     0);
    const char *row = strstr(c.out, "   1048576 "), *drawn = strstr(c.out, "chosen\t1048576\t");
    ck_assert(row && drawn);
    double time = 0;
    ck_assert_int_eq(sscanf(row, " %*d %*d float %*s %*s %lf", &time), 1);
    ck_assert_double_eq_tol(strtod(drawn + strlen("chosen\t1048576\t"), NULL), time, 0.006);
    ck_assert_msg(strstr(c.out, "\n2\n") != NULL, "%s", c.out);  // Tree and Ring
    command_finish(&c);
    // 1 MiB takes 92.79 us there; residuals are of the same times.
    ck_assert_int_eq(command_run(&c,
                                 "printf 'bytes,time\\n1048576,92.79\\n67108864,900\\n' | sim "
                                 "--collective all_reduce --gpus 8 --compare - --plot p && cut -f "
                                 "2,3 p/residuals.dat | grep -c '^1048576.92.79$'"),
                     0);
    ck_assert_msg(strstr(c.out, "\n2\n") != NULL, "%s", c.out);  // by the model, and by the line
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --collective all_reduce --gpus 8 --sizes 8 --plot p"), 0);
    ck_assert_ptr_nonnull(strstr(c.err, "collective is not drawn: it needs two sizes"));
    command_finish(&c);
}
END_TEST

SUITE("sim_collective", a_collective_has_the_columns_of_nccl_tests, servers_on_ethernet_have_prices,
      a_count_is_of_one_ranks_part_where_ranks_have_parts, json_has_the_same_and_the_channels,
      a_measured_table_is_set_beside_it, a_platform_is_fitted_to_a_table_and_written,
      the_largest_sizes_fit_80_columns,
      numbers_of_devices_that_do_not_suit_say_so_between_the_others,
      what_does_not_go_together_is_refused,
      a_figure_has_the_times_of_the_table_and_of_every_algorithm)
