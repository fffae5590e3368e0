// SPDX-License-Identifier: MIT
#include "tests/support/device_agree.h"

// An index may point to another place than the reference's when the values there are so close that
// their order depends on rounding. `of` is the tensor whose maximum it is, in planes of H x W.
static void compare_index(const Case *c, const Sizes *s, int index, int of, const Values *got,
                          const Values *want, const Values *magnitude) {
    int64_t H = conv_height(s), W = conv_width(s), OH = pool_height(s), OW = pool_width(s);
    double u = s->dtype == DTYPE_F32 ? 0x1p-24 : 0x1p-53, n = (double)c->terms,
           gamma = n * u / (1 - n * u);
    for (int64_t i = 0; i < case_elements(c, index); i++) {
        int64_t plane = i / (OH * OW), row = i / OW % OH * s->pool_stride - s->pool_pad,
                column = i % OW * s->pool_stride - s->pool_pad;
        int64_t at[2] = {(int64_t)got->of[index][i], (int64_t)want->of[index][i]};
        int64_t h = row + at[0] / s->pool, w = column + at[0] % s->pool;
        if (at[0] >= s->pool * s->pool || h < 0 || h >= H || w < 0 || w >= W)
            ck_abort_msg("%s: index[%lld] is %lld", c->text, (long long)i, (long long)at[0]);
        double value[2], most = 0;
        for (int k = 0; k < 2; k++) {
            int64_t e = (plane * H + row + at[k] / s->pool) * W + column + at[k] % s->pool;
            value[k] = want->of[of][e];
            most += 2 * gamma * magnitude->of[of][e];
        }
        if (!(value[1] - value[0] <= most))
            ck_abort_msg("%s: index[%lld] is %lld with %.9g, not %lld with %.9g", c->text,
                         (long long)i, (long long)at[0], value[0], (long long)at[1], value[1]);
    }
}

// For messages: all that is needed to build the case again.
static void describe(Case *c, const Device *d, const Sizes *s) {
    const int64_t sizes[] = {s->rows,   s->capacity, s->C,   s->H,    s->W,           s->K,
                             s->kernel, s->stride,   s->pad, s->pool, s->pool_stride, s->pool_pad};
    static const char *const names[] = {"rows", "of",   "C",           "H",
                                        "W",    "K",    "kernel",      "stride",
                                        "pad",  "pool", "pool stride", "pool pad"};
    int used = snprintf(c->text, sizeof c->text, "%s %s: %s, fill %d%s%s", d->name,
                        dtype_name(s->dtype), op_name(&c->p, &c->plan->ops[0]), (int)s->fill,
                        s->accumulate ? ", accumulate" : "", s->bias ? ", bias" : "");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        used += snprintf(c->text + used, sizeof c->text - (size_t)used, ", %s %lld", names[i],
                         (long long)sizes[i]);
}

void device_agree(const Device *d, Build build, const Sizes *s, int fusion) {
    Case c;
    case_init(&c, s->dtype, s->capacity, s->rows);
    build(&c, s);
    describe(&c, d, s);
    if (s->fill == FILL_INTEGER || s->fill == FILL_NAN) c.terms = 0;
    Values want = case_run(&c, &device_reference, (CaseRun){.junk = JUNK_NAN}), magnitude = want;
    if (c.terms)
        magnitude = case_run(&c, &device_reference, (CaseRun){.junk = JUNK_NAN, .magnitude = true});
    ck_assert_ok(program_lower(&c.p, d->traits));
    if (fusion != NONE && d->traits->fusions >> fusion & 1) {
        ck_assert_int_eq(c.plan->op_count, 1);
        ck_assert_int_eq(work_attr(&c.p, op_work(&c.p, &c.plan->ops[0]), 0), fusion);
    }
    Values got = case_run(&c, d, (CaseRun){.junk = JUNK_NAN}),
           again = case_run(&c, d, (CaseRun){.junk = JUNK_NUMBER});
    int index = program_find_tensor(&c.p, "index"), of = program_find_tensor(&c.p, "relu");
    for (int t = 0; t < c.p.tensor_count; t++) {
        if (!case_is_output(&c, t)) continue;
        if (t == index && of != NONE && c.terms)
            compare_index(&c, s, index, of, &got, &want, &magnitude);
        else
            case_compare(&c, t, &got, &want, &magnitude);
        case_compare_bits(&c, t, &again, &got);
    }
    case_finish(&c);
}

void device_agree_index(Case *c, const int64_t *window, int64_t H, int64_t W,
                        const int64_t shape[4]) {
    int64_t kernel = window[0], stride = window[1], pad = window[2];
    int t = case_tensor(c, "index", DTYPE_U8, FILL_INTEGER, 4, shape);
    for (int64_t i = 0; i < case_elements(c, t); i++)
        for (;;) {
            int64_t at = rng_below(&c->rng, (uint32_t)(kernel * kernel));
            int64_t h = i / shape[3] % shape[2] * stride - pad + at / kernel,
                    w = i % shape[3] * stride - pad + at % kernel;
            if (h < 0 || h >= H || w < 0 || w >= W) continue;
            c->before[t][i] = (double)at;
            break;
        }
    c->magnitude[t] = MAGNITUDE_SAME;
}

