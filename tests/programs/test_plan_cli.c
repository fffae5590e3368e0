// SPDX-License-Identifier: MIT
// Plans on the command line: what --print-plan shows, and what --plan refuses.
#include "core/base/rng.h"
#include "tests/support/command.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL "--model linear --data digits:count=300 --steps 3"

static Command it;

static void print_plan(const char *directory, const char *name, const char *words) {
    ck_assert_int_eq(command_run(&it, "train --print-plan file %s > %s/%s", words, directory, name),
                     0);
    command_finish(&it);
}

static void refused(const char *words, const char *directory, const char *file,
                    const char *message) {
    ck_assert_int_eq(command_run(&it, "%s --plan %s/%s", words, directory, file), 2);
    ck_assert_msg(strstr(it.err, message) != NULL, "\"%s\" lacks \"%s\"", it.err, message);
    command_finish(&it);
}

// Without one collective each rank would report its part of the loss or of the evaluation.
START_TEST(a_plan_whose_results_are_parts_is_refused) {
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "--ranks 3 --batch 66 --all-reduce ring " SMALL);
    command_run(&it,
                "cd %s && grep -v '  all_reduce.loss' p > loss && "
                "grep -v '  all_gather.evaluation' p > evaluation && "
                "sed 's/order=schedule/order=rank/' p > ring",
                dir);
    ck_assert_int_eq(it.status, 0);
    command_finish(&it);
    static const struct {
        const char *file, *message;
    } cases[] = {{"loss", "plan step: its result loss is P+ along data"},
                 {"evaluation", "plan evaluate: its result evaluate.loss is D along data"},
                 {"ring", "does not add in the order of the ranks; write order=schedule"}};
    for (int i = 0; i < 3; i++) {
        refused("train --ranks 3 --batch 66 " SMALL, dir, cases[i].file, cases[i].message);
        refused("sim --gpus 3 --point --batch 66 --model linear", dir, cases[i].file,
                cases[i].message);
    }
}
END_TEST

// What a kind of operation is told has no name that all operations' keys have.
START_TEST(a_printed_plan_of_each_kind_of_layer_is_read_again) {
    static const char *const models[] = {"sequence.model", "mixtral", "residual.model"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char dir[64], words[300], model[200];
        bool text = !strchr(models[i], '.');
        snprintf(dir, sizeof dir, "%s", test_directory());
        snprintf(model, sizeof model, "tests/data/%s", models[i]);
        snprintf(words, sizeof words, "--model %s --data %s --batch 8 --ranks 2",
                 text ? models[i] : test_source(model), text ? "text" : "digits:count=100");
        print_plan(dir, "p", words);
        ck_assert_msg(command_run(&it,
                                  "train %s --plan %s/p --print-plan file > %s/q && cmp %s/p %s/q",
                                  words, dir, dir, dir, dir) == 0,
                      "%s: %s%s", models[i], it.out, it.err);
        command_finish(&it);
    }
}
END_TEST

// The run knows scalars and plans by what they state, whatever they are called.
START_TEST(names_of_scalars_and_plans_mean_nothing) {
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "--ranks 2 --accumulate 2 " SMALL);
    ck_assert_int_eq(
        command_run(&it,
                    "cd %s && "
                    "sed -E 's/\\b(rows|first_row)\\.0\\.[01]/n_&/g; "
                    "s/ (loss|learning_rate|inverse_count)\\b/ n_\\1/g; s/evaluate\\./n./g; "
                    "s/^plan /plan n_/' p > q && ! grep -E ' (loss|rows|first_row)' q && "
                    "for plan in p q; do "
                    "train -q --plain --ranks 2 --accumulate 2 --plan $plan " SMALL
                    " | grep -E '^[a-z_]*(loss|accuracy|hash)' > $plan.out; done && "
                    "cmp p.out q.out && test $(wc -l < q.out) = 5",
                    dir),
        0);
    command_finish(&it);
}
END_TEST

