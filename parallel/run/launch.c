// SPDX-License-Identifier: MIT
// Starting ranks and watching them. Processes are children of the launcher, which is no rank
// itself: whoever is killed, somebody is left to say so and to end the rest.
#include "parallel/run/launch.h"

#include "core/base/clock.h"
#include "parallel/run/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SPANS_MOST = 4 << 20 };
static const int64_t GRACE_NS = 1000000000,  // for the other ranks to end by themselves
    LOOK_NS = 50000000;                      // between two looks at the ranks, when none ends

// One room for all results, which the launcher still sees when a rank is gone. Pages are taken when
// they are first written.
static Status create_shared(Training *t, const Job *job) {
    int64_t turns =
                job->steps - job->first_step + (job->epochs + 1) * job->evaluation_turns + PLANS,
            ops = 1;
    for (int c = 0; c < job->set.count; c++) {
        const Program *p = &job->set.programs[c];
        for (int i = 0; i < p->plan_count; i++)
            if (p->plans[i].op_count > ops) ops = p->plans[i].op_count;
    }
    int64_t steps = turns < SPANS_MOST ? turns : SPANS_MOST, spans = !job->options.spans ? 0
                                                                     : steps * ops < SPANS_MOST
                                                                         ? steps * ops
                                                                         : SPANS_MOST;
    size_t per_rank = (size_t)steps * sizeof(StepRecord) + (size_t)spans * sizeof(Span) +
                      (size_t)(job->epochs + 1) * sizeof(Evaluation);
    int ranks = job->options.spec.ranks;
    t->shared_bytes = sizeof(RunShared) + (size_t)ranks * (sizeof(RankResult) + per_rank);
    t->shared = mmap(NULL, t->shared_bytes, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->shared == MAP_FAILED) {
        t->shared = NULL;
        FAIL(ERR_MEMORY, "no memory for the records of %d ranks (%zu bytes)", ranks,
             t->shared_bytes);
    }
    RunShared *s = t->shared;
    s->results = (RankResult *)(s + 1);
    unsigned char *at = (unsigned char *)(s->results + ranks);
    for (int r = 0; r < ranks; r++) {
        Timeline *line = &s->results[r].timeline;
        *line = (Timeline){.rank = r, .step_capacity = (int)steps, .span_capacity = (int)spans};
        line->steps = (StepRecord *)at;
        line->spans = (Span *)(line->steps + steps);
        s->results[r].evaluations = (Evaluation *)(line->spans + spans);
        at = (unsigned char *)(s->results[r].evaluations + job->epochs + 1);
    }
    return OK;
}

Status launch_check_divergence(const Training *t, const Job *job) {
    const RankResult *r = &t->shared->results[0];
    const JobOptions *o = &job->options;
    char what[160] = "", kept[320] = "what was done is kept";
    long long step = (long long)r->diverged_step;
    if (r->diverged == DIVERGED_NOT) return OK;
    if (r->diverged == DIVERGED_LOSS || r->diverged == DIVERGED_GRADIENTS)
        snprintf(what, sizeof what, "%s not finite in step %lld of %lld",
                 r->diverged == DIVERGED_LOSS ? "the loss is" : "the gradients are", step + 1,
                 (long long)job->steps);
    else
        snprintf(what, sizeof what, "%s not finite after step %lld of %lld",
                 r->diverged == DIVERGED_WEIGHTS ? "weights are" : "the loss of the evaluation is",
                 step, (long long)job->steps);
    if (o->save && r->copied_step)
        snprintf(kept, sizeof kept, "%.200s%s has the weights after step %lld, the last good ones",
                 o->save, o->save_shards ? ".index.json" : "", (long long)r->copied_step);
    else if (o->save)
        snprintf(kept, sizeof kept, "no weights are saved, as none were good");
    FAIL(ERR_FAILED, "%s: training diverged; a smaller --lr than %g may help; %s", what,
         o->spec.learning_rate, kept);
}

void launch_finish(Training *t) {
    if (t->shared) munmap(t->shared, t->shared_bytes);
    *t = (Training){0};
}

