// SPDX-License-Identifier: MIT
// Plans that would train wrong without a word: each is a right one with one edit, and is refused
// with the operation and the cause.
#include "core/plan/check.h"
#include "core/plan_text/plan_text_internal.h"
#include "tests/support/plan_samples.h"

enum { EDITS = 5 };

typedef struct {
    const char *from, *to;  // every place of `from`
} Edit;

typedef struct {
    Edit edits[EDITS];
    const char *message;
} Wrong;

// All places of a text replaced; the caller frees it.
static char *replace_all(const char *text, const Edit *e) {
    char *out = strdup(text), *at;
    ck_assert_msg(strstr(text, e->from) != NULL, "the text has no \"%s\"", e->from);
    for (size_t begin = 0; (at = strstr(out + begin, e->from));) {
        size_t before = (size_t)(at - out), size = strlen(out) + strlen(e->to) + 1;
        char *next = malloc(size);
        snprintf(next, size, "%.*s%s%s", (int)before, out, e->to, at + strlen(e->from));
        free(out);
        out = next;
        begin = before + strlen(e->to);
    }
    return out;
}

static char *edited(const char *text, const Edit edits[EDITS]) {
    char *out = strdup(text);
    for (int i = 0; i < EDITS && edits[i].from; i++) {
        char *next = replace_all(out, &edits[i]);
        free(out);
        out = next;
    }
    return out;
}

static Status check_text(const char *text) {
    Program p;
    ck_assert_ok(parse(&p, text));
    const ProgramSet set = program_set_of_one(&p);
    Status s = plan_check(&set);
    program_finish(&p);
    return s;
}

static void check_wrong(const char *right, const Wrong *wrong, size_t count) {
    ck_assert_ok(check_text(right));
    for (size_t i = 0; i < count; i++) {
        char *text = edited(right, wrong[i].edits);
        Status s = check_text(text);
        ck_assert_msg(s == ERR_PLAN && strstr(status_message(), wrong[i].message),
                      "%s -> %s: \"%s\", expected \"%s\"", wrong[i].edits[0].from,
                      wrong[i].edits[0].to, s == OK ? "ok" : status_message(), wrong[i].message);
        free(text);
    }
}
#define CHECK_WRONG(right, wrong) check_wrong(right, wrong, sizeof wrong / sizeof *wrong)

#define BUCKET "bucket0             all_reduce            "
#define IN_BUCKET "@data     fc.weight.grad <- fc.weight.grad"

// The sample of the document: softmax regression on two ranks.
START_TEST(data_parallel_training) {
    static const Wrong wrong[] = {
        {{{BUCKET, "bucket0 broadcast"}},
         "bucket0: fc.weight.grad is P+ along data: the root has a part of the sum only"},
        {{{BUCKET, "bucket0 reduce"}},
         "sgd.fc.weight: fc.weight.grad is O:0 along data: the parameter does not lie alike"},
        {{{"logical labels ", "logical gg f32 20x784 gradient\nlogical labels "},
          {"tensor labels ", "tensor gg f32 20x784 gradient\ntensor labels "},
          {"  bucket0 ", "  gather all_gather @data gg <- fc.weight.grad phase=sync\n  bucket0 "}},
         "gather: fc.weight.grad is P+ along data: a part of a sum is no piece of it"},
        {{{"tensor labels ", "tensor gg f32 10x784 gradient of=fc.weight.grad\ntensor labels "},
          {BUCKET, "bucket0 all_to_all"},
          {IN_BUCKET, "@data gg <- fc.weight.grad"}},
         "bucket0: fc.weight.grad is P+ along data: an all_to_all takes shards"},
        {{{"tensor labels ", "tensor gg f32 5x784 gradient of=fc.weight.grad place=S0\n"
                             "tensor labels "},
          {BUCKET, "bucket0 reduce_scatter"},
          {IN_BUCKET, "@data gg <- fc.weight.grad"}},
         "sgd.fc.weight: fc.weight.grad is P+ along data: each rank holds a part of the sum"},
        {{{"tensor labels ", "tensor gg f32 10x784 gradient of=fc.weight.grad\ntensor labels "},
          {BUCKET, "bucket0 reduce_scatter"},
          {IN_BUCKET, "@data gg <- fc.weight.grad"}},
         "bucket0: "},
        {{{"fc.y            f32 32x10   activation  place=S0  extent=rows.0.0",
           "fc.y f32 32x10 activation place=S0 extent=first_row.0.0"}},
         "fc.forward: fc.y has first_row.0.0 rows in use, x has rows.0.0; give them one extent"},
        {{{"phase=input", "phase=input guard=loss"}},
         "load: reads its guard loss before any operation wrote it"},
        {{{"phase=update", "phase=update guard=first_row.0.0"}},
         "sgd.fc.weight: its guard first_row.0.0 is D along data, but fc.weight is R"},
        {{{"tensor inverse_count   f64 1       scalar",
           "tensor inverse_count f64 1 scalar place=D"}},
         "tensor inverse_count: its value is the same along data; declare it R there"},
        {{{"tensor learning_rate   f64 1       scalar",
           "tensor learning_rate f64 1 scalar place=D"}},
         "tensor learning_rate: its value is the same along data; declare it R there"},
        {{{"tensor first_row.0.0   i64 1       scalar  place=D",
           "tensor first_row.0.0 i64 1 scalar"}},
         "tensor first_row.0.0: its value differs along data; declare it D there"},
        {{{"tensor labels          i32 32      input  place=S0", "tensor labels i32 64 input"}},
         "tensor labels is R along data, but its extent rows.0.0 is D"},
        {{{"tensor fc.y            f32 32x10 ", "tensor fc.y f32 64x10 "}},
         "tensor fc.y is 64x10, but a piece of fc.y, which is 64x10, that is S0 along data=2 is "
         "32x10"},
        {{{"all_reduce.loss     all_reduce ", "all_reduce.loss reduce "}},
         "its result loss is O:0 along data, so that not every rank would have it"},
        {{{"tensor fc.weight.grad  f32 10x784  gradient  place=P+",
           "tensor fc.weight.grad f32 10x784 gradient"}},
         "fc.backward_weight: fc.weight.grad is declared R along data, but its inputs make it P+"},
    };
    char *right = document_sample("tandem plan");
    CHECK_WRONG(right, wrong);
    free(right);
}
END_TEST

