// SPDX-License-Identifier: MIT
// Lesson 19: the same step on CUDA and NCCL. A host issues launches and a device works them off:
// what a clock sees with and without synchronising, who holds up whom, and how fast an all-reduce
// is. No GPU is needed: numbers are simulated, in gpu_runs.c, and say so.
#include "lessons/19_gpu/gpu.h"
#include "lessons/lessons.h"

#include "lessons/engine/translate.h"
#include "viz/scene/scene.h"

// --- drawings

// The first operations of a step: when the host launches each, and when the device does it.
static void draw_streams(Page *p, const GpuStep *s) {
    SceneSpan spans[2 * GPU_SHOWN];
    const char *const rows[] = {_("host"), _("GPU")};
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    int count = s->operations < GPU_SHOWN ? s->operations : GPU_SHOWN;
    for (int i = 0; i < count; i++) {
        const char *label = page_text(p, "%d", i + 1);
        spans[2 * i] = (SceneSpan){0, i * s->issue * 1e6, (i + 1) * s->issue * 1e6,
                                   i % 2 ? TONE_COMM : TONE_WAITING, label};
        spans[2 * i + 1] = (SceneSpan){1, s->start[i] * 1e6, s->end[i] * 1e6,
                                       i % 2 ? TONE_COMM : TONE_COMPUTE, label};
    }
    if (!d) return;
    scene_timeline(d, p->arena, PAGE_COLUMNS,
                   &(SceneTimeline){rows, 2, spans, 2 * count, "us", false});
    page_draw(p, d);
}

static const char *const change_options[] = {
    N_("a GPU with twice the flops and bandwidth"),
    N_("launching the whole step as one CUDA graph"),
    N_("half the batch"),
};

static void draw_changes(Page *p, const Gpu *x) {
    SceneBar bars[CHANGE_COUNT + 1] = {{_("as it is"), x->small.step * 1e6, 0, false, TONE_FAINT}};
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    static const char *const names[] = {N_("twice the GPU"), N_("CUDA graph"),
                                        N_("half the batch")};
    for (int c = 0; c < CHANGE_COUNT; c++)
        bars[c + 1] = (SceneBar){_(names[c]), x->changed[c] * 1e6, 0, false, TONE_COMPUTE};
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, CHANGE_COUNT + 1, "%.0f us", 0});
    page_draw(p, d);
}

// --- texts

static void hook(Page *p, const void *state) {
    const Gpu *x = state;
    page_say(
        p,
        _("A step of a GPT is %d operations. On a GPU each is a kernel, and the host does "
          "nothing but launch them, one after the other: %s each through PyTorch, whatever they "
          "compute."),
        x->large.operations, page_quantity(p, UNIT_SECONDS, x->large.issue));
    page_say(p, _("No GPU is needed here, and none is measured: all times are simulated, for an "
                  "H100 as machines/h100-1.yaml describes it."));
}

static void idea(Page *p, const void *state) {
    const Gpu *x = state;
    page_say(p,
             _("A launch puts a kernel into a queue, a stream, and returns at once. The GPU takes "
               "kernels from it in order. The first ones of a large batch; the same number is a "
               "launch and its kernel:"));
    draw_streams(p, &x->large);
    page_say(p, _("The host runs ahead, and the GPU always has work. With a tiny batch:"));
    draw_streams(p, &x->small);
}

static void before_change(Page *p, const void *state) {
    page_say(p, _("The simulator does the small step again, with each of the three changes."));
}

static void box(Page *p, const void *state) {
    const Gpu *x = state;
    page_box(p,
             _("A step takes the longer of launches and kernels, max(n x %s, kernels): here %s "
               "against %s in the small step. Synchronise before reading a clock, but not after "
               "each kernel. busbw = algbw x 2(N-1)/N is what compares with a link."),
             page_quantity(p, UNIT_SECONDS, x->small.issue),
             page_quantity(p, UNIT_SECONDS, x->small.issued),
             page_quantity(p, UNIT_SECONDS, x->small.kernels));
}

// --- a clock without synchronising

static void ask_async(Page *p, const void *state) {
    const Gpu *x = state;
    page_say(p,
             _("The larger step: %d launches of %s, and a GPU that is done after %s (simulated). "
               "The host reads its clock before the first launch and after the last, and does not "
               "synchronise. What does it take for the step's time?"),
             x->large.operations, page_quantity(p, UNIT_SECONDS, x->large.issue),
             page_quantity(p, UNIT_SECONDS, x->large.step));
}

static void truth_async(Truth *out, const void *state) {
    const Gpu *x = state;
    truth_one(out, FROM_THEORY, x->large.issued);
    out->relative = 0.02;
}

static void all_done(Answer *out, const void *state) {
    const Gpu *x = state;
    answer_one(out, x->large.step);
}
static void one_launch(Answer *out, const void *state) {
    const Gpu *x = state;
    answer_one(out, x->large.issue);
}

static void hint_async_3(Page *p, const void *state) {
    const Gpu *x = state;
    page_line(p, "  %d * %s", x->large.operations, page_quantity(p, UNIT_SECONDS, x->large.issue));
}

