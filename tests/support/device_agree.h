// SPDX-License-Identifier: MIT
// One device against the reference, over swept sizes. A test describes a few operations as a
// function that builds them for given sizes; a sweep builds and compares them for every
// device of this build.
#ifndef TESTS_SUPPORT_DEVICE_AGREE_H
#define TESTS_SUPPORT_DEVICE_AGREE_H

#include "tests/support/device_case.h"

typedef struct {
    Dtype dtype;
    Fill fill;
    int64_t capacity, rows;               // B, and how many of them are in use
    int64_t C, H, W, K;                   // in, height, width, out
    int64_t kernel, stride, pad;          // of the convolution, or of the pooling alone
    int64_t pool, pool_stride, pool_pad;  // of the pooling after a convolution
    bool accumulate, bias, index;
} Sizes;

typedef void (*Build)(Case *c, const Sizes *s);

static inline int64_t after_window(int64_t size, int64_t kernel, int64_t stride, int64_t pad) {
    return (size + 2 * pad - kernel) / stride + 1;
}
static inline int64_t conv_height(const Sizes *s) {
    return after_window(s->H, s->kernel, s->stride, s->pad);
}
static inline int64_t conv_width(const Sizes *s) {
    return after_window(s->W, s->kernel, s->stride, s->pad);
}
static inline int64_t pool_height(const Sizes *s) {
    return after_window(conv_height(s), s->pool, s->pool_stride, s->pool_pad);
}
static inline int64_t pool_width(const Sizes *s) {
    return after_window(conv_width(s), s->pool, s->pool_stride, s->pool_pad);
}

// Build the operations, run them with the reference one by one, lower them for the device (which
// must make one operation of them if it has that fusion; NONE: no matter), run that twice from
// different junk, compare. An output "index" may differ from the reference's where "relu", which it
// points into, has values so close that rounding decides.
void device_agree(const Device *d, Build build, const Sizes *s, int fusion);

// Input "index" of this shape (B,C,OH,OW): of each window over planes of H x W any place that is a
// pixel. The window is the kernel, stride and padding of a max_pool.
void device_agree_index(Case *c, const int64_t *window, int64_t H, int64_t W,
                        const int64_t shape[4]);

// Rows in use and allocated.
enum { SWEPT_ROWS = 7 };
extern const int64_t swept_rows[SWEPT_ROWS][2];

// Every combination of rows, kernel 1, 3, 5, stride 1, 2 and padding 0, 1, 2; the rest is drawn,
// the padding of the pooling too.
void sweep_windows(Build build, int fusion, int64_t pool, int64_t pool_stride);
// The convolutions of models/net.model, of 28 x 28 and 12 x 12.
void sweep_net(Build build, int fusion);
// Padded, strided and 1 x 1 convolutions of twelve channels, as residual networks have them.
void sweep_residual(Build build, int fusion);
// Every combination of rows, C and K; the rest is drawn.
void sweep_vectors(Build build, int fusion);

#endif
