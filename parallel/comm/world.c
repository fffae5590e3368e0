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

Status comm_world_create(CommWorld **out, CommKind kind, int ranks, int64_t pool_bytes,
                         const CommOptions *options) {
    *out = NULL;
    if (ranks < 1 || ranks > COMM_RANKS)
        FAIL(ERR_USAGE, "%d ranks: --comm %s takes 1 to %d", ranks, comm_kind_name(kind),
             COMM_RANKS);
    bool linked = options && options->link.bytes_per_s > 0;
    if (linked && kind == COMM_SERIAL)
        FAIL(ERR_USAGE, "--comm serial performs a communication at once, without a link: an "
                        "emulated one needs --comm thread or shm");
    int64_t link_at = whole_pages((int64_t)sizeof(Control) + ranks * (int64_t)sizeof(SharedRank));
    int64_t link_bytes = linked ? ranks * COMM_LANES * (int64_t)sizeof(SharedLink) : 0;
    int64_t control_bytes = link_at + whole_pages(link_bytes);
    if (pool_bytes < 0 || pool_bytes > (INT64_MAX / 2 - control_bytes) / ranks)
        FAIL(ERR_MEMORY, "no memory for %d pools of %lld bytes", ranks, (long long)pool_bytes);
    CommWorld *w = calloc(1, sizeof *w);
    if (!w) FAIL(ERR_MEMORY, "no memory for a communicator");
    const CommOptions how = comm_options_resolve(options, ranks);
    w->kind = kind;
    w->ranks = ranks;
    w->oversubscribed = ranks > how.cores;
    w->timeout_ns = how.timeout_ns;
    w->spin_ns = how.spin_ns;
    w->pool_bytes = pool_bytes;
    w->pool_stride = whole_pages(pool_bytes);
    w->memory_bytes = (size_t)(control_bytes + ranks * w->pool_stride);
    Status s = map_memory(w);
    if (s != OK) {
        free(w);
        return s;
    }
    w->control = w->memory;
    w->links = linked ? (SharedLink *)((char *)w->memory + link_at) : NULL;
    if (linked) w->link = options->link;
    w->pools = (char *)w->memory + control_bytes;
    for (int r = 0; r < ranks; r++) atomic_init(&w->control->ranks[r].at_plan, NONE);
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
                  .pool = world_pool(w, rank),
                  .world = w};
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
