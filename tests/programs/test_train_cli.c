// SPDX-License-Identifier: MIT
// `train` as a user meets it: run as a program, seen from outside.
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/data/safetensors.h"
#include "core/platform/device_traits.h"
#include "core/record/trace.h"
#include "tests/support/train_command.h"

static Command other;

// --- where output goes

START_TEST(results_go_to_stdout_and_talk_to_stderr) {
    ck_success(command_run(&it, "train --seed 7 " SMALL));
    ck_assert_msg(strncmp(it.out, "linear on 1 rank (", 18) == 0, "%s", it.out);
    ck_assert(strstr(it.out, ", batch 64, seed 7, 6 steps\n"));
    ck_assert(strstr(it.out, " of 45 held-out samples after step 6\n"));  // 0.15 of 300
    ck_assert(!strstr(it.out, "train 100 %") && !strstr(it.out, "epoch"));
    ck_assert(strstr(it.err, "train 100 %"));
    // 6 steps of epochs of 4: one whole and one half.
    ck_assert_int_eq(count(it.err, "epoch 1  step 4 "), 1);
    ck_assert_int_eq(count(it.err, "epoch 2  step 6 "), 1);
    ck_assert_int_le(check_width(it.out), 16);
    check_width(it.err);
    command_finish(&it);
}
END_TEST

START_TEST(quiet_says_nothing_on_stderr) {
    for (int ranks = 1; ranks <= 2; ranks++) {
        ck_success(command_run(&it, "train -q --ranks %d " SMALL, ranks));
        ck_assert_str_eq(it.err, "");
        ck_assert(*it.out);
        command_finish(&it);
    }
}
END_TEST

START_TEST(verbosity_is_counted) {
    ck_success(command_run(&it, "train -v --ranks 2 " SMALL));
    ck_assert(strstr(it.err, "  model    linear (built-in): 7.85k parameters"));
    ck_assert(
        strstr(it.err, "  data     digits:count=300,seed=1: 255 samples to train on, 45 held"));
    ck_assert(strstr(it.err, "  ranks    2 as processes, pinned to cores in turn; device "));
    ck_assert(strstr(it.err, "\n  cores    ") && strstr(it.err, "\n  waiting  "));
    ck_assert(strstr(it.err, "\n  buckets  "));
    ck_assert_int_eq(count(it.err, "\n  ranks compute "), 2);  // at each evaluation
    ck_assert(strstr(it.err, "\n  rank 0 ") && strstr(it.err, "\n  rank 1 "));
    ck_assert(!strstr(it.err, "plan step"));
    command_finish(&it);
    ck_success(command_run(&it, "train -vv --ranks 2 --no-overlap " SMALL));
    ck_assert(strstr(it.err, "\n  plan step: ") && strstr(it.err, "\n    activations "));
    ck_assert(strstr(it.err, "; after the backward pass\n"));
    check_width(it.err);
    command_finish(&it);
    ck_success(command_run(&it, "train -v --ranks 2 --zero 2 " SMALL));
    ck_assert(strstr(it.err, ", reduce_scatter.bucket0 30.7KiB\n"));  // fc.bias, fc.weight
    command_finish(&it);
    ck_success(command_run(&it, "train -v --tp 2 --dp 2 --steps 1"));
    ck_assert(strstr(it.err, "  buckets  all_reduce.loss 16B, bucket0 "));  // not those of --tp
    command_finish(&it);
    command_run(&it, "train -v --plan missing");
    ck_assert(strstr(it.err, "train: --plan missing: No such file"));
    ck_assert(strstr(it.err, "\n  ERR_INPUT, seen at "));
    command_finish(&it);
}
END_TEST