// Ranks take the cores that this process may use in turn. A rank alone is not pinned: it would
// share a core with every other such run while the others idle.
static void pin(int rank) {
    cpu_set_t allowed;
    if (process_cores(&allowed)) process_pin(&allowed, rank);
}

// What every kind of rank does, from joining to its last byte. A failure is told to the peers.
static Status one_rank(const Job *job, RunShared *shared, CommWorld *world, int rank,
                       const RunHooks *hooks) {
    Rank *r = calloc(1, sizeof *r);
    if (!r) FAIL(ERR_MEMORY, "rank %d: out of memory", rank);
    if (world) pin(rank);
    Status s = rank_create(r, job, shared, world, rank, hooks);
    if (s == OK) s = rank_run(r);
    if (s != OK && world && r->comm.methods) comm_abandon(&r->comm, s, status_message());
    rank_destroy(r);
    free(r);
    return s;
}

// The class of a rank where there are several, else "".
static const char *class_of(const Job *job, int rank) {
    const ProgramSet *set = &job->set;
    return set->count > 1 ? program_set_name(set, program_set_class(set, rank)) : "";
}

// "rank 1", "rank 1 (class stage1)".
enum { RANK_TEXT = 160 };
static const char *rank_text(char out[RANK_TEXT], const Job *job, int rank) {
    const char *class = class_of(job, rank);
    snprintf(out, RANK_TEXT, *class ? "rank %d (class %.120s)" : "rank %d", rank, class);
    return out;
}

// The message of the rank that failed first. Who waited for a rank in vain named it without its
// class, which a communicator does not know.
static Status first_failure(const CommWorld *world, const Job *job) {
    int rank;
    const char *text;
    char who[RANK_TEXT];
    Status s = comm_world_failure(world, &rank, &text);
    if (s == OK) return OK;
    if (s != ERR_PEER || !*class_of(job, rank) || strstr(text, rank_text(who, job, rank)))
        FAIL(s, "%s", text);
    FAIL(s, "%s; rank %d is of class %s", text, rank, class_of(job, rank));
}

// --- processes

typedef struct {
    pid_t pids[COMM_RANKS];          // 0: ended
    int stopped_by[COMM_RANKS];      // the signal that a rank is stopped by; 0: it runs
    int64_t stopped_ns[COMM_RANKS];  // for how long
    int ranks, alive;
    int64_t looked_ns;   // when the launcher last looked
    int64_t kill_at_ns;  // when those that are left are killed; 0: nobody failed yet
    const Job *job;
    CommWorld *world;
    RunShared *shared;
} Children;

// "at bucket0, step 12", "at fc1.forward of evaluate, step 160".
static void where(const Children *c, int rank, char *out, size_t size) {
    int plan, op;
    int64_t step;
    comm_world_position(c->world, rank, &plan, &op, &step);
    const Program *p = job_program(c->job, rank);
    if (plan == NONE)
        snprintf(out, size, step ? "while it wrote its results" : "before its first operation");
    else
        snprintf(out, size, "at %s%s%s, step %lld", op_name(p, &p->plans[plan].ops[op]),
                 plan == c->job->plan_step ? "" : " of ",
                 plan == c->job->plan_step ? "" : program_name(p, p->plans[plan].name),
                 (long long)step);
}

// A rank can take no further part. The message is kept only when no rank failed before.
static void lose(Children *c, int rank, const char *message) {
    comm_world_lost(c->world, rank, message);
    if (!c->kill_at_ns) c->kill_at_ns = clock_ns() + GRACE_NS;
}

static void note_end(Children *c, int rank, int status) {
    c->pids[rank] = 0;
    c->stopped_by[rank] = 0;
    c->alive--;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    char who[RANK_TEXT], place[160], text[480];
    rank_text(who, c->job, rank);
    where(c, rank, place, sizeof place);
    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "%s was lost: killed by signal %d (%s), %s", who,
                 WTERMSIG(status), strsignal(WTERMSIG(status)), place);
    else
        snprintf(text, sizeof text, "%s was lost: it ended with status %d, %s", who,
                 WEXITSTATUS(status), place);
    lose(c, rank, text);
}