// One that only times operations needs none. It trains the same weights, and tells no loss.
START_TEST(a_plan_without_any_result_runs_and_reports_none) {
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "--ranks 2 " SMALL);
    ck_assert_int_eq(
        command_run(&it,
                    "cd %s && sed 's/ result=loss//' p > q && ! cmp -s p q && for plan in p q; do "
                    "train -q --plain --ranks 2 --plan $plan " SMALL " > $plan.out || exit 1; done "
                    "&& test $(grep -Ec '^(loss_|evaluation_loss|accuracy).* [0-9]' p.out) = 4 && "
                    "test $(grep -Ec '^(loss_|evaluation_loss|accuracy).* -$' q.out) = 4 && "
                    "grep hash p.out > p.hash && grep hash q.out | cmp - p.hash",
                    dir),
        0);
    command_finish(&it);
}
END_TEST

// What a run needs to know of a plan is asked by one check, train's and sim's.
START_TEST(a_plan_that_no_run_can_execute_is_refused_by_train_and_sim) {
    static const struct {
        const char *edit, *message;
    } cases[] = {
        {"/^plan step/s/ when=.*//", "no plan has when=each_step"},
        {"/^plan evaluate/s/ when=.*//", "plan evaluate does not say when it runs; add when="},
        {"/^plan step/s/each_step/at_end/", "no plan has when=each_step"},
        {"/^plan evaluate/s/each_epoch/each_step/", "have both when=each_step"},
        {"/^tensor learning_rate/s/ source=.*//",
         "reads learning_rate, which no operation writes and which has no source="},
        {"/^tensor loss/s/ result=loss//",
         "plan step (when=each_step) writes no tensor with result=loss"},
        {"/ all_gather.evaluation/d", "its result evaluate.loss is D along data"},
        {"/^tensor rows/s/$/ slice=0.1/", "not source=rows with the slice and axes of first_row"},
        {"/^tensor rows/s/axes=data//", "tensor rows.0.0: its value is the same along data"},
        {"/^plan evaluate/s/each_epoch/once/", "no rows to load in a plan with when=once"},
        {"/^tensor loss/s/result=loss/source=step/", "source=step fills a scalar of one i64"},
        {"/^tensor loss/s/f64 2/f64 1/;/^logical loss/s/f64 2/f64 1/", "is a scalar of f64 pairs"},
    };
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "--ranks 2 " SMALL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        command_run(&it, "cd %s && sed '%s' p > q && ! cmp -s p q", dir, cases[i].edit);
        ck_assert_int_eq(it.status, 0);
        command_finish(&it);
        refused("train --ranks 2 " SMALL, dir, "q", cases[i].message);
        refused("sim --gpus 2 --point --model linear", dir, "q", cases[i].message);
    }
}
END_TEST

// The one line that a program says of a plan, from the file's name on; the caller frees it.
static char *refusal(const char *words, const char *directory, const char *file) {
    ck_assert_int_eq(command_run(&it, "%s --plan %s/%s", words, directory, file), 2);
    const char *text = strstr(it.err, ": ");
    ck_assert_msg(text != NULL, "\"%s\"", it.err);
    text += strlen(": ");
    if (!strncmp(text, "--plan ", strlen("--plan "))) text += strlen("--plan ");  // train's option
    char *out = strdup(text);
    command_finish(&it);
    return out;
}

#define TWO_LANES                                              \
    "s/^lane data .*/&\\nlane out communication group=data\\n" \
    "lane back communication group=data/;"
#define MESSAGES(send, receive)                                                      \
    TWO_LANES "/^  fc1.forward .*=forward/s/$/\\n  s send @out <- fc1.y " send "\\n" \
              "  r receive @back fc1.dy <- " receive "/"

