// SPDX-License-Identifier: MIT
// Lesson 9: data parallel is the same step, to the last bit where additions have the same order
// (docs/contract.md); and what it looks like when a program gets it wrong.
#include "lessons/09_data_parallel/data_parallel.h"

#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "viz/scene/scene.h"

#include <math.h>

// --- numbers

static Status draw(const LessonRun *run, void *state) {
    DataParallel *x = state;
    Rng r = lesson_rng(run, 0);
    x->ranks = 3 + (int)rng_below(&r, DP_RANKS - 2);
    x->seed = run->seed;
    x->rows[0] = 6 + (int)rng_below(&r, 5);
    x->rows[1] = 2 + (int)rng_below(&r, 3);
    for (int rank = 0; rank < 2; rank++)
        for (int i = 0; i < x->rows[rank]; i++)
            x->gradient[rank][i] = (float)((rank == 0 ? 1 : 5) + (int)rng_below(&r, 5));
    x->weighted = (double)NAN;
    x->rate = 0.02 + 0.01 * rng_below(&r, 4);
    x->fault = (Fault)rng_below(&r, FAULT_COUNT);
    return OK;
}

// --- texts

static void hook(Page *p, const void *state) {
    const DataParallel *x = state;
    page_say(
        p,
        _("%d ranks hold the same weights. Each takes a part of the batch, its shard, and "
          "computes the gradient of its own rows. An all-reduce joins the gradients, and every "
          "rank makes the same update."),
        x->ranks);
    page_say(p, _("Is that the step that one rank would have made with the whole batch? Nearly the "
                  "same, exactly the same, or only in the mean?"));
}

static void idea(Page *p, const void *state) {
    page_say(p, _("The gradient of a batch is the mean of its rows' gradients. A mean can be taken "
                  "in parts: each rank adds up its rows, the sums are added up, and the whole is "
                  "divided once by the number of rows."));
    page_line(p, "  g = (sum of rank 0 + ... + sum of rank N-1) / (rows_0 + ... + rows_N-1)");
    page_say(p,
             _("Four things must hold: the ranks begin with the same weights (a broadcast), take "
               "different rows, shuffle anew each epoch with the same seed, and divide by what "
               "is really there."));
}

static void box(Page *p, const void *state) {
    const DataParallel *x = state;
    page_box(
        p,
        _("Sum of gradients / sum of rows = the gradient of the batch. Here %d ranks and one "
          "differ in %lld of %lld weights; a sum in place of the mean is a learning rate %s as "
          "large."),
        x->ranks, (long long)x->differ, (long long)x->weights,
        page_quantity(p, UNIT_TIMES, x->sum.first_length / x->good.first_length));
}

// --- the same weights?

static void ask_same(Page *p, const void *state) {
    const DataParallel *x = state;
    page_say(p,
             _("The trainer makes 20 steps with %d ranks, and 20 steps with one rank that computes "
               "the same %d shards one after the other and adds them in the same order. How far "
               "apart are the weights in the end?"),
             x->ranks, x->ranks);
}

enum { SAME_BITS, SAME_ROUNDED, SAME_STEP, SAME_OTHER, SAME_OPTIONS };
static const char *const SAME_TEXTS[SAME_OPTIONS] = {
    N_("not at all: every bit is the same"),
    N_("by rounding: in the last digits"),
    N_("by about as much as a step moves them"),
    N_("they are different networks"),
};

static int same_option(const DataParallel *x) {
    if (x->differ == 0) return SAME_BITS;
    if (x->most < 1e-3 * x->moved) return SAME_ROUNDED;
    return x->most < 0.2 * x->moved ? SAME_STEP : SAME_OTHER;
}

static void truth_same(Truth *out, const void *state) {
    const DataParallel *x = state;
    truth_one(out, FROM_THEORY, SAME_BITS);
    answer_one(&out->from[FROM_MEASUREMENT], same_option(x));
    out->known[FROM_MEASUREMENT] = x->trained;
}

static void before_training(Page *p, const void *state) {
    const DataParallel *x = state;
    page_say(p,
             _("The trainer: a network of two hidden layers of 32 on 400 digits, once with %d "
               "ranks, once with one rank "
               "and %d shards, once with one rank that takes the batch as a whole."),
             x->ranks, x->ranks);
}

