// SPDX-License-Identifier: MIT
// What an axis is worth is seen without it: the job is planned as it is, and once more for each
// axis on so many times fewer ranks, with the same batch.
#include "programs/explain_mesh.h"

#include "core/base/table.h"
#include "core/base/text.h"
#include "core/base/units.h"
#include "parallel/strategy/stage.h"
#include "parallel/strategy/traffic.h"

#include <stdio.h>
#include <string.h>

enum { LINES = 78, WORDS_OF_AN_AXIS = 800 };

static const struct {
    MeshAxis axis;
    const char *option;
} degrees[] = {{MESH_DATA, "dp"},
               {MESH_TENSOR, "tp"},
               {MESH_PIPE, "pp"},
               {MESH_CONTEXT, "cp"},
               {MESH_EXPERT, "ep"}};
enum { DEGREES = sizeof degrees / sizeof *degrees };

// A job as planned: its ranks with the most memory.
typedef struct {
    char class[32];
    int64_t memory, weights;  // bytes of a rank: all; parameters, gradients, optimiser
    Traffic *traffic;
    int count;
    Program program;  // owned by `set`
    ProgramSet set;
} Planned;

static int first_rank(const ProgramSet *set, int class) {
    for (int r = 0; r < program_set_ranks(set) && set->count > 1; r++)
        if (program_set_class(set, r) == class) return r;
    return NONE;
}

static int64_t bytes_of(const Program *p, bool weights) {
    int64_t bytes = 0;
    for (int m = 0; m < MEMORY_COUNT; m++)
        if (!weights || m == MEMORY_PARAMETERS || m == MEMORY_GRADIENTS || m == MEMORY_OPTIMISER)
            bytes += program_memory(p, (Memory)m);
    return bytes;
}

static Status plan(Planned *out, const JobSpec *spec, Arena *a) {
    const SimJob job = {.spec = *spec};
    int largest = 0;
    *out = (Planned){0};
    TRY(job_spec_check(spec));
    TRY(sim_job_step(&out->set, a, &job));
    for (int c = 1; c < out->set.count; c++)
        if (bytes_of(&out->set.programs[c], false) > bytes_of(&out->set.programs[largest], false))
            largest = c;
    const Program *p = &out->set.programs[largest];
    snprintf(out->class, sizeof out->class, "%s", program_set_name(&out->set, largest));
    out->memory = bytes_of(p, false);
    out->weights = bytes_of(p, true);
    out->program = *p;
    return traffic_of_step(p, first_rank(&out->set, largest), a, &out->traffic, &out->count);
}

// --- the table

static double sent(const Planned *x) {
    double bytes = 0;
    for (int i = 0; i < x->count; i++) bytes += x->traffic[i].bytes;
    return bytes;
}

static int64_t messages(const Planned *x) {
    int64_t count = 0;
    for (int i = 0; i < x->count; i++) count += x->traffic[i].count;
    return count;
}

static void bytes_cell(Table *t, double bytes) {
    char text[UNITS_TEXT];
    table_cell(t, "%s", units_print_size(text, (int64_t)(bytes + 0.5)));
}

static void planned_row(Table *t, const char *name, int64_t ranks, const Planned *x) {
    table_cell(t, "%s", name);
    table_cell(t, "%lld", (long long)ranks);
    bytes_cell(t, (double)x->weights);
    bytes_cell(t, (double)x->memory);
    bytes_cell(t, sent(x));
    table_cell(t, "%lld", (long long)messages(x));
}

// The same batch on the ranks that are left without an axis: on all of them without shared experts.
static JobSpec without(const JobSpec *s, MeshAxis a) {
    JobSpec out = *s;
    Mesh *m = &out.mesh;
    m->data = job_spec_data_ranks(s);
    int *sizes[] = {&m->pipe, &m->data, &m->context, &m->tensor, &out.strategy.experts};
    *sizes[a] = 1;
    out.ranks = (int)mesh_ranks(m);
    if (a == MESH_DATA) out.strategy.experts = 1;
    if (a == MESH_DATA) out.shards = 1;
    if (a == MESH_DATA) out.strategy.zero = 0;
    if (a == MESH_TENSOR) out.strategy.sequence_parallel = false;
    return out;
}

