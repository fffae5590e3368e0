// SPDX-License-Identifier: MIT
// Rewrites of a graph: cheaper operations that give the same bits, each with its argument.
#include "core/nn/graph_internal.h"

#include <stdio.h>

// Who writes a value, and who alone reads it; NONE: nobody, or several.
typedef struct {
    Graph *g;
    int *writer, *reader;  // operations, by value
} Links;

static Status find_links(Links *links, Arena *scratch) {
    Graph *g = links->g;
    links->writer = ARENA_NEW(scratch, int, g->value_count);
    links->reader = ARENA_NEW(scratch, int, g->value_count);
    uint8_t *read = ARENA_NEW(scratch, uint8_t, g->value_count);
    if (!links->writer || !links->reader || !read)
        FAIL(ERR_MEMORY, "out of memory for rewriting %d operations", g->op_count);
    for (int v = 0; v < g->value_count; v++) {
        links->writer[v] = links->reader[v] = NONE;
        int alias = g->values[v].source == VALUE_ROWS ? g->values[v].alias : NONE;
        if (alias != NONE) read[alias] = 1;
    }
    for (int i = 0; i < g->op_count; i++) {
        for (const int *v = g->ops[i].outputs.of; *v != NONE; v++) links->writer[*v] = i;
        for (const int *v = g->ops[i].inputs.of; *v != NONE; v++) {
            links->reader[*v] = read[*v] ? NONE : i;
            read[*v] = 1;
        }
    }
    return OK;
}

// y = max_pool(z), z = relu(x): the backward of the pair. max_pool's hands each gradient to the
// place that was the maximum, and relu's then drops those whose z is not positive. But the z of
// such a place is y: dropping first, where y is not positive, leaves the same bits (a place gets
// the sum of the same gradients, or of none), for a quarter of the work at 2×2. Nothing reads z
// any more.
//
//     dz <- max_pool_backward(dy, index)        kept <- relu_backward(dy, y)
//     dx <- relu_backward(dz, z)                dx <- max_pool_backward(kept, index)
static Status relu_before_max_pool(const Links *links, int pool) {
    Graph *g = links->g;
    int dz = g->ops[pool].outputs.of[0], dy = g->ops[pool].inputs.of[0],
        index = g->ops[pool].inputs.of[1], relu = links->reader[dz];
    if (relu == NONE || g->ops[relu].kind != KIND_RELU_BACKWARD || g->ops[relu].inputs.of[0] != dz)
        return OK;
    const GraphOp *forward = &g->ops[links->writer[index]];
    int y = forward->outputs.of[0];
    if (forward->inputs.of[0] != g->ops[relu].inputs.of[1]) return OK;

    char name[256];
    snprintf(name, sizeof name, "%s.pooled_dx", g->ops[relu].layer);
    Value *kept = &g->values[dz];
    int64_t *shape = kept->shape;
    for (int i = 0; i < kept->dims; i++) shape[i] = g->values[y].shape[i];
    if (!(kept->name = arena_string(&g->arena, name))) FAIL(ERR_MEMORY, "out of memory: %s", name);
    GraphOp first = g->ops[relu], second = g->ops[pool];
    second.outputs = first.outputs;
    second.inputs = VALUES(dz, index);
    first.outputs = VALUES(dz);
    first.inputs = VALUES(dy, y);
    g->ops[pool] = first;
    g->ops[relu] = second;
    return OK;
}

static Status rewrite(Links *links, Arena *scratch) {
    TRY(find_links(links, scratch));
    for (int i = 0; i < links->g->op_count; i++)
        if (links->g->ops[i].kind == KIND_MAX_POOL_BACKWARD) TRY(relu_before_max_pool(links, i));
    return OK;
}

Status graph_rewrite(Graph *g) {
    Arena scratch = {0};
    Links links = {.g = g};
    Status s = rewrite(&links, &scratch);
    arena_finish(&scratch);
    return s;
}
