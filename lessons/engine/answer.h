// SPDX-License-Identifier: MIT
// What a learner types, as numbers: "150 MB", "143MiB", "1.5e8", "12 %", "3/8"; of options their
// numbers, "2", or "3 1 2" for an order.
// Everything is a number inside: bytes, seconds, a share of one, the place of an option.
#ifndef LESSONS_ENGINE_ANSWER_H
#define LESSONS_ENGINE_ANSWER_H

#include "core/base/status.h"

#include <stddef.h>

typedef enum {
    UNIT_NUMBER,   // no unit: a loss, a gradient, an exponent
    UNIT_COUNT,    // a whole number of things; k, M and G are taken
    UNIT_BYTES,    // 150 MB, 143 MiB; a bare number counts bytes
    UNIT_SECONDS,  // 2.5 ms; a unit must be written, except for 0
    UNIT_RATE,     // bytes per second: 25 GB/s
    UNIT_SHARE,    // of one: 12 % or 0.12
    UNIT_TIMES     // 3.2x or 3.2: a ratio
} AnswerUnit;

typedef enum {
    ANSWER_VALUE,     // one quantity
    ANSWER_CHOICE,    // one of several options: values[0] is its place, from 0
    ANSWER_ORDER,     // all of several things in order: values[k] is which comes at place k
    ANSWER_CURVE,     // several quantities, one for each point that was asked for
    ANSWER_INTERVAL,  // two quantities, the lower first, that the value is believed to lie between
    ANSWER_FORM_COUNT
} AnswerForm;

enum { ANSWER_MOST = 12, ANSWER_TEXT = 160 };
typedef struct {
    double values[ANSWER_MOST];
    int count;
} Answer;

// What form an answer has to have.
typedef struct {
    AnswerForm form;
    AnswerUnit unit;  // of quantities
    int count;        // options of a choice, things in an order, points of a curve; else ignored
} AnswerShape;

// Read one. Options and things are numbered from 1. Values of a curve, an order or an interval are
// separated by blanks or commas. ERR_USAGE: what was found, what is expected, with an example, as a
// translated sentence; *out is left alone.
Status answer_parse(Answer *out, const AnswerShape *shape, const char *text) MUST_USE;

// As a learner would write it, so that answer_parse() reads it back: "149 MB", "2", "3 1 2".
char *answer_print(char out[ANSWER_TEXT], const AnswerShape *shape, const Answer *a);

// One quantity with its unit and `digits` significant digits.
char *answer_print_value(char *out, size_t size, AnswerUnit unit, int digits, double value);

#endif
