// SPDX-License-Identifier: MIT
// Lesson 14: tensor parallelism (Megatron-LM, Shoeybi et al., 2019). Cut one product by its outputs
// and the next by its inputs, and one all-reduce joins both; what that sends, what it does not cut,
// how it goes wrong, and what a slow link does to it. Numbers are in tensor_split.c.
#include "lessons/14_tensor_parallel/tensor_split.h"
#include "lessons/lessons.h"

#include "lessons/engine/translate.h"
#include "viz/scene/scene.h"

// --- drawings

// Which hidden units a rank has of each layer of a pair.
static void draw_tiles(Page *p, const TensorSplit *x) {
    enum { ROWS = 5 };
    SceneCell cells[ROWS * SPLIT_RANKS] = {{{0}}};
    char names[SPLIT_RANKS][16];
    const char *columns[SPLIT_RANKS];
    const char *const rows[ROWS] = {"x", _("W1, its rows"), _("W2, its columns"), _("part of y"),
                                    _("y, after the sum")};
    for (int r = 0; r < x->ranks; r++) {
        int size = x->hidden / x->ranks;
        snprintf(names[r], sizeof names[r], _("rank %d"), r);
        columns[r] = names[r];
        for (int k = 0; k < ROWS; k++) {
            SceneCell *c = &cells[k * x->ranks + r];
            bool cut = k == 1 || k == 2;
            c->kind = cut ? CELL_DONE : k == 3 ? CELL_MOVING : CELL_PLAIN;
            snprintf(c->text, sizeof c->text, "%s", _("all"));
            if (cut) snprintf(c->text, sizeof c->text, "%d-%d", r * size, (r + 1) * size - 1);
            if (k == 3) snprintf(c->text, sizeof c->text, "p%d", r);
        }
    }
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_board(d, p->arena, PAGE_COLUMNS, &(SceneBoard){rows, columns, ROWS, x->ranks, cells});
    page_draw(p, d);
}

// The ranks' parts of the small MLP's outputs, their sum, and the bias.
static void draw_parts(Page *p, const TensorSplit *x) {
    enum { MORE = 3 };
    SceneCell cells[(SPLIT_RANKS + MORE) * SPLIT_OUTPUTS] = {{{0}}};
    char names[SPLIT_RANKS][16];
    const char *rows[SPLIT_RANKS + MORE];
    static const char *const columns[] = {"y_1", "y_2", "y_3"};
    for (int r = 0; r < x->ranks; r++) {
        snprintf(names[r], sizeof names[r], _("rank %d"), r);
        rows[r] = names[r];
    }
    rows[x->ranks] = "b2";
    rows[x->ranks + 1] = "y";
    rows[x->ranks + 2] = _("wrong y");
    for (int o = 0; o < SPLIT_OUTPUTS; o++)
        for (int r = 0; r < x->ranks + MORE; r++) {
            SceneCell *c = &cells[r * SPLIT_OUTPUTS + o];
            float v = r < x->ranks        ? x->partial[r][o]
                      : r == x->ranks     ? x->mlp.b2[o]
                      : r == x->ranks + 1 ? x->right[o]
                                          : x->wrong[o];
            c->kind = r < x->ranks ? CELL_MOVING : r > x->ranks ? CELL_DONE : CELL_PLAIN;
            snprintf(c->text, sizeof c->text, "%.3f", (double)v);
        }
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_board(d, p->arena, PAGE_COLUMNS - 16,
                &(SceneBoard){rows, columns, x->ranks + MORE, SPLIT_OUTPUTS, cells});
    page_draw(p, d);
}

// --- texts

static void hook(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_say(p,
             _("An MLP of %d hidden layers of %d units, a batch of %d. Instead of copying it, %d "
               "ranks are to share every product: each has 1/%d of every weight matrix."),
             2 * x->pairs - 1, x->hidden, x->batch, x->ranks, x->ranks);
    page_say(p, _("Then a rank has a part of each result only. How often must they talk?"));
}

static void idea(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_line(p, "  y = W2 relu(W1 x)");
    page_say(p,
             _("Cut W1 by its outputs: each rank computes %d of the %d hidden units whole, and "
               "ReLU works on each unit by itself. Cut W2 by its inputs, the same units: each "
               "rank gets a part of the sum that y is. One all-reduce adds the parts."),
             x->hidden / x->ranks, x->hidden);
    draw_tiles(p, x);
    page_say(p, _("Backwards the gradient of x is such a sum, too: one all-reduce for each pair, "
                  "but for the first, whose x is data."));
}

static void before_train(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_say(p,
             _("Now the trainer runs it on one rank and, split, on %d. The communicator counts."),
             x->ranks);
}