// One check for both: what is wrong with a plan, they say with the same words.
START_TEST(train_and_sim_refuse_a_wrong_operation_with_one_text) {
    static const struct {
        const char *edit, *message;
    } cases[] = {
        {"/^  fc1.forward .*=forward/s/flops=[0-9]*/flops=7/",
         "plan step: fc1.forward: flops=7, but linear of these operands does 401408"},
        {"s/ 8x784/ 4x784/;s/\\(fc1.bias[a-z.]* *f32\\) 8/\\1 4/;s/\\(fc1.[a-z]*y *f32 "
         "[0-9]*x\\)8/\\14/;"
         "s/\\(relu1.[a-z]*y *f32 [0-9]*x\\)8/\\14/;s/\\(logits.w[a-z.]* *f32 10x\\)8/\\14/",
         "plan step: fc1.forward: flops=401408, but linear of these operands does 200704"},
        {"/^  load .*first_row.0.0/s/$/ slice=0.7/",
         "plan step: load: slice=0.7, but first_row.0.0, where its rows begin, has slice 0.0"},
        {"/^  broadcast.parameters/s/$/ peer=5/",
         "broadcast.parameters: peer=5 is no member of group data, whose 2 are 0 to 1"},
        {MESSAGES("tag=99 peer=1", "tag=99 peer=-1"), "plan step: s: tag=99; tags are 0 to 15"},
        {MESSAGES("tag=0 peer=2", "tag=0 peer=-2"),
         "plan step: s: peer=2 in group data of 2 is the rank itself"},
        {"/^  all_gather/s/algorithm=direct/algorithm=chain/", "all_gather has no schedule chain"},
        {"/^  bucket0/s/ all_reduce.*<- \\([a-z.]*\\) \\([a-z.]*\\)/"
         " all_reduce @data \\2 \\1 logits.weight.grad <- \\1 \\2/;/^  bucket0/s/<-.*/"
         "<- logits.bias.grad logits.weight.grad logits.weight.grad/",
         "plan step: bucket0: its outputs logits.weight.grad and logits.weight.grad are one "
         "memory"},
        {"/^  bucket0/s/ all_reduce .*/ all_reduce @data fc1.bias.grad logits.bias.grad <- "
         "logits.bias.grad fc1.bias.grad/",
         "plan step: bucket0: output fc1.bias.grad and input fc1.bias.grad are one memory"},
        {"s/^lane compute .*/&\\nlane copy copy/;s/^\\(  relu1.forward *relu "
         "*\\)@compute/\\1@copy/",
         "plan step: relu1.forward: relu cannot run on the copy lane copy"},
    };
#define ONE_LAYER "--model mlp:hidden=8,layers=1 --batch 64"
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "--ranks 2 --data digits:count=300 " ONE_LAYER);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        command_run(&it, "cd %s && sed '%s' p > q && ! cmp -s p q", dir, cases[i].edit);
        ck_assert_int_eq(it.status, 0);
        command_finish(&it);
        char *train = refusal("train --ranks 2 --data digits:count=300 " ONE_LAYER, dir, "q");
        char *sim = refusal("sim --gpus 2 --point " ONE_LAYER, dir, "q");
        ck_assert_msg(strstr(train, cases[i].message), "%zu: \"%s\" lacks \"%s\"", i, train,
                      cases[i].message);
        ck_assert_str_eq(train, sim);
        free(train);
        free(sim);
    }
}
END_TEST

// More lanes of communication than a program may have; three ranks, whose ring adds in an order of
// its own; a lane whose group is not its operation's.
START_TEST(train_and_sim_refuse_wrong_lanes_with_one_text) {
    static const struct {
        const char *edit, *message;
    } cases[] = {
        {"/^  bucket0/s/algorithm=direct/algorithm=ring/",
         "algorithm=ring over 3 ranks does not add in the order of the ranks"},
        {"s/^group data .*/&\\ngroup all ranks=0,1,2/;/^  broadcast.p/s/group=data/group=all/",
         "broadcast.parameters: lane data is of group data, not of all"},
        {NULL, "33 lanes of communication, a program has 32 at most"},
    };
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "--ranks 3 --batch 66 --data digits:count=300 --model linear");
    for (int i = 0; i < 3; i++) {
        if (cases[i].edit)
            command_run(&it, "cd %s && sed '%s' p > q && ! cmp -s p q", dir, cases[i].edit);
        else
            command_run(&it,
                        "cd %s && awk '{print} /^lane data/{for(i=0;i<32;i++)"
                        "print \"lane more\" i \" communication group=data\"}' p > q",
                        dir);
        ck_assert_int_eq(it.status, 0);
        command_finish(&it);
        char *train =
            refusal("train --ranks 3 --batch 66 --data digits:count=300 --model linear", dir, "q");
        char *sim = refusal("sim --gpus 3 --point --batch 66 --model linear", dir, "q");
        ck_assert_msg(strstr(train, cases[i].message), "%d: \"%s\" lacks \"%s\"", i, train,
                      cases[i].message);
        ck_assert_str_eq(train, sim);
        free(train);
        free(sim);
    }
}
END_TEST

