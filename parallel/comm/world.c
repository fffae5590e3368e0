// SPDX-License-Identifier: MIT
// The memory that ranks share, and what is known of their failures and positions.
#include "parallel/comm/world_internal.h"

#include "core/base/units.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { PAGE = 4096, WRITING = 1, WRITTEN = UINT16_MAX };

static const struct {
    const char *name;
    const CommMethods *methods;
} kinds[COMM_KINDS] = {
    [COMM_SERIAL] = {"serial", &comm_serial_methods},
    [COMM_THREAD] = {"thread", &comm_thread_methods},
    [COMM_SHM] = {"shm", &comm_shm_methods},
};

const char *comm_kind_name(CommKind k) { return k < COMM_KINDS ? kinds[k].name : "?"; }

int comm_kind_find(const char *name) {
    for (int k = 0; k < COMM_KINDS; k++)
        if (!strcmp(kinds[k].name, name)) return k;
    return -1;
}

// --- memory

// An open file without a name, its pages reserved: there is never a name that could remain, and a
// lack of room is an error now instead of a SIGBUS later.
static Status open_nameless(int *out, int64_t bytes) {
    char need[UNITS_TEXT], free[UNITS_TEXT];
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        FAIL(ERR_IO,
             "cannot create %s of shared memory in /dev/shm: %s; mount a tmpfs there or use --comm "
             "thread",
             units_print_size(need, bytes), strerror(errno));
    int error;
    do error = posix_fallocate(fd, 0, bytes);
    while (error == EINTR);
    if (error) {
        struct statfs s = {0};
        int known = fstatfs(fd, &s);
        close(fd);
        FAIL(ERR_MEMORY,
             "no room in shared memory: the ranks need %s, /dev/shm has %s free (%s); enlarge it "
             "(mount -o remount,size=… /dev/shm), "
             "use fewer ranks or --comm thread",
             units_print_size(need, bytes),
             known == 0 ? units_print_size(free, (int64_t)s.f_bavail * s.f_bsize) : "?",
             strerror(error));
    }
    *out = fd;
    return OK;
}

