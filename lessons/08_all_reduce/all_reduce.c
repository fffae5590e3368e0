// SPDX-License-Identifier: MIT
// Lesson 8: all-reduce by hand. Bytes and rounds of the ring (Patarasuk and Yuan 2009), against
// everybody sending everything to everybody; and what the order of additions does to the sum.
#include "lessons/lessons.h"

#include "lessons/engine/ranks.h"
#include "lessons/engine/translate.h"
#include "parallel/collective/collective.h"
#include "viz/scene/scene.h"

#include <math.h>
#include <string.h>

enum { MOST_RANKS = 8, SUMMANDS = 4 };

typedef struct {
    int ranks;
    int64_t count;  // f32 of each rank's buffer
    double bytes;   // of it
    bool ran;
    double counted, rounds;          // bytes and chunks that a rank took: one chunk a round
    float bring[SUMMANDS];           // one number of each of four ranks
    float ring_sum, rank_order_sum;  // their sum around a ring, and in the order of ranks
} AllReduce;

// --- numbers

static Status draw(const LessonRun *run, void *state) {
    AllReduce *x = state;
    Rng r = lesson_rng(run, 0);
    x->ranks = 5 + (int)rng_below(&r, MOST_RANKS - 4);
    x->count = (int64_t)x->ranks * (50 + rng_below(&r, 150)) * 1000;
    x->bytes = (double)x->count * (double)sizeof(float);
    // In the order of ranks the second is lost beside the first; around the ring the last is.
    const float large = 1e8F * (float)(1 + rng_below(&r, 5));
    const float bring[SUMMANDS] = {large, (float)(2 + rng_below(&r, 2)), -large, 1};
    memcpy(x->bring, bring, sizeof bring);
    return OK;
}

static Status reduce_ones(Comm *c, void *context) {
    AllReduce *x = context;
    float *pool = c->pool;
    for (int64_t i = 0; i < x->count; i++) pool[i] = (float)c->rank;
    TRY(ranks_all_reduce(c, ALGORITHM_RING, x->count));
    float sum = (float)(x->ranks * (x->ranks - 1) / 2);
    for (int64_t i = 0; i < x->count; i++)
        if (pool[i] != sum)
            FAIL(ERR_FAILED, "rank %d: element %lld is not the sum", c->rank, (long long)i);
    if (c->rank == 0) x->counted = (double)c->counts[0][COLLECTIVE_ALL_REDUCE].bytes;
    return OK;
}

static Status run_ring(const LessonRun *run, void *state) {
    AllReduce *x = state;
    TRY(ranks_run(x->ranks, (int64_t)x->bytes + 4096, reduce_ones, x));
    x->rounds = x->counted / (x->bytes / x->ranks);
    x->ran = true;
    return OK;
}

typedef struct {
    const float *bring;
    Algorithm algorithm;
    float sum;
} Sum;

// Element 1 of four, so that the ring begins to add it at another rank than 0.
static Status reduce_one(Comm *c, void *context) {
    Sum *s = context;
    float *pool = c->pool;
    for (int i = 0; i < SUMMANDS; i++) pool[i] = s->bring[c->rank];
    TRY(ranks_all_reduce(c, s->algorithm, SUMMANDS));
    if (c->rank == 0) s->sum = pool[1];
    return OK;
}

static Status run_orders(const LessonRun *run, void *state) {
    AllReduce *x = state;
    Sum ring = {x->bring, ALGORITHM_RING, 0}, direct = {x->bring, ALGORITHM_DIRECT, 0};
    TRY(ranks_run(SUMMANDS, 4096, reduce_one, &ring));
    TRY(ranks_run(SUMMANDS, 4096, reduce_one, &direct));
    x->ring_sum = ring.sum;
    x->rank_order_sum = direct.sum;
    return OK;
}

// --- texts

static void hook(Page *p, const void *state) {
    const AllReduce *x = state;
    page_say(p,
             _("Each of %d ranks has computed a gradient of %s. All need the sum of all. Nobody "
               "has more than one link."),
             x->ranks, page_quantity(p, UNIT_BYTES, x->bytes));
    page_say(p,
             _("The obvious way: everybody sends everything to everybody. How much better can it "
               "be done?"));
}