const int64_t swept_rows[SWEPT_ROWS][2] = {{1, 1}, {2, 2},   {3, 4},  {5, 5},
                                           {0, 2}, {64, 64}, {61, 64}};

static void draw_flags(Sizes *s, Rng *rng) {
    s->fill = (Fill)(FILL_RANDOM + rng_below(rng, 3));
    s->bias = rng_below(rng, 2);
    s->index = rng_below(rng, 2);
    s->accumulate = rng_below(rng, 2);
}

static void agree_everywhere(Build build, Sizes *s, int fusion) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++)
        for (int type = 0; type < 2; type++) {
            s->dtype = type ? DTYPE_F64 : DTYPE_F32;
            device_agree(devices[d], build, s, fusion);
        }
}

static int64_t at_least_1(int64_t n) { return n < 1 ? 1 : n; }

void sweep_windows(Build build, int fusion, int64_t pool, int64_t pool_stride) {
    Rng rng;
    rng_init(&rng, 11, RNG_TEST, (uint32_t)fusion, (uint32_t)pool);
    for (int i = 0; i < SWEPT_ROWS * 3 * 2 * 3; i++) {
        Sizes s = {.rows = swept_rows[i % SWEPT_ROWS][0],
                   .capacity = swept_rows[i % SWEPT_ROWS][1],
                   .kernel = 1 + 2 * (i / SWEPT_ROWS % 3),
                   .stride = 1 + i / SWEPT_ROWS / 3 % 2,
                   .pad = i / SWEPT_ROWS / 6,
                   .pool = pool,
                   .pool_stride = pool_stride};
        bool many = s.capacity > 5;
        s.C = 1 + rng_below(&rng, many ? 2 : 7);
        s.K = 1 + rng_below(&rng, many ? 3 : 9);
        // The smallest image has one pooling window.
        int64_t least = at_least_1((pool - 1) * s.stride + s.kernel - 2 * s.pad);
        s.H = least + rng_below(&rng, many ? 3 : 9);
        s.W = least + rng_below(&rng, many ? 3 : 9);
        draw_flags(&s, &rng);
        s.pool_pad = rng_below(&rng, (uint32_t)(pool / 2 + 1));
        agree_everywhere(build, &s, fusion);
    }
}

void sweep_net(Build build, int fusion) {
    for (int i = 0; i < 3 * 2; i++) {
        bool first = i % 2;
        Sizes s = {.fill = (Fill)(FILL_RANDOM + i / 2), .capacity = 3, .rows = 2};
        s.C = first ? 1 : 20;
        s.H = s.W = first ? 28 : 12;
        s.K = 20;
        s.kernel = 5;
        s.stride = 1;
        s.pool = s.pool_stride = 2;
        s.bias = s.index = true;
        s.accumulate = i / 2 == 1;
        agree_everywhere(build, &s, fusion);
    }
}

void sweep_residual(Build build, int fusion) {
    static const int64_t windows[][3] = {{3, 1, 1}, {3, 2, 1}, {1, 1, 0}, {1, 2, 0}, {5, 1, 2}};
    static const int64_t sides[][2] = {{7, 7}, {6, 9}, {1, 2}, {5, 14}};
    for (int i = 0; i < 5 * 4 * 2; i++) {
        Sizes s = {.fill = i % 2 ? FILL_INTEGER : FILL_RANDOM, .capacity = 3, .rows = 2};
        s.C = 12;
        s.K = 5;
        s.kernel = windows[i / 8][0];
        s.stride = windows[i / 8][1];
        s.pad = windows[i / 8][2];
        s.H = sides[i / 2 % 4][0];
        s.W = sides[i / 2 % 4][1];
        s.pool = s.pool_stride = 1;
        s.accumulate = i / 2 % 2;
        agree_everywhere(build, &s, fusion);
    }
}

void sweep_vectors(Build build, int fusion) {
    static const int64_t widths[] = {1, 3, 17, 50, 320};
    Rng rng;
    rng_init(&rng, 12, RNG_TEST, (uint32_t)fusion, 0);
    for (int i = 0; i < SWEPT_ROWS * 5 * 4; i++) {
        Sizes s = {.rows = swept_rows[i % SWEPT_ROWS][0],
                   .capacity = swept_rows[i % SWEPT_ROWS][1],
                   .C = widths[i / SWEPT_ROWS % 5],
                   .K = widths[i / SWEPT_ROWS / 5]};
        draw_flags(&s, &rng);
        agree_everywhere(build, &s, fusion);
    }
}
