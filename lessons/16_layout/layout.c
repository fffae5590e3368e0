// SPDX-License-Identifier: MIT
// Lesson 16: choosing a layout. How many there are, what each needs of a device's memory, which is
// fastest of those that fit, and what goes over which links. Numbers are in layouts.c.
#include "lessons/16_layout/layouts.h"
#include "lessons/lessons.h"

#include "lessons/engine/translate.h"
#include "viz/scene/scene.h"

#include <math.h>

static const char *name_of(Page *p, const Layout *l) {
    return page_text(p, "dp %d x tp %d x pp %d", l->dp, l->tp, l->pp);
}

// --- drawings

static int log2_of(int n) {
    int k = 0;
    while (n > 1 << k) k++;
    return k;
}

// Step times by degrees; a cell whose layout does not fit says so, one that is none is empty.
static void draw_map(Page *p, const Layouts *x) {
    enum { SIDE = 5 };
    SceneCell cells[SIDE * SIDE] = {{{0}}};
    const char *rows[SIDE], *columns[SIDE];
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    for (int k = 0; k < SIDE; k++) {
        rows[k] = page_text(p, "pp %d", 1 << k);
        columns[k] = page_text(p, "tp %d", 1 << k);
    }
    for (int i = 0; i < x->count; i++) {
        const Layout *l = &x->layouts[i];
        SceneCell *c = &cells[log2_of(l->pp) * SIDE + log2_of(l->tp)];
        snprintf(c->text, sizeof c->text, "%.0f ms", l->step_ms);
        if (!l->fits) snprintf(c->text, sizeof c->text, "%s", _("too large"));
        if (i == x->choice[CHOICE_BEST]) c->kind = CELL_DONE;
    }
    if (!d) return;
    scene_board(d, p->arena, PAGE_COLUMNS, &(SceneBoard){rows, columns, SIDE, SIDE, cells});
    page_draw(p, d);
}

static void draw_traffic(Page *p, const Layouts *x) {
    const SceneBar bars[] = {
        {_("tensor ranks side by side"), x->inner_between / 1e6, 0, false, TONE_COMM},
        {_("tensor ranks far apart"), x->outer_between / 1e6, 0, false, TONE_EXPOSED}};
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, 2, "%.0f MB", 0});
    page_draw(p, d);
}

// --- texts

static void hook(Page *p, const void *state) {
    const Layouts *x = state;
    page_say(p,
             _("A GPT of %.0f million weights, Adam, float, %d sequences of 512 a step, on two "
               "nodes of 8 H100; a device may take %s of its memory for it."),
             x->parameters / 1e6, x->batch, page_quantity(p, UNIT_BYTES, x->memory_bytes));
    page_say(p, _("Data, tensor and pipeline parallelism can be mixed. Which mixture is fastest? "
                  "There is no such machine here: all times are simulated."));
}

static void idea(Page *p, const void *state) {
    page_say(p, _("Each degree has its price:"));
    page_line(p, _("  dp   gradients, once a step, hidden; weights stay whole"));
    page_line(p, _("  tp   activations in each layer, waited for; weights / tp"));
    page_line(p, _("  pp   small messages, but a bubble;             weights / pp"));
    page_say(p, _("So: first what fits in memory, then what is sent most over the fastest links. "
                  "Here a rank is a device, and 8 neighbours share a node."));
}

static void show_runs(Page *p, const void *state) {
    const Layouts *x = state;
    page_line(p, _("  dp 2 x tp 2   loss %.7f   a rank sends %s a step"), x->run_loss[0],
              page_quantity(p, UNIT_BYTES, x->run_sent[0]));
    page_line(p, _("  dp 2 x pp 2   loss %.7f   a rank sends %s a step"), x->run_loss[1],
              page_quantity(p, UNIT_BYTES, x->run_sent[1]));
    page_say(p, _("Measured. Whatever the layout, it is the same step, but for rounding."));
}

static void box(Page *p, const void *state) {
    const Layouts *x = state;
    const Layout *best = &x->layouts[x->choice[CHOICE_BEST]];
    page_box(p,
             _("dp x tp x pp = devices; weights and states are 16/(tp x pp) bytes a weight with "
               "Adam. Take as little tp and pp as fits, tp within a node. Here %s: %.0f ms in %s; "
               "sim --advise searches like this."),
             name_of(p, best), best->step_ms, page_quantity(p, UNIT_BYTES, best->memory_bytes));
}