// A pair of linear layers, the first cut by columns and the second by rows (Megatron).
static const char tensor_parallel[] =
    TEXT_HEADER "\n"
                "mesh data=1 tensor=2\n"
                "group tensor  axes=tensor\n"
                "lane compute compute\n"
                "lane net communication group=tensor\n"
                "logical w1 f32 64x32 parameter fan_in=32\n"
                "logical w2 f32 32x64 parameter fan_in=64\n"
                "logical b2 f32 32 parameter\n"
                "logical rate f64 1 scalar\n"
                "logical x f32 8x32 activation\n"
                "logical y1 f32 8x64 activation\n"
                "logical y2 f32 8x32 activation\n"
                "logical w1.grad f32 64x32 gradient\n"
                "logical w2.grad f32 32x64 gradient\n"
                "tensor w1 f32 32x32 parameter place=R,S0\n"
                "tensor w2 f32 32x32 parameter place=R,S1\n"
                "tensor b2 f32 32 parameter\n"
                "tensor rate f64 1 scalar\n"
                "tensor x f32 8x32 parameter\n"
                "tensor y1 f32 8x32 activation place=R,S1\n"
                "tensor r1 f32 8x32 activation of=y1 place=R,S1\n"
                "tensor y2 f32 8x32 activation place=R,P+\n"
                "tensor dr1 f32 8x32 activation of=y1 place=R,S1\n"
                "tensor dy1 f32 8x32 activation of=y1 place=R,S1\n"
                "tensor dx f32 8x32 activation of=x place=R,P+\n"
                "tensor w1.grad f32 32x32 gradient place=R,S0\n"
                "tensor w2.grad f32 32x32 gradient place=R,S1\n"
                "plan step\n"
                "  f1 linear @compute y1 <- x w1\n"
                "  relu relu @compute r1 <- y1\n"
                "  f2 linear @compute y2 <- r1 w2\n"
                "  g all_reduce @net y2 <- y2\n"
                "  bw2 linear_backward_weight @compute w2.grad <- r1 y2\n"
                "  bi2 linear_backward_input @compute dr1 <- y2 w2\n"
                "  rb relu_backward @compute dy1 <- dr1 r1\n"
                "  bw1 linear_backward_weight @compute w1.grad <- x dy1\n"
                "  bi1 linear_backward_input @compute dx <- dy1 w1\n"
                "  f all_reduce @net dx <- dx\n"
                "  s2 sgd @compute w2 <- w2.grad rate momentum=0 weight_decay=0 nesterov=0\n"
                "  s1 sgd @compute w1 <- w1.grad rate momentum=0 weight_decay=0 nesterov=0\n";

