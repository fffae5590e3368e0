// SPDX-License-Identifier: MIT
// The list, and finding a lesson by what people type.
#include "lessons/lessons.h"

#include "core/base/nearest.h"
#include "lessons/engine/translate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// clang-format off: one on each line
static const Lesson *const LESSONS[] = {
    &article_lesson,
    &neuron_lesson,
    &softmax_lesson,
    &backprop_lesson,
    &descent_lesson,
    &minibatch_lesson,
    &device_lesson,
    &message_lesson,
    &all_reduce_lesson,
    &data_parallel_lesson,
    &scaling_lesson,
    &overlap_lesson,
    &stragglers_lesson,
    &zero_lesson,
    &tensor_parallel_lesson,
    &pipeline_lesson,
    &layout_lesson,
    &validation_lesson,
    &bottleneck_lesson,
    &gpu_lesson,
    &failures_lesson,
    &data_parallel_ddp_lesson,
    &which_strategy_lesson,
    &accumulation_lesson,
    &mixed_precision_lesson,
    &compression_lesson,
    &distillation_lesson,
};
// clang-format on

const Lesson *const *lessons_all(int *count) {
    *count = LESSON_COUNT(LESSONS);
    return LESSONS;
}

static const LessonPart PARTS[] = {
    {0, N_("Exact learning on one process")},
    {7, N_("Talking")},
    {10, N_("Making it fast")},
    {17, N_("Judging")},
    {21, N_("The article's other questions")},
};

const LessonPart *lessons_parts(int *count) {
    *count = LESSON_COUNT(PARTS);
    return PARTS;
}

// The number at the start of a word, or -1; *rest is what follows it.
static int number_of(const char *word, const char **rest) {
    char *end;
    long number = strtol(word, &end, 10);
    *rest = end;
    return end == word || number < 0 || number > 99 ? -1 : (int)number;
}

// What may stand in a lesson's place on the command line.
static const char *const WORDS[] = {"bench", "dev", "list", "next", "report", "reset", "verify"};

Status lessons_find(const Lesson **out, const char *word) {
    const char *rest;
    int number = number_of(word, &rest);
    Nearest near = {.word = word};
    for (int i = 0; i < LESSON_COUNT(LESSONS); i++) {
        const Lesson *l = LESSONS[i];
        bool named = strcmp(word, l->name) == 0;
        bool numbered = number == l->number &&
                        (*rest == '\0' || (*rest == '_' && strcmp(rest + 1, l->name) == 0));
        if (named || numbered) {
            *out = l;
            return OK;
        }
        nearest_offer(&near, l->name);
    }
    for (int i = 0; i < LESSON_COUNT(WORDS); i++) nearest_offer(&near, WORDS[i]);
    if (near.best) FAIL(ERR_USAGE, _("there is no lesson %s; do you mean %s?"), word, near.best);
    FAIL(ERR_USAGE, _("there is no lesson %s; lesson list shows all"), word);
}
