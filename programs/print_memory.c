// SPDX-License-Identifier: MIT
// Rows are classes of memory; columns are the plan's bytes and those of the formulas.
#include "programs/print_memory.h"

#include "core/base/json.h"
#include "core/base/table.h"
#include "core/base/units.h"
#include "core/nn/model.h"
#include "core/plan/mesh.h"
#include "parallel/strategy/footprint.h"
#include "parallel/strategy/traffic.h"

#include <stdio.h>

enum { STAGES = 4, CELLS = 1 + STAGES };

static void bytes_cell(Table *t, double bytes) {
    char text[UNITS_TEXT];
    table_cell(t, "%s", units_print_size(text, (int64_t)(bytes + 0.5)));
}

static void row(Table *t, const char *name, const double bytes[CELLS]) {
    table_cell(t, "%s", name);
    for (int i = 0; i < CELLS; i++) bytes_cell(t, bytes[i]);
}

static void plan_row(Table *t, const char *name, int64_t bytes) {
    table_cell(t, "%s", name);
    bytes_cell(t, (double)bytes);
    for (int i = 0; i < STAGES; i++) table_cell(t, "%s", "");
}

// `step`: the same without evaluation; is it less?
static bool fill(Table *t, const Program *p, const Program *step, int rank) {
    const FootprintModel model = footprint_model(p);
    double parameters[CELLS], gradients[CELLS], optimiser[CELLS], sum[CELLS], sent[CELLS],
        norm[CELLS], statistics = 0, activations = 0, rows = 0;
    int64_t all = 0;
    bool less = false;
    for (int i = 0; i < CELLS; i++) {
        Footprint f = i ? footprint_closed(&model, i - 1) : footprint_planned(p, rank);
        parameters[i] = f.parameters;
        gradients[i] = f.gradients;
        optimiser[i] = f.optimiser;
        sum[i] = f.parameters + f.gradients + f.optimiser;
        sent[i] = f.sent;
        norm[i] = f.sent_norm;
        statistics += f.sent_statistics;
        activations += f.sent_activations;
        rows += f.sent_rows;
    }
    row(t, "parameters", parameters);
    row(t, "gradients", gradients);
    row(t, "optimiser", optimiser);
    row(t, "their sum", sum);
    for (int m = 0; m < MEMORY_COUNT; m++) {
        int64_t bytes = program_memory(p, (Memory)m);
        all += bytes;
        bool formula = m == MEMORY_PARAMETERS || m == MEMORY_GRADIENTS || m == MEMORY_OPTIMISER;
        if (!formula) plan_row(t, memory_name((Memory)m), bytes);
        int64_t in_step = program_memory(step, (Memory)m);
        bool evaluates = m == MEMORY_ACTIVATIONS || m == MEMORY_COMMUNICATION;
        if (!evaluates || in_step >= bytes) continue;
        plan_row(t, "  in a step", in_step);
        less = true;
    }
    plan_row(t, "all", all);
    row(t, "sent a step", sent);
    if (model.blocks) row(t, "for the norm", norm);
    if (statistics > 0) plan_row(t, "for statistics", (int64_t)(statistics + 0.5));
    if (activations > 0) plan_row(t, "for activations", (int64_t)(activations + 0.5));
    if (rows > 0) plan_row(t, "for rows", (int64_t)(rows + 0.5));
    return less;
}

// ": data 2 × tensor 2", if there is another axis of the mesh than data.
static void print_degrees(const Program *p, const char *before) {
    static const MeshAxis axes[] = {MESH_PIPE, MESH_CONTEXT, MESH_TENSOR};
    int others = 0;
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++)
        others += mesh_axis_size(p, axes[i]) > 1;
    for (int place = 0; others && place < MESH_AXES; place++) {
        MeshAxis a = (MeshAxis)place;
        int size = a == MESH_DATA ? mesh_batch_ranks(p) : mesh_axis_size(p, a);
        if (size < 2) continue;
        printf("%s%s %d", before, mesh_axis_name(a), size);
        before = " × ";
    }
}

static void print_title(const Program *p, const JobSpec *job, const char *class) {
    const FootprintModel model = footprint_model(p);
    printf("%s: %lld parameters, ", job->model, (long long)model.parameters);
    if (model.trained < model.parameters)
        printf("%lld of them trained, ", (long long)model.trained);
    printf("%s\n", dtype_name(job->dtype));
    printf("%d rank%s", job->ranks, job->ranks == 1 ? "" : "s");
    print_degrees(p, ": ");
    printf(", ");
    if (*class) printf("class %s, ", class);
    if (job->strategy.zero)
        printf("ZeRO %d", job->strategy.zero);
    else
        printf("%s", job->plan_file                ? "a plan"
                     : job->ranks == 1             ? "no strategy"
                     : model.ranks == 1            ? "model parallel"
                     : job->strategy.data_parallel ? "DataParallel"
                                                   : "DDP");
    printf(", batch %lld\n", (long long)job->batch);
}

// The first rank of a class; NONE of the only one, whose ranks all send alike in the mean.
static int first_rank(const ProgramSet *set, int class) {
    for (int r = 0; r < program_set_ranks(set) && set->count > 1; r++)
        if (program_set_class(set, r) == class) return r;
    return NONE;
}