// Ranks that share experts: those along data, or with them all along context.
static int degree_of(const Mesh *m, MeshAxis a) {
    return mesh_size(m, a) * (a == MESH_EXPERT && m->wide_experts ? mesh_size(m, MESH_CONTEXT) : 1);
}

static Status add_without(Table *t, const JobSpec *spec, const char *option, Arena *arena) {
    Planned other;
    char name[64];
    Status status = plan(&other, spec, arena);
    snprintf(name, sizeof name, "without --%s", option);
    if (status == OK)
        planned_row(t, name, spec->ranks, &other);
    else if (status == ERR_USAGE) {  // as a batch that fewer ranks cannot have
        table_cell(t, "%s", name);
        table_cell(t, "%d", spec->ranks);
        for (int i = 0; i < 4; i++) table_cell(t, "-");
        status = OK;
    }
    program_set_finish(&other.set);
    return status;
}

static Status print_table(const JobSpec *s, const Mesh *m, const Planned *all, Arena *a) {
    static const TableColumn columns[] = {{"a rank", false},      {"ranks", true},
                                          {"weights etc.", true}, {"memory", true},
                                          {"sent a step", true},  {"communications", true}};
    Table t;
    table_init(&t, a, columns, 6);
    planned_row(&t, "as chosen", s->ranks, all);
    for (int i = 0; i < DEGREES; i++) {
        JobSpec spec = without(s, degrees[i].axis);
        if (degrees[i].axis == MESH_CONTEXT && m->wide_experts)
            spec.strategy.experts = mesh_size(m, MESH_EXPERT);
        if (degree_of(m, degrees[i].axis) > 1) TRY(add_without(&t, &spec, degrees[i].option, a));
    }
    JobSpec keeps = *s;
    keeps.strategy.recompute = RECOMPUTE_NONE;
    if (s->strategy.recompute) TRY(add_without(&t, &keeps, "recompute", a));
    return table_print(stdout, &t, TABLE_TEXT);
}

// --- in words

// Is it an exchange of tokens among ranks that share experts, or a sum among these alone?
static bool is_of_experts(const Program *p, const Traffic *t) {
    bool own_axis = mesh_find_axis(p, MESH_EXPERT) != NONE;
    return t->axes == mesh_expert_axes(p) && (own_axis || t->kind == KIND_ALL_TO_ALL);
}

// Is it sent along an axis? Along data, what is summed along data and others at once, too.
static bool is_along(const Program *p, const Traffic *t, MeshAxis a) {
    int axis = mesh_find_axis(p, a), context = mesh_find_axis(p, MESH_CONTEXT);
    unsigned batch = mesh_batch_axes(p), wide = batch | (context == NONE ? 0u : 1u << context);
    if (a == MESH_EXPERT || is_of_experts(p, t)) return a == MESH_EXPERT && is_of_experts(p, t);
    return a == MESH_DATA ? t->axes & batch && !(t->axes & ~wide) : t->axes == 1 << axis;
}

static Traffic along(const Planned *x, MeshAxis a) {
    Traffic sum = {0};
    for (int i = 0; i < x->count; i++) {
        if (!is_along(&x->program, &x->traffic[i], a)) continue;
        sum.count += x->traffic[i].count;
        sum.bytes += x->traffic[i].bytes;
    }
    return sum;
}

static void say_data(char *out, const JobSpec *s, int size) {
    text_append(out, WORDS_OF_AN_AXIS, "%d parts of the batch, %lld rows each. ", size,
                (long long)(s->batch / size));
    switch (s->strategy.zero) {
    case 0:
        text_append(out, WORDS_OF_AN_AXIS,
                    "Every one holds all weights%s, so memory falls by activations alone; --zero 1 "
                    "divides what the optimiser keeps. ",
                    s->strategy.experts > 1 ? " that are no expert's" : "");
        break;
    case 1:
    case 2:
        text_append(out, WORDS_OF_AN_AXIS, "They divide what the optimiser keeps%s%s. ",
                    s->dtype != DTYPE_BF16  ? ""
                    : s->strategy.zero == 2 ? ", the weights in f32"
                                            : " and the weights in f32",
                    s->strategy.zero == 2 ? ", and gradients" : "");
        break;
    default:
        text_append(out, WORDS_OF_AN_AXIS,
                    "They divide weights, gradients and the optimiser's memory, and gather a "
                    "layer's weights before they compute it. ");
    }
    text_append(out, WORDS_OF_AN_AXIS,
                "Gradients go while the backward computes the layers before: the cheapest axis to "
                "take over slow links.");
}

