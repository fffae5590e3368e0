// SPDX-License-Identifier: MIT
// What --save, --resume, --load and --evaluate do for who types them.
#include "core/data/safetensors.h"
#include "tests/support/train_command.h"

#include <stdlib.h>

static void refused(const char *const parts[], const char *options) {
    command_run(&it, "train %s --model linear --data digits:count=300", options);
    command_refused(&it, "train", parts);
}

START_TEST(options_that_need_each_other_say_so) {
    refused(PARTS("--save-every says when --save FILE is written"), "--save-every 5");
    refused(PARTS("--keep says how many checkpoints of --save-every"), "--save w --keep 2");
    refused(PARTS("--evaluate needs weights: give --resume FILE or --load"), "--evaluate");
    refused(PARTS("--evaluate does not train: leave out --steps"), "--evaluate --load w --steps 5");
    refused(PARTS("--resume goes on", "--load begins", "give one"), "--resume w --load w");
    refused(PARTS("--save /dev/null: ", "need a file"), "--save /dev/null --save-every 2");
    refused(PARTS("computes nothing that --resume could begin with"),
            "--resume w --device timed:laptop");
    refused(PARTS("--resume nowhere/w: No such file"), "--resume nowhere/w");
    refused(PARTS("--load .: Is a directory"), "--load .");
}
END_TEST

// The directory of a command is its own, so one line does all.
START_TEST(the_last_checkpoints_are_kept) {
    ck_success(command_run(&it, "train -q " SMALL " --save w.safetensors --save-every 1 --keep 2 "
                                ">/dev/null && ls && cmp w.safetensors w-step6.safetensors"));
    ck_assert_str_eq(it.out, "w-step5.safetensors\nw-step6.safetensors\nw.safetensors\n");
    command_finish(&it);
    ck_success(command_run(&it,
                           "touch w-stepx w-step7 w-step0 v-step1 w-step1.old && train -q " SMALL
                           " --save w --save-every 4 --keep 1 >/dev/null && ls"));
    ck_assert_str_eq(it.out, "v-step1\nw\nw-step1.old\nw-step6\nw-step7\nw-stepx\n");
    command_finish(&it);
    ck_success(command_run(&it, "train -q " SMALL " --save w --save-every 2 >/dev/null && ls"));
    ck_assert_str_eq(it.out, "w\n");
    command_finish(&it);
}
END_TEST

#define PART "train -q --model linear --data digits:count=300 --steps 3 --save w >/dev/null && "

START_TEST(a_resumed_run_ends_with_the_same_weights_and_says_where_it_began) {
    Arena a = {0};
    ck_success(command_run(&it, "train -q " SMALL));
    char weights[17];
    snprintf(weights, sizeof weights, "%s", it.weights);
    command_finish(&it);
    ck_success(command_run(&it,
                           PART "train " SMALL " --resume w --report r.json --trace t && sim -q "
                                "--trace t >/dev/null"));
    ck_assert_str_eq(it.weights, weights);
    command_said(it.err, PARTS("w: going on after step 3, to step 6", "step 4 ", "step 6 "));
    command_said(it.out, PARTS("3 steps\n  resumed    after step 3, from w\n", "after step 6"));
    check_width(it.out);
    Report r = read_report(&a, "r.json");
    ck_assert_str_eq(r.run.resumed_from, "w");
    ck_assert_int_eq(r.run.resumed_step, 3);
    ck_assert_int_eq(r.steps, 3);
    arena_finish(&a);
    command_finish(&it);
    ck_success(command_run(&it, "train -q " SMALL " --report r.json >/dev/null"));
    r = read_report(&a, "r.json");
    ck_assert_ptr_null(r.run.resumed_from);
    arena_finish(&a);
    command_finish(&it);
}
END_TEST

// The loss that the run's own last evaluation had.
START_TEST(weights_are_evaluated_without_a_step) {
    ck_success(command_run(&it, "train " SMALL " --save w 2>&1 | grep 'step 6'; train -q " SMALL
                                " --save w >/dev/null && train --model linear --data "
                                "digits:count=300 --evaluate --resume w --ranks 2 && train -q "
                                "--model linear --data digits:count=300 --evaluate --load w"));
    const char *loss = strstr(it.out, "held-out loss ");
    ck_assert_ptr_nonnull(loss);
    char line[64];
    snprintf(line, sizeof line, "held-out loss %.6s, accuracy ", loss + strlen("held-out loss "));
    ck_assert_int_eq(count(it.out, line), 2);
    ck_assert_int_eq(count(it.out, "of 45 samples"), 2);
    ck_assert_str_eq(it.err, "");
    command_finish(&it);
    command_run(&it, PART "train --model linear --data digits:count=300 --seed 2 --evaluate "
                          "--resume w");
    command_refused(&it, "train", PARTS("--resume w does not fit: seed 1, here 2"));
    ck_success(command_run(&it, PART "train --model linear --data digits:count=300 --seed 2 "
                                     "--evaluate --load w"));
    command_said(it.err, PARTS("w: seed 1, here 2; so it may have been trained on what is held"));
    command_finish(&it);
}
END_TEST

