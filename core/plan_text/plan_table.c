// SPDX-License-Identifier: MIT
// A row of the table is an operation, numbered in plan order. It waits for the operations of other
// lanes that are named by their numbers, and for the one before it on its own lane, which is not.
#include "core/plan_text/plan_table.h"

#include "core/base/table.h"
#include "core/base/text.h"
#include "core/base/units.h"
#include "core/plan/moved.h"

#include <errno.h>
#include <string.h>

enum { WIDTH = 80, GAP = 2, CELL = 64 };
enum { NUMBER, OPERATION, LANE, SHAPE, BYTES, FLOPS, WAITS, COLUMNS };

static const TableColumn columns[COLUMNS] = {
    {"#", true},     {"operation", false}, {"lane", false},     {"output", false},
    {"bytes", true}, {"flops", true},      {"waits for", false}};

typedef struct {
    const Program *p;
    const Plan *plan;
    FILE *out;
    int32_t *waits[2];  // [distance][lane] the last operation there that is waited for, or NONE
    int *name_uses;     // [name] operations of the plan that have it
    int name_width;     // of the longest name that leaves room for the other columns
} Printer;

typedef struct {
    char text[COLUMNS][CELL];
} Row;

// A name, cut to what there is room for, and its slice where others have it too.
static void print_name(const Printer *w, const Op *op, int room, char out[CELL]) {
    char slice[32] = "";
    const char *name = op_name(w->p, op);
    if (op->shard || op->micro_batch || w->name_uses[op_work(w->p, op)->name] > 1)
        snprintf(slice, sizeof slice, "[%d.%d]", op->shard, op->micro_batch);
    room -= (int)strlen(slice);
    if (room >= (int)strlen(name))
        snprintf(out, CELL, "%s%s", name, slice);
    else
        snprintf(out, CELL, "%.*s..%s", room > 2 ? room - 2 : 0, name, slice);
}

// The shape of the first output: of several tensors that are communicated, how many they are.
static void print_shape(const Printer *w, const Op *op, char out[CELL]) {
    const int32_t *operands = op_outputs(w->plan, op);
    *out = 0;
    if (op_communicates(w->p, op) && op->outputs > 1) {
        snprintf(out, CELL, "%d tensors", op->outputs);
        return;
    }
    if (op->outputs + op->inputs == 0) return;
    const Tensor *t = &w->p->tensors[operands[0]];
    for (int i = 0; i < t->dims; i++)
        text_append(out, CELL, "%s%lld", i ? "x" : "", (long long)t->shape[i]);
}

static bool waits_on(const Printer *w, int lane) {
    return w->waits[0][lane] != NONE || w->waits[1][lane] != NONE;
}

// "3, 17", and "~17" for the step before: the last operation of each other lane.
static void print_waits(const Printer *w, const Op *op, char out[CELL]) {
    for (int lane = 0; lane < w->p->lane_count; lane++)
        w->waits[0][lane] = w->waits[1][lane] = NONE;
    for (int d = 0; d < op->dep_count; d++) {
        const Dep *dep = &w->plan->deps[op->dep_first + d];
        int32_t *last = &w->waits[dep->distance][w->plan->ops[dep->op].lane];
        if (dep->op > *last) *last = dep->op;
    }
    *out = 0;
    for (int lane = 0; lane < w->p->lane_count; lane++) {
        if (lane == op->lane || !waits_on(w, lane)) continue;
        bool before = w->waits[0][lane] == NONE;
        text_append(out, CELL, "%s%s%d", *out ? ", " : "", before ? "~" : "",
                    w->waits[before][lane] + 1);
    }
}

static void fill_row(const Printer *w, int i, Row *row) {
    const Op *op = &w->plan->ops[i];
    const Work *work = op_work(w->p, op);
    char text[UNITS_TEXT];
    bool communicates = work_communicates(work);
    snprintf(row->text[NUMBER], CELL, "%d", i + 1);
    print_name(w, op, w->name_width, row->text[OPERATION]);
    snprintf(row->text[LANE], CELL, "%.40s", program_name(w->p, w->p->lanes[op->lane].name));
    print_shape(w, op, row->text[SHAPE]);
    snprintf(row->text[BYTES], CELL, "%s",
             units_print_size(text, communicates ? work->payload_bytes
                                                 : moved_bytes(w->p, w->plan, op)));
    snprintf(row->text[FLOPS], CELL, "%s", work->flops ? units_print_count(text, work->flops) : "");
    print_waits(w, op, row->text[WAITS]);
}

