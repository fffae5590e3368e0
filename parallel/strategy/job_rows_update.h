// SPDX-License-Identifier: MIT
// The options between gradients and weights: optimizer, learning rate, clipping. Rows of the tables
// of programs, as those of job_rows.h, which has the rest; and the marks that both give their rows.
#ifndef PARALLEL_STRATEGY_JOB_ROWS_UPDATE_H
#define PARALLEL_STRATEGY_JOB_ROWS_UPDATE_H

#include "core/cli/option.h"
#include "parallel/strategy/job_spec.h"

#include <math.h>

enum {
    JOB_OPTION = 1,          // belongs to the job: beside a trace, it asks for another job
    JOB_STATED_BY_PLAN = 2,  // cannot be given beside --plan
    JOB_BETWEEN_RANKS = 4,   // changes nothing where there is one rank
    JOB_IN_STRATEGY = 8,     // kept among the settings of the strategy,
    JOB_IN_OPTIMIZER = 16,   // or of the optimizer: "--weight-decay" as weight_decay
    JOB_OF_SGD = 32,         // belongs to --optimizer sgd,
    JOB_OF_ADAM = 64,        // to adam and adamw,
    JOB_OF_ADAMW = 128,      // to adamw alone,
    JOB_OF_STEP = 256,       // to --lr-schedule step,
    JOB_OF_COSINE = 512,     // to cosine,
    JOB_OF_BUCKETS = 1024,   // to strategies that join gradients in buckets: not --data-parallel
    JOB_OF_MESH = 2048,      // divides the ranks: not said where it is as when it is not given
    JOB_OF_PIPELINE = 4096,  // to --pp of 2 ranks or more
};

// clang-format off
#define JOB_AT(T, field) .at = offsetof(T, job.field)

#define JOB_ROW_OPTIMIZER(T) \
    {.name = "optimizer", .kind = OPTION_CHOICE, JOB_AT(T, optimizer.kind), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER, .value = "sgd|adam|adamw", \
     .initial = "sgd", .help = "update rule", \
     .others = "adagrad= adadelta= rmsprop= lamb= lars= lion= muon= momentum=sgd nesterov=sgd"}

#define JOB_ROWS_LR(T, shown_by_h) \
    {.name = "lr", .kind = OPTION_REAL, JOB_AT(T, learning_rate), \
     .marks = JOB_OPTION | JOB_IN_OPTIMIZER, .value = "X", .initial = "0.01", .min = 0, \
     .max = 1e6, .brief = shown_by_h, .help = "learning rate"}, \
    {.name = "warm-up", .kind = OPTION_INT, JOB_AT(T, warm_up_steps), \
     .marks = JOB_OPTION | JOB_IN_OPTIMIZER, .value = "N", .initial = "0", .min = 0, .max = 1e9, \
     .help = "raise the learning rate in equal parts over the first N steps"}, \
    {.name = "lr-schedule", .kind = OPTION_CHOICE, JOB_AT(T, schedule), \
     .marks = JOB_OPTION | JOB_IN_OPTIMIZER, .value = "constant|step|cosine", \
     .initial = "constant", .help = "how the learning rate falls after the warm-up", \
     .others = "none=constant steplr=step cos=cosine cosineannealinglr=cosine linear= " \
               "exponential= polynomial= plateau= onecycle="}, \
    {.name = "lr-step-size", .kind = OPTION_INT, JOB_AT(T, lr_step_size), \
     .marks = JOB_OPTION | JOB_IN_OPTIMIZER | JOB_OF_STEP, .value = "N", .initial = "1000", \
     .min = 1, .max = 1e9, .help = "of step: after every N steps it is multiplied"}, \
    {.name = "lr-gamma", .kind = OPTION_REAL, JOB_AT(T, lr_gamma), \
     .marks = JOB_OPTION | JOB_IN_OPTIMIZER | JOB_OF_STEP, .value = "X", .initial = "0.1", \
     .min = 0, .max = 1, .help = "by this"}, \
    {.name = "lr-min", .kind = OPTION_REAL, JOB_AT(T, lr_min), \
     .marks = JOB_OPTION | JOB_IN_OPTIMIZER | JOB_OF_COSINE, .value = "X", .initial = "0", \
     .min = 0, .max = 1e6, .help = "of cosine: where it ends"}, \
    {.name = "lr-decay-steps", .kind = OPTION_INT, JOB_AT(T, lr_decay_steps), \
     .marks = JOB_OPTION | JOB_IN_OPTIMIZER | JOB_OF_COSINE, .value = "N", .initial = "0", \
     .min = 0, .max = 1e9, \
     .help = "and after how many steps, warm-up included; 0: those of the run"}