#define GPT "--model gpt:layers=1,hidden=8,heads=1,seq=8 --data text:count=2000 "

// The seed of the run that trained does not matter; the text, which says what tokens mean, does.
START_TEST(text_is_generated) {
    ck_success(command_run(&it,
                           "train -q " GPT "--steps 3 --batch 4 --save w >/dev/null && train " GPT
                           "--resume w --seed 5 --prompt This --generate 30 >a && train " GPT
                           "--load w --seed 5 --prompt This --generate 30 >b && "
                           "cmp a b && cat a"));
    ck_assert_int_eq(strncmp(it.out, "This", 4), 0);
    ck_assert_uint_eq(strlen(it.out), 4 + 30 + 1);
    command_finish(&it);
    refused(PARTS("--generate needs weights"), "--generate 5");
    refused(PARTS("--generate runs on one rank: leave out --ranks 2\n"),
            "--generate 5 --load w --ranks 2");
    refused(PARTS("one rank: leave out --dp 2, --tp 2 and --pp 2\n"),
            "--generate 5 --load w --pp 2 --tp 2 --dp 2 --cp 1");
    refused(PARTS("one rank: leave out --ep 2\n"), "--generate 5 --load w --ep 2");
    refused(PARTS("--generate does not train: leave out --save"), "--generate 5 --load w --save x");
    refused(PARTS("--prompt says how --generate N"), "--prompt x");
    refused(PARTS("--generate writes text, --evaluate a line; give one"),
            "--generate 5 --evaluate --load w");
    command_run(&it, "train -q " GPT "--steps 3 --batch 4 --save w >/dev/null && "
                     "train --model gpt:layers=1,hidden=8,heads=1,seq=8 --data text:count=3000 "
                     "--resume w --generate 5");
    command_refused(&it, "train", PARTS("--resume w does not fit: data_hash"));
}
END_TEST

START_TEST(what_does_not_fit_is_one_line) {
    command_run(&it, PART "train --model mlp:hidden=8,layers=1 --data digits:count=300 --batch 32 "
                          "--momentum 0 --resume w");
    command_refused(&it, "train",
                    PARTS("--resume w does not fit: ", "model linear, here mlp",
                          "batch 64, here 32", "logits.weight is not in it, here f32",
                          "more; give the --model whose weights these are"));
    command_run(&it, PART "train --model mlp:hidden=8,layers=1 --data digits:count=300 --load w");
    command_refused(&it, "train",
                    PARTS("--load w does not fit: fc1.weight is not in it, here f32"));
    command_run(&it, PART "head -c 5000 w >v; train " SMALL " --resume v");
    command_refused(&it, "train", PARTS("--resume v: byte 5000: ", "the file is cut short"));
    command_run(&it, PART "train -q --model linear --data digits:count=300 --steps 3 --resume w");
    command_refused(&it, "train", PARTS("was saved after step 3, and the run has 3 in all"));
}
END_TEST

#define MIXTURE "--model mixtral:hidden=16,seq=8,mlp=8 --data text:count=500 --batch 8 --steps 1"

