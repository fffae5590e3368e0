// SPDX-License-Identifier: MIT
// A program's axes are listed from the innermost on (program_add_axis()), a mesh's order from the
// outermost on, as people write it.
#include "core/plan/mesh.h"

#include "core/plan/build.h"

#include <string.h>

static const char *const names[MESH_AXES + 1] = {"pipe", "data", "context", "tensor", "expert"};

const char *mesh_axis_name(MeshAxis a) { return names[a]; }

int mesh_size(const Mesh *m, MeshAxis a) {
    const int sizes[MESH_AXES + 1] = {m->pipe, m->data, m->context, m->tensor, m->expert};
    return sizes[a] ? sizes[a] : 1;
}

int64_t mesh_ranks(const Mesh *m) {
    int64_t ranks = 1;
    for (int a = 0; a < MESH_AXES; a++) ranks *= mesh_size(m, (MeshAxis)a);
    return ranks;
}

MeshAxis mesh_at(const Mesh *m, int place) {
    bool given = false;
    for (int i = 0; i < MESH_AXES; i++) given |= m->order[i] != 0;
    return (MeshAxis)(given ? m->order[place] : place);
}

static int axis_named(const char *name, size_t length) {
    for (int a = 0; a < MESH_AXES; a++)
        if (strlen(names[a]) == length && !strncmp(names[a], name, length)) return a;
    return NONE;
}

Status mesh_parse_order(Mesh *m, const char *text) {
    uint8_t order[MESH_AXES];
    unsigned seen = 0;
    int count = 0;
    for (const char *at = text; *at;) {
        at += strspn(at, ", ");
        size_t length = strcspn(at, ", ");
        if (!length) break;
        int axis = axis_named(at, length);
        if (axis == NONE)
            FAIL(ERR_USAGE, "%.*s is no axis; an order has pipe, data, context and tensor",
                 (int)length, at);
        if (seen & 1u << axis) FAIL(ERR_USAGE, "%s is there twice", names[axis]);
        seen |= 1u << axis;
        order[count++] = (uint8_t)axis;
        at += length;
    }
    for (int a = 0; a < MESH_AXES; a++)
        if (!(seen & 1u << a))
            FAIL(ERR_USAGE, "%s is missing; an order has all four axes, such as %s", names[a],
                 MESH_ORDER);
    memcpy(m->order, order, sizeof order);
    return OK;
}

// The ranks that share experts, then the axis of such groups.
static Status add_data(Program *p, const Mesh *m) {
    int data = mesh_size(m, MESH_DATA), sharers = mesh_size(m, MESH_EXPERT);
    bool all = sharers == data, none = sharers == 1 && !m->wide_experts;
    if (none || all) return program_add_axis(p, names[MESH_DATA], data, NULL);
    if (data % sharers)
        FAIL(ERR_PLAN, "%d data parallel ranks are not groups of %d that share experts", data,
             sharers);
    TRY(program_add_axis(p, names[MESH_EXPERT], sharers, NULL));
    return program_add_axis(p, names[MESH_DATA], data / sharers, NULL);
}

Status mesh_add_axes(Program *p, const Mesh *m) {
    for (int place = MESH_AXES - 1; place >= 0; place--) {
        MeshAxis a = mesh_at(m, place);
        if (a == MESH_DATA)
            TRY(add_data(p, m));
        else if (mesh_size(m, a) > 1)
            TRY(program_add_axis(p, names[a], mesh_size(m, a), NULL));
    }
    return OK;
}

int mesh_find_axis(const Program *p, MeshAxis a) {
    for (int i = 0; i < p->axis_count; i++)
        if (!strcmp(p->axes[i].name, names[a])) return i;
    return NONE;
}

int mesh_axis_size(const Program *p, MeshAxis a) {
    int axis = mesh_find_axis(p, a);
    return axis == NONE ? 1 : p->axes[axis].size;
}

uint16_t mesh_batch_axes(const Program *p) {
    int data = mesh_find_axis(p, MESH_DATA), expert = mesh_find_axis(p, MESH_EXPERT);
    return (uint16_t)((data == NONE ? 0 : 1 << data) | (expert == NONE ? 0 : 1 << expert));
}

int mesh_batch_ranks(const Program *p) {
    return mesh_axis_size(p, MESH_DATA) * mesh_axis_size(p, MESH_EXPERT);
}

void mesh_place(Placement placement[AXES], uint16_t axes, Placement how) {
    for (int a = 0; a < AXES; a++)
        if (axes >> a & 1) placement[a] = how;
}

int mesh_expert_axis(const Program *p) {
    int expert = mesh_find_axis(p, MESH_EXPERT);
    return expert == NONE ? mesh_find_axis(p, MESH_DATA) : expert;
}

uint16_t mesh_expert_axes(const Program *p) {
    int group = program_find_group(p, "experts");
    return group == NONE ? (uint16_t)(1 << mesh_expert_axis(p)) : p->groups[group].axes;
}
