// SPDX-License-Identifier: MIT
// Lesson 11: DDP hides communication behind the backward pass, in buckets (Li et al., PyTorch
// Distributed, VLDB 2020). What stays exposed, which bucket size is best, and what can never hide.
#include "lessons/11_overlap/overlap.h"

#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "viz/scene/scene.h"

#include <math.h>

// --- numbers

enum { DRAWS = 30, INPUTS = 784, HIDDEN = 1024, CLASSES = 10 };

// The best cap is better than any other by so much, so that a measurement can tell.
static bool is_clear(const double step_s[OVERLAP_CAPS]) {
    int best = overlap_best(step_s);
    for (int i = 0; i < OVERLAP_CAPS; i++)
        if (i != best && step_s[i] < 1.03 * step_s[best]) return false;
    return true;
}

static Status draw(const LessonRun *run, void *state) {
    Overlap *x = state;
    Rng r = lesson_rng(run, 0);
    for (int i = 0; i < DRAWS; i++) {
        *x = (Overlap){.bytes_per_s = 1e9 * (12 + rng_below(&r, 20)),
                       .latency_s = 5e-6 * (1 + rng_below(&r, 12))};
        TRY(overlap_simulate(run, x));
        if (is_clear(x->step_s)) break;
    }
    return OK;
}

static double backward_s(const Overlap *x) { return x->backward_end_s - x->backward_begin_s; }

// --- texts

static void hook(Page *p, const void *state) {
    const Overlap *x = state;
    page_say(
        p,
        _("A network of %d layers on %d GPUs. Its backward takes %s, and the all-reduce of its "
          "gradients %s (simulated: A100, links of %s and %s). One after the other, or at the "
          "same time?"),
        OVERLAP_LAYERS, OVERLAP_RANKS, page_quantity(p, UNIT_SECONDS, backward_s(x)),
        page_quantity(p, UNIT_SECONDS, overlap_total_s(x)),
        page_quantity(p, UNIT_RATE, x->bytes_per_s), page_quantity(p, UNIT_SECONDS, x->latency_s));
    page_say(p, _("A gradient need not wait for the others: the all-reduce of a layer may start as "
                  "soon as its own is there, while the backward goes on."));
}

static void idea(Page *p, const void *state) {
    page_say(p, _("Each all-reduce costs a latency, so gradients are collected in buckets: when a "
                  "bucket is full it leaves. Buckets travel one after the other on the link."));
    page_line(p, _("  end of bucket k = max(end of bucket k-1, ready k) + takes k"));
    page_say(p,
             _("Exposed communication is what the step waits for: the intervals of communication "
               "less those in which the device computes."));
}

static void draw_step(Page *p, const Overlap *x) {
    enum { SPANS = OVERLAP_LAYERS + 3 * OVERLAP_BUCKETS };
    const char *rows[] = {_("backward"), _("overlapped"), _("afterwards")};
    SceneSpan spans[SPANS];
    int count = 0;
    double after = x->backward_end_s, from = x->backward_begin_s;
    for (int i = 0; i < x->layer_count; i++) {
        double end = i + 1 < x->layer_count ? x->layers[i + 1].begin_s : x->backward_end_s;
        spans[count++] = (SceneSpan){0, 1e3 * (i ? x->layers[i].begin_s : from), 1e3 * end,
                                     TONE_COMPUTE, x->layers[i].name};
    }
    for (int i = 0; i < x->bucket_count; i++) {
        const OverlapBucket *b = &x->buckets[i];
        double hidden = fmin(fmax(b->begin_s, x->backward_end_s), b->end_s);
        const char *name = page_text(p, "%d", i);
        if (hidden > b->begin_s)
            spans[count++] = (SceneSpan){1, 1e3 * b->begin_s, 1e3 * hidden, TONE_COMM, name};
        if (hidden < b->end_s)
            spans[count++] = (SceneSpan){1, 1e3 * hidden, 1e3 * b->end_s, TONE_EXPOSED,
                                         hidden > b->begin_s ? NULL : name};
        spans[count++] =
            (SceneSpan){2, 1e3 * after, 1e3 * (after + b->takes_s), TONE_EXPOSED, name};
        after += b->takes_s;
    }
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_timeline(d, p->arena, PAGE_COLUMNS, &(SceneTimeline){rows, 3, spans, count, "ms", false});
    page_draw(p, d);
}

