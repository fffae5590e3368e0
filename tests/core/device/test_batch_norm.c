// SPDX-License-Identifier: MIT
// Batch normalisation: numbers worked out by hand, gradients against central differences in f64,
// statistics of several sets of rows against those of all rows, and the same bits on every device.
#include "tests/support/device_agree.h"
#include "tests/support/device_hand.h"

#define REALS(...) ((const int64_t[]){build_attr_real(__VA_ARGS__)})

// --- by hand

// One channel of two rows of two: 1 3 and 5 7. Its mean is 4, its squared deviations 9 + 1 + 1 + 9
// = 20, the biased variance 5; with eps 4 the inverse deviation is 1/3.
static void put_hand(Case *c) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 1, 1, 2), 1, 3, 5, 7);
    TENSOR(c, "weight", REAL(c), SHAPE(1), 6);
    TENSOR(c, "bias", REAL(c), SHAPE(1), 10);
    OUTPUT(c, "statistics", DTYPE_F64, SHAPE(1, 3, 1));
    case_op(c, KIND_BATCH_NORM_STATISTICS, false, NULL, "statistics", "x");
}

static void forward_by_hand(Case *c, const Device *d) {
    put_hand(c);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 1, 1, 2));
    case_op(c, KIND_BATCH_NORM, false, REALS(4), "y", "x statistics weight bias");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "statistics", 4, 4, 20);
    EXPECT(c, &got, "y", 4, 8, 12, 16);  // 10 + 6 (x - 4) / 3
}

static void backward_by_hand(Case *c, const Device *d) {
    put_hand(c);
    TENSOR(c, "dy", REAL(c), SHAPE(ROWS, 1, 1, 2), 1, 0, 0, 2);
    TENSOR(c, "dweight", REAL(c), SHAPE(1), 100);
    TENSOR(c, "dbias", REAL(c), SHAPE(1), 200);
    OUTPUT(c, "sums", DTYPE_F64, SHAPE(2, 1));
    OUTPUT(c, "dx", REAL(c), SHAPE(ROWS, 1, 1, 2));
    case_op(c, KIND_BATCH_NORM_REDUCE, false, REALS(4), "sums", "dy x statistics");
    case_op(c, KIND_BATCH_NORM_BACKWARD_WEIGHT, true, NULL, "dweight dbias", "sums");
    case_op(c, KIND_BATCH_NORM_BACKWARD_INPUT, false, REALS(4), "dx",
            "dy x statistics sums weight");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "sums", 3, 1);  // 1 + 2; (1·(1 - 4) + 2·(7 - 4)) / 3
    EXPECT(c, &got, "dweight", 101);
    EXPECT(c, &got, "dbias", 203);
    // 6/3 (dy - 3/4 - (x - 4) (1/3) (1/4)): -3 and 3 in x - 4 give 1/4 to each side, -1 and 1 give
    // 1/12: exact but for the last bit.
    const double want[] = {1, -4.0 / 3, -5.0 / 3, 2};
    int dx = program_find_tensor(&c->p, "dx");
    for (int i = 0; i < 4; i++) ck_assert_double_eq_tol(got.of[dx][i], want[i], 1e-6);
}

// The unbiased variance, 20 / 3, joins the running one; the mean, 4, the running mean.
static void update_by_hand(Case *c, const Device *d) {
    put_hand(c);
    TENSOR(c, "mean", REAL(c), SHAPE(1), 8);
    TENSOR(c, "variance", REAL(c), SHAPE(1), 1);
    case_op(c, KIND_BATCH_NORM_UPDATE, false, REALS(0.75), "mean variance",
            "mean variance statistics");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "mean", 5);         // 8/4 + 4·3/4
    EXPECT(c, &got, "variance", 5.25);  // 1/4 + 20/3·3/4
}

static void inference_by_hand(Case *c, const Device *d) {
    put_hand(c);
    TENSOR(c, "mean", REAL(c), SHAPE(1), 3);
    TENSOR(c, "variance", REAL(c), SHAPE(1), 5);
    OUTPUT(c, "y", REAL(c), SHAPE(ROWS, 1, 1, 2));
    case_op(c, KIND_BATCH_NORM_INFERENCE, false, REALS(4), "y", "x mean variance weight bias");
    Values got = run_lowered(c, d);
    EXPECT(c, &got, "y", 6, 10, 14, 18);  // 10 + 6 (x - 3) / 3
}

START_TEST(batch_normalisation_by_hand) {
    by_hand(2, forward_by_hand);
    by_hand(2, backward_by_hand);
    by_hand(2, update_by_hand);
    by_hand(2, inference_by_hand);
}
END_TEST

