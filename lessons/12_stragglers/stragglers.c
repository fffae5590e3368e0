// SPDX-License-Identifier: MIT
// Lesson 12: a synchronous step takes as long as its slowest rank, waiting hides in collectives,
// and with jitter the maximum of N grows with N (order statistics: David and Nagaraja, 2003).
#include "lessons/12_stragglers/stragglers.h"

#include "core/base/statistics.h"
#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "viz/scene/scene.h"

#include <math.h>
#include <stdlib.h>

// --- numbers

static Status draw(const LessonRun *run, void *state) {
    Stragglers *x = state;
    Rng r = lesson_rng(run, 0);
    x->slow = (int)rng_below(&r, STRAGGLERS_RANKS);
    double late = 0.02 + 1e-3 * rng_below(&r, 25);
    for (int i = 0; i < STRAGGLERS_RANKS; i++)
        x->compute_s[i] = 0.01 + 0.002 * (double)rng_float(&r) + (i == x->slow ? late : 0);
    x->ranks = 4 + (int)rng_below(&r, STRAGGLERS_MOST - 3);
    x->least_s = 1e-3 * (3 + rng_below(&r, 3));
    x->jitter_s = x->least_s * 2;
    for (int i = 0; i < x->ranks; i++)
        for (int k = 0; k < STRAGGLERS_STEPS; k++)
            x->drawn_s[i][k] = x->least_s - x->jitter_s * log(1 - (double)rng_float(&r));
    x->simulated = run->virtual_time;
    return stragglers_simulate(run, x);
}

static const char *how(const Stragglers *x) {
    return x->simulated ? _("simulated") : _("measured");
}
static AnswerSource source(const Stragglers *x) {
    return x->simulated ? FROM_SIMULATION : FROM_MEASUREMENT;
}

static double last_arrival(const Stragglers *x) {
    double last = 0;
    for (int r = 0; r < STRAGGLERS_RANKS; r++) last = fmax(last, x->arrive_s[r]);
    return last;
}
static double inside_s(const Stragglers *x, int rank) { return x->end_s[rank] - x->arrive_s[rank]; }
static double wait_s(const Stragglers *x, int rank) { return last_arrival(x) - x->arrive_s[rank]; }

// The rank that is in the all-reduce for the shortest time, and for the longest.
static int least_inside(const Stragglers *x) {
    int least = 0;
    for (int r = 1; r < STRAGGLERS_RANKS; r++)
        if (inside_s(x, r) < inside_s(x, least)) least = r;
    return least;
}
static int most_inside(const Stragglers *x) {
    int most = 0;
    for (int r = 1; r < STRAGGLERS_RANKS; r++)
        if (inside_s(x, r) > inside_s(x, most)) most = r;
    return most;
}

// --- texts

static void hook(Page *p, const void *state) {
    page_say(p, _("Four ranks compute, then meet in an all-reduce. A profiler says that nearly all "
                  "ranks spend most of the step in the all-reduce. Is the network slow?"));
    page_say(p,
             _("A collective can only end when the last rank has come. Whoever comes early waits "
               "inside it."));
}

static void idea(Page *p, const void *state) {
    page_line(p, _("  step = max over ranks (compute) + transfer"));
    page_line(p, _("  time in the all-reduce of rank r = last arrival - arrival of r + transfer"));
    page_say(p, _("So the time that a rank is in a collective says how early it was. Tandem's "
                  "reports keep the two apart: waiting until the last member has arrived, and "
                  "exposed communication after that."));
}

static void draw_step(Page *p, const Stragglers *x) {
    const char *rows[STRAGGLERS_RANKS];
    SceneSpan spans[3 * STRAGGLERS_RANKS];
    double last = last_arrival(x);
    for (int r = 0; r < STRAGGLERS_RANKS; r++) {
        SceneSpan *s = &spans[3 * r];
        rows[r] = page_text(p, _("rank %d"), r);
        s[0] = (SceneSpan){r, 0, 1e3 * x->arrive_s[r], TONE_COMPUTE, NULL};
        s[1] = (SceneSpan){r, 1e3 * x->arrive_s[r], 1e3 * last, TONE_WAITING, _("waits")};
        s[2] = (SceneSpan){r, 1e3 * last, 1e3 * fmax(last, x->end_s[r]), TONE_COMM, NULL};
    }
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_timeline(
        d, p->arena, PAGE_COLUMNS,
        &(SceneTimeline){rows, STRAGGLERS_RANKS, spans, 3 * STRAGGLERS_RANKS, "ms", false});
    page_draw(p, d);
}

