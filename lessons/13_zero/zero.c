// SPDX-License-Identifier: MIT
// Lesson 13: sharding state (ZeRO, Rajbhandari et al., 2020). What is on every rank, what each
// stage divides, what that costs in traffic, and what it does not divide. Plans, bytes and weights
// are in zero_runs.c.
#include "lessons/13_zero/zero_runs.h"
#include "lessons/lessons.h"

#include "lessons/engine/translate.h"
#include "viz/scene/scene.h"

static const char *const STAGES[] = {"DDP", "ZeRO 1", "ZeRO 2", "ZeRO 3"};

// --- drawings

// Bytes of a rank by stage, parameters, gradients and moments one after the other.
static void draw_stacks(Page *p, const Zero *x) {
    SceneSpan spans[3 * ZERO_STAGES];
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    for (int s = 0; s < ZERO_STAGES; s++) {
        const Footprint *f = &x->closed[s];
        const double kb[] = {f->parameters / 1e3, f->gradients / 1e3, f->optimiser / 1e3};
        double at = 0;
        for (int k = 0; k < 3; k++) {
            static const char *const names[] = {N_("weights"), N_("gradients"), N_("moments")};
            static const Tone tones[] = {TONE_COMPUTE, TONE_COMM, TONE_BUBBLE};
            spans[3 * s + k] = (SceneSpan){s, at, at + kb[k], tones[k], _(names[k])};
            at += kb[k];
        }
    }
    if (!d) return;
    const SceneTimeline t = {STAGES, ZERO_STAGES, spans, 3 * ZERO_STAGES, "kB", false};
    scene_timeline(d, p->arena, PAGE_COLUMNS, &t);
    page_draw(p, d);
}

// While which layer's weights are there whole: from their gathering to their last use.
static void draw_gathers(Page *p, const Zero *x) {
    SceneSpan spans[ZERO_GATHERS];
    const char *names[ZERO_LAYERS];
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    for (int i = 0; i < x->layer_count; i++) names[i] = x->layer_names[i];
    for (int i = 0; i < x->gather_count; i++) {
        const ZeroGather *g = &x->gathers[i];
        spans[i] = (SceneSpan){g->layer, g->first, g->last + 1.0,
                               g->backward ? TONE_COMM : TONE_COMPUTE, g->backward ? "B" : "F"};
    }
    if (!d) return;
    const SceneTimeline t = {names, x->layer_count, spans, x->gather_count, _("operations"), false};
    scene_timeline(d, p->arena, PAGE_COLUMNS, &t);
    page_draw(p, d);
}

static void draw_board(Page *p, const Zero *x) {
    SceneCell cells[3 * ZERO_STAGES] = {{{0}}};
    const char *columns[] = {_("weights"), _("gradients"), _("moments")};
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    for (int s = 0; s < ZERO_STAGES; s++)
        for (int k = 0; k < 3; k++) {
            SceneCell *c = &cells[3 * s + k];
            bool cut = s >= 3 - k;
            c->kind = cut ? CELL_DONE : CELL_PLAIN;
            snprintf(c->text, sizeof c->text, "%s", _("all"));
            if (cut) snprintf(c->text, sizeof c->text, "1/%d", x->ranks);
        }
    if (!d) return;
    scene_board(d, p->arena, PAGE_COLUMNS, &(SceneBoard){STAGES, columns, ZERO_STAGES, 3, cells});
    page_draw(p, d);
}

// --- texts

static void hook(Page *p, const void *state) {
    const Zero *x = state;
    page_say(p,
             _("%d data-parallel ranks train an MLP with Adam. Its weights are %s in float, and "
               "every rank has all of them, all gradients, and the two moments of Adam."),
             x->ranks, page_quantity(p, UNIT_BYTES, x->weights));
    page_say(p,
             _("So the same bytes lie in memory %d times. Is that needed, when each rank only has "
               "to know what the next step computes with?"),
             x->ranks);
}

static void idea(Page *p, const void *state) {
    const Zero *x = state;
    page_say(p,
             _("ZeRO makes each rank responsible for 1/%d of the weights, and stage by stage takes "
               "away what other ranks are responsible for. What a rank keeps:"),
             x->ranks);
    draw_board(p, x);
    page_say(p, _("Gradients go to the rank responsible for them (reduce-scatter), it updates its "
                  "share, and the new weights go to everybody (all-gather)."));
}