// What each rank has of each chunk after so many rounds: how many ranks' numbers are added there.
static void draw_board(Page *p, const AllReduce *x, int rounds) {
    SceneCell cells[MOST_RANKS * MOST_RANKS] = {{{0}}};
    char names[2][MOST_RANKS][16];
    const char *ranks[MOST_RANKS], *chunks[MOST_RANKS];
    int terms[MOST_RANKS][MOST_RANKS];  // [rank][chunk]
    const Collective ring = {.kind = COLLECTIVE_ALL_REDUCE,
                             .algorithm = ALGORITHM_RING,
                             .ranks = x->ranks,
                             .elements = x->count};
    for (int r = 0; r < x->ranks; r++) {
        snprintf(names[0][r], sizeof names[0][r], _("rank %d"), r);
        snprintf(names[1][r], sizeof names[1][r], _("chunk %d"), r);
        ranks[r] = names[0][r];
        chunks[r] = names[1][r];
        for (int c = 0; c < x->ranks; c++) terms[r][c] = 1;
    }
    for (int64_t round = 0; round < rounds; round++)
        for (int r = 0; r < x->ranks; r++)
            for (int i = 0; i < collective_steps(&ring, round, r); i++) {
                CollectiveStep step = collective_step(&ring, round, r, i);
                if (step.source == r) continue;
                terms[r][step.chunk] = terms[step.source][step.chunk] + 1;
                if (round == rounds - 1) cells[r * x->ranks + step.chunk].kind = CELL_MOVING;
            }
    for (int i = 0; i < x->ranks * x->ranks; i++)
        snprintf(cells[i].text, sizeof cells[i].text, "%d/%d", terms[i / x->ranks][i % x->ranks],
                 x->ranks);
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_board(d, p->arena, PAGE_COLUMNS, &(SceneBoard){ranks, chunks, x->ranks, x->ranks, cells});
    page_say(p,
             _("After %d rounds, how many of the ranks' numbers each chunk has in it; marked: what "
               "has just come."),
             rounds);
    page_draw(p, d);
}

static void idea(Page *p, const void *state) {
    const AllReduce *x = state;
    page_say(p,
             _("A ring: cut the buffer into %d chunks, one a rank. In each round every rank sends "
               "one chunk to the next rank and takes one from the rank before."),
             x->ranks);
    page_say(p,
             _("First the chunks travel and are added on the way (reduce-scatter): then each rank "
               "has one chunk of the whole sum. Then the finished chunks travel around once more "
               "(all-gather)."));
    draw_board(p, x, x->ranks / 2);
}

static void box(Page *p, const void *state) {
    const AllReduce *x = state;
    page_box(p,
             _("Ring all-reduce: a rank sends 2(N-1)/N times the buffer, less than twice, for any "
               "number of ranks; 2(N-1) rounds, so latency grows with N. Here: %s sent for a "
               "buffer of %s, in %.0f rounds."),
             page_digits(p, UNIT_BYTES, 4, x->counted), page_quantity(p, UNIT_BYTES, x->bytes),
             x->rounds);
}

static void before_ring(Page *p, const void *state) {
    const AllReduce *x = state;
    page_say(p,
             _("Now %d threads do it, with the communicator that the trainer uses. It counts the "
               "bytes that each rank receives from others, as many as it sends; every element of "
               "the sum is checked."),
             x->ranks);
}

// --- bytes

static void ask_bytes(Page *p, const void *state) {
    const AllReduce *x = state;
    page_say(p, _("%d ranks, %s each. How many bytes does a rank send in a ring all-reduce?"),
             x->ranks, page_digits(p, UNIT_BYTES, 5, x->bytes));
}

static void truth_bytes(Truth *out, const void *state) {
    const AllReduce *x = state;
    truth_one(out, FROM_THEORY, 2 * x->bytes * (x->ranks - 1) / x->ranks);
    answer_one(&out->from[FROM_MEASUREMENT], x->counted);
    out->known[FROM_MEASUREMENT] = x->ran;
    out->relative = 0.01;
}

static void to_everyone(Answer *out, const void *state) {
    const AllReduce *x = state;
    answer_one(out, x->bytes * (x->ranks - 1));
}
static void just_once(Answer *out, const void *state) {
    const AllReduce *x = state;
    answer_one(out, x->bytes);
}
static void one_phase(Answer *out, const void *state) {
    const AllReduce *x = state;
    answer_one(out, x->bytes * (x->ranks - 1) / x->ranks);
}

