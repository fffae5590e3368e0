// SPDX-License-Identifier: MIT
// Closed forms of memory and traffic, and the same of a plan. See footprint.h.
#include "parallel/strategy/footprint.h"

#include "core/plan/group.h"
#include "core/plan/mesh.h"
#include "core/plan/piece.h"
#include "core/plan/placement_rules.h"
#include "parallel/strategy/collective_work.h"

static const Plan *step_of(const Program *p) {
    int k = program_find_when(p, WHEN_EACH_STEP, 0);
    return k == NONE ? NULL : &p->plans[k];
}

static bool reads_parameter(const Program *p, const Plan *plan, const Op *op) {
    for (int i = 0; i < op->inputs; i++)
        if (p->logicals[p->tensors[op_inputs(plan, op)[i]].logical].role == ROLE_PARAMETER)
            return true;
    return false;
}

// Every pass through the layers has its own shard and micro-batch.
static int count_passes(const Program *p, const Plan *plan, int *out_shards) {
    int shards = 0, micro_batches = 0;
    for (int i = 0; plan && i < plan->op_count; i++) {
        if (!reads_parameter(p, plan, &plan->ops[i])) continue;
        if (plan->ops[i].shard > shards) shards = plan->ops[i].shard;
        if (plan->ops[i].micro_batch > micro_batches) micro_batches = plan->ops[i].micro_batch;
    }
    *out_shards = shards + 1;
    return (shards + 1) * (micro_batches + 1);
}

// Is it of experts that ranks share, of which each has its own?
static bool is_shared(const Program *p, const Tensor *t) {
    int axis = mesh_expert_axis(p);
    Placement how = axis == NONE ? PLACEMENT_REPLICATED : t->placement[axis];
    return how.place == PLACE_SHARD && how.cut != CUT_FLAT;
}

// Each gradient has a sum of squares for each of its blocks.
static int64_t count_blocks(const Program *p, const Plan *plan, bool shared) {
    int64_t blocks = 0;
    for (int i = 0; plan && i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        if (op_kind(p, op) != KIND_SQUARE_SUMS) continue;
        if (!shared || is_shared(p, &p->tensors[op_inputs(plan, op)[0]]))
            blocks += tensor_elements(&p->tensors[op_outputs(plan, op)[0]]);
    }
    return blocks;
}

// What one pass computes again reads once more.
static int64_t recomputed_bytes(const Program *p, const Plan *plan) {
    int64_t bytes = 0;
    for (int i = 0; plan && i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        if (!(op->flags & OP_RECOMPUTE) || op->shard || op->micro_batch) continue;
        for (int k = 0; k < op->inputs; k++) {
            const Tensor *t = &p->tensors[op_inputs(plan, op)[k]];
            const Logical *l = &p->logicals[t->logical];
            if (l->role == ROLE_PARAMETER)
                bytes += logical_elements(l) * dtype_bytes((Dtype)t->dtype);
        }
    }
    return bytes;
}

// Elements of a lasting tensor that ranks divide among themselves which would hold the same without
// ZeRO: all, or the piece that their place along other axes has, or their experts; of a tensor of
// another stage of a pipeline none. *shared: are they of experts that ranks share?
static int64_t divided_elements(const Program *p, int logical, bool *shared) {
    const Logical *l = &p->logicals[logical];
    int dims;
    *shared = false;
    for (int t = 0; t < p->tensor_count; t++) {
        Tensor piece = p->tensors[t];
        int64_t shape[DIMS], n = 1;
        if (piece.logical != logical || piece.role != l->role) continue;
        for (int a = 0; a < p->axis_count; a++)
            if (mesh_batch_axes(p) >> a & 1 && piece.placement[a].cut == CUT_FLAT)
                piece.placement[a] = PLACEMENT_REPLICATED;
        *shared = is_shared(p, &piece);
        if (piece_capacity(p, &piece, shape, &dims) != OK) break;
        for (int d = 0; d < dims; d++) n *= shape[d];
        return n;
    }
    return mesh_axis_size(p, MESH_PIPE) > 1 ? 0 : logical_elements(l);
}

// Each copy is converted once.
static int64_t copy_bytes(const Program *p, const Plan *plan, bool only_shared) {
    int64_t bytes = 0;
    for (int i = 0; plan && i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        const Tensor *t = op->outputs ? &p->tensors[op_outputs(plan, op)[0]] : NULL;
        bool shared;
        if (!t || t->role != ROLE_COPY || op_communicates(p, op)) continue;
        int64_t elements = divided_elements(p, t->logical, &shared);
        if (shared || !only_shared) bytes += elements * dtype_bytes((Dtype)t->dtype);
    }
    return bytes;
}