// One element a channel has no unbiased variance, none has no mean.
static void few_by_hand(Case *c, const Device *d) {
    TENSOR(c, "x", REAL(c), SHAPE(ROWS, 2), 5, 6);
    TENSOR(c, "mean", REAL(c), SHAPE(2), 8, 9);
    TENSOR(c, "variance", REAL(c), SHAPE(2), 1, 2);
    OUTPUT(c, "statistics", DTYPE_F64, SHAPE(1, 3, 2));
    case_op(c, KIND_BATCH_NORM_STATISTICS, false, NULL, "statistics", "x");
    case_op(c, KIND_BATCH_NORM_UPDATE, false, REALS(0.5), "mean variance",
            "mean variance statistics");
    Values got = run_lowered(c, d);
    double n = (double)c->rows;
    EXPECT(c, &got, "statistics", n, n, 5 * n, 6 * n, 0, 0);
    EXPECT(c, &got, "mean", 8, 9);
    EXPECT(c, &got, "variance", 1, 2);
}

START_TEST(fewer_than_two_elements_leave_running_statistics_as_they_were) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < 4 * count; i++) {
        Case c;
        case_init(&c, i & 1 ? DTYPE_F64 : DTYPE_F32, 1, i >> 1 & 1);
        few_by_hand(&c, devices[i / 4]);
        case_finish(&c);
    }
}
END_TEST

// --- the same bits on every device

static void add_x(Case *c, const Sizes *s, const char *name, Fill fill) {
    if (s->H * s->W > 1)
        case_tensor(c, name, s->dtype, fill, SHAPE(ROWS, s->C, s->H, s->W));
    else
        case_tensor(c, name, s->dtype, fill, SHAPE(ROWS, s->C));
}

// Forward, backward and update; no bound, so that bits are compared.
static void build_all(Case *c, const Sizes *s) {
    add_x(c, s, "x", s->fill);
    add_x(c, s, "dy", s->fill);
    add_x(c, s, "y", FILL_OUTPUT);
    add_x(c, s, "evaluated", FILL_OUTPUT);
    add_x(c, s, "dx", FILL_OUTPUT);
    static const char *const channels[] = {"weight", "bias", "mean", "variance"};
    for (int i = 0; i < 4; i++) case_tensor(c, channels[i], s->dtype, FILL_RANDOM, SHAPE(s->C));
    case_tensor(c, "dweight", s->dtype, s->accumulate ? FILL_RANDOM : FILL_OUTPUT, SHAPE(s->C));
    case_tensor(c, "dbias", s->dtype, s->accumulate ? FILL_RANDOM : FILL_OUTPUT, SHAPE(s->C));
    case_tensor(c, "statistics", DTYPE_F64, FILL_OUTPUT, SHAPE(1, 3, s->C));
    case_tensor(c, "sums", DTYPE_F64, FILL_OUTPUT, SHAPE(2, s->C));
    case_op(c, KIND_BATCH_NORM_STATISTICS, false, NULL, "statistics", "x");
    case_op(c, KIND_BATCH_NORM, false, REALS(1e-5), "y", "x statistics weight bias");
    case_op(c, KIND_BATCH_NORM_REDUCE, false, REALS(1e-5), "sums", "dy x statistics");
    case_op(c, KIND_BATCH_NORM_BACKWARD_WEIGHT, s->accumulate, NULL, "dweight dbias", "sums");
    case_op(c, KIND_BATCH_NORM_BACKWARD_INPUT, false, REALS(1e-5), "dx",
            "dy x statistics sums weight");
    case_op(c, KIND_BATCH_NORM_UPDATE, false, REALS(0.1), "mean variance",
            "mean variance statistics");
    case_op(c, KIND_BATCH_NORM_INFERENCE, false, REALS(1), "evaluated",
            "x mean variance weight bias");
}

START_TEST(every_device_gives_the_bits_of_the_reference) {
    static const int64_t planes[][2] = {{1, 1}, {1, 2}, {3, 5}, {4, 4}, {7, 7}, {9, 13}};
    static const Fill fills[] = {FILL_RANDOM, FILL_EDGE, FILL_NAN};
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int d = 0; d < count; d++)
        for (int i = 0; i < 6 * 4 * 3 * 2; i++) {
            Sizes s = {.dtype = i & 1 ? DTYPE_F64 : DTYPE_F32,
                       .fill = fills[i / 2 % 3],
                       .capacity = 5,
                       .rows = (int[]){0, 1, 4, 5}[i / 6 % 4],
                       .accumulate = i / 6 % 3 == 1,
                       .C = 1 + i % 19,
                       .H = planes[i / 24][0],
                       .W = planes[i / 24][1]};
            device_agree(devices[d], build_all, &s, NONE);
        }
}
END_TEST

