// SPDX-License-Identifier: MIT
// Reading programs: the lines before the plans. Everything is named before it is used, so one pass
// is enough; operations are read in parse_op.c.
#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/plan/build.h"
#include "core/plan/piece.h"
#include "core/plan_text/plan_text.h"
#include "core/plan_text/plan_text_internal.h"

#include <inttypes.h>
#include <string.h>

enum { RANKS_MAX = 1 << 30 };
static const int64_t ELEMENTS_MAX = (int64_t)1 << 44;  // of a tensor: sums of bytes cannot overflow
static const int64_t POOL_BYTES_MAX = (int64_t)1 << 58;  // of one role in a pool

static Status expect_words(const PlanReader *r, int least, const char *form) {
    if (r->in.word_count >= least) return OK;
    FAIL_LINE("expected \"%s\", found %d word%s", form, r->in.word_count,
              r->in.word_count == 1 ? "" : "s");
}

// "20x1x5x5"
static Status read_shape(const PlanReader *r, char *word, int64_t shape[DIMS], int *dims) {
    char quoted[64];
    plan_reader_quote(word, quoted);
    int64_t elements = 1;
    *dims = 0;
    for (char *size = word, *next; size; size = next) {
        if ((next = strchr(size, 'x'))) *next++ = 0;
        if (*dims == DIMS)
            FAIL_LINE("expected a shape of at most %d dimensions, found \"%s\"", DIMS, quoted);
        TRY(plan_reader_number(r, "shape", size, 1, INT64_MAX, &shape[*dims]));
        if (__builtin_mul_overflow(elements, shape[(*dims)++], &elements) ||
            elements > ELEMENTS_MAX)
            FAIL_LINE("the shape \"%s\" is too large", quoted);
    }
    return OK;
}

static Status read_mesh(PlanReader *r) {
    TRY(expect_words(r, 2, "mesh AXIS=SIZE ..."));
    for (int i = 1; i < r->in.word_count; i++) {
        char *name, *value;
        int size;
        TRY(plan_reader_key(r, 1, i, &name, &value));
        TRY(plan_reader_name(r, "an axis", name));
        TRY(plan_reader_int(r, name, value, 1, RANKS_MAX / program_ranks(r->p), &size));
        TRY_LINE(program_add_axis(r->p, name, size, NULL));
    }
    return OK;
}

// "A,B,...": numbers up to `last`, which also has that name if `named`; into r->operands.
static Status read_numbers(PlanReader *r, const char *key, char *list, int last, bool named) {
    char *save = NULL;
    r->operand_count = 0;
    for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        int value = last;
        if (!named || strcmp(word, "last")) TRY(plan_reader_int(r, key, word, 0, last, &value));
        TRY(ARRAY_RESERVE(r->operands, r->operand_capacity, r->operand_count + 1));
        r->operands[r->operand_count++] = value;
    }
    return OK;
}

static Status read_axes(const PlanReader *r, char *list, uint16_t *axes) {
    char *save = NULL;
    for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        int axis;
        TRY(plan_reader_find(r, NAMED_AXIS, word, &axis));
        *axes |= (uint16_t)(1u << axis);
    }
    return OK;
}

// "at=AXIS:POSITION,...": where along an axis the group lies.
static Status read_group_at(PlanReader *r, uint16_t axes) {
    char *key, *at, *list;
    int axis;
    TRY(plan_reader_key(r, 2, 3, &key, &at));
    if (strcmp(key, "at")) return plan_reader_unknown_key(r, key, (const char *[]){"at", NULL});
    list = strchr(at, ':');
    if (!list) FAIL_LINE("expected \"at=AXIS:POSITION,...\", found \"at=%s\"", at);
    *list++ = '\0';
    TRY(plan_reader_find(r, NAMED_AXIS, at, &axis));
    TRY(read_numbers(r, "at", list, r->p->axes[axis].size - 1, true));
    TRY_LINE(program_add_group_at(r->p, r->in.words[1], axes, axis, r->operands, r->operand_count,
                                  NULL));
    return OK;
}