// Whether a rank ended, was stopped or went on.
static bool hear(Children *c) {
    bool any = false;
    for (int r = 0; r < c->ranks; r++) {
        int status;
        if (!c->pids[r] ||
            waitpid(c->pids[r], &status, WNOHANG | WUNTRACED | WCONTINUED) != c->pids[r])
            continue;
        any = true;
        c->stopped_ns[r] = 0;
        c->stopped_by[r] = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
        if (WIFEXITED(status) || WIFSIGNALED(status)) note_end(c, r, status);
    }
    return any;
}

// A rank that is stopped may have no peer that waits for it, or peers that are stopped too: then
// only the launcher can tell that it stays away. Time in which the launcher was stopped itself
// (Ctrl-Z stops all) does not count.
static void time_stopped(Children *c) {
    int64_t now = clock_ns(), passed = now - c->looked_ns,
            most = c->job->options.comm_options.timeout_ns;
    if (!most) most = COMM_TIMEOUT_NS;
    c->looked_ns = now;
    for (int r = 0; r < c->ranks; r++) {
        if (!c->stopped_by[r]) continue;
        c->stopped_ns[r] += passed < 2 * LOOK_NS ? passed : 2 * LOOK_NS;
        if (c->stopped_ns[r] <= most) continue;
        char who[RANK_TEXT], place[160], text[480];
        where(c, r, place, sizeof place);
        snprintf(text, sizeof text, "%s was stopped by signal %d for more than %g s, %s",
                 rank_text(who, c->job, r), c->stopped_by[r], (double)most * 1e-9, place);
        lose(c, r, text);
    }
}

// A rank failed: the others end by themselves, but not those that are stopped.
static void kill_rest(const Children *c) {
    bool late = clock_ns() > c->kill_at_ns;
    for (int r = 0; r < c->ranks; r++)
        if (c->pids[r] && (late || c->stopped_by[r])) kill(c->pids[r], SIGKILL);
}

// SIGCHLD is blocked, so that none is missed between looking and waiting.
static void watch(Children *c) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    c->looked_ns = clock_ns();
    while (c->alive > 0) {
        if (hear(c)) continue;
        time_stopped(c);
        const atomic_int *interrupt = c->job->options.interrupt;
        if (interrupt && *interrupt) comm_world_post(c->world, 1);
        if (c->kill_at_ns) kill_rest(c);
        struct timespec soon = {.tv_nsec = LOOK_NS};
        sigtimedwait(&child, NULL, &soon);
    }
}

static void start_child(Children *c, int rank, const RunHooks *hooks, const sigset_t *mask) {
    char name[32];
    snprintf(name, sizeof name, "train-rank%d", rank);
    pid_t pid = process_fork(name);
    c->pids[rank] = pid > 0 ? pid : 0;
    if (pid > 0) c->alive++;
    if (pid) return;
    sigprocmask(SIG_SETMASK, mask, NULL);
    Status s = one_rank(c->job, c->shared, c->world, rank, hooks);
    fflush(NULL);
    _exit(status_exit(s));
}

static Status run_processes(Training *t, const Job *job, CommWorld *world, const RunHooks *hooks) {
    Children c = {
        .ranks = job->options.spec.ranks, .job = job, .world = world, .shared = t->shared};
    sigset_t child, before;
    struct sigaction usual = {.sa_handler = SIG_DFL}, inherited;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before);
    sigaction(SIGCHLD, &usual, &inherited);  // were it ignored, no end would be told
    fflush(NULL);                            // or every child would write it again
    for (int r = 0; r < c.ranks; r++) {
        start_child(&c, r, hooks, &before);
        if (c.pids[r] > 0) continue;
        char text[160];
        snprintf(text, sizeof text, "rank %d could not be started: %s", r, strerror(errno));
        lose(&c, r, text);
        break;
    }
    watch(&c);
    sigaction(SIGCHLD, &inherited, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return first_failure(world, job);
}

// --- threads

typedef struct {
    pthread_t thread;
    const Job *job;
    RunShared *shared;
    CommWorld *world;
    const RunHooks *hooks;
    int rank;
    bool started;
} RankThread;