// --- how many

static void ask_count(Page *p, const void *state) {
    const Layouts *x = state;
    page_say(p,
             _("Take %d devices, divided as dp x tp x pp. In how many ways, if each degree may be "
               "any whole number?"),
             x->counted);
}

static int count_ways(int devices) {
    int ways = 0;
    for (int tp = 1; tp <= devices; tp++)
        for (int pp = 1; pp <= devices; pp++) ways += devices % (tp * pp) == 0;
    return ways;
}

static int count_divisors(int devices) {
    int divisors = 0;
    for (int k = 1; k <= devices; k++) divisors += devices % k == 0;
    return divisors;
}

static void truth_count(Truth *out, const void *state) {
    const Layouts *x = state;
    truth_one(out, FROM_THEORY, count_ways(x->counted));
}

static void free_degrees(Answer *out, const void *state) {
    const Layouts *x = state;
    answer_one(out, pow(count_divisors(x->counted), 3));
}
static void unordered(Answer *out, const void *state) {
    const Layouts *x = state;
    int ways = 0;
    for (int a = 1; a <= x->counted; a++)
        for (int b = a; a * b * b <= x->counted; b++) ways += x->counted % (a * b) == 0;
    answer_one(out, ways);
}
static void two_degrees(Answer *out, const void *state) {
    const Layouts *x = state;
    answer_one(out, count_divisors(x->counted));
}

static void hint_count_3(Page *p, const void *state) {
    const Layouts *x = state;
    const char *sum = "  ";
    for (int tp = 1; tp <= x->counted; tp++)
        if (x->counted % tp == 0)
            sum = page_text(p, "%s%s%d", sum, tp > 1 ? " + " : "", count_divisors(x->counted / tp));
    page_line(p, "%s", sum);
}

static void explain_count(Page *p, const void *state) {
    const Layouts *x = state;
    page_say(p,
             _("For each tp that divides %d, pp may be any divisor of the rest, and dp is what "
               "then remains: the product is always the number of devices. Schedules, ZeRO, "
               "recomputation and micro-batches multiply that."),
             x->counted);
}

static const Question COUNT = {
    .id = "how_many",
    .shape = {ANSWER_VALUE, UNIT_COUNT, 0},
    .ask = ask_count,
    .truth = truth_count,
    .wrong = {{"degrees_are_free",
               free_degrees,
               {.text = N_("That lets each degree be any divisor by itself. The product has to be "
                           "the number of devices: with two degrees the third is given.")}},
              {"order_is_no_matter",
               unordered,
               {.text = N_("That takes (2, 1, 8) and (8, 1, 2) for one. Which axis has 8 is all "
                           "that matters here.")}},
              {"one_degree",
               two_degrees,
               {.text = N_("That is how many values one degree can have.")}}},
    .hint = {{.text = N_("Choose tp, then pp; is dp still free?")},
             {.text = N_("  sum over the divisors tp of N of the number of divisors of N/tp")},
             {hint_count_3}},
    .explain = {explain_count},
};

// --- memory

static void ask_memory(Page *p, const void *state) {
    const Layouts *x = state;
    page_say(p,
             _("%.0f million weights in float, with gradients and Adam's two moments, divided as "
               "%s, without ZeRO. How many bytes of these four does a device hold?"),
             x->parameters / 1e6, name_of(p, &x->layouts[x->asked]));
}

static double states_of(const Layouts *x, double divisor) { return 16 * x->parameters / divisor; }

static void truth_memory(Truth *out, const void *state) {
    const Layouts *x = state;
    const Layout *l = &x->layouts[x->asked];
    truth_one(out, FROM_THEORY, states_of(x, l->tp * l->pp));
    truth_one(out, FROM_SIMULATION, l->state_bytes);
    out->relative = 0.04;
}

static void by_all(Answer *out, const void *state) {
    const Layouts *x = state;
    answer_one(out, states_of(x, x->devices));
}
static void by_tensor(Answer *out, const void *state) {
    const Layouts *x = state;
    answer_one(out, states_of(x, x->layouts[x->asked].tp));
}
static void weights_alone(Answer *out, const void *state) {
    const Layouts *x = state;
    const Layout *l = &x->layouts[x->asked];
    answer_one(out, states_of(x, 4 * l->tp * l->pp));
}

