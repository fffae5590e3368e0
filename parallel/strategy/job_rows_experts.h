// SPDX-License-Identifier: MIT
// Options of a model that is a mixture of experts: rows of job_rows.h.
#ifndef PARALLEL_STRATEGY_JOB_ROWS_EXPERTS_H
#define PARALLEL_STRATEGY_JOB_ROWS_EXPERTS_H

#include "parallel/strategy/job_rows_update.h"

// clang-format off
#define JOB_ROWS_EXPERTS(T) \
    {.name = "experts", .kind = OPTION_SMALL, JOB_AT(T, experts), \
     .marks = JOB_OPTION | JOB_IN_STRATEGY | JOB_OF_MESH, .value = "E", .min = 1, .max = 1 << 20, \
     .help = "of a model with experts, such as mixtral: how many a layer has"}, \
    {.name = "top-k", .kind = OPTION_SMALL, JOB_AT(T, top_k), \
     .marks = JOB_OPTION | JOB_IN_STRATEGY | JOB_OF_MESH, .value = "K", .min = 1, .max = 1 << 20, \
     .help = "of such a model: how many of them a token goes to"}
// clang-format on

#endif
