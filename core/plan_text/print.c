// SPDX-License-Identifier: MIT
// Printing programs: one line per thing, columns aligned, and nothing written that follows from the
// rest. docs/formats.md, "Plan files"; parse.c reads it.
#include "core/plan_text/plan_text.h"

#include "core/base/arena.h"
#include "core/plan/lower.h"
#include "core/plan_text/op_index.h"
#include "core/plan_text/plan_text_words.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const plan_text_orders[] = {"rank", "schedule", NULL};
const char *const plan_text_reduces[] = {"sum", "max", NULL};
const char *const plan_text_flags[] = {"accumulate", "recompute", NULL};
const char *const plan_text_pools[] = {"local", "shared", "host", NULL};

bool plan_text_is_name(const char *name) {
    if (!isalnum((unsigned char)*name) && *name != '_') return false;
    while (isalnum((unsigned char)*name) || (*name && strchr("_./+:-", *name))) name++;
    return !*name;
}

Dtype plan_text_default_dtype(const Program *p, const int32_t *outputs, int output_count,
                              const int32_t *inputs, int input_count) {
    for (int i = 0; i < input_count + output_count; i++) {
        const Tensor *t = &p->tensors[i < input_count ? inputs[i] : outputs[i - input_count]];
        if (dtype_is_real((Dtype)t->dtype)) return (Dtype)t->dtype;
    }
    return DTYPE_F32;
}

typedef struct {
    const Program *p;  // of the class being printed
    FILE *out;
    Arena arena;
    int *name_uses;  // of the plan being printed, per name: operations that have it
    OpIndex index;   // of the plan being printed
} Printer;

// --- columns

enum { COLUMN_MAX = 40 };  // longer words push the rest of their line aside

static void widen(int *column, const char *word) {
    int length = (int)strlen(word);
    if (length <= COLUMN_MAX && length > *column) *column = length;
}

static const char *shape_text(const int64_t *shape, int dims, char out[96]) {
    out[0] = 0;
    for (int i = 0, at = 0; i < dims; i++)
        at += snprintf(out + at, 96 - (size_t)at, "%s%" PRId64, i ? "x" : "", shape[i]);
    return out;
}

// --- what a program has before its plans

static void print_pools(const Printer *w) {
    const Program *p = w->p;
    for (int pool = 0; p->lowered && pool < POOL_COUNT; pool++) {
        if (pool == POOL_HOST && !p->pool_bytes[pool]) continue;
        fprintf(w->out, "pool %-6s", plan_text_pools[pool]);
        for (int r = 0; r < ROLE_COUNT; r++)
            if (p->role_bytes[pool][r])
                fprintf(w->out, "  %s=%" PRId64, role_name((Role)r), p->role_bytes[pool][r]);
        fprintf(w->out, "\n");
    }
}

static void print_mesh(const Printer *w) {
    const Program *p = w->p;
    if (p->axis_count) fprintf(w->out, "mesh");
    for (int i = 0; i < p->axis_count; i++)
        fprintf(w->out, " %s=%d", p->axes[i].name, p->axes[i].size);
    if (p->axis_count) fprintf(w->out, "\n");
}

static void print_axes(const Printer *w, uint16_t axes) {
    const char *separator = "axes=";
    for (int a = 0; a < w->p->axis_count; a++) {
        if (!(axes >> a & 1)) continue;
        fprintf(w->out, "%s%s", separator, w->p->axes[a].name);
        separator = ",";
    }
}

static void print_groups(const Printer *w) {
    const Program *p = w->p;
    for (int i = 0; i < p->group_count; i++) {
        const Group *g = &p->groups[i];
        fprintf(w->out, "group %s  %s", program_name(p, g->name), g->axes ? "" : "ranks=");
        print_axes(w, g->axes);
        if (g->at_axis != NONE) fprintf(w->out, " at=%s:", p->axes[g->at_axis].name);
        for (int m = 0; m < (g->axes ? g->at_count : g->size); m++)
            fprintf(w->out, "%s%d", m ? "," : "", p->members[g->first + m]);
        fprintf(w->out, "\n");
    }
}