static Status read_group(PlanReader *r) {
    static const char *const keys[] = {"axes", "ranks", NULL};
    char *key, *list;
    uint16_t axes = 0;
    if (r->in.word_count != 3 && r->in.word_count != 4)
        FAIL_LINE("expected \"group NAME axes=... [at=...]\" or \"ranks=...\", found %d words",
                  r->in.word_count);
    TRY(plan_reader_name(r, "a group", r->in.words[1]));
    TRY(plan_reader_key(r, 2, 2, &key, &list));
    if (!strcmp(key, "axes")) {
        TRY(read_axes(r, list, &axes));
        if (r->in.word_count == 4) return read_group_at(r, axes);
        TRY_LINE(program_add_group(r->p, r->in.words[1], axes, NULL));
        return OK;
    }
    if (strcmp(key, "ranks")) return plan_reader_unknown_key(r, key, keys);
    if (r->in.word_count == 4)
        FAIL_LINE("group %s: ranks= is a whole list; at= goes with axes=", r->in.words[1]);
    TRY(read_numbers(r, "ranks", list, program_ranks(r->p) - 1, false));
    TRY_LINE(program_add_rank_list(r->p, r->in.words[1], r->operands, r->operand_count, NULL));
    return OK;
}

static Status read_lane(PlanReader *r) {
    static const char *const keys[] = {"group", NULL};
    int kind, group = NONE;
    TRY(expect_words(r, 3, "lane NAME KIND"));
    TRY(plan_reader_name(r, "a lane", r->in.words[1]));
    TRY(plan_reader_find(r, NAMED_LANE_KIND, r->in.words[2], &kind));
    for (int i = 3; i < r->in.word_count; i++) {
        char *key, *value;
        TRY(plan_reader_key(r, 3, i, &key, &value));
        if (strcmp(key, "group")) return plan_reader_unknown_key(r, key, keys);
        TRY(plan_reader_find(r, NAMED_GROUP, value, &group));
    }
    TRY_LINE(program_add_lane(r->p, r->in.words[1], (LaneKind)kind, group, NULL));
    return OK;
}

// "KEYWORD NAME TYPE SHAPE ROLE": how logical and local tensors begin.
static Status read_typed(PlanReader *r, const char *what, int *dtype, int64_t shape[DIMS],
                         int *dims, int *role) {
    if (r->in.word_count < 5)
        FAIL_LINE("expected \"%s NAME TYPE SHAPE ROLE\", found %d words", what, r->in.word_count);
    TRY(plan_reader_name(r, "a tensor", r->in.words[1]));
    TRY(plan_reader_find(r, NAMED_DTYPE, r->in.words[2], dtype));
    TRY(read_shape(r, r->in.words[3], shape, dims));
    return plan_reader_find(r, NAMED_ROLE, r->in.words[4], role);
}

static Status read_logical(PlanReader *r) {
    static const char *const keys[] = {"fan_in",    "normal",  "constant", "init",
                                       "trainable", "tied_to", NULL};
    LogicalSpec s = {0};
    int dtype, role, tied_to = NONE, init = NONE, trainable, index;
    TRY(read_typed(r, "logical", &dtype, s.shape, &s.dims, &role));
    if (program_find_logical(r->p, r->in.words[1]) != NONE)
        FAIL_LINE("logical tensor %s is there twice", r->in.words[1]);
    trainable = role == ROLE_PARAMETER;
    for (int i = 5; i < r->in.word_count; i++) {
        char *key, *value;
        TRY(plan_reader_key(r, 5, i, &key, &value));
        if (!strcmp(key, "fan_in"))
            TRY(plan_reader_number(r, key, value, 0, ELEMENTS_MAX, &s.fan_in));
        else if (!strcmp(key, "normal"))
            TRY(plan_reader_real(r, key, value, &s.normal));
        else if (!strcmp(key, "constant"))
            TRY(plan_reader_real(r, key, value, &s.constant));
        else if (!strcmp(key, "init"))
            TRY(plan_reader_int(r, key, value, 0, INT32_MAX, &init));
        else if (!strcmp(key, "trainable"))
            TRY(plan_reader_int(r, key, value, 0, 1, &trainable));
        else if (!strcmp(key, "tied_to"))
            TRY(plan_reader_find(r, NAMED_LOGICAL, value, &tied_to));
        else
            return plan_reader_unknown_key(r, key, keys);
    }
    s.name = r->in.words[1];
    s.dtype = (Dtype)dtype;
    s.role = (Role)role;
    s.trainable = trainable;
    TRY_LINE(program_add_logical(r->p, &s, &index));
    r->p->logicals[index].tied_to = tied_to;
    if (init != NONE) r->p->logicals[index].init = init;
    return OK;
}