static void show_train(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_line(p, _("  loss on one rank     %.7f  (measured)"), x->dense_loss);
    page_line(p, _("  loss, split on %d     %.7f  (measured)"), x->ranks, x->loss);
    page_say(p, _("Sums are added in another order, so the last digits may differ."));
}

static void before_compute(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_say(p,
             _("A small pair with three outputs, computed by %d ranks as it should be, and once "
               "more by somebody who made one mistake."),
             x->ranks);
}

static void show_compute(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_line(p, _("  on one rank           %.6f  %.6f  %.6f  (measured)"), (double)x->dense[0],
              (double)x->dense[1], (double)x->dense[2]);
    page_line(p, _("  as it should be       %.6f  %.6f  %.6f  (measured)"), (double)x->right[0],
              (double)x->right[1], (double)x->right[2]);
    page_line(p, _("  with the mistake      %.6f  %.6f  %.6f  (measured)"), (double)x->wrong[0],
              (double)x->wrong[1], (double)x->wrong[2]);
    page_say(p, _("The first two differ by %d ulp at most."), x->ulps);
}

static void box(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_box(p,
             _("Tensor parallelism joins activations, 2(N-1)/N of batch x width for each pair and "
               "direction, while all wait. Here %s a step for %s of weights; with a link %.0f "
               "times slower it takes %.1f times as long: keep it within a node."),
             page_quantity(p, UNIT_BYTES, x->sent), page_quantity(p, UNIT_BYTES, x->weights),
             x->link_rate / x->rail_rate, x->formula_ratio);
}

// --- bytes

static void ask_bytes(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_say(p,
             _("%d hidden layers of %d units and an output layer of 10: %d pairs. Batch %d, float, "
               "%d ranks. How many bytes does a rank send in a step, forward and backward?"),
             2 * x->pairs - 1, x->hidden, x->pairs, x->batch, x->ranks);
}

static double of_ring(const TensorSplit *x, double bytes) {
    return 2 * bytes * (x->ranks - 1) / x->ranks;
}

static void truth_bytes(Truth *out, const void *state) {
    const TensorSplit *x = state;
    truth_one(out, FROM_THEORY, of_ring(x, x->joined));
    answer_one(&out->from[FROM_MEASUREMENT], x->sent);
    out->known[FROM_MEASUREMENT] = x->ran;
    out->relative = 0.01;
}

static void each_product(Answer *out, const void *state) {
    const TensorSplit *x = state;
    double width = 4.0 * x->batch * x->hidden, logits = 4.0 * x->batch * 10;
    answer_one(out, of_ring(x, 2 * (2 * x->pairs - 1) * width + logits));
}
static void as_data_parallel(Answer *out, const void *state) {
    const TensorSplit *x = state;
    answer_one(out, of_ring(x, x->weights));
}
static void forward_only(Answer *out, const void *state) {
    const TensorSplit *x = state;
    answer_one(out, of_ring(x, 4.0 * x->batch * ((x->pairs - 1) * x->hidden + 10)));
}

static void reply_data_parallel(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_say(p,
             _("That is what data parallelism sends: gradients of all weights (%s), once a step, "
               "whatever the batch. Here every rank has other weights and keeps their gradients; "
               "what is sent grows with the batch."),
             page_quantity(p, UNIT_BYTES, x->weights));
}

static void hint_bytes_3(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_line(p, "  2 * %d/%d * 4 * %d * (%d * %d + 10)", x->ranks - 1, x->ranks, x->batch,
              2 * (x->pairs - 1), x->hidden);
}

static void explain_bytes(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_say(p,
             _("%d all-reduces in the plan: %d forward, the last of them of the 10 outputs, and "
               "%d backward. Together they join %s."),
             x->planned_joins, x->pairs, x->pairs - 1, page_quantity(p, UNIT_BYTES, x->joined));
}

static const Question BYTES = {
    .id = "bytes_sent",
    .shape = {ANSWER_VALUE, UNIT_BYTES, 0},
    .ask = ask_bytes,
    .truth = truth_bytes,
    .wrong = {{"each_product_communicates",
               each_product,
               {.text = N_("That joins the result of every product. Between the two of a pair "
                           "nothing is sent: the second one takes just those units that the rank "
                           "has.")}},
              {"as_data_parallel", as_data_parallel, {reply_data_parallel}},
              {"forward_only",
               forward_only,
               {.text = N_("That is the forward. Backwards each pair gives a part of the gradient "
                           "of its input, and these parts have to be added up as well.")}}},
    .hint = {{.text = N_("Per pair: one result is joined in the forward, and one gradient of an "
                         "input in the backward, but for the first pair.")},
             {.text = N_("  2 (N-1)/N * 4 bytes * batch * (2 (pairs-1) * width + classes)")},
             {hint_bytes_3}},
    .explain = {explain_bytes},
};

