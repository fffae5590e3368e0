// SPDX-License-Identifier: MIT
// A plan in text on the ranks of a mesh, whose tensors lie in pieces, against the same plan on one
// rank, where all of them are whole.
//
// What no operation writes is filled by its place in the logical tensor, so that every rank has its
// piece of the same values, and a NaN where a tensor has room for more than a piece: whoever reads
// that is found. What the plan writes is compared with the whole element by element.
#ifndef TESTS_SUPPORT_PIECES_H
#define TESTS_SUPPORT_PIECES_H

#include "core/device/device.h"

// The value of element i of a logical tensor, of those that a plan does not write.
typedef double (*PiecesValue)(const char *logical, int64_t i);

typedef struct {
    const char *whole, *text;  // the plans; their logical tensors are the same
    const Device *device;
    PiecesValue value;
    const char *compared;  // logical tensors, separated by spaces
    double tolerance;      // of 1 + |value|; 0: the same bits
    bool zeros;            // behind a piece, a compared tensor is zero
} Pieces;

// Fails the test, naming rank, tensor and element.
void pieces_compare(const Pieces *p);

// The text of a plan: `$t` in the template is a type, `$0` to `$9` are numbers. `size` bytes.
void pieces_text(char *out, size_t size, const char *template, const char *type,
                 const int64_t *numbers);

#endif
