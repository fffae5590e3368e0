// SPDX-License-Identifier: MIT
// Lesson 26: knowledge distillation. Soft targets at a temperature, the gradient that follows from
// them, and a small student that learns from a teacher without a label.
#include "lessons/lessons.h"

#include "lessons/26_distillation/distillation_runs.h"
#include "lessons/engine/translate.h"
#include "viz/scene/scene.h"

#include <math.h>
#include <stdbool.h>

enum { DIGIT_CLASSES = 10 };

static double soft(const Distillation *x, const double z[], double temperature, int which) {
    double p[DISTILL_CLASSES];
    distillation_softmax(p, z, DISTILL_CLASSES, temperature);
    return p[which];
}

static const char *logits(Page *p, const double z[]) {
    return page_text(p, "(%.1f, %.1f, %.1f)", z[0], z[1], z[2]);
}

// --- texts

static void hook(Page *p, const void *state) {
    const Distillation *x = state;
    page_say(p,
             _("A network of %.0f parameters is too large for where it has to run. One of %.0f "
               "would fit. Could the small one learn from the large one instead of from labels?"),
             x->parameters[RUN_TEACHER], x->parameters[RUN_LABELS]);
}

static void idea(Page *p, const void *state) {
    const Distillation *x = state;
    SceneBar bars[2 * DISTILL_CLASSES];
    DrawList *d = ARENA_NEW(p->arena, DrawList, 1);
    page_say(p, _("A label says which class is right. A teacher says more: how likely it thinks "
                  "each of the others. Divided by a temperature T before the softmax, its logits "
                  "show it better:"));
    page_line(p, "  p_i = exp(z_i / T) / (exp(z_1 / T) + ... + exp(z_C / T))");
    for (int i = 0; i < DISTILL_CLASSES; i++) {
        const int T[2] = {1, x->temperature};
        for (int k = 0; k < 2; k++)
            bars[k * DISTILL_CLASSES + i] =
                (SceneBar){page_text(p, "T = %d, p_%d", T[k], i + 1), soft(x, x->logit, T[k], i),
                           i == x->likeliest, true, k ? TONE_EXPOSED : TONE_COMPUTE};
    }
    if (!d) return;
    scene_bars(d, p->arena, PAGE_COLUMNS - 8, &(SceneBars){bars, 2 * DISTILL_CLASSES, "%.3f", 1});
    page_draw(p, d);
    page_say(p,
             _("z = %s; marked: a label. The student's loss is the cross-entropy of these "
               "probabilities and its own at the same T, times T^2."),
             logits(p, x->logit));
}

static const char *const RUN_NAMES[RUNS] = {
    [RUN_TEACHER] = N_("teacher, from labels"),
    [RUN_LABELS] = N_("student, from labels"),
    [RUN_SHARP] = N_("student, from the teacher, T = 1"),
    [RUN_SOFT] = N_("student, from the teacher, higher T"),
};

static void before_training(Page *p, const void *state) {
    const Distillation *x = state;
    page_say(
        p,
        _("The teacher is trained on labels. Then three students from the same weights: one on "
          "labels, one on the teacher's targets at T = 1, one at T = %d. The trainer's "
          "executor runs them; before the backward of two of them the gradient of the labels "
          "is replaced."),
        x->temperature);
}

static void show_training(Page *p, const void *state) {
    const Distillation *x = state;
    page_say(p, _("Measured on digits that were held out: loss, accuracy, parameters."));
    for (int k = 0; k < RUNS; k++)
        page_line(p, "  %.4f  %5.1f %%  %6.0f  %s", x->trained[k].held_out_loss,
                  100 * x->trained[k].accuracy, x->parameters[k], _(RUN_NAMES[k]));
    page_say(p, _("With only 60 digits held out, differences of a few percent say nothing. Where "
                  "labels are plenty, as here, a teacher need not help; it does where there are "
                  "none."));
}

static void box(Page *p, const void *state) {
    const Distillation *x = state;
    page_box(
        p,
        _("Distillation: targets softmax(z/T), gradient T (q - p), no label. Here a student of "
          "%.0f parameters reached %.0f %% from a teacher of %.0f with %.0f %%, and %.0f %% "
          "from labels (measured)."),
        x->parameters[RUN_SOFT], 100 * x->trained[RUN_SOFT].accuracy, x->parameters[RUN_TEACHER],
        100 * x->trained[RUN_TEACHER].accuracy, 100 * x->trained[RUN_LABELS].accuracy);
}

// --- soft targets

static void ask_target(Page *p, const void *state) {
    const Distillation *x = state;
    page_say(p,
             _("The teacher's logits are %s. What is its soft target for class %d at T = %d, to "
               "three decimal places?"),
             logits(p, x->logit), x->asked + 1, x->temperature);
}

