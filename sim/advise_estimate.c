// SPDX-License-Identifier: MIT
// Bytes as footprint.h has them (Rajbhandari et al., ZeRO, 2020); bubbles after Narayanan et al.,
// 2021, and Qi et al., 2024.
#include "sim/advise_estimate.h"

#include "parallel/strategy/pipeline_schedule.h"

enum { GRADIENT_BYTES = 4, MASTER_BYTES = 4 };

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

static void read_layers(EstimateModel *out, const Model *m) {
    int block = NONE;
    for (int i = 0; i < m->layer_count; i++) {
        const Layer *l = &m->layers[i];
        if (!l->used) continue;
        out->layers++;
        if (l->attribute[ATTRIBUTE_COUNT_OF] > 1) {
            out->experts = (int)l->attribute[ATTRIBUTE_COUNT_OF];
            out->expert_parameters += layer_parameters(l, i);
        }
        if (l->block != NONE && l->block != block) out->blocks++;
        block = l->block;
    }
    if (!out->blocks) out->blocks = out->layers;
}

Status estimate_model_read(EstimateModel *out, Arena *a, const JobSpec *s,
                           const SimSetting *setting) {
    Model m;
    *out = (EstimateModel){0};
    TRY(job_spec_model(&m, a, s));
    out->parameters = (double)model_parameters(&m);
    out->tokens = m.tokens;
    out->passes_bytes = s->dtype == DTYPE_BF16 ? (double)dtype_bytes(s->dtype) : 0;
    out->state_bytes = s->optimizer.kind != OPTIMIZER_SGD ? 8 : s->optimizer.momentum > 0 ? 4 : 0;
    read_layers(out, &m);
    out->devices_per_node = setting->devices ? setting->machine->devices_per_node : 1 << 20;
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
    int zero = s->strategy.zero;
    bool sums = s->micro_batches > 1;  // gradients are whole until those of all are added
    return own * ((MASTER_BYTES + m->passes_bytes) / (zero >= 3 ? ranks : 1) +
                  GRADIENT_BYTES / (zero >= 2 && !sums ? ranks : 1) +
                  m->state_bytes / (zero >= 1 ? ranks : 1));
}

// What the first stage keeps of the passes that have not come back to it.
static double held_bytes(const JobSpec *s, double kept) {
    double stages = mesh_size(&s->mesh, MESH_PIPE);
    return kept * (s->micro_batches < stages ? s->micro_batches : stages) / stages;
}

// Stages are not quite equal, nor do all schedules hold as many at the moment of the peak.
double estimate_model_least_kept(const EstimateModel *m, const JobSpec *s, double kept) {
    const double equal = 0.7;
    return estimate_model_least_bytes(m, s) + equal * held_bytes(s, kept);
}

double estimate_model_kept(const EstimateModel *m, const JobSpec *s, double kept) {
    return estimate_model_least_bytes(m, s) + held_bytes(s, kept);
}

// --- time

// Passes that go by before the last stage has one, and after it, in parts of the whole model's. Its
// weights' gradients a rank may compute meanwhile.
static double bubble(const JobSpec *s) {
    const OptionForm *form = &s->strategy.schedule;
    double stages = mesh_size(&s->mesh, MESH_PIPE), wait = (stages - 1) / stages;
    if (form->word == SCHEDULE_INTERLEAVED) return wait / (form->number > 0 ? form->number : 2);
    return form->word == SCHEDULE_ZERO_BUBBLE ? wait / 3 : wait;
}

// Stages are not quite equal: with a short last one the others have filled the pipeline later.
double estimate_model_least_step(const JobSpec *s, double pass) {
    const double equal = 0.9;
    double stages = mesh_size(&s->mesh, MESH_PIPE);
    double passes = (double)s->micro_batches * job_spec_local_shards(s) * pass;
    double shown = mesh_size(&s->mesh, MESH_CONTEXT) > 1 ? 1 - ADVISE_RING_ERROR : 1;
    return shown * (stages < 2 ? passes : passes / stages + equal * bubble(s) * pass);
}