static void explain_async(Page *p, const void *state) {
    const Gpu *x = state;
    page_say(
        p,
        _("The clock has seen %s of launching; the step takes %s, %.1f times as long. That is "
          "how impossible speeds get reported. The next cudaDeviceSynchronize(), or copying the "
          "loss to the host, waits for the rest, and gets the blame for it."),
        page_quantity(p, UNIT_SECONDS, x->large.issued),
        page_quantity(p, UNIT_SECONDS, x->large.step), x->large.step / x->large.issued);
}

static const Question ASYNC = {
    .id = "clock_without_synchronising",
    .shape = {ANSWER_VALUE, UNIT_SECONDS, 0},
    .ask = ask_async,
    .truth = truth_async,
    .wrong = {{"returned_so_done",
               all_done,
               {.text = N_("That is when the GPU is done. A launch returns long before its kernel "
                           "ends, often before it begins.")}},
              {"one_launch",
               one_launch,
               {.text = N_("That is one launch. They do not overlap with each other: one thread of "
                           "the host does them one by one.")}}},
    .hint = {{.text = N_("What does the host do between the two readings, and what not?")},
             {.text = N_("  launches * time of a launch")},
             {hint_async_3}},
    .explain = {explain_async},
};

// --- synchronising after each kernel

static void ask_each(Page *p, const void *state) {
    const Gpu *x = state;
    page_say(p,
             _("To see every kernel's time somebody synchronises after each of the %d launches. "
               "Kernels take %s together (simulated), a launch %s. How long does the step take "
               "now, at least?"),
             x->large.operations, page_quantity(p, UNIT_SECONDS, x->large.kernels),
             page_quantity(p, UNIT_SECONDS, x->large.issue));
}

static void truth_each(Truth *out, const void *state) {
    const Gpu *x = state;
    truth_one(out, FROM_THEORY, x->large.issued + x->large.kernels);
    out->relative = 0.03;
}

static void for_free(Answer *out, const void *state) {
    const Gpu *x = state;
    answer_one(out, x->large.kernels);
}
static void launches_alone(Answer *out, const void *state) {
    const Gpu *x = state;
    answer_one(out, x->large.issued);
}

static void hint_each_3(Page *p, const void *state) {
    const Gpu *x = state;
    page_line(p, "  %d * %s + %s", x->large.operations,
              page_quantity(p, UNIT_SECONDS, x->large.issue),
              page_quantity(p, UNIT_SECONDS, x->large.kernels));
}

static void explain_each(Page *p, const void *state) {
    const Gpu *x = state;
    page_say(
        p,
        _("Launches and kernels no longer overlap: %s instead of %s, and every kernel seems to "
          "take a launch more. Events in the stream (cudaEventRecord) are read on the GPU: "
          "their differences are the kernels' own times, and nobody has to stop."),
        page_quantity(p, UNIT_SECONDS, x->large.issued + x->large.kernels),
        page_quantity(p, UNIT_SECONDS, x->large.step));
}

static const Question EACH = {
    .id = "synchronising_after_each",
    .shape = {ANSWER_VALUE, UNIT_SECONDS, 0},
    .ask = ask_each,
    .truth = truth_each,
    .wrong = {{"synchronising_is_free",
               for_free,
               {.text = N_("Those are the kernels, which the launches hid behind before. Now the "
                           "host launches the next one only when the GPU has nothing to do.")}},
              {"launches_alone",
               launches_alone,
               {.text = N_("That is launching alone, as a clock without synchronising has it.")}}},
    .hint = {{.text = N_("What can overlap when the host waits after each launch?")},
             {.text = N_("  launches * time of a launch + all kernels")},
             {hint_each_3}},
    .explain = {explain_each},
};

// --- who holds up whom

static void ask_change(Page *p, const void *state) {
    const Gpu *x = state;
    page_say(
        p,
        _("The small step: %d launches of %s, kernels of %s together; its GPU is idle for %.0f "
          "%% of the step (simulated). What makes it shortest?"),
        x->small.operations, page_quantity(p, UNIT_SECONDS, x->small.issue),
        page_quantity(p, UNIT_SECONDS, x->small.kernels), 100 * x->small.idle);
}

// By theory a step is as long as the longer of both; a graph is one launch.
static void truth_change(Truth *out, const void *state) {
    const Gpu *x = state;
    bool host = x->small.issued > x->small.kernels;
    truth_one(out, FROM_THEORY, host ? CHANGE_GRAPH : CHANGE_FASTER_GPU);
    answer_one(&out->from[FROM_SIMULATION], gpu_best_change(x));
    out->known[FROM_SIMULATION] = x->ran;
}

static void hint_change_3(Page *p, const void *state) {
    const Gpu *x = state;
    page_line(p, "  %d * %s = %s", x->small.operations,
              page_quantity(p, UNIT_SECONDS, x->small.issue),
              page_quantity(p, UNIT_SECONDS, x->small.issued));
}

