// SPDX-License-Identifier: MIT
// The steps of program_lower().
#ifndef CORE_PLAN_LOWER_INTERNAL_H
#define CORE_PLAN_LOWER_INTERNAL_H

#include "core/plan/lower.h"
#include "core/plan/order.h"

// Replace chains of operations by fused ones: bit f of `fusions` allows Fusion f. `order` is the
// plan's, whose data dependencies are complete.
Status fuse_plan(Program *p, Plan *plan, const PlanOrder *order, uint32_t fusions) MUST_USE;

// Decide pools and offsets, add reuse dependencies, set pool_bytes and role_bytes. host_pool: what
// the host writes has a pool of its own.
Status layout_tensors(Program *p, bool host_pool) MUST_USE;

enum { LAYOUT_ALIGN = 64 };  // bytes, of every offset

// The last operation of a lane that touches a tensor during a stay.
typedef struct {
    int32_t op, next;  // next: in Lives.ends, or NONE
} End;

// The time that the memory of a tensor, aliases included, is in use in one plan. Times count the
// places (PlanOrder.place) of one plan after the other.
typedef struct {
    int32_t tensor, plan;
    int32_t first, last;  // times of its first and last operation
    int32_t begin;        // the first operation
    int32_t end;          // its first end, on any lane, in Lives.ends
    int32_t next;         // stay of the tensor in a later plan, or NONE
} Stay;

typedef struct {
    const Program *p;
    PlanOrder orders[PLANS];
    int32_t time[PLANS + 1];  // when each plan begins
    Stay *stays;              // owned, as `ends`
    End *ends;
    int32_t *root;          // [tensor] program_root()
    int64_t *room;          // [tensor] bytes, of which the last may belong to views of shares
    int32_t *first_stay;    // [tensor] or NONE; a root's stays in the order of plans
    uint8_t *communicated;  // [tensor] a communication touches it, so that peers address it
    uint8_t *used;          // [tensor] it needs memory
    int stay_count, stay_capacity, end_count, end_capacity;
    int32_t *members;  // tensors with memory of their own, by region: a role in a pool
    int32_t region_first[POOL_COUNT * ROLE_COUNT + 1];  // in `members`
} Lives;

Status lives_init(Lives *l, Arena *a, const Program *p) MUST_USE;
Status lives_find_regions(Lives *l, Arena *a) MUST_USE;  // once tensors have their pools
void lives_finish(Lives *l);

// May a tensor of stay `after` take over memory from one of stay `before`, an earlier one of the
// same plan? What touched the memory has ended when the first operation of `after` begins; or that
// is a load, which may be made to wait for the rest.
bool lives_hand_over(const Lives *l, const Stay *before, const Stay *after);

int64_t layout_aligned(int64_t bytes);  // rounded up to LAYOUT_ALIGN

// The members of a region, in table order; how many.
static inline const int32_t *lives_members(const Lives *l, int pool, int role, int *count) {
    const int32_t *first = &l->region_first[pool * ROLE_COUNT + role];
    *count = first[1] - first[0];
    return &l->members[first[0]];
}

// One role's memory in one pool: where tensors fit. loads: some of them are begun by a load.
typedef struct Region Region;
Status region_create(Region **out, const Lives *l, bool loads) MUST_USE;
void region_destroy(Region *r);

// Give the tensor the lowest offset, from the beginning of the region, at which it meets no tensor
// there that it can neither take memory over from nor hand it over to.
Status region_place(Region *r, int tensor, int64_t *offset) MUST_USE;

// Add to every plan the DEP_REUSE dependencies that make the offsets safe; offsets count from the
// beginning of their region.
Status reuse_add_deps(Program *p, const Lives *l) MUST_USE;

#endif
