// SPDX-License-Identifier: MIT
#include "parallel/collective/star.h"
#include "tests/support/testing.h"

#include <stdio.h>

#include <string.h>

static const struct {
    CollectiveKind kind;
    Algorithm algorithm;
} defined[] = {
    {COLLECTIVE_ALL_REDUCE, ALGORITHM_DIRECT},   {COLLECTIVE_ALL_REDUCE, ALGORITHM_CHAIN},
    {COLLECTIVE_ALL_REDUCE, ALGORITHM_RING},     {COLLECTIVE_REDUCE_SCATTER, ALGORITHM_DIRECT},
    {COLLECTIVE_REDUCE_SCATTER, ALGORITHM_RING}, {COLLECTIVE_ALL_GATHER, ALGORITHM_DIRECT},
    {COLLECTIVE_ALL_GATHER, ALGORITHM_RING},     {COLLECTIVE_BROADCAST, ALGORITHM_DIRECT},
    {COLLECTIVE_BROADCAST, ALGORITHM_CHAIN},     {COLLECTIVE_BROADCAST, ALGORITHM_RING},
    {COLLECTIVE_REDUCE, ALGORITHM_DIRECT},       {COLLECTIVE_REDUCE, ALGORITHM_CHAIN},
    {COLLECTIVE_ALL_TO_ALL, ALGORITHM_DIRECT},   {COLLECTIVE_BARRIER, ALGORITHM_DIRECT},
    {COLLECTIVE_SCATTER, ALGORITHM_DIRECT},      {COLLECTIVE_GATHER, ALGORITHM_DIRECT},
};
enum { DEFINED = sizeof defined / sizeof *defined, MAX_RANKS = 64, PIECE = 8192 };

// Chunks begin at multiples of these.
static const int64_t units[] = {0, 3, 4096};
enum { UNITS = sizeof units / sizeof *units };

static Collective make(int i, int ranks, int root, int64_t elements) {
    bool barrier = defined[i].kind == COLLECTIVE_BARRIER;  // moves nothing
    return (Collective){defined[i].kind, defined[i].algorithm, ranks, root, barrier ? 0 : elements};
}

// Around the number of ranks, and several pieces of a pipeline.
static int sizes(int64_t out[8], int ranks) {
    const int64_t all[] = {0, 1, 2, ranks - 1, ranks, ranks + 1, 1000, 5 * PIECE + 17};
    memcpy(out, all, sizeof all);
    return 8;
}

START_TEST(every_schedule_is_right_for_1_to_64_ranks) {
    for (int i = 0; i < DEFINED; i++)
        for (int ranks = 1; ranks <= MAX_RANKS; ranks++) {
            Collective small = make(i, ranks, ranks / 2, 1000),
                       large = make(i, ranks, ranks - 1, 5 * PIECE + 17);
            ck_assert_ok(collective_check(&small));
            // Symbols know the number of chunks, not their size.
            if (collective_chunks(&large) != collective_chunks(&small))
                ck_assert_ok(collective_check(&large));
        }
}
END_TEST

START_TEST(every_root_is_right) {
    for (int i = 0; i < DEFINED; i++)
        for (int ranks = 1; ranks <= 9; ranks++)
            for (int root = 0; root < ranks; root++) {
                Collective c = make(i, ranks, root, 3 * PIECE);
                ck_assert_ok(collective_check(&c));
            }
}
END_TEST

START_TEST(every_element_count_is_right) {
    for (int i = 0; i < DEFINED; i++)
        for (int ranks = 1; ranks <= 17; ranks++) {
            int64_t n[8];
            for (int e = 0; e < sizes(n, ranks); e++) {
                Collective c = make(i, ranks, 0, n[e]);
                ck_assert_ok(collective_check(&c));
            }
        }
}
END_TEST

// Chunk by chunk from `first` on: do they cover the array and differ by one unit at most? The last
// chunk of an array that is no multiple of the unit is shorter.
static bool chunks_cover(const Collective *c, int64_t first, int64_t chunks, int64_t unit) {
    int64_t covered = 0, least = INT64_MAX, most = 0, begin, count;
    for (int64_t chunk = first; chunk < first + chunks; chunk++) {
        collective_chunk(c, chunk, &begin, &count);
        if (begin != covered || (begin % unit && begin != c->elements)) return false;
        covered += count;
        if (count < least) least = count;
        if (count > most) most = count;
    }
    return covered == c->elements && most - least <= unit + (c->elements % unit != 0) * (unit - 1);
}

