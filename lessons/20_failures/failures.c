// SPDX-License-Identifier: MIT
// Lesson 20: when a rank dies or waits forever. Who is to blame for a hang, what a checkpoint
// saves, and how often to write one (Young 1974, Daly 2006).
#include "lessons/20_failures/failures.h"

#include "lessons/engine/translate.h"
#include "lessons/lessons.h"
#include "viz/scene/scene.h"

#include <math.h>
#include <stdio.h>

// --- texts

static void hook(Page *p, const void *state) {
    const Failures *x = state;
    page_say(p,
             _("A run on %d ranks stands still. After a while three of them report a timeout, one "
               "reports nothing. The network is fine. Which rank did it, and when?"),
             FAILURES_RANKS);
    page_say(p,
             _("Another run ends because a machine is lost. With a failure every %.1f hours in "
               "the mean, how often should it save what it has learned?"),
             x->model.mtbf_s / 3600);
}

static void idea(Page *p, const void *state) {
    page_say(p, _("Collectives have no names on the wire: the k-th that a rank issues meets the "
                  "k-th of every other rank. A rank that leaves one out, as a branch that only it "
                  "takes makes it do, brings its next one instead, which has the same size."));
    page_say(p, _("Nothing stops then. All goes on with sums of things that do not belong "
                  "together, until the others wait for one more that never comes."));
}

static void before_hang(Page *p, const void *state) {
    page_say(p,
             _("%d ranks now issue the gradients g0 to g%d of a step, one all-reduce each, on the "
               "communicator of the trainer. One rank leaves one out. Who waits too long gives "
               "up."),
             FAILURES_RANKS, FAILURES_CALLS - 1);
}

static void show_hang(Page *p, const void *state) {
    const Failures *x = state;
    SceneCell cells[FAILURES_RANKS * FAILURES_CALLS] = {{{0}}};
    char names[2][FAILURES_CALLS][16];
    const char *ranks[FAILURES_RANKS], *numbers[FAILURES_CALLS];
    for (int k = 0; k < FAILURES_CALLS; k++) {
        snprintf(names[1][k], sizeof names[1][k], _("no. %d"), k + 1);
        numbers[k] = names[1][k];
    }
    for (int r = 0; r < FAILURES_RANKS; r++) {
        snprintf(names[0][r], sizeof names[0][r], _("rank %d"), r);
        ranks[r] = names[0][r];
        for (int k = 0; k < x->started[r]; k++) {
            SceneCell *cell = &cells[r * FAILURES_CALLS + k];
            snprintf(cell->text, sizeof cell->text, "g%d", x->issued[r][k]);
            if (k >= x->ended[r]) cell->kind = CELL_MOVING;
        }
    }
    page_say(p, _("What each rank issued, by sequence number (measured); marked: what it waits in "
                  "when it gives up."));
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    if (!d) return;
    scene_board(d, p->arena, PAGE_COLUMNS,
                &(SceneBoard){ranks, numbers, FAILURES_RANKS, FAILURES_CALLS, cells});
    page_draw(p, d);
}

static void before_restart(Page *p, const void *state) {
    const Failures *x = state;
    page_say(p,
             _("Now the trainer trains on two processes for %d steps and saves a checkpoint every "
               "%d. Before step %d, rank 1 is killed. Then the run goes on from the last "
               "checkpoint, and once more a run is made that nobody kills."),
             FAILURES_STEPS, FAILURES_EVERY, x->killed_at + 1);
}

static void show_restart(Page *p, const void *state) {
    const Failures *x = state;
    page_say(p, _("The trainer said: %s. So rank 1 died, and the whole run ended with it."),
             x->lost);
    page_say(p, "%s",
             x->equal ? _("After the last step the weights are those of the run that nobody "
                          "killed, to the last bit (measured).")
                      : _("After the last step the weights differ from those of the run that "
                          "nobody killed (measured)."));
}

static void before_long(Page *p, const void *state) {
    const Failures *x = state;
    page_say(
        p,
        _("The simulator follows a run through %d failures, for each of many intervals between "
          "checkpoints, all with the same failures."),
        x->model.failures);
}

