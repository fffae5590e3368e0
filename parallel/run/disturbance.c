// SPDX-License-Identifier: MIT
// Who else used the cores of a run while its measured steps ran (core/base/host.h). The system
// tells what a core did; what the run itself used of it is the CPU time of its processes.
#include "core/base/clock.h"
#include "parallel/run/rank_internal.h"

#include <unistd.h>

static bool has_own_process(const Rank *r) {
    return r->job->options.spec.ranks > 1 && r->job->options.comm == COMM_SHM;
}

void disturbance_begin(Rank *r) {
    RankResult *own = r->result;
    own->process = getpid();
    own->window_begin_cpu_ns = clock_process_cpu_ns(0);
    host_sample(&r->window, &r->shared->cores);
}

// CPU time that a peer's process has used since its window began: what it published at its end, or,
// as it still runs, what its clock says. -1: unknown.
static int64_t peer_cpu_ns(const RankResult *peer) {
    if (peer->window_cpu_ns) return peer->window_cpu_ns;
    int64_t now_ns = clock_process_cpu_ns(peer->process);
    if (now_ns < 0) return peer->window_cpu_ns ? peer->window_cpu_ns : -1;  // it ended meanwhile
    return now_ns - peer->window_begin_cpu_ns;
}

static int64_t run_cpu_ns(const Rank *r) {
    int64_t sum = r->result->window_cpu_ns;
    for (int i = 0; i < r->job->options.spec.ranks && has_own_process(r); i++) {
        int64_t peer = i == r->comm.rank ? 0 : peer_cpu_ns(&r->shared->results[i]);
        if (peer < 0) return -1;
        sum += peer;
    }
    return sum;
}

void disturbance_end(Rank *r) {
    RankResult *own = r->result;
    HostSample end;
    own->window_cpu_ns = clock_process_cpu_ns(0) - own->window_begin_cpu_ns;
    int64_t cpu_ns = run_cpu_ns(r);
    host_sample(&end, &r->shared->cores);
    if (cpu_ns >= 0) own->disturbed = host_use(&r->window, &end, r->shared->threads, cpu_ns);
}
