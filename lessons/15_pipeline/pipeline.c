// SPDX-License-Identifier: MIT
// Lesson 15: pipelines and bubbles (GPipe, Huang et al., 2019; 1F1B, Narayanan et al., 2021). The
// bubble of P stages and M micro-batches, what 1F1B changes and what not, how deep is too deep, and
// that the gradient stays the same. Numbers are in pipeline_runs.c.
#include "lessons/15_pipeline/pipeline_runs.h"
#include "lessons/lessons.h"

#include "lessons/engine/translate.h"
#include "viz/scene/scene.h"

#include <math.h>

// --- drawings

// A schedule cell by cell: forward 1 wide, backward 2; what is empty is the bubble.
static void draw_grid(Page *p, const Pipeline *x, ScheduleKind kind) {
    PipelineSchedule s;
    const PipelineShape shape = {kind, x->ranks, 1, x->micro_batches};
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d || pipeline_schedule_create(&s, p->arena, &shape) != OK) return;
    int count = x->ranks * s.count;
    int64_t *ends = ARENA_NEW(p->arena, int64_t, count);
    SceneSpan *spans = ARENA_NEW(p->arena, SceneSpan, count + x->ranks);
    const char **rows = ARENA_NEW(p->arena, const char *, x->ranks);
    if (!ends || !spans || !rows) return;
    if (pipeline_schedule_ends(ends, &s, &(PipelineCosts){1, 1, 1, 0}) != OK) return;
    for (int r = 0; r < x->ranks; r++) {
        rows[r] = page_text(p, _("rank %d"), r);
        spans[r] = (SceneSpan){r, 0, (double)x->times[0].step, TONE_BUBBLE, NULL};
    }
    for (int i = 0; i < count; i++) {
        const PipelineTask *t = &s.tasks[i];
        bool forward = t->pass == PASS_FORWARD;
        spans[x->ranks + i] =
            (SceneSpan){i / s.count, (double)ends[i] - (forward ? 1 : 2), (double)ends[i],
                        forward ? TONE_COMPUTE : TONE_COMM, page_text(p, "%d", t->micro_batch)};
    }
    scene_timeline(d, p->arena, PAGE_COLUMNS,
                   &(SceneTimeline){rows, x->ranks, spans, count + x->ranks, "", true});
    page_draw(p, d);
}

static void draw_depths(Page *p, const Pipeline *x) {
    SceneBar bars[PIPELINE_DEPTHS];
    for (int i = 0; i < PIPELINE_DEPTHS; i++)
        bars[i] = (SceneBar){page_text(p, _("%d stages"), pipeline_depths[i]),
                             (double)x->depth_us[i] / 1e3, 0, false, TONE_COMPUTE};
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, PIPELINE_DEPTHS, "%.2f ms", 0});
    page_draw(p, d);
}

// --- texts

static void hook(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p,
             _("A model is too large for one device. Cut it into %d stages of some layers each, "
               "one a rank; only activations between two stages are sent."),
             x->ranks);
    page_say(p, _("But stage 2 cannot begin before stage 1 has something to give. With the whole "
                  "batch at once, one rank works and the others wait."));
}

static void idea(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p,
             _("So the batch is cut into M = %d micro-batches that follow each other. A backward "
               "takes twice a forward. GPipe: first all forwards, then all backwards; dotted: "
               "nothing to do, the bubble."),
             x->micro_batches);
    draw_grid(p, x, SCHEDULE_GPIPE);
    page_say(p, _("1F1B: after a few forwards, one forward and one backward in turn:"));
    draw_grid(p, x, SCHEDULE_1F1B);
}

static void before_runs(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p,
             _("Now the trainer does a step of an MLP with %d micro-batches: on one rank that adds "
               "up their gradients, and as a pipeline of %d, with GPipe and with 1F1B. Beside it "
               "the simulator does a GPT on as many H100."),
             x->run_micro_batches, x->run_ranks);
}

