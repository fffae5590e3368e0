// SPDX-License-Identifier: MIT
// Kill, stop and starve: whatever happens to a process of a run, the run ends in bounded time, says
// once which rank was lost at what, and leaves no process and no shared memory behind. Victims and
// moments are drawn from Philox; a round's number is in the message of its failure.
#include "core/base/rng.h"
#include "tests/support/command.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

// A hundred rounds.
enum { KILLS = 40, STOPS = 24, LOST_LAUNCHERS = 12, INTERRUPTS = 12, STARVES = 12 };
enum { STAGES = 3 };

// A hang, not slowness: every wait here is for something that happens within two seconds
// on an idle machine.
static const double HANG_S = 30;

// Steps of 0.1 ms, with an evaluation after every fourth.
#define ENDLESS "--model linear --data digits:count=300 --steps 20000000"

static Command it;
static double shared_used_before;

static double shared_used(void) {
    struct statvfs s;
    return statvfs("/dev/shm", &s) == 0 ? (double)(s.f_blocks - s.f_bfree) * (double)s.f_frsize : 0;
}

static void note_shared(void) { shared_used_before = shared_used(); }

// Is some process, of whomever, using memory of /dev/shm? Ours are gone:
// command_wait() has seen to it.
static bool others_use_shared(void) {
    DIR *d = opendir("/proc");
    bool found = false;
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        char path[300], line[512];
        snprintf(path, sizeof path, "/proc/%s/maps", e->d_name);
        FILE *f = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        while (f && !found && fgets(line, sizeof line, f)) found = strstr(line, "/dev/shm/");
        if (f) fclose(f);
    }
    if (d) closedir(d);
    return found;
}

// Memory without a name and without a user would be lost; what other programs use is theirs.
static void check_shared(void) {
    DIR *d = opendir("/dev/shm");
    for (struct dirent *e; d && (e = readdir(d));)
        ck_assert_msg(strncmp(e->d_name, "tandem", 6) != 0, "/dev/shm/%s is left", e->d_name);
    if (d) closedir(d);
    for (int i = 0; i < 100 && shared_used() > shared_used_before; i++) sleep_seconds(0.1);
    double more = shared_used() - shared_used_before;
    ck_assert_msg(more <= 0 || others_use_shared(), "%g bytes more in /dev/shm", more);
}