static void hint_memory_3(Page *p, const void *state) {
    const Layouts *x = state;
    const Layout *l = &x->layouts[x->asked];
    page_line(p, "  16 * %.4g / (%d * %d)", x->parameters, l->tp, l->pp);
}

static void explain_memory(Page *p, const void *state) {
    const Layouts *x = state;
    page_say(p,
             _("Data-parallel ranks hold the same. Planned for the simulation are %s: stages are "
               "not quite alike, the first has the embedding. Activations come on top; with them "
               "this layout takes %s, and that grows when fewer ranks share the batch."),
             page_quantity(p, UNIT_BYTES, x->layouts[x->asked].state_bytes),
             page_quantity(p, UNIT_BYTES, x->layouts[x->asked].memory_bytes));
}

static const Question MEMORY = {
    .id = "memory",
    .shape = {ANSWER_VALUE, UNIT_BYTES, 0},
    .ask = ask_memory,
    .truth = truth_memory,
    .wrong = {{"divided_by_all_devices",
               by_all,
               {.text = N_("Only ZeRO 3 divides by all devices. Data-parallel ranks each have a "
                           "copy of what tp and pp leave.")}},
              {"stages_have_all",
               by_tensor,
               {.text = N_("A stage has its own layers only: pp divides weights as well.")}},
              {"weights_alone",
               weights_alone,
               {.text =
                    N_("Those are the weights. Gradients and two moments are as large each.")}}},
    .hint = {{.text = N_("Which degrees divide the weights, and how many arrays are as large?")},
             {.text = N_("  4 * 4 bytes * weights / (tp * pp)")},
             {hint_memory_3}},
    .explain = {explain_memory},
};

// --- which is fastest

static const char *option_fastest(Page *p, const void *state, int which) {
    const Layouts *x = state;
    return name_of(p, &x->layouts[x->choice[which]]);
}

static void ask_fastest(Page *p, const void *state) {
    const Layouts *x = state;
    page_say(p,
             _("Which of these has the shortest step of all that fit into %s a device, with %d "
               "sequences a step in all cases?"),
             page_quantity(p, UNIT_BYTES, x->memory_bytes), x->batch);
}

// Of those that are offered.
static void truth_fastest(Truth *out, const void *state) {
    const Layouts *x = state;
    int best = CHOICE_BEST;
    for (int c = 0; c < LAYOUT_CHOICES; c++) {
        const Layout *l = &x->layouts[x->choice[c]];
        if (l->fits && l->step_ms < x->layouts[x->choice[best]].step_ms) best = c;
    }
    truth_one(out, FROM_SIMULATION, best);
}

static void reply_layout(Page *p, const Layouts *x, LayoutChoice c) {
    const Layout *l = &x->layouts[x->choice[c]];
    if (l->fits)
        page_say(p, _("%s takes %.0f ms, %.0f %% more than the best (simulated)."), name_of(p, l),
                 l->step_ms, 100 * layouts_regret(x, x->choice[c]));
    else
        page_say(p, _("%s needs %s a device and does not fit; else it would take %.0f ms."),
                 name_of(p, l), page_quantity(p, UNIT_BYTES, l->memory_bytes), l->step_ms);
}

static void reply_data(Page *p, const void *state) {
    reply_layout(p, state, CHOICE_DATA);
    page_say(p, _("Data parallelism sends least and waits least, but has everything on each "
                  "device. What is fast is of no use where it does not fit."));
}
static void reply_tensor(Page *p, const void *state) {
    reply_layout(p, state, CHOICE_TENSOR);
    page_say(p, _("With more tp each product is smaller and joined just as often, and fewer ranks "
                  "share the batch: all activations between layers are whole on each."));
}
static void reply_smallest(Page *p, const void *state) {
    reply_layout(p, state, CHOICE_SMALLEST);
    page_say(p, _("It takes the least memory, but what fits best need not be fast: memory is a "
                  "limit, not the aim. Deep pipelines pay with bubbles, between nodes or not."));
}

static void explain_fastest(Page *p, const void *state) {
    page_say(p, _("All layouts, simulated; marked: the fastest that fits."));
    draw_map(p, state);
}

static void hint_fastest_3(Page *p, const void *state) {
    const Layouts *x = state;
    for (int c = LAYOUT_CHOICES - 1; c >= 0; c--)
        page_line(p, "  %-22s %s", name_of(p, &x->layouts[x->choice[c]]),
                  page_quantity(p, UNIT_BYTES, x->layouts[x->choice[c]].memory_bytes));
}

