// SPDX-License-Identifier: MIT
// The ranks of a communicator as threads or processes that all run one function, and small calls
// for them. What fails in a rank is told to the test, which fails.
#ifndef TESTS_SUPPORT_COMM_JOB_H
#define TESTS_SUPPORT_COMM_JOB_H

#include "parallel/comm/comm_world.h"

#include <pthread.h>
#include <sys/types.h>

enum { JOB_RANKS = 8, JOB_POOL = 1 << 20, JOB_CALLS = 64, JOB_SEGMENTS = 2048 };

// The body of a rank writes to failure[STATUS_TEXT] what went wrong.
typedef void JobBody(Comm *c, void *context, char *failure);

typedef struct Job Job;
typedef struct {
    Job *job;
    int rank;
    pthread_t thread;
    pid_t pid;
} JobRank;
struct Job {
    CommWorld *world;
    JobBody *body;
    void *context;  // of processes: what they write there is lost, but for job_memory()
    char (*failures)[STATUS_TEXT];  // [rank]; empty: fine. In job_memory()
    CommKind kind;
    int ranks;
    JobRank rank[JOB_RANKS];
};

void *job_memory(size_t size);                                       // that processes share
CommWorld *job_world(CommKind kind, int ranks, int64_t timeout_ms);  // of pools of JOB_POOL bytes
CommWorld *job_world_with(CommKind kind, int ranks, int64_t pool_bytes, const CommOptions *options);
CommWorld *job_linked_world(CommKind kind, int ranks, int64_t pool_bytes, const StarLink *link);
void job_start(Job *job, CommWorld *w, CommKind kind, int ranks, JobBody *body, void *context);
void job_join(Job *job);
void job_run(CommWorld *w, CommKind kind, int ranks, JobBody *body, void *context);  // both

// Forget a call and those prepared after it, none of them in flight, so that others find room.
void job_release(Comm *c, const CommCall *call);
Status job_complete(Comm *c, CommRequest *r) MUST_USE;  // wait until the call has ended
Status job_call(Comm *c, const CommCall *call, CommRequest *r) MUST_USE;  // from start to end
// The same of a call that is prepared before and released after it.
Status job_call_once(Comm *c, CommCall *call, CommRequest *r) MUST_USE;
void job_everyone(Comm *c);  // group 0: all ranks in order

// An all-reduce of one f64 at the beginning of the pool, in group 0.
typedef struct {
    CommSegment segment;
    CommCall call;
} Scalar;
CommCall *scalar_call(Scalar *s, const char *name);

// A message of i32 in two pieces, 4 elements apart, in group 0, which has all ranks in order;
// `value` is the first of them, they count up.
typedef struct {
    CommSegment segment[2];
    CommCall call;
    CommRequest request;
} Message;
CommCall *message(Message *m, int peer, bool receive, int lane, int tag, int64_t offset,
                  int64_t count);
void write_message(const Comm *c, const Message *m, int32_t value);
bool is_message(const Comm *c, const Message *m, int32_t value);

#endif