START_TEST(chunks_cover_the_array_and_differ_by_one_unit_at_most) {
    for (int i = 0; i < DEFINED * UNITS; i++)
        for (int ranks = 1; ranks <= MAX_RANKS; ranks++) {
            int64_t n[8];
            for (int e = 0; e < sizes(n, ranks); e++) {
                Collective c = make(i / UNITS, ranks, 0, n[e]);
                c.unit = units[i % UNITS];
                bool cut = c.unit > 1 && !collective_is_piecewise(&c);
                // The chunks of an all-to-all are every member's input, one after the other.
                int64_t inputs = c.kind == COLLECTIVE_ALL_TO_ALL ? ranks : 1,
                        chunks = collective_chunks(&c) / inputs;
                for (int64_t m = 0; m < inputs; m++)
                    ck_assert_msg(chunks_cover(&c, m * chunks, chunks, cut ? c.unit : 1),
                                  "%s %s over %d ranks, %lld elements, unit %lld",
                                  collective_name(c.kind), algorithm_name(c.algorithm), ranks,
                                  (long long)c.elements, (long long)c.unit);
            }
        }
}
END_TEST

// What each member receives, added up step by step.
static void count_bytes(const Collective *c, int64_t received[MAX_RANKS]) {
    Arena a = {0};
    CollectiveStep *steps;
    int64_t count;
    memset(received, 0, MAX_RANKS * sizeof *received);
    ck_assert_ok(collective_list(c, &steps, &count, &a));
    for (int64_t i = 0; i < count; i++) {
        int64_t begin, elements;
        collective_chunk(c, steps[i].chunk, &begin, &elements);
        if (steps[i].source != steps[i].destination) received[steps[i].destination] += 4 * elements;
    }
    arena_finish(&a);
}

START_TEST(byte_formulas_equal_the_sum_over_all_steps) {
    for (int i = 0; i < DEFINED * UNITS; i++)
        for (int ranks = 1; ranks <= MAX_RANKS; ranks += ranks < 12 ? 1 : 13) {
            int64_t n[8];
            for (int e = 0; e < sizes(n, ranks); e++)
                for (int root = 0; root < ranks; root += 1 + ranks / 3) {
                    Collective c = make(i / UNITS, ranks, root, n[e]);
                    c.unit = units[i % UNITS];
                    int64_t received[MAX_RANKS], most = 0, total = 0;
                    count_bytes(&c, received);
                    for (int r = 0; r < ranks; r++) {
                        total += received[r];
                        if (received[r] > most) most = received[r];
                    }
                    ck_assert_int_eq(collective_bytes_per_rank(&c, 4), most);
                    ck_assert_int_eq(collective_bytes_total(&c, 4), total);
                }
        }
}
END_TEST

// A member without a share of the array sends and takes nothing empty: of n elements, fewer than
// there are members, each goes to its owner from all and back to all.
START_TEST(a_direct_all_reduce_of_few_elements_sends_nothing_empty) {
    for (int P = 2; P <= MAX_RANKS; P++)
        for (int n = 1; n <= P; n++) {
            Collective c = {COLLECTIVE_ALL_REDUCE, ALGORITHM_DIRECT, P, 0, n};
            int64_t messages = 0;
            for (int64_t t = 0; t < 2; t++)
                for (int r = 0; r < P; r++)
                    for (int i = 0; i < collective_steps(&c, t, r); i++)
                        messages += collective_step(&c, t, r, i).source != r;
            ck_assert_int_eq(messages, 2 * n * (P - 1));
        }
}
END_TEST