// Right plans of any size, with and without the flops that follow from it, run and are predicted.
START_TEST(train_and_sim_accept_right_plans) {
    static const char *const models[] = {"linear", "mlp:hidden=8,layers=2", "net"};
    static const char *const reduces[] = {"direct", "chain", "ring"};
    Rng rng;
    rng_init(&rng, 11, RNG_TEST, 0, 0);
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    for (int i = 0; i < 8; i++) {
        const char *model = models[rng_below(&rng, 3)], *reduce = reduces[rng_below(&rng, 3)];
        int ranks = 1 + (int)rng_below(&rng, 3), shards = ranks * (1 + (int)rng_below(&rng, 2));
        int micro_batches = 1 + (int)rng_below(&rng, 2), erased = 1 + (int)rng_below(&rng, 2);
        char words[256];
        snprintf(words, sizeof words, "--model %s --shards %d --accumulate %d --batch 48", model,
                 shards, micro_batches);
        ck_assert_int_eq(
            command_run(&it,
                        "cd %s && train --ranks %d %s --all-reduce %s --data digits:count=300 "
                        "--print-plan file > "
                        "p && sed '%d~2s/ flops=[0-9]*//' p > q && "
                        "train -q --ranks %d %s --data digits:count=300 --steps 1 --plan q && "
                        "sim --gpus %d --point %s --plan q",
                        dir, ranks, words, reduce, erased, ranks, words, ranks, words),
            0);
        command_finish(&it);
    }
}
END_TEST

// A plan may be sound and still not of this job.
START_TEST(a_plan_of_another_job_is_refused_by_train_and_sim) {
    static const struct {
        const char *edit, *words, *message;
    } cases[] = {
        {"/^tensor rows/s/$/ slice=0.1/;/^tensor first_row/s/$/ slice=0.1/;"
         "/^  load .*<- first_row/s/$/ slice=0.1/",
         "--accumulate 2 --model linear", "shard 0, micro-batch 0 of a rank is left out"},
        {"s/fc.weight/fc2.weight/g", "--model linear",
         "model linear has no parameter fc2.weight of this shape"},
        {"s/x/x/", "--model linear --dtype f64", "parameter fc.weight is f32; give --dtype f32"},
    };
    char dir[64], words[160];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "--ranks 2 " SMALL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        command_run(&it, "cd %s && sed '%s' p > q", dir, cases[i].edit);
        ck_assert_int_eq(it.status, 0);
        command_finish(&it);
        snprintf(words, sizeof words, "train --ranks 2 %s %s", SMALL, cases[i].words);
        refused(words, dir, "q", cases[i].message);
        snprintf(words, sizeof words, "sim --gpus 2 --point %s", cases[i].words);
        refused(words, dir, "q", cases[i].message);
    }
}
END_TEST

// What is measured of the host comes from the model's step: a plan for several ranks has no step
// that one rank could repeat.
START_TEST(a_traced_plan_of_several_ranks_leaves_what_sim_reads) {
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "--ranks 2 " SMALL);
    ck_assert_int_eq(command_run(&it,
                                 "cd %s && train -q --ranks 2 --plan p --trace t " SMALL
                                 " && ! grep 'flops: {}' t/machine.yaml && sim --trace t",
                                 dir),
                     0);
    ck_assert_msg(strstr(it.out, "simulated") != NULL, "%s", it.out);
    command_finish(&it);
}
END_TEST

// Softmax regression with its weight in two pieces: gathered for the forward, its gradient
// scattered, each rank with the rows that it updates.
#define CUT_WEIGHT                                                                         \
    "s/^tensor fc.weight  *f32 10x784 .*/tensor fc.weight f32 5x784 parameter place=S0/; " \
    "s/^tensor learning_rate/tensor full f32 10x784 buffer of=fc.weight\\n"                \
    "tensor piece f32 5x784 gradient of=fc.weight.grad place=S0\\n&/; "                    \
    "s/^  fc.forward \\(.*flatten1.y\\) fc.weight/"                                        \
    "  gather all_gather @data full <- fc.weight\\n  fc.forward \\1 full/; "               \
    "s/^  bucket0.*/  bucket0 all_reduce @data fc.bias.grad <- fc.bias.grad\\n"            \
    "  scatter reduce_scatter @data piece <- fc.weight.grad/; "                            \
    "s/\\(sgd.fc.weight .* <-\\) fc.weight.grad/\\1 piece/; "                              \
    "s/fc.weight fc.bias <- fc.weight fc.bias/fc.bias <- fc.bias/"