static void print_lanes(const Printer *w) {
    const Program *p = w->p;
    int width = 0;
    for (int i = 0; i < p->lane_count; i++) widen(&width, program_name(p, p->lanes[i].name));
    for (int i = 0; i < p->lane_count; i++) {
        const Lane *l = &p->lanes[i];
        fprintf(w->out, "lane %-*s  %s", width, program_name(p, l->name),
                lane_kind_name((LaneKind)l->kind));
        if (l->group != NONE)
            fprintf(w->out, "  group=%s", program_name(p, p->groups[l->group].name));
        fprintf(w->out, "\n");
    }
}

// The shortest text that reads back as the same number.
static void print_real(FILE *out, double value) {
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    fprintf(out, "%s", text);
}

static void print_initial(FILE *out, const char *key, double value) {
    if (value == 0) return;
    fprintf(out, "  %s=", key);
    print_real(out, value);
}

// Logical tensors from `first` on, before `end`; the parameters come before all that a class adds.
static void print_logicals(const Printer *w, int first, int end) {
    const Program *p = w->p;
    int width = 0, shape_width = 0, parameters = first ? p->parameter_count : 0;
    char shape[96];
    for (int i = first; i < end; i++) {
        widen(&width, program_name(p, p->logicals[i].name));
        widen(&shape_width, shape_text(p->logicals[i].shape, p->logicals[i].dims, shape));
    }
    for (int i = first; i < end; i++) {
        const Logical *l = &p->logicals[i];
        fprintf(w->out, "logical %-*s  %-3s %-*s  %s", width, program_name(p, l->name),
                dtype_name((Dtype)l->dtype), shape_width, shape_text(l->shape, l->dims, shape),
                role_name((Role)l->role));
        if (l->fan_in) fprintf(w->out, "  fan_in=%" PRId64, l->fan_in);
        print_initial(w->out, "normal", l->normal);
        print_initial(w->out, "constant", l->constant);
        if (l->init != parameters) fprintf(w->out, "  init=%d", l->init);
        parameters += l->role == ROLE_PARAMETER;
        if (l->trainable != (l->role == ROLE_PARAMETER))
            fprintf(w->out, "  trainable=%d", l->trainable);
        if (l->tied_to != NONE)
            fprintf(w->out, "  tied_to=%s", program_name(p, p->logicals[l->tied_to].name));
        fprintf(w->out, "\n");
    }
}

// The lane whose operations work in it.
static void print_lane_of(const Printer *w, const Tensor *t) {
    const Program *p = w->p;
    for (int i = 0; i < p->lane_count; i++)
        if (p->lanes[i].scratch != NONE && &p->tensors[p->lanes[i].scratch] == t)
            fprintf(w->out, "  lane=%s", program_name(p, p->lanes[i].name));
}