static void show_training(Page *p, const void *state) {
    const DataParallel *x = state;
    page_say(p, _("Beside %d ranks, of %lld weights (measured):"), x->ranks, (long long)x->weights);
    page_line(p, _("  one rank, %d shards   %8lld differ, at most by %.2g"), x->ranks,
              (long long)x->differ, x->most);
    page_line(p, _("  one rank, no shards  %8lld differ, at most by %.2g"),
              (long long)x->differ_plain, x->most_plain);
    page_line(p, _("  all steps together move a weight by up to %.2g"), x->moved);
}

static void hint_same_3(Page *p, const void *state) {
    const DataParallel *x = state;
    page_line(p, _("  %d terms, one order: how many results?"), x->ranks);
}

static const Question SAME = {
    .id = "same_weights",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, SAME_OPTIONS},
    .ask = ask_same,
    .options = SAME_TEXTS,
    .truth = truth_same,
    .wrong = {{"rounding_must_differ", .option = SAME_ROUNDED,
               .reply = {.text = N_("Rounding differs where the order of additions does. Here each "
                                    "shard is computed by the same kernels on the same rows, and "
                                    "the sum goes over the shards in the same order.")}},
              {"a_mean_of_means_is_noisy", .option = SAME_STEP,
               .reply = {.text = N_("The mean of the ranks is no estimate of the batch's gradient: "
                                    "it is that gradient, taken in parts.")}},
              {"ranks_train_apart", .option = SAME_OTHER,
               .reply = {.text = N_("That would be so if each rank updated with its own gradient. "
                                    "All update with the joined one, from the same weights: "
                                    "replicas never drift apart.")}}},
    .hint = {{.text = N_("What do two computations give that add the same numbers in the same "
                         "order?")},
             {.text = "  ((g_0 + g_1) + g_2) + ..."},
             {hint_same_3}},
    .explain = {.text = N_("Equal to the last bit, since the order is fixed. One rank that takes "
                           "the batch as a whole adds in another order: there a difference in the "
                           "last digits begins, and training makes it grow.")},
};

// --- shards of unequal size

static void ask_uneven(Page *p, const void *state) {
    const DataParallel *x = state;
    page_say(p,
             _("The last batch does not divide: rank 0 has %d rows with a mean gradient of %.4f, "
               "rank 1 has %d rows with a mean gradient of %.4f. What is the gradient of the "
               "batch?"),
             x->rows[0], data_parallel_mean(x, 0), x->rows[1], data_parallel_mean(x, 1));
}

static double weighted(const DataParallel *x, int a, int b) {
    return (x->rows[a] * data_parallel_mean(x, 0) + x->rows[b] * data_parallel_mean(x, 1)) /
           (x->rows[0] + x->rows[1]);
}

static void truth_uneven(Truth *out, const void *state) {
    const DataParallel *x = state;
    truth_one(out, FROM_THEORY, weighted(x, 0, 1));
    answer_one(&out->from[FROM_MEASUREMENT], x->weighted);
    out->known[FROM_MEASUREMENT] = isfinite(x->weighted);
    out->absolute = 0.01;
}

static void mean_of_means(Answer *out, const void *state) {
    answer_one(out, (data_parallel_mean(state, 0) + data_parallel_mean(state, 1)) / 2);
}
static void sum_of_means(Answer *out, const void *state) {
    answer_one(out, data_parallel_mean(state, 0) + data_parallel_mean(state, 1));
}
static void weights_swapped(Answer *out, const void *state) {
    answer_one(out, weighted(state, 1, 0));
}

static void reply_mean_of_means(Page *p, const void *state) {
    const DataParallel *x = state;
    page_say(p,
             _("That is the mean of the two means. It lets each row of rank 1 count %.2f times as "
               "much as a row of rank 0."),
             (double)x->rows[0] / x->rows[1]);
}
static void hint_uneven_3(Page *p, const void *state) {
    const DataParallel *x = state;
    page_line(p, "  (%d * %.4f + %d * %.4f) / %d", x->rows[0], data_parallel_mean(x, 0), x->rows[1],
              data_parallel_mean(x, 1), x->rows[0] + x->rows[1]);
}
static void explain_uneven(Page *p, const void *state) {
    const DataParallel *x = state;
    Answer equal;
    mean_of_means(&equal, x);
    page_say(p,
             _("Weighted by rows it is %.4f, the mean of means would be %.4f. The trainer sums "
               "gradients and divides once, by the rows of the global batch; that holds for any "
               "shards. Losses are joined in the same way."),
             weighted(x, 0, 1), equal.values[0]);
}

