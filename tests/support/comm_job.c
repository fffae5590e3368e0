// SPDX-License-Identifier: MIT
#include "tests/support/comm_job.h"

#include "core/base/clock.h"
#include "parallel/comm/comm_internal.h"
#include "tests/support/testing.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void *run_rank(void *argument) {
    JobRank *me = argument;
    Comm c;
    char *failure = me->job->failures[me->rank];
    if (comm_join(&c, me->job->world, me->rank) != OK)
        snprintf(failure, STATUS_TEXT, "join: %s", status_message());
    else
        me->job->body(&c, me->job->context, failure);
    return NULL;
}

void *job_memory(size_t size) {
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    return p;
}

void job_start(Job *job, CommWorld *w, CommKind kind, int ranks, JobBody *body, void *context) {
    *job = (Job){.world = w, .body = body, .context = context, .kind = kind, .ranks = ranks};
    job->failures = job_memory(JOB_RANKS * STATUS_TEXT);
    for (int r = 0; r < ranks; r++) {
        JobRank *me = &job->rank[r];
        me->job = job;
        me->rank = r;
        if (kind == COMM_THREAD)
            ck_assert_int_eq(pthread_create(&me->thread, NULL, run_rank, me), 0);
        if (kind == COMM_SHM && (me->pid = fork()) == 0) {
            run_rank(me);
            _exit(0);
        }
    }
}

void job_join(Job *job) {
    for (int r = 0; r < job->ranks; r++) {
        int status = 0;
        pid_t pid = job->rank[r].pid;
        if (job->kind == COMM_THREAD) ck_assert_int_eq(pthread_join(job->rank[r].thread, NULL), 0);
        if (job->kind == COMM_SHM) ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(status == 0, "rank %d ended with status %d", r, status);
    }
    for (int r = 0; r < job->ranks; r++)
        ck_assert_msg(!job->failures[r][0], "rank %d: %s", r, job->failures[r]);
    munmap(job->failures, JOB_RANKS * STATUS_TEXT);
}

void job_run(CommWorld *w, CommKind kind, int ranks, JobBody *body, void *context) {
    Job job;
    job_start(&job, w, kind, ranks, body, context);
    job_join(&job);
}

CommWorld *job_world_with(CommKind kind, int ranks, int64_t pool_bytes,
                          const CommOptions *options) {
    CommWorld *w;
    CommRoom rooms[JOB_RANKS];
    for (int r = 0; r < ranks; r++) rooms[r] = (CommRoom){pool_bytes, JOB_CALLS, JOB_SEGMENTS};
    ck_assert_ok(comm_world_create(&w, kind, ranks, rooms, options));
    return w;
}

CommWorld *job_world(CommKind kind, int ranks, int64_t timeout_ms) {
    return job_world_with(kind, ranks, JOB_POOL,
                          &(CommOptions){.timeout_ns = timeout_ms * 1000000});
}

CommWorld *job_linked_world(CommKind kind, int ranks, int64_t pool_bytes, const StarLink *link) {
    return job_world_with(kind, ranks, pool_bytes, &(CommOptions){.link = *link});
}

void job_everyone(Comm *c) {
    int ranks[JOB_RANKS];
    for (int r = 0; r < c->ranks; r++) ranks[r] = r;
    ck_assert_ok(comm_group(c, 0, ranks, c->ranks));
}

void job_release(Comm *c, const CommCall *call) {
    c->calls = call->handle - 1;
    c->segments = c->world->of[c->rank].calls[c->calls].input;
}

Status job_complete(Comm *c, CommRequest *r) {
    for (;;) {
        bool done;
        TRY(comm_test(c, r, &done));
        if (done) return OK;
        TRY(comm_idle(c, &(const CommRequest *){r}, 1, INT64_MAX));
    }
}

Status job_call(Comm *c, const CommCall *call, CommRequest *r) {
    TRY(comm_start(c, call, r, clock_ns()));
    return job_complete(c, r);
}

Status job_call_once(Comm *c, CommCall *call, CommRequest *r) {
    TRY(comm_prepare(c, call));
    TRY(job_call(c, call, r));
    job_release(c, call);
    return OK;
}

CommCall *scalar_call(Scalar *s, const char *name) {
    s->segment = (CommSegment){0, 1};
    s->call = (CommCall){.dtype = DTYPE_F64,
                         .parts = 1,
                         .input_count = 1,
                         .output_count = 1,
                         .input = &s->segment,
                         .output = &s->segment,
                         .name = name};
    return &s->call;
}

CommCall *message(Message *m, int peer, bool receive, int lane, int tag, int64_t offset,
                  int64_t count) {
    *m = (Message){.request = {0}};
    m->segment[0] = (CommSegment){offset, count / 2};
    m->segment[1] = (CommSegment){offset + 4 * (count / 2 + 4), count - count / 2};
    m->call = (CommCall){.point_to_point = true,
                         .receive = receive,
                         .dtype = DTYPE_I32,
                         .lane = lane,
                         .tag = tag,
                         .root = peer,
                         .parts = 1,
                         .input_count = 2,
                         .output_count = 2,
                         .input = m->segment,
                         .output = m->segment,
                         .name = "message"};
    return &m->call;
}

void write_message(const Comm *c, const Message *m, int32_t value) {
    for (int i = 0; i < 2; i++)
        for (int64_t e = 0; e < m->segment[i].elements; e++)
            ((int32_t *)((char *)c->pool + m->segment[i].offset))[e] = value++;
}

bool is_message(const Comm *c, const Message *m, int32_t value) {
    for (int i = 0; i < 2; i++)
        for (int64_t e = 0; e < m->segment[i].elements; e++)
            if (((int32_t *)((char *)c->pool + m->segment[i].offset))[e] != value++) return false;
    return true;
}
