// SPDX-License-Identifier: MIT
// The rows of "steps", and the spans in them.
#include "core/record/trace_internal.h"

#include "core/base/array.h"
#include <stdlib.h>
#include <string.h>

// --- the table of steps

static Status find_plan(uint8_t *out, const TraceReader *r, const json_t *root, const char *at) {
    const char *name;
    TRY(json_get_string(&name, root, r->place, "%s", at));
    int plan = program_find_plan(&r->trace->program, name);
    if (plan == NONE)
        FAIL(ERR_FORMAT, "%s: %s: there is no plan \"%.60s\" in the program", r->place, at, name);
    *out = (uint8_t)plan;
    return OK;
}

// A row begins when the one before it has ended, or later.
static Status read_step(StepRecord *out, const TraceReader *r, const json_t *section, int i,
                        int64_t before_ps) {
    char at[32];
#define AT(column) (snprintf(at, sizeof at, "steps." column "[%d]", i), at)
    int64_t step, epoch, rows;
    *out = (StepRecord){0};
    TRY(find_plan(&out->plan, r, section, AT("plan")));
    TRY(json_get_int_in(&step, section, 0, INT32_MAX, r->place, AT("step")));
    TRY(json_get_int_in(&epoch, section, INT32_MIN, INT32_MAX, r->place, AT("epoch")));
    TRY(json_get_int_in(&rows, section, 0, INT32_MAX, r->place, AT("rows")));
    TRY(json_get_int_in(&out->start_ps, section, before_ps, TIMELINE_LAST_PS, r->place,
                        AT("start_ps")));
    TRY(json_get_int_in(&out->end_ps, section, out->start_ps, TIMELINE_LAST_PS, r->place,
                        AT("end_ps")));
    TRY(json_get_bool(&out->complete, section, r->place, "steps.complete[%d]", i));
    TRY(json_get_real_or_nan(&out->loss, section, r->place, AT("loss")));
#undef AT
    out->step = (int32_t)step;
    out->epoch = (int32_t)epoch;
    out->rows = (int32_t)rows;
    return OK;
}

static Status check_columns(const TraceReader *r, const json_t *section, int *rows) {
    static const char *const columns[] = {"step",  "plan", "start_ps", "end_ps",
                                          "epoch", "rows", "complete", "loss"};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        json_t *column;
        TRY(json_get_array(&column, section, r->place, "steps.%s", columns[i]));
        int count = (int)json_array_size(column);
        if (i == 0) *rows = count;
        if (count != *rows)
            FAIL(ERR_FORMAT, "%s: steps.%s has %d values, steps.step %d: expected a value a step",
                 r->place, columns[i], count, *rows);
    }
    return OK;
}

Status trace_read_steps(TraceReader *r, const json_t *section, int rank) {
    json_t *steps;
    int count = 0;
    TRY(json_get_object(&steps, section, r->place, "steps"));
    TRY(check_columns(r, section, &count));
    Timeline *t = &r->trace->timeline;
    TRY(timeline_create(t, rank, count, 0));
    for (int64_t before_ps = 0; t->step_count < count; t->step_count++) {
        StepRecord *s = &t->steps[t->step_count];
        TRY(read_step(s, r, section, t->step_count, before_ps));
        before_ps = s->end_ps;
    }
    return OK;
}

// --- the spans

static int by_record_and_end(const void *left, const void *right) {
    const Event *a = left, *b = right;
    if (a->record != b->record) return a->record < b->record ? -1 : 1;
    if (a->span.end_ps != b->span.end_ps) return a->span.end_ps < b->span.end_ps ? -1 : 1;
    return a->sequence < b->sequence ? -1 : 1;
}

// In a complete step every operation has a span, unless a guard may have skipped it; in
// another none has. `line[op]` is where this step's span of the operation is, 0 for none.
static Status check_step(const TraceReader *r, int record, int *line) {
    const StepRecord *s = &r->trace->timeline.steps[record];
    const Program *p = &r->trace->program;
    const Plan *plan = &p->plans[s->plan];
    int64_t sum_ps = 0;
    memset(line, 0, (size_t)plan->op_count * sizeof *line);
    for (int i = 0; i < s->span_count; i++) {
        const Event *e = &r->events[s->span_first + i];
        int op = e->span.op;
        if (!s->complete)
            FAIL(ERR_FORMAT, "%s:%d: a span of row %d of steps, which is not complete", r->name,
                 e->line, record);
        if (line[op])
            FAIL(ERR_FORMAT,
                 "%s:%d: a second span of %s in row %d of steps; the first is in line %d", r->name,
                 e->line, op_name(p, &plan->ops[op]), record, line[op]);
        line[op] = e->line;
        int64_t ps = e->span.end_ps - e->span.start_ps;
        if (ps > TIMELINE_LAST_PS - sum_ps)
            FAIL(ERR_FORMAT, "%s:%d: the spans of row %d of steps take more than 50 days together",
                 r->name, e->line, record);
        sum_ps += ps;
    }
    for (int op = 0; s->complete && op < plan->op_count; op++)
        if (!line[op] && plan->ops[op].guard == NONE)
            FAIL(ERR_FORMAT,
                 "%s: row %d of steps is complete, but %s has no span there (%d of %d operations "
                 "have); events are missing: copy the file again, or record it again",
                 r->name, record, op_name(p, &plan->ops[op]), s->span_count, plan->op_count);
    return OK;
}

static Status place_and_check(TraceReader *r, int *line) {
    Timeline *t = &r->trace->timeline;
    for (int i = 0; i < t->step_count; i++) {
        StepRecord *s = &t->steps[i];
        s->span_first = t->span_count;
        for (; t->span_count < r->count && r->events[t->span_count].record == i; t->span_count++)
            t->spans[t->span_count] = r->events[t->span_count].span;
        s->span_count = t->span_count - s->span_first;
        TRY(check_step(r, i, line));
    }
    return OK;
}

Status trace_place_spans(TraceReader *r) {
    Timeline *t = &r->trace->timeline;
    const Program *p = &r->trace->program;
    int most = 1;
    for (int k = 0; k < p->plan_count; k++)
        if (p->plans[k].op_count > most) most = p->plans[k].op_count;
    TRY(ARRAY_RESERVE(t->spans, t->span_capacity, r->count));
    if (r->count) qsort(r->events, (size_t)r->count, sizeof *r->events, by_record_and_end);
    int *line = calloc((size_t)most, sizeof *line);
    if (!line) FAIL(ERR_MEMORY, "%s: out of memory for %d operations", r->name, most);
    Status s = place_and_check(r, line);
    free(line);
    return s;
}
