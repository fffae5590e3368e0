// SPDX-License-Identifier: MIT
// Lesson 23: gradient accumulation and no_sync. The same gradient with less memory and fewer bytes,
// if sums are divided once; and why SyncBatchNorm is something else.
#include "lessons/lessons.h"

#include "lessons/23_accumulation/accumulation_runs.h"
#include "lessons/engine/translate.h"
#include "viz/scene/scene.h"

#include <stdbool.h>

static double all_reduce_bytes(const Accumulation *x) {
    return 2 * x->weight_bytes * (x->ranks - 1) / x->ranks;
}

// --- texts

static void hook(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(p,
             _("A batch of %d rows a rank does not fit, or its gradients take too long to send. "
               "Take %d micro-batches of %d instead, add their gradients up, and update once. What "
               "does that save, and is it the same step?"),
             x->rows * x->micro_batches, x->micro_batches, x->rows);
}

static void draw_plan(Page *p, const Accumulation *x) {
    enum { MOST = 6, SPANS = 2 * (2 * MOST + 1) };
    const char *rows[] = {_("every"), _("last")};
    SceneSpan spans[SPANS];
    int count = 0;
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    double at[2] = {0, 0};
    for (int how = 0; how < 2; how++)
        for (int m = 0; m < x->micro_batches; m++) {
            spans[count++] = (SceneSpan){how, at[how], at[how] + 3, TONE_COMPUTE, NULL};
            at[how] += 3;
            if (how == 1 && m + 1 < x->micro_batches) continue;
            spans[count++] = (SceneSpan){how, at[how], at[how] + 2, TONE_EXPOSED, NULL};
            at[how] += 2;
        }
    if (!d) return;
    scene_timeline(d, p->arena, PAGE_COLUMNS - 8,
                   &(SceneTimeline){rows, 2, spans, count, "", true});
    page_draw(p, d);
    page_say(p, _("Drawn, not to scale: micro-batches and all-reduces, of every one or after the "
                  "last. (DDP hides part of an all-reduce behind the backward.)"));
}

static void idea(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(p, _("backward() adds to .grad. So the gradients of several micro-batches add up by "
                  "themselves, and the update comes after the last:"));
    page_line(p, "  for m in 1..M-1:  with no_sync():  (loss(m) / M).backward()");
    page_line(p, "                    (loss(M) / M).backward();  step();  zero_grad()");
    page_say(p, _("no_sync has to hold the forward, too: that is where DDP looks. Without it every "
                  "backward all-reduces: as right, but M times the traffic. In train: "
                  "--accumulate M."));
    draw_plan(p, x);
}

static void before_ranks(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(p,
             _("%d ranks, %s, %d updates: once with a synchronisation for each micro-batch, once "
               "after the last of %d, once on one rank, once all rows at once."),
             x->ranks, x->model, UPDATES, x->micro_batches);
}

static void show_ranks(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(p,
             _("Weights of %d ranks and of one with as many shards, hash of all bits: %016llx and "
               "%016llx. One pass over all rows differs by %.1g, from the order of additions "
               "(measured)."),
             x->ranks, (unsigned long long)x->hash_ranks, (unsigned long long)x->hash_one,
             x->apart);
}

static void box(Page *p, const void *state) {
    const Accumulation *x = state;
    page_box(p,
             _("M micro-batches: the same gradient, 1/M of the activations, 1/M of the bytes a "
               "sample, if sums are divided once by all rows. Here, M = %d: %s instead of %s an "
               "update."),
             x->micro_batches, page_quantity(p, UNIT_BYTES, x->bytes_last),
             page_quantity(p, UNIT_BYTES, x->bytes_each));
}

// --- bytes

static void ask_bytes(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(
        p,
        _("%d ranks, gradients of %s, %d micro-batches with no_sync but for the last. How many "
          "bytes does a rank take from others for one update?"),
        x->ranks, page_digits(p, UNIT_BYTES, 4, x->weight_bytes), x->micro_batches);
}

static void truth_bytes(Truth *out, const void *state) {
    const Accumulation *x = state;
    truth_one(out, FROM_THEORY, all_reduce_bytes(x));
    answer_one(&out->from[FROM_MEASUREMENT], x->bytes_last);
    out->known[FROM_MEASUREMENT] = x->ran;
    out->relative = 0.03;
}

static void sent_each_time(Answer *out, const void *state) {
    const Accumulation *x = state;
    answer_one(out, x->micro_batches * all_reduce_bytes(x));
}
static void smaller_gradient(Answer *out, const void *state) {
    const Accumulation *x = state;
    answer_one(out, all_reduce_bytes(x) / x->micro_batches);
}
static void nothing_sent(Answer *out, const void *state) { answer_one(out, 0); }

