// SPDX-License-Identifier: MIT
// What depends on where an element lies, of sequences and images that are cut: masks of dropout,
// rotary and learned positions, on 1 to 4 ranks beside one that has all, on every device.
#include "tests/support/pieces.h"

#include "tests/support/device_case.h"

enum { TEXT = 4096 };

// $0 ranks; $1 elements of the dimension that is cut, $2 of the largest piece.
#define HEAD           \
    "tandem plan 2\n"  \
    "mesh tensor=$0\n" \
    "lane compute  compute\n"

static double value(const char *logical, int64_t i) {
    if (!strcmp(logical, "seed")) return 7;
    if (!strcmp(logical, "step")) return 3;
    if (!strcmp(logical, "first")) return 11;
    uint64_t h = ((uint64_t)*logical << 32 | (uint64_t)i) * 0x9E3779B97F4A7C15u;
    return (double)((h ^ h >> 29) % 2001) / 1000 - 1;
}

// --- masks

// How x and its gradient lie, and the shape of x with $1 or $2 in it; indices and attributes.
#define MASK(shape, room, place, indices, names, attributes)                                   \
    HEAD "logical x      $t " shape "  optimiser\n"                                            \
         "logical y      $t " shape "  optimiser\n"                                            \
         "logical dx     $t " shape "  optimiser\n"                                            \
         "logical seed   i64 1  scalar\n"                                                      \
         "logical step   i64 1  scalar\n"                                                      \
         "logical first  i64 1  scalar\n"                                                      \
         "tensor x       $t " room "  optimiser  place=" place "\n"                            \
         "tensor y       $t " room "  optimiser  place=" place "\n"                            \
         "tensor dx      $t " room "  optimiser  place=" place "\n"                            \
         "tensor seed    i64 1  scalar\n"                                                      \
         "tensor step    i64 1  scalar\n"                                                      \
         "tensor first   i64 1  scalar\n" indices "plan step  when=each_step\n"                \
         "drop dropout @compute y <- x seed step first" names "  rate=0.5 stream=2" attributes \
         "\n"                                                                                  \
         "drop.backward dropout_backward @compute dx <- x seed step first" names               \
         "  rate=0.5 stream=2" attributes "\n"
#define INDEX(name, n, room, place)                                                            \
    "logical " name "  i64 " n "  scalar\ntensor " name "  i64 " room "  scalar  place=" place \
    "  source=index\n"

typedef struct {
    const char *whole, *cut;
} Twice;

static const Twice masks[] = {
    {MASK("2x$1x5", "2x$1x5", "R", "", "", ""),
     MASK("2x$1x5", "2x$2x5", "S1", INDEX("i", "$1", "$2", "S0"), " i", " row=$3 inner=5")},
    {MASK("2x3x$1", "2x3x$1", "R", "", "", ""),
     MASK("2x3x$1", "2x3x$2", "S2", INDEX("i", "3", "3", "R") INDEX("j", "$1", "$2", "S0"), " i j",
          " row=$4 inner=$1")},
    {MASK("2x$1", "2x$1", "R", "", "", ""),
     MASK("2x$1", "2x$2", "S1", INDEX("i", "$1", "$2", "S0"), " i", " row=$1 inner=1")},
    {MASK("2x$1x3x5", "2x$1x3x5", "R", "", "", ""),
     MASK("2x$1x3x5", "2x$2x3x5", "S1", INDEX("i", "$1", "$2", "S0"), " i", " row=$5 inner=15")},
};
static const Twice zigzag_mask = {MASK("2x$1x5", "2x$1x5", "R", "", "", ""),
                                  MASK("2x$1x5", "2x$2x5", "S1:zigzag",
                                       INDEX("i", "$1", "$2", "S0:zigzag"), " i",
                                       " row=$3 inner=5")};

// Pieces of a dimension of n: equal or not, of zigzag cuts $0 * 2 intervals, which divide n.
static void compare_cut(const Twice *t, int64_t ranks, int64_t n, const char *compared,
                        bool zeros) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    const int64_t numbers[] = {ranks, n, (n + ranks - 1) / ranks, 5 * n, 3 * n, 15 * n};
    for (int i = 0; i < 2 * count; i++) {
        char whole[TEXT], cut[TEXT];
        const char *type = i % 2 ? "f64" : "f32";
        pieces_text(whole, TEXT, t->whole, type, (int64_t[]){1, n, n, 5 * n, 3 * n, 15 * n});
        pieces_text(cut, TEXT, t->cut, type, numbers);
        pieces_compare(&(Pieces){whole, cut, devices[i / 2], value, compared, 0, zeros});
    }
}

START_TEST(masks_of_pieces_are_pieces_of_one_mask) {
    static const int64_t sizes[] = {12, 7, 101, 2};
    for (int i = 0; i < 4 * 4; i++)
        for (size_t k = 0; k < sizeof masks / sizeof *masks; k++)
            compare_cut(&masks[k], 1 + i / 4, sizes[i % 4], "y dx", true);
    for (int ranks = 1; ranks <= 4; ranks++)
        for (int64_t n = 2 * ranks; n <= 48; n *= 3)
            compare_cut(&zigzag_mask, ranks, n, "y dx", true);
}
END_TEST

// --- positions

#define ROTARY(room, place, indices, name)                                   \
    HEAD "logical x   $t 2x$1x8  optimiser\n"                                \
         "logical y   $t 2x$1x8  optimiser\n"                                \
         "logical dx  $t 2x$1x8  optimiser\n"                                \
         "tensor x    $t 2x" room "x8  optimiser  place=" place "\n"         \
         "tensor y    $t 2x" room "x8  optimiser  place=" place "\n"         \
         "tensor dx   $t 2x" room "x8  optimiser  place=" place "\n" indices \
         "plan step  when=each_step\n"                                       \
         "turn rotary @compute y <- x" name "  heads=2 theta=10000\n"        \
         "turn.backward rotary_backward @compute dx <- x" name "  heads=2 theta=10000\n"

