// SPDX-License-Identifier: MIT
// Reading programs: the operations of a plan.
#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/nearest.h"
#include "core/plan/build.h"
#include "core/plan/check.h"
#include "core/plan_text/op_index.h"
#include "core/plan_text/plan_text_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// A line, as far as it is understood. Operands are in the reader.
typedef struct {
    OpSpec spec;
    int64_t attrs[ATTRIBUTES];
    unsigned given;          // bit i: attribute i
    int named[NAMED_COUNT];  // by keys such as phase=; NONE: not given
    bool cost_given;
    char *after, *reuse;
} Line;

// --- keys

static Status read_attribute(const PlanReader *r, Line *l, const char *key, const char *value,
                             bool *known) {
    Kind kind = l->spec.kind;
    *known = false;
    for (int i = 0; i < kind_attribute_count(kind) && !*known; i++) {
        int length, real, fusion;
        const char *name = kind_attribute(kind, i, &length, &real);
        if ((int)strlen(key) != length || memcmp(key, name, (size_t)length)) continue;
        *known = true;
        l->given |= 1u << i;
        double number;
        if (kind == KIND_FUSED) {
            TRY(plan_reader_find(r, NAMED_FUSION, value, &fusion));
            l->attrs[i] = fusion;
        } else if (real) {
            TRY(plan_reader_real(r, key, value, &number));
            l->attrs[i] = build_attr_real(number);
        } else
            TRY(plan_reader_number(r, key, value, INT64_MIN, INT64_MAX, &l->attrs[i]));
    }
    return OK;
}

static Status check_attributes(const PlanReader *r, const Line *l) {
    for (int i = 0; i < kind_attribute_count(l->spec.kind); i++) {
        int length, real;
        const char *name = kind_attribute(l->spec.kind, i, &length, &real);
        if (!(l->given >> i & 1) && !kind_attribute_is_optional(l->spec.kind, i))
            FAIL_LINE("%s: %.*s= is missing", kind_name(l->spec.kind), length, name);
    }
    return OK;
}

static Status read_flags(const PlanReader *r, char *list, int *flags) {
    char *save = NULL;
    for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        int flag;
        TRY(plan_reader_find(r, NAMED_FLAG, word, &flag));
        *flags |= 1 << flag;
    }
    return OK;
}

static Status read_slice(const PlanReader *r, char *value, OpSpec *s) {
    int64_t slice[2];
    TRY(plan_reader_pair(r, "slice", value, '.', slice));
    s->shard = (int)slice[0];
    s->micro_batch = (int)slice[1];
    if (s->shard != slice[0] || s->micro_batch != slice[1])
        FAIL_LINE("slice: %" PRId64 " is out of range", slice[0]);
    return OK;
}

static Status read_cost(const PlanReader *r, const char *value, Line *l) {
    char *end, quoted[64];
    l->spec.cost_key = strtoull(value, &end, 16);
    if (strspn(value, "0123456789abcdef") != 16 || *end)
        FAIL_LINE("cost: expected 16 hexadecimal digits, found \"%s\"",
                  plan_reader_quote(value, quoted));
    l->cost_given = true;
    return OK;
}

// Keys that name something in a list.
static Status read_named_key(const PlanReader *r, Line *l, const char *key, const char *value,
                             bool *known) {
    static const struct {
        const char *key;
        Named what;
    } keys[] = {
        {"phase", NAMED_PHASE},         {"dtype", NAMED_DTYPE}, {"group", NAMED_GROUP},
        {"algorithm", NAMED_ALGORITHM}, {"order", NAMED_ORDER}, {"reduce", NAMED_REDUCE},
        {"guard", NAMED_TENSOR},
    };
    *known = false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(keys[i].key, key)) continue;
        *known = true;
        return plan_reader_find(r, keys[i].what, value, &l->named[keys[i].what]);
    }
    return OK;
}