static void show_runs(Page *p, const void *state) {
    const Pipeline *x = state;
    page_line(p, _("  activations on rank 0   GPipe %s   1F1B %s  (theory: the plan)"),
              page_quantity(p, UNIT_BYTES, x->run[0].activation_bytes),
              page_quantity(p, UNIT_BYTES, x->run[1].activation_bytes));
    page_line(p, _("  step of the GPT         GPipe %.2f ms   1F1B %.2f ms  (simulated)"),
              x->gpt_step_ms[0], x->gpt_step_ms[1]);
    page_line(p, _("  its ranks wait          %.1f %%  (simulated)"), 100 * x->gpt_bubble);
    page_line(p, _("  by P and M alone        %.1f %%  (theory)"), 100 * x->gpt_formula);
    page_say(p, _("The GPT's stages are not alike: the first has the embedding, the last the head "
                  "and the loss; the slowest sets the pace. Messages and updates take time, too."));
}

static void box(Page *p, const void *state) {
    const Pipeline *x = state;
    page_box(p,
             _("The bubble is (P-1)/(M+P-1) of a step, with GPipe and with 1F1B; what 1F1B saves "
               "is memory: P-s micro-batches at stage s instead of M. Here P = %d, M = %d: %.1f "
               "%% and %d instead of %d on rank %d."),
             x->ranks, x->micro_batches, 100 * pipeline_bubble(&x->times[0]),
             x->times[1].peak[x->rank], x->times[0].peak[x->rank], x->rank);
}

// --- the bubble

static void ask_bubble(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p,
             _("%d equal stages, %d rows in %d micro-batches, GPipe, messages that take no time. "
               "During what share of a step does a rank do nothing?"),
             x->ranks, x->rows, x->micro_batches);
}

static void truth_bubble(Truth *out, const void *state) {
    const Pipeline *x = state;
    truth_one(out, FROM_THEORY, (x->ranks - 1.0) / (x->micro_batches + x->ranks - 1.0));
    truth_one(out, FROM_SIMULATION, pipeline_bubble(&x->times[0]));
    out->absolute = 0.005;
}

static void of_the_work(Answer *out, const void *state) {
    const Pipeline *x = state;
    answer_one(out, (x->ranks - 1.0) / x->micro_batches);
}
static void by_rows(Answer *out, const void *state) {
    const Pipeline *x = state;
    double rows = (double)x->rows / x->micro_batches;
    answer_one(out, (x->ranks - 1.0) / (rows + x->ranks - 1.0));
}
static void all_ranks_once(Answer *out, const void *state) {
    const Pipeline *x = state;
    answer_one(out, (double)x->ranks / (x->micro_batches + x->ranks));
}

static void reply_by_rows(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p,
             _("That takes the %d rows of a micro-batch. Larger ones make all cells wider, those "
               "of the bubble, too: the share depends on how many there are, not on their size."),
             x->rows / x->micro_batches);
}

static void hint_bubble_3(Page *p, const void *state) {
    const Pipeline *x = state;
    page_line(p, "  %d / (%d + %d)", x->ranks - 1, x->micro_batches, x->ranks - 1);
}

static void explain_bubble(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p,
             _("The last stage begins after %d forwards and the first ends %d backwards after the "
               "last: %d cells of either kind are empty on each rank, %d are full."),
             x->ranks - 1, x->ranks - 1, x->ranks - 1, x->micro_batches);
}

static const Question BUBBLE = {
    .id = "bubble",
    .shape = {ANSWER_VALUE, UNIT_SHARE, 0},
    .ask = ask_bubble,
    .truth = truth_bubble,
    .wrong = {{"of_the_work_alone",
               of_the_work,
               {.text = N_("That is the bubble over the work, as some papers write it. Of the "
                           "whole step, work and bubble together, it is less.")}},
              {"rows_decide", by_rows, {reply_by_rows}},
              {"every_rank_waits_for_all",
               all_ranks_once,
               {.text = N_("That has one cell too many: the first stage waits for nobody, so there "
                           "is one delay less than there are stages.")}}},
    .hint = {{.text = N_("In units of a cell: how long does a rank work, and how long is a step?")},
             {.text = "  (P-1) / (M + P-1)"},
             {hint_bubble_3}},
    .explain = {explain_bubble},
};

