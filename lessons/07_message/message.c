// SPDX-License-Identifier: MIT
// Lesson 7: a message of n bytes takes alpha + beta n (Hockney, Parallel Computing 20, 1994).
// Fitted to messages between two ranks of the trainer, and tried on a size that was not.
#include "lessons/07_message/message.h"

#include "core/base/statistics.h"
#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "viz/scene/scene.h"

#include <math.h>
#include <string.h>

// --- numbers

static Status draw(const LessonRun *run, void *state) {
    Message *x = state;
    Rng r = lesson_rng(run, 0);
    x->held_factor = 0.7 + 0.7 * (double)rng_float(&r);
    x->sent = 1000 + rng_below(&r, 9000);
    x->overwritten = 100 + floor(0.6 * x->sent * (double)rng_float(&r));
    return message_describe(run, x);
}

double message_half_bytes(const Message *x) { return x->alpha_s * x->bytes_per_s; }

static double line_s(const Message *x, double bytes) { return x->alpha_s + bytes / x->bytes_per_s; }

static const char *how(const Message *x) { return x->simulated ? _("simulated") : _("measured"); }

static AnswerSource source(const Message *x) {
    return x->simulated ? FROM_SIMULATION : FROM_MEASUREMENT;
}

// Of the repeats, sorted.
static Spread repeats(const Message *x) {
    double values[MESSAGE_REPEATS];
    memcpy(values, x->repeat_s, sizeof values);
    return statistics_spread(values, MESSAGE_REPEATS);
}

// --- texts

static void hook(Page *p, const void *state) {
    page_say(p,
             _("Ranks send each other gradients: some of a few bytes, some of many megabytes. How "
               "long is a message under way?"));
    page_say(p, _("Two numbers say it: a time that every message costs, however short, and a time "
                  "for each byte."));
    page_line(p, "  t(n) = alpha + beta n        alpha: s    beta: s/B    1/beta: B/s");
}

static void idea(Page *p, const void *state) {
    const Message *x = state;
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    const char *rows[4];
    SceneSpan spans[8];
    double half = message_half_bytes(x), us = 1e6 * x->alpha_s;
    for (int i = 0; i < 4; i++) {
        double share = i == 0 ? 0.1 : i;
        rows[i] = page_text(p, "n = %.1f n1/2", share);
        spans[2 * i] = (SceneSpan){i, 0, us, TONE_WAITING, "alpha"};
        spans[2 * i + 1] = (SceneSpan){i, us, us * (1 + share), TONE_COMM, "beta n"};
    }
    page_say(p,
             _("Where both parts take equally long, a message has n1/2 = alpha / beta bytes, and "
               "reaches half of the bandwidth. Shorter ones pay for latency, longer ones for "
               "bytes."));
    if (d) {
        scene_timeline(d, p->arena, PAGE_COLUMNS, &(SceneTimeline){rows, 4, spans, 8, "us", false});
        page_draw(p, d);
    }
    page_say(p, _("Drawn for the described host \"laptop\": n1/2 = %s."),
             page_quantity(p, UNIT_BYTES, half));
}

static void box(Page *p, const void *state) {
    const Message *x = state;
    page_box(
        p,
        _("t(n) = alpha + beta n. Here (%s): alpha = %s, 1/beta = %s, so below n1/2 = %s it is "
          "the number of messages that counts, above it the bytes."),
        how(x), page_quantity(p, UNIT_SECONDS, x->alpha_s),
        page_quantity(p, UNIT_RATE, x->bytes_per_s),
        page_quantity(p, UNIT_BYTES, message_half_bytes(x)));
}

// --- which number to report

static void before_repeats(Page *p, const void *state) {
    page_say(p,
             _("A message of 8 bytes goes from rank 0 to rank 1 and comes back, %d times, over "
               "the communicator that the trainer uses."),
             MESSAGE_REPEATS);
}

static void show_repeats(Page *p, const void *state) {
    const Message *x = state;
    page_line(p, _("  There and back, in us, one after the other (%s):"), how(x));
    for (int row = 0; row < MESSAGE_REPEATS; row += 6) {
        const char *line = "";
        for (int i = row; i < row + 6; i++)
            line = page_text(p, "%s%10.3f", line, 2e6 * x->repeat_s[i]);
        page_line(p, "%s", line);
    }
}

static void ask_reported(Page *p, const void *state) {
    show_repeats(p, state);
    page_say(p, _("From these numbers: how long does a message of 8 bytes take in one direction, "
                  "once messages flow?"));
}

static void truth_reported(Truth *out, const void *state) {
    const Message *x = state;
    truth_one(out, source(x), repeats(x).median);
    out->relative = 0.08;
}