// Initial values, saved tensors (the last 31,400 bytes) and the hash are of whole tensors, whoever
// holds which piece. A plan file does not say which optimizer it is, so that the metadata differ.
START_TEST(a_weight_in_pieces_is_initialised_saved_and_hashed_as_a_whole_one) {
    static const char *const comms[] = {"serial", "thread", "shm"};
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "--ranks 2 --momentum 0 " SMALL);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(
            command_run(
                &it,
                "cd %s && sed '" CUT_WEIGHT "' p > q && ! cmp -s p q && "
                "train -q --plain --shards 2 --momentum 0 --save whole " SMALL
                " | grep -E '^[a-z_]*(loss|accuracy|hash)' > whole.out && "
                "train -q --plain --ranks 2 --comm %s --plan q --save pieces " SMALL
                " | grep -E '^[a-z_]*(loss|accuracy|hash)' > pieces.out && "
                "cmp whole.out pieces.out && grep hash pieces.out && "
                "tail -c 31400 whole > whole.data && tail -c 31400 pieces | cmp - whole.data",
                dir, comms[i]),
            0);
        command_finish(&it);
    }
}
END_TEST

// Without the broadcast only rank 0 begins with the initial values.
START_TEST(replicas_that_end_differently_fail_the_run) {
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    print_plan(dir, "p", "--ranks 2 " SMALL);
    for (int shm = 0; shm < 2; shm++) {
        command_run(&it,
                    "cd %s && sed '/^plan broadcast/d;/^  broadcast/d' p > q && "
                    "train -q --ranks 2 --comm %s --plan q " SMALL,
                    dir, shm ? "shm" : "serial");
        ck_assert_int_eq(it.status, 1);
        ck_assert_ptr_nonnull(strstr(it.err, "ranks 0 and 1 end with different values of fc."));
        command_finish(&it);
    }
}
END_TEST

// --- the table

START_TEST(the_table_of_net_on_two_ranks_is_the_known_one) {
    const char *path = test_source("tests/data/plan_table.txt");
    ck_assert_ptr_nonnull(path);
    ck_assert_int_eq(command_run(&it,
                                 "train --ranks 2 --print-plan step > a && diff %s a && "
                                 "sim --ranks 2 --print-plan step > b && cmp a b",
                                 path),
                     0);
    command_finish(&it);
}
END_TEST

// A plan of two classes, and a class of it, from both programs: as it is written and as it runs.
START_TEST(a_plan_of_a_file_is_printed) {
    ck_assert_int_eq(
        command_run(&it,
                    "job='--model mlp:hidden=32,layers=2 --plan %s'; "
                    "train $job --ranks 2 --accumulate 4 --print-plan file > a && "
                    "grep -v '^#' \"$TANDEM_SOURCE/docs/pipeline.plan\" | cmp - a && "
                    "sim $job --print-plan file | cmp - a && "
                    "train $job --ranks 2 --accumulate 4 --print-plan step --class stage1 > b && "
                    "sim $job --print-plan step --class stage1 | cmp - b && cat b && "
                    "train $job --ranks 2 --accumulate 4 --print-plan lowered",
                    test_source("docs/pipeline.plan")),
        0);
    ck_assert_ptr_nonnull(strstr(it.out, "\nclass stage1: pipe=1\n"));
    ck_assert_ptr_nonnull(strstr(it.out, "\n 3  fc2.forward[0.0] "));
    ck_assert_int_le(command_columns(it.out), 80);
    command_finish(&it);
}
END_TEST