static void hint_bytes_3(Page *p, const void *state) {
    const Accumulation *x = state;
    page_line(p, "  2 * %d/%d * %s", x->ranks - 1, x->ranks,
              page_digits(p, UNIT_BYTES, 4, x->weight_bytes));
}
static void explain_bytes(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(p,
             _("One all-reduce, whatever M is. Synchronising each micro-batch took %s (measured): "
               "%.2f times as much for as many rows."),
             page_quantity(p, UNIT_BYTES, x->bytes_each), x->bytes_each / x->bytes_last);
}

static const Question BYTES = {
    .id = "bytes_of_an_update",
    .shape = {ANSWER_VALUE, UNIT_BYTES, 0},
    .ask = ask_bytes,
    .truth = truth_bytes,
    .wrong = {{"every_backward_synchronises",
               sent_each_time,
               {.text = N_("So it is without no_sync, or with no_sync around the backward alone: "
                           "every backward all-reduces.")}},
              {"gradients_become_smaller",
               smaller_gradient,
               {.text = N_("A gradient has one number for each weight, however few rows it comes "
                           "from. What is divided by M is the bytes a sample.")}},
              {"no_sync_sends_nothing",
               nothing_sent,
               {.text = N_("The last micro-batch is outside of no_sync. Without it ranks would "
                           "update by gradients of their own and drift apart.")}}},
    .hint = {{.text = N_("How many all-reduces are there, and how large is one?")},
             {.text = N_("  one all-reduce:  2 (N-1)/N * gradient")},
             {hint_bytes_3}},
    .explain = {explain_bytes},
};

// --- memory

static void ask_memory(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(p,
             _("%d rows in one pass, or in %d micro-batches. How many times as much memory do "
               "activations take in one pass?"),
             x->rows * x->micro_batches, x->micro_batches);
}

static void truth_memory(Truth *out, const void *state) {
    const Accumulation *x = state;
    truth_one(out, FROM_THEORY, x->micro_batches);
    truth_one(out, FROM_SIMULATION, x->activations[0] / x->activations[1]);
    out->relative = 0.12;
}

static void no_difference(Answer *out, const void *state) { answer_one(out, 1); }
static void the_other_way(Answer *out, const void *state) {
    const Accumulation *x = state;
    answer_one(out, 1.0 / x->micro_batches);
}

static void hint_memory_3(Page *p, const void *state) {
    const Accumulation *x = state;
    page_line(p, "  %d / %d", x->rows * x->micro_batches, x->rows);
}
static void explain_memory(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(p,
             _("Planned: %s in one pass, %s with micro-batches, whose activations take the same "
               "place one after the other. Gradients stay as large as they were, so only the part "
               "that grows with rows is saved."),
             page_quantity(p, UNIT_BYTES, x->activations[0]),
             page_quantity(p, UNIT_BYTES, x->activations[1]));
}

static const Question MEMORY = {
    .id = "memory_of_activations",
    .shape = {ANSWER_VALUE, UNIT_TIMES, 0},
    .ask = ask_memory,
    .truth = truth_memory,
    .wrong =
        {{"all_are_kept_anyway",
          no_difference,
          {.text = N_("Activations are needed until their own backward is done, and that comes "
                      "before the next micro-batch.")}},
         {"gradients_are_kept_for_each",
          the_other_way,
          {.text = N_("Micro-batches do not keep a gradient each: they add to the same one.")}}},
    .hint = {{.text = N_("Of how many rows are activations alive at the same time?")},
             {.text = N_("  activations ~ rows of one pass")},
             {hint_memory_3}},
    .explain = {explain_memory},
};

// --- the mean of means

static void ask_mean(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(p,
             _("Three micro-batches, of which the last is what was left of the epoch. Their mean "
               "losses (measured):"));
    for (int k = 0; k < PARTS; k++)
        page_line(p, _("  %3d rows   %.4f"), x->part_rows[k], x->part_loss[k]);
    page_say(p, _("What is the mean loss of all these rows, to three decimal places?"));
}

static double sum_of_losses(const Accumulation *x) {
    double sum = 0;
    for (int k = 0; k < PARTS; k++) sum += x->part_rows[k] * x->part_loss[k];
    return sum;
}
static int all_rows(const Accumulation *x) {
    return x->part_rows[0] + x->part_rows[1] + x->part_rows[2];
}
static double sum_of_means(const Accumulation *x) {
    return x->part_loss[0] + x->part_loss[1] + x->part_loss[2];
}

static void truth_mean(Truth *out, const void *state) {
    const Accumulation *x = state;
    truth_one(out, FROM_THEORY, sum_of_losses(x) / all_rows(x));
    answer_one(&out->from[FROM_MEASUREMENT], x->whole_loss);
    out->known[FROM_MEASUREMENT] = x->whole_loss != 0;
    out->absolute = 1e-3;
}

static void mean_of_means(Answer *out, const void *state) {
    answer_one(out, sum_of_means(state) / PARTS);
}
static void sum_without_mean(Answer *out, const void *state) {
    answer_one(out, sum_of_means(state));
}

