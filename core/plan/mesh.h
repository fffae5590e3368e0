// SPDX-License-Identifier: MIT
// The mesh of all ranks: how many there are along each axis, and which axis lies inside which. The
// ranks of the innermost axis are neighbours, so what communicates most goes there. W is the
// product of all sizes. ("Efficient Large-Scale Language Model Training", Narayanan et al. 2021,
// has the order of MESH_ORDER.)
#ifndef CORE_PLAN_MESH_H
#define CORE_PLAN_MESH_H

#include "core/plan/program.h"

// MESH_EXPERT, of the ranks that share experts, is an inner part of the data parallel ranks, and no
// order has it: these are `data` in all, and `expert` neighbours among them have all experts.
typedef enum {
    MESH_PIPE,
    MESH_DATA,
    MESH_CONTEXT,
    MESH_TENSOR,
    MESH_AXES,
    MESH_EXPERT = MESH_AXES
} MeshAxis;

#define MESH_ORDER "pipe,data,context,tensor"

// Sizes; 0 means 1, so that {.data = 4} is a mesh. `order` has the axes, the outermost first; where
// all of it is 0, they are in MESH_ORDER. `expert` ranks along data share experts: with
// `wide_experts` together with all ranks along context.
typedef struct {
    int pipe, data, context, tensor, expert;
    bool wide_experts;
    uint8_t order[MESH_AXES];
} Mesh;

const char *mesh_axis_name(MeshAxis a);
int mesh_size(const Mesh *m, MeshAxis a);  // at least 1
int64_t mesh_ranks(const Mesh *m);
MeshAxis mesh_at(const Mesh *m, int place);  // the axis at a place of the order, 0: the outermost

// Read an order, "tensor,pipe,context,data": each axis once, the outermost first. ERR_USAGE.
Status mesh_parse_order(Mesh *m, const char *text) MUST_USE;

// Give a program the axes of a mesh: "data", and others where they have two ranks or more. Where
// fewer than all data parallel ranks share experts, those that do are the axis "expert", and "data"
// has one rank of each such group. ERR_PLAN when it has one of them already.
Status mesh_add_axes(Program *p, const Mesh *m) MUST_USE;

// An axis of a program by its name, or NONE; its size, 1 where there is none of that name.
int mesh_find_axis(const Program *p, MeshAxis a);
int mesh_axis_size(const Program *p, MeshAxis a);

// The axes of a program along which the batch is cut, bit i for axis i: "data" and "expert". How
// many ranks there are along them: all that are data parallel.
uint16_t mesh_batch_axes(const Program *p);
int mesh_batch_ranks(const Program *p);

// Let a tensor lie alike along some axes, bit i for axis i.
void mesh_place(Placement placement[AXES], uint16_t axes, Placement how);

// The axis along which experts are shared: "expert", or "data" where all ranks along it share them.
int mesh_expert_axis(const Program *p);

// All axes along which they are, bit i for axis i: those of the group "experts", if there is one.
uint16_t mesh_expert_axes(const Program *p);

#endif