static void truth_target(Truth *out, const void *state) {
    const Distillation *x = state;
    truth_one(out, FROM_THEORY, soft(x, x->logit, x->temperature, x->asked));
    out->absolute = 2e-3;
}

static void at_one(Answer *out, const void *state) {
    const Distillation *x = state;
    answer_one(out, soft(x, x->logit, 1, x->asked));
}
static void multiplied(Answer *out, const void *state) {
    const Distillation *x = state;
    answer_one(out, soft(x, x->logit, 1.0 / x->temperature, x->asked));
}
static void all_alike(Answer *out, const void *state) { answer_one(out, 1.0 / DISTILL_CLASSES); }

static void hint_target_3(Page *p, const void *state) {
    const Distillation *x = state;
    page_line(p, "  exp(%.4f) / (exp(%.4f) + exp(%.4f) + exp(%.4f))",
              x->logit[x->asked] / x->temperature, x->logit[0] / x->temperature,
              x->logit[1] / x->temperature, x->logit[2] / x->temperature);
}
static void explain_target(Page *p, const void *state) {
    const Distillation *x = state;
    page_say(p,
             _("At T = 1 it is %.4f, at T = %d %.4f. A higher temperature brings probabilities "
               "together without changing their order."),
             soft(x, x->logit, 1, x->asked), x->temperature,
             soft(x, x->logit, x->temperature, x->asked));
}

static const Question TARGET = {
    .id = "soft_target",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_target,
    .truth = truth_target,
    .wrong = {{"temperature_forgotten",
               at_one,
               {.text = N_("That is the probability at T = 1. Each logit is divided by T first.")}},
              {"logits_are_multiplied",
               multiplied,
               {.text = N_("That is with logits multiplied by T, which makes the largest "
                           "probability larger still. A higher temperature makes them more "
                           "alike.")}},
              {"all_become_equal",
               all_alike,
               {.text = N_("So it is when T has no limit. At a finite T the order of the classes "
                           "can still be seen; that is the point.")}}},
    .hint = {{.text = N_("Divide the logits by T, then take the softmax.")},
             {.text = "  p_k = exp(z_k / T) / sum of exp(z_i / T)"},
             {hint_target_3}},
    .explain = {explain_target},
};

// --- the gradient

static double difference(const Distillation *x) {
    return soft(x, x->student, x->temperature, x->asked) -
           soft(x, x->logit, x->temperature, x->asked);
}

static void ask_gradient(Page *p, const void *state) {
    const Distillation *x = state;
    page_say(p,
             _("T = %d. For class %d the student's softened probability is q = %.4f, the teacher's "
               "p = %.4f. The loss is T^2 times the cross-entropy. What is its derivative by the "
               "student's logit of that class?"),
             x->temperature, x->asked + 1, soft(x, x->student, x->temperature, x->asked),
             soft(x, x->logit, x->temperature, x->asked));
}

static void truth_gradient(Truth *out, const void *state) {
    const Distillation *x = state;
    truth_one(out, FROM_THEORY, x->temperature * difference(x));
    answer_one(&out->from[FROM_MEASUREMENT], x->numeric);
    out->known[FROM_MEASUREMENT] = !isnan(x->numeric);
    out->relative = 0.01;
    out->absolute = 1e-3;
}

static void factor_forgotten(Answer *out, const void *state) { answer_one(out, difference(state)); }
static void inner_forgotten(Answer *out, const void *state) {
    const Distillation *x = state;
    answer_one(out, x->temperature * x->temperature * difference(x));
}
static void square_forgotten(Answer *out, const void *state) {
    const Distillation *x = state;
    answer_one(out, difference(x) / x->temperature);
}
static void sign_turned(Answer *out, const void *state) {
    const Distillation *x = state;
    answer_one(out, -x->temperature * difference(x));
}

static void hint_gradient_3(Page *p, const void *state) {
    const Distillation *x = state;
    page_line(p, "  %d * (%.4f - %.4f)", x->temperature,
              soft(x, x->student, x->temperature, x->asked),
              soft(x, x->logit, x->temperature, x->asked));
}
static void explain_gradient(Page *p, const void *state) {
    page_say(p,
             _("As with labels the derivative by z/T is q - p; by z there is a 1/T in front, and "
               "T^2 times that is T (q - p). At a high T, q - p itself shrinks like 1/T: so the "
               "gradient keeps its size, and may be added to that of labels."));
    page_say(p, _("Measured by central differences of the loss."));
}

