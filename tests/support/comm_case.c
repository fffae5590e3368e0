// SPDX-License-Identifier: MIT
#include "tests/support/comm_case.h"

#include "core/base/bf16.h"
#include "core/base/f16.h"
#include "tests/support/testing.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef CaseValue Value;

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
_Static_assert(sizeof defined / sizeof *defined == CASE_KINDS, "CASE_KINDS of comm_case.h");

static bool reduces(const Case *t) {
    return t->kind == COLLECTIVE_ALL_REDUCE || t->kind == COLLECTIVE_REDUCE_SCATTER ||
           t->kind == COLLECTIVE_REDUCE;
}

// Member r's share of n elements is [begin[r], begin[r + 1]): whole units; the array's last one may
// be cut off. Of several arrays it has a share of each, one behind the other.
static void cut_shares(Case *t) {
    const int64_t *sizes = t->size_count ? t->sizes : &t->elements;
    memset(t->begin, 0, sizeof t->begin);
    for (int i = 0; i < (t->size_count ? t->size_count : 1); i++) {
        int64_t unit = t->unit ? t->unit : 1, units = (sizes[i] + unit - 1) / unit;
        for (int r = 0; r <= t->ranks; r++) {
            int64_t at = r * units / t->ranks * unit;
            t->begin[r] += at < sizes[i] ? at : sizes[i];
        }
    }
}

static int64_t share(const Case *t, int r) { return t->begin[r + 1] - t->begin[r]; }

static int64_t input_elements(const Case *t, int r) {
    if (t->kind == COLLECTIVE_SCATTER) return r == t->root ? t->elements : 0;
    bool piece = t->kind == COLLECTIVE_ALL_GATHER || t->kind == COLLECTIVE_GATHER;
    return piece ? share(t, r) : t->elements;
}
static int64_t output_elements(const Case *t, int r) {
    if (t->kind == COLLECTIVE_REDUCE_SCATTER || t->kind == COLLECTIVE_SCATTER) return share(t, r);
    if (t->kind == COLLECTIVE_GATHER) return r == t->root ? t->elements : 0;
    return t->kind == COLLECTIVE_ALL_TO_ALL ? share(t, r) * t->ranks : t->elements;
}

uint32_t case_hash(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    uint64_t x = (uint64_t)a * 0x9E3779B97F4A7C15 + (uint64_t)b * 0xBF58476D1CE4E5B9 +
                 (uint64_t)c * 0x94D049BB133111EB + d;
    x = (x ^ x >> 32) * 0xD6E8FEB86659FD93;
    x = (x ^ x >> 32) * 0xD6E8FEB86659FD93;
    return (uint32_t)(x >> 32);
}

// What members bring, drawn once. No piece or share is a multiple of their number, which is a
// prime: elements that change places differ.
enum { VALUES = 4093 };
static Value values[DTYPE_COUNT][VALUES];

// Values of very different sizes, so that the order of a sum shows.
static void draw_values(void) {
    for (uint32_t i = 0; i < VALUES; i++) {
        uint32_t h = case_hash(i, 2, 3, 4);
        double real = ldexp((double)(h % 200001) - 100000, (int)(h >> 20 & 15) - 8);
        values[DTYPE_F32][i].f32 = (float)real;  // exactly
        values[DTYPE_F64][i].f64 = real / 3;
        values[DTYPE_BF16][i].half = bf16_from_f32((float)real);
        values[DTYPE_F16][i].half = f16_from_f32((float)real);
        values[DTYPE_I32][i].i32 = (int32_t)h;
        values[DTYPE_I64][i].i64 = (int64_t)((uint64_t)h << 32 | ~h);
        values[DTYPE_U8][i].u8 = (uint8_t)h;
    }
}

CaseValue case_value(Dtype d, uint64_t i) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, draw_values);
    return values[d][i % VALUES];
}

static void draw_offsets(Case *t) {
    case_value(t->dtype, 0);  // the values are there
    for (int r = 0; r < t->ranks; r++)
        for (int p = 0; p < t->parts; p++)
            t->offset[r][p] = case_hash(t->seed, (uint32_t)r, (uint32_t)p, 6);
}

// What member r brings as element e of part p.
static Value brought(const Case *t, int r, int p, int64_t e) {
    return values[t->dtype][(uint64_t)(t->offset[r][p] + e) % VALUES];
}