static Status map_memory(CommWorld *w) {
    char need[UNITS_TEXT];
    int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (w->kind == COMM_SHM) {
        TRY(open_nameless(&fd, (int64_t)w->memory_bytes));
        flags = MAP_SHARED;
    }
    void *memory = mmap(NULL, w->memory_bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    int error = errno;
    if (fd >= 0) close(fd);
    if (memory == MAP_FAILED)
        FAIL(ERR_MEMORY, "no memory for %d ranks: %s are needed (%s)", w->ranks,
             units_print_size(need, (int64_t)w->memory_bytes), strerror(error));
    w->memory = memory;
    return OK;
}

static int64_t whole_pages(int64_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

static int usable_cores(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                       : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

CommOptions comm_options_resolve(const CommOptions *options, int ranks) {
    CommOptions o = options ? *options : (CommOptions){0};
    if (o.cores <= 0) o.cores = usable_cores();
    if (o.timeout_ns <= 0) o.timeout_ns = COMM_TIMEOUT_NS;
    if (o.spin_ns <= 0) o.spin_ns = ranks > o.cores ? 0 : COMM_SPIN_NS;
    return o;
}

// Where everything lies, counted from the beginning of `memory`: the control block, links, what
// each rank publishes, then the pools. False: more bytes than there can be.
typedef struct {
    int64_t links, published[COMM_RANKS], pool[COMM_RANKS], end;
} Layout;

static bool take_pages(int64_t *end, int64_t bytes) {
    if (bytes < 0 || bytes > INT64_MAX / 4 - *end) return false;
    *end += whole_pages(bytes);
    return true;
}

static bool lay_out(Layout *l, int ranks, const CommRoom rooms[], bool linked) {
    *l = (Layout){0};
    if (!take_pages(&l->end, (int64_t)sizeof(Control) + ranks * (int64_t)sizeof(SharedRank)))
        return false;
    l->links = l->end;
    if (linked && !take_pages(&l->end, ranks * COMM_LANES * (int64_t)sizeof(SharedLink)))
        return false;
    for (int r = 0; r < ranks; r++) {
        l->published[r] = l->end;
        if (!take_pages(&l->end, rooms[r].calls * (int64_t)sizeof(Published) +
                                     rooms[r].segments * (int64_t)sizeof(CommSegment)))
            return false;
    }
    for (int r = 0; r < ranks; r++) {
        l->pool[r] = l->end;
        if (!take_pages(&l->end, rooms[r].pool ? 0 : rooms[r].pool_bytes)) return false;
    }
    return true;
}

static void share_out(CommWorld *w, const Layout *l, const CommRoom rooms[], bool linked) {
    char *memory = w->memory;
    w->control = w->memory;
    w->links = linked ? (SharedLink *)(void *)(memory + l->links) : NULL;
    for (int r = 0; r < w->ranks; r++) {
        Published *calls = (Published *)(void *)(memory + l->published[r]);
        w->of[r] = (RankMemory){.pool = rooms[r].pool ? rooms[r].pool : memory + l->pool[r],
                                .calls = calls,
                                .segments = (CommSegment *)(void *)(calls + rooms[r].calls),
                                .room = rooms[r]};
        atomic_init(&w->control->ranks[r].at_plan, NONE);
    }
}

static Status check_world(CommKind kind, int ranks, bool linked) {
    if (ranks < 1 || ranks > COMM_RANKS)
        FAIL(ERR_USAGE, "%d ranks: --comm %s takes 1 to %d", ranks, comm_kind_name(kind),
             COMM_RANKS);
    if (linked && kind == COMM_SERIAL)
        FAIL(ERR_USAGE, "--comm serial performs a communication at once, without a link: an "
                        "emulated one needs --comm thread or shm");
    return OK;
}

Status comm_world_create(CommWorld **out, CommKind kind, int ranks, const CommRoom rooms[],
                         const CommOptions *options) {
    *out = NULL;
    bool linked = options && options->link.bytes_per_s > 0;
    Layout l;
    TRY(check_world(kind, ranks, linked));
    if (kind == COMM_SHM && rooms[0].pool)
        FAIL(ERR_USAGE, "--comm shm: ranks in processes of their own do not share the memory of "
                        "this device; give --comm serial or thread");
    if (!lay_out(&l, ranks, rooms, linked))
        FAIL(ERR_MEMORY, "no memory for %d pools, the first of %lld bytes", ranks,
             (long long)rooms[0].pool_bytes);
    CommWorld *w = calloc(1, sizeof *w);
    if (!w) FAIL(ERR_MEMORY, "no memory for a communicator");
    const CommOptions how = comm_options_resolve(options, ranks);
    w->kind = kind;
    w->ranks = ranks;
    w->oversubscribed = ranks > how.cores;
    w->timeout_ns = how.timeout_ns;
    w->spin_ns = how.spin_ns;
    w->memory_bytes = (size_t)l.end;
    if (linked) w->link = options->link;
    Status s = map_memory(w);
    if (s != OK) {
        free(w);
        return s;
    }
    share_out(w, &l, rooms, linked);
    *out = w;
    return OK;
}

void comm_world_destroy(CommWorld *w) {
    if (!w) return;
    munmap(w->memory, w->memory_bytes);
    free(w);
}

Status comm_join(Comm *out, CommWorld *w, int rank) {
    if (rank < 0 || rank >= w->ranks) FAIL(ERR_USAGE, "rank %d is not one of %d", rank, w->ranks);
    *out = (Comm){.methods = kinds[w->kind].methods,
                  .rank = rank,
                  .ranks = w->ranks,
                  .pool = w->of[rank].pool,
                  .world = w};
    for (int l = 0; l < COMM_LANES; l++) out->lane_group[l] = NONE;
    if (w->kind == COMM_SERIAL) w->ends[rank] = out;
    return OK;
}

// --- failures

// `asleep` is read after the store that a rank may wait for, both sequentially consistent; shared.c
// shows that then no wake-up is lost. A futex without the private flag works between processes.
void world_ring(CommWorld *w, int rank) {
    SharedRank *words = &w->control->ranks[rank];
    if (!atomic_load(&words->asleep)) return;
    atomic_fetch_add(&words->bell, 1);
    syscall(SYS_futex, &words->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

// The hint is written before `asleep`. If it names another word than the one just stored, the rank
// does not wait for that, or will look at it before it sleeps for it.
void world_ring_for(CommWorld *w, int rank, const void *word) {
    SharedRank *words = &w->control->ranks[rank];
    if (!atomic_load(&words->asleep)) return;
    uintptr_t only = atomic_load(&words->awaits);
    if (only == 0 || only == (uintptr_t)word) world_ring(w, rank);
}

void world_fail(CommWorld *w, Status s, int writer, int rank, const char *message) {
    Control *k = w->control;
    uint32_t found = 0, writing = WRITING + (uint32_t)writer;
    if (!atomic_compare_exchange_strong(&k->failure, &found, writing) && found != writing) return;
    k->status = s;
    k->rank = rank;
    snprintf(k->message, sizeof k->message, "%s", message);
    atomic_store(&k->failure, WRITTEN);
    for (int r = 0; r < w->ranks; r++) world_ring(w, r);
}

Status world_check(const CommWorld *w) {
    if (atomic_load(&w->control->failure) != WRITTEN) return OK;
    FAIL(ERR_PEER, "%s", w->control->message);
}

void comm_abandon(Comm *c, Status s, const char *message) {
    world_fail(c->world, s, c->rank, c->rank, message);
}
void comm_world_lost(CommWorld *w, int rank, const char *message) {
    world_fail(w, ERR_PEER, rank, rank, message);
}

Status comm_world_failure(const CommWorld *w, int *rank, const char **message) {
    if (atomic_load(&w->control->failure) != WRITTEN) return OK;
    *rank = w->control->rank;
    *message = w->control->message;
    return w->control->status;
}

void comm_set_away(Comm *c, bool away) { atomic_store(&shared_rank(c, c->rank)->away, away); }

// --- positions: for messages only, so that the three words need not belong together

void comm_note_position(Comm *c, int plan, int op, int64_t step) {
    SharedRank *words = shared_rank(c, c->rank);
    atomic_store_explicit(&words->at_plan, plan, memory_order_relaxed);
    atomic_store_explicit(&words->at_op, op, memory_order_relaxed);
    atomic_store_explicit(&words->at_step, step, memory_order_relaxed);
}

void comm_world_position(const CommWorld *w, int rank, int *plan, int *op, int64_t *step) {
    const SharedRank *words = &w->control->ranks[rank];
    *plan = atomic_load_explicit(&words->at_plan, memory_order_relaxed);
    *op = atomic_load_explicit(&words->at_op, memory_order_relaxed);
    *step = atomic_load_explicit(&words->at_step, memory_order_relaxed);
}
