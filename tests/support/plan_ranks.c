// SPDX-License-Identifier: MIT
#include "tests/support/plan_ranks.h"

#include "core/plan/check.h"
#include "core/plan_text/plan_text.h"
#include "parallel/strategy/collective_work.h"
#include "tests/support/comm_job.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const PlanRanks *job;
    ProgramSet set;
    Program *program;
    uint8_t *told;  // [rank] in memory that processes share: it failed as it should
} Ranks;

void *plan_ranks_data(const Executor *e, const char *name) {
    int tensor = program_find_tensor(e->program, name);
    ck_assert_msg(tensor != NONE, "no tensor %s", name);
    return executor_data(e, tensor);
}

static const Device *device_of(const Ranks *r) {
    return r->job->device ? r->job->device : &device_reference;
}

static void note_failure(const Ranks *r, int rank, char *failure) {
    const char *says = status_message();
    if (!r->job->fails)
        snprintf(failure, STATUS_TEXT, "%s", says);
    else
        r->told[rank] = strstr(says, r->job->fails) != NULL;
}

static void rank_body(Comm *c, void *context, char *failure) {
    const Ranks *r = context;
    Executor e = {0};
    Arena arena = {0};
    Status s = executor_create(&e, &arena, r->program, c->rank, device_of(r), c, NULL);
    for (int64_t step = 0; s == OK && step < r->job->steps && !*failure; step++) {
        if (r->job->begin) r->job->begin(&e, step, r->job->context);
        s = executor_run(&e, 0, step);
        if (s == OK && r->job->end) r->job->end(&e, step, r->job->context, failure);
    }
    if (s != OK) note_failure(r, c->rank, failure);
    executor_destroy(&e);
    arena_finish(&arena);
}

// --- all ranks in one thread

static bool advance_all(const Ranks *r, Executor *e, int ranks) {
    bool done[PLAN_RANKS] = {false}, any = true;
    for (int left = ranks; left > 0;) {
        ck_assert_msg(any, "no rank can go on");
        any = false;
        for (int i = 0; i < ranks; i++) {
            bool moved;
            if (done[i]) continue;
            char failure[STATUS_TEXT] = "";
            if (executor_advance(&e[i], &done[i], &moved) != OK) {
                note_failure(r, i, failure);
                ck_assert_msg(!*failure, "rank %d: %s", i, failure);
                return false;
            }
            any = any || moved;
            left -= done[i];
        }
    }
    return true;
}

static void run_serial(const Ranks *r, CommWorld *w, int ranks) {
    Executor e[PLAN_RANKS];
    Comm c[PLAN_RANKS];
    Arena arena = {0};
    for (int i = 0; i < ranks; i++) {
        ck_assert_ok(comm_join(&c[i], w, i));
        ck_assert_ok(executor_create(&e[i], &arena, r->program, i, device_of(r), &c[i], NULL));
    }
    bool goes_on = true;
    for (int64_t step = 0; step < r->job->steps && goes_on; step++) {
        for (int i = 0; i < ranks; i++) {
            if (r->job->begin) r->job->begin(&e[i], step, r->job->context);
            ck_assert_ok(executor_begin(&e[i], 0, step));
        }
        goes_on = advance_all(r, e, ranks);
        for (int i = 0; i < ranks && goes_on && r->job->end; i++) {
            char failure[STATUS_TEXT] = "";
            r->job->end(&e[i], step, r->job->context, failure);
            ck_assert_msg(!*failure, "rank %d: %s", i, failure);
        }
    }
    for (int i = 0; i < ranks; i++) executor_destroy(&e[i]);
    arena_finish(&arena);
}

void plan_ranks_run(const PlanRanks *job, CommKind kind) {
    const DeviceTraits plain = {.name = "plain"};
    CommRoom rooms[PLAN_RANKS];
    CommWorld *w;
    Ranks r = {.job = job, .told = job_memory(PLAN_RANKS)};
    ck_assert_ok(plan_text_parse(&r.set, job->text, strlen(job->text), "test"));
    ck_assert_ok(plan_check(&r.set));
    ck_assert_ok(collective_work_lower(&r.set, job->device ? job->device->traits : &plain));
    r.program = &r.set.programs[0];
    int ranks = program_ranks(r.program), told = 0;
    for (int i = 0; i < ranks; i++) rooms[i] = executor_room(r.program);
    ck_assert_ok(comm_world_create(&w, kind, ranks, rooms, &(CommOptions){0}));
    if (kind == COMM_SERIAL)
        run_serial(&r, w, ranks);
    else
        job_run(w, kind, ranks, rank_body, &r);
    for (int i = 0; i < ranks; i++) told += r.told[i];
    ck_assert_msg(!job->fails || told > 0, "nobody said \"%s\"", job->fails);
    comm_world_destroy(w);
    program_set_finish(&r.set);
}