static Value join(const Case *t, Value a, Value b) {
    bool max = t->reduce == REDUCE_MAX;
    switch (t->dtype) {
    case DTYPE_F32: a.f32 = max ? fmaxf(a.f32, b.f32) : a.f32 + b.f32; break;
    case DTYPE_F64: a.f64 = max ? fmax(a.f64, b.f64) : a.f64 + b.f64; break;
    case DTYPE_I32:
        a.i32 =
            max ? (a.i32 < b.i32 ? b.i32 : a.i32) : (int32_t)((uint32_t)a.i32 + (uint32_t)b.i32);
        break;
    default:
        a.i64 =
            max ? (a.i64 < b.i64 ? b.i64 : a.i64) : (int64_t)((uint64_t)a.i64 + (uint64_t)b.i64);
    }
    return a;
}

// Halves are added in f32 and rounded once.
static Value fold_halves(const Case *t, int64_t e) {
    float sum = 0;
    for (int r = 0; r < t->ranks; r++)
        for (int p = 0; p < t->parts; p++) {
            uint16_t half = brought(t, r, p, e).half;
            float x = t->dtype == DTYPE_F16 ? f16_to_f32(half) : bf16_to_f32(half);
            if (r == 0 && p == 0)
                sum = x;
            else
                sum = t->reduce == REDUCE_MAX ? fmaxf(sum, x) : sum + x;
        }
    return (Value){.half = t->dtype == DTYPE_F16 ? f16_from_f32(sum) : bf16_from_f32(sum)};
}

// ((g0+g1)+g2)+… over members, a member's parts in order.
static Value fold(const Case *t, int64_t e) {
    if (dtype_is_half(t->dtype)) return fold_halves(t, e);
    Value sum = brought(t, 0, 0, e);
    for (int r = 0; r < t->ranks; r++)
        for (int p = r == 0; p < t->parts; p++) sum = join(t, sum, brought(t, r, p, e));
    return sum;
}

static Value parts_of(const Case *t, int r, int64_t e) {
    Value sum = brought(t, r, 0, e);
    for (int p = 1; p < t->parts; p++) sum = join(t, sum, brought(t, r, p, e));
    return sum;
}

// The ring: chunk c starts at member c+1 and collects one member after the other until member c.
static Value ring(const Case *t, int64_t e) {
    int c = 0;
    while (e >= t->begin[c + 1]) c++;
    Value sum = parts_of(t, (c + 1) % t->ranks, e);
    for (int i = 2; i <= t->ranks; i++) sum = join(t, sum, parts_of(t, (c + i) % t->ranks, e));
    return sum;
}

static Value reduced(const Case *t, int64_t e) {
    return t->algorithm == ALGORITHM_RING && t->ranks > 2 ? ring(t, e) : fold(t, e);
}

// What member r must have as element e of its output; false when anything may be there.
static bool expected(const Case *t, int r, int64_t e, Value *v) {
    int s = 0;
    switch (t->kind) {
    case COLLECTIVE_ALL_REDUCE: *v = reduced(t, e); return true;
    case COLLECTIVE_REDUCE_SCATTER: *v = reduced(t, t->begin[r] + e); return true;
    case COLLECTIVE_REDUCE:
        if (r != t->root) return false;
        *v = reduced(t, e);
        return true;
    case COLLECTIVE_BROADCAST: *v = brought(t, t->root, 0, e); return true;
    case COLLECTIVE_SCATTER: *v = brought(t, t->root, 0, t->begin[r] + e); return true;
    case COLLECTIVE_GATHER:
    case COLLECTIVE_ALL_GATHER:
        while (e >= t->begin[s + 1]) s++;
        *v = brought(t, s, 0, e - t->begin[s]);
        return true;
    case COLLECTIVE_ALL_TO_ALL:
        *v = brought(t, (int)(e / share(t, r)), 0, t->begin[r] + e % share(t, r));
        return true;
    default: return false;
    }
}

// Arrays of any size, even of none, together as large as the one.
static void draw_arrays(Case *t, uint32_t h) {
    int64_t left = t->elements;
    bool cut = t->kind == COLLECTIVE_REDUCE_SCATTER || t->kind == COLLECTIVE_ALL_GATHER;
    t->size_count = cut && h & 1 ? 2 + (int)(h >> 1 & 3) % (CASE_ARRAYS - 1) : 0;
    for (int i = 0; i < t->size_count; i++) {
        bool last = i == t->size_count - 1;
        t->sizes[i] = last ? left : (int64_t)case_hash(h, (uint32_t)i, 0, 3) % (left + 1);
        left -= t->sizes[i];
    }
}