// --- activations

static void ask_kept(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_say(p,
             _("The results of the %d hidden layers are kept for the backward. What share of what "
               "one rank would keep does each of the %d ranks keep?"),
             2 * x->pairs - 1, x->ranks);
}

static void truth_kept(Truth *out, const void *state) {
    const TensorSplit *x = state;
    truth_one(out, FROM_THEORY, x->split_bytes / x->dense_bytes);
    out->absolute = 0.01;
}

static void all_cut(Answer *out, const void *state) {
    const TensorSplit *x = state;
    answer_one(out, 1.0 / x->ranks);
}
static void none_cut(Answer *out, const void *state) { answer_one(out, 1); }

static void hint_kept_3(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_line(p, "  (%d/%d + %d) / %d", x->pairs, x->ranks, x->pairs - 1, 2 * x->pairs - 1);
}

static void explain_kept(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_say(p,
             _("By the plans: %s of %s. The results within a pair (%d) are cut; those between two "
               "pairs (%d) are whole on every rank. Sequence parallelism cuts these, too."),
             page_quantity(p, UNIT_BYTES, x->split_bytes),
             page_quantity(p, UNIT_BYTES, x->dense_bytes), x->pairs, x->pairs - 1);
}

static const Question KEPT = {
    .id = "activations",
    .shape = {ANSWER_VALUE, UNIT_SHARE, 0},
    .ask = ask_kept,
    .truth = truth_kept,
    .wrong = {{"all_are_cut",
               all_cut,
               {.text = N_("Weights are cut everywhere, results only within a pair: what an "
                           "all-reduce gives is whole, on every rank.")}},
              {"none_is_cut",
               none_cut,
               {.text = N_("Between the two products of a pair a rank has only the units that it "
                           "computed.")}}},
    .hint = {{.text = N_("Which layers' results are in pieces, and which come out of an "
                         "all-reduce?")},
             {.text = N_("  (pairs/N + (pairs-1)) / (2 pairs - 1)")},
             {hint_kept_3}},
    .explain = {explain_kept},
};

// --- the mistake

static const char *const fault_options[] = {
    N_("every rank added b2 before the sum"),
    N_("W1 was cut by its inputs, and ReLU came before the sum"),
    N_("the all-reduce is missing: rank 0 went on with its part"),
    N_("none: that is rounding, in another order of additions"),
};

static void ask_fault(Page *p, const void *state) {
    page_say(p,
             _("What the ranks have before the sum, the bias, y as it should be, and the wrong y. "
               "Which mistake gave it?"));
    draw_parts(p, state);
}

static void truth_fault(Truth *out, const void *state) {
    const TensorSplit *x = state;
    truth_one(out, FROM_THEORY, x->fault);
    answer_one(&out->from[FROM_MEASUREMENT], tensor_split_diagnose(x, x->wrong));
    out->known[FROM_MEASUREMENT] = x->computed;
}

static int other_fault(const TensorSplit *x, int which) {
    return ((int)x->fault + which) % FAULT_COUNT;
}

static void first_other(Answer *out, const void *state) { answer_one(out, other_fault(state, 1)); }
static void second_other(Answer *out, const void *state) { answer_one(out, other_fault(state, 2)); }

static void reply_other(Page *p, const TensorSplit *x, int which) {
    double y[SPLIT_OUTPUTS];
    tensor_split_expect(y, x, (SplitFault)other_fault(x, which));
    page_say(p, _("With that mistake y would be (theory):"));
    page_line(p, "  %.3f  %.3f  %.3f", y[0], y[1], y[2]);
}
static void reply_first(Page *p, const void *state) { reply_other(p, state, 1); }
static void reply_second(Page *p, const void *state) { reply_other(p, state, 2); }

static void reply_rounding(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_say(p,
             _("Rounding shows in the last of seven digits, here %d ulp at most. What can be seen "
               "in the third digit is a mistake."),
             x->ulps);
}

static void hint_fault_3(Page *p, const void *state) {
    const TensorSplit *x = state;
    for (int o = 0; o < SPLIT_OUTPUTS; o++)
        page_line(p, "  %.3f - %.3f = %.3f;  %d b2 = %.3f;  p0 + b2 = %.3f", (double)x->wrong[o],
                  (double)x->right[o], (double)(x->wrong[o] - x->right[o]), x->ranks - 1,
                  (x->ranks - 1) * (double)x->mlp.b2[o], (double)(x->partial[0][o] + x->mlp.b2[o]));
}