static void print_tensor(const Printer *w, const Tensor *t, int width, int shape_width) {
    const Program *p = w->p;
    char shape[96];
    fprintf(w->out, "tensor %-*s  %-3s %-*s  %s", width, program_name(p, t->name),
            dtype_name((Dtype)t->dtype), shape_width, shape_text(t->shape, t->dims, shape),
            role_name((Role)t->role));
    const char *logical = program_name(p, p->logicals[t->logical].name);
    if (strcmp(logical, program_name(p, t->name))) fprintf(w->out, "  of=%s", logical);
    bool replicated = true;
    for (int a = 0; a < p->axis_count; a++)
        replicated = replicated && t->placement[a].place == PLACE_REPLICATE;
    char place[PLACEMENT_TEXT];
    for (int a = 0; !replicated && a < p->axis_count; a++)
        fprintf(w->out, "%s%s", a ? "," : "  place=", placement_text(t->placement[a], place));
    if (t->extent != NONE) fprintf(w->out, "  extent=%s", tensor_name(p, t->extent));
    if (t->extent_times != 1) fprintf(w->out, "*%" PRId64, t->extent_times);
    if (t->alias != NONE) fprintf(w->out, "  alias=%s", tensor_name(p, t->alias));
    if (t->shard || t->micro_batch) fprintf(w->out, "  slice=%d.%d", t->shard, t->micro_batch);
    if (t->source) fprintf(w->out, "  source=%s", scalar_source_name((ScalarSource)t->source));
    if (t->source_axes) fprintf(w->out, "  ");
    print_axes(w, t->source_axes);
    if (t->result) fprintf(w->out, "  result=%s", result_name((Result)t->result));
    if (t->role == ROLE_SCRATCH) print_lane_of(w, t);
    if (t->pool != POOL_LOCAL) fprintf(w->out, "  pool=%s", plan_text_pools[t->pool]);
    if (t->offset != NONE) fprintf(w->out, "  offset=%" PRId64, t->offset);
    fprintf(w->out, "\n");
}

static void print_tensors(const Printer *w) {
    const Program *p = w->p;
    int width = 0, shape_width = 0;
    char shape[96];
    for (int i = 0; i < p->tensor_count; i++) {
        widen(&width, tensor_name(p, i));
        widen(&shape_width, shape_text(p->tensors[i].shape, p->tensors[i].dims, shape));
    }
    for (int i = 0; i < p->tensor_count; i++) print_tensor(w, &p->tensors[i], width, shape_width);
}

// --- operations

static void print_attributes(const Printer *w, const Work *work) {
    Kind k = work_kind(work);
    for (int i = 0, printed = 0; i < kind_attribute_count(k); i++) {
        int length, real;
        const char *name = kind_attribute(k, i, &length, &real);
        if (kind_attribute_is_optional(k, i) && !work_attr(w->p, work, i)) continue;
        fprintf(w->out, "%s%.*s=", printed++ ? " " : "  ", length, name);
        if (k == KIND_FUSED)
            fprintf(w->out, "%s", fusion_name((Fusion)work_attr(w->p, work, i)));
        else if (real)
            print_real(w->out, work_real(w->p, work, i));
        else
            fprintf(w->out, "%" PRId64, work_attr(w->p, work, i));
    }
}

static void print_communication(const Printer *w, const Work *work) {
    fprintf(w->out, "  group=%s", program_name(w->p, w->p->groups[work->group].name));
    fprintf(w->out, " algorithm=%s order=%s", algorithm_name((Algorithm)work->algorithm),
            plan_text_orders[work->order]);
    if (work->reduce != REDUCE_SUM) fprintf(w->out, " reduce=%s", plan_text_reduces[work->reduce]);
    if (work->parts != 1) fprintf(w->out, " parts=%d", work->parts);
    if (work->unit) fprintf(w->out, " unit=%lld", (long long)work->unit);
}

static void print_operands(const Printer *w, const Plan *plan, const Op *op) {
    for (int i = 0; i < op->outputs; i++)
        fprintf(w->out, " %s", tensor_name(w->p, op_outputs(plan, op)[i]));
    fprintf(w->out, " <-");
    for (int i = 0; i < op->inputs; i++)
        fprintf(w->out, " %s", tensor_name(w->p, op_inputs(plan, op)[i]));
}