static void first_counts(Answer *out, const void *state) {
    const Message *x = state;
    answer_one(out, x->repeat_s[0]);
}
static void mean_of_all(Answer *out, const void *state) { answer_one(out, repeats(state).mean); }
static void both_ways(Answer *out, const void *state) {
    answer_one(out, 2 * repeats(state).median);
}

static void hint_reported_3(Page *p, const void *state) {
    page_line(p, _("  median there and back: %s"),
              page_quantity(p, UNIT_SECONDS, 2 * repeats(state).median));
}
static void explain_reported(Page *p, const void *state) {
    const Message *x = state;
    Spread s = repeats(x);
    page_say(
        p,
        _("The median is %s, the mean %s, and the first alone %s: before it rank 1 was asleep "
          "and had to be woken. Hence warm up, repeat, and say the median with its spread; one "
          "run is not enough."),
        page_quantity(p, UNIT_SECONDS, s.median), page_quantity(p, UNIT_SECONDS, s.mean),
        page_quantity(p, UNIT_SECONDS, x->repeat_s[0]));
}

const Question message_reported = {
    .id = "which_time_to_report",
    .shape = {ANSWER_VALUE, UNIT_SECONDS, 0},
    .ask = ask_reported,
    .truth = truth_reported,
    .wrong = {{"first_measurement_counts",
               first_counts,
               {.text = N_("That is the first message. It paid for what happens once: waking the "
                           "other rank, filling caches. A warm-up is left out of measurements.")}},
              {"mean_of_everything",
               mean_of_all,
               {.text = N_("That is the mean, with the first message in it. One slow value moves a "
                           "mean as far as it likes; a median hardly.")}},
              {"there_and_back",
               both_ways,
               {.text = N_("That is there and back. One direction is half of it.")}}},
    .hint = {{.text = N_("Which of these values is an ordinary one, and how many messages are in "
                         "it?")},
             {.text = N_("  one direction = median of the round trips / 2")},
             {hint_reported_3}},
    .explain = {explain_reported},
};

// --- n1/2

static void show_sizes(Page *p, const void *state) {
    const Message *x = state;
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    double *us = ARENA_NEW(p->arena, double, 2 * MESSAGE_SIZES);
    if (!d || !us) return;
    for (int i = 0; i < MESSAGE_SIZES; i++) {
        us[i] = 1e6 * x->time_s[i];
        us[MESSAGE_SIZES + i] = 1e6 * line_s(x, x->bytes[i]);
    }
    const SceneSeries series[] = {
        {_("fitted line"), x->bytes, us + MESSAGE_SIZES, MESSAGE_SIZES, TONE_FAINT},
        {how(x), x->bytes, us, MESSAGE_SIZES, TONE_COMPUTE}};
    scene_curve(d, p->arena, PAGE_COLUMNS, &(SceneCurve){series, 2, "B", "us", true, true, 9});
    page_draw(p, d);
    page_say(p,
             _("The line: alpha = %s (95 %% between %s and %s), 1/beta = %s (%s to %s); it misses "
               "the times (%s) by %s in the mean."),
             page_quantity(p, UNIT_SECONDS, x->alpha_s),
             page_quantity(p, UNIT_SECONDS, x->alpha_low_s),
             page_quantity(p, UNIT_SECONDS, x->alpha_high_s),
             page_quantity(p, UNIT_RATE, x->bytes_per_s),
             page_quantity(p, UNIT_RATE, x->low_bytes_per_s),
             page_quantity(p, UNIT_RATE, x->high_bytes_per_s), how(x),
             page_digits(p, UNIT_SHARE, 2, x->error));
}

static void ask_half(Page *p, const void *state) {
    const Message *x = state;
    page_say(p,
             _("alpha = %s and 1/beta = %s. How many bytes does a message have whose bytes take as "
               "long as its latency?"),
             page_digits(p, UNIT_SECONDS, 4, x->alpha_s),
             page_digits(p, UNIT_RATE, 4, x->bytes_per_s));
}

// The size that takes twice as long as the smallest, between two that were measured; 0: none does.
static double doubling_bytes(const Message *x) {
    double twice = 2 * x->time_s[0];
    for (int i = 1; i < MESSAGE_SIZES; i++)
        if (x->time_s[i] >= twice)
            return x->bytes[i - 1] + (x->bytes[i] - x->bytes[i - 1]) * (twice - x->time_s[i - 1]) /
                                         (x->time_s[i] - x->time_s[i - 1]);
    return 0;
}

static void truth_half(Truth *out, const void *state) {
    const Message *x = state;
    truth_one(out, FROM_THEORY, message_half_bytes(x));
    answer_one(&out->from[source(x)], doubling_bytes(x));
    out->known[source(x)] = doubling_bytes(x) > 0;
    out->relative = 0.05;
}