static void *thread_main(void *argument) {
    RankThread *t = argument;
    if (one_rank(t->job, t->shared, t->world, t->rank, t->hooks) != OK) {
    }  // comm_abandon kept its message
    return NULL;
}

// Wait for a thread: for ever while no rank has failed, afterwards until *until_ns, which the first
// look after a failure sets. False: it still runs.
static bool join(pthread_t thread, const CommWorld *world, int64_t *until_ns) {
    for (;;) {
        int rank;
        const char *text;
        struct timespec soon;
        if (!*until_ns && comm_world_failure(world, &rank, &text) != OK)
            *until_ns = clock_ns() + GRACE_NS;
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += LOOK_NS;
        soon.tv_sec += soon.tv_nsec / 1000000000;
        soon.tv_nsec %= 1000000000;
        if (pthread_timedjoin_np(thread, NULL, &soon) == 0) return true;
        if (*until_ns && clock_ns() > *until_ns) return false;
    }
}

static Status run_threads(Training *t, const Job *job, CommWorld *world, const RunHooks *hooks) {
    int ranks = job->options.spec.ranks, stuck = NONE;
    int64_t until_ns = 0;
    RankThread *threads = calloc((size_t)ranks, sizeof *threads);
    if (!threads) FAIL(ERR_MEMORY, "out of memory for %d threads", ranks);
    for (int r = 0; r < ranks; r++) {
        threads[r] = (RankThread){
            .job = job, .shared = t->shared, .world = world, .hooks = hooks, .rank = r};
        threads[r].started =
            pthread_create(&threads[r].thread, NULL, thread_main, &threads[r]) == 0;
        if (!threads[r].started)
            comm_world_lost(world, r, "a thread could not be started; try --comm shm");
    }
    for (int r = 0; r < ranks; r++)
        if (threads[r].started && !join(threads[r].thread, world, &until_ns) && stuck == NONE)
            stuck = r;
    t->stuck = stuck != NONE;
    Status s = first_failure(world, job);
    if (!t->stuck) {
        free(threads);
        return s;
    }
    char text[STATUS_TEXT];
    snprintf(text, sizeof text, "%s", status_message());
    FAIL(ERR_PEER, "%.400s; rank %d does not end", text, stuck);
}

// --- lockstep: all ranks in this thread

static Status advance_all(Rank *ranks, int count, CommWorld *world) {
    bool done[COMM_RANKS] = {false};
    for (int left = count; left > 0;) {
        bool any = false;
        for (int r = 0; r < count; r++) {
            bool moved;
            if (done[r]) continue;
            TRY(executor_advance(&ranks[r].executor, &done[r], &moved));
            any = any || moved || done[r];
            left -= done[r];
        }
        if (any) continue;
        char text[STATUS_TEXT / 2];
        comm_world_explain(world, text, sizeof text);
        FAIL(ERR_PLAN, "deadlock in plan %s: %s",
             program_name(ranks[0].executor.program,
                          ranks[0].executor.program->plans[ranks[0].executor.plan].name),
             text);
    }
    return OK;
}

static Status lockstep_gather(Rank *ranks, int count, bool ends) {
    for (bool more = true; more;)
        for (int r = 0; r < count; r++) TRY(rank_gather(&ranks[r], ends, &more));
    return OK;
}

static Status lockstep_checkpoint(Rank *ranks, int count) {
    TRY(lockstep_gather(ranks, count, false));
    for (int r = 0; r < count; r++) TRY(rank_checkpoint(&ranks[r]));
    return OK;
}

static Status lockstep(Rank *ranks, int count, CommWorld *world) {
    for (bool more = true; more;) {
        for (int r = 0; r < count; r++) TRY(agreement_bring(&ranks[r].agreement));
        for (int r = 0; r < count; r++) TRY(agreement_look(&ranks[r].agreement, &more));
    }
    for (bool more = true; more;) {
        for (int r = 0; r < count; r++) TRY(rank_begin_turn(&ranks[r], &more));
        if (!more) break;
        TRY(advance_all(ranks, count, world));
        for (int r = 0; r < count; r++) TRY(rank_end_turn(&ranks[r]));
        if (rank_checkpoint_due(&ranks[0])) TRY(lockstep_checkpoint(ranks, count));
    }
    TRY(lockstep_gather(ranks, count, true));
    for (int r = 0; r < count; r++) TRY(rank_finish(&ranks[r]));
    return OK;
}