static void box(Page *p, const void *state) {
    const Overlap *x = state;
    page_box(p,
             _("Exposed >= what the last bucket takes, and >= communication - backward. Here %s of "
               "%s stay exposed (simulated), with buckets of %d KiB; the first layer's gradient, "
               "computed last, can never hide."),
             page_quantity(p, UNIT_SECONDS, x->exposed_s[1]),
             page_quantity(p, UNIT_SECONDS, x->exposed_s[0]), overlap_cap_kib[OVERLAP_BY_LAYER]);
}

// --- which layer cannot hide

// Layers in the order of the forward; x->layers has that of the backward.
static int backward_place(const Overlap *x, int which) { return x->layer_count - 1 - which; }

static const char *option_layer(Page *p, const void *state, int which) {
    const Overlap *x = state;
    return page_text(p, "%s", x->layers[backward_place(x, which)].name);
}

static void ask_layer(Page *p, const void *state) {
    page_say(p, _("The layers in the order of the forward; fc1 is first, logits gives the loss. "
                  "Which layer's gradient can never travel behind the backward pass?"));
}

// The layer whose gradient is ready when the backward ends.
static void truth_layer(Truth *out, const void *state) {
    const Overlap *x = state;
    for (int which = 0; which < x->layer_count; which++)
        if (x->layers[backward_place(x, which)].end_s >= x->backward_end_s * (1 - 1e-9))
            truth_one(out, FROM_SIMULATION, which);
}

static void layer_of_the_loss(Answer *out, const void *state) {
    const Overlap *x = state;
    answer_one(out, x->layer_count - 1);
}
static double weights_of(const Overlap *x, int which) {
    double in = which == 0 ? INPUTS : HIDDEN;
    return in * (which == x->layer_count - 1 ? CLASSES : HIDDEN);
}
static void largest_layer(Answer *out, const void *state) {
    const Overlap *x = state;
    int largest = 0;
    for (int i = 1; i < x->layer_count; i++)
        if (weights_of(x, i) > weights_of(x, largest)) largest = i;
    answer_one(out, largest);
}

static void hint_layer_3(Page *p, const void *state) {
    const Overlap *x = state;
    const char *order = "";
    for (int i = 0; i < x->layer_count; i++)
        order = page_text(p, "%s%s%s", order, i ? " -> " : "", x->layers[i].name);
    page_line(p, "  %s", order);
}

static const Question LAYER = {
    .id = "never_hidden",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, OVERLAP_LAYERS},
    .ask = ask_layer,
    .option = option_layer,
    .truth = truth_layer,
    .wrong = {{"first_layer_first",
               layer_of_the_loss,
               {.text = N_("Its gradient comes first: the backward begins at the loss. It has the "
                           "whole rest of the backward to travel.")}},
              {"the_largest_layer",
               largest_layer,
               {.text = N_("A large gradient takes longer, but it hides well if enough of the "
                           "backward is still to come. What counts is when it is ready.")}}},
    .hint = {{.text = N_("After which gradient is there nothing left to compute?")},
             {.text = N_("  the backward goes from the loss to the input")},
             {hint_layer_3}},
    .explain = {.text = N_("The backward ends with the first layer. Its bucket is ready when "
                           "nothing is left to hide behind, so a small last bucket is worth much; "
                           "DDP rebuilds its buckets in the order in which gradients arrive.")},
};

// --- how much is exposed