static void latency_is_nothing(Answer *out, const void *state) { answer_one(out, 0); }
static void half_of_largest(Answer *out, const void *state) {
    const Message *x = state;
    answer_one(out, x->bytes[MESSAGE_SIZES - 1] / 2);
}
static void twice_n_half(Answer *out, const void *state) {
    answer_one(out, 2 * message_half_bytes(state));
}

static void hint_half_3(Page *p, const void *state) {
    const Message *x = state;
    page_line(p, "  %s * %s", page_digits(p, UNIT_SECONDS, 4, x->alpha_s),
              page_digits(p, UNIT_RATE, 4, x->bytes_per_s));
}
static void explain_half(Page *p, const void *state) {
    const Message *x = state;
    double least = x->alpha_low_s * x->low_bytes_per_s,
           most = x->alpha_high_s * x->high_bytes_per_s;
    page_say(p,
             _("Theory is alpha / beta of the line; at the ends of both intervals it is %s and %s. "
               "The other value is the size that takes twice the time of 8 bytes, read off the "
               "times themselves (%s): on a real host caches bend the line there."),
             page_quantity(p, UNIT_BYTES, least), page_quantity(p, UNIT_BYTES, most), how(x));
}

const Question message_half = {
    .id = "half_bandwidth_size",
    .shape = {ANSWER_VALUE, UNIT_BYTES, 0},
    .ask = ask_half,
    .truth = truth_half,
    .wrong = {{"latency_is_negligible",
               latency_is_nothing,
               {.text = N_("Then even the shortest message would be limited by bandwidth. But a "
                           "message of 8 bytes takes nearly all of its time for alpha.")}},
              {"half_of_the_largest",
               half_of_largest,
               {.text = N_("Half the bytes is not half the bandwidth: messages that long reach "
                           "nearly all of it. Half of it is reached where alpha = beta n.")}},
              {"twice_too_large",
               twice_n_half,
               {.text = N_("That is twice as much: there the bytes already take twice as long as "
                           "the latency.")}}},
    .hint = {{.text = N_("Two times are to be equal: alpha, and n bytes at the bandwidth.")},
             {.text = "  n1/2 = alpha / beta = alpha * (1/beta)"},
             {hint_half_3}},
    .explain = {explain_half},
};

// --- a size that was not measured

static void ask_held(Page *p, const void *state) {
    const Message *x = state;
    page_say(p,
             _("alpha = %s, 1/beta = %s. Nobody has sent a message of %.0f bytes yet. How long "
               "will it take?"),
             page_digits(p, UNIT_SECONDS, 4, x->alpha_s),
             page_digits(p, UNIT_RATE, 4, x->bytes_per_s), x->held_bytes);
}

static void truth_held(Truth *out, const void *state) {
    const Message *x = state;
    truth_one(out, FROM_THEORY, line_s(x, x->held_bytes));
    answer_one(&out->from[source(x)], x->held_s);
    out->known[source(x)] = x->held_s > 0;
    out->relative = 0.1;
}

static void bandwidth_alone(Answer *out, const void *state) {
    const Message *x = state;
    answer_one(out, x->held_bytes / x->bytes_per_s);
}

// The last size that is shorter.
static int shorter(const Message *x) {
    int i = 0;
    while (i + 1 < MESSAGE_SIZES && x->bytes[i + 1] < x->held_bytes) i++;
    return i;
}
static void in_proportion(Answer *out, const void *state) {
    const Message *x = state;
    int i = shorter(x);
    answer_one(out, x->time_s[i] * x->held_bytes / x->bytes[i]);
}

static void reply_in_proportion(Page *p, const void *state) {
    const Message *x = state;
    page_say(
        p,
        _("That is the time of %.0f bytes in proportion. But alpha is paid once for a message, "
          "however long it is, and does not grow with the bytes."),
        x->bytes[shorter(x)]);
}
static void hint_held_3(Page *p, const void *state) {
    const Message *x = state;
    page_line(p, "  %s + %.0f B / (%s)", page_digits(p, UNIT_SECONDS, 4, x->alpha_s), x->held_bytes,
              page_digits(p, UNIT_RATE, 4, x->bytes_per_s));
}
static void explain_held(Page *p, const void *state) {
    const Message *x = state;
    double wide = fmax(x->error, 0.1), t = line_s(x, x->held_bytes);
    page_say(
        p,
        _("alpha is %s of it. The line misses the sizes it was fitted to by %s in the mean, so "
          "that a new one is expected between %s and %s; it took %s (%s)."),
        page_digits(p, UNIT_SHARE, 2, x->alpha_s / t), page_digits(p, UNIT_SHARE, 2, x->error),
        page_quantity(p, UNIT_SECONDS, (1 - wide) * t),
        page_quantity(p, UNIT_SECONDS, (1 + wide) * t), page_quantity(p, UNIT_SECONDS, x->held_s),
        how(x));
}