static void add_share(Page *p, double interval_s, double share, const char *name) {
    page_line(p, "  %10s  %6.2f %%  %s", page_quantity(p, UNIT_SECONDS, interval_s), 100 * share,
              name);
}

static void show_long(Page *p, const void *state) {
    const Failures *x = state;
    const FailureModel *m = &x->model;
    page_say(p, _("Share of the time that is progress (simulated):"));
    add_share(p, (double)x->best.steps * m->step_s, x->best.goodput, _("the best interval"));
    add_share(p, 10 * m->checkpoint_s, x->often, _("10 times what a checkpoint takes"));
    add_share(p, m->mtbf_s / 2, x->rare, _("half of the time between failures"));
}

static void box(Page *p, const void *state) {
    const Failures *x = state;
    page_box(p,
             _("Interval between checkpoints = sqrt(2 C M): here sqrt(2 x %s x %s) = %s (theory), "
               "%s (simulated), and %.1f %% of the time is progress."),
             page_quantity(p, UNIT_SECONDS, x->model.checkpoint_s),
             page_quantity(p, UNIT_SECONDS, x->model.mtbf_s),
             page_quantity(p, UNIT_SECONDS, failures_young_s(&x->model)),
             page_quantity(p, UNIT_SECONDS, (double)x->best.steps * x->model.step_s),
             100 * x->best.goodput);
}

// --- who

static void ask_who(Page *p, const void *state) {
    page_say(p, _("Which rank left a collective out?"));
}

static const char *option_who(Page *p, const void *state, int which) {
    return page_text(p, _("rank %d"), which);
}

static void truth_who(Truth *out, const void *state) {
    const Failures *x = state;
    truth_one(out, FROM_THEORY, x->guilty);
    if (!x->hung) return;
    truth_one(out, FROM_MEASUREMENT, failures_blamed(x));
}

static void first_reporter(Answer *out, const void *state) {
    const Failures *x = state;
    answer_one(out, x->guilty == 0 ? 1 : 0);
}
static void last_reporter(Answer *out, const void *state) {
    const Failures *x = state;
    answer_one(out, x->guilty == FAILURES_RANKS - 1 ? FAILURES_RANKS - 2 : FAILURES_RANKS - 1);
}

static void explain_who(Page *p, const void *state) {
    const Failures *x = state;
    page_say(p,
             _("Rank %d has issued %d, the others %d. It is through, and waits for nothing: what "
               "hangs are the ranks that did all they should."),
             x->guilty, x->started[x->guilty], FAILURES_CALLS);
}

static const Question WHO = {
    .id = "who",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, FAILURES_RANKS},
    .ask = ask_who,
    .option = option_who,
    .truth = truth_who,
    .wrong = {{"who_reports_has_failed",
               first_reporter,
               {.text = N_(
                    "That rank reports a timeout: it waited. A timeout is seen by those who wait, "
                    "not by the one that they wait for.")}},
              {"the_last_one_hangs",
               last_reporter,
               {.text =
                    N_("That rank has issued all that it should, and waits as others do. The place "
                       "in the report says nothing: it is only where rows are printed.")}}},
    .hint = {{.text = N_("How many collectives has each rank issued?")},
             {.text = N_("  to blame = the rank that has issued the fewest")},
             {.text = N_("  Count the cells of each row: one row is shorter.")}},
    .explain = {explain_who},
};

// --- when

static void ask_when(Page *p, const void *state) {
    page_say(p, _("At which sequence number did it go wrong: which is the first at which that rank "
                  "brings another gradient than the others?"));
}

static void truth_when(Truth *out, const void *state) {
    const Failures *x = state;
    truth_one(out, FROM_THEORY, x->skipped + 1);
    if (x->hung) truth_one(out, FROM_MEASUREMENT, failures_first_other(x) + 1);
}

static void where_it_hangs(Answer *out, const void *state) { answer_one(out, FAILURES_CALLS); }

static void last_good(Answer *out, const void *state) {
    const Failures *x = state;
    answer_one(out, x->skipped);
}