// --- who is slow?

static void ask_who(Page *p, const void *state) {
    const Stragglers *x = state;
    page_say(p, _("How long each rank was in the all-reduce (%s):"), how(x));
    for (int r = 0; r < STRAGGLERS_RANKS; r++)
        page_line(p, _("  rank %d  %8.3f ms"), r, 1e3 * inside_s(x, r));
    page_say(p, _("Who makes the step long?"));
}

enum { NETWORK = STRAGGLERS_RANKS, WHO_OPTIONS };
static const char *option_who(Page *p, const void *state, int which) {
    return which == NETWORK ? _("no rank: the network is slow") : page_text(p, _("rank %d"), which);
}

static void truth_who(Truth *out, const void *state) {
    const Stragglers *x = state;
    truth_one(out, FROM_THEORY, x->slow);
    truth_one(out, source(x), least_inside(x));
}

static void longest_is_guilty(Answer *out, const void *state) {
    answer_one(out, most_inside(state));
}

static void reply_longest(Page *p, const void *state) {
    const Stragglers *x = state;
    page_say(
        p,
        _("Rank %d was there first, and waited longest: it is the fastest one. The last to come "
          "waits for nobody."),
        most_inside(x));
}
static void hint_who_3(Page *p, const void *state) {
    const Stragglers *x = state;
    page_line(p, _("  shortest time inside: %.3f ms"), 1e3 * inside_s(x, least_inside(x)));
}
static void explain_who(Page *p, const void *state) {
    const Stragglers *x = state;
    draw_step(p, x);
    page_say(p,
             _("Rank %d arrives at %.1f ms, the last of all (%s). A report of a hang or a slow "
               "collective comes from those who wait; the guilty one is who is not there."),
             x->slow, 1e3 * x->arrive_s[x->slow], how(x));
}

const Question stragglers_who = {
    .id = "who_is_slow",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, WHO_OPTIONS},
    .ask = ask_who,
    .option = option_who,
    .truth = truth_who,
    .wrong = {{"longest_is_guilty", longest_is_guilty, {reply_longest}},
              {"network_is_slow", .option = NETWORK,
               .reply = {.text = N_("A slow network would keep all ranks equally long. The times "
                                    "differ: that is waiting, and it is a rank that is waited "
                                    "for.")}}},
    .hint = {{.text = N_("Who waits for whom in a collective?")},
             {.text = N_("  time inside = last arrival - own arrival + transfer")},
             {hint_who_3}},
    .explain = {explain_who},
};

// --- how much of it is waiting

static double share(const Stragglers *x) {
    double waiting = 0, inside = 0;
    for (int r = 0; r < STRAGGLERS_RANKS; r++) {
        waiting += wait_s(x, r);
        inside += inside_s(x, r);
    }
    return waiting / inside;
}

// From the times inside alone: the last rank's is transfer, what others have more is waiting.
static double share_from_inside(const Stragglers *x) {
    double inside = 0;
    for (int r = 0; r < STRAGGLERS_RANKS; r++) inside += inside_s(x, r);
    return 1 - STRAGGLERS_RANKS * inside_s(x, least_inside(x)) / inside;
}

static void ask_share(Page *p, const void *state) {
    const Stragglers *x = state;
    const char *times = "";
    for (int r = 0; r < STRAGGLERS_RANKS; r++)
        times = page_text(p, "%s  %.3f", times, 1e3 * inside_s(x, r));
    page_say(p, _("The times in the all-reduce again, in ms, rank 0 first (%s):"), how(x));
    page_line(p, "%s", times);
    page_say(p,
             _("Added up over the ranks, which share of the time in the all-reduce is waiting for "
               "the last rank?"));
}

static void truth_share(Truth *out, const void *state) {
    const Stragglers *x = state;
    truth_one(out, FROM_THEORY, share_from_inside(x));
    truth_one(out, source(x), share(x));
    out->absolute = 0.04;
}

static void all_is_transfer(Answer *out, const void *state) { answer_one(out, 0); }
static void one_rank_waits(Answer *out, const void *state) {
    answer_one(out, 1.0 / STRAGGLERS_RANKS);
}

