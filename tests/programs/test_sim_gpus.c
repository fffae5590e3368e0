// SPDX-License-Identifier: MIT
// What GPUs cost, as sim tells it: launches by the host.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/command.h"

static void refuse(const char *line, const char *message) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "%s", line), 2);
    ck_assert_msg(strstr(c.err, message), "no \"%s\" in:\n%s", message, c.err);
    command_finish(&c);
}

static double figure(const char *line, const char *name) {
    Command c = {0};
    double value;
    ck_assert_int_eq(command_run(&c, "%s", line), 0);
    const char *at = strstr(c.out, name);
    ck_assert_msg(at && sscanf(at + strlen(name), " %lf", &value) == 1, "no %s in:\n%s", name,
                  c.out);
    command_finish(&c);
    return value;
}

// Operations of 16 channels take the device 2 to 4 us and their launches 5 us: it waits for its
// host, and eight devices launch all-reduces besides, so that they are slower than one. A graph is
// launched at once.
START_TEST(a_step_of_tiny_operations_is_bound_by_the_host) {
#define TINY "sim --gpus 8 --model mlp:hidden=16,layers=8 --plain"
    const char *eager = TINY, *graph = TINY " --launch graph";
    double step = figure(eager, "ranks.1.step_ms"), host = figure(eager, "ranks.1.host_ms");
    ck_assert(host > step / 8);
    ck_assert(figure(eager, "ranks.8.efficiency") < 0.97);
    ck_assert(figure(graph, "ranks.1.step_ms") < 0.9 * step);
    ck_assert(figure(graph, "ranks.1.host_ms") < host / 4);
    ck_assert(figure(graph, "ranks.1.compute_ms") == figure(eager, "ranks.1.compute_ms"));
    ck_assert(figure(TINY " --launch eager", "ranks.1.step_ms") == step);
    ck_assert(figure(TINY " --launch ahead", "ranks.1.step_ms") < step);
    ck_assert(figure(TINY " --launch ahead", "ranks.1.step_ms") > figure(graph, "ranks.1.step_ms"));
}
END_TEST

// A stage whose host waits for each message issues nothing meanwhile; one rank has no messages.
START_TEST(hosts_that_wait_for_messages_are_late_in_pipelines) {
#define STAGES TINY " --point --pp 4 --batch 64 --accumulate 8"
    ck_assert(figure(STAGES " --launch wait", "ranks.8.step_ms") >
              1.1 * figure(STAGES, "ranks.8.step_ms"));
    ck_assert(figure(STAGES " --launch wait", "ranks.8.host_ms") >
              figure(STAGES, "ranks.8.host_ms"));
    ck_assert(figure(TINY " --launch wait", "ranks.1.step_ms") == figure(TINY, "ranks.1.step_ms"));
}
END_TEST

// 147 operations, and two all-reduces besides on several devices: 5 us each, whatever is exposed.
START_TEST(what_the_host_binds_is_lost_to_the_host) {
    Command c = {0};
    const char *line = "sim --model mlp:hidden=32,layers=20 --gpus 1,8 --launch";
    ck_assert_int_eq(command_run(&c, "%s ahead", line), 0);
    test_has(c.out, "\n   1     64     0.7350 ");
    test_has(c.out, "\n   8    512     0.7450 ");
    test_has(c.out, " 906KiB  host\n");
    test_has(c.out, "host: with 8 devices issuing the operations alone takes 0.7450 ms, as long");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "%s ahead --batch 512 --json | grep lost_", line), 0);
    test_has(c.out, "\"lost_to\": \"host\"");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "%s graph", line), 0);
    test_has(c.out, " 906KiB  exposed\n");
    ck_assert(!strstr(c.out, "issuing the operations"));
    command_finish(&c);
}
END_TEST