// How much room the other columns leave for names.
static void find_name_width(Printer *w) {
    int widths[COLUMNS], sum = 0;
    Row row;
    w->name_width = CELL - 1;
    for (int c = 0; c < COLUMNS; c++) widths[c] = (int)strlen(columns[c].head);
    for (int i = 0; i < w->plan->op_count; i++) {
        fill_row(w, i, &row);
        for (int c = 0; c < COLUMNS; c++)
            if ((int)strlen(row.text[c]) > widths[c]) widths[c] = (int)strlen(row.text[c]);
    }
    for (int c = 0; c < COLUMNS; c++) sum += c == OPERATION ? 0 : widths[c];
    int room = WIDTH - sum - (COLUMNS - 1) * GAP;
    w->name_width = room < 12 ? 12 : room > CELL - 1 ? CELL - 1 : room;
}

static Status print_plan(Printer *w, Arena *a) {
    Table t;
    Row row;
    table_init(&t, a, columns, COLUMNS);
    memset(w->name_uses, 0, (size_t)w->p->name_bytes * sizeof *w->name_uses);
    for (int i = 0; i < w->plan->op_count; i++)
        w->name_uses[op_work(w->p, &w->plan->ops[i])->name]++;
    find_name_width(w);
    for (int i = 0; i < w->plan->op_count; i++) {
        fill_row(w, i, &row);
        for (int c = 0; c < COLUMNS; c++) table_cell(&t, "%s", row.text[c]);
    }
    fprintf(w->out, "\nplan %s\n", program_name(w->p, w->plan->name));
    return table_print(w->out, &t, TABLE_TEXT);
}

static void print_memory(const Printer *w) {
    const Program *p = w->p;
    char local[UNITS_TEXT], shared[UNITS_TEXT], host[UNITS_TEXT];
    fprintf(w->out, "%s local, %s shared",
            units_print_size(local, p->pool_bytes[POOL_LOCAL]),
            units_print_size(shared, p->pool_bytes[POOL_SHARED]));
    if (p->pool_bytes[POOL_HOST])
        fprintf(w->out, ", %s of the host", units_print_size(host, p->pool_bytes[POOL_HOST]));
}

static void print_head(const Printer *w, bool alone) {
    const Program *p = w->p;
    int ranks = program_ranks(p);
    fprintf(w->out, "%d rank%s", ranks, ranks == 1 ? "" : "s");
    for (int i = 0; i < p->axis_count; i++)
        fprintf(w->out, "%s%s=%d", i ? ", " : " (", p->axes[i].name, p->axes[i].size);
    fprintf(w->out, "%s", p->axis_count ? ")" : "");
    if (p->lowered) fprintf(w->out, "; lowered for %s", program_name(p, p->device));
    if (p->lowered && alone) {
        fprintf(w->out, ": ");
        print_memory(w);
    }
    fprintf(w->out, "\n");
}

static void print_class_line(const Printer *w, const RankClass *c) {
    char at[RANK_CLASS_TEXT];
    rank_class_print(at, c, w->p);
    fprintf(w->out, "\nclass %s: %s", c->name, *at ? at : "all ranks");
    if (w->p->lowered) {
        fprintf(w->out, "; ");
        print_memory(w);
    }
    fprintf(w->out, "\n");
}

// `c` NULL: the only class, without a name.
static Status print_class(Printer *w, Arena *a, const RankClass *c) {
    const Program *p = w->p;
    w->waits[0] = ARENA_NEW(a, int32_t, p->lane_count + 1);
    w->waits[1] = ARENA_NEW(a, int32_t, p->lane_count + 1);
    w->name_uses = ARENA_NEW(a, int, p->name_bytes + 1);
    if (!w->waits[0] || !w->waits[1] || !w->name_uses)
        FAIL(ERR_MEMORY, "out of memory for printing a plan");
    if (c) print_class_line(w, c);
    for (int k = 0; k < p->plan_count; k++) {
        w->plan = &p->plans[k];
        TRY(print_plan(w, a));
    }
    return OK;
}

static Status print_set(Printer *w, Arena *a, const ProgramSet *s, int only) {
    bool alone = s->count == 1 && !*program_set_name(s, 0);
    w->p = &s->programs[0];
    print_head(w, alone);
    for (int i = 0; i < s->count; i++) {
        if (only != NONE && only != i) continue;
        w->p = &s->programs[i];
        TRY(print_class(w, a, alone ? NULL : &s->classes[i]));
    }
    fprintf(w->out,
            "\nEvery rank executes the operations of a lane in this order. bytes: read and\n"
            "written; of a communication, what a rank contributes. waits for: the last\n"
            "operation of each other lane that must have ended before; ~ of the step before.\n");
    return OK;
}

Status plan_table_print(const ProgramSet *s, int only, FILE *out) {
    Arena scratch = {0};
    Printer w = {.out = out};
    Status status = print_set(&w, &scratch, s, only);
    arena_finish(&scratch);
    TRY(status);
    if (ferror(out)) FAIL(ERR_IO, "the plan could not be written: %s", strerror(errno));
    return OK;
}