// --- local tensors

// What TensorSpec has no place for.
typedef struct {
    int64_t offset;
    int pool, lane;
} Place;

static Status read_placements(const PlanReader *r, char *list, Placement placement[AXES]) {
    char *save = NULL;
    int count = 0;
    for (char *word = strtok_r(list, ",", &save); word;
         word = strtok_r(NULL, ",", &save), count++) {
        char quoted[64];
        Placement p;
        if (!placement_parse(word, &p))
            FAIL_LINE("expected a placement (" PLACEMENT_FORMS "), found \"%s\"",
                      plan_reader_quote(word, quoted));
        if (count < AXES) placement[count] = p;
    }
    if (count != r->p->axis_count)
        FAIL_LINE("place: expected one placement for each of %d axes, found %d", r->p->axis_count,
                  count);
    return OK;
}

static Status read_tensor_ref(const PlanReader *r, const char *word, int *ref) {
    int index;
    TRY(plan_reader_find(r, NAMED_TENSOR, word, &index));
    *ref = TENSOR_REF(index);
    return OK;
}

// NAME or NAME*TIMES
static Status read_extent(const PlanReader *r, char *value, TensorSpec *s) {
    char *times = strchr(value, '*');
    if (times) {
        *times++ = '\0';
        TRY(plan_reader_number(r, "extent", times, 1, INT64_MAX, &s->extent_times));
    }
    return read_tensor_ref(r, value, &s->extent);
}

static Status read_slice(const PlanReader *r, char *value, TensorSpec *s) {
    int64_t slice[2];
    TRY(plan_reader_pair(r, "slice", value, '.', slice));
    s->shard = (int)slice[0];
    s->micro_batch = (int)slice[1];
    if (s->shard != slice[0] || s->micro_batch != slice[1])
        FAIL_LINE("slice: %" PRId64 " is out of range", slice[0]);
    return OK;
}

static Status read_source(const PlanReader *r, const char *value, TensorSpec *s) {
    int source;
    TRY(plan_reader_find(r, NAMED_SOURCE, value, &source));
    s->source = (ScalarSource)(source + 1);
    return OK;
}

static Status read_result(const PlanReader *r, const char *value, TensorSpec *s) {
    int result;
    TRY(plan_reader_find(r, NAMED_RESULT, value, &result));
    s->result = (Result)(result + 1);
    return OK;
}

static Status read_tensor_key(const PlanReader *r, const char *key, char *value, TensorSpec *s,
                              Place *place) {
    static const char *const keys[] = {"of",   "place",  "extent", "alias",  "slice", "source",
                                       "axes", "result", "pool",   "offset", "lane",  NULL};
    if (!strcmp(key, "of")) return plan_reader_find(r, NAMED_LOGICAL, value, &s->logical);
    if (!strcmp(key, "place")) return read_placements(r, value, s->placement);
    if (!strcmp(key, "extent")) return read_extent(r, value, s);
    if (!strcmp(key, "alias")) return read_tensor_ref(r, value, &s->alias);
    if (!strcmp(key, "slice")) return read_slice(r, value, s);
    if (!strcmp(key, "source")) return read_source(r, value, s);
    if (!strcmp(key, "axes")) return read_axes(r, value, &s->source_axes);
    if (!strcmp(key, "result")) return read_result(r, value, s);
    if (!strcmp(key, "pool")) return plan_reader_find(r, NAMED_POOL, value, &place->pool);
    if (!strcmp(key, "offset"))
        return plan_reader_number(r, key, value, 0, INT64_MAX, &place->offset);
    if (!strcmp(key, "lane")) return plan_reader_find(r, NAMED_LANE, value, &place->lane);
    return plan_reader_unknown_key(r, key, keys);
}

