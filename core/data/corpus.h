// SPDX-License-Identifier: MIT
// A text as a row of tokens, for language models. A token is a character, numbered in the order of
// the code points that the text has, or a byte. The model reads windows of `window` tokens; the
// label of each token is the one after it.
//
//     Corpus c;
//     TRY(corpus_read(&c, &arena, "shakespeare.txt", TOKENS_CHARACTERS));
//     TRY(corpus_cut(&c, 128, 0.15, "shakespeare.txt"));  // windows of 128 tokens
//     corpus_window(&c, seed, epoch, row, x, y);   // x[128], y[128]
//     corpus_finish(&c);
#ifndef CORE_DATA_CORPUS_H
#define CORE_DATA_CORPUS_H

#include "core/base/arena.h"
#include "core/base/file_map.h"

typedef enum { TOKENS_CHARACTERS, TOKENS_BYTES } Tokens;

// How messages show one token: a character, quoted, or the number of a byte.
enum { CORPUS_TOKEN = 16 };

typedef struct {
    const uint8_t *bytes;       // the text, mapped or borrowed
    const uint16_t *wide;       // in the arena: its tokens, where characters have several bytes
    int64_t length;             // tokens
    int vocabulary;             // different ones, numbered from 0
    const uint32_t *character;  // in the arena: the code point of each token; NULL: bytes
    uint16_t token[256];        // of a byte, where wide is NULL
    // Set by corpus_cut(). Tokens [0, train_length) train, the others test.
    int64_t window, train_length, train_windows, test_windows;
    FileMap map;
} Corpus;

// Read a file, which must stay as it is: its bytes are not copied unless characters of several
// bytes are numbered. ERR_INPUT when it cannot be read; ERR_FORMAT, with the byte, where it is
// empty, not UTF-8 or has more than 65,536 different characters. To be finished.
Status corpus_read(Corpus *out, Arena *a, const char *path, Tokens tokens) MUST_USE;

// The same of a text in memory, which is borrowed; `source` names it in messages.
Status corpus_from(Corpus *out, Arena *a, const char *text, size_t length, const char *source,
                   Tokens tokens) MUST_USE;

void corpus_finish(Corpus *c);  // safe on a zeroed one

// Cut it into windows that do not overlap. The last `test_fraction` of the text tests, in windows
// of its own. ERR_USAGE, with both lengths, when there is no whole window to train
// with, or none of those that shall test.
Status corpus_cut(Corpus *c, int64_t window, double test_fraction, const char *source) MUST_USE;

// Tokens of a window and, in y, the token after each; either may be NULL. Rows below train_windows
// train: in each epoch all begin later by an amount that (seed, epoch) draws, below the window's
// length where the text has room for it. Rows from there on test, always the same.
void corpus_window(const Corpus *c, uint64_t seed, int64_t epoch, int64_t row, int32_t *x,
                   int32_t *y);

int corpus_token(const Corpus *c, int64_t at);          // the token at a place
int64_t corpus_find_token(const Corpus *c, int first);  // the first place with one >= first; or -1

// The token of the first character of a text that has `left` bytes; returns the bytes of that
// character, 0: the corpus does not have it.
int corpus_encode(const Corpus *c, const char *text, size_t left, int *token);

// A token as UTF-8 (with a terminator), or the byte itself; its length.
int corpus_text(const Corpus *c, int token, char out[5]);
const char *corpus_describe(const Corpus *c, int token, char out[CORPUS_TOKEN]);

#endif
