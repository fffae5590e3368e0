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
        pieces_compare(&(Pieces){whole, text, devices[i / 32], of_tokens, "y dweight", 0, true});
    }
}
END_TEST

// --- losses

#define ROWS_OF_CLASSES                                 \
    "logical logits   $t 2x3x$1  optimiser\n"           \
    "logical labels   i32 2x3  optimiser\n"             \
    "logical inverse  f64 1  scalar\n"                  \
    "logical loss     f64 2  optimiser\n"               \
    "logical dlogits  $t 2x3x$1  optimiser\n"           \
    "logical e        $t 2x3x$1  activation\n"          \
    "tensor logits    $t 2x3x$2  optimiser  place=S2\n" \
    "tensor labels    i32 2x3  optimiser\n"             \
    "tensor inverse   f64 1  scalar\n"                  \
    "tensor loss      f64 2  optimiser\n"               \
    "tensor dlogits   $t 2x3x$2  optimiser  place=S2\n" \
    "tensor e         $t 2x3x$2  activation  place=S2\n"

// Three sums of each row, or with smoothing four.
#define CUT_LOSS(columns, smoothing)                                                               \
    HEAD ROWS_OF_CLASSES                                                                           \
        "logical classes  i64 $1  scalar\n"                                                        \
        "logical most     $t 2x3  activation\n"                                                    \
        "logical sums     $t 2x3x" columns "  activation\n"                                        \
        "tensor classes   i64 $2  scalar  place=S0  source=index\n"                                \
        "tensor most.part $t 2x3  activation  of=most  place=Pmax\n"                               \
        "tensor most      $t 2x3  activation\n"                                                    \
        "tensor sums.part $t 2x3x" columns "  activation  of=sums  place=P+\n"                     \
        "tensor sums      $t 2x3x" columns "  activation\n"                                        \
        "plan step  when=each_step\n"                                                              \
        "max vocabulary_max @compute most.part <- logits classes\n"                                \
        "max.reduce all_reduce @tensor most <- most.part  reduce=max\n"                            \
        "sums vocabulary_sums @compute sums.part e <- logits most labels classes\n"                \
        "sums.reduce all_reduce @tensor sums <- sums.part\n"                                       \
        "loss vocabulary_loss @compute loss <- sums labels inverse  classes=$1 "                   \
        "smoothing=" smoothing "\n"                                                                \
        "loss.backward vocabulary_loss_backward @compute dlogits <- e sums labels inverse classes" \
        "  classes=$1 smoothing=" smoothing "\n"

#define WHOLE_LOSS(smoothing)                                                                 \
    HEAD ROWS_OF_CLASSES "plan step  when=each_step\n"                                        \
                         "loss cross_entropy @compute loss e <- logits labels inverse"        \
                         "  smoothing=" smoothing "\n"                                        \
                         "loss.backward cross_entropy_backward @compute dlogits <- e labels " \
                         "inverse  smoothing=" smoothing "\n"

static const struct {
    const char *cut, *whole;
} losses[] = {
    {CUT_LOSS("3", "0"), WHOLE_LOSS("0")},
    {CUT_LOSS("4", "0.1"), WHOLE_LOSS("0.1")},
    {CUT_LOSS("4", "1"), WHOLE_LOSS("1")},
};

// Labels of all ranks, and one that is ignored.
static double of_labels(const char *logical, int64_t i) {
    if (!strcmp(logical, "inverse")) return 0.2;
    if (!strcmp(logical, "logits")) return 5 * value(logical, i);
    if (strcmp(logical, "labels") != 0) return value(logical, i);
    return i == 4 ? LABEL_IGNORED : (double)(i * 3 % 4 * vocabulary / 4);
}

// Every logit is one of three: most rows have several that are the largest, on several ranks.
static double with_ties(const char *logical, int64_t i) {
    if (strcmp(logical, "logits") != 0) return of_labels(logical, i);
    return floor(1.5 * (value(logical, i) + 1));
}

// All are equal and huge: the first class is the prediction, and no exponential is not finite.
static double all_alike(const char *logical, int64_t i) {
    return strcmp(logical, "logits") ? of_labels(logical, i) : 1e4;
}

static void compare_losses(const Device *d, const char *type, int64_t ranks, int kind,
                           PiecesValue values) {
    char whole[TEXT], text[TEXT];
    bool f64 = !strcmp(type, "f64"), same = ranks == 1 && kind == 0;
    const int64_t numbers[] = {ranks, vocabulary, (vocabulary + ranks - 1) / ranks};
    pieces_text(whole, TEXT, losses[kind].whole, type, (int64_t[]){1, vocabulary, vocabulary});
    pieces_text(text, TEXT, losses[kind].cut, type, numbers);
    pieces_compare(&(Pieces){whole, text, d, values, "loss dlogits",
                             same  ? 0
                             : f64 ? 1e-14
                                   : 2e-6,
                             true});
}

// Sizes over up to four ranks: even, uneven, and fewer classes than ranks.
static void compare_all(PiecesValue values) {
    static const int64_t sizes[] = {65, 8, 3, 2};
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < count * 2 * 3 * 4 * 4; i++) {
        vocabulary = sizes[i % 4];
        compare_losses(devices[i / 96], i / 48 % 2 ? "f64" : "f32", 1 + i / 4 % 4, i / 16 % 3,
                       values);
    }
}

START_TEST(a_loss_over_cut_classes_is_that_of_whole_rows) { compare_all(of_labels); }
END_TEST

START_TEST(of_equal_logits_on_several_ranks_the_lowest_class_is_the_prediction) {
    compare_all(with_ties);
    compare_all(all_alike);
}
END_TEST

SUITE("vocabulary", a_table_cut_along_the_vocabulary_adds_up_to_the_whole,
      a_loss_over_cut_classes_is_that_of_whole_rows,
      of_equal_logits_on_several_ranks_the_lowest_class_is_the_prediction)