// With ranks along context, of which all data parallel ranks are `groups` groups.
static void say_wide_experts(char *out, int size, int groups) {
    text_append(out, WORDS_OF_AN_AXIS,
                "%d ranks, whose rows or positions differ, share the experts of each layer", size);
    if (groups > 1)
        text_append(out, WORDS_OF_AN_AXIS,
                    ", and %d such groups hold the same ones, whose gradients are summed over the "
                    "groups",
                    groups);
}

static void say_experts(char *out, const Mesh *m) {
    int size = mesh_size(m, MESH_EXPERT), groups = mesh_size(m, MESH_DATA) / size;
    if (m->wide_experts)
        say_wide_experts(out, degree_of(m, MESH_EXPERT), groups);
    else if (groups == 1 && size == 2)
        text_append(out, WORDS_OF_AN_AXIS,
                    "both data parallel ranks share the experts of each layer");
    else if (groups == 1)
        text_append(out, WORDS_OF_AN_AXIS,
                    "all %d data parallel ranks share the experts of each layer", size);
    else
        text_append(out, WORDS_OF_AN_AXIS,
                    "%d neighbours along data share the experts of each layer, and %d groups of "
                    "them hold the same ones, whose gradients are summed over the groups",
                    size, groups);
    text_append(out, WORDS_OF_AN_AXIS,
                ". Tokens go to the ranks that have their experts and back, forward and backward, "
                "and the layer waits for that: so these ranks are better within a node.");
}

// Weights whose rows, or columns, the ranks cannot share equally: 65 tokens are 32 and 33.
static void say_uneven(char *out, const Program *p, int size) {
    int axis = mesh_find_axis(p, MESH_TENSOR), count = 0;
    for (int i = 0; i < p->tensor_count; i++) {
        const Tensor *t = &p->tensors[i];
        Placement how = t->placement[axis];
        if (t->role != ROLE_PARAMETER || t->alias != NONE || how.place != PLACE_SHARD) continue;
        long long all = p->logicals[t->logical].shape[how.dim] / (how.block ? how.block : 1);
        if (p->logicals[t->logical].dims < 2 || all % size == 0 || count++) continue;
        text_append(out, WORDS_OF_AN_AXIS,
                    " Of the %lld %s of %s a rank has %lld or %lld, and room for %lld: %lld in all",
                    all, how.dim ? "columns" : "rows", tensor_name(p, i), all / size,
                    all / size + 1, all / size + 1, (all / size + 1) * size);
    }
    if (count > 1)
        text_append(out, WORDS_OF_AN_AXIS, "; so it is with %d more weight%s", count - 1,
                    count == 2 ? "" : "s");
    if (count) text_append(out, WORDS_OF_AN_AXIS, ".");
}

static void say_tensor(char *out, const Program *p, const JobSpec *s, int size) {
    text_append(out, WORDS_OF_AN_AXIS,
                "every product of a layer is cut in %d, with its weights. The results are joined "
                "in every layer, forward and backward, and the next layer waits for that: so these "
                "ranks are neighbours, within a node.",
                size);
    if (s->strategy.sequence_parallel)
        text_append(out, WORDS_OF_AN_AXIS,
                    " Between products each rank has 1/%d of the positions, so that norms, "
                    "dropout and residual sums keep less, for as many bytes sent.",
                    size);
    say_uneven(out, p, size);
}

static const char *const schedules[] = {"gpipe", "1f1b", "interleaved", "zero-bubble"};

