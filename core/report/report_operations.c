// SPDX-License-Identifier: MIT
// How long each operation of the training step takes: the table by which two runs of one plan,
// measured or simulated, are compared.
#include "core/report/report_internal.h"

#include "core/base/hash.h"

#include <math.h>
#include <string.h>

// --- rows

// The row of each operation of a program's plan.
typedef struct Match {
    const Program *program;
    int *row_of;
    const char **work_names, **lane_names;  // in the arena of the report, once a row has them
    struct Match *next;                     // of another program; or NULL
} Match;

// The rows that ranks' operations belong to, and how to find a row by what is_row_of() compares.
typedef struct {
    OperationTimes *rows;  // in the arena of the report, like their texts and all below
    int count, capacity;
    Match *matches;  // of the programs so far, the last one first
    int *first;      // [slots] the first row in a slot, or NONE
    int *next;       // [rows] the next row in the same slot, or NONE
    uint64_t *hash;  // [rows] of what is compared
    int slots, plan;
} Rows;

static bool is_row_of(const OperationTimes *row, const Program *p, const Op *op) {
    return row->shard == op->shard && row->micro_batch == op->micro_batch &&
           !strcmp(row->name, op_name(p, op));
}

static uint64_t hash_of(const Program *p, const Op *op) {
    const char *name = op_name(p, op);
    uint64_t hash = hash_bytes(hash_u64(HASH_START, (uint64_t)op->micro_batch), name, strlen(name));
    return hash_u64(hash, (uint64_t)op->shard);
}

static int slot_of(const Rows *rows, uint64_t hash) { return (int)(hash % (uint64_t)rows->slots); }

// The copy of a text that all rows share which have it.
static const char *text_of(const char **known, Arena *a, const char *text) {
    if (!*known) *known = arena_string(a, text);
    return *known;
}

static Status add_row(Rows *rows, Arena *a, Match *match, const Op *op) {
    const Program *p = match->program;
    const Work *w = op_work(p, op);
    const char *lane = p->lane_count ? program_name(p, p->lanes[op->lane].name) : "";
    rows->hash[rows->count] = hash_of(p, op);
    OperationTimes *row = &rows->rows[rows->count++];
    *row = (OperationTimes){.name = text_of(&match->work_names[op->work], a, op_name(p, op)),
                            .kind = kind_name(work_kind(w)),
                            .phase = phase_name((Phase)w->phase),
                            .lane = text_of(&match->lane_names[op->lane], a, lane),
                            .shard = op->shard,
                            .micro_batch = op->micro_batch};
    if (!row->name || !row->lane) FAIL(ERR_MEMORY, "no memory for the operations of a report");
    return OK;
}

// Room for `more` rows, at least twice as much as before.
static Status reserve_rows(Rows *rows, Arena *a, int more) {
    int need = rows->count + more, twice = 2 * rows->capacity;
    if (need <= rows->capacity) return OK;
    rows->capacity = need > twice ? need : twice;
    OperationTimes *copy = ARENA_NEW(a, OperationTimes, rows->capacity);
    uint64_t *hash = ARENA_NEW(a, uint64_t, rows->capacity);
    rows->slots = rows->capacity + 1;
    rows->first = ARENA_NEW(a, int, rows->slots);
    rows->next = ARENA_NEW(a, int, rows->capacity);
    if (!copy || !hash || !rows->first || !rows->next)
        FAIL(ERR_MEMORY, "no memory for the operations of a report");
    if (rows->count) memcpy(copy, rows->rows, (size_t)rows->count * sizeof *copy);
    if (rows->count) memcpy(hash, rows->hash, (size_t)rows->count * sizeof *hash);
    rows->rows = copy;
    rows->hash = hash;
    return OK;
}

// Room for `more` rows, and the rows that are there in their slots, each slot's in order.
static Status index_rows(Rows *rows, Arena *a, int more) {
    TRY(reserve_rows(rows, a, more));
    for (int i = 0; i < rows->slots; i++) rows->first[i] = NONE;
    for (int i = rows->count - 1; i >= 0; i--) {
        int slot = slot_of(rows, rows->hash[i]);
        rows->next[i] = rows->first[slot];
        rows->first[slot] = i;
    }
    return OK;
}

