// SPDX-License-Identifier: MIT
// Local shapes: a tensor has the capacity that its placements ask for (piece.h), divided among the
// shards and micro-batches of its rank. And the numbers of rows in use lie as the rows do.
#include "core/base/text.h"
#include "core/base/units.h"
#include "core/plan/check_internal.h"
#include "core/plan/piece.h"

#include <string.h>

// Shards and micro-batches of a rank into which its rows are divided: [logical], 1 or more.
typedef struct {
    int32_t *shards, *micro_batches;
} Slices;

static Status count_slices(Slices *s, const Program *p, Arena *a) {
    s->shards = ARENA_NEW(a, int32_t, p->logical_count + 1);
    s->micro_batches = ARENA_NEW(a, int32_t, p->logical_count + 1);
    if (!s->shards || !s->micro_batches) FAIL(ERR_MEMORY, "out of memory for checking shapes");
    for (int i = 0; i < p->tensor_count; i++) {
        const Tensor *t = &p->tensors[i];
        if (t->shard >= s->shards[t->logical]) s->shards[t->logical] = t->shard + 1;
        if (t->micro_batch >= s->micro_batches[t->logical])
            s->micro_batches[t->logical] = t->micro_batch + 1;
    }
    return OK;
}

static bool has_shape(const Tensor *t, const int64_t shape[DIMS], int dims) {
    return t->dims == dims && !memcmp(t->shape, shape, sizeof *shape * (size_t)dims);
}

static void placements_text(const Program *p, const Tensor *t, char *out, size_t size) {
    char text[PLACEMENT_TEXT];
    *out = '\0';
    for (int a = 0; a < p->axis_count; a++)
        text_append(out, size, "%s%s along %s=%d", a ? ", " : "",
                    placement_text(t->placement[a], text), p->axes[a].name, p->axes[a].size);
}

static Status check_shape(const Program *p, const Tensor *t, const Slices *s) {
    int64_t shape[DIMS], slice[DIMS];
    int dims;
    TRY(piece_capacity(p, t, shape, &dims));
    memcpy(slice, shape, sizeof slice);
    int64_t parts = units_divide_up(shape[0] / t->extent_times, s->shards[t->logical]);
    slice[0] = units_divide_up(parts, s->micro_batches[t->logical]) * t->extent_times;
    if (has_shape(t, shape, dims) || has_shape(t, slice, dims)) return OK;
    const Logical *l = &p->logicals[t->logical];
    char is[SHAPE_TEXT], want[SHAPE_TEXT], whole[SHAPE_TEXT], how[AXES * (PLACEMENT_TEXT + 32)];
    placements_text(p, t, how, sizeof how);
    FAIL(ERR_PLAN, "tensor %s is %s, but a piece of %s, which is %s, that is %s is %s",
         program_name(p, t->name), check_shape_text(t->shape, t->dims, is),
         program_name(p, l->name), check_shape_text(l->shape, l->dims, whole), how,
         check_shape_text(slice, dims, want));
}

// Rows in use are counted by a number that lies as the rows do: another one at each rank only where
// rows are cut.
static Status check_extent(const Program *p, const Tensor *t) {
    char rows[PLACEMENT_TEXT], number[PLACEMENT_TEXT];
    for (int a = 0; a < p->axis_count && t->extent != NONE; a++) {
        Placement how = t->placement[a], count = p->tensors[t->extent].placement[a];
        bool by_rows = how.place == PLACE_SHARD && how.cut != CUT_FLAT && how.dim == 0;
        bool own = how.place == PLACE_ONLY || how.place == PLACE_DIFFERS;
        if (p->axes[a].size < 2 || count.place == PLACE_REPLICATE || own) continue;
        if (by_rows && count.place == PLACE_DIFFERS) continue;
        FAIL(ERR_PLAN, "tensor %s is %s along %s, but its extent %s is %s",
             program_name(p, t->name), placement_text(how, rows), p->axes[a].name,
             tensor_name(p, t->extent), placement_text(count, number));
    }
    return OK;
}

// Is there such a coordinate, where only one holds the tensor?
static Status check_holder(const Program *p, const Tensor *t) {
    for (int a = 0; a < p->axis_count; a++) {
        Placement how = t->placement[a];
        if (how.place != PLACE_ONLY || how.block <= p->axes[a].size) continue;
        FAIL(ERR_PLAN,
             "tensor %s is held at coordinate %d of %s alone, whose coordinates are 0 to %d",
             program_name(p, t->name), how.block - 1, p->axes[a].name, p->axes[a].size - 1);
    }
    return OK;
}

// A shift along a ring, and the terms of a sum in it, are less than once around.
static Status check_ring(const Program *p, const Tensor *t) {
    for (int a = 0; a < p->axis_count; a++) {
        Placement how = t->placement[a];
        char text[PLACEMENT_TEXT];
        int size = p->axes[a].size;
        if ((!how.shift && !how.terms) || (how.shift < size && how.from < size && how.terms < size))
            continue;
        FAIL(ERR_PLAN, "tensor %s is %s along %s, whose ring has %d coordinates",
             program_name(p, t->name), placement_text(how, text), p->axes[a].name, size);
    }
    return OK;
}

// Would check_shape() say the same of both?
static bool same_piece(const Program *p, const Tensor *t, const Tensor *u) {
    for (int a = 0; a < p->axis_count; a++)
        if (!placement_equal(t->placement[a], u->placement[a])) return false;
    return t->logical == u->logical && t->extent_times == u->extent_times &&
           has_shape(t, u->shape, u->dims);
}

static Status check_all(const Program *p, Arena *scratch) {
    Slices s;
    TRY(count_slices(&s, p, scratch));
    // Micro-batches are alike: most tensors are as the one before of their logical tensor.
    const Tensor **before = ARENA_NEW(scratch, const Tensor *, p->logical_count + 1);
    if (!before) FAIL(ERR_MEMORY, "out of memory for checking shapes");
    for (int i = 0; i < p->tensor_count; i++) {
        const Tensor *t = &p->tensors[i], **last = &before[t->logical];
        TRY(check_holder(p, t));
        TRY(check_ring(p, t));
        if (!*last || !same_piece(p, *last, t)) TRY(check_shape(p, t, &s));
        TRY(check_extent(p, t));
        *last = t;
    }
    return OK;
}

Status check_pieces(const Program *p) {
    Arena scratch = {0};
    Status s = check_all(p, &scratch);
    arena_finish(&scratch);
    return s;
}
