// SPDX-License-Identifier: MIT
// How the ranks of a job are divided: its degrees along the axes of the mesh.
#include "parallel/strategy/job_spec.h"

#include <stdio.h>

static const struct {
    MeshAxis axis;
    const char *option;
} degrees[] = {{MESH_DATA, "dp"}, {MESH_TENSOR, "tp"}, {MESH_PIPE, "pp"}, {MESH_CONTEXT, "cp"}};
enum { DEGREES = sizeof degrees / sizeof *degrees, TEXT = 96 };

// "--dp 2 × --tp 4", of the degrees above 1 or given; returns how many there are.
static int print_degrees(char out[TEXT], const JobSpec *s, bool data) {
    int count = 0, length = 0;
    out[0] = 0;
    for (int i = 0; i < DEGREES; i++) {
        int size = mesh_size(&s->mesh, degrees[i].axis);
        bool shown = degrees[i].axis == MESH_DATA ? data && s->mesh.data : size > 1;
        if (!shown) continue;
        length += snprintf(out + length, (size_t)(TEXT - length), "%s--%s %d", count ? " × " : "",
                           degrees[i].option, size);
        count++;
    }
    return count;
}

// There are data parallel ranks enough to share experts.
int64_t job_spec_mesh_ranks(const JobSpec *s) {
    Mesh m = s->mesh;
    if (!m.data) m.data = s->strategy.experts;
    return mesh_ranks(&m);
}

// Ranks are those of --ranks or of --gpus: a message names neither.
static Status check_ranks(const JobSpec *s) {
    char text[TEXT], product[32] = "";
    int model = job_spec_model_ranks(s);
    int64_t all = job_spec_mesh_ranks(s);
    if (s->mesh.data && all != s->ranks) {
        if (print_degrees(text, s, true) > 1)
            snprintf(product, sizeof product, " = %lld", (long long)all);
        FAIL(ERR_USAGE,
             "%s%s is not the number of ranks, %d; give %lld ranks, or leave out --dp", text,
             product, s->ranks, (long long)all);
    }
    if (s->ranks % model == 0) return OK;
    if (print_degrees(text, s, false) > 1) snprintf(product, sizeof product, " = %d", model);
    int below = s->ranks / model * model;
    if (below)
        FAIL(ERR_USAGE, "%d ranks are not a multiple of %s%s; give %d or %d", s->ranks, text,
             product, below, below + model);
    FAIL(ERR_USAGE, "%s need%s %d ranks, and there %s %d; give %d or more", text,
         product[0] ? "" : "s", model, s->ranks == 1 ? "is" : "are", s->ranks, model);
}

// Ranks along data share experts, all or groups; or else such groups with all ranks along context.
static bool is_wide(const JobSpec *s) {
    int data = job_spec_data_ranks(s), context = mesh_size(&s->mesh, MESH_CONTEXT),
        experts = s->strategy.experts;
    return experts > 1 && context > 1 && data % experts && experts % context == 0 &&
           data % (experts / context) == 0;
}

Status job_spec_mesh(Mesh *out, const JobSpec *s) {
    *out = s->mesh;
    if (s->mesh_order && mesh_parse_order(out, s->mesh_order) != OK)
        FAIL(ERR_USAGE, "--mesh %.80s: %s", s->mesh_order, status_message());
    if (!s->plan_file) TRY(check_ranks(s));
    out->data = job_spec_data_ranks(s);
    out->wide_experts = !s->plan_file && is_wide(s);
    out->expert = s->plan_file ? 0 : s->strategy.experts;
    if (out->wide_experts) out->expert /= mesh_size(&s->mesh, MESH_CONTEXT);
    return OK;
}

// Experts of a layer of the model; 0 where that is not known.
static int64_t count_experts(const JobSpec *s) {
    Arena a = {0};
    Model m;
    int64_t count = s->model && job_spec_model(&m, &a, s) == OK ? model_experts(&m) : 0;
    arena_finish(&a);
    return count;
}

static bool can_share(const JobSpec *s, int64_t experts, int degree) {
    JobSpec other = *s;
    other.strategy.experts = degree;
    return experts % degree == 0 && (job_spec_data_ranks(s) % degree == 0 || is_wide(&other));
}

// Groups of --ep ranks share the experts, so their number is a multiple of it; another one helps if
// the experts can be shared so.
static Status check_sharers(const JobSpec *s) {
    int degree = s->strategy.experts, ranks = job_spec_data_ranks(s), less = degree - 1,
        below = ranks / degree * degree;
    if (ranks == below) return OK;
    int64_t experts = count_experts(s);
    const char *plural = ranks == 1 ? "" : "s";
    char instead[32], more[64] = "";
    while (less > 1 && !can_share(s, experts, less)) less--;
    if (less > 1)
        snprintf(instead, sizeof instead, "--ep %d", less);
    else
        snprintf(instead, sizeof instead, "leave --ep out");
    if (experts % degree == 0 && below)
        snprintf(more, sizeof more, "give %d or %d of them, or ", below, below + degree);
    else if (experts % degree == 0)
        snprintf(more, sizeof more, "give --dp %d, or ", degree);
    else if (less > 1)
        snprintf(more, sizeof more, "give ");
    if (!below)
        FAIL(ERR_USAGE, "--ep %d: data parallel ranks share the experts, and there %s %d; %s%s",
             degree, ranks == 1 ? "is" : "are", ranks, more, instead);
    FAIL(ERR_USAGE, "--ep %d: %d data parallel rank%s = %d × %d + %d; %s%s", degree, ranks, plural,
         degree, ranks / degree, ranks % degree, more, instead);
}

// Experts are shared by ranks that have them and update them each for itself.
Status job_spec_check_experts(const JobSpec *s) {
    const StrategyOptions *o = &s->strategy;
    if (!is_wide(s)) TRY(check_sharers(s));
    if (o->data_parallel)
        FAIL(ERR_USAGE,
             "--data-parallel keeps all weights on rank 0, --ep %d divides those of experts; leave "
             "one of them out: DDP goes with --ep",
             o->experts);
    return OK;
}
