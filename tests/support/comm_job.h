// SPDX-License-Identifier: MIT
// The ranks of a communicator as threads or processes that all run one function, and small calls
// for them. What fails in a rank is told to the test, which fails.
#ifndef TESTS_SUPPORT_COMM_JOB_H
#define TESTS_SUPPORT_COMM_JOB_H

#include "parallel/comm/comm.h"

#include <pthread.h>
#include <sys/types.h>

enum { JOB_RANKS = 7, JOB_POOL = 1 << 20 };

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
CommWorld *job_linked_world(CommKind kind, int ranks, int64_t pool_bytes, const StarLink *link);
void job_start(Job *job, CommWorld *w, CommKind kind, int ranks, JobBody *body, void *context);
void job_join(Job *job);
void job_run(CommWorld *w, CommKind kind, int ranks, JobBody *body, void *context);  // both

Status job_complete(Comm *c, CommRequest *r) MUST_USE;  // wait until the call has ended
Status job_call(Comm *c, const CommCall *call, CommRequest *r) MUST_USE;  // from start to end

// An all-reduce of one f64 at the beginning of the pool.
typedef struct {
    CommSegment segment;
    CommCall call;
} Scalar;
const CommCall *scalar_call(Scalar *s, const int *ranks, int count, int position, const char *name);

// A message of i32 in two pieces, 4 elements apart; `value` is the first of them, they count up.
typedef struct {
    CommSegment segment[2];
    CommCall call;
    CommRequest request;
    int ranks[2];
} Message;
const CommCall *message(Message *m, Comm *c, int peer, bool receive, int lane, int tag,
                        int64_t offset, int64_t count);
void write_message(const Comm *c, const Message *m, int32_t value);
bool is_message(const Comm *c, const Message *m, int32_t value);

#endif
