// SPDX-License-Identifier: MIT
// A table of tokens and the loss over them, cut along the vocabulary, on 1 to 4 ranks: shares that
// are equal, uneven and empty, on every device, against the whole operations on one rank.
#include "tests/support/pieces.h"

#include "tests/support/device_case.h"

#include <math.h>

enum { TEXT = 4096 };

// Numbers without a pattern, of the tensor's name and the element.
static double value(const char *logical, int64_t i) {
    uint64_t h = 1469598103934665603u;
    for (const char *c = logical; *c; c++) h = (h ^ (uint64_t)*c) * 1099511628211u;
    h = (h ^ (uint64_t)i) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
    return (double)(h % 2001) / 1000 - 1;
}

static int64_t vocabulary;  // of the case at work

static double of_tokens(const char *logical, int64_t i) {
    if (strcmp(logical, "tokens") != 0) return value(logical, i);
    return (double)((int64_t)(1e6 * (value("tokens", i) + 1)) % vocabulary);
}

// --- tables

// $0 ranks, $1 tokens in the vocabulary, $2 in the largest share
#define HEAD                      \
    "tandem plan 2\n"             \
    "mesh tensor=$0\n"            \
    "group tensor  axes=tensor\n" \
    "lane compute  compute\n"     \
    "lane tensor   communication  group=tensor\n"
#define TABLE                                       \
    "logical tokens  i32 2x7  optimiser\n"          \
    "logical weight  $t $1x3  optimiser\n"          \
    "logical y       $t 2x7x3  optimiser\n"         \
    "logical dy      $t 2x7x3  optimiser\n"         \
    "logical dweight $t $1x3  optimiser\n"          \
    "tensor tokens   i32 2x7  optimiser\n"          \
    "tensor weight   $t $2x3  optimiser place=S0\n" \
    "tensor y        $t 2x7x3  optimiser\n"         \
    "tensor dy       $t 2x7x3  optimiser\n"         \
    "tensor dweight  $t $2x3  optimiser place=S0\n"

static const char embedding[] =
    HEAD TABLE "logical rows    i64 $1  scalar\n"
               "tensor rows     i64 $2  scalar  place=S0  source=index\n"
               "tensor part     $t 2x7x3  activation  of=y  place=P+\n"
               "plan step  when=each_step\n"
               "look embedding @compute part <- tokens weight rows\n"
               "sum all_reduce @tensor y <- part\n"
               "backward embedding_backward @compute dweight <- tokens dy rows\n";

static const char whole_embedding[] =
    HEAD TABLE "plan step  when=each_step\n"
               "look embedding @compute y <- tokens weight\n"
               "backward embedding_backward @compute dweight <- tokens dy\n";

START_TEST(a_table_cut_along_the_vocabulary_adds_up_to_the_whole) {
    static const int64_t sizes[] = {65, 8, 3, 1};
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < count * 2 * 4 * 4; i++) {
        char whole[TEXT], text[TEXT];
        const char *type = i / 16 % 2 ? "f64" : "f32";
        vocabulary = sizes[i % 4];
        const int64_t ranks = 1 + i / 4 % 4;
        pieces_text(whole, TEXT, whole_embedding, type, (int64_t[]){1, vocabulary, vocabulary});
        pieces_text(text, TEXT, embedding, type,
                    (int64_t[]){ranks, vocabulary, (vocabulary + ranks - 1) / ranks});
        pieces_compare(&(Pieces){whole, text, devices[i / 32], of_tokens, "y dweight", 0});
    }
}
END_TEST

SUITE("vocabulary", a_table_cut_along_the_vocabulary_adds_up_to_the_whole)