// What the keys named, and what holds without them.
static void apply_names(const PlanReader *r, Line *l) {
    OpSpec *s = &l->spec;
    const int *named = l->named;
    s->phase = named[NAMED_PHASE] == NONE ? PHASE_SETUP : (Phase)named[NAMED_PHASE];
    s->algorithm =
        named[NAMED_ALGORITHM] == NONE ? ALGORITHM_DIRECT : (Algorithm)named[NAMED_ALGORITHM];
    s->order = named[NAMED_ORDER] == NONE ? ORDER_RANK : (Order)named[NAMED_ORDER];
    s->reduce = named[NAMED_REDUCE] == NONE ? REDUCE_SUM : (Reduce)named[NAMED_REDUCE];
    s->guard = named[NAMED_TENSOR] == NONE ? 0 : TENSOR_REF(named[NAMED_TENSOR]);
    s->group = named[NAMED_GROUP];
    if (s->group == NONE && r->p->lane_count) s->group = r->p->lanes[s->lane].group;
    s->dtype = (Dtype)named[NAMED_DTYPE];
    if (named[NAMED_DTYPE] == NONE)
        s->dtype =
            plan_text_default_dtype(r->p, s->outputs, s->output_count, s->inputs, s->input_count);
}

static Status read_op_key(const PlanReader *r, Line *l, const char *key, char *value) {
    static const char *const keys[] = {"phase", "dtype", "group", "algorithm", "order", "reduce",
                                       "guard", "layer", "peer",  "parts",     "flags", "flops",
                                       "slice", "cost",  "after", "reuse",     "unit",  NULL};
    bool known;
    OpSpec *s = &l->spec;
    TRY(read_attribute(r, l, key, value, &known));
    if (known) return OK;
    TRY(read_named_key(r, l, key, value, &known));
    if (known) return OK;
    if (!strcmp(key, "layer")) {
        s->layer = value;
        return plan_reader_name(r, "a layer", value);
    }
    if (!strcmp(key, "peer")) return plan_reader_int(r, key, value, INT32_MIN, INT32_MAX, &s->peer);
    if (!strcmp(key, "parts")) return plan_reader_int(r, key, value, 1, UINT16_MAX, &s->parts);
    if (!strcmp(key, "unit")) return plan_reader_number(r, key, value, 1, INT32_MAX, &s->unit);
    if (!strcmp(key, "flags")) return read_flags(r, value, &s->flags);
    if (!strcmp(key, "flops")) return plan_reader_number(r, key, value, 1, INT64_MAX, &s->flops);
    if (!strcmp(key, "slice")) return read_slice(r, value, s);
    if (!strcmp(key, "cost")) return read_cost(r, value, l);
    if (!strcmp(key, "after"))
        l->after = value;
    else if (!strcmp(key, "reuse"))
        l->reuse = value;
    else
        return plan_reader_unknown_key(r, key, keys);
    return OK;
}

// --- lines

// "OUTPUT ... <- INPUT ...", from word *i to the first key.
static Status read_operands(PlanReader *r, int *i, OpSpec *s) {
    bool arrow = false;
    TRY(ARRAY_RESERVE(r->operands, r->operand_capacity, 1));  // there is an array without any too
    r->operand_count = 0;
    s->output_count = 0;
    for (; *i < r->in.word_count && !strchr(r->in.words[*i], '='); (*i)++) {
        if (!strcmp(r->in.words[*i], "<-")) {
            if (arrow) FAIL_LINE("%s: a second <-", s->name);
            arrow = true;
            s->output_count = r->operand_count;
            continue;
        }
        TRY(ARRAY_RESERVE(r->operands, r->operand_capacity, r->operand_count + 1));
        TRY(plan_reader_find(r, NAMED_TENSOR, r->in.words[*i], &r->operands[r->operand_count]));
        r->operand_count++;
    }
    if (!arrow) FAIL_LINE("%s: expected OUTPUTS <- INPUTS, found no <-", s->name);
    s->input_count = r->operand_count - s->output_count;
    s->outputs = r->operands;
    s->inputs = r->operands + s->output_count;
    return OK;
}

// "NAME KIND [@LANE] operands keys", from word i on; members of a fused operation are on its lane.
static Status read_line(PlanReader *r, int i, const Op *fused, Line *l) {
    *l = (Line){.spec = {.lane = fused ? fused->lane : 0}};
    for (int k = 0; k < NAMED_COUNT; k++) l->named[k] = NONE;
    OpSpec *s = &l->spec;
    if (r->in.word_count < i + 3)
        FAIL_LINE("expected \"NAME KIND %sOUTPUTS <- INPUTS\", found %d words",
                  fused ? "" : "@LANE ", r->in.word_count - i);
    s->name = r->in.words[i++];
    TRY(plan_reader_name(r, "an operation", s->name));
    int kind;
    TRY(plan_reader_find(r, NAMED_KIND, r->in.words[i++], &kind));
    s->kind = (Kind)kind;
    s->attrs = l->attrs;
    if (!fused) {
        char quoted[64];
        const char *lane = r->in.words[i++];
        if (*lane != '@')
            FAIL_LINE("%s: expected a lane such as @%s, found \"%s\"", s->name,
                      r->p->lane_count ? program_name(r->p, r->p->lanes[0].name) : "compute",
                      plan_reader_quote(lane, quoted));
        TRY(plan_reader_find(r, NAMED_LANE, lane + 1, &s->lane));
    }
    TRY(read_operands(r, &i, s));
    for (int first = i; i < r->in.word_count; i++) {
        char *key, *value;
        TRY(plan_reader_key(r, first, i, &key, &value));
        TRY(read_op_key(r, l, key, value));
    }
    apply_names(r, l);
    if (kind_communicates(s->kind) && s->group == NONE) FAIL_LINE("%s: group= is missing", s->name);
    return check_attributes(r, l);
}

