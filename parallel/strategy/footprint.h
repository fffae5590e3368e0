// SPDX-License-Identifier: MIT
// What a rank of a data-parallel job keeps and sends: by the closed forms of DDP and ZeRO
// (Rajbhandari et al., 2020, for one type and this optimiser's state), and as a lowered program
// plans it. With Psi bytes of parameters, T of those that are trained, K times as many as these of
// optimiser state, N ranks and P passes over a step's micro-batches and local shards:
//
//           parameters   gradients   optimiser   sent a step by a rank
//   DDP     Psi          T           K T         2 T (N-1)/N
//   ZeRO-1  Psi          T           K T/N       2 T (N-1)/N
//   ZeRO-2  Psi          T/N         K T/N       2 T (N-1)/N
//   ZeRO-3  Psi/N        T/N         K T/N       (2P Psi + T) (N-1)/N
//
// With passes in bf16 a rank keeps copies of its parameters as well, Phi = Psi / 2 bytes, and ZeRO
// gathers these. ZeRO-3 has its share of them, and sends (2P Phi + T) (N-1)/N; in ZeRO-1 and 2 they
// alone are whole, of what is trained: Phi + Psi - T + T/N, and (T/2 + T) (N-1)/N are sent.
//
// Recomputation makes ZeRO-3 gather the R bytes of what it computes with once more in each pass:
// (2P Psi + P R + T) (N-1)/N.
//
// Under ZeRO the norm of the gradients sends 16 (N-1)/N bytes for each block of 4,096 elements.
// State, such as running statistics, is whole on every rank, and counts as the optimiser's. Where
// other axes of the mesh cut parameters, Psi and T are of a rank's pieces.
//
// Where C ranks of other positions (--cp) hold the same, DDP is that of N C ranks; ZeRO shards over
// N, and gradients of each of S local shards are summed over C before: 2 S T (C-1)/C more.
//
// Where E of the N ranks share experts, what a rank has of these is in Psi, T and K T, but N / E
// ranks hold the same: for that part the forms are those of N / E ranks. DDP sends for the norm
// 16 (E-1)/E bytes for each block of experts' gradients. Where ranks of other positions are among
// the E, those of N C are meant, nobody sums over C, and their norm under ZeRO is of N C ranks.
//
// Beside them a plan has a working set: in stage 2 and 3 the whole gradients of two buckets, in
// stage 3 the gathered parameters of `prefetch` + 1 blocks of the model, or layers outside of
// them; shards are whole blocks of elements; a backward gathers only what it reads; and a parameter
// that several layers use has a gradient for each.
#ifndef PARALLEL_STRATEGY_FOOTPRINT_H
#define PARALLEL_STRATEGY_FOOTPRINT_H

#include "core/plan/program.h"

// Bytes of one rank.
typedef struct {
    double parameters, gradients, optimiser;
    double sent;              // of gradients and parameters, a step
    double sent_norm;         // of the norm of all gradients, where it is computed
    double sent_statistics;   // of batch normalisation; no closed form has them, and none the next
    double sent_activations;  // and their gradients, where ranks or stages share rows, or experts
    double sent_rows;         // of samples, outputs and their gradients, as DataParallel does
} Footprint;

// What the closed forms are about.
typedef struct {
    int64_t parameter_bytes, trained_bytes, optimiser_bytes, state_bytes;  // along "data" together
    int64_t copy_bytes;           // of the parameters' copies in the passes' type
    int64_t recomputed_bytes;     // of the parameters, or copies, that a pass reads once more
    int64_t parameters, trained;  // elements, of all ranks
    int64_t blocks;               // of all gradients whose squares are summed; 0 without a norm
    int64_t expert_parameter_bytes, expert_trained_bytes, expert_optimiser_bytes, expert_copy_bytes,
        expert_blocks;           // of all those, what is of experts that ranks share
    int ranks, passes, sharers;  // sharers: so many share them, 1: none
    int context, shards;         // ranks of other positions, 1: none; local shards
    bool wide;                   // these share experts, too
} FootprintModel;

// The model of a program, lowered or not, whose data-parallel ranks lie along the axis "data".
FootprintModel footprint_model(const Program *p);

// By the closed form; stage 0 is DDP. Of one rank all stages are alike, and nothing is sent.
Footprint footprint_closed(const FootprintModel *m, int stage);

// As a lowered program plans it, with the working set. What it sends is what this rank sends; NONE:
// the mean of all, where all ranks execute it.
Footprint footprint_planned(const Program *p, int rank);

#endif
