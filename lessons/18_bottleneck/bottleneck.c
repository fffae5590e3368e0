// SPDX-License-Identifier: MIT
// Lesson 18: find the bottleneck. A fault in numbers, a fault in time; what mending one gains, and
// what making another part faster does not.
#include "lessons/18_bottleneck/bottleneck.h"

#include "core/base/text.h"
#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "viz/scene/scene.h"

// --- texts

static void hook(Page *p, const void *state) {
    page_say(p,
             _("Two runs on %d ranks. One learns something else than a single process does. The "
               "other one is right, but slow. Each has one fault, drawn from twelve."),
             FAULT_RANKS);
    page_say(p, _("What is wrong with each? How much would fixing the second gain, before it "
                  "is fixed? And what gains nothing?"));
}

static void idea(Page *p, const void *state) {
    page_say(p,
             _("Numbers first: one process with as many shards computes the same bits as the "
               "ranks should. The first step in which they differ says what kind of fault it is."));
    page_say(p, _("Then time: a step is as long as its critical path, the chain of operations of "
                  "which each waits for the one before it. Time that lies beside the path costs "
                  "nothing, and when the path gets shorter another one takes over."));
}

static void draw_steps(Page *p, const Bottleneck *x) {
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    const FaultTimes *s = &x->seen;
    const SceneBar bars[] = {
        {_("computing"), s->compute_ms, x->healthy.compute_ms, true, TONE_COMPUTE},
        {_("exposed"), s->exposed_ms, x->healthy.exposed_ms, true, TONE_EXPOSED},
        {_("waiting"), s->waiting_ms, x->healthy.waiting_ms, true, TONE_EXPOSED},
        {_("bubble"), s->bubble_ms, x->healthy.bubble_ms, true, TONE_EXPOSED},
    };
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8,
               &(SceneBars){bars, (int)(sizeof bars / sizeof *bars), "%.3f ms", 0});
    page_draw(p, d);
}

static void add_item(Page *p, const ReportCriticalItem *item) {
    const char *gain =
        item->freed ? page_text(p, "%9.3f", (double)item->gain_ps * 1e-9) : "        -";
    page_line(p, "  %-28.28s %8.3f %s", item->name, (double)item->ps * 1e-9, gain);
}

static void bill(Page *p, const void *state) {
    enum { ITEMS = 5 };
    const Bottleneck *x = state;
    const ReportCritical *c = x->seen.critical;
    if (!c) {
        page_say(p, _("Where a step of the slow pipeline goes (simulated); the mark is where the "
                      "healthy one is:"));
        draw_steps(p, x);
        return;
    }
    page_say(p, _("The critical path of the slow step as a bill (simulated), in ms: how long each "
                  "operation is on the path, and by how much the step is shorter when the "
                  "operation is free and the rest is simulated again:"));
    page_line(p, "%s", _("  operation                     on path      gain"));
    for (int i = 0; i < c->item_count && i < ITEMS; i++) add_item(p, &c->items[i]);
    page_say(p, _("Where the gain is less than the time on the path, another path took over."));
}

static void before_mend(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(p,
             _("Now the trainer runs both: with the fault, and with \"%s\". Its devices are "
               "described: they wait as long as the machine laptop would compute."),
             fault_fix(x->slow.kind));
}

static void show_mended(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_line(p, _("  with the fault  %8.3f ms simulated"), x->seen.step_ms);
    page_line(p, _("  fixed           %8.3f ms simulated"), x->healthy.step_ms);
    if (!x->executed) return;
    page_line(p, _("  with the fault  %8.3f ms measured"), x->slowed.step_ms);
    page_line(p, _("  fixed           %8.3f ms measured"), x->mended.step_ms);
}

static void box(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_box(p,
             _("gain <= time on the critical path. Here fixing the fault makes a step of %.3f ms "
               "one of %.3f ms (%s); devices twice as fast beside the path gain %s (simulated)."),
             x->seen.step_ms, x->healthy.step_ms, page_quantity(p, UNIT_SHARE, bottleneck_gain(x)),
             page_quantity(p, UNIT_SHARE, bottleneck_spare_gain(x)));
}

// --- the gain

static void ask_gain(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(p,
             _("The slow step takes %.3f ms. The fault is fixed: %s. By what share of it does the "
               "step get shorter? (Within 2 %% of the step.)"),
             x->seen.step_ms, fault_fix(x->slow.kind));
}

static void truth_gain(Truth *out, const void *state) {
    const Bottleneck *x = state;
    truth_one(out, FROM_SIMULATION, bottleneck_gain(x));
    answer_one(&out->from[FROM_MEASUREMENT], 1 - x->mended.step_ms / x->slowed.step_ms);
    out->known[FROM_MEASUREMENT] = x->executed;
    out->absolute = 0.02;
}

static void whole(Answer *out, const void *state) { answer_one(out, bottleneck_whole(state)); }

static void one_of_ranks(Answer *out, const void *state) {
    answer_one(out, bottleneck_gain(state) / FAULT_RANKS);
}

static void reply_whole(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(p,
             _("%s of the step would come back if all the time of what is slow lay on the critical "
               "path, and nothing took its place. Part of it is needed anyway, or was hidden: the "
               "step cannot become shorter than the next longest path."),
             page_quantity(p, UNIT_SHARE, bottleneck_whole(x)));
}