// Scratch belongs to the operations of one lane, and only lower() adds it.
static Status read_lane_of(const PlanReader *r, const Tensor *t, int lane) {
    const char *name = program_name(r->p, t->name);
    if (lane == NONE) return OK;
    if (t->role != ROLE_SCRATCH || !r->p->lowered)
        FAIL_LINE("%s: lane= is of scratch in a lowered program", name);
    if (r->p->lanes[lane].scratch != NONE)
        FAIL_LINE("%s: lane %s has scratch already, %s", name,
                  program_name(r->p, r->p->lanes[lane].name),
                  tensor_name(r->p, r->p->lanes[lane].scratch));
    r->p->lanes[lane].scratch = (int32_t)(t - r->p->tensors);
    return OK;
}

// A tensor must lie within what it is said to lie in: the executor trusts offsets.
static Status check_place(const PlanReader *r, const Tensor *t) {
    const char *name = program_name(r->p, t->name);
    bool share = piece_share_axes(r->p, t);  // the whole has room for it
    if (t->alias != NONE && !share && t->bytes > r->p->tensors[t->alias].bytes)
        FAIL_LINE("%s has %" PRId64 " bytes, more than the %" PRId64 " of %s, which it views", name,
                  t->bytes, r->p->tensors[t->alias].bytes, tensor_name(r->p, t->alias));
    if (t->offset == NONE) return OK;
    int64_t room = r->p->pool_bytes[t->pool];
    if (t->offset % 64 || t->bytes > room || t->offset > room - t->bytes)
        FAIL_LINE("%s: %" PRId64 " bytes at offset %" PRId64 " do not fit the %s pool of %" PRId64
                  " bytes in steps of 64",
                  name, t->bytes, t->offset, plan_text_pools[t->pool], room);
    return OK;
}

static Status read_tensor(PlanReader *r) {
    TensorSpec s = {.logical = NONE};
    Place place = {.offset = NONE, .lane = NONE};
    int dtype, role, dims, index;
    TRY(read_typed(r, "tensor", &dtype, s.shape, &dims, &role));
    for (int i = 5; i < r->in.word_count; i++) {
        char *key, *value;
        TRY(plan_reader_key(r, 5, i, &key, &value));
        TRY(read_tensor_key(r, key, value, &s, &place));
    }
    s.name = r->in.words[1];
    s.dtype = (Dtype)dtype;
    s.role = (Role)role;
    if (s.logical == NONE) TRY(plan_reader_find(r, NAMED_LOGICAL, s.name, &s.logical));
    int whole = r->p->logicals[s.logical].dims;
    bool flat = placements_are_flat(s.placement, r->p->axis_count);
    if (flat && dims != 1) FAIL_LINE("%s has %d dimensions, cut flat it has one", s.name, dims);
    if (!flat && dims != whole)
        FAIL_LINE("%s has %d dimensions, its logical tensor %s has %d", s.name, dims,
                  program_name(r->p, r->p->logicals[s.logical].name), whole);
    TRY_LINE(program_add_tensor(r->p, &s, &index));
    Tensor *t = &r->p->tensors[index];
    t->pool = (uint8_t)place.pool;
    t->offset = place.offset;
    TRY(read_lane_of(r, t, place.lane));
    return check_place(r, t);
}

// --- what lower() adds

static Status read_device(PlanReader *r) {
    if (r->in.word_count != 2)
        FAIL_LINE("expected \"device NAME\", found %d words", r->in.word_count);
    TRY(plan_reader_name(r, "a device", r->in.words[1]));
    r->p->lowered = true;
    return program_add_name(r->p, r->in.words[1], &r->p->device);
}

