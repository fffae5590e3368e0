// SPDX-License-Identifier: MIT
#include "tests/support/allocations.h"
#include "tests/support/comm_job.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

START_TEST(positions_are_read_by_whoever_watches) {
    CommWorld *w = job_world(COMM_SHM, 2, 0);
    Comm c;
    int plan, op;
    int64_t step;
    ck_assert_ok(comm_join(&c, w, 1));
    comm_note_position(&c, 1, 17, 123456789012);
    comm_world_position(w, 1, &plan, &op, &step);
    ck_assert_int_eq(plan, 1);
    ck_assert_int_eq(op, 17);
    ck_assert_int_eq(step, 123456789012);
    comm_world_destroy(w);
}
END_TEST

START_TEST(no_room_in_shared_memory_is_an_error_with_figures) {
    struct statfs fs;
    if (statfs("/dev/shm", &fs) || fs.f_blocks == 0) SKIP("/dev/shm has no limit");
    CommWorld *w;
    const CommRoom room = {.pool_bytes = (int64_t)fs.f_blocks * fs.f_bsize}, rooms[] = {room, room};
    ck_assert_fails(comm_world_create(&w, COMM_SHM, 2, rooms, NULL), ERR_MEMORY,
                    "no room in shared memory: the ranks need ");
    ck_assert_ptr_nonnull(strstr(status_message(), "/dev/shm has "));
    ck_assert_ptr_nonnull(strstr(status_message(), "enlarge it"));
    ck_assert_ptr_null(w);
}
END_TEST

START_TEST(shared_memory_never_has_a_name) {
    CommWorld *w = job_world(COMM_SHM, 2, 0);
    char line[512];
    int maps = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        if (!strstr(line, "/dev/shm/")) continue;
        maps++;
        ck_assert_msg(strstr(line, "(deleted)") != NULL, "%s", line);
    }
    fclose(f);
    ck_assert_int_eq(maps, 1);
    comm_world_destroy(w);
}
END_TEST

START_TEST(pools_are_aligned_and_apart) {
    CommWorld *w;
    Comm a, b;
    CommRoom rooms[COMM_RANKS + 1] = {{.pool_bytes = 5000}, {.pool_bytes = 100}};
    ck_assert_ok(comm_world_create(&w, COMM_THREAD, 2, rooms, NULL));
    ck_assert_ok(comm_join(&a, w, 0));
    ck_assert_ok(comm_join(&b, w, 1));
    ck_assert_uint_eq((uintptr_t)a.pool % 4096 + (uintptr_t)b.pool % 4096, 0);
    ck_assert_int_ge((char *)b.pool - (char *)a.pool, 5000);
    ck_assert_fails(comm_join(&a, w, 2), ERR_USAGE, "rank 2 is not one of 2");
    comm_world_destroy(w);
    ck_assert_fails(comm_world_create(&w, COMM_THREAD, 65, rooms, NULL), ERR_USAGE,
                    "65 ranks: --comm thread takes 1 to 64");
    for (int r = 0; r < 64; r++) rooms[r].pool_bytes = INT64_MAX / 64;
    ck_assert_fails(comm_world_create(&w, COMM_THREAD, 64, rooms, NULL), ERR_MEMORY, "no memory");
    ck_assert_int_eq(comm_kind_find("shm"), COMM_SHM);
    ck_assert_int_eq(comm_kind_find("carrier pigeon"), -1);
    comm_world_destroy(NULL);
}
END_TEST