static void reply_to_everyone(Page *p, const void *state) {
    const AllReduce *x = state;
    page_say(
        p,
        _("That is the whole buffer to each of the %d others. In a ring a rank talks to one "
          "neighbour only, and what it passes on is already a sum: one chunk stands for many."),
        x->ranks - 1);
}
static void hint_bytes_3(Page *p, const void *state) {
    const AllReduce *x = state;
    page_line(p, "  2 * %d * %s / %d", x->ranks - 1, page_digits(p, UNIT_BYTES, 5, x->bytes),
              x->ranks);
}
static void explain_bytes(Page *p, const void *state) {
    const AllReduce *x = state;
    page_say(p, _("A chunk is %s, and a rank sends one in each of 2 x %d rounds."),
             page_quantity(p, UNIT_BYTES, x->bytes / x->ranks), x->ranks - 1);
}

static const Question BYTES = {
    .id = "bytes_sent",
    .shape = {ANSWER_VALUE, UNIT_BYTES, 0},
    .ask = ask_bytes,
    .truth = truth_bytes,
    .wrong = {{"whole_buffer_to_everyone", to_everyone, {reply_to_everyone}},
              {"buffer_once",
               just_once,
               {.text = N_("That is the buffer once. It is sent almost twice: the parts of the sum "
                           "have to come together, and then the sum has to get everywhere.")}},
              {"one_trip",
               one_phase,
               {.text = N_("That is one trip around the ring. After it each rank has the whole sum "
                           "of one chunk only; a second trip takes the finished chunks to all.")}}},
    .hint = {{.text = N_("How large is a chunk, and how often does a rank send one?")},
             {.text = N_("  bytes sent = 2 (N-1) * S/N")},
             {hint_bytes_3}},
    .explain = {explain_bytes},
};

// --- rounds

static void ask_rounds(Page *p, const void *state) {
    const AllReduce *x = state;
    page_say(p, _("How many rounds does the ring take, with %d ranks?"), x->ranks);
}

static void truth_rounds(Truth *out, const void *state) {
    const AllReduce *x = state;
    truth_one(out, FROM_THEORY, 2 * (x->ranks - 1));
    answer_one(&out->from[FROM_MEASUREMENT], x->rounds);
    out->known[FROM_MEASUREMENT] = x->ran;
}

static void rounds_of_ranks(Answer *out, const void *state) {
    const AllReduce *x = state;
    answer_one(out, x->ranks);
}
static void rounds_of_one_trip(Answer *out, const void *state) {
    const AllReduce *x = state;
    answer_one(out, x->ranks - 1);
}
static void rounds_of_two_whole(Answer *out, const void *state) {
    const AllReduce *x = state;
    answer_one(out, 2 * x->ranks);
}

static void hint_rounds_3(Page *p, const void *state) {
    const AllReduce *x = state;
    page_line(p, "  2 * (%d - 1)", x->ranks);
}
static void explain_rounds(Page *p, const void *state) {
    const AllReduce *x = state;
    page_say(p,
             _("%d ranks add to a chunk after its first, and %d get the finished one. Each round "
               "costs a latency: for small buffers a ring over many ranks is slow."),
             x->ranks - 1, x->ranks - 1);
}

static const Question ROUNDS = {
    .id = "rounds",
    .shape = {ANSWER_VALUE, UNIT_COUNT, 0},
    .ask = ask_rounds,
    .truth = truth_rounds,
    .wrong =
        {{"one_a_rank",
          rounds_of_ranks,
          {.text = N_("One round a rank would bring a chunk back to where it began, which is one "
                      "too many, and once around is only half of it.")}},
         {"one_trip",
          rounds_of_one_trip,
          {.text =
               N_("That is once around: enough to add everything up, not to spread the result.")}},
         {"whole_trips",
          rounds_of_two_whole,
          {.text = N_("A chunk need not come back to the rank it left from: each trip has one "
                      "round less than there are ranks.")}}},
    .hint =
        {{.text = N_(
              "Follow one chunk: how many ranks must add to it, and how many must then get it?")},
         {.text = "  2 (N-1)"},
         {hint_rounds_3}},
    .explain = {explain_rounds},
};

// --- order

static void ask_order(Page *p, const void *state) {
    const AllReduce *x = state;
    page_say(p,
             _("Four ranks bring, in float, %.9g, %.9g, %.9g and %.9g. Is the sum around the ring "
               "the same as the sum in the order of the ranks?"),
             (double)x->bring[0], (double)x->bring[1], (double)x->bring[2], (double)x->bring[3]);
}