START_TEST(launches_are_an_option_of_platforms_that_say_what_they_take) {
    Command c = {0};
    refuse("sim --ranks 2 --launch graph", "--launch is how GPUs are launched; give --gpus");
    ck_assert_int_eq(command_run(&c, "sed -e '/issue:/d' -e '/gap:/d' -e 's/launch: .*/launch: "
                                     "5us/' $TANDEM_SOURCE/machines/dgx-a100.yaml > old.yaml && "
                                     "sim --gpus 1 --platform old.yaml"),
                     0);
    test_has(c.out, "work  launch");
    command_finish(&c);
    refuse("sed -e '/issue:/d' -e '/gap:/d' -e 's/launch: .*/launch: 5us/' "
           "$TANDEM_SOURCE/machines/dgx-a100.yaml > old.yaml && "
           "sim --gpus 1 --platform old.yaml --launch graph",
           "does not say what a launch takes its host");
}
END_TEST

// 1 MiB, then 25 MiB, as PyTorch's DDP, and with ZeRO 1 MiB a rank; those of train are small.
START_TEST(devices_have_the_buckets_of_ddp_and_ranks_of_a_host_those_of_train) {
    static const struct {
        const char *options, *buckets;
        bool same;
    } lines[] = {{"--gpus 4", "1024,25600", true},
                 {"--gpus 4 --bucket-kib 4,32", "1024,25600", false},
                 {"--ranks 4", "1024,25600", false},
                 {"--gpus 64", "1024,25600", true},
                 {"--gpus 8 --zero 1", "1024,25600", true},
                 {"--gpus 64 --zero 2", "1024,65536", true},
                 {"--gpus 64 --zero 2", "1024,25600", false},
                 {"--gpus 64 --zero 2 --bucket-kib 1024,25600", "1024,25600", true}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Command c = {0};
        ck_assert_int_eq(command_run(&c,
                                     "J='--model vgg16 --batch 64 --print-plan file' && "
                                     "sim $J %s > a && sim $J %s --bucket-kib %s > b && "
                                     "cmp -s a b",
                                     lines[i].options, lines[i].options, lines[i].buckets),
                         lines[i].same ? 0 : 1);
        command_finish(&c);
    }
}
END_TEST

static double step_ms(const char *options) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c,
                                 "sim --model gpt2-xl:seq=64 --gpus 1024 --batch 1024 --csv %s | "
                                 "tail -n 1 | cut -d , -f 4",
                                 options),
                     0);
    double ms = atof(c.out);
    command_finish(&c);
    return ms;
}

// 141 ms, not 783: a step of a reduce-scatter of 25 MiB among 1,024 is hardly more than a latency.
START_TEST(buckets_of_zero_grow_with_the_ranks) {
    Command c = {0};
    ck_assert_double_gt(step_ms("--zero 1"), 0);
    ck_assert_double_gt(step_ms("--zero 1 --bucket-kib 1024,25600"), 3 * step_ms("--zero 1"));
    ck_assert_int_eq(command_run(&c, "sim --gpus 8,64 --zero 1"), 0);
    test_has(c.out, "\nZeRO: buckets of 64MiB, last row, 1MiB for each data-parallel "
                    "rank\n(--bucket-kib)\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 64 && sim --gpus 8 --zero 1 && "
                                     "sim --gpus 64 --zero 1 --bucket-kib 4,32"),
                     0);
    ck_assert_ptr_null(strstr(c.out, "for each data-parallel rank"));
    command_finish(&c);
}
END_TEST

// A row of its own in the table, and beside what programs read; the first row that is there is the
// base of the others.
START_TEST(numbers_that_options_do_not_suit_say_so_between_the_others) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 1,2,3,4 --tp 2 --model gpt"), 0);
    test_has(c.out,
             "\n   1  not for 1 device: --tp 2 needs 2 ranks, and there is 1; give 2 or more\n"
             "   2     64 ");
    test_has(c.out, "\n   3  not for 3 devices: 3 ranks are not a multiple of --tp 2; give 2 or 4\n"
                    "   4    128 ");
    test_has(c.out, "speed-up and efficiency against 2 devices;");
    ck_assert_str_eq(c.err, "");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 1,2 --tp 2 --model gpt --csv | wc -l"), 0);
    test_has(c.out, "2\n");
    ck_assert_str_eq(c.err, "not for 1 device: --tp 2 needs 2 ranks, and there is 1; give 2 or "
                            "more\n");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 1,4 --tp 2 --model gpt --json | head -c 1"), 0);
    ck_assert_str_eq(c.out, "[");
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 1,2 --tp 2 --model gpt --print-memory"), 0);
    test_has(c.out, "2 ranks: tensor 2");
    ck_assert_ptr_nonnull(strstr(c.err, "not for 1 device: "));
    command_finish(&c);
}
END_TEST