// The textbook's figures, for sizes that the ranks divide.
START_TEST(costs_are_those_of_the_textbook) {
    for (int64_t P = 2; P <= MAX_RANKS; P++) {
        int64_t n = 3 * PIECE * P;  // elements of 4 bytes
        Collective ring = {COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, (int)P, 0, n};
        ck_assert_int_eq(collective_rounds(&ring), 2 * (P - 1));
        ck_assert_int_eq(collective_bytes_per_rank(&ring, 4), 2 * (P - 1) * (n / P) * 4);
        Collective direct = {COLLECTIVE_ALL_REDUCE, ALGORITHM_DIRECT, (int)P, 0, n};
        ck_assert_int_eq(collective_rounds(&direct), 2);
        ck_assert_int_eq(collective_bytes_per_rank(&direct, 4), 2 * (P - 1) * (n / P) * 4);
        Collective chain = {COLLECTIVE_ALL_REDUCE, ALGORITHM_CHAIN, (int)P, 0, n};
        ck_assert_int_eq(collective_chunks(&chain), 3 * P);
        ck_assert_int_eq(collective_rounds(&chain), 2 * (P - 1) + 3 * P - 1);
        Collective scatter = {COLLECTIVE_REDUCE_SCATTER, ALGORITHM_RING, (int)P, 0, n};
        ck_assert_int_eq(collective_rounds(&scatter), P - 1);
        ck_assert_int_eq(collective_bytes_per_rank(&scatter, 4), (P - 1) * (n / P) * 4);
        Collective gather = {COLLECTIVE_ALL_GATHER, ALGORITHM_RING, (int)P, 0, n};
        ck_assert_int_eq(collective_rounds(&gather), P - 1);
        ck_assert_int_eq(collective_bytes_per_rank(&gather, 4), (P - 1) * (n / P) * 4);
        Collective relay = {COLLECTIVE_BROADCAST, ALGORITHM_RING, (int)P, 1, n};
        ck_assert_int_eq(collective_rounds(&relay), P - 1 + 3 * P - 1);
        ck_assert_int_eq(collective_bytes_per_rank(&relay, 4), 4 * n);
    }
}
END_TEST

START_TEST(a_ring_over_a_million_ranks_is_a_formula) {
    Collective c = {COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 1000000, 0, (int64_t)1 << 40};
    ck_assert_int_eq(collective_rounds(&c), 1999998);
    // Round 5, rank 3: chunk 3 - 2 - 5 = -4, that is 999996, from rank 2; then its own.
    ck_assert_int_eq(collective_steps(&c, 5, 3), 2);
    CollectiveStep s = collective_step(&c, 5, 3, 0);
    ck_assert_int_eq(s.source, 2);
    ck_assert_int_eq(s.chunk, 999996);
    ck_assert_int_eq(collective_step(&c, 5, 3, 1).source, 3);
    int64_t begin, count;
    collective_chunk(&c, 999999, &begin, &count);
    ck_assert_int_eq(begin + count, (int64_t)1 << 40);
}
END_TEST

START_TEST(places_of_chunks_tile_inputs_and_results) {
    for (int i = 0; i < DEFINED * UNITS; i++)
        for (int ranks = 1; ranks <= 9; ranks++) {
            Collective c = make(i / UNITS, ranks, 0, 1000);
            c.unit = units[i % UNITS];
            for (int r = 0; r < ranks; r++) {
                int64_t in = 0, out = 0;
                for (int64_t k = 0; k < collective_chunks(&c); k++) {
                    int64_t begin, count;
                    bool a2a = c.kind == COLLECTIVE_ALL_TO_ALL,
                         ag = c.kind == COLLECTIVE_ALL_GATHER || c.kind == COLLECTIVE_BARRIER ||
                              c.kind == COLLECTIVE_GATHER,
                         cut = c.kind == COLLECTIVE_REDUCE_SCATTER || c.kind == COLLECTIVE_SCATTER,
                         none = c.kind == COLLECTIVE_GATHER && r != c.root;
                    collective_chunk(&c, k, &begin, &count);
                    if (a2a                            ? k / ranks == r
                        : ag                           ? k == r
                        : c.kind == COLLECTIVE_SCATTER ? r == c.root
                                                       : true) {
                        ck_assert_int_eq(collective_input_place(&c, k), in);
                        in += count;
                    }
                    if (a2a ? k % ranks == r : cut ? k == r : !none) {
                        ck_assert_int_eq(collective_result_place(&c, r, k), out);
                        out += count;
                    } else if (cut || none) {
                        ck_assert_int_eq(collective_result_place(&c, r, k), -1);
                    }
                }
                ck_assert_int_eq(collective_input_elements(&c, r), in);
                ck_assert_int_eq(collective_result_elements(&c, r), out);
            }
        }
}
END_TEST