static void hint_when_3(Page *p, const void *state) {
    const Failures *x = state;
    page_line(p, "  %d: g%d, g%d", x->skipped + 1, x->skipped, x->skipped + 1);
}

static void explain_when(Page *p, const void *state) {
    const Failures *x = state;
    page_say(
        p,
        _("At number %d the others bring g%d and rank %d brings g%d. From there on every sum "
          "is of two different gradients, in %d collectives, without an error. Tandem compares "
          "what ranks will issue before the first step, so that train refuses such a run."),
        x->skipped + 1, x->skipped, x->guilty, x->skipped + 1, FAILURES_CALLS - 1 - x->skipped);
}

static const Question WHEN = {
    .id = "when",
    .shape = {ANSWER_VALUE, UNIT_COUNT, 0},
    .ask = ask_when,
    .truth = truth_when,
    .wrong = {{"where_it_hangs",
               where_it_hangs,
               {.text = N_("That is where the others wait in the end. The mistake lies before: a "
                           "hang shows that the counts differ, not where they began to.")}},
              {"the_last_good_one",
               last_good,
               {.text = N_("There all ranks still bring the same gradient. The next one is the "
                           "first that differs.")}}},
    .hint = {{.text = N_("Read the columns from the left.")},
             {.text = N_("  the first column whose cells are not all alike")},
             {hint_when_3}},
    .explain = {explain_when},
};

// --- again

static void ask_again(Page *p, const void *state) {
    const Failures *x = state;
    page_say(p,
             _("%d steps in all, a checkpoint after every %d, and rank 1 is killed when %d steps "
               "are done. How many steps are computed twice?"),
             FAILURES_STEPS, FAILURES_EVERY, x->killed_at);
}

static void truth_again(Truth *out, const void *state) {
    const Failures *x = state;
    truth_one(out, FROM_THEORY, x->killed_at % FAILURES_EVERY);
    if (x->restarted) truth_one(out, FROM_MEASUREMENT, x->repeated);
}

static void from_the_start(Answer *out, const void *state) {
    const Failures *x = state;
    answer_one(out, x->killed_at);
}
static void whole_interval(Answer *out, const void *state) { answer_one(out, FAILURES_EVERY); }
static void nothing(Answer *out, const void *state) { answer_one(out, 0); }

static void hint_again_3(Page *p, const void *state) {
    const Failures *x = state;
    page_line(p, "  %d - %d", x->killed_at, x->killed_at / FAILURES_EVERY * FAILURES_EVERY);
}

static void explain_again(Page *p, const void *state) {
    const Failures *x = state;
    page_say(p,
             _("The last checkpoint has the weights after step %d, the momenta, and where in the "
               "epoch the run was. Rank 0 writes it for all: replicas hold the same."),
             x->killed_at / FAILURES_EVERY * FAILURES_EVERY);
}

static const Question AGAIN = {
    .id = "computed_twice",
    .shape = {ANSWER_VALUE, UNIT_COUNT, 0},
    .ask = ask_again,
    .truth = truth_again,
    .wrong = {{"all_from_the_start",
               from_the_start,
               {.text = N_("That is all that was done. What lies before the last checkpoint is not "
                           "lost.")}},
              {"a_whole_interval",
               whole_interval,
               {.text = N_("A whole interval is the most that can be lost, when the failure comes "
                           "just before a checkpoint. In the mean it is half of one.")}},
              {"the_others_have_it",
               nothing,
               {.text =
                    N_("The other rank has the weights, but it waits in an all-reduce for a "
                       "rank that is gone, and ends with the run. What is left is the file.")}}},
    .hint = {{.text = N_("After which step was the last checkpoint written?")},
             {.text = N_("  twice = steps done - steps in the last checkpoint")},
             {hint_again_3}},
    .explain = {explain_again},
};

// --- the interval