void case_draw_sized(Case *t, int kind, int64_t elements, int ranks, uint32_t salt) {
    static const Dtype dtypes[] = {DTYPE_F32, DTYPE_F64,  DTYPE_I32, DTYPE_I64,
                                   DTYPE_F16, DTYPE_BF16, DTYPE_U8};
    uint32_t h = case_hash(salt, (uint32_t)kind, (uint32_t)ranks, (uint32_t)elements);
    *t = (Case){.kind = defined[kind].kind,
                .algorithm = defined[kind].algorithm,
                .ranks = ranks,
                .elements = elements,
                .seed = h,
                .root = (int)(h % (uint32_t)ranks),
                .segments = 1 + (int)(h >> 3 & 3) % CASE_SEGMENTS,
                .lane = (int)(h >> 5 & 3),
                .unit = h >> 18 & 1 ? 1 + (int64_t)(h >> 19 & 63) : 0};
    // Sums of halves are rounded once, which only the direct algorithm does.
    bool halves = !reduces(t) || t->algorithm == ALGORITHM_DIRECT;
    t->dtype = dtypes[(h >> 7) % (!reduces(t) ? 7 : halves ? 6 : 4)];
    t->parts = reduces(t) ? 1 + (int)(h >> 13 & 3) % CASE_PARTS : 1;
    t->reduce = h >> 15 & 1 && h >> 16 & 1 ? REDUCE_MAX : REDUCE_SUM;
    bool may = t->kind == COLLECTIVE_ALL_REDUCE || t->kind == COLLECTIVE_BROADCAST ||
               t->kind == COLLECTIVE_REDUCE;
    t->in_place = may && h >> 17 & 1;
    if (t->kind == COLLECTIVE_BARRIER) t->elements = 0;
    draw_arrays(t, h >> 25);
    if (t->kind != COLLECTIVE_SCATTER && t->kind != COLLECTIVE_GATHER) return;
    t->elements -= t->elements % ranks;  // of equal pieces
    t->unit = 0;
}

void case_draw(Case *t, int i, int ranks, uint32_t salt) {
    const int64_t sizes[] = {0,     1,         2,    ranks - 1,
                             ranks, ranks + 1, 1000, i % 16 < 8 ? CASE_MANY : 1025};
    case_draw_sized(t, i / 16, sizes[i % 8], ranks, case_hash(salt, (uint32_t)i, 0, 1));
}

int64_t case_lay_out(CommSegment *s, int count, int64_t elements, Dtype d, int64_t at,
                     uint32_t seed) {
    int64_t left = elements;
    for (int i = 0; i < count; i++) {
        uint32_t h = case_hash(seed, (uint32_t)i, (uint32_t)elements, 77);
        int64_t cut = i == count - 1 ? left : (int64_t)h % (left + 1);
        s[i] = (CommSegment){at + 8 * (1 + h % 5), cut};
        left -= cut;
        at = s[i].offset + (cut * dtype_bytes(d) + 7) / 8 * 8;
    }
    return at;
}

// An element's bytes; constant sizes, because memcpy() and memcmp() are called for each.
static void put(void *at, Value v, int64_t bytes) {
    switch (bytes) {
    case 1: memcpy(at, &v, 1); break;
    case 2: memcpy(at, &v, 2); break;
    case 4: memcpy(at, &v, 4); break;
    default: memcpy(at, &v, 8);
    }
}

static Value get(const void *at, int64_t bytes) {
    Value v = {.i64 = 0};
    switch (bytes) {
    case 1: memcpy(&v, at, 1); break;
    case 2: memcpy(&v, at, 2); break;
    case 4: memcpy(&v, at, 4); break;
    default: memcpy(&v, at, 8);
    }
    return v;
}

static void layout_tensors(Part *x, CommSegment *s, int64_t own) {
    x->end = case_lay_out(s, x->t.segments, own, x->t.dtype, x->end,
                          case_hash(x->t.seed, (uint32_t)x->rank, 0, 0));
}

void *case_element(void *pool, const CommSegment *s, int64_t e, Dtype d) {
    while (e >= s->elements) e -= (s++)->elements;
    return (char *)pool + s->offset + e * dtype_bytes(d);
}