static void reply_one_of_ranks(Page *p, const void *state) {
    page_say(p,
             _("The gain is not divided by %d: a synchronous step is as long as its slowest part, "
               "not as long as the mean of its ranks. When that part is fixed all go on sooner."),
             FAULT_RANKS);
}

static void hint_gain_3(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_line(p, "  (%.3f - %.3f) / %.3f", x->seen.step_ms, x->healthy.step_ms, x->seen.step_ms);
}

static void explain_gain(Page *p, const void *state) {
    const Bottleneck *x = state;
    const ReportCritical *c = x->healthy.critical;
    page_say(p, _("From %.3f to %.3f ms (simulated)."), x->seen.step_ms, x->healthy.step_ms);
    if (c && c->item_count)
        page_say(p, _("The longest item of the bill is now %s, with %.3f ms on the path."),
                 c->items[0].name, (double)c->items[0].ps * 1e-9);
    if (x->executed)
        page_say(p, _("The measured steps include what the threads of the ranks are late on this "
                      "machine, which the simulator leaves out."));
}

static const Question GAIN = {
    .id = "gain",
    .shape = {ANSWER_VALUE, UNIT_SHARE, 0},
    .ask = ask_gain,
    .truth = truth_gain,
    .wrong = {{"the_whole_bar_comes_back", whole, {reply_whole}},
              {"one_rank_of_many", one_of_ranks, {reply_one_of_ranks}}},
    .hint = {{.text =
                  N_("How long is a step without the fault? The parts in the table add up to it.")},
             {.text = N_("  gain = (slow - healthy) / slow")},
             {hint_gain_3}},
    .explain = {explain_gain},
};

// --- what gains nothing

static void ask_spare(Page *p, const void *state) {
    const Bottleneck *x = state;
    if (x->pipeline)
        page_say(p, _("Instead, the devices of stage 1, which has few layers, are exchanged for "
                      "devices that are twice as fast. By what share does the slow step get "
                      "shorter?"));
    else
        page_say(p,
                 _("Instead, the device of rank %d is exchanged for one that is twice as fast. By "
                   "what share does the slow step get shorter?"),
                 x->spare);
}

static void truth_spare(Truth *out, const void *state) {
    truth_one(out, FROM_SIMULATION, bottleneck_spare_gain(state));
    out->absolute = 0.005;
}

static double half(const Bottleneck *x) { return x->seen.compute_ms / 2 / x->seen.step_ms; }
static void half_computing(Answer *out, const void *state) { answer_one(out, half(state)); }
static void mean_of_ranks(Answer *out, const void *state) {
    answer_one(out, half(state) / (((const Bottleneck *)state)->pipeline ? 2 : FAULT_RANKS));
}

static void hint_spare_3(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_line(p, "  (%.3f - %.3f) / %.3f", x->seen.step_ms, x->with.step_ms, x->seen.step_ms);
}

static void explain_spare(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(p,
             _("From %.3f to %.3f ms (simulated). The faster device is done sooner, and then waits "
               "longer for the others: its time lies beside the critical path."),
             x->seen.step_ms, x->with.step_ms);
}

static const Question SPARE = {
    .id = "faster_device",
    .shape = {ANSWER_VALUE, UNIT_SHARE, 0},
    .ask = ask_spare,
    .truth = truth_spare,
    .wrong = {{"half_of_computing",
               half_computing,
               {.text = N_("Half of the time for computing comes back only if every rank computes "
                           "twice as fast: the others are as slow as before.")}},
              {"the_mean_counts",
               mean_of_ranks,
               {.text = N_("The mean over the ranks gets shorter by that. A synchronous step waits "
                           "for the slowest rank, whatever the mean is.")}}},
    .hint = {{.text = N_("What do the other ranks wait for at the next all-reduce?")},
             {.text = N_("  step = max over ranks, not mean")},
             {hint_spare_3}},
    .explain = {explain_spare},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_RUN,
     .before = {.text = N_("The run whose numbers are wrong is trained now, and one process beside "
                           "it.")},
     .run = bottleneck_train,
     .write = {bottleneck_show_numbers}},
    {.kind = STEP_PREDICT, .question = &bottleneck_wrong},
    {.kind = STEP_COMPARE, .question = &bottleneck_wrong},
    {.kind = STEP_SAY, .write = {bottleneck_show_times}},
    {.kind = STEP_PREDICT, .question = &bottleneck_cause},
    {.kind = STEP_COMPARE, .question = &bottleneck_cause},
    {.kind = STEP_SAY, .write = {bill}},
    {.kind = STEP_PREDICT, .question = &GAIN},
    {.kind = STEP_PREDICT, .question = &SPARE},
    {.kind = STEP_RUN, .before = {before_mend}, .run = bottleneck_execute, .write = {show_mended}},
    {.kind = STEP_COMPARE, .question = &GAIN},
    {.kind = STEP_COMPARE, .question = &SPARE},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson bottleneck_lesson = {
    .number = 18,
    .name = "bottleneck",
    .title = N_("Find the bottleneck"),
    .objective = N_("Read what a run shows, name the fault, predict what fixing it gains, and see "
                    "what gains nothing."),
    .minutes = 15,
    .injects = true,
    .state_size = sizeof(Bottleneck),
    .draw = bottleneck_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