static const Question UNEVEN = {
    .id = "uneven_shards",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_uneven,
    .truth = truth_uneven,
    .wrong = {{"mean_of_means", mean_of_means, {reply_mean_of_means}},
              {"sum_of_means",
               sum_of_means,
               {.text = N_("That is the sum of the means: as if the loss were added up over ranks. "
                           "It grows with every rank that joins.")}},
              {"weights_swapped",
               weights_swapped,
               {.text = N_("The weights are swapped: the rank with more rows counts more.")}}},
    .hint = {{.text = N_("Every row of the batch is to count the same.")},
             {.text = "  g = (rows_0 g_0 + rows_1 g_1) / (rows_0 + rows_1)"},
             {hint_uneven_3}},
    .explain = {explain_uneven},
};

// --- a sum in place of a mean

static void ask_sum(Page *p, const void *state) {
    const DataParallel *x = state;
    page_say(p,
             _("One rank trains with a learning rate of %.2f. A program with %d ranks adds up "
               "their mean gradients and forgets to divide. With plain SGD, which learning rate "
               "gives the same steps there?"),
             x->rate, x->ranks);
}

static void truth_sum(Truth *out, const void *state) {
    const DataParallel *x = state;
    truth_one(out, FROM_THEORY, x->rate / x->ranks);
    if (x->summed)
        truth_one(out, FROM_MEASUREMENT, x->rate * x->good.first_length / x->sum.first_length);
    out->relative = 0.02;
}

static void same_rate(Answer *out, const void *state) {
    const DataParallel *x = state;
    answer_one(out, x->rate);
}
static void rate_times_ranks(Answer *out, const void *state) {
    const DataParallel *x = state;
    answer_one(out, x->rate * x->ranks);
}
static void rate_by_root(Answer *out, const void *state) {
    const DataParallel *x = state;
    answer_one(out, x->rate / sqrt(x->ranks));
}

static void reply_rate_times_ranks(Page *p, const void *state) {
    const DataParallel *x = state;
    page_say(p,
             _("That multiplies by %d once more. The rule to multiply the learning rate by the "
               "number of ranks is for a larger global batch whose gradients are averaged; summing "
               "has done it already."),
             x->ranks);
}

// Each rank's gradient, their mean, their sum.
static void draw_gradients(Page *p, const DataParallel *x) {
    SceneCell cells[(DP_RANKS + 2) * DP_WEIGHTS] = {{{0}}};
    const char *rows[DP_RANKS + 2], *columns[DP_WEIGHTS] = {"dL/dw_1", "dL/dw_2", "dL/dw_3"};
    for (int r = 0; r < x->ranks + 2; r++) {
        const double *g = r < x->ranks    ? x->good.local[r]
                          : r == x->ranks ? x->good.joined
                                          : x->sum.joined;
        rows[r] = r < x->ranks    ? page_text(p, _("rank %d"), r)
                  : r == x->ranks ? _("mean")
                                  : _("sum");
        for (int k = 0; k < DP_WEIGHTS; k++) {
            SceneCell *cell = &cells[r * DP_WEIGHTS + k];
            snprintf(cell->text, sizeof cell->text, "%.4f", g[k]);
            cell->kind = r == x->ranks ? CELL_DONE : CELL_PLAIN;
        }
    }
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_board(d, p->arena, 56, &(SceneBoard){rows, columns, x->ranks + 2, DP_WEIGHTS, cells});
    page_draw(p, d);
}

static void show_sum(Page *p, const void *state) {
    const DataParallel *x = state;
    page_say(p, _("Gradients of the first step: what each rank found in its rows, and what the "
                  "all-reduce made of them with and without the division (measured)."));
    draw_gradients(p, x);
}

static void hint_sum_3(Page *p, const void *state) {
    const DataParallel *x = state;
    page_line(p, "  %.2f / %d", x->rate, x->ranks);
}
static void explain_sum(Page *p, const void *state) {
    const DataParallel *x = state;
    page_say(p,
             _("The sum is %d times the mean, so the first step is %.4f times as long. Optimisers "
               "that divide by the size of gradients, such as Adam, hide the mistake; clipping and "
               "weight decay do not."),
             x->ranks, x->sum.first_length);
}