static void explain_change(Page *p, const void *state) {
    draw_changes(p, state);
    page_say(p,
             _("The step is bound by the host. A graph is recorded once and launched as a whole; "
               "then the kernels follow each other as fast as the GPU goes. Larger batches and "
               "fused kernels help as well: more work for each launch."));
}

static const Question CHANGE = {
    .id = "idle_gpu",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, CHANGE_COUNT},
    .ask = ask_change,
    .options = change_options,
    .truth = truth_change,
    .wrong = {{"idle_gpu_is_a_slow_gpu", .option = CHANGE_FASTER_GPU,
               .reply = {.text = N_("An idle GPU is waiting, not slow: it would wait longer if it "
                                    "were faster, for launches come no sooner.")}},
              {"less_work_is_faster", .option = CHANGE_HALF_BATCH,
               .reply = {.text =
                             N_("Kernels get shorter, but there are just as many, and launching "
                                "them takes as long: half the work in the same time.")}}},
    .hint = {{.text = N_("Which takes longer, launching or computing?")},
             {.text = N_("  step = max(launches * time of a launch, kernels)")},
             {hint_change_3}},
    .explain = {explain_change},
};

// --- bus bandwidth

static void ask_bus(Page *p, const void *state) {
    const Gpu *x = state;
    page_say(p,
             _("An all-reduce of %s on %d H100 of a node takes %s around a ring (simulated, by "
               "NCCL's own model). What bus bandwidth does nccl-tests print?"),
             page_quantity(p, UNIT_BYTES, x->bytes), x->ranks,
             page_digits(p, UNIT_SECONDS, 4, x->seconds));
}

static double algbw(const Gpu *x) { return x->bytes / x->seconds; }

static void truth_bus(Truth *out, const void *state) {
    const Gpu *x = state;
    truth_one(out, FROM_THEORY, algbw(x) * 2 * (x->ranks - 1) / x->ranks);
    truth_one(out, FROM_SIMULATION, algbw(x) * x->bus_factor);
    out->relative = 0.02;
}

static void just_algbw(Answer *out, const void *state) { answer_one(out, algbw(state)); }
static void one_trip(Answer *out, const void *state) {
    const Gpu *x = state;
    answer_one(out, algbw(x) * (x->ranks - 1) / x->ranks);
}
static void twice(Answer *out, const void *state) { answer_one(out, 2 * algbw(state)); }

static void hint_bus_3(Page *p, const void *state) {
    const Gpu *x = state;
    page_line(p, "  %s / %s * 2 * %d/%d", page_quantity(p, UNIT_BYTES, x->bytes),
              page_digits(p, UNIT_SECONDS, 4, x->seconds), x->ranks - 1, x->ranks);
}

static void explain_bus(Page *p, const void *state) {
    const Gpu *x = state;
    page_say(
        p,
        _("algbw is %s: the buffer over the time. Each device sends 2(N-1)/N of the buffer, so "
          "its link has carried %s, of the %s that NVLink has in one direction. busbw depends "
          "little on the number of devices; algbw falls with it although links are as busy."),
        page_quantity(p, UNIT_RATE, algbw(x)),
        page_quantity(p, UNIT_RATE, algbw(x) * x->bus_factor),
        page_quantity(p, UNIT_RATE, x->link_rate));
}

static const Question BUS = {
    .id = "bus_bandwidth",
    .shape = {ANSWER_VALUE, UNIT_RATE, 0},
    .ask = ask_bus,
    .truth = truth_bus,
    .wrong = {{"algbw_is_the_link_speed",
               just_algbw,
               {.text = N_("That is algbw, buffer over time. It is not what a link carries: a ring "
                           "sends almost twice the buffer.")}},
              {"one_trip",
               one_trip,
               {.text = N_("That is the factor of an all-gather or a reduce-scatter, one trip "
                           "around the ring. An all-reduce makes two.")}},
              {"twice",
               twice,
               {.text = N_("Almost: a chunk makes N-1 hops of each trip, not N.")}}},
    .hint = {{.text = N_("How many bytes did each link carry in that time?")},
             {.text = N_("  busbw = S / time * 2 (N-1)/N")},
             {hint_bus_3}},
    .explain = {explain_bus},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &ASYNC},
    {.kind = STEP_COMPARE, .question = &ASYNC},
    {.kind = STEP_PREDICT, .question = &EACH},
    {.kind = STEP_COMPARE, .question = &EACH},
    {.kind = STEP_PREDICT, .question = &CHANGE},
    {.kind = STEP_RUN, .before = {before_change}, .run = gpu_change},
    {.kind = STEP_COMPARE, .question = &CHANGE},
    {.kind = STEP_PREDICT, .question = &BUS},
    {.kind = STEP_COMPARE, .question = &BUS},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson gpu_lesson = {
    .number = 19,
    .name = "gpu",
    .title = N_("The same step on CUDA and NCCL"),
    .objective = N_("What a clock sees of work that is only launched, who waits for whom, and what "
                    "bandwidths of collectives mean."),
    .minutes = 12,
    .state_size = sizeof(Gpu),
    .draw = gpu_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