static void hint_share_3(Page *p, const void *state) {
    const Stragglers *x = state;
    double inside = 0;
    for (int r = 0; r < STRAGGLERS_RANKS; r++) inside += inside_s(x, r);
    page_line(p, "  1 - %d * %.3f / %.3f", STRAGGLERS_RANKS, 1e3 * inside_s(x, least_inside(x)),
              1e3 * inside);
}
static void explain_share(Page *p, const void *state) {
    const Stragglers *x = state;
    page_say(
        p,
        _("The transfer is what the last rank sees, %.3f ms; the rest is waiting. Theory takes "
          "it from the times inside, the other value (%s) from the arrivals. A faster network "
          "saves a part of the transfer; a rank that is not late saves %.1f ms."),
        1e3 * inside_s(x, least_inside(x)), how(x), 1e3 * wait_s(x, most_inside(x)));
}

static const Question SHARE = {
    .id = "share_of_waiting",
    .shape = {ANSWER_VALUE, UNIT_SHARE, 0},
    .ask = ask_share,
    .truth = truth_share,
    .wrong = {{"all_is_transfer",
               all_is_transfer,
               {.text =
                    N_("Then every rank would be inside for the same time. Bytes move only when "
                       "all have come.")}},
              {"one_rank_waits",
               one_rank_waits,
               {.text = N_("It is not one rank that waits: all but the last one do.")}}},
    .hint = {{.text = N_("Which rank does not wait? What does its time consist of?")},
             {.text = N_("  share = 1 - ranks * shortest time / sum of times")},
             {hint_share_3}},
    .explain = {explain_share},
};

// --- jitter

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// All computations of all ranks, sorted; their number.
static int sorted(double out[STRAGGLERS_MOST * STRAGGLERS_STEPS], const Stragglers *x) {
    int count = 0;
    for (int r = 0; r < x->ranks; r++)
        for (int k = 0; k < STRAGGLERS_STEPS; k++) out[count++] = x->taken_s[r][k];
    qsort(out, (size_t)count, sizeof *out, compare);
    return count;
}

// The expected maximum of N draws from these values: value i of S is the largest with probability
// (i/S)^N - ((i-1)/S)^N.
static double expected_most(const Stragglers *x) {
    double values[STRAGGLERS_MOST * STRAGGLERS_STEPS], sum = 0;
    int count = sorted(values, x);
    for (int i = 0; i < count; i++)
        sum += values[i] * (pow((i + 1.0) / count, x->ranks) - pow((double)i / count, x->ranks));
    return sum;
}

static Spread spread(const Stragglers *x, double *least, double *most) {
    double values[STRAGGLERS_MOST * STRAGGLERS_STEPS];
    int count = sorted(values, x);
    *least = values[0];
    *most = values[count - 1];
    return statistics_spread(values, count);
}

static double harmonic(int n) {
    double sum = 0;
    for (int i = 1; i <= n; i++) sum += 1.0 / i;
    return sum;
}

static void ask_jitter(Page *p, const void *state) {
    const Stragglers *x = state;
    page_say(p,
             _("Now all ranks are alike, but each computation takes %s and a random time more, "
               "exponential with a mean of %s. %d ranks meet in an all-reduce after each. How long "
               "is a step on average?"),
             page_quantity(p, UNIT_SECONDS, x->least_s),
             page_quantity(p, UNIT_SECONDS, x->jitter_s), x->ranks);
}

// Before the run the law that was told; after it what the law of the measured times says.
static void truth_jitter(Truth *out, const void *state) {
    const Stragglers *x = state;
    truth_one(out, FROM_THEORY, x->least_s + x->jitter_s * harmonic(x->ranks));
    if (x->stepped) truth_one(out, source(x), x->step_s);
    out->relative = 0.08;
}

static void average_sets_the_pace(Answer *out, const void *state) {
    const Stragglers *x = state;
    answer_one(out, x->least_s + x->jitter_s);
}
static void averages_out(Answer *out, const void *state) {
    const Stragglers *x = state;
    answer_one(out, x->least_s + x->jitter_s / x->ranks);
}
static void sum_of_jitter(Answer *out, const void *state) {
    const Stragglers *x = state;
    answer_one(out, x->least_s + x->jitter_s * x->ranks);
}

static void hint_jitter_3(Page *p, const void *state) {
    const Stragglers *x = state;
    page_line(p, "  %.0f ms + %.0f ms (1 + 1/2 + ... + 1/%d)", 1e3 * x->least_s, 1e3 * x->jitter_s,
              x->ranks);
}