static void ask_interval(Page *p, const void *state) {
    const Failures *x = state;
    page_say(p,
             _("A run fails once in %s (%.1f hours) on average (M). Training stops for %s to save "
               "a checkpoint "
               "(C), and a restart takes %s. After how much training should it save, so that most "
               "of the time is progress? (Within 10 %%.)"),
             page_digits(p, UNIT_SECONDS, 5, x->model.mtbf_s), x->model.mtbf_s / 3600,
             page_quantity(p, UNIT_SECONDS, x->model.checkpoint_s),
             page_quantity(p, UNIT_SECONDS, x->model.restart_s));
}

static void truth_interval(Truth *out, const void *state) {
    const Failures *x = state;
    truth_one(out, FROM_THEORY, failures_young_s(&x->model));
    answer_one(&out->from[FROM_SIMULATION], (double)x->best.steps * x->model.step_s);
    out->known[FROM_SIMULATION] = x->simulated;
    out->relative = 0.1;
}

static void half_of_m(Answer *out, const void *state) {
    const Failures *x = state;
    answer_one(out, x->model.mtbf_s / 2);
}
static void ten_times_c(Answer *out, const void *state) {
    const Failures *x = state;
    answer_one(out, 10 * x->model.checkpoint_s);
}

static void reply_half(Page *p, const void *state) {
    page_say(p, _("A failure then loses a quarter of M on average: the lost work grows with the "
                  "interval, and only the cost of saving shrinks."));
}
static void reply_ten(Page *p, const void *state) {
    page_say(p, _("Then a tenth of the time goes into saving, however rarely the run fails. Saving "
                  "more often is safer, but not free: the rarer failures are, the longer the "
                  "interval should be."));
}

static void hint_interval_3(Page *p, const void *state) {
    const Failures *x = state;
    page_line(p, "  sqrt(2 * %s * %s)", page_quantity(p, UNIT_SECONDS, x->model.checkpoint_s),
              page_digits(p, UNIT_SECONDS, 5, x->model.mtbf_s));
}

static void explain_interval(Page *p, const void *state) {
    const Failures *x = state;
    const double young = failures_young_s(&x->model);
    page_say(
        p,
        _("Saving costs C/t of the time, a failure loses t/2 once in M: C/t + t/(2M) is least "
          "where both are equal, at %s. Daly's formula, which holds for large C too, gives %s. "
          "The curve is flat there, so that the simulated best depends a little on chance."),
        page_quantity(p, UNIT_SECONDS, young),
        page_quantity(p, UNIT_SECONDS, failures_daly_s(&x->model)));
}

static const Question INTERVAL = {
    .id = "interval",
    .shape = {ANSWER_VALUE, UNIT_SECONDS, 0},
    .ask = ask_interval,
    .truth = truth_interval,
    .wrong = {{"half_the_time_between_failures", half_of_m, {reply_half}},
              {"often_costs_little", ten_times_c, {reply_ten}}},
    .hint = {{.text = N_("Two costs: saving, more often with short intervals; lost work, more with "
                         "long ones.")},
             {.text = "  t = sqrt(2 C M)"},
             {hint_interval_3}},
    .explain = {explain_interval},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_RUN, .before = {before_hang}, .run = failures_hang, .write = {show_hang}},
    {.kind = STEP_PREDICT, .question = &WHO},
    {.kind = STEP_PREDICT, .question = &WHEN},
    {.kind = STEP_COMPARE, .question = &WHO},
    {.kind = STEP_COMPARE, .question = &WHEN},
    {.kind = STEP_PREDICT, .question = &AGAIN},
    {.kind = STEP_RUN,
     .before = {before_restart},
     .run = failures_restart,
     .write = {show_restart}},
    {.kind = STEP_COMPARE, .question = &AGAIN},
    {.kind = STEP_PREDICT, .question = &INTERVAL},
    {.kind = STEP_RUN, .before = {before_long}, .run = failures_long_run, .write = {show_long}},
    {.kind = STEP_COMPARE, .question = &INTERVAL},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson failures_lesson = {
    .number = 20,
    .name = "failures",
    .title = N_("When a rank dies or waits forever"),
    .objective = N_("Who is to blame for a hang, what a checkpoint saves, and how often to write "
                    "one."),
    .minutes = 12,
    .state_size = sizeof(Failures),
    .draw = failures_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