void part_prepare(Part *x, const Case *drawn, int rank, char *pool) {
    *x = (Part){.t = *drawn, .rank = rank, .end = drawn->base};
    const Case *t = &x->t;
    cut_shares(&x->t);
    draw_offsets(&x->t);
    x->t.segments = 1 + (t->segments + rank - 1) % CASE_SEGMENTS;
    int64_t n = t->elements, bytes = dtype_bytes(t->dtype);
    for (int p = 0; p < t->parts; p++)
        layout_tensors(x, x->input + p * x->t.segments, input_elements(t, rank));
    if (t->in_place)
        memcpy(x->output, x->input, sizeof x->output);
    else
        layout_tensors(x, x->output, output_elements(t, rank));
    x->work = (CommSegment){x->end + 8, n};
    x->end += n * bytes / 8 * 8 + 32;
    x->call = (CommCall){.kind = t->kind,
                         .algorithm = t->algorithm,
                         .reduce = t->reduce,
                         .dtype = t->dtype,
                         .group = t->group,
                         .lane = t->lane,
                         .root = t->root,
                         .unit = t->unit,
                         .sizes = x->t.sizes,
                         .size_count = t->size_count,
                         .parts = t->parts,
                         .input_count = x->t.segments,
                         .output_count = x->t.segments,
                         .input = x->input,
                         .output = x->output,
                         .work = &x->work,
                         .name = "case"};
    memset(pool + t->base, 0xA5, (size_t)(x->end - t->base));
    for (int p = 0; p < t->parts; p++)
        for (int64_t e = 0; e < input_elements(t, rank); e++) {
            void *at = case_element(pool, x->input + p * x->t.segments, e, t->dtype);
            put(at, brought(t, rank, p, e), bytes);
        }
    x->before = malloc((size_t)(x->end - t->base));
    memcpy(x->before, pool + t->base, (size_t)(x->end - t->base));
}

static void describe(char *out, size_t size, const Part *x, const char *what, int64_t where) {
    const Case *t = &x->t;
    snprintf(out, size,
             "%s %s, member %d of %d, root %d, %d parts of %lld %s in %d segments, unit %lld, "
             "%d arrays%s%s: %s at %lld",
             collective_name(t->kind), algorithm_name(t->algorithm), x->rank, t->ranks, t->root,
             t->parts, (long long)t->elements, dtype_name(t->dtype), t->segments,
             (long long)t->unit, t->size_count, t->in_place ? ", in place" : "",
             t->reduce == REDUCE_MAX ? ", maximum" : "", what, (long long)where);
}

// |ring - fold| <= 2(P-1) 2^-24 sum |g|: docs/contract.md, 4; 2^-53 for f64.
static bool within_bound(const Case *t, int64_t e, Value got) {
    double unit = t->dtype == DTYPE_F32 ? 0x1p-24 : 0x1p-53, size = 0;
    int terms = t->ranks * t->parts;
    for (int r = 0; r < t->ranks; r++)
        for (int p = 0; p < t->parts; p++)
            size += fabs(t->dtype == DTYPE_F32 ? (double)brought(t, r, p, e).f32
                                               : brought(t, r, p, e).f64);
    Value want = fold(t, e);
    double distance =
        t->dtype == DTYPE_F32 ? fabs((double)got.f32 - (double)want.f32) : fabs(got.f64 - want.f64);
    return distance <= 2 * (terms - 1) * unit * size;
}

// Does a sum in another order than by rank stay within the bound?
static bool near_fold(const Case *t, int64_t e, Value v) {
    bool real = t->dtype == DTYPE_F32 || t->dtype == DTYPE_F64;
    return t->kind != COLLECTIVE_ALL_REDUCE || t->algorithm != ALGORITHM_RING || !real ||
           t->reduce != REDUCE_SUM || within_bound(t, e, v);
}

// Write the expected output into the image of the pool. True if it is what the pool has.
static bool verify_output(const Part *x, char *image, const char *pool, char *out, size_t size) {
    const Case *t = &x->t;
    int64_t bytes = dtype_bytes(t->dtype), count = output_elements(t, x->rank);
    for (int64_t e = 0; e < count; e++) {
        char *at = case_element(image, x->output, e, t->dtype);
        Value is = get(pool + (at - image), bytes), v;
        if (!expected(t, x->rank, e, &v)) v = is;
        bool same = get(&v, bytes).i64 == is.i64;
        if (!same || !near_fold(t, e, v)) {
            describe(out, size, x, same ? "outside of the bound" : "wrong element", e);
            return false;
        }
        put(at, v, bytes);
    }
    return true;
}

bool part_verify(Part *x, const char *pool, char *out, size_t size) {
    const Case *t = &x->t;
    char *image = x->before - t->base;
    bool right = verify_output(x, image, pool, out, size);
    if (t->kind == COLLECTIVE_REDUCE_SCATTER && t->algorithm == ALGORITHM_RING)
        memcpy(image + x->work.offset, pool + x->work.offset,
               (size_t)(t->elements * dtype_bytes(t->dtype)));
    if (right && memcmp(x->before, pool + t->base, (size_t)(x->end - t->base)) != 0) {
        int64_t i = 0;
        while (x->before[i] == pool[t->base + i]) i++;
        describe(out, size, x, "changed byte", i);
        right = false;
    }
    free(x->before);
    return right;
}
