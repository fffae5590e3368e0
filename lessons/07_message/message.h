// SPDX-License-Identifier: MIT
// Lesson 7: what its runs fill in and its texts show.
#ifndef LESSONS_07_MESSAGE_MESSAGE_H
#define LESSONS_07_MESSAGE_MESSAGE_H

#include "lessons/engine/lesson.h"

enum { MESSAGE_SIZES = 7, MESSAGE_REPEATS = 12 };

// Times of one direction, in seconds: half of a round trip. Until something is measured they are
// those of the described host `laptop`, and stay so in virtual time.
typedef struct {
    bool simulated;                    // times are, and stay so
    double repeat_s[MESSAGE_REPEATS];  // of a message of 8 bytes, one after the other
    double bytes[MESSAGE_SIZES], time_s[MESSAGE_SIZES];  // of each size the fastest
    double alpha_s, alpha_low_s, alpha_high_s;           // the line through them, with intervals
    double bytes_per_s, low_bytes_per_s, high_bytes_per_s;
    double error;                    // of the line, a share: the mean over the sizes
    double held_factor, held_bytes;  // a size that is not among them: so many times n1/2
    double held_s;                   // what it took; 0: not yet
    double sent, overwritten;        // elements of a message, and how many change under way
    double received_sum;             // 0: not yet
} Message;

// What a described message takes: what a lesson shows before, or in place of, a measurement.
Status message_describe(const LessonRun *run, Message *x) MUST_USE;

Status message_run_repeats(const LessonRun *run, void *state) MUST_USE;
Status message_run_sizes(const LessonRun *run, void *state) MUST_USE;
Status message_run_held(const LessonRun *run, void *state) MUST_USE;
Status message_run_overwritten(const LessonRun *run, void *state) MUST_USE;

double message_half_bytes(const Message *x);  // n1/2: latency and bytes take equally long
// What the runs must be able to tell apart.
extern const Question message_reported, message_half;

#endif
