// SPDX-License-Identifier: MIT
// The memory of the BLAS library, which is taken before ranks start.
#include "core/device/cpu/cpu.h"

#include <assert.h>
#include <cblas.h>
#include <sys/mman.h>
#include <sys/resource.h>

// OpenBLAS takes memory for each thread that computes at once, when it first does, and keeps it.
// Where it gets none it asks again, for ever: so it is told to take it while we can still say no.
// These two are not in its header; every version since GotoBLAS has them.
void *blas_memory_alloc(int position);
void blas_memory_free(void *buffer);

enum { BUFFER_BYTES = 128 << 20, RESERVED = 64 };  // the largest buffer of any processor's kernels

static bool is_limited(int resource) {
    struct rlimit limit;
    return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

static bool has_room(void) {
    void *room = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return false;
    munmap(room, BUFFER_BYTES);
    return true;
}

Status cpu_reserve(int threads) {
    void *buffers[RESERVED];
    int taken = 0;
    if (!is_limited(RLIMIT_AS) && !is_limited(RLIMIT_DATA)) return OK;
    assert(threads <= RESERVED);
    while (taken < threads && has_room()) buffers[taken++] = blas_memory_alloc(0);
    for (int i = taken; i-- > 0;) blas_memory_free(buffers[i]);
    if (taken == threads) return OK;
    FAIL(ERR_MEMORY,
         "no memory for the BLAS library: it takes %d MiB for each thread that computes, and the "
         "limit of this process (ulimit -v or -d) leaves enough for %d of %d; raise it, or give "
         "--device reference",
         BUFFER_BYTES >> 20, taken, threads);
}