static int lines(const char *text) {
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

// --- rounds

typedef struct {
    Rng rng;
    int number, ranks, victim;
    pid_t pids[COMMAND_RANKS];
} Round;

// Wait until all ranks are there; some of them may already be at work.
static void await_ranks(Round *r) {
    double until = seconds_now() + HANG_S;
    while (command_ranks(&it, r->pids) < r->ranks) {
        ck_assert_msg(seconds_now() < until, "round %d: %d ranks did not start", r->number,
                      r->ranks);
        sleep_seconds(0.005);
    }
}

// Start a run of 2 to 4 ranks, choose a victim, and wait for a moment: one in four at once, before
// the first step or soon after, the others within 150 ms.
static void start_round(Round *r, uint32_t kind, int number, const char *words) {
    *r = (Round){.number = number};
    rng_init(&r->rng, 2026, RNG_TEST, kind, (uint32_t)number);
    r->ranks = 2 + (int)rng_below(&r->rng, 3);
    r->victim = (int)rng_below(&r->rng, (uint32_t)r->ranks);
    command_start(&it, "train -q --ranks %d %s", r->ranks, words);
    await_ranks(r);
    if (number % 4) sleep_seconds(rng_below(&r->rng, 150) * 1e-3);
}

// Exit 4 and one message, which names the victim and what it was at.
static void check_lost(const Round *r) {
    char rank[16];
    ck_assert_msg(it.status == 4, "round %d: exit status %d: %s", r->number, it.status, it.err);
    ck_assert_msg(lines(it.err) == 1, "round %d: not one line:\n%s", r->number, it.err);
    const char *at = strstr(it.err, "train: rank");
    snprintf(rank, sizeof rank, " %d", r->victim);
    ck_assert_msg(at == it.err && strstr(at, rank), "round %d: rank %d is not named in %s",
                  r->number, r->victim, it.err);
    bool place = strstr(at, ", step ") || strstr(at, "before its first operation") ||
                 strstr(at, "arrive at ") || strstr(at, "did not end ") ||
                 strstr(at, "did not answer ");
    ck_assert_msg(place, "round %d: no operation in %s", r->number, it.err);
    ck_assert_str_eq(it.out, "");
}

START_TEST(a_killed_rank_ends_the_run) {
    note_shared();
    for (int i = 0; i < KILLS; i++) {
        Round r;
        start_round(&r, 1, i, ENDLESS " --timeout 60");
        kill(r.pids[r.victim], SIGKILL);
        command_wait(&it, HANG_S);
        check_lost(&r);
        ck_assert_msg(strstr(it.err, "was lost: killed by signal 9 (Killed), "), "%s", it.err);
        command_finish(&it);
    }
    check_shared();
}
END_TEST

START_TEST(a_stopped_rank_ends_the_run_after_the_time_out) {
    note_shared();
    for (int i = 0; i < STOPS; i++) {
        Round r;
        start_round(&r, 2, i, ENDLESS " --timeout 300ms");
        kill(r.pids[r.victim], SIGSTOP);
        command_wait(&it, HANG_S);
        check_lost(&r);
        command_finish(&it);
    }
    check_shared();
}
END_TEST

// One message, whoever it is from: the launcher, or a peer that waited in vain.
START_TEST(a_lost_rank_of_a_pipeline_is_named_with_its_stage) {
    note_shared();
    for (int i = 0; i < 2 * STAGES; i++) {
        char who[64];
        Round r = {.number = i, .ranks = STAGES, .victim = i % STAGES};
        bool killed = i < STAGES;
        command_start(&it,
                      "train -q --model mlp:hidden=16,layers=3 --pp %d --accumulate 4 --data "
                      "digits:count=300 --steps 20000000 --timeout %s",
                      STAGES, killed ? "60" : "300ms");
        await_ranks(&r);
        sleep_seconds(0.1 * (i % 3));
        kill(r.pids[r.victim], killed ? SIGKILL : SIGSTOP);
        command_wait(&it, HANG_S);
        check_lost(&r);
        snprintf(who, sizeof who, "class stage%d", r.victim);
        ck_assert_msg(strstr(it.err, who), "round %d: %s is not named in %s", i, who, it.err);
        command_finish(&it);
    }
    check_shared();
}
END_TEST

START_TEST(no_rank_outlives_a_killed_launcher) {
    note_shared();
    for (int i = 0; i < LOST_LAUNCHERS; i++) {
        Round r;
        start_round(&r, 3, i, ENDLESS " --timeout 60");
        if (i % 3 == 0) kill(r.pids[r.victim], SIGSTOP);
        kill(it.pid, SIGKILL);
        command_wait(&it, HANG_S);  // which looks for processes that are left
        ck_assert_int_eq(it.status, 128 + SIGKILL);
        command_finish(&it);
    }
    check_shared();
}
END_TEST

// To the launcher alone, or to all as a terminal does.
START_TEST(an_interrupted_run_ends_after_a_step) {
    note_shared();
    for (int i = 0; i < INTERRUPTS; i++) {
        Round r;
        start_round(&r, 4, i, ENDLESS " --timeout 60");
        kill(i % 2 ? it.pid : -it.pid, i % 3 ? SIGINT : SIGTERM);
        command_wait(&it, HANG_S);
        ck_assert_msg(it.status == 130, "round %d: exit status %d: %s", i, it.status, it.err);
        ck_assert_msg(strstr(it.out, "linear on ") == it.out, "round %d: %s", i, it.out);
        ck_assert_msg(strstr(it.err, "\ntrain: interrupted after step "), "round %d: %s", i,
                      it.err);
        command_finish(&it);
    }
    check_shared();
}
END_TEST

#define WHOLE "--model linear --data digits:count=300 --seed 5 --steps 2500"

// The weights that a run of so many ranks ends with when nobody disturbs it.
static void undisturbed(char weights[17], int ranks) {
    ck_assert_int_eq(command_run(&it, "train -q --ranks %d " WHOLE, ranks), 0);
    snprintf(weights, 17, "%s", it.weights);
    ck_assert_uint_eq(strlen(weights), 16);
    command_finish(&it);
}

START_TEST(a_starved_rank_changes_no_bit) {
    char weights[5][17] = {""};
    int starved = 0;
    for (int ranks = 2; ranks <= 4; ranks++) undisturbed(weights[ranks], ranks);
    note_shared();
    for (int i = 0; i < STARVES; i++) {
        Round r;
        start_round(&r, 5, i, WHOLE " --timeout 60");
        for (int k = 0; k < 3; k++) {
            int rank = (int)rng_below(&r.rng, (uint32_t)r.ranks);
            if (kill(r.pids[rank], SIGSTOP) != 0) break;  // the run has ended
            sleep_seconds(rng_below(&r.rng, 120) * 1e-3);
            kill(r.pids[rank], SIGCONT);
            starved++;
            sleep_seconds(rng_below(&r.rng, 20) * 1e-3);
        }
        command_wait(&it, HANG_S);
        ck_assert_msg(it.status == 0, "round %d: exit status %d: %s", i, it.status, it.err);
        ck_assert_msg(strcmp(it.weights, weights[r.ranks]) == 0, "round %d: %s, not %s", i,
                      it.weights, weights[r.ranks]);
        command_finish(&it);
    }
    ck_assert_int_ge(starved, STARVES);
    check_shared();
}
END_TEST

// --- chosen moments

// Ctrl-Z and, after more than the time-out, fg: nobody was away longer than the others. A step of
// the net takes so long that some rank always waits for another.
START_TEST(a_run_that_is_stopped_as_a_whole_goes_on) {
    static const char *const words = "train -q --ranks 3 --data digits:count=300 --steps 100";
    char weights[17];
    ck_assert_int_eq(command_run(&it, "%s", words), 0);
    snprintf(weights, sizeof weights, "%s", it.weights);
    command_finish(&it);
    Round r = {.ranks = 3};
    command_start(&it, "%s --timeout 300ms", words);
    await_ranks(&r);
    for (int i = 0; i < 4; i++) {
        sleep_seconds(0.05);
        kill(-it.pid, SIGSTOP);
        sleep_seconds(0.4);
        kill(-it.pid, SIGCONT);
    }
    command_wait(&it, HANG_S);
    ck_assert_msg(it.status == 0, "exit status %d: %s", it.status, it.err);
    ck_assert_str_eq(it.weights, weights);
    command_finish(&it);
}
END_TEST

// The same, in the order that is worst for the launcher: it learns that the ranks are stopped, and
// wakes before them.
START_TEST(a_launcher_does_not_count_the_time_in_which_it_was_stopped) {
    Round r = {.ranks = 2};
    command_start(&it, "train -q --ranks 2 --timeout 1 " WHOLE);
    await_ranks(&r);
    for (int i = 0; i < 2; i++) kill(r.pids[i], SIGSTOP);
    sleep_seconds(0.2);
    kill(it.pid, SIGSTOP);
    sleep_seconds(1.2);
    kill(it.pid, SIGCONT);
    sleep_seconds(0.1);
    for (int i = 0; i < 2; i++) kill(r.pids[i], SIGCONT);
    command_wait(&it, HANG_S);
    ck_assert_msg(it.status == 0, "exit status %d: %s", it.status, it.err);
    command_finish(&it);
}
END_TEST

START_TEST(ranks_that_are_all_stopped_are_ended_by_the_launcher) {
    Round r = {.ranks = 2};
    command_start(&it, "train -q --ranks 2 --timeout 300ms " ENDLESS);
    await_ranks(&r);
    for (int i = 0; i < r.ranks; i++) kill(r.pids[i], SIGSTOP);
    command_wait(&it, HANG_S);
    ck_assert_msg(it.status == 4, "exit status %d: %s", it.status, it.err);
    ck_assert_int_eq(lines(it.err), 1);
    command_finish(&it);
}
END_TEST

START_TEST(a_launcher_that_was_told_to_ignore_its_children_hears_of_them) {
    command_start(&it, "env --ignore-signal=CHLD train -q --ranks 2 --data digits:count=300 "
                       "--model linear --steps 20");
    command_wait(&it, HANG_S);
    if (strstr(it.err, "env: unrecognized option")) {
        command_finish(&it);
        SKIP("this env has no --ignore-signal");
    }
    ck_assert_msg(it.status == 0, "exit status %d: %s", it.status, it.err);
    command_finish(&it);
}
END_TEST

// 18,000 samples take a net longer to evaluate than the training before it.
// The evaluation takes some seconds, the step before it less, but how long depends on the build and
// the machine: a rank that is killed within the step is tried again later.
START_TEST(a_rank_lost_while_evaluating_is_named_so) {
    bool evaluating = false;
    for (double delay_s = 0.2; !evaluating; delay_s *= 2) {
        Round r = {.ranks = 2, .victim = 1};
        ck_assert_msg(delay_s < 10, "the step does not end: %s", it.err);
        command_finish(&it);
        command_start(&it, "train -q --ranks 2 --model mlp --steps 1 --test-fraction 0.9 --data "
                           "digits:count=20000");
        await_ranks(&r);
        sleep_seconds(delay_s);
        kill(r.pids[1], SIGKILL);
        command_wait(&it, HANG_S);
        check_lost(&r);
        evaluating = strstr(it.err, " of evaluate, step 1\n") != NULL;
    }
    command_finish(&it);
}
END_TEST

// The rank that writes its trace, which is a file of the directory t without a name, or -1.
static int writer(const Round *r) {
    for (int rank = 0; rank < r->ranks; rank++) {
        char path[64], target[512];
        snprintf(path, sizeof path, "/proc/%d/fd", (int)r->pids[rank]);
        DIR *d = opendir(path);
        bool found = false;
        for (struct dirent *e; d && !found && (e = readdir(d));) {
            ssize_t length = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
            target[length < 0 ? 0 : length] = '\0';
            found = strstr(target, "/t/") && strstr(target, "(deleted)");
        }
        if (d) closedir(d);
        if (found) return rank;
    }
    return -1;
}

// Start a run and stop a rank while it writes its trace. False when it had written it
// before the signal came.
static bool stop_writer(Round *r) {
    *r = (Round){.ranks = 2};
    command_start(&it, "train -q --ranks 2 --timeout 300ms --trace t --model linear "
                       "--data digits:count=300 --steps 3000");
    await_ranks(r);
    double until = seconds_now() + HANG_S;
    while ((r->victim = writer(r)) < 0 && command_ranks(&it, r->pids) == 2)
        ck_assert_msg(seconds_now() < until, "nobody writes a trace");
    if (r->victim >= 0) kill(r->pids[r->victim], SIGSTOP);
    sleep_seconds(0.01);
    if (r->victim >= 0 && writer(r) == r->victim) return true;
    for (int i = 0; i < 2; i++) kill(r->pids[i], SIGCONT);
    command_wait(&it, HANG_S);
    command_finish(&it);
    return false;
}

// Then no peer waits for the victim any more.
static void lose_writer(bool killed) {
    Round r;
    int tries = 0;
    while (!stop_writer(&r)) ck_assert_int_lt(tries++, 20);
    if (killed) kill(r.pids[r.victim], SIGKILL);
    command_wait(&it, HANG_S);
    char name[32], rank[32];
    snprintf(name, sizeof name, "t/rank%d.json", r.victim);
    snprintf(rank, sizeof rank, "train: rank %d was ", r.victim);
    ck_assert_msg(it.status == 4, "exit status %d: %s", it.status, it.err);
    ck_assert_msg(strstr(it.err, rank) && strstr(it.err, ", while it wrote its results\n"), "%s",
                  it.err);
    ck_assert_int_eq(lines(it.err), 1);
    ck_assert(!command_wrote(&it, name));
    command_finish(&it);
}

START_TEST(a_rank_killed_while_it_writes_its_trace_leaves_none) { lose_writer(true); }
END_TEST

START_TEST(a_rank_stopped_while_it_writes_its_trace_is_not_waited_for) { lose_writer(false); }
END_TEST

SUITE_SECONDS("train: faults", 280, a_killed_rank_ends_the_run,
              a_stopped_rank_ends_the_run_after_the_time_out,
              a_lost_rank_of_a_pipeline_is_named_with_its_stage, no_rank_outlives_a_killed_launcher,
              an_interrupted_run_ends_after_a_step, a_starved_rank_changes_no_bit,
              a_run_that_is_stopped_as_a_whole_goes_on,
              a_launcher_does_not_count_the_time_in_which_it_was_stopped,
              ranks_that_are_all_stopped_are_ended_by_the_launcher,
              a_launcher_that_was_told_to_ignore_its_children_hears_of_them,
              a_rank_lost_while_evaluating_is_named_so,
              a_rank_killed_while_it_writes_its_trace_leaves_none,
              a_rank_stopped_while_it_writes_its_trace_is_not_waited_for)
