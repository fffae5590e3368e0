// SPDX-License-Identifier: MIT
// Tensors in several safetensors files, and an index of them in JSON, as Hugging Face names both:
// w-00001-of-00002.safetensors, w.safetensors.index.json. A tensor lies in one file whole, or its
// pieces lie in several: then the file says which of the elements it has, and the index what the
// whole is (docs/formats.md, "Checkpoints in several files").
#ifndef CORE_DATA_SAFETENSORS_INDEX_H
#define CORE_DATA_SAFETENSORS_INDEX_H

#include "core/data/safetensors.h"

#include <stdbool.h>

bool safetensors_is_index(const char *path);  // by its name

// A text of the index that each of its files must have, too: it tells files that other runs or
// steps left under the same names. An index without it takes any files.
#define SAFETENSORS_PART_OF "part_of"

// Read all files of an index, and put the pieces together. ERR_INPUT and ERR_FORMAT as
// safetensors_read(); ERR_FORMAT also where an element is there twice, or not at all, or where a
// file is part of another checkpoint. The text that says so is not among those of *out.
Status safetensors_read_index(Safetensors *out, Arena *a, const char *path) MUST_USE;

// One tensor of an index: the whole (its data are not used), and the numbers of the files that have
// it, from 0, ascending.
typedef struct {
    SafetensorsEntry whole;
    const int *files;
    int file_count;
} SafetensorsPlace;

// Write an index; `files` are names without a folder. ERR_IO; ERR_FORMAT for what is not UTF-8.
Status safetensors_write_index(const char *path, const SafetensorsPlace *places, int count,
                               const char *const *files, const SafetensorsText *texts,
                               int text_count) MUST_USE;

// What a file says of a piece, in its metadata under the name of the tensor: the elements
// first … first + count - 1 of the whole, `times` times, each `stride` behind the one before.
// "FIRST:COUNT" or "FIRST:COUNT:TIMES:STRIDE", with spaces between several.
typedef struct {
    int64_t first, count, times, stride;
} SafetensorsRun;

#endif