static void ask_exposed(Page *p, const void *state) {
    const Overlap *x = state;
    page_say(p, _("Buckets, in ms since the step began (simulated); bucket 0 is the loss:"));
    for (int i = 0; i < x->bucket_count; i++)
        page_line(p, _("  bucket %d ready at %.3f, takes %.3f"), i, 1e3 * x->buckets[i].ready_s,
                  1e3 * x->buckets[i].takes_s);
    page_say(p,
             _("The backward ends at %.3f ms. How much communication is exposed if all of it waits "
               "for that, and how much if it overlaps? Two times."),
             1e3 * x->backward_end_s);
}

static void two(Answer *out, double without, double with) { *out = (Answer){{without, with}, 2}; }

static void truth_exposed(Truth *out, const void *state) {
    const Overlap *x = state;
    two(&out->from[FROM_THEORY], overlap_total_s(x), overlap_exposed_s(x));
    two(&out->from[FROM_SIMULATION], x->exposed_s[0], x->exposed_s[1]);
    two(&out->from[FROM_MEASUREMENT], x->measured_exposed_s[0], x->measured_exposed_s[1]);
    out->known[FROM_THEORY] = out->known[FROM_SIMULATION] = true;
    out->known[FROM_MEASUREMENT] = x->measured_exposed_s[0] > 0;
    out->relative = 0.02;
    out->absolute = 5e-6;
}

static void nothing_exposed(Answer *out, const void *state) { two(out, overlap_total_s(state), 0); }
static void all_exposed(Answer *out, const void *state) {
    two(out, overlap_total_s(state), overlap_total_s(state));
}
static void difference(Answer *out, const void *state) {
    two(out, overlap_total_s(state), fmax(0, overlap_total_s(state) - backward_s(state)));
}

static void hint_exposed_3(Page *p, const void *state) {
    const Overlap *x = state;
    double end = 0;
    for (int i = 0; i < x->bucket_count; i++) {
        const OverlapBucket *b = &x->buckets[i];
        page_line(p, _("  bucket %d ends at max(%.3f, %.3f) + %.3f"), i, 1e3 * end,
                  1e3 * b->ready_s, 1e3 * b->takes_s);
        end = fmax(end, b->ready_s) + b->takes_s;
    }
}
static void explain_exposed(Page *p, const void *state) {
    const Overlap *x = state;
    page_say(
        p,
        _("Overlap hides %s. A profile shows the same communication in both; only the exposed "
          "part is lost time. The formula lets all weights be updated at the end; the simulator "
          "and the trainer update those whose gradients have come beside the last buckets."),
        page_quantity(p, UNIT_SECONDS, overlap_total_s(x) - overlap_exposed_s(x)));
}

static const Question EXPOSED = {
    .id = "exposed_communication",
    .shape = {ANSWER_CURVE, UNIT_SECONDS, 2},
    .ask = ask_exposed,
    .truth = truth_exposed,
    .wrong = {{"overlap_is_free",
               nothing_exposed,
               {.text = N_("Overlap does not make communication free: what is not done when the "
                           "backward ends is waited for, the last bucket always.")}},
              {"communication_is_lost_time",
               all_exposed,
               {.text = N_("That counts all communication as lost. What runs beside the backward "
                           "costs the step nothing, although a profile shows it.")}},
              {"communication_less_backward",
               difference,
               {.text = N_("That would be so if communication could begin with the backward. It "
                           "must wait for the first gradients, and for each bucket's.")}}},
    .hint = {{.text = N_("Follow the buckets: when does each begin, when does the last end?")},
             {.text = N_("  exposed = end of the last bucket - end of the backward")},
             {hint_exposed_3}},
    .explain = {explain_exposed},
};

// --- the best bucket

static const char *option_cap(Page *p, const void *state, int which) {
    if (which == 0) return _("0 KiB: every gradient by itself");
    if (which == OVERLAP_CAPS - 1) return _("100000 KiB: all gradients in one");
    return page_text(p, "%d KiB", overlap_cap_kib[which]);
}