START_TEST(tensor_parallel_layers) {
    static const Wrong wrong[] = {
        {{{"  g all_reduce @net y2 <- y2\n", ""}}, "bw2: y2 is P+ along tensor: reduce it first"},
        {{{"  f all_reduce @net dx <- dx\n", ""}},
         "its result dx is P+ along tensor, so that every rank would have a part of it"},
        {{{"g all_reduce", "g broadcast"}}, "g: y2 is P+ along tensor: the root has a part"},
        {{{"g all_reduce", "g reduce"}}, "bw2: y2 is O:0 along tensor"},
        {{{"y2 <- r1 w2", "y2 <- r1 w2 b2"}}, "f2: b2 is R along tensor: a bias added"},
        {{{"f32 32x32 parameter place=R,S0", "f32 30x32 parameter place=R,S0"},
          {"f32 32x32 parameter place=R,S1", "f32 32x30 parameter place=R,S1"},
          {"f32 8x32 activation of=y1", "f32 8x30 activation of=y1"},
          {"y1 f32 8x32 activation", "y1 f32 8x30 activation"}},
         "tensor w1 is 30x32, but a piece of w1, which is 64x32, that is R along data=1, S0 along "
         "tensor=2 is 32x32"},
        {{{"tensor x f32 8x32", "tensor x f32 4x32"}, {"8x32 activation", "4x32 activation"}},
         "tensor y1 is 4x32, but a piece of y1, which is 8x64"},
        {{{"tensor r1 f32 8x32 activation of=y1 place=R,S1",
           "tensor r1 f32 8x32 activation of=y1"}},
         "tensor r1 is 8x32, but a piece of y1, which is 8x64, that is R along data=1, R along "
         "tensor=2 is 8x64"},
        // memory under several names
        {{{"tensor y2 f32 8x32 activation", "tensor y2 f32 8x32 activation alias=r1"}},
         "bw2: reads r1, whose memory has been written as y2 since"},
        {{{"tensor dr1 f32 8x32 activation", "tensor dr1 f32 8x32 activation alias=x"}},
         "bw1: reads x, whose memory has been written as dr1 since"},
        {{{"tensor dx f32 8x32 activation", "tensor dx f32 8x32 activation alias=x"}},
         "plan step: leaves in the memory of x what was written as dx"},
        {{{"tensor w2.grad ", "tensor view f32 8x32 activation of=x alias=y1\ntensor w2.grad "},
          {"w1.grad <- x dy1", "w1.grad <- view dy1"}},
         "bw1: dy1 is S1 along tensor: the input is not cut alike"},
    };
    CHECK_WRONG(tensor_parallel, wrong);
}
END_TEST

// dx may have the memory of dr1, whose last reader has read it.
START_TEST(memory_may_be_used_again_when_its_value_has_been_read) {
    static const Edit edits[EDITS] = {
        {"tensor dx f32 8x32 activation", "tensor dx f32 8x32 activation alias=dr1"}};
    char *text = edited(tensor_parallel, edits);
    ck_assert_ok(check_text(text));
    free(text);
}
END_TEST

// Parameters sharded over two ranks, gathered before their use and again for the backward.
static const char sharded[] =
    TEXT_HEADER "\n"
                "mesh data=2\n"
                "group data  axes=data\n"
                "lane compute compute\n"
                "lane gather communication group=data\n"
                "lane reduce communication group=data\n"
                "logical w f32 32x32 parameter fan_in=32\n"
                "logical rate f64 1 scalar\n"
                "logical x f32 64x32 activation\n"
                "logical y f32 64x32 activation\n"
                "logical w.grad f32 32x32 gradient\n"
                "tensor w f32 16x32 parameter place=S0\n"
                "tensor rate f64 1 scalar\n"
                "tensor w.full f32 32x32 buffer of=w\n"
                "tensor w.again f32 32x32 buffer of=w\n"
                "tensor x f32 32x32 parameter of=x place=S0\n"
                "tensor y f32 32x32 activation place=S0\n"
                "tensor dx f32 32x32 activation of=x place=S0\n"
                "tensor w.grad f32 32x32 gradient place=P+\n"
                "tensor w.piece f32 16x32 gradient of=w.grad place=S0\n"
                "plan step\n"
                "  g all_gather @gather w.full <- w\n"
                "  f linear @compute y <- x w.full\n"
                "  again all_gather @gather w.again <- w\n"
                "  bw linear_backward_weight @compute w.grad <- x y\n"
                "  bi linear_backward_input @compute dx <- y w.again\n"
                "  rs reduce_scatter @reduce w.piece <- w.grad\n"
                "  s sgd @compute w <- w.piece rate momentum=0 weight_decay=0 nesterov=0\n";

