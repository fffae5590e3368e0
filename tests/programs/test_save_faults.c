// SPDX-License-Identifier: MIT
// Ranks and launchers are killed while checkpoints are written, again and again, each run going on
// from what the one before left: every checkpoint under its name is whole, and later than the last.
// Steps take 0.1 ms and saving takes more, so nearly every kill is in a save. Victims and moments
// come from Philox; a round's number is in the message of its failure.
#include "core/base/rng.h"
#include "core/data/safetensors_index.h"
#include "tests/support/command.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUNDS = 50, SHARD_ROUNDS = 10, KEEP = 2 };

static const double HANG_S = 60;

#define JOB "--model linear --data digits:count=300 --shards 6"

static Command it;

static int64_t steps_of(const char *path) {
    Arena a = {0};
    Safetensors s;
    ck_assert_ok(safetensors_is_index(path) ? safetensors_read_index(&s, &a, path)
                                            : safetensors_read(&s, &a, path));
    ck_assert_int_eq(s.count, 4);  // weight, bias, and the velocity of each
    const char *text = safetensors_text(&s, "steps");
    ck_assert_ptr_nonnull(text);
    int64_t steps = atoll(text);
    arena_finish(&a);
    return steps;
}

// Every checkpoint of the folder is whole, with the step of its name; how many such there are.
static int check_files(const char *folder, int round) {
    DIR *d = opendir(folder);
    int kept = 0;
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[600];
        if (e->d_name[0] == '.' || strstr(e->d_name, ".partial")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        int64_t steps = steps_of(path);
        const char *named = strstr(e->d_name, "-step");
        ck_assert_msg(named || !strcmp(e->d_name, "w"), "round %d: %s", round, e->d_name);
        if (!named) continue;
        kept++;
        ck_assert_msg(atoll(named + 5) == steps, "round %d: %s has step %lld", round, e->d_name,
                      (long long)steps);
    }
    closedir(d);
    return kept;
}

static void await_ranks(int ranks, pid_t pids[COMMAND_RANKS]) {
    double until = seconds_now() + HANG_S;
    while (command_ranks(&it, pids) < ranks) {
        ck_assert_msg(seconds_now() < until, "%d ranks did not start", ranks);
        sleep_seconds(0.002);
    }
}

// Wait until a checkpoint has been written.
static void await_save(const char *file, const struct stat *before) {
    double until = seconds_now() + HANG_S;
    struct stat now = *before;
    while (now.st_ino == before->st_ino && now.st_mtim.tv_nsec == before->st_mtim.tv_nsec) {
        ck_assert_msg(seconds_now() < until, "%s is not written", file);
        sleep_seconds(0.002);
        ck_assert_int_eq(stat(file, &now), 0);
    }
}

// Go on from a checkpoint and save `how` after each step, until somebody is killed.
static void kill_one(int round, const char *from, const char *how) {
    Rng r;
    pid_t pids[COMMAND_RANKS];
    struct stat before;
    ck_assert_int_eq(stat(from, &before), 0);
    rng_init(&r, 2026, RNG_TEST, 9, (uint32_t)round);
    int ranks = 2 + (int)rng_below(&r, 2), victim = (int)rng_below(&r, (uint32_t)ranks);
    bool launcher = rng_below(&r, 3) == 0;
    command_start(&it,
                  "train -q --ranks %d " JOB " --steps 900000000 --resume %s --save-every 1 %s",
                  ranks, from, how);
    await_ranks(ranks, pids);
    if (round % 2) await_save(from, &before);  // in the others perhaps before the first
    sleep_seconds(rng_below(&r, 25) * 1e-3);
    kill(launcher ? it.pid : pids[victim], SIGKILL);
    command_wait(&it, HANG_S);
    int want = launcher ? 128 + SIGKILL : 4;
    ck_assert_msg(it.status == want, "round %d: %d: %s", round, it.status, it.err);
    command_finish(&it);
}

// A checkpoint after one step, to begin with.
static int64_t save_first(const char *how, const char *saved) {
    command_run(&it, "train -q --ranks 2 " JOB " --steps 1 %s", how);
    ck_assert_msg(it.status == 0, "%s", it.err);
    command_finish(&it);
    return steps_of(saved);
}

static int lines_of(const char *text) {
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

START_TEST(a_kill_while_a_checkpoint_is_written_leaves_a_whole_one) {
    char folder[300], file[320], out[2048], how[400];
    snprintf(folder, sizeof folder, "%s", test_directory());
    snprintf(file, sizeof file, "%s/w", folder);
    snprintf(how, sizeof how, "--save %s", file);
    int64_t before = save_first(how, file), first = before;
    snprintf(how, sizeof how, "--save %s --keep %d", file, KEEP);
    for (int i = 0; i < ROUNDS; i++) {
        kill_one(i, file, how);
        int kept = check_files(folder, i);
        int64_t now = steps_of(file);
        ck_assert_msg(now >= before, "round %d: step %lld after %lld", i, (long long)now,
                      (long long)before);
        ck_assert_msg(kept >= 1 || !i, "round %d: none is kept", i);
        before = now;
    }
    ck_assert_int_ge(before, first + ROUNDS / 2);
    command_run(&it,
                "train -q --ranks 2 " JOB " --steps %lld --resume %s --save %s --save-every 1 "
                "--keep 2",
                (long long)before + 3, file, file);
    ck_assert_msg(it.status == 0, "%s", it.err);
    command_finish(&it);
    ck_assert_int_eq(steps_of(file), before + 3);
    test_shell(out, sizeof out, "ls %s", folder);
    ck_assert_msg(lines_of(out) == 3, "something is left:\n%s", out);
}
END_TEST

// The index names files that are there and whole, whichever step they are of.
START_TEST(a_kill_while_ranks_write_their_files_leaves_a_whole_index) {
    char how[400], index[320];
    const char *folder = test_directory();
    snprintf(index, sizeof index, "%s/w.index.json", folder);
    snprintf(how, sizeof how, "--save %s/w --save-shards --zero 3", folder);
    int64_t before = save_first(how, index), first = before;
    for (int i = 0; i < SHARD_ROUNDS; i++) {
        kill_one(100 + i, index, how);
        int64_t now = steps_of(index);
        ck_assert_msg(now >= before, "round %d: step %lld after %lld", i, (long long)now,
                      (long long)before);
        before = now;
    }
    ck_assert_int_ge(before, first + SHARD_ROUNDS / 2);
}
END_TEST

SUITE_SECONDS("save_faults", 280, a_kill_while_a_checkpoint_is_written_leaves_a_whole_one,
              a_kill_while_ranks_write_their_files_leaves_a_whole_index)