static const Question HELD = {
    .id = "unseen_size",
    .shape = {ANSWER_VALUE, UNIT_SECONDS, 0},
    .ask = ask_held,
    .truth = truth_held,
    .wrong = {{"bandwidth_tells_all",
               bandwidth_alone,
               {.text = N_("That is the bytes alone. A message of this size pays about as much for "
                           "latency: bandwidth tells all of very long messages only.")}},
              {"in_proportion_to_bytes", in_proportion, {reply_in_proportion}}},
    .hint = {{.text = N_("What every message costs, and what its bytes cost.")},
             {.text = "  t(n) = alpha + n / (1/beta)"},
             {hint_held_3}},
    .explain = {explain_held},
};

// --- a send that has returned

static void ask_overwritten(Page *p, const void *state) {
    const Message *x = state;
    page_say(p,
             _("Rank 0 starts to send %.0f ones, and the call returns at once. Then it writes twos "
               "over the first %.0f of them. Only then rank 1 receives. What is the sum of what it "
               "gets?"),
             x->sent, x->overwritten);
}

static void truth_overwritten(Truth *out, const void *state) {
    const Message *x = state;
    truth_one(out, FROM_THEORY, x->sent + x->overwritten);
    answer_one(&out->from[FROM_MEASUREMENT], x->received_sum);
    out->known[FROM_MEASUREMENT] = x->received_sum > 0;
}

static void returned_is_sent(Answer *out, const void *state) {
    const Message *x = state;
    answer_one(out, x->sent);
}
static void all_replaced(Answer *out, const void *state) {
    const Message *x = state;
    answer_one(out, 2 * x->sent);
}

static void hint_overwritten_3(Page *p, const void *state) {
    const Message *x = state;
    page_line(p, "  %.0f * 1 + %.0f * 2", x->sent - x->overwritten, x->overwritten);
}

static const Question OVERWRITTEN = {
    .id = "returned_send",
    .shape = {ANSWER_VALUE, UNIT_COUNT, 0},
    .ask = ask_overwritten,
    .truth = truth_overwritten,
    .wrong = {{"returned_is_finished",
               returned_is_sent,
               {.text = N_("That would be so if the call had sent them. It has only announced the "
                           "message: the bytes are fetched when rank 1 comes for them.")}},
              {"all_is_replaced",
               all_replaced,
               {.text = N_("Only what was written over is new. The rest of the buffer is still "
                           "there, and goes out as it was.")}}},
    .hint = {{.text = N_("When are the bytes read from the buffer?")},
             {.text = N_("  sum = ones that are left + 2 * twos")},
             {hint_overwritten_3}},
    .explain = {.text = N_("A started send is a promise: the buffer belongs to the message until "
                           "its end has been waited for. MPI_Isend, isend() of PyTorch and NCCL's "
                           "calls on a stream are the same.")},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_RUN, .before = {before_repeats}, .run = message_run_repeats},
    {.kind = STEP_PREDICT, .question = &message_reported},
    {.kind = STEP_COMPARE, .question = &message_reported},
    {.kind = STEP_RUN,
     .before = {.text =
                    N_("Now messages of 7 sizes, taking turns, 150 times each; of each size the "
                       "fastest, since what disturbs a message only makes it later. The line is "
                       "fitted to them.")},
     .run = message_run_sizes,
     .write = {show_sizes}},
    {.kind = STEP_PREDICT, .question = &message_half},
    {.kind = STEP_COMPARE, .question = &message_half},
    {.kind = STEP_PREDICT, .question = &HELD},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now that size is sent, 150 times, and the others beside it.")},
     .run = message_run_held},
    {.kind = STEP_COMPARE, .question = &HELD},
    {.kind = STEP_PREDICT, .question = &OVERWRITTEN},
    {.kind = STEP_RUN,
     .before = {.text = N_("Two ranks do exactly that.")},
     .run = message_run_overwritten},
    {.kind = STEP_COMPARE, .question = &OVERWRITTEN},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson message_lesson = {
    .number = 7,
    .name = "message",
    .title = N_("A message costs alpha + beta n"),
    .objective = N_("Latency and bandwidth from your own measurements, and what they say of a size "
                    "that nobody has sent."),
    .minutes = 12,
    .state_size = sizeof(Message),
    .draw = draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