// --- 1F1B

enum { LESS_BUBBLE, SAME_BUBBLE, MORE_BUBBLE, BUBBLE_OPTIONS };

static const char *const bubble_options[] = {
    N_("smaller: backwards begin earlier"),
    N_("the same"),
    N_("larger: forwards are delayed by backwards"),
};

static void ask_1f1b(Page *p, const void *state) {
    page_say(p, _("The same with 1F1B. Compared with GPipe, its bubble is"));
}

static void truth_1f1b(Truth *out, const void *state) {
    const Pipeline *x = state;
    int64_t gpipe = x->times[0].bubble[0], other = x->times[1].bubble[0];
    truth_one(out, FROM_SIMULATION,
              other < gpipe   ? LESS_BUBBLE
              : other > gpipe ? MORE_BUBBLE
                              : SAME_BUBBLE);
}

static void explain_1f1b(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p,
             _("Both steps have %lld units, of which rank 0 works %lld (simulated). 1F1B moves "
               "passes to other times; it does not fill the first wait nor the last. Interleaved "
               "stages and zero-bubble schedules do shrink it (train --schedule)."),
             (long long)x->times[1].step, (long long)(x->times[1].step - x->times[1].bubble[0]));
}

static const Question ONE_F_ONE_B = {
    .id = "one_f_one_b",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, BUBBLE_OPTIONS},
    .ask = ask_1f1b,
    .options = bubble_options,
    .truth = truth_1f1b,
    .wrong = {{"one_f_one_b_is_faster", .option = LESS_BUBBLE,
               .reply = {.text = N_("It is often said, and wrong. The first backward of the last "
                                    "stage begins earlier, but the first stage still waits for "
                                    "the last micro-batch to come back.")}},
              {"forwards_are_late", .option = MORE_BUBBLE,
               .reply = {.text = N_("A forward that a backward delays is not needed before: the "
                                    "next stage is busy with a backward then, too.")}}},
    .hint = {{.text = N_("Compare the two grids: where do they end, and how many cells are full?")},
             {.text = N_("  bubble = step - M * (forward + backward)")},
             {.text = N_("Count the cells of the last row before its first and after its last.")}},
    .explain = {explain_1f1b},
};

// --- memory

static void ask_peak(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p,
             _("A forward's activations stay until its backward. Of how many micro-batches does "
               "rank %d (they count from 0) hold activations at most: with GPipe, with 1F1B? Two "
               "numbers; P = %d, M = %d."),
             x->rank, x->ranks, x->micro_batches);
}

static void two(Answer *out, double gpipe, double one_f_one_b) {
    *out = (Answer){{gpipe, one_f_one_b}, 2};
}

static void truth_peak(Truth *out, const void *state) {
    const Pipeline *x = state;
    two(&out->from[FROM_THEORY], x->micro_batches, fmin(x->micro_batches, x->ranks - x->rank));
    two(&out->from[FROM_SIMULATION], x->times[0].peak[x->rank], x->times[1].peak[x->rank]);
    out->known[FROM_THEORY] = out->known[FROM_SIMULATION] = true;
}

static void no_difference(Answer *out, const void *state) {
    const Pipeline *x = state;
    two(out, x->micro_batches, x->micro_batches);
}
static void all_stages(Answer *out, const void *state) {
    const Pipeline *x = state;
    two(out, x->micro_batches, x->ranks);
}
static void just_one(Answer *out, const void *state) {
    const Pipeline *x = state;
    two(out, x->micro_batches, 1);
}