static void before_runs(Page *p, const void *state) {
    const Zero *x = state;
    page_say(
        p,
        _("Now the trainer does %d steps with DDP and with each stage, on %d threads. It takes "
          "all its memory at the start, as planned; the communicator counts bytes."),
        ZERO_STEPS, x->ranks);
}

static void show_runs(Page *p, const void *state) {
    const Zero *x = state;
    for (int s = 0; s < ZERO_STAGES; s++)
        page_line(p, _("  %-7s loss %.6f  hash of the weights %016llx  (measured)"), STAGES[s],
                  x->run[s].loss, (unsigned long long)x->run[s].hash);
    page_say(p, _("Who keeps what changes no bit of the result."));
}

static void show_gathers(Page *p, const void *state) {
    const Zero *x = state;
    page_say(p,
             _("ZeRO 3, from the plan of a step: while which layer's weights are whole on a rank, "
               "for the forward (F) and again for the backward (B). In between they are freed."));
    draw_gathers(p, x);
}

static void box(Page *p, const void *state) {
    const Zero *x = state;
    page_box(p,
             _("With Adam in float a rank keeps 16 bytes a weight in DDP, 16/N at ZeRO 3; up to "
               "stage 2 for the same traffic, at stage 3 for up to 1.5 times. Here with N = %d: "
               "%s down to %s, %.2f times the traffic."),
             x->ranks, page_quantity(p, UNIT_BYTES, zero_state_bytes(&x->closed[0])),
             page_quantity(p, UNIT_BYTES, zero_state_bytes(&x->closed[3])),
             x->run[3].sent / x->run[0].sent);
}

// --- memory

static void ask_memory(Page *p, const void *state) {
    const Zero *x = state;
    page_say(p,
             _("Weights of %s, gradients as large, two moments as large each, %d ranks. How many "
               "bytes of these does a rank keep: with DDP, ZeRO 1, ZeRO 2, ZeRO 3? Four values."),
             page_digits(p, UNIT_BYTES, 4, x->weights), x->ranks);
}

static void memory_of(Answer *out, const Zero *x, const double shares[ZERO_STAGES]) {
    out->count = ZERO_STAGES;
    for (int s = 0; s < ZERO_STAGES; s++) out->values[s] = shares[s] * x->weights;
}

static void truth_memory(Truth *out, const void *state) {
    const Zero *x = state;
    for (int s = 0; s < ZERO_STAGES; s++) {
        out->from[FROM_THEORY].values[s] = zero_state_bytes(&x->closed[s]);
        out->from[FROM_MEASUREMENT].values[s] = x->run[s].state_bytes;
    }
    out->from[FROM_THEORY].count = out->from[FROM_MEASUREMENT].count = ZERO_STAGES;
    out->known[FROM_THEORY] = true;
    out->known[FROM_MEASUREMENT] = x->ran;
    out->relative = 0.01;
}

static void all_at_once(Answer *out, const void *state) {
    const Zero *x = state;
    double n = x->ranks;
    memory_of(out, x, (const double[]){4, 4 / n, 4 / n, 4 / n});
}
static void weights_first(Answer *out, const void *state) {
    const Zero *x = state;
    double n = x->ranks;
    memory_of(out, x, (const double[]){4, 3 + 1 / n, 2 + 2 / n, 4 / n});
}
static void one_moment(Answer *out, const void *state) {
    const Zero *x = state;
    double n = x->ranks;
    memory_of(out, x, (const double[]){3, 2 + 1 / n, 1 + 2 / n, 3 / n});
}

static void hint_memory_3(Page *p, const void *state) {
    const Zero *x = state;
    page_line(p, "  W = %s:  4 W,  (2 + 2/%d) W,  (1 + 3/%d) W,  4/%d W",
              page_digits(p, UNIT_BYTES, 4, x->weights), x->ranks, x->ranks, x->ranks);
}

static void explain_memory(Page *p, const void *state) {
    const Zero *x = state;
    draw_stacks(p, x);
    page_say(p,
             _("The moments are half of all, so stage 1 already saves most. The plan takes more "
               "than the formula: whole gradients of two buckets on their way, of which the first "
               "layer's alone are %s, and the gathered weights of two layers. Of a model with many "
               "equal layers that is little."),
             page_quantity(p, UNIT_BYTES, x->first_layer));
}

