// SPDX-License-Identifier: MIT
// Products of pipeline, tensor, context and data parallelism, with what else changes a step:
// after 10 steps in f64, losses and all that is saved lie within 1e-12 max(1, |w|) of one process
// (docs/contract.md, 7). A pipeline adds nothing to that: without it the bits are the same.
#include "parallel/strategy/pipeline_schedule.h"
#include "tests/support/ending.h"
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 10 };

static Arena arena;  // finished by each test

// How ranks are divided, and what else is done. The context has one rank unless more are given.
typedef struct {
    int pipe, data, tensor, schedule, zero;
    Recompute recompute;
    const char *order;  // of the mesh, or NULL
    int context;
    ContextKind kind;
    CommKind comm;
} Product;

static const Product products[] = {
    {2, 2, 2, SCHEDULE_1F1B, 0, RECOMPUTE_NONE, NULL},
    {2, 2, 2, SCHEDULE_INTERLEAVED, 1, RECOMPUTE_FULL, NULL},
    {2, 2, 2, SCHEDULE_ZERO_BUBBLE, 2, RECOMPUTE_SELECTIVE, "data,tensor,pipe,context"},
    {4, 1, 2, SCHEDULE_GPIPE, 0, RECOMPUTE_FULL, "tensor,pipe,data,context"},
    {4, 2, 1, SCHEDULE_ZERO_BUBBLE, 2, RECOMPUTE_NONE, "pipe,context,data,tensor"},
    {2, 1, 4, SCHEDULE_1F1B, 0, RECOMPUTE_SELECTIVE, NULL},
};

// Sequences are cut, and stages compute with pieces of them.
static const Product rings[] = {
    {2, 1, 1, SCHEDULE_GPIPE, 0, RECOMPUTE_NONE, NULL, 2, CONTEXT_RING, COMM_THREAD},
    {2, 2, 1, SCHEDULE_1F1B, 0, RECOMPUTE_FULL, NULL, 2, CONTEXT_RING, COMM_SERIAL},
    {2, 1, 1, SCHEDULE_1F1B, 0, RECOMPUTE_FULL, NULL, 2, CONTEXT_ALL_TO_ALL, COMM_SERIAL},
    {2, 2, 1, SCHEDULE_GPIPE, 2, RECOMPUTE_NONE, "context,data,pipe,tensor", 2, CONTEXT_RING,
     COMM_SERIAL},
    {2, 1, 2, SCHEDULE_ZERO_BUBBLE, 0, RECOMPUTE_FULL, NULL, 2, CONTEXT_RING, COMM_SERIAL},
    {1, 2, 2, SCHEDULE_1F1B, 1, RECOMPUTE_SELECTIVE, "tensor,context,data,pipe", 2, CONTEXT_RING,
     COMM_THREAD},
    {2, 1, 2, SCHEDULE_GPIPE, 0, RECOMPUTE_FULL, NULL, 2, CONTEXT_ALL_TO_ALL, COMM_THREAD},
    {1, 2, 2, SCHEDULE_1F1B, 2, RECOMPUTE_SELECTIVE, "tensor,context,data,pipe", 2,
     CONTEXT_ALL_TO_ALL, COMM_SERIAL},
};

static JobOptions options_of(const char *model, bool clips) {
    JobOptions o = training_options();
    o.spec.model = model;
    o.spec.dtype = DTYPE_F64;
    o.spec.batch = 16;
    o.spec.micro_batches = 4;
    o.spec.optimizer.clip = clips ? 0.5 : 0;
    o.spec.optimizer.momentum = 0.9;
    o.data = strcmp(model, "net") ? "text:count=2000" : "digits:count=60";
    o.steps = STEPS;
    return o;
}

static void divide(JobOptions *o, const Product *p) {
    o->spec.mesh.pipe = p->pipe;
    o->spec.mesh.tensor = p->tensor;
    o->spec.mesh_order = p->order;
    o->spec.mesh.context = p->context ? p->context : 1;
    o->spec.strategy.context = p->kind;
    o->spec.ranks = p->pipe * p->data * p->tensor * o->spec.mesh.context;
    o->comm = p->comm;
    o->spec.micro_batches = 4;
    o->spec.strategy.schedule = (OptionForm){.word = p->schedule};
    o->spec.strategy.zero = p->zero;
    o->spec.strategy.recompute = p->recompute;
}

