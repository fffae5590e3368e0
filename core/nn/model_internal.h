// SPDX-License-Identifier: MIT
// Shared by the files that read models: words, and what is done once all lines are read.
#ifndef CORE_NN_MODEL_INTERNAL_H
#define CORE_NN_MODEL_INTERNAL_H

#include "core/base/line_reader.h"
#include "core/nn/layers/layer_internal.h"

const char *layer_attribute_name(Attribute a);  // "out"
bool layer_takes(const LayerRow *row, Attribute a);
bool layer_requires(const LayerRow *row, Attribute a);

// Advice that follows a message about a word that is no layer, or no attribute of a layer: the word
// that was probably meant, or why there is none, and what there is. Returns `out`.
enum { LAYER_ADVICE = 256 };
const char *layer_advise(char out[LAYER_ADVICE], const char *word);
const char *layer_advise_attribute(char out[LAYER_ADVICE], const LayerRow *row, const char *word);

extern const char *const model_line_words[];  // "input", "classes" …, then NULL

// One turn of a repeat or of a block, or the whole file: it says what the words in it mean. All
// strings are in the model's arena.
typedef struct Scope {
    const struct Scope *outer;  // NULL: of the whole file
    const char *block;          // the block's name as written, NULL of a repeat
    const char *path;           // in full, "stage1.res2"; of a repeat that of the block around
    const char *prefix;         // of names in it: "stage1.res2.", or ""
    const char *suffix;         // of names in it: the turns of repeats within the block, "2_3"
    int first;                  // its first layer: the one before is what enters it
    int *numbered;              // [row] how many layers without a name the block has, so far
} Scope;

// A `turn` from 1 is called NAME1, NAME2 ...; -1, -2 ... NAME.0, NAME.1 ...; 0 just NAME.
// `block` NULL: a repeat, or without `outer` the file. A block's name must be short enough for
// scope_name(). ERR_MEMORY.
Status scope_open(Scope **out, Arena *a, const Scope *outer, const char *block, int64_t turn,
                  int first) MUST_USE;

// The full name of a layer that is called `word` in this scope; false: it is too long.
enum { SCOPE_NAME = 64 };  // bytes
bool scope_name(char out[SCOPE_NAME], const Scope *s, const char *word) MUST_USE;

// What a layer's line says of other layers, until all layers have names.
typedef struct {
    Scope *scope;
    const char *from[LAYER_INPUTS], *tie;  // in the arena; NULL: not given
} LayerLine;

// Number the layers that have no name, then find those that lines[i] names. ERR_FORMAT with the
// line, the layer and the nearest word.
Status model_connect(Model *m, const LayerLine *lines, Arena *a) MUST_USE;

// A value that the file names and the user may set: "mlp:hidden=256".
typedef struct {
    char name[32];
    int64_t value;
    bool known;  // to the file; else only the user has given it, so far
} ModelNumber;

enum { MODEL_NUMBERS = 32 };
static const int64_t MODEL_NUMBER_MAX = 1000000000;

typedef struct {
    const LineReader *in;  // for messages
    ModelNumber numbers[MODEL_NUMBERS];
    int count;
} ModelNumbers;

// "hidden=256,layers=3": what the user gave; ERR_USAGE. A parameter of the file, whose value is the
// user's if there is one. At the end: the user may set only what the file knows.
Status model_numbers_give(ModelNumbers *n, const char *text) MUST_USE;
Status model_numbers_add(ModelNumbers *n, const char *name, int64_t value) MUST_USE;
Status model_numbers_check(const ModelNumbers *n) MUST_USE;

// A whole number of at least `least`, a parameter that a $ names, or a product of these:
// "4*$hidden"; and a number above 0, "1e-5" or "0.02/sqrt(2*$layers)". ERR_FORMAT with the line.
Status model_numbers_read(const ModelNumbers *n, const char *what, const char *word, int64_t least,
                          int64_t *out) MUST_USE;
Status model_numbers_read_real(const ModelNumbers *n, const char *what, const char *word,
                               double *out) MUST_USE;

// Give every layer its shapes. ERR_SHAPE and ERR_FORMAT name the line, the layer and both shapes.
Status model_infer(Model *m) MUST_USE;

// What the loss depends on, and what of that is trained, once all shapes are known. ERR_FORMAT for
// a layer that nothing takes and that keeps no parameters either, and when nothing is trained.
Status model_find_trained(Model *m) MUST_USE;

#endif