static Status run_lockstep(Training *t, const Job *job, CommWorld *world, const RunHooks *hooks) {
    int count = job->options.spec.ranks;
    Rank *ranks = calloc((size_t)count, sizeof *ranks);
    if (!ranks) FAIL(ERR_MEMORY, "out of memory for %d ranks", count);
    Status s = OK;
    for (int r = 0; r < count && s == OK; r++)
        s = rank_create(&ranks[r], job, t->shared, world, r, hooks);
    if (s == OK) s = lockstep(ranks, count, world);
    for (int r = 0; r < count; r++) rank_destroy(&ranks[r]);
    free(ranks);
    return s;
}

static Status run_kind(Training *t, const Job *job, CommWorld *world, const RunHooks *hooks) {
    switch (job->options.comm) {
    case COMM_SERIAL: return run_lockstep(t, job, world, hooks);
    case COMM_THREAD: return run_threads(t, job, world, hooks);
    case COMM_SHM: return run_processes(t, job, world, hooks);
    case COMM_KINDS: break;
    }
    return OK;
}

static void destroy_pools(const QueueMethods *queue, const CommRoom *rooms, int ranks) {
    for (int r = 0; r < ranks; r++)
        if (rooms[r].pool) queue->pool_destroy(rooms[r].pool, QUEUE_POOL_SHARED, r);
}

// What each rank needs; a device with memory of its own makes the pools that ranks share.
static Status make_rooms(const Job *job, CommRoom *rooms) {
    const QueueMethods *queue = job->device->queue;
    for (int r = 0; r < job->options.spec.ranks; r++) {
        rooms[r] = executor_room(program_set_program(&job->set, r));
        if (queue)
            TRY(queue->pool_create(&rooms[r].pool, QUEUE_POOL_SHARED, r, rooms[r].pool_bytes));
    }
    return OK;
}

static Status run_world(Training *t, const Job *job, const RunHooks *hooks) {
    CommWorld *world = NULL;
    const JobOptions *o = &job->options;
    CommRoom rooms[COMM_RANKS] = {{0}};
    Status s = make_rooms(job, rooms);
    if (s == OK) s = comm_world_create(&world, o->comm, o->spec.ranks, rooms, &o->comm_options);
    if (s == OK) s = run_kind(t, job, world, hooks);
    if (t->stuck) return s;  // a thread still uses all of it
    comm_world_destroy(world);
    destroy_pools(job->device->queue, rooms, o->spec.ranks);
    return s;
}

// The cores that ranks are pinned to, or may choose among, and how many of them they use at once.
static void note_cores(RunShared *s, const JobOptions *o) {
    bool pinned = o->spec.ranks > 1 && o->comm != COMM_SERIAL;
    int count = process_cores(&s->cores);
    s->threads = 1;
    if (!pinned || count < 1) return;
    s->threads = o->spec.ranks < count ? o->spec.ranks : count;
    for (int core = CPU_SETSIZE - 1; count > s->threads; core--) {
        if (!CPU_ISSET((size_t)core, &s->cores)) continue;
        CPU_CLR((size_t)core, &s->cores);
        count--;
    }
}

Status launch_run(Training *out, const Job *job, const RunHooks *hooks) {
    *out = (Training){0};
    TRY(device_reserve(job->device,
                       job->options.comm == COMM_THREAD ? job->options.spec.ranks : 1));
    TRY(create_shared(out, job));
    note_cores(out->shared, &job->options);
    out->shared->origin_ns = clock_ns();
    Status s = job->options.spec.ranks > 1 ? run_world(out, job, hooks)
                                           : one_rank(job, out->shared, NULL, 0, hooks);
    out->wall_ns = clock_ns() - out->shared->origin_ns;
    out->interrupted = out->shared->results[0].interrupted;
    return s;
}