// --- the checker: what is wrong with a schedule must be seen

// The list of a schedule without step `skip`, or (skip -1) as it is.
static int64_t list_without(const Collective *c, int64_t skip, CollectiveStep **out, Arena *a) {
    int64_t count;
    ck_assert_ok(collective_list(c, out, &count, a));
    if (skip < 0) return count;
    memmove(*out + skip, *out + skip + 1, (size_t)(count - skip - 1) * sizeof **out);
    return count - 1;
}

// `counts` are such that no chunk is empty: what is mutated matters.
#define EACH_MUTATED(c, i)                                                                       \
    for (int k_ = 0; k_ < DEFINED; k_++)                                                         \
        for (int ranks_ = 2; ranks_ <= 5; ranks_++)                                              \
            for (Collective c = make(k_, ranks_, ranks_ / 2, 2 * PIECE + 1), *once_ = &c; once_; \
                 once_ = NULL)                                                                   \
                for (int64_t i = 0; i < step_count(&c); i++)

static int64_t step_count(const Collective *c) {
    Arena a = {0};
    CollectiveStep *steps;
    int64_t count = list_without(c, -1, &steps, &a);
    arena_finish(&a);
    return count;
}

#define ck_assert_caught(c, steps, count, i)                                 \
    ck_assert_msg(collective_check_list(&c, steps, count) == ERR_FAILED,     \
                  "%s %s over %d ranks, step %lld", collective_name(c.kind), \
                  algorithm_name(c.algorithm), c.ranks, (long long)(i))

START_TEST(the_checker_sees_a_step_left_out) {
    EACH_MUTATED(c, i) {
        Arena a = {0};
        CollectiveStep *steps;
        int64_t count = list_without(&c, i, &steps, &a);
        ck_assert_caught(c, steps, count, i);
        arena_finish(&a);
    }
}
END_TEST

START_TEST(the_checker_sees_an_input_taken_from_another_rank) {
    EACH_MUTATED(c, i) {
        Arena a = {0};
        CollectiveStep *steps;
        int64_t count = list_without(&c, -1, &steps, &a);
        if (steps[i].from == FROM_INPUT) {
            steps[i].source = (steps[i].source + 1) % c.ranks;
            ck_assert_caught(c, steps, count, i);
        }
        arena_finish(&a);
    }
}
END_TEST

START_TEST(the_checker_sees_a_copy_instead_of_a_reduction_and_the_reverse) {
    EACH_MUTATED(c, i) {
        Arena a = {0};
        CollectiveStep *steps;
        int64_t count = list_without(&c, -1, &steps, &a);
        steps[i].action = steps[i].action == STEP_COPY ? STEP_REDUCE : STEP_COPY;
        ck_assert_caught(c, steps, count, i);
        arena_finish(&a);
    }
}
END_TEST

START_TEST(the_checker_sees_another_chunk) {
    EACH_MUTATED(c, i) {
        Arena a = {0};
        CollectiveStep *steps;
        int64_t count = list_without(&c, -1, &steps, &a);
        if (collective_chunks(&c) > 1) {
            steps[i].chunk = (steps[i].chunk + 1) % collective_chunks(&c);
            ck_assert_caught(c, steps, count, i);
        }
        arena_finish(&a);
    }
}
END_TEST

START_TEST(the_checker_sees_input_and_result_mistaken) {
    EACH_MUTATED(c, i) {
        Arena a = {0};
        CollectiveStep *steps;
        int64_t count = list_without(&c, -1, &steps, &a);
        steps[i].from = steps[i].from == FROM_INPUT ? FROM_RESULT : FROM_INPUT;
        ck_assert_caught(c, steps, count, i);
        arena_finish(&a);
    }
}
END_TEST

// A chain over 3 members where each step of the way up is a round too early: rank 2 would read what
// rank 1 writes at the same time.
START_TEST(the_checker_sees_a_read_in_the_round_of_the_write) {
    Collective c = {COLLECTIVE_REDUCE, ALGORITHM_CHAIN, 3, 2, 10};
    Arena a = {0};
    CollectiveStep *steps;
    int64_t count = list_without(&c, -1, &steps, &a);
    ck_assert_int_eq(count, 4);  // ranks 1 and 2, two steps each
    steps[2].round = steps[3].round = 0;
    ck_assert_fails(
        collective_check_list(&c, steps, count), ERR_FAILED,
        "round 0, rank 2, chunk 0 from rank 1: reads what is written in the same round");
    arena_finish(&a);
}
END_TEST