static Status add_reference(PlanReader *r, int op, DepKind kind, char *names) {
    if (!names) return OK;
    TRY(ARRAY_RESERVE(r->references, r->reference_capacity, r->reference_count + 1));
    names = arena_string(&r->names, names);
    if (!names) FAIL(ERR_MEMORY, "%s: out of memory", r->in.source);
    r->references[r->reference_count++] =
        (Reference){.op = op, .line = r->in.line, .kind = kind, .names = names};
    return OK;
}

// The lines "+ NAME KIND ..." below a fused operation; they are added as operations and then moved.
static Status read_members(PlanReader *r, int index) {
    Plan *plan = r->plan;
    int first = plan->member_count;
    bool found;
    for (;;) {
        TRY(plan_reader_next(r, &found));
        if (!found || strcmp(r->in.words[0], "+")) break;
        Line l;
        Op fused = plan->ops[index];
        TRY(read_line(r, 1, &fused, &l));
        if (l.spec.kind == KIND_FUSED || l.after || l.reuse || l.spec.guard)
            FAIL_LINE("%s: a member of a fused operation has no members, dependencies or guard of "
                      "its own",
                      l.spec.name);
        l.spec.shard = fused.shard;
        l.spec.micro_batch = fused.micro_batch;
        int member;
        TRY_LINE(plan_add_op(r->p, plan, &l.spec, &member));
        TRY(ARRAY_RESERVE(plan->members, plan->member_capacity, plan->member_count + 1));
        plan->members[plan->member_count++] = plan->ops[member];
        TRY_LINE(op_check_window(r->p, plan, &plan->ops[member]));
        plan->op_count--;
    }
    r->held = found;
    plan->ops[index].member_first = first;
    plan->ops[index].member_count = plan->member_count - first;
    if (plan->member_count - first < 2)
        FAIL_LINE("expected two members or more (lines \"+ NAME KIND ...\") below %s",
                  op_name(r->p, &plan->ops[index]));
    return OK;
}

static Status read_op(PlanReader *r) {
    Line l;
    int index;
    TRY(read_line(r, 0, NULL, &l));
    if (l.spec.kind == KIND_FUSED && !r->p->lowered)
        FAIL_LINE("%s: only a lowered plan has fused operations; write the members themselves",
                  l.spec.name);
    if ((l.spec.kind == KIND_FUSED) != l.cost_given)
        FAIL_LINE("%s: fused operations, and only those, have a cost=", l.spec.name);
    TRY_LINE(plan_add_op(r->p, r->plan, &l.spec, &index));
    TRY(ARRAY_RESERVE(r->lines, r->line_capacity, index + 1));
    r->lines[index] = r->in.line;
    TRY(add_reference(r, index, DEP_ORDER, l.after));
    TRY(add_reference(r, index, DEP_REUSE, l.reuse));
    if (l.spec.kind == KIND_FUSED) return read_members(r, index);
    TRY_LINE(op_check_window(r->p, r->plan, &r->plan->ops[index]));
    return OK;
}

// --- references

// What "name[shard.micro_batch.place]~distance" says; the parts that are not there stay NONE.
typedef struct {
    const char *name;
    int slice[2], place, distance;
    bool sliced;
} Target;