static const Question FASTEST = {
    .id = "fastest",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, LAYOUT_CHOICES},
    .ask = ask_fastest,
    .option = option_fastest,
    .truth = truth_fastest,
    .wrong = {{"data_parallel_whatever_fits", .option = CHOICE_DATA, .reply = {reply_data}},
              {"more_tensor_is_better", .option = CHOICE_TENSOR, .reply = {reply_tensor}},
              {"what_fits_is_fast", .option = CHOICE_SMALLEST, .reply = {reply_smallest}}},
    .hint = {{.text = N_("First strike out what does not fit; then ask what each waits for.")},
             {.text = N_("  tp waits in each layer, pp for a bubble of (pp-1)/(M+pp-1), dp hides")},
             {hint_fastest_3}},
    .explain = {explain_fastest},
};

// --- the order of ranks

enum { ORDER_SAME, ORDER_SLOWER, ORDER_FASTER, ORDER_OPTIONS };

static const char *const order_options[] = {
    N_("the same: the same bytes are sent"),
    N_("slower"),
    N_("faster: data-parallel ranks are neighbours then"),
};

static void ask_order(Page *p, const void *state) {
    const Layouts *x = state;
    const Layout *l = &x->layouts[x->ordered];
    page_say(p,
             _("%s on two nodes of 8. Usually the %d ranks of a tensor-parallel group are "
               "neighbours. Let ranks be numbered the other way, so that groups are spread over "
               "both nodes. A step is then"),
             name_of(p, l), l->tp);
}

static void truth_order(Truth *out, const void *state) {
    const Layouts *x = state;
    double ratio = x->outer_ms / x->layouts[x->ordered].step_ms;
    truth_one(out, FROM_SIMULATION,
              ratio > 1.01   ? ORDER_SLOWER
              : ratio < 0.99 ? ORDER_FASTER
                             : ORDER_SAME);
}

static void hint_order_3(Page *p, const void *state) {
    const Layouts *x = state;
    page_line(p, _("  between nodes a device sends %s, or %s a step (simulated)"),
              page_quantity(p, UNIT_BYTES, x->inner_between),
              page_quantity(p, UNIT_BYTES, x->outer_between));
}

static void explain_order(Page *p, const void *state) {
    const Layouts *x = state;
    page_say(p,
             _("%.0f ms against %.0f ms (simulated). The layers' all-reduces of activations now "
               "cross the slow links. What a device sends between nodes in a step:"),
             x->layouts[x->ordered].step_ms, x->outer_ms);
    draw_traffic(p, x);
}

static const Question ORDER = {
    .id = "rank_order",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, ORDER_OPTIONS},
    .ask = ask_order,
    .options = order_options,
    .truth = truth_order,
    .wrong = {{"order_does_not_matter", .option = ORDER_SAME,
               .reply = {.text = N_("The bytes are the same, but over other links: a rail between "
                                    "nodes carries 50 GB/s, NVLink 450.")}},
              {"gradients_decide", .option = ORDER_FASTER,
               .reply = {.text = N_("Gradients are sent once a step, behind the backward pass. "
                                    "Activations are joined in every layer, and nothing can go "
                                    "on before that.")}}},
    .hint = {{.text = N_("Which of the axes sends most, and over which links does it go?")},
             {.text = N_("  bytes over a link / its bandwidth, for both orders")},
             {hint_order_3}},
    .explain = {explain_order},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &COUNT},
    {.kind = STEP_COMPARE, .question = &COUNT},
    {.kind = STEP_PREDICT, .question = &MEMORY},
    {.kind = STEP_COMPARE, .question = &MEMORY},
    {.kind = STEP_PREDICT, .question = &FASTEST},
    {.kind = STEP_COMPARE, .question = &FASTEST},
    {.kind = STEP_PREDICT, .question = &ORDER},
    {.kind = STEP_COMPARE, .question = &ORDER},
    {.kind = STEP_RUN,
     .before = {.text = N_("Two layouts of four ranks really run here, a small MLP with the "
                           "trainer, on threads:")},
     .run = layouts_train,
     .write = {show_runs}},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson layout_lesson = {
    .number = 16,
    .name = "layout",
    .title = N_("Choosing a layout"),
    .objective = N_("How to divide a model over devices: what fits, what is fast, and which links "
                    "the bytes take."),
    .minutes = 12,
    .state_size = sizeof(Layouts),
    .draw = layouts_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