static void hint_peak_3(Page *p, const void *state) {
    const Pipeline *x = state;
    page_line(p, "  %d,  %d - %d", x->micro_batches, x->ranks, x->rank);
}

static void explain_peak(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p,
             _("GPipe has all %d forwards done before the first backward. With 1F1B rank %d runs "
               "ahead of the last stage by %d; from then on each backward frees what the next "
               "forward takes. More micro-batches cost 1F1B no memory: so its bubble can be made "
               "small."),
             x->micro_batches, x->rank, x->ranks - 1 - x->rank);
}

static const Question PEAK = {
    .id = "activations",
    .shape = {ANSWER_CURVE, UNIT_COUNT, 2},
    .ask = ask_peak,
    .truth = truth_peak,
    .wrong = {{"no_difference",
               no_difference,
               {.text = N_("With 1F1B backwards begin long before the last forward, and each "
                           "backward frees its activations.")}},
              {"all_stages_alike",
               all_stages,
               {.text = N_("Only the first stage holds P. A later one begins later, and its first "
                           "backward comes sooner.")}},
              {"one_at_a_time",
               just_one,
               {.text = N_("One is held by the last stage only, where a backward follows its "
                           "forward at once. Before it, micro-batches are on their way there and "
                           "back.")}}},
    .hint = {{.text =
                  N_("Go along the rank's row: a forward adds one, a backward takes one away.")},
             {.text = "  M,  P - s"},
             {hint_peak_3}},
    .explain = {explain_peak},
};

// --- depth

static const char *option_depth(Page *p, const void *state, int which) {
    return page_text(p, _("%d stages"), pipeline_depths[which]);
}

static void ask_depth(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p,
             _("%d layers, each %lld us forward and twice that backward; M = %d micro-batches, and "
               "a message takes %lld us. With how many stages, each on a rank of its own, is a "
               "step shortest?"),
             x->layers, (long long)x->layer_us, x->few, (long long)x->message_us);
}

static void truth_depth(Truth *out, const void *state) {
    truth_one(out, FROM_SIMULATION, pipeline_best_depth(state));
}

static void hint_depth_3(Page *p, const void *state) {
    const Pipeline *x = state;
    for (int i = 0; i < PIPELINE_DEPTHS; i += 2) {
        int depth = pipeline_depths[i];
        page_line(p, "  P = %2d:  (%d + %d) * 3 * %lld / %d + %d * %lld us", depth, x->few,
                  depth - 1, (long long)(x->layers * x->layer_us), depth, 2 * (depth - 1),
                  (long long)x->message_us);
    }
}

static void explain_depth(Page *p, const void *state) {
    draw_depths(p, state);
    page_say(p, _("With P stages a micro-batch's work on a rank shrinks as 1/P, but P-1 of these "
                  "and 2(P-1) messages stand before and after (simulated, 1F1B). And the last "
                  "doubling uses twice the ranks for little or nothing."));
}

static const Question DEPTH = {
    .id = "depth",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, PIPELINE_DEPTHS},
    .ask = ask_depth,
    .option = option_depth,
    .truth = truth_depth,
    .wrong = {{"more_is_faster", .option = PIPELINE_DEPTHS - 1,
               .reply = {.text = N_("Each stage has less to do then, but a micro-batch passes more "
                                    "of them, with a message at each border; and the bubble grows "
                                    "with them.")}},
              {"fewest_bubbles", .option = 0,
               .reply = {.text = N_("That has the smallest bubble, but the longest work: a rank "
                                    "has half of all layers.")}}},
    .hint = {{.text = N_("What shrinks with the number of stages, and what grows with it?")},
             {.text = N_("  step = (M + P-1) * 3 * all layers / P + 2 (P-1) * message, or more")},
             {hint_depth_3}},
    .explain = {explain_depth},
};

// --- the gradient