// Whatever is wrong in it: the file is named, beside the operation or the class.
START_TEST(a_wrong_plan_is_named_with_its_file) {
    static const struct {
        const char *edit, *message;
    } cases[] = {
        {"0,/ broadcast.loss /{/ broadcast.loss /d}", "p.plan: plan step: deadlock: rank 1: "},
        {"s/^class stage1  pipe=1/class stage1  pipe=0/", "p.plan: rank 0 is in class stage0 and"},
        {"/^class stage1/,$d", "p.plan: rank 1 of 2 is in no class: a plan has the programs of"}};
    char dir[64];
    snprintf(dir, sizeof dir, "%s", test_directory());
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(command_run(&it,
                                     "sed '%s' \"$TANDEM_SOURCE/docs/pipeline.plan\" > %s/p.plan",
                                     cases[i].edit, dir),
                         0);
        command_finish(&it);
        refused("train --ranks 2 --accumulate 4 --model mlp:hidden=32,layers=2", dir, "p.plan",
                cases[i].message);
        refused("sim --gpus 2 --model mlp:hidden=32,layers=2", dir, "p.plan", cases[i].message);
    }
}
END_TEST

START_TEST(tables_fit_80_columns) {
    static const char *const words[] = {
        "--ranks 2 --print-plan step", "--ranks 2 --print-plan lowered",
        "--ranks 2 --print-plan lowered --accumulate 3 --shards 6",
        "--ranks 64 --print-plan lowered --model mlp:hidden=4096 --batch 65536 --accumulate 16"};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(command_run(&it, "train %s", words[i]), 0);
        ck_assert_int_le(command_columns(it.out), 80);
        ck_assert_int_gt(command_columns(it.out), 70);
        command_finish(&it);
    }
}
END_TEST

START_TEST(train_and_sim_print_the_same_plans_of_zero) {
    for (int stage = 1; stage <= 3; stage++)
        for (int k = 0; k < 3; k++) {
            static const char *const forms[] = {"file", "lowered-file",
                                                "lowered-file --dtype bf16 --accumulate 2"};
            const char *what = forms[k];
            char *first;
            ck_assert_int_eq(
                command_run(&it, "train --ranks 3 --zero %d --clip 1 --print-plan %s", stage, what),
                0);
            ck_assert_ptr_nonnull(strstr(it.out, "reduce_scatter.bucket1"));
            ck_assert_ptr_nonnull(strstr(it.out, "all_reduce.gradients.squares"));
            ck_assert_ptr_nonnull(first = strdup(it.out));
            command_finish(&it);
            ck_assert_int_eq(
                command_run(&it, "sim --ranks 3 --zero %d --clip 1 --print-plan %s", stage, what),
                0);
            ck_assert_str_eq(it.out, first);
            command_finish(&it);
            free(first);
        }
}
END_TEST

// A bucket is a collective of several tensors. sim --trace reads a lowered plan.
START_TEST(buckets_of_zero_are_read_again) {
    ck_assert_msg(
        command_run(&it, "for z in 1 2 3; do train --ranks 2 --zero $z --print-plan file > p && "
                         "grep -q 'reduce_scatter .* <- .*grad .*grad ' p && "
                         "run() { train -q --plain --ranks 2 --steps 2 $@ | grep hash; } && "
                         "run --zero $z --trace t$z > zero && run --plan p | cmp - zero && "
                         "sim --plan p && sim --trace t$z || exit 1; done") == 0,
        "%s%s", it.out, it.err);
    command_finish(&it);
}
END_TEST

SUITE("plan_cli", a_printed_plan_of_each_kind_of_layer_is_read_again,
      the_table_of_net_on_two_ranks_is_the_known_one, a_plan_of_a_file_is_printed,
      a_wrong_plan_is_named_with_its_file, tables_fit_80_columns,
      a_plan_whose_results_are_parts_is_refused, names_of_scalars_and_plans_mean_nothing,
      a_plan_without_any_result_runs_and_reports_none,
      a_plan_that_no_run_can_execute_is_refused_by_train_and_sim,
      a_plan_of_another_job_is_refused_by_train_and_sim,
      train_and_sim_refuse_a_wrong_operation_with_one_text,
      train_and_sim_refuse_wrong_lanes_with_one_text, train_and_sim_accept_right_plans,
      a_traced_plan_of_several_ranks_leaves_what_sim_reads, buckets_of_zero_are_read_again,
      a_weight_in_pieces_is_initialised_saved_and_hashed_as_a_whole_one,
      replicas_that_end_differently_fail_the_run, train_and_sim_print_the_same_plans_of_zero)