// --- several sets of rows

enum { SETS = 3, CHANNELS = 5, ALL = 11 };

// What all rows give, and what the same rows give in sets of `rows` each, whose statistics lie one
// after the other.
typedef struct {
    double y[ALL * CHANNELS * 4], dx[ALL * CHANNELS * 4], mean[CHANNELS], variance[CHANNELS];
} SetResult;

static const double *slice(const double *x, int first) { return x + first * CHANNELS * 4; }

// Rows first.. of x, normalised with `sets` statistics; NULL: their own, which they give back.
static void run_rows(const Device *d, const double *x, const double *dy, int first, int rows,
                     double *statistics, int sets, double *sums, SetResult *out) {
    Case c;
    case_init(&c, DTYPE_F64, ALL, rows);
    static const double ones[CHANNELS] = {1, 2, 3, 4, 5}, half[CHANNELS] = {0.5, 1, 1, 1, 1};
    const int64_t shape[] = {ROWS, CHANNELS, 2, 2};
    case_set(&c, case_tensor(&c, "x", DTYPE_F64, FILL_OUTPUT, 4, shape), slice(x, first));
    case_set(&c, case_tensor(&c, "dy", DTYPE_F64, FILL_OUTPUT, 4, shape), slice(dy, first));
    case_tensor(&c, "y", DTYPE_F64, FILL_OUTPUT, 4, shape);
    case_tensor(&c, "dx", DTYPE_F64, FILL_OUTPUT, 4, shape);
    TENSOR(&c, "weight", DTYPE_F64, SHAPE(CHANNELS), 1, 2, 3, 4, 5);
    case_set(&c, case_tensor(&c, "bias", DTYPE_F64, FILL_OUTPUT, SHAPE(CHANNELS)), half);
    case_set(&c, case_tensor(&c, "mean", DTYPE_F64, FILL_OUTPUT, SHAPE(CHANNELS)), ones);
    case_set(&c, case_tensor(&c, "variance", DTYPE_F64, FILL_OUTPUT, SHAPE(CHANNELS)), ones);
    int s =
        case_tensor(&c, "statistics", DTYPE_F64, FILL_OUTPUT, SHAPE(sets ? sets : 1, 3, CHANNELS));
    int t = case_tensor(&c, "sums", DTYPE_F64, FILL_OUTPUT, SHAPE(2, CHANNELS));
    if (sets) {
        case_set(&c, s, statistics);
        if (out) case_set(&c, t, sums);
        case_op(&c, KIND_BATCH_NORM, false, REALS(1e-5), "y", "x statistics weight bias");
        if (!out)
            case_op(&c, KIND_BATCH_NORM_REDUCE, false, REALS(1e-5), "sums", "dy x statistics");
        else
            case_op(&c, KIND_BATCH_NORM_BACKWARD_INPUT, false, REALS(1e-5), "dx",
                    "dy x statistics sums weight");
        case_op(&c, KIND_BATCH_NORM_UPDATE, false, REALS(0.1), "mean variance",
                "mean variance statistics");
    } else
        case_op(&c, KIND_BATCH_NORM_STATISTICS, false, NULL, "statistics", "x");
    Values got = run_lowered(&c, d);
    if (!sets) memcpy(statistics, got.of[s], 3 * CHANNELS * sizeof(double));
    for (int i = 0; sets && !out && i < 2 * CHANNELS; i++) sums[i] += got.of[t][i];
    if (out) {
        size_t bytes = (size_t)rows * CHANNELS * 4 * sizeof(double);
        memcpy(out->y + first * CHANNELS * 4, got.of[program_find_tensor(&c.p, "y")], bytes);
        memcpy(out->dx + first * CHANNELS * 4, got.of[program_find_tensor(&c.p, "dx")], bytes);
        memcpy(out->mean, got.of[program_find_tensor(&c.p, "mean")], sizeof out->mean);
        memcpy(out->variance, got.of[program_find_tensor(&c.p, "variance")], sizeof out->variance);
    }
    case_finish(&c);
}

