// SPDX-License-Identifier: MIT
// The mesh on the command line: where ranks are, what its axes cost, and degrees that do not fit.
#include "tests/support/command.h"
#include "tests/support/testing.h"

#include <string.h>

static Command it;

static void shows(const char *words, const char *part) {
    ck_assert_int_eq(command_run(&it, "%s", words), 0);
    ck_assert_msg(strstr(it.out, part) != NULL, "%s shows no\n%s\nbut\n%s", words, part, it.out);
    for (const char *line = it.out; *line;) {
        size_t length = strcspn(line, "\n");
        ck_assert_msg(length <= 80, "%s: a line of %zu columns", words, length);
        line += length + (line[length] == '\n');
    }
    command_finish(&it);
}

START_TEST(each_rank_has_a_place) {
    shows("train --dp 3 --print-mesh", "3 ranks: data 3\n\n    rank     data\n       0        0\n");
    shows("train --print-mesh", "1 rank: data 1\n");
    shows("train --model mixtral --dp 4 --ep 2 --print-mesh",
          "4 ranks: data 4 (groups of 2 share experts)\n\n    rank     data   expert\n"
          "       0        0        0\n       1        1        1\n       2        2        0\n");
    shows("train --model mixtral --ep 2 --print-mesh", "2 ranks: data 2 (groups of 2 share");
    shows("train --pp 2 --print-mesh --model mlp:layers=2",
          "\n   stage     pipe   layers   from .. to\n       0        0      0:3   flatten1 .. "
          "relu1\n"
          "       1        1      3:6   fc2 .. logits\n");
}
END_TEST

// Of several numbers of devices the largest is shown.
START_TEST(sim_tells_the_same_of_a_mesh) {
    ck_assert_int_eq(
        command_run(&it, "train --model gpt --dp 2 --tp 2 --pp 2 --accumulate 4 --print-mesh > a "
                         "&& sim --model gpt --gpus 2,4,8 --tp 2 --pp 2 --accumulate 4 "
                         "--print-mesh > b && cmp a b"),
        0);
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "train --model gpt --dp 2 --tp 2 --explain > a && sim "
                                      "--model gpt --ranks 4 --tp 2 --batch 64 --explain > b && "
                                      "cmp a b"),
                     0);
    command_finish(&it);
}
END_TEST

START_TEST(a_mesh_that_a_run_refuses_is_not_shown) {
    static const char *const given[][2] = {
        {"--model linear --tp 2", "no two products of this model follow one another"},
        {"--model gpt:heads=4 --tp 3", "h.0.attn.att1 has 4 heads = 3 × 1 + 1; 2 or 4 can"},
        {"--model gpt:seq=20 --cp 3", "--cp 3 cuts a sequence into 2 × 3 chunks"},
        {"--model mlp --pp 2 --accumulate 1", "--pp 2 needs 2 micro-batches or more"},
        {"--model mlp --pp 2 --zero 3", "give --zero 1 or 2"},
    };
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        for (int sim = 0; sim < 2; sim++) {
            const char *const parts[] = {given[i][1], NULL};
            command_run(&it, "%s %s --print-mesh", sim ? "sim --gpus 6" : "train", given[i][0]);
            ck_assert_str_eq(it.out, "");
            command_refused(&it, sim ? "sim" : "train", parts);
        }
}
END_TEST

START_TEST(what_is_written_is_named_once) {
    static const char *const lines[][2] = {{"train", "--report a --report b"},
                                           {"train", "--save a --save=a"},
                                           {"sim", "--report a --report b"},
                                           {"sim", "--predictions a --predictions none"}};
    for (int i = 0; i < 4; i++) {
        static const char *const parts[] = {"is given twice, and it writes one FILE", NULL};
        command_run(&it, "%s %s", lines[i][0], lines[i][1]);
        command_refused(&it, lines[i][0], parts);
    }
}
END_TEST

START_TEST(what_an_axis_costs_is_said) {
    shows("train --dp 4 --explain", "data 4: a rank sends 159KiB a step in 4 communications\n");
    shows("train --ranks 4 --zero 1 --explain", "They divide what the optimiser keeps.\n");
    shows("train --model mixtral --dp 4 --ep 2 --explain",
          "\nexpert 2: a rank sends 1.25MiB a step in 10 communications\n"
          "  2 neighbours along data share the experts of each layer, and 2 groups of\n"
          "  them hold the same ones");
    shows("train --model mixtral --dp 4 --ep 2 --explain", "\nwithout --ep ");
    shows("train --model mixtral --ep 2 --explain",
          "  both data parallel ranks share the experts of each layer.");
    shows("train --model gpt --tp 2 --explain",
          "wte.weight a rank has 32 or 33, and room for 33: 66 in all.");
    shows("train --model gpt --tp 4 --explain", "a rank has 16 or 17, and room");
    // Without --tp there are no positions to divide either.
    shows("train --model gpt --tp 2 --sequence-parallel --explain",
          "\nwithout --tp      1       1.23MiB  19.9MiB           0B               0\n");
    shows("train --model gpt --tp 2 --sequence-parallel --explain",
          "rank has 1/2 of the positions, so that norms");
    shows("train --model gpt --cp 2 --cp-kind all-to-all --explain",
          "attention ranks exchange their positions");
    shows("train --explain", "one rank: it has nobody to divide the work with");
    // A token of a block: 24 C^2 + 2 C (T + 1) forward, three times the former and 7/2 the latter
    // with the backward, 16 C^2 + 2 C (T + 1) again; the head 6 V C. So 139,520 of 644,352.
    shows("train --model gpt:layers=2 --recompute full --explain", "\nwithout --recompute ");
    shows("train --model gpt:layers=2 --recompute full --explain",
          "recompute full: 16 operations again, 22 % more products\n");
    shows("train --model gpt:layers=2 --recompute selective --explain",
          "recompute selective: 6 operations again, 0 % more products\n");
    ck_assert_int_eq(command_run(&it, "train --dp 4 --explain && test ! -e run"), 0);
    command_finish(&it);
}
END_TEST