// One line per thing that comm_check() must refuse.
START_TEST(calls_that_cannot_be_executed_are_refused) {
    const int pair[] = {1, 2}, wrong[] = {0, 9, 1}, twice[] = {1, 0, 1};
    CommWorld *w = job_world(COMM_SERIAL, 3, 0);
    Comm c;
    CommSegment in[2] = {{0, 10}, {64, 10}}, out[2] = {{256, 10}, {320, 10}};
    ck_assert_ok(comm_join(&c, w, 0));
    job_everyone(&c);
    ck_assert_ok(comm_group(&c, 1, pair, 2));
    CommCall good = {.kind = COLLECTIVE_ALL_REDUCE,
                     .parts = 1,
                     .input_count = 2,
                     .output_count = 2,
                     .input = in,
                     .output = out,
                     .name = "x"};
    ck_assert_ok(comm_check(&c, &good));
    CommCall bare = {.kind = COLLECTIVE_BARRIER, .parts = 1};
    ck_assert_ok(comm_check(&c, &bare));
#define REFUSE(text, ...)                                      \
    do {                                                       \
        CommCall bad = good;                                   \
        __VA_ARGS__;                                           \
        ck_assert_fails(comm_check(&c, &bad), ERR_PLAN, text); \
    } while (0)
    REFUSE("all_reduce x: communication lane 32; there are 32", bad.lane = 32);
    REFUSE("rank 0 is no member of group 1", bad.group = 1);
    REFUSE("there is no group 2", bad.group = 2);
    REFUSE("member 3 is not one of 3", bad.root = 3);
    ck_assert_fails(comm_group(&c, 2, wrong, 3), ERR_PLAN, "rank 9 is not one of 3");
    ck_assert_fails(comm_group(&c, 2, twice, 3), ERR_PLAN, "rank 1 is in it twice");
    ck_assert_fails(comm_group(&c, 64, pair, 2), ERR_PLAN, "a communicator has 64");
    REFUSE("0 parts", bad.parts = 0);
    REFUSE("not inside the pool",
           bad.output = ((const CommSegment[]){{256, 10}, {JOB_POOL - 36, 10}}));
    REFUSE("not inside the pool", bad.output = ((const CommSegment[]){{256, 10}, {-8, 10}}));
    REFUSE("not aligned", bad.output = ((const CommSegment[]){{256, 10}, {322, 10}}));
    REFUSE("its input has 20 elements, not 19",
           bad.output = ((const CommSegment[]){{256, 10}, {320, 9}}));
    REFUSE("output 1 and input 0 overlap at offset 36",
           bad.output = ((const CommSegment[]){{256, 10}, {36, 10}}));
    REFUSE("output 1 and input 0 overlap at offset 0",
           bad.output = ((const CommSegment[]){{64, 10}, {0, 10}}));
    REFUSE("outputs 0 and 1 overlap", bad.output = ((const CommSegment[]){{256, 10}, {292, 10}}));
    REFUSE("it has no input", bad.input = NULL);
    REFUSE("cannot fold 1 parts of u8", bad.dtype = DTYPE_U8);
    REFUSE("cannot fold 2 parts of f32", bad.kind = COLLECTIVE_BROADCAST, bad.parts = 2);
    REFUSE("reduce has no schedule ring", bad.kind = COLLECTIVE_REDUCE,
           bad.algorithm = ALGORITHM_RING);
    REFUSE("its output has 20 elements, not 6", bad.kind = COLLECTIVE_REDUCE_SCATTER);
    CommSegment sixth[2] = {{256, 3}, {320, 3}};
    REFUSE("it has no working memory", bad.kind = COLLECTIVE_REDUCE_SCATTER,
           bad.algorithm = ALGORITHM_RING, bad.output = sixth);
    REFUSE("send x: tag 16; tags are 0 to 15", bad.point_to_point = true, bad.root = 1,
           bad.tag = 16);
    REFUSE("rank 0 is its own peer", bad.point_to_point = true);
    comm_world_destroy(w);
}
END_TEST

// Everything but creating a world and preparing calls is free of allocations.
typedef struct {
    Scalar sums[ALGORITHM_COUNT];
    CommCall barrier;
    Message message;
} Frugal;

static Status frugal_prepare(Comm *c, Frugal *f) {
    job_everyone(c);
    for (int i = 0; i < ALGORITHM_COUNT; i++) {
        scalar_call(&f->sums[i], "x")->algorithm = (Algorithm)i;
        TRY(comm_prepare(c, &f->sums[i].call));
    }
    f->barrier = (CommCall){.kind = COLLECTIVE_BARRIER, .parts = 1};
    TRY(comm_prepare(c, &f->barrier));
    return comm_prepare(c, message(&f->message, !c->rank, c->rank, 0, 3, 0, 10));
}

static Status frugal_run(Comm *c, Frugal *f) {
    CommRequest r;
    int64_t all[2];
    for (int i = 0; i < ALGORITHM_COUNT; i++) TRY(job_call(c, &f->sums[i].call, &r));
    TRY(job_call(c, &f->barrier, &r));
    TRY(job_call(c, &f->message.call, &f->message.request));
    return comm_exchange(c, &r.start_ns, sizeof r.start_ns, all);
}

static Status frugal_count(Comm *c, int *count) {
    Frugal f;
    TRY(frugal_prepare(c, &f));
    TRY(frugal_run(c, &f));  // whatever the C library does once
    int before = allocations();
    for (int i = 0; i < 100; i++) TRY(frugal_run(c, &f));
    *count = allocations() - before;
    return OK;
}

static void counting_body(Comm *c, void *context, char *failure) {
    int count = 0;
    if (frugal_count(c, &count) != OK) snprintf(failure, STATUS_TEXT, "%s", status_message());
    if (count) snprintf(failure, STATUS_TEXT, "%d allocations", count);
}

START_TEST(communication_allocates_nothing) {
    CommWorld *w = job_world(COMM_SHM, 2, 0);
    job_run(w, COMM_SHM, 2, counting_body, NULL);
    comm_world_destroy(w);
}
END_TEST

SUITE("comm_world", positions_are_read_by_whoever_watches,
      no_room_in_shared_memory_is_an_error_with_figures, shared_memory_never_has_a_name,
      pools_are_aligned_and_apart, calls_that_cannot_be_executed_are_refused,
      communication_allocates_nothing)
