// SPDX-License-Identifier: MIT
// Safetensors, the format in which weights are exchanged (github.com/huggingface/safetensors): the
// length of a header (64 bits, little-endian), the header (JSON: name, type, shape and place of
// every tensor, and a map of strings), the tensors' bytes, one after the other without holes.
#ifndef CORE_DATA_SAFETENSORS_H
#define CORE_DATA_SAFETENSORS_H

#include "core/base/arena.h"
#include "core/plan/kind.h"

#include <stdint.h>

enum { SAFETENSORS_DIMS = 8 };

typedef struct {
    const char *name;
    Dtype dtype;
    int dims;  // 0: one element
    int64_t shape[SAFETENSORS_DIMS];
    const void *data;  // C order
} SafetensorsEntry;

// An entry of the metadata: "epoch" is "5".
typedef struct {
    const char *key, *value;
} SafetensorsText;

typedef struct {
    SafetensorsEntry *entries;  // in the arena, as what they point to; in the order of the data
    SafetensorsText *texts;     // likewise
    int count, text_count;
} Safetensors;

int64_t safetensors_bytes(const SafetensorsEntry *e);  // of its data

// Write a file that appears when it is complete. Equal tensors give equal bytes. Tensors are stored
// in the order given, those of wide types first: so every element is aligned without holes. ERR_IO
// when it cannot be written; ERR_FORMAT when a name is given twice or is not UTF-8.
Status safetensors_write(const char *path, const SafetensorsEntry *entries, int count,
                         const SafetensorsText *texts, int text_count) MUST_USE;

// Read a file whole, of any size (packed by gzip at most 2 GiB); data are 64-byte aligned.
// ERR_INPUT when it cannot be read; ERR_FORMAT with
// file, byte or tensor, expected and found.
Status safetensors_read(Safetensors *out, Arena *a, const char *path) MUST_USE;

// The same of bytes in memory, which need not live on; `name` of the file, for messages.
Status safetensors_parse(Safetensors *out, Arena *a, const char *bytes, size_t length,
                         const char *name) MUST_USE;

// The tensor of that name, or the value of that key; NULL when there is none.
const SafetensorsEntry *safetensors_find(const Safetensors *s, const char *name);
const char *safetensors_text(const Safetensors *s, const char *key);

#endif