static const Question MEMORY = {
    .id = "memory",
    .shape = {ANSWER_CURVE, UNIT_BYTES, ZERO_STAGES},
    .ask = ask_memory,
    .truth = truth_memory,
    .wrong =
        {{"all_at_once",
          all_at_once,
          {.text = N_("That divides everything from stage 1 on. The stages come one by one: the "
                      "optimiser's state, then gradients too, then weights too.")}},
         {"weights_first",
          weights_first,
          {.text = N_("That cuts the weights first, as model parallelism does. ZeRO cuts them "
                      "last: only the update reads the moments, and each rank updates its share; "
                      "but every pass computes with all weights.")}},
         {"one_moment",
          one_moment,
          {.text = N_("Adam keeps two numbers a weight, the mean of the gradient and of its "
                      "square. That answer has one.")}}},
    .hint = {{.text = N_("Four arrays as large as the weights. Which of them does a stage cut?")},
             {.text = "  DDP 4 W,  ZeRO 1  2 W + 2 W/N,  ZeRO 2  W + 3 W/N,  ZeRO 3  4 W/N"},
             {hint_memory_3}},
    .explain = {explain_memory},
};

// --- traffic

enum { SENDERS = 3 };
static const int SENDER[SENDERS] = {0, 2, 3};

static void ask_traffic(Page *p, const void *state) {
    const Zero *x = state;
    page_say(p,
             _("How many bytes does a rank send in a step, with DDP, with ZeRO 2, with ZeRO 3? The "
               "gradients are %s, N = %d. Three values."),
             page_digits(p, UNIT_BYTES, 4, x->weights), x->ranks);
}

static void traffic_of(Answer *out, const Zero *x, double ddp, double two, double three) {
    double once = x->weights * (x->ranks - 1) / x->ranks;
    *out = (Answer){{ddp * once, two * once, three * once}, SENDERS};
}

static void truth_traffic(Truth *out, const void *state) {
    const Zero *x = state;
    for (int i = 0; i < SENDERS; i++) {
        out->from[FROM_THEORY].values[i] = x->closed[SENDER[i]].sent;
        out->from[FROM_MEASUREMENT].values[i] = x->run[SENDER[i]].sent;
    }
    out->from[FROM_THEORY].count = out->from[FROM_MEASUREMENT].count = SENDERS;
    out->known[FROM_THEORY] = true;
    out->known[FROM_MEASUREMENT] = x->ran;
    out->relative = 0.03;
}

static void less_with_shards(Answer *out, const void *state) {
    const Zero *x = state;
    traffic_of(out, x, 2, 2.0 / x->ranks, 2.0 / x->ranks);
}
static void all_alike(Answer *out, const void *state) { traffic_of(out, state, 2, 2, 2); }
static void on_top(Answer *out, const void *state) { traffic_of(out, state, 2, 3, 4); }

static void hint_traffic_3(Page *p, const void *state) {
    const Zero *x = state;
    page_line(p, "  f = %d/%d * %s:  2 f,  2 f,  3 f", x->ranks - 1, x->ranks,
              page_digits(p, UNIT_BYTES, 4, x->weights));
}

static void explain_traffic(Page *p, const void *state) {
    const Zero *x = state;
    page_say(p,
             _("An all-reduce is a reduce-scatter and an all-gather. ZeRO 1 and 2 do the same two, "
               "of gradients and then of new weights. ZeRO 3 gathers weights twice, for the "
               "forward and for the backward."));
    page_say(p,
             _("Here it is less, %.2f times DDP: the first layer's weights (%s) are not gathered "
               "again, since nobody needs the gradient of the input."),
             x->run[3].sent / x->run[0].sent, page_quantity(p, UNIT_BYTES, x->first_layer));
}

static const Question TRAFFIC = {
    .id = "traffic",
    .shape = {ANSWER_CURVE, UNIT_BYTES, SENDERS},
    .ask = ask_traffic,
    .truth = truth_traffic,
    .wrong = {{"shards_send_less",
               less_with_shards,
               {.text = N_("Sharding cuts what is kept, not what is sent: a rank computes "
                           "gradients of all weights from its own rows, and they all have to go "
                           "to the ranks that look after them.")}},
              {"stage_3_is_free",
               all_alike,
               {.text = N_("True up to stage 2. With weights cut too they must be gathered before "
                           "the forward, and as they are freed again, before the backward.")}},
              {"gathers_on_top",
               on_top,
               {.text = N_("That adds the gathering to a whole all-reduce. But its second half, "
                           "the all-gather of gradients, is gone: who does not update a weight "
                           "needs no sum of its gradients.")}}},
    .hint = {{.text = N_("Count reduce-scatters and all-gathers: each sends (N-1)/N of an array.")},
             {.text = N_("  DDP and ZeRO 2: a scatter, a gather;  ZeRO 3: two gathers, a scatter")},
             {hint_traffic_3}},
    .explain = {explain_traffic},
};