static const Question FAULT = {
    .id = "which_mistake",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, FAULT_COUNT + 1},
    .ask = ask_fault,
    .options = fault_options,
    .truth = truth_fault,
    .wrong = {{"it_is_rounding", .option = FAULT_NONE, .reply = {reply_rounding}},
              {"another_mistake", first_other, {reply_first}},
              {"yet_another_mistake", second_other, {reply_second}}},
    .hint = {{.text = N_("Look at the difference of the two y. Is it a multiple of something in "
                         "the table?")},
             {.text = N_("  bias: y + (N-1) b2;  no sum: p0 + b2;  ReLU first: neither")},
             {hint_fault_3}},
    .explain = {.text =
                    N_("The bias of a product that is cut by its inputs is added once, after the "
                       "sum. And relu(a + b) is not relu(a) + relu(b): a nonlinearity may stand "
                       "where units are whole, never between parts and their sum.")},
};

// --- a slow link

static void ask_slow(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_say(
        p,
        _("An all-reduce of %s on %d H100: within a node (%s, %s of latency) or with each on "
          "a node of its own (%s, %s). How many times as long does it take across?"),
        page_quantity(p, UNIT_BYTES, x->reduced), x->ranks,
        page_quantity(p, UNIT_RATE, x->link_rate), page_quantity(p, UNIT_SECONDS, x->link_latency),
        page_quantity(p, UNIT_RATE, x->rail_rate), page_quantity(p, UNIT_SECONDS, x->rail_latency));
}

static void truth_slow(Truth *out, const void *state) {
    const TensorSplit *x = state;
    truth_one(out, FROM_THEORY, x->formula_ratio);
    truth_one(out, FROM_SIMULATION, x->nccl_ratio);
    out->relative = 0.1;
}

static void same_bytes(Answer *out, const void *state) { answer_one(out, 1); }
static void latencies(Answer *out, const void *state) {
    const TensorSplit *x = state;
    answer_one(out, x->rail_latency / x->link_latency);
}

static void hint_slow_3(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_line(p, _("  about %s / %s, since latencies are small here"),
              page_quantity(p, UNIT_RATE, x->link_rate), page_quantity(p, UNIT_RATE, x->rail_rate));
}

static void explain_slow(Page *p, const void *state) {
    const TensorSplit *x = state;
    page_say(p,
             _("In theory a ring takes 2(N-1) rounds of latency + S/N at the link's rate: %.2f "
               "times. The simulator prices it by NCCL's model of DGX H100, which reaches less of "
               "either link and may add in the switch: %.2f times. No H100 was measured."),
             x->formula_ratio, x->nccl_ratio);
    page_say(p, _("Nothing hides these all-reduces: the next product needs the sum."));
}

static const Question SLOW = {
    .id = "slow_link",
    .shape = {ANSWER_VALUE, UNIT_TIMES, 0},
    .ask = ask_slow,
    .truth = truth_slow,
    .wrong = {{"same_bytes_same_time",
               same_bytes,
               {.text = N_("The bytes are the same, the link is not. Between nodes a device has "
                           "one network adapter, within a node all of NVLink.")}},
              {"latency_decides",
               latencies,
               {.text = N_("That is the ratio of latencies. It would decide for a few kB; for so "
                           "many bytes the time is that of the transfer.")}}},
    .hint = {{.text = N_("Which is larger here, the latencies or the transfer?")},
             {.text = N_("  time = 2 (N-1) * (latency + S/N / bandwidth)")},
             {hint_slow_3}},
    .explain = {explain_slow},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &BYTES},
    {.kind = STEP_PREDICT, .question = &KEPT},
    {.kind = STEP_RUN, .before = {before_train}, .run = tensor_split_train, .write = {show_train}},
    {.kind = STEP_COMPARE, .question = &BYTES},
    {.kind = STEP_COMPARE, .question = &KEPT},
    {.kind = STEP_RUN,
     .before = {before_compute},
     .run = tensor_split_compute,
     .write = {show_compute}},
    {.kind = STEP_PREDICT, .question = &FAULT},
    {.kind = STEP_COMPARE, .question = &FAULT},
    {.kind = STEP_PREDICT, .question = &SLOW},
    {.kind = STEP_COMPARE, .question = &SLOW},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson tensor_parallel_lesson = {
    .number = 14,
    .name = "tensor_parallel",
    .title = N_("Tensor parallelism"),
    .objective = N_("How two products are cut so that one all-reduce joins them, what that sends, "
                    "and how it goes wrong."),
    .minutes = 15,
    .state_size = sizeof(TensorSplit),
    .draw = tensor_split_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
