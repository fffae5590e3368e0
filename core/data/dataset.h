// SPDX-License-Identifier: MIT
// What is trained on: labelled images, or a text cut into windows of tokens.
//
//     Dataset data;
//     Split split;
//     TRY(dataset_read(&data, &arena, "data/mnist"));
//     TRY(dataset_check_labels(&data, model.classes, "model net"));
//     TRY(dataset_split(&split, &arena, &data, 0.15, seed));
//     ...
//     dataset_finish(&data);
//
// For text dataset_cut() comes before the split, and says how many tokens a row has.
#ifndef CORE_DATA_DATASET_H
#define CORE_DATA_DATASET_H

#include "core/base/arena.h"
#include "core/data/corpus.h"
#include "core/data/data_file.h"
#include "core/plan/kind.h"

#include <stdbool.h>
#include <stdint.h>

// Samples that lie one after the other: those of a file, or those that were made. An image is
// bytes, the planes of its channels one after the other, row by row; a label is 0 … 255.
typedef struct {
    const uint8_t *images, *labels;         // of the first sample; NULL: only described
    int64_t count, image_step, label_step;  // samples; bytes from one to the next
    const char *path;                       // the file of the labels, in the arena; NULL: made
    int64_t label_offset;                   // of the first label in it, unpacked
    DataFile files[2];                      // owned, where the bytes are; zeroed: the arena
} DatasetPart;

enum { DATASET_PARTS = 6 };

typedef struct {
    DatasetPart parts[DATASET_PARTS];  // of images: those that train first
    int part_count;
    int64_t count;  // samples
    int channels, height, width;
    int64_t train_count;  // of data that come split: the first so many train; 0: not split
    const char *source;   // "digits:count=12000,seed=1", or the directory
    Corpus text;          // of length 0: images
    bool masked;          // tokens of the text are masked (core/data/masking.h)
} Dataset;

static inline bool dataset_is_text(const Dataset *d) { return d->text.length > 0; }

// Bytes of an image.
static inline int64_t dataset_pixels(const Dataset *d) {
    return (int64_t)d->channels * d->height * d->width;
}

// The part that a sample lies in; *row, its number, becomes that within the part.
const DatasetPart *dataset_part(const Dataset *d, int64_t *row);

// Append a part, whose files the data set owns from then on.
void dataset_add(Dataset *d, const DatasetPart *part);

// How many labels a row has: one, or one for each token.
static inline int64_t dataset_labels(const Dataset *d) {
    return dataset_is_text(d) ? d->text.window : 1;
}

// Read a dataset: "digits[:count=,seed=]" or "text[:count=,seed=]" (made here), a text
// ("text:FILE[,tokens=bytes]"), a directory with the binary files of CIFAR-10, or one of these
// ("cifar10:DIR"), a directory with files named like those of
// MNIST or EMNIST (IDX, plain or .gz), such a directory and the first part of the names of one of
// its sets ("data/emnist-letters"), or an images file beside its labels file: docs/formats.md,
// "Data sets". ERR_INPUT when missing; ERR_FORMAT with file, byte offset, expected and found.
Status dataset_read(Dataset *out, Arena *a, const char *spec) MUST_USE;

// The same for who waits: called now and then while digits are drawn. `call` NULL: never.
typedef struct {
    void *context;
    void (*call)(void *context, int64_t done, int64_t count);
} DatasetProgress;
Status dataset_read_watched(Dataset *out, Arena *a, const char *spec,
                            const DatasetProgress *progress) MUST_USE;

// The same for who needs no pixels (a plan, a timed run): digits are not drawn, and have no images
// and labels (NULL). Files are read, and refused, as above.
Status dataset_describe(Dataset *out, Arena *a, const char *spec) MUST_USE;

void dataset_finish(Dataset *d);  // safe on a zeroed one

// Cut a text into rows of `window` tokens: count and train_count are known then (corpus_cut()).
Status dataset_cut(Dataset *d, int64_t window, double test_fraction) MUST_USE;

// Labels, or the tokens of a text and [MASK], must lie below the classes that a model, `who` in
// messages, tells apart. ERR_SHAPE with the place of the first that does not.
Status dataset_check_labels(const Dataset *d, int64_t classes, const char *who) MUST_USE;

// A hash of what is in it, wherever it lies: sizes, all labels; images, or tokens of a text, at
// intervals where there are many. Of data that were only described: of their sizes.
uint64_t dataset_hash(const Dataset *d);

// The rows that train and those that test, in the arena.
typedef struct {
    int32_t *train, *test;
    int64_t train_count, test_count;
} Split;

// A seeded permutation with `test_fraction` (rounded to whole rows) for testing, unless the data
// come split; a text has been cut. ERR_USAGE when none would be left for training.
Status dataset_split(Split *out, Arena *a, const Dataset *d, double test_fraction,
                     uint64_t seed) MUST_USE;

// Where rows are read for: what a text's windows depend on beside the row.
typedef struct {
    uint64_t seed;
    int64_t epoch;
} DatasetTime;

// Write the images of `n` rows as normalised pixels to x (of a real type, n * dataset_pixels()) and
// their labels to y (int32, n): ((x / 255) - mean) / deviation, of one channel those of MNIST, of
// three those of CIFAR-10 (docs/formats.md, "Data sets"). Of a text: tokens to x (int32, n *
// window; dtype is DTYPE_I32), and the token after each to y; of a masked one, what
// masking_window() makes of them. Either may be NULL: not wanted.
void dataset_gather(const Dataset *d, const int32_t *rows, int64_t n, Dtype dtype, DatasetTime time,
                    void *x, int32_t *y);

// How many labels of these rows count: all that are not LABEL_IGNORED.
int64_t dataset_counted(const Dataset *d, const int32_t *rows, int64_t n, DatasetTime time);

#endif