// What operations and members of fused ones have alike, from the operands on.
static void print_work(const Printer *w, const Plan *plan, const Op *op) {
    const Program *p = w->p;
    const Work *work = op_work(p, op);
    print_operands(w, plan, op);
    print_attributes(w, work);
    if (work_communicates(work)) print_communication(w, work);
    if (work->peer) fprintf(w->out, "  peer=%d", work->peer);
    fprintf(w->out, "  phase=%s", phase_name((Phase)work->phase));
    if (work->layer != NONE) fprintf(w->out, " layer=%s", program_name(p, work->layer));
    if (work->dtype != plan_text_default_dtype(p, op_outputs(plan, op), op->outputs,
                                               op_inputs(plan, op), op->inputs))
        fprintf(w->out, " dtype=%s", dtype_name((Dtype)work->dtype));
    const char *separator = " flags=";
    for (int f = 0; plan_text_flags[f]; f++) {
        if (!(op->flags >> f & 1)) continue;
        fprintf(w->out, "%s%s", separator, plan_text_flags[f]);
        separator = ",";
    }
    if (work->flops) fprintf(w->out, " flops=%" PRId64, work->flops);
    if (work->kind == KIND_FUSED) fprintf(w->out, " cost=%016" PRIx64, work->cost_key);
}

static bool is_alone(const Printer *w, const Op *op) {
    return w->name_uses[op_work(w->p, op)->name] < 2;
}

// An operation as dependencies name it: its name; with [shard.micro_batch] when others have that
// name; and with its place among those, from 0, when that does not tell them apart.
static void print_reference(const Printer *w, const Plan *plan, int index) {
    const Op *op = &plan->ops[index];
    fprintf(w->out, "%s", op_name(w->p, op));
    if (is_alone(w, op)) return;
    fprintf(w->out, "[%d.%d", op->shard, op->micro_batch);
    if (w->index.twins[index] > 1) fprintf(w->out, ".%d", w->index.place[index]);
    fprintf(w->out, "]");
}

static int by_operation(const void *a, const void *b) {
    const Dep *x = a, *y = b;
    return x->op != y->op ? (x->op > y->op) - (x->op < y->op) : x->distance - y->distance;
}

// Dependencies of one kind, in the order of the operations they name.
static Status print_dependencies(Printer *w, const Plan *plan, const Op *op, DepKind kind,
                                 const char *key) {
    Dep *deps = ARENA_NEW(&w->arena, Dep, op->dep_count);
    if (!deps) FAIL(ERR_MEMORY, "out of memory for printing a plan");
    int count = 0;
    for (int i = 0; i < op->dep_count; i++)
        if (plan->deps[op->dep_first + i].kind == kind)
            deps[count++] = plan->deps[op->dep_first + i];
    qsort(deps, (size_t)count, sizeof *deps, by_operation);
    for (int i = 0; i < count; i++) {
        fprintf(w->out, "%s", i ? "," : key);
        print_reference(w, plan, deps[i].op);
        if (deps[i].distance) fprintf(w->out, "~%d", deps[i].distance);
    }
    return OK;
}

typedef struct {
    int name, kind, lane;
} Widths;

static Status print_op(Printer *w, const Plan *plan, const Op *op, const Widths *widths) {
    const Program *p = w->p;
    fprintf(w->out, "  %-*s  %-*s @%-*s ", widths->name, op_name(p, op), widths->kind,
            kind_name(op_kind(p, op)), widths->lane, program_name(p, p->lanes[op->lane].name));
    print_work(w, plan, op);
    if (op->shard || op->micro_batch || !is_alone(w, op))
        fprintf(w->out, " slice=%d.%d", op->shard, op->micro_batch);
    if (op->guard != NONE) fprintf(w->out, " guard=%s", tensor_name(p, op->guard));
    if (op->dep_count) {
        TRY(print_dependencies(w, plan, op, DEP_ORDER, " after="));
        TRY(print_dependencies(w, plan, op, DEP_REUSE, " reuse="));
    }
    fprintf(w->out, "\n");
    for (int i = 0; i < op->member_count; i++) {
        const Op *member = &plan->members[op->member_first + i];
        fprintf(w->out, "    + %s %s ", op_name(p, member), kind_name(op_kind(p, member)));
        print_work(w, plan, member);
        fprintf(w->out, "\n");
    }
    return OK;
}

