// SPDX-License-Identifier: MIT
// Lesson 0: the program of the article that Tandem grew from (docs/article.md), translated call by
// call, run as printed, and mended until its processes train one network.
#include "lessons/lessons.h"

#include "lessons/00_article/article_runs.h"
#include "lessons/engine/translate.h"
#include "viz/scene/scene.h"

#include <math.h>
#include <stdbool.h>

// --- texts

static void hook(Page *p, const void *state) {
    page_say(p,
             _("An article on distributed training prints a program: four processes train a small "
               "network of two convolutions and two linear layers, which is Tandem's `net`."));
    page_say(p,
             _("The program starts, uses four devices, and looks like many others. Does it train "
               "one network, four, or none?"));
}

static void calls(Page *p, const void *state) {
    page_say(p, _("Call by call, and what each does:"));
    page_line(p, _("  spawn(train, 4)         right: train(0..3, 4) in 4 processes"));
    page_line(p, _("  net = Net()             in each process, with values of its own"));
    page_line(p, _("  init_process_group      in a function that nobody calls"));
    page_line(p, _("  DDP(net)                not there at all"));
    page_line(p, _("  optimizer.zero_grad()   once, before the loop"));
    page_line(p, _("  relu(fc2(x))            the loss wants logits of either sign"));
    page_line(p, _("  get_data()              returns nothing: the first step fails"));
    page_line(p, _("  DistributedSampler      not there: all see the same rows"));
    page_say(p, _("Here get_data() returns digits, so that the rest can be seen."));
}

static void words(Page *p, const void *state) {
    page_say(p, _("The text around it is wrong as well, in ways that come up again:"));
    page_line(p, _("  DataParallel.train(loader)    no such method (lesson 21)"));
    page_line(p, _("  DDP is model parallelism      it is data parallelism (lesson 9)"));
    page_line(p, _("  SyncBatchNorm accumulates     it does not (lesson 23)"));
    page_line(p, _("  w <- w - lr g                 with momentum: v <- 0.9 v + g first"));
    page_say(p, _("docs/article.md lists all of it. The rest of this lesson runs the program with "
                  "the trainer's libraries, and 2 channels instead of 20 to save time."));
}

static void before_printed(Page *p, const void *state) {
    const Article *x = state;
    page_say(p,
             _("Process 0 as printed, %d steps of %d rows, on the trainer's executor; and the "
               "same process with gradients cleared and without the last ReLU."),
             STEPS, x->rows);
}

static void show_printed(Page *p, const void *state) {
    const Article *x = state;
    double steps[STEPS];
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    for (int i = 0; i < STEPS; i++) steps[i] = i + 1;
    const SceneSeries series[] = {{_("as printed"), steps, x->printed.loss, STEPS, TONE_EXPOSED},
                                  {_("fixed"), steps, x->mended.loss, SHOWN_STEPS, TONE_COMPUTE}};
    if (!d) return;
    scene_curve(d, p->arena, PAGE_COLUMNS - 4,
                &(SceneCurve){series, 2, _("step"), _("loss"), false, false, 10});
    page_draw(p, d);
    page_say(p, _("Loss of process 0, measured."));
}

static void show_stages(Page *p, const void *state) {
    static const char *const NAMES[STAGES] = {N_("as printed"), N_("gradients cleared each step"),
                                              N_("and no ReLU before the loss"),
                                              N_("and DDP, each its own rows")};
    const Article *x = state;
    page_say(p,
             _("Measured in %d steps: how far apart processes 0 and 1 end in one weight, and how "
               "many bytes process 0 received from the others:"),
             MEND_STEPS);
    for (int i = 0; i < STAGES; i++) {
        const Stage *s = &x->stages[i];
        page_line(p, "  %8.2g  %8s  %s", s->apart, page_quantity(p, UNIT_BYTES, s->taken),
                  _(NAMES[i]));
    }
    page_say(p,
             _("Weights of 4 ranks and of one process with 4 shards, as a hash of all bits: "
               "%016llx and %016llx. One process that sums all rows at once differs by %.1g: "
               "another order of additions."),
             (unsigned long long)x->hash_ranks, (unsigned long long)x->hash_shards, x->whole_apart);
}