// What a rank idles, of a step of equal stages: a/b in lowest terms. Shards that share statistics
// go through a stage together.
static Status find_idle(long long *a, long long *b, const JobSpec *s, const OptionForm *schedule,
                        int size, Arena *arena) {
    StrategyOptions o = s->strategy;
    o.schedule = *schedule;
    int shards = o.sync_batch_norm ? 1 : job_spec_local_shards(s);
    PipelineShape shape = stage_shape(&o, size, shards * s->micro_batches);
    PipelineSchedule order;
    PipelineTimes t;
    TRY(pipeline_schedule_create(&order, arena, &shape));
    TRY(pipeline_schedule_time(&t, &order, &(PipelineCosts){1, 1, 1, 0}));
    long long divisor = t.step, rest = t.bubble[0];
    while (rest) {
        long long next = divisor % rest;
        divisor = rest;
        rest = next;
    }
    *a = t.bubble[0] / divisor;
    *b = t.step / divisor;
    return OK;
}

static Status say_pipe(char *out, const JobSpec *s, int size, Arena *arena) {
    const OptionForm *chosen = &s->strategy.schedule, plain = {.word = SCHEDULE_1F1B};
    int batches = s->micro_batches;
    long long a, b;
    TRY(find_idle(&a, &b, s, chosen, size, arena));
    text_append(out, WORDS_OF_AN_AXIS,
                "each stage holds a part of the layers. Little is sent, between neighbours only, "
                "so stages may be far apart. But a stage has nothing to do until the first of %d "
                "micro-batch%s comes to it: with equal stages, the schedule %s leaves %lld/%lld = "
                "%.0f %% of a step idle",
                batches, batches == 1 ? "" : "es", schedules[chosen->word], a, b,
                100.0 * (double)a / (double)b);
    if (chosen->word == SCHEDULE_INTERLEAVED || chosen->word == SCHEDULE_ZERO_BUBBLE) {
        TRY(find_idle(&a, &b, s, &plain, size, arena));
        text_append(out, WORDS_OF_AN_AXIS, ", where 1f1b leaves %lld/%lld", a, b);
    }
    text_append(out, WORDS_OF_AN_AXIS, "; more --accumulate makes it less.");
    return OK;
}

static void say_context(char *out, const JobSpec *s, int size) {
    bool ring = s->strategy.context == CONTEXT_RING;
    text_append(out, WORDS_OF_AN_AXIS,
                "each rank has 1/%d of every sequence: activations fall, weights do not. %s; "
                "gradients are summed as along data.",
                size,
                ring ? "Keys and values go around the ring in every attention while blocks are "
                       "computed"
                     : "Before every attention ranks exchange their positions for some heads of "
                       "all positions, and back behind it, and wait for that");
}

static void print_wrapped(const char *text, int indent) {
    int column = 0;
    for (const char *at = text; *at;) {
        int length = (int)strcspn(at, " ");
        if (column && column + 1 + length > LINES - indent) column = 0, putchar('\n');
        if (!column) printf("%*s", indent, "");
        column += printf("%s%.*s", column ? " " : "", length, at);
        at += length;
        at += strspn(at, " ");
    }
    putchar('\n');
}

static Status say_axis(const Planned *all, const JobSpec *s, const Mesh *m, MeshAxis a,
                       Arena *arena) {
    char words[WORDS_OF_AN_AXIS] = "", size[UNITS_TEXT];
    if (degree_of(m, a) == 1) return OK;  // the program may have no such axis
    Traffic t = along(all, a);
    printf("\n%s %d: a rank sends %s a step in %lld communication%s\n", mesh_axis_name(a),
           degree_of(m, a), units_print_size(size, (int64_t)(t.bytes + 0.5)), (long long)t.count,
           t.count == 1 ? "" : "s");
    if (a == MESH_DATA) say_data(words, s, mesh_size(m, a));
    if (a == MESH_EXPERT) say_experts(words, m);
    if (a == MESH_TENSOR) say_tensor(words, &all->program, s, mesh_size(m, a));
    if (a == MESH_PIPE) TRY(say_pipe(words, s, mesh_size(m, a), arena));
    if (a == MESH_CONTEXT) say_context(words, s, mesh_size(m, a));
    print_wrapped(words, 2);
    return OK;
}