START_TEST(sharded_parameters) {
    static const Wrong wrong[] = {
        {{{"f32 16x32 gradient of=w.grad place=S0", "f32 16x32 gradient of=w.grad"}},
         "tensor w.piece is 16x32, but a piece of w.grad, which is 32x32, that is R along data=2 "
         "is 32x32"},
        {{{"of=w.grad place=S0", "of=w.grad place=S0:zigzag"}},
         "rs: w.piece is S0:zigzag along data: its pieces do not follow one another"},
    };
    // flat pieces in blocks of 512 are the same elements
    static const Edit flat[EDITS] = {
        {"tensor w f32 16x32 parameter place=S0", "tensor w f32 512 parameter place=S:flat/512"},
        {"f32 16x32 gradient of=w.grad place=S0", "f32 512 gradient of=w.grad place=S:flat/512"},
        {"w.full <- w\n", "w.full <- w unit=512\n"},
        {"w.again <- w\n", "w.again <- w unit=512\n"},
        {"w.piece <- w.grad\n", "w.piece <- w.grad unit=512\n"}};
    CHECK_WRONG(sharded, wrong);
    char *text = edited(sharded, flat);
    ck_assert_ok(check_text(text));
    free(text);
}
END_TEST

// Two stages of a pipeline, each on two ranks that share the batch. Along `pipe` a stage has its
// tensors for itself.
#define MESH                                               \
    TEXT_HEADER "\n"                                       \
                "mesh data=2 pipe=2\n"                     \
                "group data axes=data\n"                   \
                "group pipe axes=pipe\n"                   \
                "lane compute compute\n"                   \
                "lane host host\n"                         \
                "lane forward communication group=pipe\n"  \
                "lane backward communication group=pipe\n" \
                "lane data communication group=data\n"     \
                "lane spread communication group=pipe\n"   \
                "logical w1 f32 32x32 parameter\n"         \
                "logical w2 f32 10x32 parameter\n"         \
                "logical rate f64 1 scalar\n"              \
                "logical inverse f64 1 scalar\n"           \
                "logical first i64 1 scalar\n"             \
                "logical x f32 64x32 input\n"              \
                "logical labels i32 64 input\n"            \
                "logical y1 f32 64x32 activation\n"        \
                "logical y2 f32 64x10 activation\n"        \
                "logical loss f64 2 scalar\n"              \
                "logical w1.grad f32 32x32 gradient\n"     \
                "logical w2.grad f32 10x32 gradient\n"     \
                "tensor rate f64 1 scalar\n"               \
                "tensor inverse f64 1 scalar\n"            \
                "tensor first i64 1 scalar place=D,R\n"    \
                "tensor x f32 32x32 input place=S0,R\n"    \
                "tensor labels i32 32 input place=S0,R\n"

static const char stage_0[] =
    MESH "tensor loss f64 2 scalar place=R,O\n"
         "tensor w1 f32 32x32 parameter place=R,O\n"
         "tensor y1 f32 32x32 activation place=S0,O\n"
         "tensor dy1 f32 32x32 activation of=y1 place=S0,O\n"
         "tensor w1.grad f32 32x32 gradient place=P+,O\n"
         "plan step\n"
         "  load load @host x labels <- first\n"
         "  f linear @compute y1 <- x w1\n"
         "  to send @forward <- y1 tag=0 peer=1\n"
         "  spread broadcast @spread loss <- loss peer=1\n"
         "  from receive @backward dy1 <- tag=1 peer=1\n"
         "  bw linear_backward_weight @compute w1.grad <- x dy1\n"
         "  sum all_reduce @data w1.grad <- w1.grad\n"
         "  s sgd @compute w1 <- w1.grad rate momentum=0 weight_decay=0 nesterov=0\n";

