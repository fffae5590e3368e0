// SPDX-License-Identifier: MIT
// From what a strategy asks for to what runs: fusion, scratch, memory layout.
#ifndef CORE_PLAN_LOWER_H
#define CORE_PLAN_LOWER_H

#include "core/plan/set.h"

// Chains of operations that a device executes as one kernel. A chain follows the first output of
// each member; what only members read is never stored.
#define FUSION_LIST(X)                                                           \
    X(CONV2D_RELU_MAX_POOL, "conv2d+relu+max_pool")                              \
    X(CONV2D_RELU, "conv2d+relu")                                                \
    X(LINEAR_RELU, "linear+relu")                                                \
    X(POOLED_CONV2D_BACKWARD, "relu_backward+max_pool_backward+conv2d_backward") \
    X(CONV2D_BACKWARD, "conv2d_backward_weight+conv2d_backward_input")           \
    X(LAYER_NORM_BACKWARD, "layer_norm_backward_weight+layer_norm_backward_input")
typedef enum {
#define X(constant, name) FUSION_##constant,
    FUSION_LIST(X)
#undef X
        FUSION_COUNT
} Fusion;
const char *fusion_name(Fusion f);

// What lower() needs to know of a device; instances are in core/platform.
typedef struct {
    const char *name;
    uint32_t fusions;  // bit f: the device has a kernel for Fusion f
    bool own_memory;   // apart from the host's: what the host writes goes to POOL_HOST
    // Bytes of scratch that one operation needs, a pure function of the work and its operands'
    // shapes. `members` are the fused operations (or `op` itself, count 1).
    int64_t (*scratch_bytes)(const Program *p, const Plan *plan, const Op *members, int count);
} DeviceTraits;

// Lower a checked program in place: fuse, add scratch to each lane that needs some (Lane.scratch;
// a communication lane's is as large as the largest Work.work_bytes of its operations, which
// collective_work_lower() in parallel/strategy fills in and then calls this), decide which tensors
// peers must address (operands of communication and what its schedules work in), give every tensor
// an offset in its pool (64-byte aligned; transient tensors share memory where their lives do not
// overlap), add DEP_REUSE dependencies that make the layout safe under every interleaving of lanes,
// derive data dependencies, and set pool_bytes and role_bytes.
// Pure: equal programs and traits give equal results.
Status program_lower(Program *p, const DeviceTraits *traits) MUST_USE;

// Lower every program of a set that passed plan_check(), and check the result again: nothing that
// lower() adds may keep ranks from going on. ERR_PLAN.
Status program_set_lower(ProgramSet *s, const DeviceTraits *traits) MUST_USE;

#endif