// Rank order 1 + 0 + 2 is a sum as well, but not the promised one.
START_TEST(the_checker_sees_the_wrong_order) {
    Collective c = {COLLECTIVE_REDUCE, ALGORITHM_DIRECT, 3, 0, 10};
    Arena a = {0};
    CollectiveStep *steps;
    int64_t count = list_without(&c, -1, &steps, &a);
    steps[0].source = 1;
    steps[1].source = 0;
    ck_assert_fails(collective_check_list(&c, steps, count), ERR_FAILED,
                    "rank 1 is added in place 0");
    arena_finish(&a);
}
END_TEST

// All-reduce by gathering: in round 0 everyone folds everything. With input and result in one
// memory rank 0 destroys what rank 1 still reads.
START_TEST(the_checker_sees_what_in_place_would_destroy) {
    Collective c = {COLLECTIVE_ALL_REDUCE, ALGORITHM_CHAIN, 2, 0, 10};
    CollectiveStep steps[4];
    for (int i = 0; i < 4; i++)
        steps[i] = (CollectiveStep){.round = 0,
                                    .destination = i / 2,
                                    .source = i % 2,
                                    .chunk = 0,
                                    .action = i % 2 ? STEP_REDUCE : STEP_COPY,
                                    .from = FROM_INPUT};
    ck_assert_fails(collective_check_list(&c, steps, 4), ERR_FAILED,
                    "reads what is written in the same round");
}
END_TEST

// Rank 2 folds all inputs in round 0. In round 1 rank 0 takes something from rank 1, over its own
// input, without having heard from rank 2.
START_TEST(the_checker_sees_an_overwrite_that_did_not_wait_for_a_reader) {
    Collective c = {COLLECTIVE_REDUCE, ALGORITHM_CHAIN, 3, 2, 10};
    CollectiveStep steps[4] = {{.round = 1, .destination = 0, .source = 1}};
    steps[3] = steps[0];
    for (int i = 0; i < 3; i++)
        steps[i] =
            (CollectiveStep){.destination = 2, .source = i, .action = i ? STEP_REDUCE : STEP_COPY};
    ck_assert_fails(collective_check_list(&c, steps, 4), ERR_FAILED,
                    "overwrites what rank 2 may still be reading for round 0");
    ck_assert_ok(collective_check_list(&c, steps, 3));
}
END_TEST

START_TEST(what_is_not_defined_is_named) {
    Collective none = {COLLECTIVE_REDUCE, ALGORITHM_RING, 4, 0, 10};
    ck_assert_fails(collective_validate(&none), ERR_USAGE, "reduce has no schedule ring");
    Collective root = {COLLECTIVE_BROADCAST, ALGORITHM_DIRECT, 4, 4, 10};
    ck_assert_fails(collective_validate(&root), ERR_USAGE, "root 4 is not one of 4 ranks");
    Collective negative = {COLLECTIVE_BROADCAST, ALGORITHM_DIRECT, 4, 0, -1};
    ck_assert_fails(collective_validate(&negative), ERR_USAGE, "-1 elements");
    Collective empty = {COLLECTIVE_BROADCAST, ALGORITHM_DIRECT, 0, 0, 1};
    ck_assert_fails(collective_validate(&empty), ERR_USAGE, "0 ranks");
}
END_TEST

// Against a walk over all steps.
START_TEST(the_step_between_two_members_is_found) {
    for (int i = 0; i < DEFINED; i++)
        for (int ranks = 1; ranks <= 17; ranks++) {
            Collective c = make(i, ranks, ranks / 3, 2 * PIECE + 5);
            for (int64_t t = 0; t < collective_rounds(&c); t++)
                for (int d = 0; d < ranks; d++) {
                    int found = 0, remote = 0;
                    CollectiveStep s, walked;
                    for (int source = 0; source < ranks; source++) {
                        if (!collective_step_from(&c, t, source, d, &s)) continue;
                        found++;
                        ck_assert_int_eq(s.source, source);
                        ck_assert_int_eq(s.destination, d);
                    }
                    for (int k = 0; k < collective_steps(&c, t, d); k++) {
                        walked = collective_step(&c, t, d, k);
                        if (walked.source == d) continue;
                        remote++;
                        ck_assert(collective_step_from(&c, t, walked.source, d, &s));
                        ck_assert_int_eq(s.chunk, walked.chunk);
                    }
                    ck_assert_int_eq(found, remote);
                }
        }
}
END_TEST

