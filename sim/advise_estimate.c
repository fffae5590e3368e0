// SPDX-License-Identifier: MIT
// Bytes as footprint.h has them (Rajbhandari et al., ZeRO, 2020); bubbles and tensor-parallel
// traffic after Narayanan et al., 2021. Read estimate_model_step_ms() last.
#include "sim/advise_estimate.h"

#include "parallel/strategy/pipeline_schedule.h"

#include <math.h>

enum { GRADIENT_BYTES = 4, MASTER_BYTES = 4, OPERATIONS_OF_A_LAYER = 3 };

// --- the model

static double layer_parameters(const Layer *l, int at) {
    double sum = 0;
    for (int k = 0; k < l->parameter_count; k++) {
        double elements = 1;
        for (int d = 0; d < l->parameters[k].dims; d++)
            elements *= (double)l->parameters[k].shape[d];
        sum += l->parameters[k].owner == at ? elements : 0;
    }
    return sum;
}

static double elements_out(const Layer *l) {
    double elements = 1;
    for (int d = 0; d < l->out_dims; d++) elements *= (double)l->out[d];
    return elements;
}

static void read_layers(EstimateModel *out, const Model *m) {
    int block = NONE, counted = 0;
    for (int i = 0; i < m->layer_count; i++) {
        const Layer *l = &m->layers[i];
        bool ends = i + 1 == m->layer_count || m->layers[i + 1].block != l->block;
        if (!l->used) continue;
        out->layers++;
        if (l->attribute[ATTRIBUTE_COUNT_OF] > 1) {
            out->experts = (int)l->attribute[ATTRIBUTE_COUNT_OF];
            out->expert_parameters += layer_parameters(l, i);
        }
        if (l->block != NONE && l->block != block) out->blocks++;
        block = l->block;
        if (l->block == NONE || !ends) continue;
        out->width += elements_out(l);
        counted++;
    }
    if (counted) out->width /= counted;
    if (out->blocks) return;
    out->blocks = out->layers;
    for (int i = 0; i < m->layer_count; i++)
        out->width += elements_out(&m->layers[i]) / m->layer_count;
}

// Ranks share the cores of a host, and exchange through its memory.
static void read_host(EstimateModel *out, const Machine *m, const JobSpec *s) {
    const HostModel *h = &m->host;
    double share = s->ranks > h->cores ? (double)h->cores / s->ranks : 1;
    int32_t slower = s->ranks < 2           ? 1000
                     : s->ranks <= h->cores ? h->co_run_permille
                                            : h->oversubscribed_permille;
    out->flops_per_s *= share * 1000 / (slower > 0 ? slower : 1000);
    out->devices_per_node = 1 << 20;
    out->link_bytes_per_s = out->rail_bytes_per_s = (double)h->fold_bytes_per_s;
    out->layer_s = 1e-12 * OPERATIONS_OF_A_LAYER * (double)h->dispatch_ps;
}

static void read_devices(EstimateModel *out, const SimSetting *setting) {
    const Machine *m = setting->machine;
    const LinkModel *link = &setting->link;
    const DeviceModel *d = &m->device;
    bool given = link->bytes_per_s > 0;
    out->devices_per_node = given ? 1 << 20 : m->devices_per_node;
    out->link_bytes_per_s = (double)(given ? link->bytes_per_s : m->link.bytes_per_s);
    out->rail_bytes_per_s = (double)(given ? link->bytes_per_s : m->rail.bytes_per_s);
    out->all_rails = sim_setting_is_priced(setting) || setting->levels;
    out->layer_s = 1e-12 * OPERATIONS_OF_A_LAYER *
                   (double)(device_gap_ps(d) > d->issue_ps ? device_gap_ps(d) : d->issue_ps);
}

static void read_machine(EstimateModel *out, const SimSetting *setting, const JobSpec *s) {
    const DeviceModel *d = &setting->machine->device;
    double reached = d->kernels.most_permille ? d->kernels.most_permille : d->flops_permille;
    out->flops_per_s = (double)d->flops_per_s[s->dtype] * (reached > 0 ? reached / 1000 : 1);
    if (setting->devices)
        read_devices(out, setting);
    else
        read_host(out, setting->machine, s);
}

Status estimate_model_read(EstimateModel *out, Arena *a, const JobSpec *s,
                           const SimSetting *setting) {
    Model m;
    *out = (EstimateModel){0};
    TRY(job_spec_model(&m, a, s));
    out->parameters = (double)model_parameters(&m);
    out->sample_flops = (double)model_needed_flops(&m);
    out->tokens = m.tokens;
    out->element_bytes = (double)dtype_bytes(s->dtype);
    out->passes_bytes = s->dtype == DTYPE_BF16 ? out->element_bytes : 0;
    out->state_bytes = s->optimizer.kind != OPTIMIZER_SGD ? 8 : s->optimizer.momentum > 0 ? 4 : 0;
    read_layers(out, &m);
    read_machine(out, setting, s);
    return OK;
}

// --- memory

// Elements of a device, of those that are cut along the axes of the model.
static double own_parameters(const EstimateModel *m, const JobSpec *s) {
    double cut = mesh_size(&s->mesh, MESH_TENSOR) * mesh_size(&s->mesh, MESH_PIPE);
    double experts = s->strategy.experts > 1 ? s->strategy.experts : 1;
    return (m->parameters - m->expert_parameters + m->expert_parameters / experts) / cut;
}

