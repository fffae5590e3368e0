// SPDX-License-Identifier: MIT
// The rules of pieces that lie one after the other: pieces of dimension `dim` are rows of chunks,
// so that collectives of consecutive memory can put them together.
#include "core/plan/placement_rules.h"

static int dim_of(const Along *a) { return (int)a->p->attrs[op_work(a->p, a->op)->attr_first]; }

static bool passes(Placement p) { return placement_is_whole(p) || placement_is_partial(p); }

// Where the rows of x are cut, each rank has chunks of its own rows (D).
Status placement_rule_to_chunks(const Along *a) {
    Placement x = along_input(a, 0);
    if (passes(x)) return along_write(a, 0, x);
    if (placement_equal(x, PLACEMENT_SHARD((uint8_t)dim_of(a))))
        return along_write(a, 0, PLACEMENT_SHARD(0));
    if (placement_is_cut(x, 0)) return along_write(a, 0, PLACEMENT_DIFFERS);
    return along_refuse_input(a, 0, "it may be cut by rows, or along dim= in intervals");
}

Status placement_rule_from_chunks(const Along *a) {
    Placement chunks = along_input(a, 0);
    if (passes(chunks)) return along_write(a, 0, chunks);
    if (chunks.place == PLACE_DIFFERS) return along_write(a, 0, PLACEMENT_SHARD(0));
    if (placement_equal(chunks, PLACEMENT_SHARD(0)))
        return along_write(a, 0, PLACEMENT_SHARD((uint8_t)dim_of(a)));
    return along_refuse_input(a, 0, "chunks are whole, cut by S0, or each rank's own");
}
