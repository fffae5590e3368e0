// SPDX-License-Identifier: MIT
// Loads samples: pixels as normalised numbers, or the tokens of a text.
#include "core/base/bf16.h"
#include "core/data/dataset.h"
#include "core/data/masking.h"

#include <assert.h>

// The 256 values of a byte, normalised by the compiler, in double, and rounded once: they are
// the same on every machine.
#define PIXEL_1(x, mean, deviation) (((x) / 255.0 - (mean)) / (deviation))
#define PIXEL_4(x, ...)                                                                \
    PIXEL_1(x, __VA_ARGS__), PIXEL_1(x + 1, __VA_ARGS__), PIXEL_1(x + 2, __VA_ARGS__), \
        PIXEL_1(x + 3, __VA_ARGS__)
#define PIXEL_16(x, ...)                                                               \
    PIXEL_4(x, __VA_ARGS__), PIXEL_4(x + 4, __VA_ARGS__), PIXEL_4(x + 8, __VA_ARGS__), \
        PIXEL_4(x + 12, __VA_ARGS__)
#define PIXEL_64(x, ...)                                                                    \
    PIXEL_16(x, __VA_ARGS__), PIXEL_16(x + 16, __VA_ARGS__), PIXEL_16(x + 32, __VA_ARGS__), \
        PIXEL_16(x + 48, __VA_ARGS__)
#define PIXEL_256(...)                                                               \
    PIXEL_64(0, __VA_ARGS__), PIXEL_64(64, __VA_ARGS__), PIXEL_64(128, __VA_ARGS__), \
        PIXEL_64(192, __VA_ARGS__)

// Mean and standard deviation of the pixels that train, from 0 to 1: of MNIST, and of the red,
// green and blue of CIFAR-10.
#define CHANNEL_LIST(X) X(0.1307, 0.3081) X(0.4914, 0.2470) X(0.4822, 0.2435) X(0.4465, 0.2616)
enum { GREY, RED, CHANNELS = 4 };
#define X(...) {PIXEL_256(__VA_ARGS__)},
static const double pixels_f64[CHANNELS][256] = {CHANNEL_LIST(X)};
static const float pixels_f32[CHANNELS][256] = {CHANNEL_LIST(X)};
#undef X

const DatasetPart *dataset_part(const Dataset *d, int64_t *row) {
    const DatasetPart *p = d->parts;
    while (*row >= p->count) *row -= p++->count;
    return p;
}

static void load_plane(const uint8_t *plane, int64_t n, int channel, Dtype dtype, void *x,
                       int64_t at) {
    if (dtype == DTYPE_F64)
        for (int64_t j = 0; j < n; j++) ((double *)x)[at + j] = pixels_f64[channel][plane[j]];
    else if (dtype == DTYPE_F32)
        for (int64_t j = 0; j < n; j++) ((float *)x)[at + j] = pixels_f32[channel][plane[j]];
    else
        for (int64_t j = 0; j < n; j++)
            ((Bf16 *)x)[at + j] = bf16_from_f32(pixels_f32[channel][plane[j]]);
}

static void gather_images(const Dataset *d, const int32_t *rows, int64_t n, Dtype dtype, void *x,
                          int32_t *y) {
    assert(dtype_is_real(dtype) && (d->channels == 1 || d->channels == 3));
    int64_t plane = (int64_t)d->height * d->width;
    int first = d->channels == 1 ? GREY : RED;
    for (int64_t i = 0; i < n; i++) {
        int64_t row = rows[i];
        const DatasetPart *p = dataset_part(d, &row);
        const uint8_t *image = p->images + row * p->image_step;
        for (int c = 0; x && c < d->channels; c++)
            load_plane(image + c * plane, plane, first + c, dtype, x,
                       (i * d->channels + c) * plane);
        if (y) y[i] = p->labels[row * p->label_step];
    }
}

void dataset_gather(const Dataset *d, const int32_t *rows, int64_t n, Dtype dtype, DatasetTime time,
                    void *x, int32_t *y) {
    if (!dataset_is_text(d)) {
        gather_images(d, rows, n, dtype, x, y);
        return;
    }
    assert(dtype == DTYPE_I32);
    int64_t window = d->text.window;
    void (*gather)(const Corpus *, uint64_t, int64_t, int64_t, int32_t *, int32_t *) =
        d->masked ? masking_window : corpus_window;
    for (int64_t i = 0; i < n; i++)
        gather(&d->text, time.seed, time.epoch, rows[i], x ? (int32_t *)x + i * window : NULL,
               y ? y + i * window : NULL);
}

int64_t dataset_counted(const Dataset *d, const int32_t *rows, int64_t n, DatasetTime time) {
    if (!d->masked) return n * dataset_labels(d);
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += masking_count(&d->text, time.seed, time.epoch, rows[i]);
    return count;
}
