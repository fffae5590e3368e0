// SPDX-License-Identifier: MIT
// Which share of a described GPU's peaks its kernels reach, by their shapes.
//
// A matrix product is computed tile by tile, as many at once as the device has units (streaming
// multiprocessors): a wave. So a product takes whole waves, a last one with few tiles as long as
// any other ("wave quantisation", NVIDIA, "Matrix multiplication background user's guide"), and in
// each of them the sums, at the share of a unit's peak that this tile reaches, and the tile's
// beginning and end, which do not shrink with the length of the sums. Libraries choose among tiles,
// and divide sums where there are too few (split-K); here the fastest is taken. All units together
// reach no more than `most`, because of power; and far less where rows of matrices do not begin at
// whole 16 bytes, which the fast ways of loading need. Attention is such work, too: a tile is a
// block of queries of one head. What else kernels do is moving memory, whose rate only those reach
// that move enough of it, and kernels of some kinds never.
#ifndef CORE_PLATFORM_KERNEL_MODEL_H
#define CORE_PLATFORM_KERNEL_MODEL_H

#include "core/plan/program.h"

#include <stdio.h>

enum { KERNEL_TILES = 8, KERNEL_POINTS = 12 };

typedef struct {
    int32_t rows, columns;
    int32_t reached_permille;  // of a unit's peak, for long sums
    int64_t fill_ps;           // its beginning and end
} KernelTile;

// Zero: nothing is known.
typedef struct {
    int32_t units;
    int32_t most_permille;  // of the device's peak;
    int32_t odd_permille;  // products in bf16 with an odd number of features, in or out; 0: as much
    int32_t even_permille;  // or with an even one that is no multiple of four
    int32_t bias_permille;  // kernels of their own sum gradients of biases, at so much of the curve
                            // of memory, and add those of convolutions; 0: the product does
    KernelTile tiles[KERNEL_TILES];
    int tile_count;
    KernelTile attention;                   // rows: queries of a block; 0: none
    int32_t attention_backward_permille;    // that its backward reaches,
    int64_t attention_backward_fill_ps;     // and its beginning and end
    int32_t kind_permille[KIND_COUNT];      // of the rate below, by kind of work; 0: all of it
    int64_t bytes[KERNEL_POINTS];           // of the curve of memory, ascending
    int32_t bytes_permille[KERNEL_POINTS];  // of the memory's rate, for so many bytes
    int point_count;
} KernelModel;

// A matrix product, or `count` of them: rows x columns sums of `depth` products.
typedef struct {
    int64_t count, rows, columns, depth;
} ProductShape;

// The shape of a product as kernels compute it, convolutions as im2col would; of attention a block
// of all keys for each `block` queries of a head (columns 0). False: the operation is neither.
bool kernel_model_product(ProductShape *out, const Program *p, const Plan *plan, const Op *op);
// The products of queries and keys of an unfused attention, one or two: how many; 0: it is none.
int kernel_model_matrices(ProductShape out[2], const Program *p, const Plan *plan, const Op *op);
bool kernel_model_blocks(int64_t *out, const Program *p, const Plan *plan, const Op *op,
                         int32_t queries);

// Products and attention, which the units' arithmetic bounds.
bool kernel_model_multiplies(Kind kind);

// Picoseconds for the arithmetic of an operation on a device with that peak, rounded up; INT64_MAX
// if it is longer than fits. False: the model does not know this kind of work.
bool kernel_model_arithmetic_ps(int64_t *out, const KernelModel *k, const Program *p,
                                const Plan *plan, const Op *op, int64_t flops_per_s);

// Picoseconds to read and write so many bytes: linear between the points of the curve, of less than
// the first as long as the first. `permille`: what is reached where the curve has no points.
int64_t kernel_model_memory_ps(const KernelModel *k, int64_t bytes, int64_t bytes_per_s,
                               int32_t permille);

// Bytes that a kernel moves for the bias of a product, apart from it, and in thousandths the share
// of that rate which it reaches. 0: there is no such kernel.
int64_t kernel_model_bias_bytes(int32_t *permille, const KernelModel *k, const Program *p,
                                const Plan *plan, const Op *op);

#endif