// Four micro-batches through two equal stages: 3 passes of 15 are the other rank's, of halves of
// stages 3 of 27, and 1 of 13 where weights' gradients fill what they can.
START_TEST(the_idle_part_of_a_schedule_is_said) {
    shows("train --model gpt --pp 2 --explain",
          "the schedule 1f1b\n  leaves 1/5 = 20 % of a step idle; more --accumulate");
    shows("train --model gpt --pp 2 --schedule gpipe --explain",
          "\n  leaves 1/5 = 20 % of a step idle; more");
    shows("train --model gpt --pp 2 --schedule interleaved --explain",
          "interleaved leaves 1/9 = 11 % of a step idle, where 1f1b leaves 1/5;");
    shows("train --model gpt --pp 2 --schedule zero-bubble --explain",
          "leaves 1/13 = 8 % of a step idle, where 1f1b leaves 1/5;");
    shows("train --model gpt --pp 2 --shards 2 --explain", "leaves 1/9 = 11 %");
}
END_TEST

START_TEST(degrees_that_do_not_fit_are_refused_by_train_and_sim) {
    static const char *const parts[] = {"--dp 2 is not the number of ranks, 3", "give 2 ranks, or",
                                        NULL};
    static const char *const kinds[] = {"--cp-kind belongs to --cp", NULL};
    static const char *const orders[] = {"--mesh pipe,data", "context is missing", NULL};
    command_run(&it, "train --dp 2 --ranks 3");
    command_refused(&it, "train", parts);
    command_run(&it, "sim --dp 2 --ranks 3");
    command_refused(&it, "sim", parts);
    command_run(&it, "train --cp-kind all-to-all");
    command_refused(&it, "train", kinds);
    command_run(&it, "train --mesh pipe,data --ranks 2");
    command_refused(&it, "train", orders);
}
END_TEST

START_TEST(ranks_follow_from_degrees) {
    ck_assert_int_eq(
        command_run(&it, "train --dp 3 --print-plan file --batch 6 > a && train "
                         "--ranks 3 --print-plan file --batch 6 > b && cmp a b && "
                         "sim --dp 3 --csv > c && sim --gpus 3 --point --csv > d && cmp c d"),
        0);
    command_finish(&it);
}
END_TEST

START_TEST(a_title_says_how_ranks_are_divided) {
    shows("sim --gpus 4 --model gpt --pp 2 --tp 2", "  pp 2  tp 2  ");
    shows("sim --gpus 2 --model gpt --cp 2", "  cp 2  ");
    shows("sim --gpus 4 --model mixtral --ep 4", "  ep 4  ");
    shows("train --model gpt --data text --steps 1 --tp 2", "\n  mesh       tp 2\n");
}
END_TEST

// A message would mislead if it said --ranks of devices, which --gpus counts.
START_TEST(too_few_devices_are_not_called_ranks_of_a_host) {
    static const char *const parts[] = {"--tp 4 × --pp 4 need 16 ranks, and there are 8", NULL};
    command_run(&it, "sim --gpus 8 --tp 4 --pp 4 --model gpt");
    ck_assert_msg(!strstr(it.err, "--ranks"), "%s", it.err);
    command_refused(&it, "sim", parts);
}
END_TEST

START_TEST(words_of_other_programs_lead_to_options) {
    static const char *const words[][2] = {
        {"tensor-model-parallel-size", "--tp?"},
        {"tensor_parallel_degree", "--tp?"},
        {"pipeline_parallel_degree", "--pp?"},
        {"num-layers-per-virtual-pipeline-stage", "--schedule?"},
        {"num-microbatches", "--accumulate?"},
        {"context_parallel_degree", "--cp?"},
        {"sequence-parallel-size", "--cp?"},
        {"expert-model-parallel-size", "--ep?"},
        {"expert-parallel", "--ep?"},
        {"use-distributed-optimizer", "--zero?"},
        {"recompute-method", "--recompute?"},
        {"num-experts", "--experts?"},
        {"num-layers", "it belongs to the model"},
        {"overlap-grad-reduce", "it is the default"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *const parts[] = {"unknown option", words[i][1], NULL};
        command_run(&it, "train --%s 2", words[i][0]);
        command_refused(&it, "train", parts);
    }
}
END_TEST

// Where a word resembles another option, too, as fsdp does dp, what it means counts.
START_TEST(topics_of_other_programs_lead_to_help) {
    static const char *const topics[][2] = {
        {"fsdp", "--help zero?"},         {"tensor-parallelism", "--help tp?"},
        {"1f1b", "--help schedule?"},     {"zero-bubble", "--help schedule?"},
        {"model-parallel", "--help tp?"}, {"pipeline-parallelism", "--help pp?"},
    };
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        const char *const parts[] = {"no help on", topics[i][1], NULL};
        command_run(&it, "train --help %s", topics[i][0]);
        command_refused(&it, "train", parts);
    }
}
END_TEST

SUITE("mesh_cli", each_rank_has_a_place, sim_tells_the_same_of_a_mesh,
      a_mesh_that_a_run_refuses_is_not_shown, what_is_written_is_named_once,
      what_an_axis_costs_is_said, the_idle_part_of_a_schedule_is_said,
      degrees_that_do_not_fit_are_refused_by_train_and_sim, ranks_follow_from_degrees,
      a_title_says_how_ranks_are_divided, too_few_devices_are_not_called_ranks_of_a_host,
      words_of_other_programs_lead_to_options, topics_of_other_programs_lead_to_help)