static const Question GRADIENT = {
    .id = "gradient_of_soft_targets",
    .shape = {ANSWER_VALUE, UNIT_NUMBER, 0},
    .ask = ask_gradient,
    .truth = truth_gradient,
    .wrong = {{"as_with_labels",
               factor_forgotten,
               {.text = N_("q - p is the derivative by z/T, of the cross-entropy alone.")}},
              {"inner_derivative_forgotten",
               inner_forgotten,
               {.text = N_("T^2 is right, but z is divided by T inside of the softmax: the chain "
                           "rule takes one T back.")}},
              {"loss_without_the_square",
               square_forgotten,
               {.text = N_("That is the derivative without the T^2 in front of the loss.")}},
              {"teacher_minus_student",
               sign_turned,
               {.text = N_("The sign is turned around: p - q is where descent goes.")}}},
    .hint = {{.text = N_("The derivative of a cross-entropy by its logits, and the chain rule for "
                         "z/T.")},
             {.text = "  T^2 * (1/T) * (q - p)"},
             {hint_gradient_3}},
    .explain = {explain_gradient},
};

// --- a student without labels

static void ask_student(Page *p, const void *state) {
    const Distillation *x = state;
    page_say(p,
             _("A student is trained on the teacher's soft targets at T = %d and never sees a "
               "label. How well does it name digits that were held out?"),
             x->temperature);
}

enum { NEAR_TEACHER, NEAR_CHANCE, ABOVE_TEACHER, STUDENT_OPTIONS };
static const char *const STUDENT_NAMES[STUDENT_OPTIONS] = {
    [NEAR_TEACHER] = N_("nearer to the teacher than to chance"),
    [NEAR_CHANCE] = N_("about as chance, 10 %"),
    [ABOVE_TEACHER] = N_("clearly better than its teacher"),
};

static void truth_student(Truth *out, const void *state) {
    const Distillation *x = state;
    if (!x->ran) return;
    double teacher = x->trained[RUN_TEACHER].accuracy, chance = 1.0 / DIGIT_CLASSES;
    double student = x->trained[RUN_SOFT].accuracy;
    bool above = student > teacher + 0.1;
    truth_one(out, FROM_MEASUREMENT,
              above ? ABOVE_TEACHER
                    : (student > (teacher + chance) / 2 ? NEAR_TEACHER : NEAR_CHANCE));
}

static void explain_student(Page *p, const void *state) {
    const Distillation *x = state;
    page_say(
        p,
        _("Teacher %.1f %%, student %.1f %%, chance 10 %% (measured). All that labels said has "
          "gone through the teacher. Rows without labels are as good for this as rows with: "
          "that is how a large network labels data for a small one."),
        100 * x->trained[RUN_TEACHER].accuracy, 100 * x->trained[RUN_SOFT].accuracy);
}

static const Question STUDENT = {
    .id = "student_without_labels",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, STUDENT_OPTIONS},
    .ask = ask_student,
    .options = STUDENT_NAMES,
    .truth = truth_student,
    .wrong = {{"labels_are_needed", .option = NEAR_CHANCE,
               .reply = {.text =
                             N_("The teacher's targets name the classes as labels do, only less "
                                "sharply. The student needs no other.")}},
              {"soft_targets_add_knowledge", .option = ABOVE_TEACHER,
               .reply = {.text = N_("Soft targets tell what the teacher knows. They make learning "
                                    "it easier, but there is no more of it.")}}},
    .hint = {{.text = N_("What do the teacher's targets say of the right class?")},
             {.text = N_("  loss = cross-entropy(teacher, student): smallest when q = p")},
             {.text = N_("  q = p: then it names what the teacher names")}},
    .explain = {explain_student},
};

static const LessonStep STEPS[] = {
    {.kind = STEP_SAY, .write = {hook}},
    {.kind = STEP_SAY, .write = {idea}},
    {.kind = STEP_PREDICT, .question = &TARGET},
    {.kind = STEP_COMPARE, .question = &TARGET},
    {.kind = STEP_PREDICT, .question = &GRADIENT},
    {.kind = STEP_RUN,
     .before = {.text = N_("The loss a little to both sides of that logit:")},
     .run = distillation_differences},
    {.kind = STEP_COMPARE, .question = &GRADIENT},
    {.kind = STEP_PREDICT, .question = &STUDENT},
    {.kind = STEP_RUN,
     .before = {before_training},
     .run = distillation_train,
     .write = {show_training}},
    {.kind = STEP_COMPARE, .question = &STUDENT},
    {.kind = STEP_BOX, .write = {box}},
};

const Lesson distillation_lesson = {
    .number = 26,
    .name = "distillation",
    .title = N_("Knowledge distillation"),
    .objective = N_("What a teacher's soft targets are, the gradient that follows from them, and a "
                    "student that never saw a label."),
    .minutes = 12,
    .state_size = sizeof(Distillation),
    .draw = distillation_draw,
    .steps = STEPS,
    .step_count = LESSON_COUNT(STEPS),
};