static Status print_plan(Printer *w, const Plan *plan) {
    const Program *p = w->p;
    Widths widths = {0};
    memset(w->name_uses, 0, (size_t)p->name_bytes * sizeof *w->name_uses);
    for (int i = 0; i < plan->op_count; i++) {
        const Op *op = &plan->ops[i];
        w->name_uses[op_work(p, op)->name]++;
        widen(&widths.name, op_name(p, op));
        widen(&widths.kind, kind_name(op_kind(p, op)));
        widen(&widths.lane, program_name(p, p->lanes[op->lane].name));
    }
    TRY(op_index_init(&w->index, &w->arena, p, plan));
    fprintf(w->out, "\nplan %s", program_name(p, plan->name));
    if (plan->when) fprintf(w->out, "  when=%s", when_name((When)plan->when));
    fprintf(w->out, "\n");
    for (int i = 0; i < plan->op_count; i++) TRY(print_op(w, plan, &plan->ops[i], &widths));
    return OK;
}

static Status check_names(const Program *p) {
    for (int at = 0; at < p->name_bytes; at = program_next_name(p, at))
        if (!plan_text_is_name(p->names + at))
            FAIL(ERR_PLAN,
                 "the name \"%.60s\" cannot stand in a plan file: letters, digits and _ . / + : - "
                 "only",
                 p->names + at);
    return OK;
}

// What all classes have alike.
static void print_head(const Printer *w, bool alone) {
    const Program *p = w->p;
    int logicals = alone ? p->logical_count : program_shared_logicals(p);
    fprintf(w->out, TEXT_HEADER "\n");
    if (p->lowered) fprintf(w->out, "device %s\n", program_name(p, p->device));
    if (alone) print_pools(w);
    print_mesh(w);
    print_groups(w);
    print_lanes(w);
    if (logicals) fprintf(w->out, "\n");
    print_logicals(w, 0, logicals);
}

static Status print_class_line(const Printer *w, const RankClass *c) {
    char at[RANK_CLASS_TEXT];
    if (!plan_text_is_name(c->name))
        FAIL(ERR_PLAN, "the name \"%s\" of a class cannot stand in a plan file", c->name);
    rank_class_print(at, c, w->p);
    fprintf(w->out, "\nclass %s%s%s\n", c->name, *at ? "  " : "", at);
    print_pools(w);
    print_logicals(w, program_shared_logicals(w->p), w->p->logical_count);
    return OK;
}

// Tensors and plans; before them what lower() added for this class, if it has a line.
static Status print_class(Printer *w, const RankClass *c) {
    const Program *p = w->p;
    TRY(check_names(p));
    w->name_uses = ARENA_NEW(&w->arena, int, p->name_bytes);
    if (!w->name_uses) FAIL(ERR_MEMORY, "out of memory for printing a plan");
    if (c) TRY(print_class_line(w, c));
    if (p->tensor_count) fprintf(w->out, "\n");
    print_tensors(w);
    for (int i = 0; i < p->plan_count; i++) TRY(print_plan(w, &p->plans[i]));
    return OK;
}

static Status print_set(Printer *w, const ProgramSet *s, int only) {
    bool alone = s->count == 1 && !*program_set_name(s, 0);
    w->p = &s->programs[only == NONE ? 0 : only];
    TRY(check_names(w->p));
    print_head(w, alone);
    for (int i = 0; i < s->count; i++) {
        if (only != NONE && only != i) continue;
        w->p = &s->programs[i];
        TRY(print_class(w, alone ? NULL : &s->classes[i]));
    }
    return OK;
}

Status plan_text_print(const ProgramSet *s, int only, FILE *out) {
    Printer w = {.out = out};
    Status status = print_set(&w, s, only);
    arena_finish(&w.arena);
    TRY(status);
    if (ferror(out)) FAIL(ERR_IO, "the plan could not be written: %s", strerror(errno));
    return OK;
}