START_TEST(a_log_keeps_what_was_said_and_progress) {
    Arena a = {0};
    char *text;
    size_t length;
    ck_success(command_run(&it, "train -q --color always --log l.txt --ranks 2 " SMALL));
    ck_assert_str_eq(it.err, "");
    ck_assert_ok(file_read(&text, &length, &a, command_path(&it, "l.txt")));
    ck_assert_msg(
        strncmp(text + 24, " note     train -q --color always --log l.txt --ranks 2 ", 56) == 0,
        "%s", text);
    ck_assert_int_eq(count(text, " progress train 100 % "), 1);
    ck_assert_int_eq(count(text, " note     epoch 1  step 4 "), 1);
    ck_assert(!strchr(text, '\033'));
    command_finish(&it);
    ck_assert_int_eq(
        command_run(&it, "train -q --log l.txt --ranks 0 ; train --log l.txt --plan x"), 2);
    ck_assert_ok(file_read(&text, &length, &a, command_path(&it, "l.txt")));
    ck_assert_int_eq(count(text, " error    --plan x: No such file"), 1);
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "train -q --log /no/such/l.txt " SMALL), 1);
    ck_assert(strstr(it.err, "train: --log /no/such/l.txt: it cannot be written: No such file"));
    command_finish(&it);
    arena_finish(&a);
}
END_TEST

START_TEST(options_after_a_mistake_hold_for_its_message) {
    command_run(&it, "train --rnaks 2 --color always");
    ck_assert_int_eq(count(it.err, "\033[1;31mtrain:\033[0m unknown option --rnaks"), 1);
    command_finish(&it);
}
END_TEST

START_TEST(files_and_pipes_get_no_colour_unless_asked) {
    ck_success(command_run(&it, "train " SMALL));
    ck_assert(!strchr(it.out, '\033') && !strchr(it.err, '\033'));
    command_finish(&it);
    ck_success(command_run(&it, "train --color always " SMALL));
    ck_assert(strchr(it.out, '\033') != NULL);
    command_finish(&it);
    command_run(&it, "env CLICOLOR_FORCE=1 train --ranks 0");
    ck_assert_int_eq(count(it.err, "\033[1;31mtrain:\033[0m "), 1);
    command_finish(&it);
}
END_TEST

// What a terminal gets when the program is started in this way.
static const char *on_terminal(const char *start) {
    command_start_on_terminal(&it, "%s --ranks 2 " SMALL, start);
    command_wait(&it, 60);
    ck_success(it.status);
    return it.out;
}

START_TEST(a_terminal_gets_colour_and_one_line_of_progress) {
    const char *text = on_terminal("env -u NO_COLOR train");
    ck_assert(strstr(text, "\033[1mlinear on 2 ranks"));
    ck_assert(strstr(text, "\033[3"));
    ck_assert_int_eq(count(text, "\ntrain"), 0);  // the line is rewritten, and gone at the end
    ck_assert(strstr(text, "\r\033[K"));
    ck_assert(strstr(text, "\nnext: the same with --trace "));
    command_finish(&it);
}
END_TEST