static const char stage_1[] =
    MESH "tensor loss f64 2 scalar place=P+,O\n"
         "tensor w2 f32 10x32 parameter place=R,O\n"
         "tensor y1 f32 32x32 activation place=S0,O\n"
         "tensor y2 f32 32x10 activation place=S0,O\n"
         "tensor p f32 32x10 activation of=y2 place=S0,O\n"
         "tensor dy2 f32 32x10 activation of=y2 place=S0,O\n"
         "tensor dy1 f32 32x32 activation of=y1 place=S0,O\n"
         "tensor w2.grad f32 10x32 gradient place=P+,O\n"
         "plan step\n"
         "  load load @host x labels <- first\n"
         "  from receive @forward y1 <- tag=0 peer=1\n"
         "  f linear @compute y2 <- y1 w2\n"
         "  l cross_entropy @compute loss p <- y2 labels inverse\n"
         "  total all_reduce @data loss <- loss\n"
         "  spread broadcast @spread loss <- loss peer=1\n"
         "  b cross_entropy_backward @compute dy2 <- p labels inverse\n"
         "  bi linear_backward_input @compute dy1 <- dy2 w2\n"
         "  to send @backward <- dy1 tag=1 peer=1\n"
         "  bw linear_backward_weight @compute w2.grad <- y1 dy2\n"
         "  sum all_reduce @data w2.grad <- w2.grad\n"
         "  s sgd @compute w2 <- w2.grad rate momentum=0 weight_decay=0 nesterov=0\n";

static RankClass stage_of(int position) {
    RankClass c = {0};
    snprintf(c.name, sizeof c.name, "stage%d", position);
    rank_class_confine(&c, 1, position, position);
    return c;
}

// The stages with edits of both.
static Status check_stages(const Edit edits[2][EDITS]) {
    ProgramSet set = {0};
    const char *texts[] = {stage_0, stage_1};
    for (int i = 0; i < 2; i++) {
        RankClass c = stage_of(i);
        Program p;
        char *text = edited(texts[i], edits[i]);
        ck_assert_ok(parse(&p, text));
        ck_assert_ok(program_set_add(&set, &c, &p));
        free(text);
    }
    Status s = plan_check(&set);
    program_set_finish(&set);
    return s;
}

typedef struct {
    Edit edits[2][EDITS];
    const char *message;
} WrongStages;

START_TEST(stages_of_a_pipeline) {
    static const WrongStages wrong[] = {
        {{{{"tensor w1 f32 32x32 parameter place=R,O", "tensor w1 f32 32x32 parameter"}}},
         "class stage0: plan step: s: w1.grad is O along pipe: the parameter does not lie alike"},
        {{{{"tensor w1 f32 32x32 parameter place=R,O",
            "tensor w1 f32 32x32 parameter place=R,O:2"}}},
         "tensor w1 is held at coordinate 2 of pipe alone, whose coordinates are 0 to 1"},
        {{{{"  spread broadcast @spread loss <- loss peer=1\n", ""}},
          {{"  spread broadcast @spread loss <- loss peer=1\n", ""}}},
         "class stage1: plan step: its result loss is O along pipe, so that not every rank"},
        {{{{"loss <- loss peer=1", "loss <- loss peer=0"}},
          {{"loss <- loss peer=1", "loss <- loss peer=0"}}},
         "class stage0: plan step: spread: reads loss before any operation wrote it"},
        {{{{"  f linear @compute y1 <- x w1\n", "  f linear @compute y1 <- x w1\n"
                                                "  whole all_gather @data y1.whole <- y1\n"},
           {"tensor dy1 ", "tensor y1.whole f32 64x32 buffer of=y1 place=R,O\ntensor dy1 "},
           {"@forward <- y1", "@forward <- y1.whole"}},
          {{"tensor y1 f32 32x32 activation place=S0,O",
            "tensor y1 f32 64x32 activation place=S0,O"}}},
         "stage1: tensor y1 is 64x32, but a piece of y1"},
        {{{{"  bw linear", "  part linear_backward_weight @compute w1.grad <- x y1\n  bw linear"},
           {"@forward <- y1", "@forward <- w1.grad"},
           {"  to send", "  early linear_backward_weight @compute w1.grad <- x y1\n  to send"}},
          {{"tensor w2 ", "tensor got f32 32x32 gradient of=w1.grad place=R,O\ntensor w2 "},
           {"receive @forward y1 <-", "receive @forward got <-"},
           {"y2 <- y1 w2", "y2 <- x w2"},
           {"w2.grad <- y1 dy2", "w2.grad <- x dy2"}}},
         "to sends w1.grad, which is P+ along data; from receives it as got, which is R"},
    };
    ck_assert_ok(check_stages((const Edit[2][EDITS]){0}));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Status s = check_stages(wrong[i].edits);
        ck_assert_msg(s == ERR_PLAN && strstr(status_message(), wrong[i].message),
                      "%zu: \"%s\", expected \"%s\"", i, s == OK ? "ok" : status_message(),
                      wrong[i].message);
    }
}
END_TEST

SUITE("wrong_plans", data_parallel_training, tensor_parallel_layers,
      memory_may_be_used_again_when_its_value_has_been_read, sharded_parameters,
      stages_of_a_pipeline)