// Statistics of every set, sums over all sets, then each set with those.
static void run_sets(const Device *d, const double *x, const double *dy, const int *rows, int sets,
                     SetResult *out) {
    double statistics[SETS * 3 * CHANNELS], sums[2 * CHANNELS] = {0};
    for (int pass = 0; pass < 3; pass++)
        for (int i = 0, first = 0; i < sets; first += rows[i++])
            run_rows(d, x, dy, first, rows[i], pass ? statistics : &statistics[i * 3 * CHANNELS],
                     pass ? sets : 0, sums, pass == 2 ? out : NULL);
}

static void draw(double *x, size_t count, uint32_t key, double offset) {
    Rng g;
    rng_init(&g, 3, RNG_TEST, key, 0);
    for (size_t i = 0; i < count; i++) x[i] = offset + 2 * (double)rng_float(&g) - 1;
}

START_TEST(sets_of_rows_together_are_as_good_as_all_rows) {
    static const int all[] = {ALL}, cuts[][SETS] = {{4, 4, 3}, {0, 9, 2}, {11, 0, 0}, {1, 1, 9}};
    static double x[ALL * CHANNELS * 4], dy[ALL * CHANNELS * 4];
    static SetResult want, got;
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    draw(x, sizeof x / sizeof *x, 1, 1000);  // far from 0: a sum of squares would lose 6 digits
    draw(dy, sizeof dy / sizeof *dy, 2, 0);
    for (int d = 0; d < count; d++) {
        run_sets(devices[d], x, dy, all, 1, &want);
        for (int k = 0; k < 4; k++) {
            run_sets(devices[d], x, dy, cuts[k], SETS, &got);
            const double *a = (const double *)&got, *b = (const double *)&want;
            for (size_t i = 0; i < sizeof want / sizeof(double); i++)
                ck_assert_double_eq_tol(a[i], b[i], 2e-12 * fmax(1, fabs(b[i])));
            if (!cuts[k][1])
                ck_assert_mem_eq(&got, &want, sizeof want);  // empty sets change no bit
        }
    }
}
END_TEST

// --- gradients

static double loss_of(Case *c, const Device *d, const double *dy) {
    Values v = case_run(c, d, (CaseRun){.junk = JUNK_NAN});
    int y = program_find_tensor(&c->p, "y");
    double sum = 0;
    for (int64_t i = 0; i < case_elements(c, y); i++) sum += dy[i] * v.of[y][i];
    return sum;
}

// As in tests/core/nn/test_gradient.c: the step and the bound are explained there.
static void check_gradient(Case *c, const Device *d, const char *of, const char *gradient) {
    int x = program_find_tensor(&c->p, of), dx = program_find_tensor(&c->p, gradient);
    const double *dy = c->before[program_find_tensor(&c->p, "dy")], step = 0x1p-17;
    Values analytic = case_run(c, d, (CaseRun){.junk = JUNK_NAN});
    double most = 0;
    for (int64_t i = 0; i < case_elements(c, dx); i++) most = fmax(most, fabs(analytic.of[dx][i]));
    ck_assert_double_gt(most, 0);
    for (int64_t i = 0; i < case_elements(c, x); i++) {
        double at = c->before[x][i];
        c->before[x][i] = at - step;
        double left = loss_of(c, d, dy);
        c->before[x][i] = at + step;
        double numeric = (loss_of(c, d, dy) - left) / (2 * step);
        c->before[x][i] = at;
        if (!(fabs(analytic.of[dx][i] - numeric) <= 1e-8 * most))
            ck_abort_msg("%s: %s[%d] is %.15g, the difference gives %.15g", d->name, gradient,
                         (int)i, analytic.of[dx][i], numeric);
    }
}

START_TEST(gradients_are_those_of_central_differences) {
    const Device *devices[DEVICES];
    int count = case_devices(devices);
    for (int i = 0; i < 2 * count; i++) {
        Sizes s = {.dtype = DTYPE_F64, .fill = FILL_RANDOM, .C = 3, .H = i % 2 ? 3 : 1, .W = 1};
        Case c;
        case_init(&c, DTYPE_F64, 6, 5);
        build_all(&c, &s);
        ck_assert_ok(program_lower(&c.p, devices[i / 2]->traits));
        check_gradient(&c, devices[i / 2], "x", "dx");
        check_gradient(&c, devices[i / 2], "weight", "dweight");
        check_gradient(&c, devices[i / 2], "bias", "dbias");
        case_finish(&c);
    }
}
END_TEST

SUITE("batch_norm", batch_normalisation_by_hand,
      fewer_than_two_elements_leave_running_statistics_as_they_were,
      every_device_gives_the_bits_of_the_reference, sets_of_rows_together_are_as_good_as_all_rows,
      gradients_are_those_of_central_differences)