static const Question SUM = {
    .id = "sum_or_mean",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_sum,
    .truth = truth_sum,
    .wrong =
        {{"the_same_rate",
          same_rate,
          {.text = N_("Only if the joined gradient is a mean. A sum is larger with every rank, "
                      "and so is the step.")}},
         {"rate_times_ranks", rate_times_ranks, {reply_rate_times_ranks}},
         {"rate_by_the_root",
          rate_by_root,
          {.text = N_("The square root of the number of ranks is how noise shrinks. The length "
                      "of a sum of nearly equal gradients grows with their number.")}}},
    .hint = {{.text = N_("How much longer is the sum of gradients than their mean?")},
             {.text = N_("  step = rate * gradient;  sum = N * mean")},
             {hint_sum_3}},
    .explain = {explain_sum},
};

// --- which mistake?

static void show_found(Page *p, const void *state) {
    const DataParallel *x = state;
    const Symptoms *s = &x->found;
    page_say(p,
             _("A program with %d ranks has one mistake. Beside one rank on the same batches, two "
               "epochs show (measured):"),
             x->ranks);
    page_line(p, _("  largest difference between two ranks' weights   %.3g"), s->apart);
    page_line(p, _("  first step, times that of one rank              %.3g"), s->first_length);
    page_line(p, _("  its direction, beside that of one rank          %.3g degrees"),
              s->first_angle);
    page_line(p, _("  rows seen in the first epoch                    %.0f %%"), 100 * s->seen);
    page_line(p, _("  batches of epoch 2 with the rows of one before  %.0f %%"), 100 * s->repeated);
}

static void ask_fault(Page *p, const void *state) { page_say(p, _("What is wrong with it?")); }

enum { NO_FAULT = FAULT_COUNT, WRONG_RATE, FAULT_OPTIONS };
static const char *const FAULT_TEXTS[FAULT_OPTIONS] = {
    [FAULT_SUM] = N_("gradients are added up, not averaged"),
    [FAULT_NO_BROADCAST] = N_("ranks began with weights of their own: no broadcast"),
    [FAULT_SAME_ROWS] = N_("all ranks take the same rows of a batch"),
    [FAULT_NO_RESHUFFLE] = N_("the order is not shuffled anew in each epoch"),
    [FAULT_UNWEIGHTED] = N_("unequal shards count the same"),
    [NO_FAULT] = N_("nothing: that is rounding"),
    [WRONG_RATE] = N_("the learning rate is too high"),
};
static const char *const FAULT_SHORT[FAULT_COUNT] = {
    [FAULT_SUM] = N_("sum"),
    [FAULT_NO_BROADCAST] = N_("no broadcast"),
    [FAULT_SAME_ROWS] = N_("same rows"),
    [FAULT_NO_RESHUFFLE] = N_("same order"),
    [FAULT_UNWEIGHTED] = N_("unweighted"),
};

static void truth_fault(Truth *out, const void *state) {
    const DataParallel *x = state;
    truth_one(out, FROM_THEORY, x->fault);
    answer_one(&out->from[FROM_MEASUREMENT], data_parallel_diagnose(x));
    out->known[FROM_MEASUREMENT] = x->compared;
}

// The mistake that shows in the same line of the table, or in one about the same thing.
static Fault alike(Fault f) {
    static const Fault ALIKE[FAULT_COUNT] = {
        [FAULT_SUM] = FAULT_UNWEIGHTED,         [FAULT_UNWEIGHTED] = FAULT_SUM,
        [FAULT_SAME_ROWS] = FAULT_NO_RESHUFFLE, [FAULT_NO_RESHUFFLE] = FAULT_SAME_ROWS,
        [FAULT_NO_BROADCAST] = FAULT_SAME_ROWS,
    };
    return ALIKE[f];
}
static void similar(Answer *out, const void *state) {
    const DataParallel *x = state;
    answer_one(out, alike(x->fault));
}

static void reply_similar(Page *p, const void *state) {
    const DataParallel *x = state;
    const Symptoms *s = &x->of[alike(x->fault)];
    page_say(
        p,
        _("With that mistake the numbers are others: ranks %.3g apart, a first step of %.3g "
          "times that of one rank, %.3g degrees beside it, %.0f %% of the rows seen, %.0f %% of "
          "the batches repeated."),
        s->apart, s->first_length, s->first_angle, 100 * s->seen, 100 * s->repeated);
}