// Programs as they were started, here by a path; directories as they are written elsewhere.
START_TEST(what_is_suggested_can_be_pasted) {
    static const char *const cases[][2] = {
        {"--trace run//", "/sim --trace run    # simulate that run"},
        {"--trace run//", "      or open run/all.json in ui.perfetto.dev"},
        {"--ranks 1", "/train --help    # what else can be asked for"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        command_start_on_terminal(&it, "sh -c '$(command -v train) %s " SMALL "'", cases[i][0]);
        command_wait(&it, 60);
        ck_success(it.status);
        const char *next = strstr(it.out, "next: /");
        ck_assert_msg(next && strstr(next, cases[i][1]), "%s", it.out);
        command_finish(&it);
    }
}
END_TEST

// A line with other options alone would leave out the model, or how ranks are divided.
START_TEST(what_is_suggested_keeps_what_was_given) {
    static const char *const cases[][2] = {
        {"--ranks 2", "\nnext: the same with --trace run    # a timeline per rank"},
        {"--ranks 1", "\nnext: the same with --ranks 2    # between two processes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        command_start_on_terminal(&it, "train %s " SMALL, cases[i][0]);
        command_wait(&it, 60);
        ck_success(it.status);
        ck_assert_msg(strstr(it.out, cases[i][1]), "%s", it.out);
        command_finish(&it);
    }
}
END_TEST

START_TEST(no_color_and_dumb_terminals_get_no_escapes) {
    ck_assert_msg(!strstr(on_terminal("env NO_COLOR=1 train -q"), "\033["), "%s", it.out);
    command_finish(&it);
    ck_assert_msg(!strstr(on_terminal("env TERM=dumb train"), "\033["), "%s", it.out);
    check_width(it.out);
    command_finish(&it);
    ck_assert_msg(!strstr(on_terminal("train -q --color never"), "\033["), "%s", it.out);
    command_finish(&it);
}
END_TEST

START_TEST(a_full_disk_is_an_error) {
    ck_assert_int_eq(command_run(&it, "train -q " SMALL " --json > /dev/full"), 1);
    ck_assert_str_eq(it.err,
                     "train: standard output could not be written: No space left on device\n");
    command_finish(&it);
    // More than a buffer: the failure is of an earlier write, whose reason is gone.
    ck_assert_int_eq(command_run(&it, "train --help > /dev/full"), 1);
    ck_assert_str_eq(it.err, "train: standard output could not be written: an earlier write "
                             "failed; is the disk full?\n");
    command_finish(&it);
}
END_TEST

// --- what is kept

START_TEST(json_on_stdout_is_the_report) {
    json_t *root;
    const char *text;
    int64_t n;
    double x;
    ck_success(command_run(&it, "train --json --seed 3 --ranks 2 --batch-per-rank 20 " SMALL));
    json_error_t error;
    root = json_loads(it.out, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(root != NULL, "line %d: %s", error.line, error.text);
    ck_assert_ok(json_get_string(&text, root, "json", "schema"));
    ck_assert_str_eq(text, "tandem.report.v1");
    ck_assert_ok(json_get_string(&text, root, "json", "kind"));
    ck_assert_str_eq(text, "train");
    ck_assert_ok(json_get_string(&text, root, "json", "strategy.name"));
    ck_assert_str_eq(text, "ddp");
    ck_assert_ok(json_get_int(&n, root, "json", "seed"));
    ck_assert_int_eq(n, 3);
    ck_assert_ok(json_get_int(&n, root, "json", "batch"));
    ck_assert_int_eq(n, 40);
    ck_assert_ok(json_get_int(&n, root, "json", "steps"));
    ck_assert_int_eq(n, 6);
    ck_assert_int_eq(json_array_size(json_find(root, "loss")), 6);
    ck_assert_int_eq(json_array_size(json_find(root, "memory_bytes")), 2);
    ck_assert_ok(json_get_real(&x, root, "json", "accuracy"));
    ck_assert(x > 0 && x <= 1);
    json_decref(root);
    command_finish(&it);
}
END_TEST

// The forms themselves are tested to the byte in test_report_plain.c.
START_TEST(csv_and_plain_on_stdout_are_the_main_figures) {
    ck_success(command_run(&it, "train -q --csv --seed 3 --ranks 2 " SMALL));
    ck_assert_int_eq(strncmp(it.out, "schema,kind,model,", 18), 0);
    ck_assert_int_eq(count(it.out, "\n"), 2);
    ck_assert(strstr(it.out, "\ntandem.summary.v1,train,linear,\"name=ddp dp=2 "));
    command_finish(&it);
    ck_success(command_run(&it, "train -q --plain --color always --seed 3 " SMALL));
    ck_assert_int_eq(strncmp(it.out, "schema tandem.summary.v1\nkind train\n", 36), 0);
    ck_assert(strstr(it.out, "\nseed 3\n") && strstr(it.out, " ms\n"));
    ck_assert(!strchr(it.out, '\033'));
    command_finish(&it);
    ck_assert_int_eq(command_run(&it, "train --csv --json " SMALL), 2);
    ck_assert(strstr(it.err, "--json, --csv and --plain say how to print the report; give one"));
    command_finish(&it);
}
END_TEST

START_TEST(reports_are_written_as_json_markdown_and_html) {
    Arena a = {0};
    char before[CLOCK_TEXT], after[CLOCK_TEXT];
    clock_print_utc(before, clock_utc_ns());
    ck_success(command_run(&it, "train -q --report run.json " SMALL));
    clock_print_utc(after, clock_utc_ns());
    Report r = read_report(&a, "run.json");
    ck_assert(strcmp(before, r.started) < 0 && strcmp(r.started, after) < 0);
    ck_assert_str_eq(r.operations[0].name, "load");
    ck_assert_int_eq(r.steps, 6);
    ck_assert_int_eq(r.evaluation_count, 2);
    ck_assert_str_eq(r.run.strategy[0].value, "single");
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r.parameters_hash);
    ck_assert_str_eq(hash, it.weights);
    arena_finish(&a);
    command_finish(&it);
    ck_success(command_run(&it, "train -q --report run.md " SMALL " && head -c 2 run.md"));
    ck_assert_msg(strstr(it.out, "\n# ") != NULL, "%s", it.out);
    command_finish(&it);
    ck_success(command_run(&it, "train -q --report run.html " SMALL " && head -c 15 run.html"));
    ck_assert_msg(strstr(it.out, "\n<!") != NULL, "%s", it.out);
    command_finish(&it);
}
END_TEST

START_TEST(every_rank_leaves_a_trace) {
    Arena a = {0};
    Trace *traces;
    int n;
    ck_success(command_run(&it, "train -q --ranks 3 --trace deep/run/ " SMALL));
    ck_assert_int_eq(command_count_files(&it, ".json"), 4);  // of three ranks, and all.json
    ck_assert_ok(trace_read_all(&traces, &n, &a, command_path(&it, "deep/run")));
    ck_assert_int_eq(n, 3);
    for (int i = 0; i < n; i++) {
        ck_assert_int_eq(traces[i].timeline.rank, i);
        ck_assert_int_gt(traces[i].timeline.span_count, 6);
        trace_finish(&traces[i]);
    }
    arena_finish(&a);
    command_finish(&it);
}
END_TEST

START_TEST(saved_weights_can_be_read) {
    Arena a = {0};
    Safetensors s;
    ck_success(command_run(&it, "train -q --ranks 2 --save w.safetensors " SMALL));
    ck_assert_ok(safetensors_read(&s, &a, command_path(&it, "w.safetensors")));
    ck_assert_int_eq(s.count, 4);  // weight, bias and their velocities
    const SafetensorsEntry *weight = safetensors_find(&s, "fc.weight");
    ck_assert_ptr_nonnull(weight);
    ck_assert_int_eq(weight->dims, 2);
    ck_assert_int_eq(weight->shape[0], 10);
    ck_assert_int_eq(weight->shape[1], 784);
    ck_assert_ptr_nonnull(safetensors_find(&s, "fc.bias.velocity"));
    ck_assert_str_eq(safetensors_text(&s, "steps"), "6");
    arena_finish(&a);
    command_finish(&it);
}
END_TEST

START_TEST(chosen_steps_are_recorded) {
    Arena a = {0};
    Safetensors s;
    ck_success(command_run(&it, "train -q --ranks 2 --record values --record-steps 0:1 " SMALL));
    ck_assert_int_eq(command_count_files(&it, ".safetensors"), 4);  // 2 ranks, steps 0 and 1
    ck_assert_ok(safetensors_read(&s, &a, command_path(&it, "values/rank1.step1.safetensors")));
    const SafetensorsEntry *x = safetensors_find(&s, "step/load/x");
    ck_assert_ptr_nonnull(x);
    ck_assert_int_eq(x->shape[0], 32);  // half of the batch
    ck_assert_ptr_nonnull(safetensors_find(&s, "step/fc.forward/fc.y"));
    ck_assert_ptr_nonnull(safetensors_find(&s, "step/fc.backward_weight/fc.weight.grad"));
    ck_assert_ptr_nonnull(safetensors_find(&s, "step/bucket0/fc.weight.grad"));
    arena_finish(&a);
    command_finish(&it);
}
END_TEST

// --- plans

START_TEST(a_printed_plan_trains_to_the_same_weights) {
    for (int ranks = 1; ranks <= 2; ranks++) {
        ck_success(command_run(&it, "train --ranks %d " SMALL, ranks));
        ck_success(command_run(&other,
                               "train --ranks %d --print-plan file " SMALL " > p && "
                               "train --ranks %d --plan p " SMALL " && "
                               "train --ranks %d --plan - " SMALL " < p",
                               ranks, ranks, ranks));
        ck_assert_msg(count(other.out, it.weights) == 2, "%s twice in\n%s", it.weights, other.out);
        command_finish(&it);
        command_finish(&other);
    }
}
END_TEST

START_TEST(printing_a_plan_trains_nothing_and_writes_nothing) {
    ck_success(command_run(
        &it, "train --ranks 2 --print-plan lowered-file --report r.json --trace t/ " SMALL));
    ck_assert_msg(strncmp(it.out, "tandem plan 2\n", 14) == 0, "%.40s", it.out);
    ck_assert(strstr(it.out, "\npool local "));
    ck_assert_str_eq(it.err, "");
    ck_assert(!command_wrote(&it, "r.json") && !command_wrote(&it, "t"));
    command_finish(&it);
}
END_TEST

// --- what is learned

START_TEST(two_ranks_compute_what_one_with_two_shards_does) {
    ck_success(command_run(&it, "train -q --ranks 2 --steps 60"));
    ck_success(command_run(&other, "train -q --ranks 1 --shards 2 --steps 60"));
    ck_assert_str_ne(it.weights, "");
    ck_assert_str_eq(it.weights, other.weights);
    command_finish(&it);
    command_finish(&other);
}
END_TEST

static double accuracy(const char *name) {
    Arena a = {0};
    Report r = read_report(&a, name);
    double x = report_accuracy(&r);
    arena_finish(&a);
    return x;
}

// The built-in digits are hard enough to tell a linear model from the net.
START_TEST(digits_tell_a_linear_model_from_the_net) {
    if (!strcmp(device_traits_default, "reference")) SKIP("five epochs take reference too long");
    ck_success(command_run(&it, "train -q --model linear --epochs 5 --report run.json"));
    ck_assert_msg(accuracy("run.json") < 0.93, "linear: %g", accuracy("run.json"));
    command_finish(&it);
    ck_success(command_run(&it, "train -q --epochs 5 --report run.json"));
    ck_assert_msg(accuracy("run.json") > 0.97, "net: %g", accuracy("run.json"));
    command_finish(&it);
}
END_TEST

START_TEST(mnist_is_learned_by_one_rank_and_by_two_to_the_same_bits) {
    const char *mnist = test_shared("data/mnist");
    if (!mnist) SKIP("MNIST is not here");
    static const char *const ranks[] = {"--ranks 1", "--ranks 1 --shards 2", "--ranks 2"};
    char weights[3][17];
    for (int i = 0; i < 3; i++) {
        ck_success(command_run(&it, "train -q --data %s --epochs 5 --report run.json %s", mnist,
                               ranks[i]));
        ck_assert_msg(accuracy("run.json") >= 0.96, "%s: %g", ranks[i], accuracy("run.json"));
        snprintf(weights[i], sizeof weights[i], "%s", it.weights);
        command_finish(&it);
    }
    ck_assert_str_eq(weights[1], weights[2]);
    ck_assert_str_ne(weights[0], weights[1]);  // 64 rows at once are other sums than 32 and 32
}
END_TEST

SUITE_SECONDS(
    "train_cli", 240, results_go_to_stdout_and_talk_to_stderr, quiet_says_nothing_on_stderr,
    verbosity_is_counted, a_log_keeps_what_was_said_and_progress,
    options_after_a_mistake_hold_for_its_message, files_and_pipes_get_no_colour_unless_asked,
    a_terminal_gets_colour_and_one_line_of_progress, no_color_and_dumb_terminals_get_no_escapes,
    what_is_suggested_can_be_pasted, what_is_suggested_keeps_what_was_given,
    a_full_disk_is_an_error, json_on_stdout_is_the_report,
    csv_and_plain_on_stdout_are_the_main_figures, reports_are_written_as_json_markdown_and_html,
    every_rank_leaves_a_trace, saved_weights_can_be_read, chosen_steps_are_recorded,
    a_printed_plan_trains_to_the_same_weights, printing_a_plan_trains_nothing_and_writes_nothing,
    two_ranks_compute_what_one_with_two_shards_does, digits_tell_a_linear_model_from_the_net,
    mnist_is_learned_by_one_rank_and_by_two_to_the_same_bits)