static void box(Page *p, const void *state) {
    const Article *x = state;
    page_box(p,
             _("N processes train one network only if weights begin equal and every gradient is "
               "summed over all. Here process 0 received %s as printed, and %s in %d steps with "
               "DDP; and then N ranks have the bits of one process with N shards."),
             page_quantity(p, UNIT_BYTES, x->stages[AS_PRINTED].taken),
             page_quantity(p, UNIT_BYTES, x->stages[WRAPPED].taken), MEND_STEPS);
}

// --- bytes

static void ask_bytes(Page *p, const void *state) {
    const Article *x = state;
    page_say(p,
             _("%d processes, %d steps as printed, parameters of %s. How many bytes does process 0 "
               "receive from the other processes in all?"),
             PROCESSES, STEPS, page_quantity(p, UNIT_BYTES, x->parameter_bytes));
}

static void truth_bytes(Truth *out, const void *state) {
    const Article *x = state;
    truth_one(out, FROM_THEORY, 0);
    answer_one(&out->from[FROM_MEASUREMENT], (double)x->printed.taken_bytes);
    out->known[FROM_MEASUREMENT] = x->ran;
    out->relative = 0.02;
}

static void all_reduced(Answer *out, const void *state) {
    const Article *x = state;
    answer_one(out, STEPS * 2 * x->parameter_bytes * (PROCESSES - 1) / PROCESSES);
}
static void once_each(Answer *out, const void *state) {
    const Article *x = state;
    answer_one(out, x->parameter_bytes);
}
static void everyones(Answer *out, const void *state) {
    const Article *x = state;
    answer_one(out, STEPS * x->parameter_bytes * (PROCESSES - 1));
}

static const Question BYTES = {
    .id = "bytes_as_printed",
    .shape = {ANSWER_VALUE, UNIT_BYTES, 0},
    .ask = ask_bytes,
    .truth = truth_bytes,
    .wrong = {{"spawn_synchronises",
               all_reduced,
               {.text = N_("That is an all-reduce of all gradients in every step, as DDP does it. "
                           "Nothing in the program asks for one: spawn starts processes, and "
                           "backward() knows of none but its own.")}},
              {"global_network_is_shared",
               once_each,
               {.text = N_("That would be the network, sent once. But new processes read the file "
                           "again, and each makes a network of its own; nothing is sent.")}},
              {"gradients_to_everyone",
               everyones,
               {.text = N_("That is every gradient from each of the others in every step. Nothing "
                           "in the program sends one.")}}},
    .hint = {{.text = N_("Which call of the program sends a gradient?")},
             {.text = N_("  bytes = calls that communicate * bytes of each")},
             {.text = "  0 * ..."}},
    .explain = {.text = N_("No call communicates: the group of processes is never initialised and "
                           "the network never wrapped. Four trainings run side by side.")},
};

// --- the loss that it ends with

static void ask_stuck(Page *p, const void *state) {
    page_say(p,
             _("Gradients pile up from step to step, momentum is 0.9, and a ReLU stands between "
               "the last layer and the loss of %d classes. What is the loss after %d steps?"),
             CLASSES, STEPS);
}

static void truth_stuck(Truth *out, const void *state) {
    const Article *x = state;
    truth_one(out, FROM_THEORY, log(CLASSES));
    if (x->ran) answer_one(&out->from[FROM_MEASUREMENT], x->printed.loss[STEPS - 1]);
    out->known[FROM_MEASUREMENT] = x->ran;
    out->absolute = STUCK_TOLERANCE;
}

static void falls_to_zero(Answer *out, const void *state) { answer_one(out, 0); }
static void one_in_classes(Answer *out, const void *state) { answer_one(out, 1.0 / CLASSES); }
static void half_dead(Answer *out, const void *state) { answer_one(out, log(2)); }

static void explain_stuck(Page *p, const void *state) {
    const Article *x = state;
    page_say(p, _("Growing steps push all ten values below zero. The ReLU makes equal logits of "
                  "them, and its derivative there is 0: no gradient comes back, and the loss stays "
                  "where it is for ever."));
    if (x->ran && fabs(x->printed.loss[STEPS - 1] - log(CLASSES)) > STUCK_TOLERANCE)
        page_say(p, _("Here the values of some class are still above zero; another seed shows the "
                      "usual end."));
}

