// SPDX-License-Identifier: MIT
// IDX, the format of MNIST (yann.lecun.com/exdb/mnist): big-endian 32-bit magic number and sizes,
// then bytes. Files are plain or gzip; offsets in messages count unpacked bytes.
#ifndef CORE_DATA_IDX_H
#define CORE_DATA_IDX_H

#include "core/base/arena.h"
#include "core/data/data_file.h"

#include <stdint.h>

// Magic numbers: unsigned bytes in 3 dimensions or 1.
enum { IDX_IMAGES = 0x00000803, IDX_LABELS = 0x00000801 };
enum { IDX_SIDE = 4096 };  // longest side of an image that is believed

// A pair of files that belong together.
typedef struct {
    const uint8_t *images, *labels;  // count * height * width, and count (0 … 255), in the files
    int64_t count;                   // 1 … INT32_MAX
    int height, width;
    DataFile images_file, labels_file;
} Idx;

// Open images and their labels. ERR_INPUT when a file cannot be read, ERR_FORMAT with file, byte
// offset, expected and found.
Status idx_open(Idx *out, Arena *a, const char *images_path, const char *labels_path) MUST_USE;
void idx_close(Idx *idx);  // safe on a zeroed one

// Where the label of image i lies in the unpacked labels file.
static inline int64_t idx_label_offset(int64_t i) { return 8 + i; }

#endif
