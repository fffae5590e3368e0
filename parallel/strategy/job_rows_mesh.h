// SPDX-License-Identifier: MIT
// Rows of JOB_ROWS() (job_rows.h): how ranks are divided among the axes of the mesh. `most`: the
// ranks that help offers, 0 all; plans may be printed of more than a program can run.
#ifndef PARALLEL_STRATEGY_JOB_ROWS_MESH_H
#define PARALLEL_STRATEGY_JOB_ROWS_MESH_H

#include "core/cli/option.h"
#include "parallel/strategy/job_spec.h"

// clang-format off
#define JOB_ROWS_MESH(T, most) \
    {.name = "dp", .kind = OPTION_SMALL, JOB_AT(T, mesh.data), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN, .value = "N", .min = 1, .max = 1 << 20, \
     .offered = (most), \
     .help = "data parallel degree; without it what the other degrees leave of the ranks"}, \
    {.name = "tp", .kind = OPTION_SMALL, JOB_AT(T, mesh.tensor), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY | JOB_OF_MESH, .value = "N", \
     .min = 1, .max = 1 << 20, .offered = (most), \
     .help = "tensor parallel degree: weights and heads are divided"}, \
    {.name = "sequence-parallel", .kind = OPTION_FLAG, JOB_AT(T, strategy.sequence_parallel), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY | JOB_OF_MESH, \
     .help = "with --tp: norms and dropout, too, of a part of the positions on each rank"}, \
    {.name = "ep", .kind = OPTION_SMALL, JOB_AT(T, strategy.experts), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY | JOB_OF_MESH, .value = "N", \
     .min = 1, .max = 1 << 20, .offered = (most), \
     .help = "expert parallel degree: so many data parallel ranks share the experts"}, \
    {.name = "pp", .kind = OPTION_SMALL, JOB_AT(T, mesh.pipe), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY | JOB_OF_MESH, .value = "N", \
     .min = 1, .max = 1 << 20, .offered = (most), \
     .help = "pipeline degree: layers are divided; --accumulate is 2 N then, unless given"}, \
    {.name = "cp", .kind = OPTION_SMALL, JOB_AT(T, mesh.context), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY | JOB_OF_MESH, .value = "N", \
     .min = 1, .max = 64, \
     .help = "context parallel degree: sequences are cut, attention is a ring"}, \
    {.name = "cp-kind", .kind = OPTION_CHOICE, JOB_AT(T, strategy.context), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY | JOB_OF_MESH, \
     .value = "ring|all-to-all", .initial = "ring", .help = "of --cp: how attention goes", \
     .others = "ulysses=all-to-all a2a=all-to-all alltoall=all-to-all p2p=ring zigzag=ring"}, \
    {.name = "schedule", .kind = OPTION_FORM, JOB_AT(T, strategy.schedule), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY | JOB_OF_PIPELINE, \
     .value = "gpipe|1f1b|interleaved[:V]|zero-bubble", .initial = "1f1b", .min = 2, .max = 64, \
     .help = "of --pp: the order of forward and backward passes", \
     .others = "1F1B=1f1b pipedream-flush=1f1b one-f-one-b=1f1b vpp=interleaved zb=zero-bubble " \
               "zb-h1=zero-bubble zbv= dualpipe= afab=gpipe"}, \
    {.name = "stages", .kind = OPTION_STRING, JOB_AT(T, strategy.stages), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY | JOB_OF_PIPELINE, \
     .value = "0:K,K:L,..", \
     .help = "of --pp: the layers of each stage; without it by their flops"}, \
    {.name = "mesh", .kind = OPTION_STRING, JOB_AT(T, mesh_order), \
     .marks = JOB_OPTION | JOB_STATED_BY_PLAN | JOB_IN_STRATEGY | JOB_OF_MESH, \
     .value = "AXIS,..", .initial = MESH_ORDER, \
     .help = "the order of its axes, the innermost last: its ranks are neighbours"}
// clang-format on

#endif