#define POSITIONS(room, place, weight)                               \
    HEAD "logical x   $t 2x$1x8  optimiser\n"                        \
         "logical y   $t 2x$1x8  optimiser\n"                        \
         "logical w   $t $1x8  optimiser\n"                          \
         "logical dw  $t $1x8  optimiser\n"                          \
         "tensor x    $t 2x" room "x8  optimiser  place=" place "\n" \
         "tensor y    $t 2x" room "x8  optimiser  place=" place "\n" \
         "tensor w    $t " room "x8  optimiser  place=" weight "\n"  \
         "tensor dw   $t " room "x8  optimiser  place=" weight "\n"  \
         "plan step  when=each_step\n"                               \
         "add positions @compute y <- x w\n"                         \
         "add.backward positions_backward @compute dw <- x\n"

static const Twice turned[] = {
    {ROTARY("$1", "R", "", ""), ROTARY("$2", "S1", INDEX("p", "$1", "$2", "S0"), " p")},
    {ROTARY("$1", "R", "", ""),
     ROTARY("$2", "S1:zigzag", INDEX("p", "$1", "$2", "S0:zigzag"), " p")},
};
static const Twice learned[] = {
    {POSITIONS("$1", "R", "R"), POSITIONS("$2", "S1", "S0")},
    {POSITIONS("$1", "R", "R"), POSITIONS("$2", "S1:zigzag", "S0:zigzag")},
};

// Sequences are as long as twice the ranks divide: 24 and 72, which pass multiples of 32.
START_TEST(positions_of_pieces_are_those_of_the_whole_sequence) {
    for (int ranks = 1; ranks <= 4; ranks++)
        for (int zigzag = 0; zigzag < 2; zigzag++) {
            compare_cut(&turned[zigzag], ranks, 24, "y dx", false);
            compare_cut(&turned[zigzag], ranks, 72, "y dx", false);
            compare_cut(&learned[zigzag], ranks, 24, "y dw", false);
        }
    for (int ranks = 2; ranks <= 4; ranks++) {
        compare_cut(&turned[0], ranks, 37, "y dx", false);
        compare_cut(&turned[0], ranks, 3, "y dx", false);
    }
}
END_TEST

// --- batch normalisation, all of it

#define NORM(room, x, statistics, sums, channels)                            \
    HEAD "logical x   $t 2x$1x3  optimiser\n"                                \
         "logical g   $t 2x$1x3  optimiser\n"                                \
         "logical y   $t 2x$1x3  optimiser\n"                                \
         "logical dx  $t 2x$1x3  optimiser\n"                                \
         "logical z   $t 2x$1x3  optimiser\n"                                \
         "logical t   f64 1x3x$1  optimiser\n"                               \
         "logical s   f64 2x$1  optimiser\n"                                 \
         "logical w   $t $1  optimiser\n"                                    \
         "logical b   $t $1  optimiser\n"                                    \
         "logical dw  $t $1  optimiser\n"                                    \
         "logical db  $t $1  optimiser\n"                                    \
         "logical m   $t $1  optimiser\n"                                    \
         "logical v   $t $1  optimiser\n"                                    \
         "tensor x    $t 2x" room "x3  optimiser  place=" x "\n"             \
         "tensor g    $t 2x" room "x3  optimiser  place=" x "\n"             \
         "tensor y    $t 2x" room "x3  optimiser  place=" x "\n"             \
         "tensor dx   $t 2x" room "x3  optimiser  place=" x "\n"             \
         "tensor z    $t 2x" room "x3  optimiser  place=" x "\n"             \
         "tensor t    f64 1x3x" room "  optimiser  place=" statistics "\n"   \
         "tensor s    f64 2x" room "  optimiser  place=" sums "\n"           \
         "tensor w    $t " room "  optimiser  place=" channels "\n"          \
         "tensor b    $t " room "  optimiser  place=" channels "\n"          \
         "tensor dw   $t " room "  optimiser  place=" channels "\n"          \
         "tensor db   $t " room "  optimiser  place=" channels "\n"          \
         "tensor m    $t " room "  optimiser  place=" channels "\n"          \
         "tensor v    $t " room "  optimiser  place=" channels "\n"          \
         "plan step  when=each_step\n"                                       \
         "statistics batch_norm_statistics @compute t <- x\n"                \
         "norm batch_norm @compute y <- x t w b  eps=0.01\n"                 \
         "update batch_norm_update @compute m v <- m v t  momentum=0.1\n"    \
         "infer batch_norm_inference @compute z <- x m v w b  eps=3\n"       \
         "reduce batch_norm_reduce @compute s <- g x t  eps=0.01\n"          \
         "weight batch_norm_backward_weight @compute dw db <- s  dtype=$t\n" \
         "input batch_norm_backward_input @compute dx <- g x t s w  eps=0.01\n"

static const Twice norm = {NORM("$1", "R", "R", "R", "R"), NORM("$2", "S1", "S2", "S1", "S0")};

START_TEST(channels_are_normalised_by_the_rank_that_has_them) {
    static const int64_t channels[] = {12, 7, 3};
    for (int i = 0; i < 4 * 3; i++)
        compare_cut(&norm, 1 + i / 3, channels[i % 3], "y z dx dw db m v", false);
}
END_TEST

SUITE("cuts", channels_are_normalised_by_the_rank_that_has_them,
      masks_of_pieces_are_pieces_of_one_mask, positions_of_pieces_are_those_of_the_whole_sequence)
