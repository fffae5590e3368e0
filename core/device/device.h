// SPDX-License-Identifier: MIT
// A device: memory and a table of kernels. `reference` is the specification, every other device
// must agree with it (tests/core/device/test_device.c runs each table against it).
//
// Kernels are void: whoever calls them has checked the shapes. They allocate nothing, keep no
// state, and depend on shapes alone (docs/contract.md, 5).
#ifndef CORE_DEVICE_DEVICE_H
#define CORE_DEVICE_DEVICE_H

#include "core/device/queue.h"
#include "core/plan/lower.h"
#include "core/plan/program.h"
#include "core/platform/machine.h"

// One operand as a kernel sees it: C order, dimension 0 first.
typedef struct {
    void *data;           // 64-byte aligned; NULL when absent, or virtual inside a fused operation
    int64_t shape[DIMS];  // capacity; shape[0] rows are allocated
    int dims;
    const int64_t *live;  // * live_times: rows of dimension 0 in use now; NULL: all
    int64_t live_times;
} Operand;

static inline int64_t operand_rows(const Operand *o) {
    return o->live ? *o->live * o->live_times : o->shape[0];
}

// One operation, bound to memory. Operands are in the order of KIND_LIST: outputs, then inputs.
typedef struct KernelCall {
    Kind kind;
    Dtype dtype;      // of the arithmetic: a real one; of a copy any
    bool accumulate;  // add to dweight, dbias, loss or sum instead of overwriting them
    int outputs, inputs;
    const Operand *operand;
    int64_t first_block;               // of a sum per block: the block at which a share begins
    const int64_t *attr;               // kind_attribute_count(kind) of them
    void *scratch;                     // traits->scratch_bytes() bytes, 64-byte aligned
    const struct KernelCall *members;  // of a fused operation, in order, with their own operands
    int member_count;
    Fusion fusion;
    // On a device with lanes: a scalar of its memory, f64 or i64, while which is zero the operation
    // does nothing. Else NULL: the executor looks before it calls.
    const void *guard;
    bool guard_is_i64;
} KernelCall;

typedef void (*Kernel)(const KernelCall *call);

typedef struct Device {
    const char *name;
    const DeviceTraits *traits;
    // Prepares the device and returns the table to run, maybe another one of its own; NULL: this.
    const struct Device *(*choose)(void);
    const struct Device *slower;  // the same bits, for processors that lack something; or NULL
    // By type: NULL for communication and host work, and for what the device cannot do. Only copies
    // are of other types than the real ones.
    Kernel kernel[KIND_COUNT][DTYPE_COUNT];
    Kernel fused[FUSION_COUNT][DTYPE_REALS];  // NULL where traits->fusions has no bit
    // A described device (core/device/timed): its kernels compute nothing, and operations last as
    // long as the model says, slowed down by slowdown_permille thousandths.
    const DeviceModel *model;  // borrowed; NULL: the device computes
    int64_t slowdown_permille;
    // Takes the memory that its libraries need for so many threads that compute at once, before
    // they start; NULL: none is needed. ERR_MEMORY where the process may not have as much.
    Status (*reserve)(int threads);
    // Of a device that works beside the host, lane by lane; its kernels above only say what there
    // is. NULL: a kernel has computed when it returns, in memory that the host shares.
    const QueueMethods *queue;
} Device;

extern const Device device_reference;

// The device of that name. ERR_USAGE lists the names, with the nearest; ERR_UNAVAILABLE says what
// brings a device that this build does not have ("timed" alone: that it needs a machine).
Status device_find(const Device **out, const char *name) MUST_USE;

// Has the device a kernel for every computation of the lowered program, in its type?
// ERR_UNAVAILABLE names the first that has none.
Status device_check(const Device *d, const Program *p) MUST_USE;

// See Device.reserve.
static inline MUST_USE Status device_reserve(const Device *d, int threads) {
    return d->reserve ? d->reserve(threads) : OK;
}

// Execute one bound operation.
static inline void device_run(const Device *d, const KernelCall *c) {
    Kernel k = c->kind == KIND_FUSED ? d->fused[c->fusion][c->dtype] : d->kernel[c->kind][c->dtype];
    k(c);
}

#endif