// NVLS is for three ranks and more; which a step finds when it communicates.
START_TEST(so_do_those_for_which_an_algorithm_does_not_exist) {
    Command c = {0};
    ck_assert_int_eq(command_run(&c, "sim --gpus 2,4,8 --nccl-algo nvls --platform dgx-h100"), 0);
    test_has(c.out,
             "lost to\n"
             "   2  not for 2 devices: all_reduce over 2 ranks on 1 node: no NVLS here; leave\n"
             "      --nccl-algo or --nccl-proto out\n   4    256 ");
    test_has(c.out, "   8    512 ");
    test_has(c.out, "\n   4  0.");  // where a step goes: of the rows that are there
    command_finish(&c);
    ck_assert_int_eq(command_run(&c, "sim --gpus 8 --nccl-algo nvls --platform dgx-h100"), 0);
    test_has(c.out, "\n   2  not for 2 devices: ");
    command_finish(&c);
}
END_TEST

// Sentences are broken as the terminal is wide; tables are as wide as what is in them.
START_TEST(sentences_fit_narrow_terminals) {
    static const char *const lines[] = {
        "--gpus 8 --model gpt2 --recompute full -v",
        "--gpus 8,16 --all-reduce ring -v",
        "--gpus 12,24",
        "--gpus 8,64 --zero 1",
        "--gpus 8 --jitter 0.1 --straggler 1=1.3",
        "--gpus 8 --point --what-if bandwidth=x2",
        "--gpus 8 --point --critical-path",
        "--gpus 8 --sensitivity",
        "--gpus 8 --mtbf 1000 --checkpoint-seconds 60 --restart-seconds 300",
        "--gpus 8 --model mlp:hidden=32,layers=20 --launch ahead",
        "--gpus 4 --nccl-algo tree",
        "--gpus 4 --network store-forward",
        "--gpus 4 --network alpha-beta",
        "--ranks 1,2"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Command c = {0};
        // Lines of tables have two gaps of two spaces and more.
        ck_assert_int_eq(command_run(&c,
                                     "COLUMNS=40 sim %s > t && awk 'length > 40 && "
                                     "!/[^ ]   *[^ ].*[^ ]   *[^ ]/' t",
                                     lines[i]),
                         0);
        ck_assert_msg(!*c.out, "sim %s: %s", lines[i], c.out);
        command_finish(&c);
    }
}
END_TEST

START_TEST(what_suits_none_or_not_the_number_that_is_named_is_an_error) {
    static const char *const lines[] = {"--gpus 2,4 --nccl-algo nvls", "--gpus 1,2 --tp 4",
                                        "--gpus 6 --tp 4", "--gpus 8 --platform laptop",
                                        "--gpus 2 --point --nccl-algo nvls --platform dgx-h100"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        Command c = {0};
        ck_assert_int_eq(command_run(&c, "sim %s", lines[i]), 2);
        command_refused(&c, "sim", PARTS(""));
    }
}
END_TEST

SUITE_SECONDS("sim_gpus", 60, numbers_that_options_do_not_suit_say_so_between_the_others,
              so_do_those_for_which_an_algorithm_does_not_exist,
              what_suits_none_or_not_the_number_that_is_named_is_an_error,
              sentences_fit_narrow_terminals,
              devices_have_the_buckets_of_ddp_and_ranks_of_a_host_those_of_train,
              buckets_of_zero_grow_with_the_ranks, a_step_of_tiny_operations_is_bound_by_the_host,
              what_the_host_binds_is_lost_to_the_host,
              hosts_that_wait_for_messages_are_late_in_pipelines,
              launches_are_an_option_of_platforms_that_say_what_they_take)