// The first row of the operation that no other has taken, which it takes; NONE: there is none.
static int take_row(Rows *rows, const Program *p, const Op *op) {
    int *link = &rows->first[slot_of(rows, hash_of(p, op))];
    while (*link != NONE && !is_row_of(&rows->rows[*link], p, op)) link = &rows->next[*link];
    int row = *link;
    if (row != NONE) *link = rows->next[row];
    return row;
}

// A program that is not like the last rank's: its operations are those of the same name, shard and
// micro-batch, the K-th the K-th of these; what other ranks do not have is a row of its own.
static Status match_rows(Rows *rows, Arena *a, const Program *p) {
    const Plan *plan = &p->plans[rows->plan];
    Match *match = ARENA_NEW(a, Match, 1);
    int *row_of = ARENA_NEW(a, int, plan->op_count);
    const char **names = ARENA_NEW(a, const char *, p->work_count + p->lane_count + 2);
    if (!match || !row_of || !names) FAIL(ERR_MEMORY, "no memory for the operations of a report");
    *match = (Match){p, row_of, names, names + p->work_count + 1, rows->matches};
    TRY(index_rows(rows, a, plan->op_count));
    for (int i = 0; i < plan->op_count; i++) {
        int row = take_row(rows, p, &plan->ops[i]);
        row_of[i] = row == NONE ? rows->count : row;
        if (row == NONE) TRY(add_row(rows, a, match, &plan->ops[i]));
    }
    rows->matches = match;
    return OK;
}

// Whether two plans have the same operations in the same order, as those of most ranks do.
static bool same_operations(const Program *a, const Program *b, int plan) {
    if (a == b) return true;
    if (a->plans[plan].op_count != b->plans[plan].op_count) return false;
    for (int i = 0; i < a->plans[plan].op_count; i++) {
        const Op *left = &a->plans[plan].ops[i], *right = &b->plans[plan].ops[i];
        if (left->shard != right->shard || left->micro_batch != right->micro_batch ||
            strcmp(op_name(a, left), op_name(b, right)) != 0)
            return false;
    }
    return true;
}

static Status find_match(const Match **out, Rows *rows, Arena *a, const Program *p) {
    const Match *m = rows->matches;
    while (m && m->program != p) m = m->next;
    for (m = m ? m : rows->matches; m && !same_operations(m->program, p, rows->plan);) m = m->next;
    if (!m) TRY(match_rows(rows, a, p));
    *out = m ? m : rows->matches;
    return OK;
}

// --- the spans of a rank, by operation

typedef struct {
    const Timeline *timeline;
    int ranks;             // that it stands for
    int steps;             // that were measured
    int *first;            // operation i has the spans first[i] .. first[i + 1)
    int *spans, *records;  // per span: its index, and that of its step
    double *values;        // room for the spans of one operation
} ByOperation;

// Room for `ops` operations and `spans` spans, in the arena.
static Status make_room(ByOperation *b, Arena *a, int ops, int spans) {
    b->first = ARENA_NEW(a, int, ops + 2);
    b->spans = ARENA_NEW(a, int, spans);
    b->records = ARENA_NEW(a, int, spans);
    b->values = ARENA_NEW(a, double, spans);
    if (!b->first || !b->spans || !b->records || !b->values)
        FAIL(ERR_MEMORY, "no memory for the times of %d operations", spans);
    return OK;
}

static Status sort_by_operation(ByOperation *b, Arena *a, const MeasuredSteps *m, int line,
                                int plan) {
    const Timeline *t = b->timeline = m->of->timelines[line];
    int ops = m->of->programs[line]->plans[plan].op_count, spans = 0;
    b->ranks = report_timeline_ranks(m->of, line);
    for (int i = 0; i < m->count; i++)
        if (t->steps[m->records[i]].plan == plan) {
            spans += t->steps[m->records[i]].span_count;
            b->steps++;
        }
    TRY(make_room(b, a, ops, spans));
    int *next = b->first + 1;  // while spans are put in, one further: where the next one goes
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < m->count; i++) {
            const StepRecord *s = &t->steps[m->records[i]];
            for (int k = 0; s->plan == plan && k < s->span_count; k++) {
                int op = t->spans[s->span_first + k].op;
                if (pass == 0 && op + 1 < ops) next[op + 1]++;
                if (pass == 0) continue;
                b->spans[next[op]] = s->span_first + k;
                b->records[next[op]++] = m->records[i];
            }
        }
        for (int op = 1; pass == 0 && op < ops; op++) next[op] += next[op - 1];
    }
    return OK;
}