static void ask_cap(Page *p, const void *state) {
    const Overlap *x = state;
    page_say(p,
             _("A weight matrix has up to 4096 KiB, a bias 4 KiB. A bucket closes once it has "
               "passed its cap. With a latency of %s and %s: which cap makes the shortest step?"),
             page_quantity(p, UNIT_SECONDS, x->latency_s),
             page_quantity(p, UNIT_RATE, x->bytes_per_s));
}

static void truth_cap(Truth *out, const void *state) {
    const Overlap *x = state;
    truth_one(out, FROM_SIMULATION, overlap_best(x->step_s));
    answer_one(&out->from[FROM_MEASUREMENT], overlap_best(x->measured_step_s));
    out->known[FROM_MEASUREMENT] = x->measured_step_s[0] > 0 && is_clear(x->measured_step_s);
}

static void show_caps(Page *p, const void *state) {
    const Overlap *x = state;
    page_say(p, _("A step, in ms:"));
    for (int i = 0; i < OVERLAP_CAPS; i++) {
        const char *measured = x->measured_step_s[i] > 0
                                   ? page_text(p, _("   measured %.3f"),
                                               1e3 * x->measured_step_s[i])
                                   : "";
        page_line(p, _("  cap %6d KiB   simulated %.3f%s"), overlap_cap_kib[i],
                  1e3 * x->step_s[i], measured);
    }
}

static void hint_cap_3(Page *p, const void *state) {
    const Overlap *x = state;
    page_line(p, _("  of one bucket all is exposed: %.3f ms"), 1e3 * overlap_total_s(x));
}

static const Question CAP = {
    .id = "best_bucket",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, OVERLAP_CAPS},
    .ask = ask_cap,
    .option = option_cap,
    .truth = truth_cap,
    .wrong = {{"smaller_starts_earlier", .option = 0,
               .reply = {.text = N_("Small buckets start earlier, but every one pays the latency, "
                                    "twice in an all-reduce. On a lane that is busy to the end, "
                                    "each latency makes the step longer.")}},
              {"fewer_latencies", .option = OVERLAP_CAPS - 1,
               .reply = {.text = N_("One bucket pays latency once, but it is full only when the "
                                    "backward is over: nothing overlaps.")}}},
    .hint = {{.text = N_("Small buckets cost latencies, large ones cost overlap.")},
             {.text = N_("  takes = 2 (latency + 3/4 bytes / bandwidth) with 4 ranks")},
             {hint_cap_3}},
    .explain = {.text = N_("The optimum lies between: large enough that latency is a small part of "
                           "a bucket, small enough that the last one is short. It moves with the "
                           "link: on another machine another cap is best.")},
};

static void show_step(Page *p, const void *state) {
    const Overlap *x = state;
    draw_step(p, x);
    page_say(p, _("Backward by layers, communication by buckets; each bucket is drawn denser where "
                  "it is exposed."));
    if (x->measured_exposed_s[0] > 0)
        page_say(p, _("Drawn as simulated; the trainer ran it on described devices, with all times "
                      "20 times as long on this host's clock, and divided again."));
}

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &LAYER},
    {.kind = STEP_COMPARE, .question = &LAYER},
    {.kind = STEP_PREDICT, .question = &EXPOSED},
    {.kind = STEP_RUN,
     .before = {.text = N_("The step with overlap and without: simulated, and by the trainer on "
                           "four ranks whose devices and links are described.")},
     .run = overlap_run_step,
     .write = {show_step}},
    {.kind = STEP_COMPARE, .question = &EXPOSED},
    {.kind = STEP_PREDICT, .question = &CAP},
    {.kind = STEP_RUN,
     .before = {.text = N_("All four caps.")},
     .run = overlap_run_caps,
     .seconds = 3,
     .write = {show_caps}},
    {.kind = STEP_COMPARE, .question = &CAP},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson overlap_lesson = {
    .number = 11,
    .name = "overlap",
    .title = N_("DDP: overlap and buckets"),
    .objective =
        N_("What of the communication a step waits for, and how large a bucket should be."),
    .minutes = 15,
    .state_size = sizeof(Overlap),
    .draw = draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
