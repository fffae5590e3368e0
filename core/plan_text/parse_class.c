// SPDX-License-Identifier: MIT
// Reading programs of several classes: what stands before the first class line is copied into the
// program of each. Read plan_reader_class() first.
#include "core/plan_text/plan_text.h"
#include "core/plan_text/plan_text_internal.h"

#include <string.h>

// "A", "A..B": positions of an axis, the last of which may be called so.
static Status read_positions(const PlanReader *r, const char *axis, char *value, RankClass *c) {
    int first, last, index;
    TRY(plan_reader_find(r, NAMED_AXIS, axis, &index));
    int most = r->p->axes[index].size - 1;
    char *dots = strstr(value, "..");
    if (dots) *dots = 0;
    first = last = most;
    if (strcmp(value, "last")) TRY(plan_reader_int(r, axis, value, 0, most, &first));
    if (!dots)
        last = first;
    else if (strcmp(dots + 2, "last"))
        TRY(plan_reader_int(r, axis, dots + 2, first, most, &last));
    rank_class_confine(c, index, first, last);
    return OK;
}

Status plan_reader_add_class(PlanReader *r) {
    TRY_LINE(program_set_add(r->set, r->in_class ? &r->class : NULL, r->p));
    return OK;
}

// What the file has said until now is for all classes; or a class has ended.
static Status end_class(PlanReader *r) {
    if (r->in_class) return plan_reader_add_class(r);
    if (r->p->tensor_count || r->p->plan_count)
        FAIL_LINE("%s", "class lines stand before all tensors and plans");
    for (int pool = 0; pool < POOL_COUNT; pool++)
        if (r->p->pool_bytes[pool])
            FAIL_LINE("%s", "the pools of a class stand below its class line");
    r->head = *r->p;
    *r->p = (Program){0};
    r->in_class = true;
    return OK;
}

Status plan_reader_class(PlanReader *r) {
    RankClass *c = &r->class;
    if (r->in.word_count < 2) FAIL_LINE("%s", "expected \"class NAME AXIS=POSITION ...\"");
    const char *name = r->in.words[1];
    TRY(plan_reader_name(r, "a class", name));
    if (strlen(name) >= sizeof c->name)
        FAIL_LINE("the name of class %s is longer than %zu", name, sizeof c->name - 1);
    if (!strcmp(name, "all")) FAIL_LINE("%s", "\"all\" means every class; give another name");
    TRY(end_class(r));
    *c = (RankClass){0};
    *r->where = 0;
    if (program_set_find(r->set, name) != NONE) FAIL_LINE("class %s is there twice", name);
    strcpy(c->name, name);
    snprintf(r->where, sizeof r->where, "class %s: ", name);
    TRY(program_copy_head(r->p, &r->head));
    for (int i = 2; i < r->in.word_count; i++) {
        char *axis, *value;
        TRY(plan_reader_key(r, 2, i, &axis, &value));
        TRY(read_positions(r, axis, value, c));
    }
    return OK;
}

Status plan_reader_check_section(const PlanReader *r) {
    static const char *const shared[] = {"device", "mesh", "group", "lane", "logical", NULL};
    for (int i = 0; r->in_class && shared[i]; i++) {
        bool scratch = !strcmp(shared[i], "logical") && r->p->lowered && r->in.word_count > 4 &&
                       !strcmp(r->in.words[4], role_name(ROLE_SCRATCH));
        if (!scratch && !strcmp(r->in.words[0], shared[i]))
            FAIL_LINE("%s lines stand before the first class, for all", shared[i]);
    }
    return OK;
}

Status plan_text_parse_class(Program *p, RankClass *class, const char *text, size_t length,
                             const char *source) {
    ProgramSet set;
    *p = (Program){0};
    TRY(plan_text_parse(&set, text, length, source));
    bool one = set.count == 1;
    if (one) {
        *p = set.programs[0];
        set.programs[0] = (Program){0};
        if (class) *class = set.classes[0];
    }
    int count = set.count;
    program_set_finish(&set);
    if (one) return OK;
    FAIL(ERR_FORMAT, "%s: expected the program of one class of ranks, found %d", source, count);
}
