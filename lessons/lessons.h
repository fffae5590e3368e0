// SPDX-License-Identifier: MIT
// All lessons. A new one: its folder, its line here and in lessons.c and meson.build.
#ifndef LESSONS_LESSONS_H
#define LESSONS_LESSONS_H

#include "lessons/engine/lesson.h"

extern const Lesson article_lesson;
extern const Lesson neuron_lesson;
extern const Lesson softmax_lesson;
extern const Lesson backprop_lesson;
extern const Lesson descent_lesson;
extern const Lesson minibatch_lesson;
extern const Lesson device_lesson;
extern const Lesson message_lesson;
extern const Lesson all_reduce_lesson;
extern const Lesson data_parallel_lesson;
extern const Lesson scaling_lesson;
extern const Lesson overlap_lesson;
extern const Lesson stragglers_lesson;
extern const Lesson zero_lesson;
extern const Lesson tensor_parallel_lesson;
extern const Lesson pipeline_lesson;
extern const Lesson layout_lesson;
extern const Lesson validation_lesson;
extern const Lesson bottleneck_lesson;
extern const Lesson gpu_lesson;
extern const Lesson failures_lesson;
extern const Lesson data_parallel_ddp_lesson;
extern const Lesson which_strategy_lesson;
extern const Lesson accumulation_lesson;
extern const Lesson mixed_precision_lesson;
extern const Lesson compression_lesson;
extern const Lesson distillation_lesson;

// In the order of their numbers.
const Lesson *const *lessons_all(int *count);

// The parts of the course, in order.
const LessonPart *lessons_parts(int *count);

// By number or name ("8", "all_reduce", "08_all_reduce"); ERR_USAGE with the nearest.
Status lessons_find(const Lesson **out, const char *word) MUST_USE;

#endif
