// SPDX-License-Identifier: MIT
// Threads that each join one world; the first failure is the result of all.
#include "lessons/engine/ranks.h"

#include "core/base/clock.h"
#include "parallel/comm/comm_world.h"

#include <pthread.h>

typedef struct {
    CommWorld *world;
    RanksBody *body;
    void *context;
    int rank, ranks;
    pthread_t thread;
} Member;

static Status body_of(Comm *c, Member *m) {
    int everyone[COMM_RANKS];
    for (int i = 0; i < m->ranks; i++) everyone[i] = i;
    TRY(comm_join(c, m->world, m->rank));
    TRY(comm_group(c, 0, everyone, m->ranks));
    return m->body(c, m->context);
}

static void *run(void *argument) {
    Member *m = argument;
    Comm c = {0};
    Status s = body_of(&c, m);
    if (s != OK && c.methods) comm_abandon(&c, s, status_message());
    return NULL;
}

Status ranks_run(int ranks, int64_t pool_bytes, RanksBody *body, void *context) {
    return ranks_run_within(ranks, pool_bytes, 0, body, context);
}

Status ranks_run_within(int ranks, int64_t pool_bytes, int64_t timeout_ns, RanksBody *body,
                        void *context) {
    Member members[COMM_RANKS];
    CommRoom rooms[COMM_RANKS] = {{0}};
    CommWorld *world;
    const char *message;
    int started = 0, failed;
    for (int r = 0; r < ranks; r++) rooms[r] = (CommRoom){pool_bytes, 16, 64};
    TRY(comm_world_create(&world, COMM_THREAD, ranks, rooms,
                          &(CommOptions){.timeout_ns = timeout_ns}));
    for (; started < ranks; started++) {
        members[started] = (Member){world, body, context, started, ranks};
        if (pthread_create(&members[started].thread, NULL, run, &members[started]) == 0) continue;
        comm_world_lost(world, started, "the thread of a rank could not be started");
        break;
    }
    for (int r = 0; r < started; r++) pthread_join(members[r].thread, NULL);
    Status s = comm_world_failure(world, &failed, &message);
    if (s != OK) s = status_fail(s, __FILE__, __LINE__, "%s", message);
    comm_world_destroy(world);
    return s;
}

Status ranks_do(Comm *c, const CommCall *call) {
    CommRequest r = {0};
    TRY(comm_start(c, call, &r, clock_ns()));
    for (bool done = false; !done;) {
        TRY(comm_test(c, &r, &done));
        if (!done) TRY(comm_idle(c, &(const CommRequest *){&r}, 1, INT64_MAX));
    }
    return OK;
}

CommCall ranks_all_reduce_call(Algorithm algorithm, const CommSegment *array) {
    return (CommCall){.kind = COLLECTIVE_ALL_REDUCE,
                      .algorithm = algorithm,
                      .dtype = DTYPE_F32,
                      .parts = 1,
                      .input_count = 1,
                      .output_count = 1,
                      .input = array,
                      .output = array,
                      .name = "all_reduce of a lesson"};
}

Status ranks_all_reduce(Comm *c, Algorithm algorithm, int64_t count) {
    const CommSegment array = {0, count};
    CommCall call = ranks_all_reduce_call(algorithm, &array);
    TRY(comm_prepare(c, &call));
    return ranks_do(c, &call);
}