// --- what a rank computes

enum { COMPUTES_ALL, COMPUTES_SHARE, ACTIVATIONS_CUT, COMPUTE_OPTIONS };

static const char *const compute_options[] = {
    N_("all layers whole, for its own rows; activations as in DDP"),
    N_("only with its own share of the weights, for all rows"),
    N_("all layers, but keeps only a share of the activations"),
};

static void ask_compute(Page *p, const void *state) {
    const Zero *x = state;
    page_say(p,
             _("With ZeRO 3 a rank keeps 1/%d of the weights. What does it compute in the forward, "
               "and keep of activations?"),
             x->ranks);
}

// By the arithmetic and the activations of both plans.
static int computed(const ZeroPlan *ddp, const ZeroPlan *zero) {
    if (zero->flops < 0.9 * ddp->flops) return COMPUTES_SHARE;
    return zero->activations < 0.9 * ddp->activations ? ACTIVATIONS_CUT : COMPUTES_ALL;
}

static void truth_compute(Truth *out, const void *state) {
    const Zero *x = state;
    truth_one(out, FROM_THEORY, computed(&x->plan[0], &x->plan[3]));
}

static void explain_compute(Page *p, const void *state) {
    const Zero *x = state;
    page_say(p, _("ZeRO is data parallelism that stores less. Both plans of a step say the same:"));
    page_line(p, _("  arithmetic    DDP %.3f Mflop   ZeRO 3 %.3f Mflop  (theory)"),
              x->plan[0].flops / 1e6, x->plan[3].flops / 1e6);
    page_line(p, _("  activations   DDP %s   ZeRO 3 %s  (theory)"),
              page_quantity(p, UNIT_BYTES, x->plan[0].activations),
              page_quantity(p, UNIT_BYTES, x->plan[3].activations));
    page_say(p, _("What helps against activations is recomputation, smaller batches, and tensor "
                  "or context parallelism."));
}

static const Question COMPUTE = {
    .id = "what_a_rank_computes",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, COMPUTE_OPTIONS},
    .ask = ask_compute,
    .options = compute_options,
    .truth = truth_compute,
    .wrong =
        {{"only_its_share", .option = COMPUTES_SHARE,
          .reply = {.text = N_("That is tensor parallelism. Here weights travel to the rows: just "
                               "before a layer computes, its weights are gathered, and each rank "
                               "has other rows.")}},
         {"activations_too", .option = ACTIVATIONS_CUT,
          .reply = {.text = N_("Activations are of a rank's own rows, nobody else has them: there "
                               "is nothing that is there twice. ZeRO cuts only copies.")}}},
    .hint = {{.text = N_("Which rows does a rank have, and which weights does it use for them?")},
             {.text = N_("  flops of a rank = 6 * weights * rows of the rank, in DDP and ZeRO")},
             {.text = N_("Compare the arithmetic of a rank in both plans: were it cut, it would be "
                         "1/N.")}},
    .explain = {explain_compute},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &MEMORY},
    {.kind = STEP_PREDICT, .question = &TRAFFIC},
    {.kind = STEP_PREDICT, .question = &COMPUTE},
    {.kind = STEP_RUN, .before = {before_runs}, .run = zero_train, .write = {show_runs}},
    {.kind = STEP_COMPARE, .question = &MEMORY},
    {.kind = STEP_COMPARE, .question = &TRAFFIC},
    {.kind = STEP_SAY, .write = {show_gathers}},
    {.kind = STEP_COMPARE, .question = &COMPUTE},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson zero_lesson = {
    .number = 13,
    .name = "zero",
    .title = N_("Sharding state: ZeRO 1, 2, 3"),
    .objective = N_("What data-parallel ranks keep alike, what each stage of ZeRO divides, and "
                    "what it costs in traffic."),
    .minutes = 12,
    .state_size = sizeof(Zero),
    .draw = zero_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