START_TEST(files_of_ranks_are_consolidated) {
    ck_success(command_run(
        &it, "train -q " SMALL " --ranks 2 --save a >/dev/null && train -q " SMALL
             " --ranks 2 --zero 3 --save w.safetensors --save-shards --save-every 2 >/dev/null && "
             "train --consolidate w.safetensors.index.json --save b && cmp a b && ls && train -q "
             "--model linear --data digits:count=300 --evaluate --load w.safetensors.index.json"));
    command_said(it.out, PARTS("a\nb\nw-step6-", "-00001-of-00002.safetensors\n",
                               "-00002-of-00002.safetensors\nw.safetensors.index.json\nheld-"));
    ck_assert_int_eq(count(it.out, "w-step"), 2);
    command_finish(&it);
    ck_success(command_run(&it, "train -q " MIXTURE
                                " --shards 2 --save m >/dev/null && train -q " MIXTURE
                                " --dp 2 --ep 2 --save n --save-shards >/dev/null && "
                                "train --consolidate n.index.json --save o && cmp m o"));
    ck_assert_str_eq(it.err, "");
    command_finish(&it);
    command_run(&it, "train --consolidate w --save b");
    command_refused(&it, "train", PARTS("--consolidate w: give the index of the files"));
    command_run(&it, "train --consolidate w.index.json --save b --report r.json");
    command_refused(&it, "train", PARTS("--consolidate does not train: leave out --report"));
    command_run(&it, "train --consolidate w.index.json");
    command_refused(&it, "train", PARTS("--consolidate INDEX needs --save FILE"));
    command_run(&it, "train --consolidate w.index.json --save b");
    command_refused(&it, "train", PARTS("--consolidate w.index.json: No such file"));
    refused(PARTS("--keep keeps checkpoints in one file each"),
            "--save w --save-every 2 --keep 2 --save-shards");
    refused(PARTS("--save-shards says how --save FILE is written"), "--save-shards");
}
END_TEST

// Of a longer run, and of another one that came to the same step, nothing stays but by the names
// that the index has.
START_TEST(files_of_ranks_of_another_run_go_when_the_index_is_new) {
    ck_success(command_run(
        &it, "for k in '--steps 8' '--steps 6' '--steps 6 --lr 0.5' '--steps 6'; do train -q "
             "--model linear --data digits:count=300 $k --ranks 2 --zero 3 --save w --save-shards "
             ">/dev/null || exit 1; ls | grep -c w-step; ls | grep w-step | head -1; done"));
    char names[4][64];
    const char *at = it.out;
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(strncmp(at, "2\n", 2), 0);
        ck_assert_int_eq(sscanf(at + 2, "%63s", names[i]), 1);
        at += 2 + strlen(names[i]) + 1;
    }
    ck_assert_str_ne(names[1], names[2]);
    ck_assert_str_eq(names[1], names[3]);
    command_finish(&it);
}
END_TEST

// The files beside a link are beside what it leads to, and the link stays.
START_TEST(a_link_leads_to_all_files_of_a_checkpoint) {
    ck_success(command_run(&it, "mkdir there && ln -s there/w link && train -q " SMALL
                                " --save link --save-every 2 --keep 1 >/dev/null && ls . there && "
                                "test -L link && cmp link there/w-step6"));
    ck_assert_str_eq(it.out, ".:\nlink\nthere\n\nthere:\nw\nw-step6\n");
    command_finish(&it);
}
END_TEST

// 240 bytes are a name, and no name with a step or a rank behind it.
START_TEST(names_that_follow_from_a_name_are_tried_before_training) {
    char name[241];
    memset(name, 'n', 240);
    name[240] = '\0';
    static const char *const hows[] = {"--save-every 2 --keep 1", "--save-shards"};
    for (int i = 0; i < 2; i++) {
        command_run(&it,
                    "train --model linear --data digits:count=300 --steps 900000000 "
                    "--save %s %s",
                    name, hows[i]);
        ck_assert_int_eq(it.status, 1);
        command_said(it.err, PARTS("--save nnn", "File name too long"));
        command_finish(&it);
    }
}
END_TEST

// A file that cannot be written whole leaves the one before it, and nothing beside it.
START_TEST(a_checkpoint_that_does_not_fit_the_disk_leaves_the_one_before) {
    command_run(&it, PART "cp w before; (ulimit -f 20; train -q " SMALL " --resume w --save w "
                          "--save-every 1 2>&1 >/dev/null) | cat; cmp w before && ls");
    ck_assert_int_eq(it.status, 0);
    command_said(it.out, PARTS("train: w: could not be written: File too large"));
    ck_assert_ptr_nonnull(strstr(it.out, "\nbefore\nw\n"));
    command_finish(&it);
}
END_TEST

SUITE("save", options_that_need_each_other_say_so, the_last_checkpoints_are_kept,
      a_resumed_run_ends_with_the_same_weights_and_says_where_it_began,
      weights_are_evaluated_without_a_step, what_does_not_fit_is_one_line,
      files_of_ranks_are_consolidated, text_is_generated,
      files_of_ranks_of_another_run_go_when_the_index_is_new,
      a_link_leads_to_all_files_of_a_checkpoint,
      names_that_follow_from_a_name_are_tried_before_training,
      a_checkpoint_that_does_not_fit_the_disk_leaves_the_one_before)