enum { SAME_BITS, OTHER_ROUNDING, STALE_WEIGHTS, GRADIENT_OPTIONS };

static const char *const gradient_options[] = {
    N_("the same to the last bit"),
    N_("the same but for rounding"),
    N_("others: later stages compute with older weights"),
};

static void ask_gradient(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p,
             _("After a step of the pipeline of %d ranks, compared with one rank that goes through "
               "the same %d micro-batches and adds up their gradients, the weights are"),
             x->run_ranks, x->run_micro_batches);
}

static void truth_gradient(Truth *out, const void *state) {
    const Pipeline *x = state;
    double apart = fmax(fabs(x->run[0].loss - x->alone.loss), fabs(x->run[1].loss - x->alone.loss));
    bool same = x->run[0].hash == x->alone.hash && x->run[1].hash == x->alone.hash;
    truth_one(out, FROM_THEORY, x->in_order ? SAME_BITS : OTHER_ROUNDING);
    answer_one(&out->from[FROM_MEASUREMENT], same           ? SAME_BITS
                                             : apart < 1e-4 ? OTHER_ROUNDING
                                                            : STALE_WEIGHTS);
    out->known[FROM_MEASUREMENT] = x->ran;
}

static void explain_gradient(Page *p, const void *state) {
    const Pipeline *x = state;
    page_say(p, _("Hashes of all weights after the step, measured:"));
    page_line(p, _("  one rank   %016llx"), (unsigned long long)x->alone.hash);
    page_line(p, "  GPipe      %016llx", (unsigned long long)x->run[0].hash);
    page_line(p, "  1F1B       %016llx", (unsigned long long)x->run[1].hash);
    page_say(p, _("All micro-batches of a step use the same weights, each stage adds their "
                  "gradients in order, and the update comes after the last."));
}

static const Question GRADIENT = {
    .id = "gradient",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, GRADIENT_OPTIONS},
    .ask = ask_gradient,
    .options = gradient_options,
    .truth = truth_gradient,
    .wrong = {{"other_rounding", .option = OTHER_ROUNDING,
               .reply = {.text = N_("It would be so if gradients were added in another order. Each "
                                    "weight is on one stage, which does its backwards in the order "
                                    "of the micro-batches.")}},
              {"older_weights", .option = STALE_WEIGHTS,
               .reply = {.text =
                             N_("Pipelines that never stop do that (PipeDream). Here every step "
                                "ends with all micro-batches through: that is what the bubble "
                                "is paid for.")}}},
    .hint = {{.text = N_("When are weights updated, and in which order are gradients added?")},
             {.text = "  g = ((g_0 + g_1) + g_2) + ..."},
             {.text = N_("Look at a row of the grids: in which order do its backwards come?")}},
    .explain = {explain_gradient},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &BUBBLE},
    {.kind = STEP_COMPARE, .question = &BUBBLE},
    {.kind = STEP_PREDICT, .question = &ONE_F_ONE_B},
    {.kind = STEP_PREDICT, .question = &PEAK},
    {.kind = STEP_COMPARE, .question = &ONE_F_ONE_B},
    {.kind = STEP_COMPARE, .question = &PEAK},
    {.kind = STEP_PREDICT, .question = &GRADIENT},
    {.kind = STEP_RUN, .before = {before_runs}, .run = pipeline_train, .write = {show_runs}},
    {.kind = STEP_COMPARE, .question = &GRADIENT},
    {.kind = STEP_PREDICT, .question = &DEPTH},
    {.kind = STEP_COMPARE, .question = &DEPTH},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson pipeline_lesson = {
    .number = 15,
    .name = "pipeline",
    .title = N_("Pipelines and bubbles"),
    .objective = N_("How long ranks of a pipeline do nothing, what 1F1B saves, and how many stages "
                    "are too many."),
    .minutes = 15,
    .state_size = sizeof(Pipeline),
    .draw = pipeline_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