#define JOB_ROWS_UPDATE(T) \
    {.name = "clip", .kind = OPTION_REAL, JOB_AT(T, optimizer.clip), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER, .value = "X", .initial = "0", \
     .min = 0, .max = HUGE_VAL, \
     .help = "scale all gradients so that their norm is at most X; 0: no"}, \
    {.name = "on-nan", .kind = OPTION_CHOICE, JOB_AT(T, on_nan), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER, .value = "stop|skip", \
     .initial = "stop", .help = "what a step does whose loss or gradients are not finite"}, \
    {.name = "loss-scale", .kind = OPTION_FORM, JOB_AT(T, loss_scale), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER, \
     .value = "none|dynamic[:FIRST]|constant[:SCALE]", .initial = "none", .min = 1, \
     .max = 0x1p127, .help = "multiply the loss's gradient, and divide by it before the update"}, \
    {.name = "loss-scale-every", .kind = OPTION_INT, JOB_AT(T, loss_scale_every), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER, .value = "N", \
     .initial = "2000", .min = 1, .max = 1e9, \
     .help = "of dynamic: N good steps double the scale"}, \
    {.name = "label-smoothing", .kind = OPTION_REAL, JOB_AT(T, label_smoothing), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER, .value = "EPS", .initial = "0", \
     .min = 0, .max = 1, .help = "share of each label that is divided among all classes"}, \
    {.name = "momentum", .kind = OPTION_REAL, JOB_AT(T, optimizer.momentum), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_SGD, .value = "X", \
     .initial = "0.9", .min = 0, .max = 1, .help = "momentum of SGD"}, \
    {.name = "nesterov", .kind = OPTION_FLAG, JOB_AT(T, optimizer.nesterov), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_SGD, \
     .help = "Nesterov's momentum"}, \
    {.name = "beta1", .kind = OPTION_REAL, JOB_AT(T, optimizer.beta1), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_ADAM, .value = "X", \
     .initial = "0.9", .min = 0, .max = 0.999999, \
     .help = "Adam's average of gradients decays by it"}, \
    {.name = "beta2", .kind = OPTION_REAL, JOB_AT(T, optimizer.beta2), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_ADAM, .value = "X", \
     .initial = "0.999", .min = 0, .max = 0.999999, \
     .help = "and that of their squares by this"}, \
    {.name = "eps", .kind = OPTION_REAL, JOB_AT(T, optimizer.eps), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_ADAM, .value = "X", \
     .initial = "1e-8", .min = 0, .max = 1, .help = "added to the root that Adam divides by"}, \
    {.name = "weight-decay", .kind = OPTION_REAL, JOB_AT(T, optimizer.weight_decay), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER, .value = "X", \
     .initial = "0", .min = 0, .max = 1e3, \
     .help = "L2 penalty, added to the gradient; of adamw taken off the weight"}, \
    {.name = "decay-all", .kind = OPTION_FLAG, JOB_AT(T, optimizer.decay_all), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER | JOB_OF_ADAMW, \
     .help = "adamw decays biases and norms, too, not only what has two dimensions"}, \
    {.name = "freeze", .kind = OPTION_STRING, JOB_AT(T, freeze), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_OPTIMIZER, .value = "PATTERN,...", \
     .help = "do not train these parameters or layers: conv*,fc1.weight"}
// clang-format on

#endif