static void reply_mean_of_means(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(
        p,
        _("That is the mean of the means: a row of the last micro-batch then counts %.1f times "
          "as much as one of the first."),
        (double)x->part_rows[0] / x->part_rows[2]);
}
static void hint_mean_3(Page *p, const void *state) {
    const Accumulation *x = state;
    page_line(p, "  (%d * %.4f + %d * %.4f + %d * %.4f) / %d", x->part_rows[0], x->part_loss[0],
              x->part_rows[1], x->part_loss[1], x->part_rows[2], x->part_loss[2], all_rows(x));
}
static void explain_mean(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(p,
             _("Losses are summed, rows are counted, and it is divided once. With loss/M instead, "
               "the gradient of these three is off by %.1f %% of its length (measured). The same "
               "happens to ranks with unequal rows, and to texts with unequal numbers of tokens."),
             100 * x->gradient_error);
}

static const Question MEAN = {
    .id = "mean_of_means",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_mean,
    .truth = truth_mean,
    .wrong = {{"mean_of_the_means", mean_of_means, {reply_mean_of_means}},
              {"losses_are_just_added",
               sum_without_mean,
               {.text =
                    N_("That is their sum: as if the step had a loss, and gradients, M times as "
                       "large.")}}},
    .hint = {{.text = N_("Which rows does each mean stand for?")},
             {.text = N_("  sum of (rows * mean) / all rows")},
             {hint_mean_3}},
    .explain = {explain_mean},
};

// --- SyncBatchNorm

static void ask_sync(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(p,
             _("A residual network with batch normalisation, 2 ranks, %d micro-batches an update. "
               "The article offers SyncBatchNorm for accumulating gradients. What does it change?"),
             x->micro_batches);
}

enum { SYNC_MORE, SYNC_LESS, SYNC_NOTHING, SYNC_OPTIONS };
static const char *const SYNC_NAMES[SYNC_OPTIONS] = {
    [SYNC_MORE] = N_("more is sent, in every micro-batch: means and variances"),
    [SYNC_LESS] = N_("less is sent: gradients are kept and sent once"),
    [SYNC_NOTHING] = N_("as much is sent; gradients add up across ranks"),
};

static void truth_sync(Truth *out, const void *state) {
    const Accumulation *x = state;
    truth_one(out, FROM_SIMULATION,
              x->payload[1] > x->payload[0]
                  ? SYNC_MORE
                  : (x->payload[1] < x->payload[0] ? SYNC_LESS : SYNC_NOTHING));
}

static void explain_sync(Page *p, const void *state) {
    const Accumulation *x = state;
    page_say(p,
             _("Planned, a step of one rank: %s without it, %s with it, while gradients are sent "
               "once in both. It makes each micro-batch normalise by the rows of all ranks. What "
               "accumulates is no_sync, or --accumulate."),
             page_digits(p, UNIT_BYTES, 4, x->payload[0]),
             page_digits(p, UNIT_BYTES, 4, x->payload[1]));
}

static const Question SYNC = {
    .id = "sync_batch_norm",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, SYNC_OPTIONS},
    .ask = ask_sync,
    .options = SYNC_NAMES,
    .truth = truth_sync,
    .wrong = {{"sync_batch_norm_accumulates", .option = SYNC_LESS,
               .reply = {.text = N_("That is no_sync. The Sync in SyncBatchNorm is of statistics: "
                                    "it communicates in every forward and every backward.")}},
              {"sync_is_of_gradients", .option = SYNC_NOTHING,
               .reply = {.text = N_("Gradients across ranks are added by DDP's all-reduce, with or "
                                    "without it.")}}},
    .hint = {{.text = N_("What has to be known of all ranks' rows to normalise a channel?")},
             {.text = N_("  mean, variance, count of each channel; backward: two sums each")},
             {.text = N_("  in every micro-batch, not once an update")}},
    .explain = {explain_sync},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &BYTES},
    {.kind = STEP_PREDICT, .question = &MEMORY},
    {.kind = STEP_RUN,
     .before = {before_ranks},
     .run = accumulation_run_ranks,
     .write = {show_ranks}},
    {.kind = STEP_COMPARE, .question = &BYTES},
    {.kind = STEP_COMPARE, .question = &MEMORY},
    {.kind = STEP_PREDICT, .question = &MEAN},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now all rows at once, and the gradients of both ways:")},
     .run = accumulation_run_parts},
    {.kind = STEP_COMPARE, .question = &MEAN},
    {.kind = STEP_PREDICT, .question = &SYNC},
    {.kind = STEP_COMPARE, .question = &SYNC},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson accumulation_lesson = {
    .number = 23,
    .name = "accumulation",
    .title = N_("Accumulation and no_sync"),
    .objective = N_("What micro-batches save, when they are the same step, and what SyncBatchNorm "
                    "has to do with it: nothing."),
    .minutes = 12,
    .state_size = sizeof(Accumulation),
    .draw = accumulation_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
