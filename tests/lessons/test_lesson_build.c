// SPDX-License-Identifier: MIT
// lesson build, as a learner uses it: the right file passes, a wrong one is told what is wrong.
#include "lessons/build/build.h"
#include "tests/support/command.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

// The official solution of exercise %d becomes the learner's file, edited by sed; two arguments.
#define SOLVE                                                          \
    "mkdir -p exercises && { lesson build %d --solution --state s || " \
    "lesson build %d --solution --state s; } 2>/dev/null | sed '%s' > exercises/%02d_%s.c; "

static const Exercise *exercise(int i) {
    int count;
    const Exercise *const *all = exercises_all(&count);
    ck_assert_int_lt(i, count);
    return all[i];
}
static int exercise_count(void) {
    int count;
    exercises_all(&count);
    return count;
}

static void try_solution(int i) {
    const Exercise *e = exercise(i);
    Command c;
    ck_assert_int_eq(command_run(&c,
                                 SOLVE "for seed in 1 2 3 4 5 6 7 8; do "
                                       "lesson build %d --seed $seed --state s || exit 1; done; "
                                       "lesson build --state s; cat s",
                                 e->number, e->number, "", e->number, e->name, e->number),
                     0);
    char done[64];
    snprintf(done, sizeof done, "build %d done\n", e->number);
    test_has(c.out, "cases pass.\n");
    test_has(c.out, "our solver:");
    test_has(c.out, done);
    command_finish(&c);
}
START_TEST(each_official_solution_passes_with_several_seeds) {
    for (int i = 0; i < exercise_count(); i++) try_solution(i);
}
END_TEST

static void try_stub(int i) {
    const Exercise *e = exercise(i);
    Command c;
    char again[32];
    ck_assert_int_eq(command_run(&c, "lesson build %s --seed 3 --state s", e->name), 1);
    snprintf(again, sizeof again, "Exercise %d, seed 3: ", e->number);
    test_has(c.out, again);
    test_has(c.out, "then this one does not:\n  ");
    test_has(c.err, "is new: fill it");
    test_lacks(c.err, "warning:");
    test_lacks(c.out, "crashed");
    command_finish(&c);
}
START_TEST(each_stub_compiles_without_a_warning_and_fails_with_numbers) {
    for (int i = 0; i < exercise_count(); i++) try_stub(i);
}
END_TEST