enum { ORDER_DIFFERS, ORDER_SAME, ORDER_RANKS_DIFFER, ORDER_OPTIONS };

static const char *option_order(Page *p, const void *state, int which) {
    if (which == ORDER_DIFFERS) return _("no: it depends on who is added first");
    if (which == ORDER_SAME) return _("yes: a sum does not depend on the order");
    return _("no, and each rank gets a sum of its own");
}

// The second element's sum when it is added as the ring's schedule says, and in the order of ranks.
static bool orders_differ(const AllReduce *x) {
    const Collective ring = {.kind = COLLECTIVE_ALL_REDUCE,
                             .algorithm = ALGORITHM_RING,
                             .ranks = SUMMANDS,
                             .elements = SUMMANDS};
    float result[SUMMANDS] = {0}, sum = x->bring[0];
    for (int r = 1; r < SUMMANDS; r++) sum += x->bring[r];
    for (int64_t round = 0; round < collective_rounds(&ring); round++)
        for (int r = 0; r < SUMMANDS; r++)
            for (int i = 0; i < collective_steps(&ring, round, r); i++) {
                CollectiveStep step = collective_step(&ring, round, r, i);
                const float *from = step.from == FROM_INPUT ? x->bring : result;
                if (step.chunk != 1) continue;
                result[r] = from[step.source] + (step.action == STEP_REDUCE ? result[r] : 0);
            }
    return result[0] != sum;
}

static void truth_order(Truth *out, const void *state) {
    const AllReduce *x = state;
    truth_one(out, FROM_THEORY, orders_differ(x) ? ORDER_DIFFERS : ORDER_SAME);
    answer_one(&out->from[FROM_MEASUREMENT],
               x->ring_sum != x->rank_order_sum ? ORDER_DIFFERS : ORDER_SAME);
    out->known[FROM_MEASUREMENT] = x->ring_sum != 0 || x->rank_order_sum != 0;
}

static void show_orders(Page *p, const void *state) {
    const AllReduce *x = state;
    page_line(p, _("  around the ring         %.9g  (measured)"), (double)x->ring_sum);
    page_line(p, _("  in the order of ranks   %.9g  (measured)"), (double)x->rank_order_sum);
}
static const Question ORDER = {
    .id = "order_of_additions",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, ORDER_OPTIONS},
    .ask = ask_order,
    .option = option_order,
    .truth = truth_order,
    .wrong = {{"addition_is_associative", .option = ORDER_SAME,
               .reply = {.text = N_(
                             "Of real numbers, yes. A float has 24 bits: 1 added to 1e8 is lost, "
                             "and comes back only if the 1e8 has been taken away before.")}},
              {"ranks_end_apart", .option = ORDER_RANKS_DIFFER,
               .reply = {.text = N_("All ranks get the same bits: each chunk is added up once, by "
                                    "whoever it passes, and the finished chunk is copied.")}}},
    .hint = {{.text = N_("What is left of a small number that is added to a large one?")},
             {.text = "  (1e8 + 1) - 1e8 = 0"},
             {.text = "  1 + (1e8 - 1e8) = 1"}},
    .explain = {.text =
                    N_("In a ring every chunk begins at another rank, so its order of additions is "
                       "another one. Runs that must agree to the last bit fix the order: train "
                       "does, unless --algorithm ring is asked for (docs/contract.md).")},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &BYTES},
    {.kind = STEP_PREDICT, .question = &ROUNDS},
    {.kind = STEP_RUN, .before = {before_ring}, .run = run_ring},
    {.kind = STEP_COMPARE, .question = &BYTES},
    {.kind = STEP_COMPARE, .question = &ROUNDS},
    {.kind = STEP_PREDICT, .question = &ORDER},
    {.kind = STEP_RUN,
     .before = {.text = N_("Both algorithms of the trainer, on four ranks:")},
     .run = run_orders,
     .write = {show_orders}},
    {.kind = STEP_COMPARE, .question = &ORDER},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson all_reduce_lesson = {
    .number = 8,
    .name = "all_reduce",
    .title = N_("All-reduce by hand"),
    .objective =
        N_("How many bytes and rounds a ring takes, and why the order of additions shows in "
           "the last bits."),
    .minutes = 12,
    .state_size = sizeof(AllReduce),
    .draw = draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