static void find_sharers(FootprintModel *m, const Program *p) {
    uint16_t axes = mesh_expert_axes(p);
    m->sharers = 1;
    for (int a = 0; a < p->axis_count; a++)
        if (axes >> a & 1) m->sharers *= p->axes[a].size;
    m->wide = axes & ~mesh_batch_axes(p);
}

FootprintModel footprint_model(const Program *p) {
    const Plan *step = step_of(p);
    FootprintModel m = {.ranks = mesh_batch_ranks(p),
                        .sharers = 1,
                        .context = mesh_axis_size(p, MESH_CONTEXT),
                        .blocks = count_blocks(p, step, false),
                        .expert_blocks = count_blocks(p, step, true)};
    m.passes = count_passes(p, step, &m.shards);
    for (int i = 0; i < p->logical_count; i++) {
        const Logical *l = &p->logicals[i];
        if (!role_persists((Role)l->role)) continue;
        bool shared;
        int64_t n = logical_elements(l);
        int64_t bytes = divided_elements(p, i, &shared) * dtype_bytes((Dtype)l->dtype);
        int64_t of_experts = shared ? bytes : 0;
        if (shared) find_sharers(&m, p);
        if (l->role == ROLE_PARAMETER) m.expert_parameter_bytes += of_experts;
        if (l->role == ROLE_PARAMETER && l->trainable) m.expert_trained_bytes += of_experts;
        if (l->role == ROLE_OPTIMISER) m.expert_optimiser_bytes += of_experts;
        if (l->role == ROLE_PARAMETER) m.parameter_bytes += bytes;
        if (l->role == ROLE_PARAMETER) m.parameters += n;
        if (l->role == ROLE_PARAMETER && l->trainable) m.trained_bytes += bytes;
        if (l->role == ROLE_PARAMETER && l->trainable) m.trained += n;
        if (l->role == ROLE_OPTIMISER) m.optimiser_bytes += bytes;
        if (l->role == ROLE_STATE) m.state_bytes += bytes;
    }
    m.copy_bytes = copy_bytes(p, step, false);
    m.expert_copy_bytes = copy_bytes(p, step, true);
    m.recomputed_bytes = recomputed_bytes(p, step);
    return m;
}

// The same of a part of the bytes, which `n` ranks would hold alike. Only the norm's are of all.
static Footprint closed_part(const FootprintModel *m, int stage, double n) {
    double whole = (double)m->parameter_bytes, trained = (double)m->trained_bytes;
    double optimiser = (double)m->optimiser_bytes, state = (double)m->state_bytes;
    double copies = (double)m->copy_bytes, read = copies > 0 ? copies : whole;
    double again = (double)m->recomputed_bytes, masters = stage && copies > 0 ? trained : 0;
    double updated = masters > 0 ? trained * copies / whole : trained;
    double gathered = stage == 3 ? m->passes * (2 * read + again) : updated;
    double divided = stage == 3 ? whole + copies : masters;
    return (Footprint){.parameters = whole + copies - divided * (n - 1) / n,
                       .gradients = stage >= 2 ? trained / n : trained,
                       .optimiser = (stage >= 1 ? optimiser / n : optimiser) + state,
                       .sent = (gathered + trained) * (n - 1) / n};
}

// Blocks whose sums of squares go among n ranks, each as often as it is received.
static double joined(int64_t blocks, double n) { return (double)blocks * (n - 1) / n; }

static double joined_blocks(const FootprintModel *m, int stage) {
    double n = m->ranks, all = n * m->context;
    if (!stage) return joined(m->expert_blocks, m->sharers);
    return joined(m->blocks - m->expert_blocks, n) + joined(m->expert_blocks, m->wide ? all : n);
}

// What ZeRO leaves to be summed over ranks of other positions: of each local shard; of experts that
// no data parallel rank has besides at once.
static double over_context(const FootprintModel *m, int64_t trained, double shards) {
    return 2 * shards * (double)trained * (m->context - 1) / m->context;
}