static void check_product(const JobOptions *whole, const Ending *one, const Product *p) {
    JobOptions o = *whole;
    Product flat = *p;
    Ending all, beside;
    divide(&o, p);
    ending_run(&all, &arena, &o);
    ending_check(&all, one, 1e-12);
    flat.pipe = 1;
    if (!p->context) flat.zero = 0;  // sums over both axes together are of another order
    o = *whole;
    divide(&o, &flat);
    ending_run(&beside, &arena, &o);
    ck_assert_msg(ending_distance(&beside, &all, 1) == 0, "%s, pp %d, dp %d, tp %d, cp %d",
                  o.spec.model, p->pipe, p->data, p->tensor, p->context);
    ending_finish(&beside);
    ending_finish(&all);
}

static void check_model(const char *model, const Product *what, unsigned which) {
    for (int clips = 0; clips < 2; clips++) {
        JobOptions o = options_of(model, clips);
        Ending one;
        ending_run(&one, &arena, &o);
        for (int i = 0; which >> i; i++)
            if (which >> i & 1 && i % 2 == clips) check_product(&o, &one, &what[i]);
        ending_finish(&one);
        arena_finish(&arena);
    }
}

START_TEST(a_gpt_over_three_axes_trains_as_one_process) {
    check_model("gpt:layers=2,hidden=16,heads=4,seq=8", products, 0x3f);
}
END_TEST

START_TEST(a_llama_over_three_axes_does) {
    check_model("llama:layers=2,hidden=16,heads=4,kv_heads=4,seq=8,mlp=20", products, 0x1f);
}
END_TEST

START_TEST(a_convolutional_net_over_three_axes_does) { check_model("net", products, 0x13); }
END_TEST

START_TEST(groups_of_queries_are_divided_where_sequences_are_cut) {
    check_model("llama:layers=2,hidden=16,heads=4,kv_heads=2,seq=8", rings, 0x30);
}
END_TEST

START_TEST(sequences_that_are_cut_go_through_a_pipeline) {
    check_model("gpt:layers=2,hidden=16,heads=4,seq=8", rings, 0xff);
}
END_TEST

// Blocks of a gpt, with masks in each.
static const char dropping[] =
    "model d\ninput tokens 8\nclasses 65\nembedding e out=12\npositions p\ndropout d p=0.2\n"
    "block h.0 repeat=2\nlayer_norm n\nlinear qkv out=36\nattention a heads=4 causal=true\n"
    "linear o out=12\ndropout f p=0.3\nadd r from=f,h.in\nend\nlinear head out=65\n";

START_TEST(and_so_do_their_masks) {
    static Arena names;
    check_model(ending_write_file(&names, "d.model", dropping), rings, 0x13);
    arena_finish(&names);
}
END_TEST

// The first product takes each rank's slice of the sample, which no layer has written.
START_TEST(a_slice_of_the_sample_is_taken_on_the_first_stage) {
    static const char text[] =
        "model s\ninput 1 28 28\nclasses 10\nflatten\nlinear a out=9 place=S1\ngelu\n"
        "linear b out=10\n";
    static Arena names;
    JobOptions whole = options_of(ending_write_file(&names, "s.model", text), false);
    Ending one;
    whole.data = "digits:count=60";
    ending_run(&one, &arena, &whole);
    check_product(&whole, &one, &products[0]);
    ending_finish(&one);
    arena_finish(&arena);
    arena_finish(&names);
}
END_TEST

// The backward of what gates reads a slice of what the forward had whole, from the stage before.
START_TEST(a_slice_for_the_backward_is_taken_where_it_is_read) {
    static const char text[] =
        "model g\ninput tokens 8\nclasses 65\nembedding e out=8\nlinear a out=8\nrelu\n"
        "linear b out=8\nlinear c out=12 place=R\nlinear d from=b out=12 place=R\n"
        "swiglu from=c,d\nlinear f out=8 place=S1\nlinear head out=65\n";
    static const Product cut = {2, 1, 2, SCHEDULE_INTERLEAVED, 0, RECOMPUTE_NONE, NULL};
    static Arena names;
    JobOptions whole = options_of(ending_write_file(&names, "g.model", text), false);
    Ending one;
    ending_run(&one, &arena, &whole);
    check_product(&whole, &one, &cut);
    ending_finish(&one);
    arena_finish(&arena);
    arena_finish(&names);
}
END_TEST

SUITE("products", a_gpt_over_three_axes_trains_as_one_process, a_llama_over_three_axes_does,
      a_convolutional_net_over_three_axes_does, sequences_that_are_cut_go_through_a_pipeline,
      groups_of_queries_are_divided_where_sequences_are_cut, and_so_do_their_masks,
      a_slice_of_the_sample_is_taken_on_the_first_stage,
      a_slice_for_the_backward_is_taken_where_it_is_read)