static const Question STUCK = {
    .id = "stuck_loss",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_stuck,
    .truth = truth_stuck,
    .wrong = {{"loss_falls",
               falls_to_zero,
               {.text = N_("Then the network would be certain of every digit. Steps that become "
                           "larger and larger do not get there.")}},
              {"one_over_classes",
               one_in_classes,
               {.text = N_("That is the probability that each class gets. The loss is minus its "
                           "logarithm.")}},
              {"positive_or_negative",
               half_dead,
               {.text = N_("That is the loss of two equal outcomes. Behind the ReLU there are ten "
                           "equal logits, not two.")}}},
    .hint = {{.text = N_("Where do steps that only grow throw the last layer, and what does a ReLU "
                         "make of negative numbers?")},
             {.text = N_("  all logits 0:  p = 1/C,  L = -log p")},
             {.text = "  L = ln 10"}},
    .explain = {explain_stuck},
};

// --- gradients that pile up

static void ask_pile(Page *p, const void *state) {
    const Article *x = state;
    page_say(p,
             _("Suppose that the gradient is the same in each of %d steps. Without zero_grad() "
               "step k uses k times that gradient, with momentum 0.9 on top. How many times as "
               "far do the weights go as with zero_grad() in every step?"),
             x->pile_steps);
}

// How far weights go, in units of the learning rate times the gradient.
static double distance(int steps, double momentum, bool piles) {
    double velocity = 0, far = 0;
    for (int k = 1; k <= steps; k++) {
        velocity = momentum * velocity + (piles ? k : 1);
        far += velocity;
    }
    return far;
}

static void truth_pile(Truth *out, const void *state) {
    const Article *x = state;
    truth_one(out, FROM_THEORY,
              distance(x->pile_steps, 0.9, true) / distance(x->pile_steps, 0.9, false));
    answer_one(&out->from[FROM_MEASUREMENT], x->pile_ratio);
    out->known[FROM_MEASUREMENT] = x->pile_ratio > 0;
    out->relative = 0.03;
}

static void just_as_far(Answer *out, const void *state) { answer_one(out, 1); }
static void steps_times(Answer *out, const void *state) {
    const Article *x = state;
    answer_one(out, x->pile_steps);
}
static void no_momentum(Answer *out, const void *state) {
    const Article *x = state;
    answer_one(out, distance(x->pile_steps, 0, true) / distance(x->pile_steps, 0, false));
}

static void hint_pile_3(Page *p, const void *state) {
    const Article *x = state;
    page_line(p, "  %.4g / %.4g", distance(x->pile_steps, 0.9, true),
              distance(x->pile_steps, 0.9, false));
}
static void explain_pile(Page *p, const void *state) {
    const Article *x = state;
    page_say(p,
             _("In units of the learning rate times the gradient: %.4g instead of %.4g after %d "
               "steps, and the ratio grows with the steps. Measured with a linear network, all "
               "rows in each step, and steps so small that its gradient stays."),
             distance(x->pile_steps, 0.9, true), distance(x->pile_steps, 0.9, false),
             x->pile_steps);
}

static const Question PILE = {
    .id = "gradients_pile_up",
    .shape = {ANSWER_VALUE, UNIT_TIMES, 0},
    .ask = ask_pile,
    .truth = truth_pile,
    .wrong =
        {{"backward_overwrites",
          just_as_far,
          {.text = N_("backward() adds to .grad, it does not overwrite it. That is what makes "
                      "accumulation work, and what zero_grad() is for.")}},
         {"every_step_sees_the_last_sum",
          steps_times,
          {.text = N_("Only the last step uses the whole sum; the first uses one gradient, the "
                      "second two.")}},
         {"momentum_cancels",
          no_momentum,
          {.text = N_("That is the ratio without momentum, (K + 1) / 2. Momentum remembers the "
                      "early, small steps longer, so the ratio is smaller with it.")}}},
    .hint = {{.text = N_("The velocity after each step, with and without piling; the weights move "
                         "by its sum.")},
             {.text = N_("  v_k = 0.9 v_(k-1) + k    against    v_k = 0.9 v_(k-1) + 1")},
             {hint_pile_3}},
    .explain = {explain_pile},
};