static Status read_pool(PlanReader *r) {
    int pool;
    TRY(expect_words(r, 2, "pool NAME ROLE=BYTES ..."));
    if (!r->p->lowered || r->p->tensor_count)
        FAIL_LINE("expected the pools of a lowered plan between its %s and its tensors",
                  "\"device NAME\"");
    TRY(plan_reader_find(r, NAMED_POOL, r->in.words[1], &pool));
    for (int i = 2; i < r->in.word_count; i++) {
        char *key, *value;
        int role;
        TRY(plan_reader_key(r, 2, i, &key, &value));
        TRY(plan_reader_find(r, NAMED_ROLE, key, &role));
        int64_t *bytes = &r->p->role_bytes[pool][role];
        r->p->pool_bytes[pool] -= *bytes;
        TRY(plan_reader_number(r, key, value, 0, POOL_BYTES_MAX, bytes));
        r->p->pool_bytes[pool] += *bytes;
    }
    return OK;
}

// --- the whole

static Status read_header(PlanReader *r) {
    bool found;
    char quoted[64];
    TRY(plan_reader_next(r, &found));
    if (!found) FAIL(ERR_FORMAT, "%s: expected \"" TEXT_HEADER "\", found nothing", r->in.source);
    if (strcmp(r->in.words[0], "tandem") || r->in.word_count != 3 || strcmp(r->in.words[1], "plan"))
        FAIL_LINE("expected \"" TEXT_HEADER "\", found \"%s\"",
                  plan_reader_quote(r->in.words[0], quoted));
    if (!strcmp(r->in.words[2], "1"))
        FAIL_LINE("%s", "the plan was printed by an earlier version; print it again");
    if (strcmp(r->in.words[2], "2"))
        FAIL_LINE("version %s of the plan format is not known, only 2",
                  plan_reader_quote(r->in.words[2], quoted));
    return OK;
}

static Status read_plan(PlanReader *r) {
    static const char *const keys[] = {"when", NULL};
    int when = NONE;
    TRY(expect_words(r, 2, "plan NAME"));
    TRY(plan_reader_name(r, "a plan", r->in.words[1]));
    for (int i = 2; i < r->in.word_count; i++) {
        char *key, *value;
        TRY(plan_reader_key(r, 2, i, &key, &value));
        if (strcmp(key, "when")) return plan_reader_unknown_key(r, key, keys);
        TRY(plan_reader_find(r, NAMED_WHEN, value, &when));
    }
    TRY_LINE(program_add_plan(r->p, r->in.words[1], &r->plan));
    r->plan->when = (uint8_t)(when + 1);
    return plan_reader_operations(r);
}

static Status read_lines(PlanReader *r) {
    static const struct {
        const char *word;
        Status (*read)(PlanReader *r);
    } lines[] = {
        {"device", read_device}, {"pool", read_pool}, {"mesh", read_mesh},
        {"group", read_group},   {"lane", read_lane}, {"logical", read_logical},
        {"tensor", read_tensor}, {"plan", read_plan}, {"class", plan_reader_class},
    };
    enum { COUNT = sizeof lines / sizeof *lines };
    bool found;
    for (;;) {
        TRY(plan_reader_next(r, &found));
        if (!found) return OK;
        int i = 0;
        char quoted[64];
        while (i < COUNT && strcmp(lines[i].word, r->in.words[0])) i++;
        if (i == COUNT)
            FAIL_LINE(
                "expected device, pool, mesh, group, lane, logical, class, tensor or plan, found "
                "\"%s\"",
                plan_reader_quote(r->in.words[0], quoted));
        TRY(plan_reader_check_section(r));
        TRY(lines[i].read(r));
    }
}

static Status read_all(PlanReader *r) {
    TRY(read_header(r));
    TRY(read_lines(r));
    return plan_reader_add_class(r);
}

Status plan_text_parse(ProgramSet *out, const char *text, size_t length, const char *source) {
    Program p = {0};
    PlanReader r;
    *out = (ProgramSet){0};
    Status s = plan_reader_open(&r, &p, text, length, source);
    r.set = out;
    if (s == OK) s = read_all(&r);
    plan_reader_finish(&r);
    program_finish(&p);
    if (s != OK) program_set_finish(out);
    return s;
}
