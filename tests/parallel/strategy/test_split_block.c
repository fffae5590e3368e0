// SPDX-License-Identifier: MIT
// place= of model files in a block of a transformer, in every sequence of its four products: the
// training is that of one rank.
#include "tests/support/placed.h"

static const char *write_block(int sequence, bool says) {
    char text[1000] = "model block\ninput tokens 4\nclasses 65\nembedding wte out=8 std=0.02\n"
                      "positions wpe std=0.02\nlayer_norm ln_1\n";
    placed_line(text, sizeof text, "linear qkv out=24 std=0.1", sequence, 0, says);
    placed_line(text, sizeof text, "attention heads=4 causal=true\nlinear mix out=8 std=0.1",
                sequence, 1, says);
    placed_line(text, sizeof text,
                "add mid from=mix,wpe\nlayer_norm ln_2\nlinear up out=14 std=0.1", sequence, 2,
                says);
    placed_line(text, sizeof text, "gelu\ndropout p=0.4\nlinear down out=8 std=0.1", sequence, 3,
                says);
    size_t n = strlen(text);
    snprintf(text + n, sizeof text - n,
             "add end from=down,mid\nlayer_norm ln_f\nlinear head out=65 bias=false tie=wte\n");
    return ending_write_file(&arena, "block.model", text);
}

START_TEST(every_sequence_of_a_block_trains_alike) {
    placed_check(write_block, "text:count=2000", (PlacedRun){4, 2, 1});
}
END_TEST

START_TEST(sequences_of_a_block_train_alike_with_divided_positions) {
    placed_check(write_block, "text:count=2000", (PlacedRun){4, 2, 2, .positions = true});
}
END_TEST

// Channels are put together, of a rank's positions.
START_TEST(sequences_of_a_block_train_alike_with_sequences_cut) {
    PlacedRun run = {4, 2, 10, .context = 2, .kind = CONTEXT_RING};
    placed_check(write_block, "text:count=2000", run);
    run.kind = CONTEXT_ALL_TO_ALL;
    placed_check(write_block, "text:count=2000", run);
}
END_TEST

// Its gradients come from the table and from the head, and are added up.
static const char *write_head(int sequence, bool says) {
    char text[400] = "model head\ninput tokens 4\nclasses 65\nembedding wte out=8 std=0.02\n"
                     "positions wpe std=0.02\nlayer_norm n\nlinear up out=14\ngelu\n"
                     "linear down out=8\nlayer_norm ln_f\n";
    placed_line(text, sizeof text, "linear head out=65 bias=false tie=wte", sequence, 0, says);
    return ending_write_file(&arena, "head.model", text);
}

START_TEST(a_head_with_the_weight_of_the_table_lies_as_it_says) {
    for (int tensor = 2; tensor <= 4; tensor += 2)
        for (int positions = 0; positions < 2; positions++)
            placed_check(write_head, "text:count=2000",
                         (PlacedRun){1, tensor, 1, .positions = positions});
}
END_TEST

SUITE("split_block", every_sequence_of_a_block_trains_alike,
      sequences_of_a_block_train_alike_with_sequences_cut,
      a_head_with_the_weight_of_the_table_lies_as_it_says,
      sequences_of_a_block_train_alike_with_divided_positions)