// --- what makes one network of four

static void ask_mend(Page *p, const void *state) {
    page_say(p,
             _("Gradients are cleared now and the ReLU is gone. Which of these, by itself, makes "
               "the four processes end with the same weights, each on rows of its own?"));
}

static const char *const MEND_NAMES[MENDS] = {
    [MEND_SEED] = N_("the same seed in each, so that they begin with equal weights"),
    [MEND_SAMPLER] = N_("a DistributedSampler, so that they share the data"),
    [MEND_DDP] = N_("DistributedDataParallel around the network"),
};

// The mend after which the first two processes have the same weights.
static void truth_mend(Truth *out, const void *state) {
    const Article *x = state;
    for (int mend = 0; mend < MENDS && x->mends_ran; mend++)
        if (x->mend_apart[mend] == 0) truth_one(out, FROM_MEASUREMENT, mend);
}

static void show_mends(Page *p, const void *state) {
    const Article *x = state;
    page_say(p,
             _("Measured: the largest difference of one weight between processes 0 and 1 after %d "
               "steps."),
             MEND_STEPS);
    for (int mend = 0; mend < MENDS; mend++)
        page_line(p, "  %8.2g  %s", x->mend_apart[mend], _(MEND_NAMES[mend]));
}

static const Question MEND = {
    .id = "which_mend",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, MENDS},
    .ask = ask_mend,
    .options = MEND_NAMES,
    .truth = truth_mend,
    .wrong = {{"equal_beginnings_suffice", .option = MEND_SEED,
               .reply = {.text = N_("They begin equal, and part with the first step: each follows "
                                    "the gradient of its own rows.")}},
              {"dividing_data_joins", .option = MEND_SAMPLER,
               .reply = {.text =
                             N_("A sampler divides rows and joins nothing. Without DDP it makes "
                                "four networks that have each seen a quarter of the data.")}}},
    .hint = {{.text = N_("What must be equal on all ranks at the beginning, and what in every "
                         "step?")},
             {.text = N_("  w equal, then w - lr * (the same gradient)")},
             {.text = N_("  DDP: a broadcast at the beginning, an all-reduce in each step")}},
    .explain = {.text = N_("DDP broadcasts the weights of rank 0 once, and all-reduces every "
                           "gradient in every step. Dividing the rows is still up to you: that is "
                           "what the sampler is for. The trainer compares the weights of all ranks "
                           "at the end and fails where they differ.")},
};

static const LessonStep STEPS_OF_LESSON[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {calls}},
    {.kind = STEP_SAY, .write = {words}},
    {.kind = STEP_PREDICT, .question = &BYTES},
    {.kind = STEP_PREDICT, .question = &STUCK},
    {.kind = STEP_RUN,
     .before = {before_printed},
     .run = article_run_printed,
     .write = {show_printed}},
    {.kind = STEP_COMPARE, .question = &BYTES},
    {.kind = STEP_COMPARE, .question = &STUCK},
    {.kind = STEP_PREDICT, .question = &PILE},
    {.kind = STEP_RUN,
     .before = {.text = N_("Three real runs of a linear network: no step at all, with zero_grad, "
                           "and without.")},
     .run = article_run_pile},
    {.kind = STEP_COMPARE, .question = &PILE},
    {.kind = STEP_PREDICT, .question = &MEND},
    {.kind = STEP_RUN,
     .before = {.text = N_("Each of them by itself, in real runs:")},
     .run = article_run_mends,
     .write = {show_mends}},
    {.kind = STEP_COMPARE, .question = &MEND},
    {.kind = STEP_RUN,
     .before = {.text = N_("Now one fix on top of the other, until the equality test passes:")},
     .run = article_run_stages,
     .write = {show_stages}},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson article_lesson = {
    .number = 0,
    .name = "article",
    .title = N_("The article's program, as printed"),
    .objective = N_("Why a program with all the right words trains nothing, and what makes N "
                    "processes train one network."),
    .minutes = 12,
    .state_size = sizeof(Article),
    .draw = article_draw,
    .steps = STEPS_OF_LESSON,
    .step_count = LESSON_COUNT(STEPS_OF_LESSON),
};
