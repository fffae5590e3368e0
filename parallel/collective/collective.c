// SPDX-License-Identifier: MIT
// What holds for every schedule: names, chunks and where they lie, bytes.
#include "parallel/collective/walk.h"

#include "core/plan/share.h"

static const char *const collective_names[COLLECTIVE_COUNT] = {
    [COLLECTIVE_ALL_REDUCE] = "all_reduce", [COLLECTIVE_REDUCE_SCATTER] = "reduce_scatter",
    [COLLECTIVE_ALL_GATHER] = "all_gather", [COLLECTIVE_BROADCAST] = "broadcast",
    [COLLECTIVE_REDUCE] = "reduce",         [COLLECTIVE_SCATTER] = "scatter",
    [COLLECTIVE_GATHER] = "gather",         [COLLECTIVE_ALL_TO_ALL] = "all_to_all",
    [COLLECTIVE_BARRIER] = "barrier",
};

const char *collective_name(CollectiveKind k) {
    return k < COLLECTIVE_COUNT ? collective_names[k] : "?";
}

// One share a member; of an all-to-all, the shares of one member's input.
static Shares shares_of(const Collective *c) {
    return (Shares){.elements = c->elements, .unit = c->unit, .count = c->ranks};
}

// What a schedule passes on whole travels in pieces of equal size, whatever the unit.
static Shares chunks_of(const Collective *c) {
    if (c->kind == COLLECTIVE_ALL_TO_ALL || !collective_is_piecewise(c)) return shares_of(c);
    return (Shares){.elements = c->elements, .count = (int)collective_chunks(c)};
}

// Where share i begins, share after share; of several arrays as many elements of each come before
// it as in that array alone.
static int64_t shares_begin(Shares s, const int64_t *sizes, int count, int64_t i) {
    int64_t begin = 0;
    if (!count) return share_begin(s, i);
    for (int k = 0; k < count; k++) {
        s.elements = sizes[k];
        begin += share_begin(s, i);
    }
    return begin;
}

static int64_t share_of(const Collective *c, int64_t i) {
    return shares_begin(shares_of(c), c->sizes, c->size_count, i + 1) -
           shares_begin(shares_of(c), c->sizes, c->size_count, i);
}

void collective_chunk(const Collective *c, int64_t chunk, int64_t *begin, int64_t *count) {
    Shares s = chunks_of(c);
    if (c->kind == COLLECTIVE_ALL_TO_ALL) chunk %= c->ranks;
    *begin = shares_begin(s, c->sizes, c->size_count, chunk);
    *count = shares_begin(s, c->sizes, c->size_count, chunk + 1) - *begin;
}

CollectiveSizes collective_sizes(const Collective *c) {
    return (CollectiveSizes){share_sizes(chunks_of(c)), c->sizes, c->size_count,
                             c->kind == COLLECTIVE_ALL_TO_ALL};
}

int64_t collective_size(const CollectiveSizes *s, int64_t chunk) {
    if (s->size_count)
        return shares_begin(s->shares.of, s->sizes, s->size_count, chunk + 1) -
               shares_begin(s->shares.of, s->sizes, s->size_count, chunk);
    return share_size(&s->shares, s->per_member ? chunk % s->shares.of.count : chunk);
}

int64_t collective_largest_chunk(const Collective *c) {
    int64_t largest = 0;
    if (!c->size_count) return share_capacity(chunks_of(c));
    for (int i = 0; i < c->ranks; i++)
        if (share_of(c, i) > largest) largest = share_of(c, i);
    return largest;
}

int64_t collective_input_place(const Collective *c, int64_t chunk) {
    int64_t begin, count;
    collective_chunk(c, chunk, &begin, &count);
    return c->kind == COLLECTIVE_ALL_GATHER || c->kind == COLLECTIVE_GATHER ? 0 : begin;
}

int64_t collective_result_place(const Collective *c, int rank, int64_t chunk) {
    int64_t begin, count;
    collective_chunk(c, chunk, &begin, &count);
    if (c->kind == COLLECTIVE_REDUCE_SCATTER || c->kind == COLLECTIVE_SCATTER)
        return chunk == rank ? 0 : -1;
    if (c->kind == COLLECTIVE_GATHER && rank != c->root) return -1;
    if (c->kind == COLLECTIVE_ALL_TO_ALL) return chunk / c->ranks * count;
    return begin;
}

// With two members the ring's only round goes from input to result.
int64_t collective_work_elements(const Collective *c) {
    bool passes =
        c->kind == COLLECTIVE_REDUCE_SCATTER && c->algorithm == ALGORITHM_RING && c->ranks > 2;
    return passes ? c->elements : 0;
}

int64_t collective_input_elements(const Collective *c, int rank) {
    if (c->kind == COLLECTIVE_SCATTER) return rank == c->root ? c->elements : 0;
    bool piece = c->kind == COLLECTIVE_ALL_GATHER || c->kind == COLLECTIVE_GATHER;
    return piece ? share_of(c, rank) : c->elements;
}

