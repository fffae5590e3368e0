// SPDX-License-Identifier: MIT
// What programs print fits 80 columns, with the longest names and numbers that are usual. What the
// documents show is measured by tools/run_commands.py, and help where it is tested.
#include "tests/support/command.h"

#include <stdio.h>
#include <string.h>

static Command it;

#define BIG "--model gpt3-175b --gpus 64 --tp 8 --pp 8 --accumulate 16 --batch 64 --point"
#define MANY "--gpus 100000 --batch 10000000 --point"

// The first line that is wider than a terminal, cut; NULL: there is none.
static const char *wide_line(char *text) {
    enum { SHOWN = 200 };
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        int columns = command_columns(line);
        if (strlen(line) > SHOWN) line[SHOWN] = 0;
        if (columns > 80) return line;
    }
    return NULL;
}

static void fit(const char *const lines[], int count) {
    for (int i = 0; i < count; i++) {
        int status = command_run(&it, "%s", lines[i]);
        ck_assert_msg(status == 0, "%s: %.200s", lines[i], it.err);
        ck_assert_msg(command_columns(it.out) > 10, "%s prints nothing", lines[i]);
        const char *wide = wide_line(it.out);
        ck_assert_msg(!wide, "%s:\n%s", lines[i], wide);
        command_finish(&it);
    }
}
#define FIT(...) \
    do { \
        static const char *const lines[] = {__VA_ARGS__}; \
        fit(lines, (int)(sizeof lines / sizeof *lines)); \
    } while (0)

START_TEST(tables_of_predictions_fit) {
    FIT("sim --gpus 1,8,4096", "sim " MANY, "sim " BIG " -v",
        "sim --gpus 16 --jitter 0.1 --straggler 3=1.3",
        "sim " MANY " --jitter 0.1 --steps 2", "sim --gpus 16 --network flow --all-reduce ring -v",
        "sim --gpus 1,8,64 --mtbf 1000 --checkpoint-seconds 10 --restart-seconds 100",
        "sim --ranks 1,2,4 --platform laptop");
}
END_TEST

START_TEST(tables_of_several_predictions_fit) {
    FIT("sim --gpus 8 --model gpt --sweep "
        "tp=1,2,pp=1,2,cp=1,2,zero=no,1,schedule=1f1b,gpipe,recompute=none,full",
        "sim --sweep gpus=1,2,tp=1,2,platform=dgx-h100,ethernet-cluster",
        "sim --gpus 8 --point --what-if "
        "bandwidth=x2,latency=/2,flops=x2,memory=x2,dtype=bf16,overlap=no",
        "sim --gpus 8 --point --sensitivity", "sim --gpus 8 --advise --model gpt2 --batch 64",
        "sim " BIG " --critical-path", "sim --gpus 8 --point --critical-path",
        "sim --gpus 8 --point --critical-path -v --model gpt");
}
END_TEST

START_TEST(tables_of_collectives_fit) {
    FIT("sim --collective all_reduce --gpus 8,1024 --platform dgx-h100",
        "sim --collective reduce_scatter --gpus 16",
        "printf 'size,time(us)\\n1024,12\\n1048576,4\\n17179869184,79000\\n' > t.csv && "
        "sim --collective all_reduce --gpus 8 --compare t.csv");
}
END_TEST

START_TEST(what_is_said_of_a_plan_fits) {
    FIT("sim " BIG " --explain", "sim " BIG " --print-memory", "sim " BIG " --print-mesh",
        "sim --gpus 12 --model llama:layers=4,hidden=128,heads=4,kv_heads=2 --pp 6 --print-mesh",
        "sim --gpus 8 --model gpt:layers=4,hidden=128,heads=4,seq=64 --pp 2 --batch 512 --explain",
        "sim --gpus 8 --model gpt:layers=8,hidden=1024,heads=16,seq=512,vocabulary=50304 --explain",
        "sim --model gpt --gpus 64 --tp 4 --pp 4 --cp 2 --sequence-parallel --explain",
        "sim --model mixtral --gpus 64 --tp 2 --pp 2 --ep 4 --explain",
        "train --model gpt:layers=12,hidden=1024,heads=16,seq=512 --data text --ranks 64 --tp 4 "
        "--pp 4 --explain",
        "train --model gpt --data text --ranks 8 --tp 2 --pp 2 --print-memory",
        "train --model resnet --ranks 4 --print-memory", "train --ranks 4 --print-mesh",
        "train --ranks 2 --model resnet --print-plan step",
        "train --ranks 2 --model resnet --print-plan lowered");
}
END_TEST

START_TEST(runs_and_their_comparisons_fit) {
    FIT("train --ranks 2 --steps 6 --tail drop --trace tr --report r.json && sim --trace tr && "
        "sim --trace tr --jitter recorded && sim --trace tr --jitter apart --compare r.json -v",
        "train -q --model mlp:hidden=32,layers=2 --pp 2 --accumulate 4 --steps 6 "
        "--trace tr && sim --trace tr",
        "train -q --ranks 2 --steps 6 --tail drop --trace tr --report r.json > log && "
        "sim --trace tr --ranks 1,2,4 --compare r.json -v --predictions none",
        "train -q --model gpt --data text --steps 6 --optimizer adamw --ranks 2 --zero 2");
}
END_TEST

SUITE_SECONDS("columns", 120, tables_of_predictions_fit, tables_of_several_predictions_fit,
              tables_of_collectives_fit, what_is_said_of_a_plan_fits,
              runs_and_their_comparisons_fit)