// 1 GB/s is a byte a nanosecond; 3 GB/s a third of one, rounded up. Slower by 2.5: 2.5 and 5/6.
START_TEST(a_link_takes_its_latency_and_the_time_of_its_bytes) {
    StarLink l = {1000000000, 50000000, 1000};
    ck_assert_int_eq(star_latency_ns(&l), 50000);
    ck_assert_int_eq(star_bytes_ns(&l, 0), 0);
    ck_assert_int_eq(star_bytes_ns(&l, 12345), 12345);
    l = (StarLink){3000000000, 1500, 1000};
    ck_assert_int_eq(star_latency_ns(&l), 2);
    ck_assert_int_eq(star_bytes_ns(&l, 1), 1);
    ck_assert_int_eq(star_bytes_ns(&l, 3000), 1000);
    ck_assert_int_eq(star_bytes_ns(&l, 3001), 1001);
    l.slowdown_permille = 2500;
    ck_assert_int_eq(star_latency_ns(&l), 4);
    ck_assert_int_eq(star_bytes_ns(&l, 6), 5);
    ck_assert_int_eq(star_bytes_ns(&l, 7), 6);
    ck_assert_int_eq(star_bytes_ns(&(StarLink){1, 0, 1000}, INT64_MAX), INT64_MAX);
}
END_TEST

// The table at the head of schedule.c, cell by cell.
START_TEST(the_table_of_a_ring_of_four_is_true) {
    const Collective ring = {COLLECTIVE_ALL_REDUCE, ALGORITHM_RING, 4, 0, 4};
    FILE *f = fopen(test_source("parallel/collective/schedule.c"), "r");
    char line[200];
    int rows = 0;
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        int round, chunk[4];
        char what[4];
        if (sscanf(line, "//   %d %c%d %c%d %c%d %c%d", &round, &what[0], &chunk[0], &what[1],
                   &chunk[1], &what[2], &chunk[2], &what[3], &chunk[3]) != 9)
            continue;
        ck_assert_int_eq(round, rows++);
        for (int member = 0; member < 4; member++) {
            CollectiveStep s;
            int steps = collective_steps(&ring, round, member);
            ck_assert_int_eq(steps, what[member] == '+' ? 2 : 1);
            ck_assert(collective_step_from(&ring, round, (member + 3) % 4, member, &s));
            ck_assert_int_eq(s.chunk, chunk[member]);
            if (steps == 1) continue;
            s = collective_step(&ring, round, member, 1);
            ck_assert(s.action == STEP_REDUCE && s.source == member && s.chunk == chunk[member]);
        }
    }
    fclose(f);
    ck_assert_int_eq(rows, collective_rounds(&ring));
}
END_TEST

SUITE("collective", the_table_of_a_ring_of_four_is_true, every_schedule_is_right_for_1_to_64_ranks,
      every_root_is_right, every_element_count_is_right,
      chunks_cover_the_array_and_differ_by_one_unit_at_most,
      byte_formulas_equal_the_sum_over_all_steps, costs_are_those_of_the_textbook,
      a_direct_all_reduce_of_few_elements_sends_nothing_empty,
      a_ring_over_a_million_ranks_is_a_formula, places_of_chunks_tile_inputs_and_results,
      the_checker_sees_a_step_left_out, the_checker_sees_an_input_taken_from_another_rank,
      the_checker_sees_a_copy_instead_of_a_reduction_and_the_reverse,
      the_checker_sees_another_chunk, the_checker_sees_input_and_result_mistaken,
      the_checker_sees_a_read_in_the_round_of_the_write, the_checker_sees_the_wrong_order,
      the_checker_sees_what_in_place_would_destroy,
      the_checker_sees_an_overwrite_that_did_not_wait_for_a_reader, what_is_not_defined_is_named,
      the_step_between_two_members_is_found, a_link_takes_its_latency_and_the_time_of_its_bytes)