static void show_jitter(Page *p, const void *state) {
    const Stragglers *x = state;
    double least, most;
    Spread s = spread(x, &least, &most);
    page_say(p, _("%d computations (%s):"), x->ranks * STRAGGLERS_STEPS, how(x));
    page_line(p, _("  least  %8.3f ms"), 1e3 * least);
    page_line(p, _("  median %8.3f ms"), 1e3 * s.median);
    page_line(p, _("  mean   %8.3f ms"), 1e3 * s.mean);
    page_line(p, _("  90 %%   %8.3f ms"), 1e3 * s.p90);
    page_line(p, _("  most   %8.3f ms"), 1e3 * most);
    page_line(p, _("  expected maximum of %d of them: %.3f ms"), x->ranks, 1e3 * expected_most(x));
    page_line(p, _("  a step, on average:            %.3f ms"), 1e3 * x->step_s);
}

static void explain_jitter(Page *p, const void *state) {
    const Stragglers *x = state;
    double least, most;
    Spread s = spread(x, &least, &most);
    page_say(
        p,
        _("One computation takes %s on average, a step %s (%s): each step waits for its "
          "slowest. The maximum of %d draws from the times that came out is expected to be %s. "
          "With twice as many ranks, theory adds %.2f times the mean jitter."),
        page_quantity(p, UNIT_SECONDS, s.mean), page_quantity(p, UNIT_SECONDS, x->step_s), how(x),
        x->ranks, page_quantity(p, UNIT_SECONDS, expected_most(x)),
        harmonic(2 * x->ranks) - harmonic(x->ranks));
}

static const Question JITTER = {
    .id = "step_with_jitter",
    .shape = {ANSWER_VALUE, UNIT_SECONDS, 0},
    .ask = ask_jitter,
    .truth = truth_jitter,
    .wrong = {{"average_rank_sets_the_pace",
               average_sets_the_pace,
               {.text = N_("That is one rank on average. A step is not over when the average rank "
                           "is: it waits for the slowest, another one each time.")}},
              {"jitter_averages_out",
               averages_out,
               {.text =
                    N_("Jitter averages out where times are added up, as over many steps of one "
                       "rank. Over ranks the step takes the maximum, which grows.")}},
              {"jitter_adds_up",
               sum_of_jitter,
               {.text = N_("That adds up the jitter of all ranks. They run at the same time: the "
                           "largest counts, not the sum.")}}},
    .hint = {{.text = N_("Which of N random times does the step wait for?")},
             {.text = N_("  mean of the maximum = least + jitter (1 + 1/2 + ... + 1/N)")},
             {hint_jitter_3}},
    .explain = {explain_jitter},
};

static void box(Page *p, const void *state) {
    const Stragglers *x = state;
    page_box(
        p,
        _("Step >= the slowest rank, and E[max of N] grows with N: here %s for one rank, %s for "
          "%d (theory). Of the time in a collective, %s was waiting (%s): look first at who "
          "came last."),
        page_quantity(p, UNIT_SECONDS, x->least_s + x->jitter_s),
        page_quantity(p, UNIT_SECONDS, x->least_s + x->jitter_s * harmonic(x->ranks)), x->ranks,
        page_quantity(p, UNIT_SHARE, share(x)), how(x));
}

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_RUN,
     .before = {.text = N_("Four ranks that are threads compute and meet in an all-reduce of 2 MB. "
                           "One of them, drawn by the seed, computes longer.")},
     .run = stragglers_run_slow},
    {.kind = STEP_PREDICT, .question = &stragglers_who},
    {.kind = STEP_COMPARE, .question = &stragglers_who},
    {.kind = STEP_PREDICT, .question = &SHARE},
    {.kind = STEP_COMPARE, .question = &SHARE},
    {.kind = STEP_PREDICT, .question = &JITTER},
    {.kind = STEP_RUN,
     .before = {.text = N_("40 steps of these ranks.")},
     .run = stragglers_run_jitter,
     .write = {show_jitter}},
    {.kind = STEP_COMPARE, .question = &JITTER},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson stragglers_lesson = {
    .number = 12,
    .name = "stragglers",
    .title = N_("Stragglers and jitter"),
    .objective = N_("Why a step takes its slowest rank's time, where the waiting hides, and what "
                    "jitter costs with more ranks."),
    .minutes = 12,
    .state_size = sizeof(Stragglers),
    .draw = draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