// Sets *less if a step takes less than the run.
static Status print_class(const ProgramSet *set, const ProgramSet *step, int class,
                          const JobSpec *job, bool *less) {
    static const TableColumn columns[] = {{"a rank", false}, {"planned", true}, {"DDP", true},
                                          {"ZeRO 1", true},  {"ZeRO 2", true},  {"ZeRO 3", true}};
    const Program *p = &set->programs[class];
    Arena a = {0};
    Table t;
    table_init(&t, &a, columns, CELLS + 1);
    if (class) putchar('\n');
    print_title(p, job, program_set_name(set, class));
    *less |= fill(&t, p, &step->programs[class], first_rank(set, class));
    Status s = table_print(stdout, &t, TABLE_TEXT);
    arena_finish(&a);
    return s;
}

static Status lower(ProgramSet *set, ProgramSet *step, SimJob *job, Arena *a) {
    const SimJobGiven nothing = {0};
    if (job->spec.plan_file) TRY(sim_job_take_plan(job, a, &nothing));
    TRY(job_spec_check(&job->spec));
    TRY(sim_job_lowered(set, a, job));
    return sim_job_step(step, a, job);
}

Status print_memory(SimJob *job, Arena *a) {
    ProgramSet set = {0}, step = {0};
    bool less = false;
    Status s = lower(&set, &step, job, a);
    for (int i = 0; i < set.count && s == OK; i++)
        s = print_class(&set, &step, i, &job->spec, &less);
    if (less && s == OK)
        printf("in a step: without evaluations, which take up to %d rows at once\n",
               EVALUATION_ROWS);
    if (s == OK)
        puts("DDP to ZeRO 3: by formula, without gathered layers and gradients on their way");
    program_set_finish(&set);
    program_set_finish(&step);
    return s;
}

// --- as JSON

static json_t *memory_json(const Program *p) {
    json_t *out = json_object();
    int64_t all = 0;
    int failed = 0;
    for (int m = 0; m < MEMORY_COUNT; m++) {
        int64_t bytes = program_memory(p, (Memory)m);
        all += bytes;
        failed |= json_object_set_new(out, memory_name((Memory)m), json_integer(bytes));
    }
    failed |= json_object_set_new(out, "all", json_integer(all));
    return failed ? NULL : out;
}

static json_t *axes_json(const Program *p, uint16_t axes) {
    json_t *out = json_array();
    int failed = 0;
    for (int a = 0; a < p->axis_count; a++)
        if (axes >> a & 1) failed |= json_array_append_new(out, json_text(p->axes[a].name));
    return failed ? NULL : out;
}

static json_t *traffic_json(const Program *p, const Traffic *list, int count) {
    json_t *out = json_array();
    int failed = 0;
    for (int i = 0; i < count; i++) {
        json_t *item = json_object();
        failed |= json_object_set_new(item, "kind", json_text(kind_name(list[i].kind)));
        failed |= json_object_set_new(item, "phase", json_text(phase_name(list[i].phase)));
        failed |= json_object_set_new(item, "axes", axes_json(p, list[i].axes));
        failed |= json_object_set_new(item, "count", json_integer(list[i].count));
        failed |= json_object_set_new(item, "sent_bytes", json_number(list[i].bytes));
        failed |= json_array_append_new(out, item);
    }
    return failed ? NULL : out;
}

static Status class_json(json_t *classes, const ProgramSet *set, const ProgramSet *step, int class,
                         Arena *a) {
    const Program *p = &set->programs[class];
    json_t *out = json_object();
    Traffic *list;
    int count, ranks = 0;
    TRY(traffic_of_step(p, first_rank(set, class), a, &list, &count));
    for (int r = 0; r < program_set_ranks(set); r++) ranks += program_set_class(set, r) == class;
    int failed = json_object_set_new(out, "class", json_text(program_set_name(set, class)));
    failed |= json_object_set_new(out, "ranks", json_integer(ranks));
    failed |= json_object_set_new(out, "memory_bytes", memory_json(p));
    failed |= json_object_set_new(out, "step_memory_bytes", memory_json(&step->programs[class]));
    failed |= json_object_set_new(out, "communications", traffic_json(p, list, count));
    failed |= json_array_append_new(classes, out);
    if (failed) FAIL(ERR_MEMORY, "out of memory for the memory of a class");
    return OK;
}

Status print_memory_json(SimJob *job, Arena *a) {
    ProgramSet set = {0}, step = {0};
    json_t *root = json_object(), *classes = json_array();
    Status s = lower(&set, &step, job, a);
    for (int i = 0; i < set.count && s == OK; i++) s = class_json(classes, &set, &step, i, a);
    int failed = json_object_set_new(root, "schema", json_text("tandem.memory.v1"));
    failed |= json_object_set_new(root, "model", json_text(job->spec.model));
    failed |= json_object_set_new(root, "dtype", json_text(dtype_name(job->spec.dtype)));
    failed |= json_object_set_new(root, "ranks", json_integer(job->spec.ranks));
    failed |= json_object_set_new(root, "batch", json_integer(job->spec.batch));
    failed |= json_object_set_new(root, "classes", classes);
    if (s == OK && !failed) {
        failed = json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(root);
    program_set_finish(&set);
    program_set_finish(&step);
    TRY(s);
    if (failed) FAIL(ERR_MEMORY, "out of memory for the memory of a job");
    return OK;
}