typedef enum { DURATION, WAIT, CPU, START } Quantity;

static double value_ms(const Span *span, const StepRecord *step, Quantity q) {
    switch (q) {
    case DURATION: return (double)(span->end_ps - span->start_ps) * 1e-9;
    case WAIT: return (double)span->wait_ns * 1e-6;
    case CPU: return (double)span->cpu_ns * 1e-6;
    case START: return (double)(span->start_ps - step->start_ps) * 1e-9;
    }
    return 0;
}

// The values of an operation; how many there are.
static int gather(const ByOperation *b, int op, Quantity q) {
    int count = b->first[op + 1] - b->first[op];
    for (int i = 0; i < count; i++) {
        int at = b->first[op] + i;
        b->values[i] =
            value_ms(&b->timeline->spans[b->spans[at]], &b->timeline->steps[b->records[at]], q);
    }
    return count;
}

// Add what executions of an operation say, for each rank that has them.
static void add_times(OperationTimes *row, const ByOperation *b, int op) {
    int count = gather(b, op, DURATION);
    if (!count) return;
    double sum = 0, ranks = b->ranks;
    for (int i = 0; i < count; i++) sum += b->values[i];
    row->ranks += b->ranks;
    row->executions += ranks * count / b->steps;
    row->duration_ms.mean += ranks * sum / count;
    row->duration_ms.median += ranks * statistics_quantile_of(b->values, count, 0.5);
    row->duration_ms.p10 += ranks * statistics_quantile_of(b->values, count, 0.1);
    row->duration_ms.p90 += ranks * statistics_quantile_of(b->values, count, 0.9);
    row->wait_ms += ranks * statistics_quantile_of(b->values, gather(b, op, WAIT), 0.5);
    row->cpu_ms += ranks * statistics_quantile_of(b->values, gather(b, op, CPU), 0.5);
    row->start_ms += ranks * statistics_quantile_of(b->values, gather(b, op, START), 0.5);
}

static void divide_by_ranks(OperationTimes *row) {
    double *const sums[] = {&row->executions,       &row->duration_ms.median,
                            &row->duration_ms.p10,  &row->duration_ms.p90,
                            &row->duration_ms.mean, &row->wait_ms,
                            &row->cpu_ms,           &row->start_ms};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        *sums[i] = row->ranks ? *sums[i] / row->ranks : i ? (double)NAN : 0;
}

// The plan of most of the measured steps; of equals the first.
static int most_used_plan(const MeasuredSteps *m) {
    int uses[PLANS] = {0}, most = 0;
    for (int i = 0; i < m->count; i++) uses[m->of->timelines[0]->steps[m->records[i]].plan]++;
    for (int k = 1; k < PLANS; k++)
        if (uses[k] > uses[most]) most = k;
    return most;
}

static Status add_timeline(Rows *rows, Arena *a, const MeasuredSteps *m, int line) {
    Arena scratch = {0};
    ByOperation b = {0};
    const Program *p = m->of->programs[line];
    const Match *match;
    TRY(find_match(&match, rows, a, p));
    Status s = sort_by_operation(&b, &scratch, m, line, rows->plan);
    for (int i = 0; s == OK && i < p->plans[rows->plan].op_count; i++)
        add_times(&rows->rows[match->row_of[i]], &b, i);
    arena_finish(&scratch);
    return s;
}

Status report_add_operations(Report *r, Arena *a, const MeasuredSteps *m) {
    Rows rows = {.plan = most_used_plan(m)};
    if (!m->count) return OK;
    for (int line = 0; line < m->of->count; line++) TRY(add_timeline(&rows, a, m, line));
    for (int i = 0; i < rows.count; i++) divide_by_ranks(&rows.rows[i]);
    r->operations = rows.rows;
    r->operation_count = rows.count;
    return OK;
}

double report_phase_ms(const Report *r, const char *phase) {
    double sum = (double)NAN;
    for (int i = 0; i < r->operation_count; i++) {
        const OperationTimes *o = &r->operations[i];
        if (strcmp(o->phase, phase) != 0 || !(o->executions > 0)) continue;
        double ms = o->executions * o->duration_ms.median * o->ranks / r->run.ranks;
        sum = isnan(sum) ? ms : sum + ms;
    }
    return sum;
}