double estimate_model_least_bytes(const EstimateModel *m, const JobSpec *s) {
    double own = own_parameters(m, s), ranks = job_spec_data_ranks(s);
    int zero = s->strategy.zero, masters_from = m->passes_bytes > 0 ? 1 : 3;
    bool adds = s->micro_batches * job_spec_local_shards(s) > 1;  // whole, until all are added
    return own * (MASTER_BYTES / (zero >= masters_from ? ranks : 1) +
                  m->passes_bytes / (zero >= 3 ? ranks : 1) +
                  GRADIENT_BYTES / (zero >= 2 && !adds ? ranks : 1) +
                  m->state_bytes / (zero >= 1 ? ranks : 1));
}

// --- time

// Of what a pipeline computes: what it waits besides.
static double bubble(const JobSpec *s) {
    double stages = mesh_size(&s->mesh, MESH_PIPE);
    const OptionForm *form = &s->strategy.schedule;
    double wait = (stages - 1) / s->micro_batches;
    if (form->word == SCHEDULE_INTERLEAVED) wait /= form->number > 0 ? form->number : 2;
    if (form->word == SCHEDULE_ZERO_BUBBLE) wait /= 3;
    return wait;
}

// With the order that the job asks for; job_spec_check() has said what is wrong with it.
static Mesh mesh_of(const JobSpec *s) {
    Mesh mesh;
    return job_spec_mesh(&mesh, s) == OK ? mesh : s->mesh;
}

// Ranks between neighbours along an axis: the product of all sizes inside it.
static int64_t stride_of(const Mesh *mesh, MeshAxis axis) {
    int64_t stride = 1;
    for (int place = MESH_AXES - 1; place >= 0 && mesh_at(mesh, place) != axis; place--)
        stride *= mesh_size(mesh, mesh_at(mesh, place));
    return stride;
}

// Bytes per second between members that are `stride` ranks apart: a link within a node, or a rail.
static double message_rate(const EstimateModel *m, int size, int64_t stride) {
    bool within = size * stride <= m->devices_per_node;
    return within ? m->link_bytes_per_s : m->rail_bytes_per_s;
}

// The same of a collective. With NCCL, and in levels, members on one node divide the array, and
// each sends its part by its own rail.
static double collective_rate(const EstimateModel *m, int size, int64_t stride) {
    double rate = message_rate(m, size, stride), members = (double)(m->devices_per_node / stride);
    if (!m->all_rails || size * stride <= m->devices_per_node || members <= 1) return rate;
    return fmin(m->link_bytes_per_s, members * rate);
}

// Four collectives of a width, forward and backward, at that rate along an axis.
static double block_traffic_s(const EstimateModel *m, const JobSpec *s, int size, double rate) {
    if (size < 2) return 0;
    double stages = mesh_size(&s->mesh, MESH_PIPE), cut = mesh_size(&s->mesh, MESH_CONTEXT);
    double rows = (double)s->batch / job_spec_data_ranks(s);
    double bytes = 4 * m->blocks / stages * rows * m->width / cut * m->element_bytes;
    return 2 * bytes * (size - 1) / size / rate;
}

// All-reduces of tensor parallel ranks, messages of a ring along context, all-to-alls of experts;
// those of tensor parallel ranks again where they are computed again.
static double blocks_s(const EstimateModel *m, const JobSpec *s, const Mesh *mesh, double more) {
    int tensor = mesh_size(mesh, MESH_TENSOR), context = mesh_size(mesh, MESH_CONTEXT);
    int64_t near = stride_of(mesh, MESH_TENSOR), far = stride_of(mesh, MESH_CONTEXT);
    double sum = more * block_traffic_s(m, s, tensor, collective_rate(m, tensor, near));
    sum += 0.5 * block_traffic_s(m, s, context, message_rate(m, context, far));
    if (s->strategy.experts < 2) return sum;
    int64_t between = stride_of(mesh, mesh->wide_experts ? MESH_CONTEXT : MESH_DATA);
    double rate = message_rate(m, s->strategy.experts, between);
    return sum + block_traffic_s(m, s, s->strategy.experts, rate);
}

// Gradients, and with ZeRO-3 parameters in each pass of each micro-batch, too.
static double gradients_s(const EstimateModel *m, const JobSpec *s, const Mesh *mesh) {
    double own = own_parameters(m, s);
    int ranks = job_spec_data_ranks(s);
    if (ranks < 2) return 0;
    double copy = m->passes_bytes > 0 ? m->passes_bytes : MASTER_BYTES;
    double times = s->strategy.zero == 3 ? 2.0 * s->micro_batches : 1;
    double sent = GRADIENT_BYTES + (s->strategy.zero ? times * copy : GRADIENT_BYTES);
    return own * sent * (ranks - 1) / ranks / collective_rate(m, ranks, stride_of(mesh, MESH_DATA));
}

double estimate_model_step_ms(const EstimateModel *m, const JobSpec *s) {
    static const double again[RECOMPUTE_COUNT] = {[RECOMPUTE_SELECTIVE] = 0.05,
                                                  [RECOMPUTE_FULL] = 1.0 / 3,
                                                  [RECOMPUTE_ATTENTION] = 0.05,
                                                  [RECOMPUTE_BLOCK] = 1.0 / 3};
    double stages = mesh_size(&s->mesh, MESH_PIPE);
    double more = 1 + again[s->strategy.recompute];
    double compute = m->sample_flops * (double)s->batch / s->ranks / m->flops_per_s * more;
    compute += s->micro_batches * m->layers / stages * m->layer_s * more;
    const Mesh mesh = mesh_of(s);
    double passes = compute + blocks_s(m, s, &mesh, more);
    double hidden = s->strategy.no_overlap ? 0 : 0.5 * passes / s->micro_batches;
    if (s->strategy.zero == 3) hidden = 0.7 * passes;
    double exposed = fmax(0, gradients_s(m, s, &mesh) - hidden);
    return 1e3 * (passes * (1 + bubble(s)) + exposed);
}