// What all ranks would hold alike, and what those with the same experts would.
Footprint footprint_closed(const FootprintModel *m, int stage) {
    double data = stage ? m->ranks : m->ranks * m->context,
           holders = (stage && !m->wide ? m->ranks : m->ranks * m->context) / m->sharers;
    FootprintModel experts = {.parameter_bytes = m->expert_parameter_bytes,
                              .trained_bytes = m->expert_trained_bytes,
                              .optimiser_bytes = m->expert_optimiser_bytes,
                              .copy_bytes = m->expert_copy_bytes,
                              .passes = m->passes},
                   others = *m;
    others.parameter_bytes -= experts.parameter_bytes;
    others.trained_bytes -= experts.trained_bytes;
    others.optimiser_bytes -= experts.optimiser_bytes;
    others.copy_bytes -= experts.copy_bytes;
    Footprint f = closed_part(&others, stage, data), own = closed_part(&experts, stage, holders);
    f.parameters += own.parameters;
    f.gradients += own.gradients;
    f.optimiser += own.optimiser;
    f.sent += own.sent;
    if (stage) f.sent += over_context(m, others.trained_bytes, m->shards);
    if (stage && !m->wide)
        f.sent += over_context(m, experts.trained_bytes, holders > 1 ? m->shards : 1);
    f.sent_norm = 16 * joined_blocks(m, stage);
    return f;
}

static bool varies_with_batch(const Program *p, int group) {
    for (int a = 0; a < p->axis_count; a++)
        if (mesh_batch_axes(p) >> a & 1 && placement_group_varies(p, group, a)) return true;
    return false;
}

// The sum to which the bytes of a collective of the step belong; NULL: the loss's to none. Among
// ranks that have the same rows, activations and their gradients are put together; tokens go to
// those that have their experts. Buffers
// hold gradients that are joined in another form, or parameters that are gathered, or statistics.
static double *sum_of(Footprint *f, const Program *p, const Plan *plan, const Op *op) {
    Role to = (Role)p->tensors[op_outputs(plan, op)[0]].role,
         from = op->inputs ? (Role)p->tensors[op_inputs(plan, op)[0]].role : to;
    Phase phase = (Phase)op_work(p, op)->phase;
    Role whole = (Role)p->logicals[p->tensors[op_outputs(plan, op)[0]].logical].role;
    bool own = !varies_with_batch(p, op_work(p, op)->group);
    bool exchanges = op_kind(p, op) == KIND_ALL_TO_ALL && to == ROLE_ACTIVATION;
    if (to == ROLE_SCALAR) return NULL;
    if ((to == ROLE_ACTIVATION || to == ROLE_BUFFER) && (own || exchanges) && phase != PHASE_UPDATE)
        return &f->sent_activations;
    if (op_kind(p, op) == KIND_BROADCAST && whole == ROLE_PARAMETER) return &f->sent;  // copies
    if (to == ROLE_GRADIENT || to == ROLE_PARAMETER) return &f->sent;
    if (from == ROLE_PARAMETER || from == ROLE_COPY) return &f->sent;
    if (to == ROLE_BUFFER && phase == PHASE_SYNC) return &f->sent;
    return phase == PHASE_UPDATE ? &f->sent_norm : &f->sent_statistics;
}

// What a stage of a pipeline sends to another, but for the norm on its way.
static int64_t message_bytes(const Program *p, const Plan *plan, const Op *op) {
    const Work *w = op_work(p, op);
    bool rows = work_is_send(w) && p->tensors[*op_inputs(plan, op)].role == ROLE_ACTIVATION;
    return rows ? w->payload_bytes : 0;
}

Footprint footprint_planned(const Program *p, int rank) {
    const Plan *plan = step_of(p);
    Footprint f = {.parameters = (double)program_memory(p, MEMORY_PARAMETERS),
                   .gradients = (double)program_memory(p, MEMORY_GRADIENTS),
                   .optimiser = (double)program_memory(p, MEMORY_OPTIMISER)};
    for (int i = 0; plan && i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        const Work *w = op_work(p, op);
        bool rows = w->kind == KIND_SCATTER || w->kind == KIND_GATHER;
        f.sent_activations += (double)message_bytes(p, plan, op);
        if (!work_communicates(w) || work_is_message(w) || (!op->outputs && !rows)) continue;
        double *sum = rows ? &f.sent_rows : sum_of(&f, p, plan, op);
        if (!sum) continue;
        Collective c = collective_work_collective(p, w);
        int64_t bytes = dtype_bytes((Dtype)w->dtype);
        *sum += rank == NONE ? (double)collective_bytes_total(&c, bytes) / c.ranks
                             : collective_bytes_sent(&c, group_position(p, w->group, rank), bytes);
    }
    return f;
}