// What a step computes again, of the arithmetic that it had to do once.
static void say_recompute(const Planned *all, const JobSpec *s) {
    const Program *p = &all->program;
    const Plan *step = &p->plans[program_find_when(p, WHEN_EACH_STEP, 0)];
    double once = 0, again = 0, gathered = 0;
    char words[WORDS_OF_AN_AXIS] = "", size[UNITS_TEXT];
    int count = 0;
    for (int i = 0; i < step->op_count; i++) {
        bool repeats = step->ops[i].flags & OP_RECOMPUTE;
        *(repeats ? &again : &once) += (double)op_work(p, &step->ops[i])->flops;
        count += repeats;
    }
    for (int i = 0; i < all->count; i++)
        if (all->traffic[i].phase == PHASE_RECOMPUTE) gathered += all->traffic[i].bytes;
    printf("\nrecompute %s: %d operations again, %.0f %% more products\n",
           recompute_words[s->strategy.recompute], count, once > 0 ? 100 * again / once : 0);
    text_append(words, WORDS_OF_AN_AXIS,
                "The backward computes them again just before it reads them, so that less is kept "
                "from the forward. ");
    if (gathered == 0) text_append(words, WORDS_OF_AN_AXIS, "Nothing is sent again.");
    if (gathered > 0)
        text_append(words, WORDS_OF_AN_AXIS,
                    "What they read and no rank has whole is gathered again: %s a step.",
                    units_print_size(size, (int64_t)(gathered + 0.5)));
    print_wrapped(words, 2);
}

// A part of the title behind what ends the one before it, on a line of its own where it and what
// may end it do not fit.
static void print_part(int *column, const char *end, const char *part) {
    enum { WIDTH = 80 };
    bool breaks = *column && *column + text_width(end) + 2 + text_width(part) > WIDTH;
    printf("%s%s%s", end, breaks ? "\n  " : *end ? " " : "", part);
    *column = (breaks ? 2 : *column + text_width(end) + (*end != 0)) + text_width(part);
}

static void print_title(const Planned *all, const JobSpec *s, const Mesh *m) {
    enum { PART = 256 };
    char text[PART] = "";
    int column = 0;
    print_part(&column, "", s->model);
    text_append(text, PART, "%s, batch %lld, %d rank%s", dtype_name(s->dtype),
                (long long)s->batch, s->ranks, s->ranks == 1 ? "" : "s");
    print_part(&column, ",", text);
    *text = 0;
    for (int place = 0; place < MESH_AXES; place++) {
        MeshAxis a = mesh_at(m, place);
        if (mesh_size(m, a) > 1)
            text_append(text, PART, "%s%s %d", *text ? " × " : "", mesh_axis_name(a),
                        mesh_size(m, a));
    }
    if (*text) print_part(&column, ":", text);
    snprintf(text, PART, "a rank of class %s", all->class);
    if (*all->class) print_part(&column, ";", text);
    printf("\n\n");
}

Status explain_mesh(const SimJob *job, Arena *a) {
    const JobSpec *s = &job->spec;
    Planned all;
    Mesh m;
    if (s->plan_file)
        FAIL(ERR_USAGE,
             "--explain explains the degrees of a mesh; the plan %s has none: see "
             "--print-plan and --print-memory",
             s->plan_file);
    TRY(job_spec_mesh(&m, s));
    Status status = plan(&all, s, a);
    if (status == OK) {
        print_title(&all, s, &m);
        status = print_table(s, &m, &all, a);
        for (int place = 0; place < MESH_AXES && status == OK; place++)
            status = say_axis(&all, s, &m, mesh_at(&m, place), a);
        if (status == OK) status = say_axis(&all, s, &m, MESH_EXPERT, a);
        if (s->strategy.recompute && status == OK) say_recompute(&all, s);
        if (s->ranks == 1) puts("\none rank: it has nobody to divide the work with; see --dp");
    }
    program_set_finish(&all.set);
    return status;
}