// What a learner gets wrong, made out of the official solution.
static const struct {
    int number;
    const char *name, *edit, *says;
} MISTAKES[] = {
    {1, "softmax", "s| / (float)rows;|;|", "dlogits[0] is"},      // no mean
    {1, "softmax", "s|z.c. - max|z[c]|", "logits up to 1000"},    // overflows
    {1, "softmax", "s|(c == labels.r.)|0|", "dlogits["},          // no label
    {1, "softmax", "s|c < classes|c <= classes|", "it touches"},  // one too far
    {2, "mlp", "s|hidden.r . width + h. > 0 ? sum : 0|sum|", "dhidden["},
    {2, "mlp", "s|weights(dweight1, dbias1, dhidden, x|weights(dweight1, dbias1, hidden, x|",
     "dweight1["},
    {3, "ring_all_reduce", "s|values.to + i.|values[from + i]|", "it should be"},  // a chunk off
    {3, "ring_all_reduce", "s|2 . (ranks - 1)|ranks - 1|", "it should be"},        // no second half
    {3, "ring_all_reduce", "s|+ 1) % ranks;|+ 2) % ranks;|", "not the next on the ring"},
    {3, "ring_all_reduce", "/ring->send/d", "waits for a message that nobody sends"},
    {3, "ring_all_reduce",
     "s|ring->send(ring->network, next, values + from, .*|"
     "ring->send(ring->network, next, values, elements);|",
     "the message from rank"},
    {4, "tree", "s|left.e. + right.e.|right[e]|", "parts["},
    {4, "tree", "s|(width + 1) / 2|width / 2|", "parts["},  // the last row is forgotten
    {4, "tree",
     "s|for (int width.*|for (int r = 1; r < ranks; r++) for (int e = 0; e < elements; "
     "e++) parts[e] += parts[r * elements + e]; for (int width = 1; width > 1;)|",
     "ranks: 8"},  // rank after rank: another order
    {5, "buckets", "s|int i = count - 1; i >= 0; i--|int i = 0; i < count; i++|", "bucket_of["},
    {5, "buckets", "s|bucket == 0 ? first_cap : cap|cap|", "bucket_of["},
    {5, "buckets", "s|bucket + (filled > 0)|bucket|", "buckets are returned"},
    {6, "overlap", "s|link > now ? link : now|now|", "is on the link from"},
    {6, "overlap", "s|link > now ? link : now|link|", "its last gradient is there at"},
    {6, "overlap", "s|missing += j < i|missing += j > i|", "its last gradient is there at"},
    {6, "overlap",
     "s|link = 0;|link = 0; for (int i = 0; i < layers; i++) link += backward_us[i];|",
     "the least is"},  // nothing beside the backward
    {6, "overlap",
     "s|now += .*|now += backward_us[i]; double at = now; for (int j = i - 1; j >= 0; j--) { "
     "at += backward_us[j]; if (bucket_of[j] < bucket \\&\\& at > link) link = at; }|",
     "the least is"},  // in the order of the numbers
    {6, "overlap", "s|return link - now|return link|", "us are returned"},
    {7, "zero_step", "s|exp_avg.i.|exp_avg[first + i]|g", "it touches exp_avg["},
    {7, "zero_step", "s|(count + group->ranks - 1)|count|", "its shard has"},
    {7, "zero_step", "s|count - first < part ? count - first : part|part|", "it touches"},
    {7, "zero_step", "s|/ (1 - pow(adam->beta1, step))||", "what all_gather sends["},
    {7, "zero_step", "s|float g = gradient.i.|float g = gradient[first + i]|", "it touches"},
    {7, "zero_step", "s|int part =|group->all_gather(group->network, weight, 0, 0); int part =|",
     "gathers 0 elements"},
    {7, "zero_step", "/group->all_gather/d", "calls all_gather 0 times"},
    {8, "linear_split", "s|rank == 0 ? bias2.o. : 0|bias2[o]|", "sum over the ranks of y["},
    {8, "linear_split", "s|sum > 0 ? sum : 0|sum|", "sum over the ranks of y["},
    {9, "one_forward_one_backward", "s|first = stages - 1 - stage|first = micro_batches|",
     "micro-batches at once"},  // GPipe
    {9, "one_forward_one_backward", "s|stages - 1 - stage|0|", "a step takes"},
    {9, "one_forward_one_backward", "s|-1 - backward++|-backward++|", "twice"},
    {10, "alpha_beta", "s|double w = .*|double w = 1;|", "alpha_us[0] is"},  // absolute errors
    {10, "alpha_beta", "s|1 / us_per_byte|us_per_byte|", "bytes_per_us[0] is"},
};
enum { MISTAKE_COUNT = sizeof MISTAKES / sizeof *MISTAKES };

static void try_mistake(int i) {
    Command c;
    int number = MISTAKES[i].number;
    const char *name = MISTAKES[i].name;
    ck_assert_int_eq(command_run(&c, SOLVE "lesson build %d --seed 5 --state s", number, number,
                                 MISTAKES[i].edit, number, name, number),
                     1);
    test_has(c.out, MISTAKES[i].says);
    test_has(c.err, "--seed 5 tries the same cases again");
    command_finish(&c);
}
START_TEST(a_mistake_is_named_with_the_case_and_its_numbers) {
    for (int i = 0; i < MISTAKE_COUNT; i++) try_mistake(i);
}
END_TEST

// Whole files of exercise 1 that end their process.
#define FUNCTION "void softmax_backward(float *d, float *z, const int *t, int rows, int classes) "
static const struct {
    const char *file, *says;
} ENDS[] = {
    {FUNCTION "{ for (;;) *(volatile float *)d = *z; }", "processor time: an endless loop?"},
    {FUNCTION "{ *(volatile int *)0 = 1; }", "it follows a null pointer (signal 11"},
    {FUNCTION "{ z[1] = 0; }", "it writes to logits[1], which is const"},
    {FUNCTION "{ d[-1] = 0; }", "written before the beginning of dlogits"},
    {"void exit(int); " FUNCTION "{ exit(3); }", "with exit status 3"},
    {"void abort(void); " FUNCTION "{ abort(); }", "it crashed (signal 6"},
    {"void other(void) {}", "there is no function softmax_backward in it"},
};
enum { END_COUNT = sizeof ENDS / sizeof *ENDS };