// The symptoms of all mistakes, and those that were found.
static void draw_faults(Page *p, const DataParallel *x) {
    enum { COLUMNS = 5 };
    SceneCell cells[(FAULT_COUNT + 1) * COLUMNS] = {{{0}}};
    const char *rows[FAULT_COUNT + 1];
    const char *columns[COLUMNS] = {_("apart"), _("length"), _("degrees"), _("seen"), _("again")};
    for (int f = 0; f <= FAULT_COUNT; f++) {
        const Symptoms *s = f < FAULT_COUNT ? &x->of[f] : &x->found;
        SceneCell *row = &cells[f * COLUMNS];
        rows[f] = f < FAULT_COUNT ? _(FAULT_SHORT[f]) : _("this run");
        snprintf(row[0].text, sizeof row[0].text, "%.3g", s->apart);
        snprintf(row[1].text, sizeof row[1].text, "%.3g", s->first_length);
        snprintf(row[2].text, sizeof row[2].text, "%.3g", s->first_angle);
        snprintf(row[3].text, sizeof row[3].text, "%.0f%%", 100 * s->seen);
        snprintf(row[4].text, sizeof row[4].text, "%.0f%%", 100 * s->repeated);
        for (int k = 0; k < COLUMNS; k++)
            row[k].kind = f == (int)x->fault ? CELL_MOVING
                          : f < FAULT_COUNT  ? CELL_PLAIN
                                             : CELL_DONE;
    }
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_board(d, p->arena, PAGE_COLUMNS,
                &(SceneBoard){rows, columns, FAULT_COUNT + 1, COLUMNS, cells});
    page_draw(p, d);
}

static void explain_fault(Page *p, const void *state) {
    const DataParallel *x = state;
    draw_faults(p, x);
    page_say(p, _("Each mistake was made on purpose and measured the same way; the columns are the "
                  "lines that were found."));
}

static const Question FAULT = {
    .id = "which_mistake",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, FAULT_OPTIONS},
    .ask = ask_fault,
    .options = FAULT_TEXTS,
    .truth = truth_fault,
    .wrong = {{"rounding", .option = NO_FAULT,
               .reply = {.text = N_("Rounding shows in the seventh digit, and does not change "
                                    "which rows are seen. These numbers are far from that.")}},
              {"learning_rate", .option = WRONG_RATE,
               .reply = {.text = N_("One rank with the same learning rate is what the run is "
                                    "compared with: it does not have these symptoms.")}},
              {"similar_symptom", similar, {reply_similar}}},
    .hint = {{.text = N_("Which of the five lines is not as it is on one rank: 0, 1, 0, 100 %, "
                         "0 %?")},
             {.text = N_("  Sum: length N.  No broadcast: ranks differ.  Same rows: 1/N seen.")},
             {.text =
                  N_("  Same order: batches repeat.  Unweighted: direction is off, all seen.")}},
    .explain = {explain_fault},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &SAME},
    {.kind = STEP_RUN,
     .before = {before_training},
     .run = data_parallel_run_training,
     .write = {show_training}},
    {.kind = STEP_COMPARE, .question = &SAME},
    {.kind = STEP_PREDICT, .question = &UNEVEN},
    {.kind = STEP_RUN,
     .before = {.text =
                    N_("Two ranks all-reduce the sum of their rows' gradients and how many rows "
                       "they have, and divide.")},
     .run = data_parallel_run_uneven},
    {.kind = STEP_COMPARE, .question = &UNEVEN},
    {.kind = STEP_PREDICT, .question = &SUM},
    {.kind = STEP_RUN,
     .before = {.text = N_("A linear model of three weights, trained by ranks that are threads, "
                           "with the division and without.")},
     .run = data_parallel_run_sum,
     .write = {show_sum}},
    {.kind = STEP_COMPARE, .question = &SUM},
    {.kind = STEP_RUN,
     .before = {.text = N_("The same model, by a program that has a mistake.")},
     .run = data_parallel_run_found,
     .write = {show_found}},
    {.kind = STEP_PREDICT, .question = &FAULT},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now each mistake is made in turn.")},
     .run = data_parallel_run_faults},
    {.kind = STEP_COMPARE, .question = &FAULT},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson data_parallel_lesson = {
    .number = 9,
    .name = "data_parallel",
    .title = N_("Data parallel is the same step"),
    .objective = N_("Why many ranks make the step of one, to the last bit, and how to recognise "
                    "five ways of getting it wrong."),
    .minutes = 15,
    .state_size = sizeof(DataParallel),
    .draw = draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