static Status read_target(const PlanReader *r, char *text, Target *t) {
    *t = (Target){.name = text, .place = NONE};
    char *tilde = strchr(text, '~');
    if (tilde) {
        *tilde = 0;
        TRY(plan_reader_int(r, "steps back", tilde + 1, 1, 1, &t->distance));
    }
    char *open = strchr(text, '['), *save = NULL;
    if (!open) return OK;
    size_t length = strlen(open);
    if (open[length - 1] != ']') FAIL_LINE("expected \"]\" at the end of %s", text);
    open[length - 1] = *open = 0;
    t->sliced = true;
    int count = 0;
    for (char *word = strtok_r(open + 1, ".", &save); word;
         word = strtok_r(NULL, ".", &save), count++)
        if (count < 3)
            TRY(plan_reader_int(r, "slice", word, count < 2 ? INT32_MIN : 0, INT32_MAX,
                                count < 2 ? &t->slice[count] : &t->place));
    if (count != 2 && count != 3)
        FAIL_LINE("%s: expected [shard.micro_batch] with at most one more number, found %d", text,
                  count);
    return OK;
}

static Status unknown_target(const PlanReader *r, const Target *t) {
    Nearest near = {.word = t->name};
    char quoted[64];
    plan_reader_quote(t->name, quoted);
    const char *plan = program_name(r->p, r->plan->name);
    for (int i = 0; i < r->plan->op_count; i++) {
        const char *name = op_name(r->p, &r->plan->ops[i]);
        if (!strcmp(name, t->name))
            FAIL_LINE("plan %s has no operation %s[%d.%d] at that place", plan, quoted, t->slice[0],
                      t->slice[1]);
        nearest_offer(&near, name);
    }
    if (near.best)
        FAIL_LINE("plan %s has no operation \"%s\" (did you mean %s?)", plan, quoted, near.best);
    FAIL_LINE("plan %s has no operation \"%s\"", plan, quoted);
}

// The failure for a target that is not there, or not the only one.
static Status no_target(const PlanReader *r, const Target *t, int32_t name) {
    int first = NONE;
    for (int i = 0; i < r->plan->op_count && t->place == NONE; i++) {
        const Op *op = &r->plan->ops[i];
        if (t->sliced && (op->shard != t->slice[0] || op->micro_batch != t->slice[1])) continue;
        if (op_work(r->p, op)->name != name) continue;
        if (first != NONE)
            FAIL_LINE("%s is the name of two operations (lines %d and %d): write "
                      "%s[shard.micro_batch], or rename one",
                      t->name, r->lines[first], r->lines[i], t->name);
        first = i;
    }
    return unknown_target(r, t);
}

static Status resolve_reference(const PlanReader *r, const Reference *ref, const OpIndex *index,
                                DepList *deps) {
    char *save = NULL;
    for (char *word = strtok_r(ref->names, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        Target t;
        TRY(read_target(r, word, &t));
        int32_t name = program_find_name(r->p, t.name);
        int after =
            name == NONE ? NONE : op_index_find(index, name, t.sliced ? t.slice : NULL, t.place);
        if (after == NONE) return no_target(r, &t, name);
        TRY(dep_list_add(deps, ref->op, after, ref->kind, t.distance));
    }
    return OK;
}

static Status resolve_all(PlanReader *r, Arena *scratch, DepList *deps) {
    OpIndex index;
    TRY(op_index_init(&index, scratch, r->p, r->plan));
    for (int i = 0; i < r->reference_count; i++) {
        r->in.line = r->references[i].line;
        TRY(resolve_reference(r, &r->references[i], &index, deps));
    }
    r->reference_count = 0;
    TRY_LINE(plan_add_deps(r->plan, deps));
    return OK;
}

static Status resolve_references(PlanReader *r) {
    Arena scratch = {0};
    DepList deps = {0};
    Status s = resolve_all(r, &scratch, &deps);
    dep_list_finish(&deps);
    arena_finish(&scratch);
    return s;
}

// "plan NAME KEY=VALUE ...", "class NAME AXIS=POSITION ...": an operation's third word is its lane.
static bool begins_section(const PlanReader *r) {
    if (strcmp(r->in.words[0], "plan") && strcmp(r->in.words[0], "class")) return false;
    return r->in.word_count == 2 || (r->in.word_count > 2 && strchr(r->in.words[2], '='));
}

Status plan_reader_operations(PlanReader *r) {
    bool found;
    for (;;) {
        TRY(plan_reader_next(r, &found));
        if (!found || begins_section(r)) break;
        TRY(read_op(r));
    }
    r->held = found;
    int line = r->in.line;
    TRY(resolve_references(r));
    r->in.line = line;
    TRY_LINE(plan_derive_deps(r->p, r->plan));
    return OK;
}