static void try_end(int i) {
    Command c;
    ck_assert_int_eq(command_run(&c,
                                 "mkdir exercises && echo '%s' > exercises/01_softmax.c && "
                                 "cp exercises/01_softmax.c kept && lesson build 1 --state s; "
                                 "status=$?; cmp kept exercises/01_softmax.c && exit $status",
                                 ENDS[i].file),
                     1);
    test_has(c.out, ENDS[i].says);
    test_has(c.err, "exercises/01_softmax.c is there and stays as it is");
    command_finish(&c);
}
START_TEST(a_file_that_ends_its_process_is_reported_and_nothing_is_lost) {
    for (int i = 0; i < END_COUNT; i++) try_end(i);
}
END_TEST

START_TEST(what_cannot_be_compiled_is_said) {
    Command c;
    ck_assert_int_eq(command_run(&c, "mkdir exercises && echo 'int x' > exercises/01_softmax.c && "
                                     "lesson build 1 --state s"),
                     1);
    test_has(c.err, "error:");
    test_has(c.err, "lesson: exercises/01_softmax.c does not compile");
    command_finish(&c);
    ck_assert_int_ne(command_run(&c, "program=$(command -v lesson); PATH=/nonexistent; "
                                     "$program build 1 --state s"),
                     0);
    test_has(c.err, "there is no C compiler");
    command_finish(&c);
}
END_TEST

START_TEST(a_solution_is_kept_back_until_it_passed_or_was_asked_for_twice) {
    Command c;
    ck_assert_int_eq(command_run(&c, "lesson build 1 --solution --state s"), 1);
    test_has(c.err, "is shown when you ask once more");
    test_lacks(c.out, "softmax_backward");
    command_finish(&c);
}
END_TEST

START_TEST(reset_keeps_the_file_under_another_name) {
    Command c;
    ck_assert_int_eq(command_run(&c, "mkdir exercises && echo mine > exercises/01_softmax.c && "
                                     "printf 'tandem-lessons 1\\nbuild 1 done\\nlater 7\\n' > s && "
                                     "lesson build 1 reset --state s && cat s exercises/*.c.1 && "
                                     "! ls exercises/01_softmax.c"),
                     0);
    test_has(c.out, "tandem-lessons 2\nbuild 1 new\nlater 7\nend\nmine\n");
    command_finish(&c);
}
END_TEST

START_TEST(resetting_all_resets_exercises_and_says_where_their_files_are) {
    Command c;
    ck_assert_int_eq(command_run(&c,
                                 "mkdir exercises && echo mine > exercises/01_softmax.c && "
                                 "printf 'tandem-lessons 1\\nbuild 1 done\\nbuild 3 done\\n' >s "
                                 "&& echo no | lesson reset --all --state s && cat exercises/* "
                                 "&& echo yes | lesson reset --all --state s && cat s && "
                                 "cat exercises/01_softmax.c.1 && ls exercises"),
                     0);
    test_has(c.out, "Forget what was done of all lessons and exercises? Type yes: mine\n");
    test_has(c.err, "exercises/01_softmax.c is kept as exercises/01_softmax.c.1\n");
    test_has(c.out, "build 1 new\nbuild 3 new\nend\nmine\n01_softmax.c.1\n");
    command_finish(&c);
}
END_TEST

START_TEST(a_file_that_changes_is_tested_again) {
    Command c;
    command_start_on_terminal(&c, "lesson build 3 --watch --seed 2 --state s");
    command_wait_for(&c, "waiting for exercises/03_ring_all_reduce.c", 60);
    Command other;
    ck_assert_int_eq(
        command_run(&other, "cd %s && " SOLVE "true", c.directory, 3, 3, "", 3, "ring_all_reduce"),
        0);
    command_finish(&other);
    command_wait_for(&c, "seed 2: all 6 cases pass", 60);
    kill(c.pid, SIGINT);
    command_wait(&c, 60);
    ck_assert_int_eq(c.status, 0);
    command_finish(&c);
}
END_TEST

SUITE_SECONDS("lesson_build", 300, a_file_that_changes_is_tested_again,
              a_file_that_ends_its_process_is_reported_and_nothing_is_lost,
              a_mistake_is_named_with_the_case_and_its_numbers,
              a_solution_is_kept_back_until_it_passed_or_was_asked_for_twice,
              each_official_solution_passes_with_several_seeds,
              each_stub_compiles_without_a_warning_and_fails_with_numbers,
              reset_keeps_the_file_under_another_name,
              resetting_all_resets_exercises_and_says_where_their_files_are,
              what_cannot_be_compiled_is_said)
