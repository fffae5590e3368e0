// SPDX-License-Identifier: MIT
#include "tests/support/lockstep.h"

#include "core/plan/check.h"
#include "parallel/strategy/collective_work.h"

#include <stdio.h>
#include <string.h>

const DeviceTraits lockstep_plain = {.name = "plain"};

static void note(Lockstep *l, int rank, char sign, int plan, int op) {
    size_t used = strlen(l->log);
    if (rank == l->logged)
        snprintf(l->log + used, sizeof l->log - used, "%c%s ", sign,
                 op_name(&l->program, &l->program.plans[plan].ops[op]));
}
static void before(void *context, int rank, int plan, int op) {
    note(context, rank, '+', plan, op);
}
static Status after(void *context, int rank, int plan, int op) {
    note(context, rank, '-', plan, op);
    return OK;
}

static void create_world(Lockstep *l) {
    CommRoom rooms[LOCKSTEP_RANKS];
    for (int r = 0; r < l->ranks; r++) rooms[r] = executor_room(&l->program);
    ck_assert_ok(comm_world_create(&l->world, COMM_SERIAL, l->ranks, rooms, &(CommOptions){0}));
}

void lockstep_start(Lockstep *l, const Device *device, const DeviceTraits *traits,
                    void (*load)(void *context, const LoadCall *call)) {
    ProgramSet set = program_set_of_one(&l->program);
    const ExecutorHooks hooks = {.context = l, .load = load, .before = before, .after = after};
    l->ranks = program_ranks(&l->program);
    ck_assert_int_le(l->ranks, LOCKSTEP_RANKS);
    ck_assert_ok(plan_check(&set));
    ck_assert_ok(collective_work_lower(&set, traits));
    if (l->ranks > 1) create_world(l);
    for (int r = 0; r < l->ranks; r++) {
        if (l->world) ck_assert_ok(comm_join(&l->comms[r], l->world, r));
        ck_assert_ok(executor_create(&l->executors[r], &l->arena, &l->program, r, device,
                                     l->world ? &l->comms[r] : NULL, &hooks));
    }
}

void lockstep_step(Lockstep *l, int64_t step) {
    bool done[LOCKSTEP_RANKS] = {false};
    int left = l->ranks;
    for (int r = 0; r < l->ranks; r++) ck_assert_ok(executor_begin(&l->executors[r], 0, step));
    for (bool any = true; left > 0;) {
        ck_assert_msg(any, "step %lld: no rank can go on", (long long)step);
        any = false;
        for (int r = 0; r < l->ranks; r++) {
            bool moved;
            if (done[r]) continue;
            ck_assert_ok(executor_advance(&l->executors[r], &done[r], &moved));
            any = any || moved;
            left -= done[r];
        }
    }
}

void lockstep_stop(Lockstep *l) {
    for (int r = 0; r < l->ranks; r++) executor_destroy(&l->executors[r]);
    comm_world_destroy(l->world);
    arena_finish(&l->arena);
    program_finish(&l->program);
}

void *lockstep_data(const Lockstep *l, int rank, const char *name) {
    int tensor = program_find_tensor(&l->program, name);
    ck_assert_msg(tensor != NONE, "no tensor %s", name);
    return executor_data(&l->executors[rank], tensor);
}

float *lockstep_floats(const Lockstep *l, int rank, const char *name) {
    return lockstep_data(l, rank, name);
}

void lockstep_set(const Lockstep *l, int rank, const char *name, float x, float y) {
    lockstep_floats(l, rank, name)[0] = x;
    lockstep_floats(l, rank, name)[1] = y;
}