int64_t collective_result_elements(const Collective *c, int rank) {
    if (c->kind == COLLECTIVE_REDUCE_SCATTER || c->kind == COLLECTIVE_SCATTER)
        return share_of(c, rank);
    if (c->kind == COLLECTIVE_GATHER) return rank == c->root ? c->elements : 0;
    if (c->kind == COLLECTIVE_ALL_TO_ALL) return share_of(c, rank) * c->ranks;
    return c->elements;
}

bool collective_in_rank_order(const Collective *c) {
    return algorithm_order(c->algorithm) == ORDER_RANK || c->ranks <= 2;
}

// The sizes of shares. Where they are cut at every element the largest is ceil(n/P), the smallest
// floor(n/P), and the smallest two neighbours together (around the ring) have floor(2n/P).
typedef struct {
    int64_t largest, smallest, smallest_pair;
} Extremes;

static Extremes find_extremes(const Collective *c) {
    int64_t n = c->elements, P = c->ranks;
    Extremes out = {(n + P - 1) / P, n / P, 2 * (n / P) + 2 * (n % P) / P};
    if (c->unit <= 1 && !c->size_count) return out;
    out = (Extremes){0, n, n};
    for (int i = 0; i < c->ranks; i++) {
        int64_t own = share_of(c, i), pair = own + share_of(c, (i + 1) % c->ranks);
        if (own > out.largest) out.largest = own;
        if (own < out.smallest) out.smallest = own;
        if (pair < out.smallest_pair) out.smallest_pair = pair;
    }
    return out;
}

// The largest share of a member that is not the root.
static int64_t largest_of_others(const Collective *c) {
    int64_t largest = 0;
    for (int i = 0; i < c->ranks; i++)
        if (i != c->root && share_of(c, i) > largest) largest = share_of(c, i);
    return largest;
}

static int64_t elements_per_rank(const Collective *c) {
    int64_t n = c->elements, P = c->ranks;
    Extremes share = find_extremes(c);
    switch (c->kind) {
    case COLLECTIVE_ALL_REDUCE:
        if (c->algorithm == ALGORITHM_DIRECT)
            return n + (P - 2) * share.largest;  // P-1 times its own chunk, then the others
        if (c->algorithm == ALGORITHM_CHAIN)
            return P == 2 ? n : 2 * n;       // inner members: once on each way
        return 2 * n - share.smallest_pair;  // all but one chunk on each way round
    case COLLECTIVE_REDUCE_SCATTER:
        return c->algorithm == ALGORITHM_DIRECT ? (P - 1) * share.largest : n - share.smallest;
    case COLLECTIVE_ALL_GATHER: return n - share.smallest;
    case COLLECTIVE_BROADCAST: return n;
    case COLLECTIVE_REDUCE:
        if (c->algorithm == ALGORITHM_DIRECT) return (P - 1) * n;
        return c->root == 0 || c->root == P - 1 ? n : 2 * n;
    case COLLECTIVE_SCATTER: return largest_of_others(c);
    case COLLECTIVE_GATHER: return n - share_of(c, c->root);
    case COLLECTIVE_ALL_TO_ALL: return (P - 1) * share.largest;
    case COLLECTIVE_BARRIER:
    case COLLECTIVE_COUNT: break;
    }
    return 0;
}

int64_t collective_bytes_per_rank(const Collective *c, int64_t element_bytes) {
    return c->ranks == 1 ? 0 : elements_per_rank(c) * element_bytes;
}

int64_t collective_bytes_total(const Collective *c, int64_t element_bytes) {
    if (c->ranks == 1) return 0;
    int64_t trips = c->ranks - 1;  // how often the whole array travels
    if (c->kind == COLLECTIVE_SCATTER || c->kind == COLLECTIVE_GATHER)
        return (c->elements - share_of(c, c->root)) * element_bytes;
    if (c->kind == COLLECTIVE_ALL_REDUCE) trips *= 2;
    if (c->kind == COLLECTIVE_REDUCE && c->algorithm == ALGORITHM_CHAIN && c->root != c->ranks - 1)
        trips++;
    return c->kind == COLLECTIVE_BARRIER ? 0 : trips * c->elements * element_bytes;
}

double collective_bytes_sent(const Collective *c, int member, int64_t element_bytes) {
    double all = (double)collective_bytes_total(c, element_bytes);
    bool root = member == c->root;
    if (c->kind == COLLECTIVE_GATHER)
        return root ? 0 : (double)(share_of(c, member) * element_bytes);
    if (c->kind == COLLECTIVE_SCATTER) return root ? all : 0;
    if (c->algorithm == ALGORITHM_DIRECT && c->kind == COLLECTIVE_BROADCAST) return root ? all : 0;
    if (c->algorithm == ALGORITHM_DIRECT && c->kind == COLLECTIVE_REDUCE && c->ranks > 1)
        return root ? 0 : all / (c->ranks - 1);
    return all / c->ranks;
}
