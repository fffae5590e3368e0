// SPDX-License-Identifier: MIT
// Times of kernels by their shapes, by hand. The device computes 4 units x 1 Gflop/s.
#include "core/platform/kernel_model.h"

#include "core/base/units.h"
#include "core/platform/device_model.h"
#include "core/platform/machine.h"
#include "tests/support/machine_case.h"
#include "tests/support/plan_maker.h"

enum { RATE = 1000000000 };

// A tile of 4 x 2 takes 16 flops for each of its sums' products, at half of a unit's peak: 32 ns;
// and 100 ns for its beginning and end.
static const KernelModel model = {.units = 4,
                                  .most_permille = 400,
                                  .tiles = {{4, 2, 500, 100000}},
                                  .tile_count = 1,
                                  .attention = {4, 1, 500, 100000},
                                  .attention_backward_permille = 250,
                                  .attention_backward_fill_ps = 700000};

typedef struct {
    Program p;
    Plan *plan;
} Setup;

static void tensor(Setup *s, const char *name, int dims, const int64_t *shape) {
    make_tensor(&s->p, name, ROLE_ACTIVATION, PLACEMENT_REPLICATED, dims, shape, DTYPE_F32);
}

static void setup(Setup *s) {
    memset(s, 0, sizeof *s);
    ck_assert_ok(program_add_lane(&s->p, "compute", LANE_COMPUTE, NONE, NULL));
    ck_assert_ok(program_add_plan(&s->p, "step", &s->plan));
}

static const Op *add(Setup *s, Kind kind, const int64_t *attrs, const char *out, const char *in) {
    int i = make_op(&s->p, s->plan, (OpSpec){.name = "op", .kind = kind, .attrs = attrs}, out, in);
    return &s->plan->ops[i];
}

static void check_shape(Setup *s, const Op *op, int64_t count, int64_t rows, int64_t columns,
                        int64_t depth) {
    ProductShape shape;
    ck_assert(kernel_model_product(&shape, &s->p, s->plan, op));
    ck_assert_int_eq(shape.count, count);
    ck_assert_int_eq(shape.rows, rows);
    ck_assert_int_eq(shape.columns, columns);
    ck_assert_int_eq(shape.depth, depth);
    ck_assert_int_eq(op_work(&s->p, op)->flops, 2 * count * rows * columns * depth);
}

// x (2,3,5), y (2,3,7): 6 rows. Images of 4 channels, 6 x 6, to 8 of 4 x 4 by windows of 3 x 3.
// 2 experts with queues of 3 slots, in 4 pieces.
START_TEST(products_have_the_shape_that_kernels_compute) {
    Setup s;
    setup(&s);
    tensor(&s, "x", SHAPE(2, 3, 5)), tensor(&s, "y", SHAPE(2, 3, 7)), tensor(&s, "w", SHAPE(7, 5));
    check_shape(&s, add(&s, KIND_LINEAR, NULL, "y", "x w"), 1, 6, 7, 5);
    check_shape(&s, add(&s, KIND_LINEAR_BACKWARD_INPUT, NULL, "x", "y w"), 1, 6, 5, 7);
    check_shape(&s, add(&s, KIND_LINEAR_BACKWARD_WEIGHT, NULL, "w", "x y"), 1, 7, 5, 6);
    const int64_t window[] = {3, 1, 0};
    tensor(&s, "i", SHAPE(2, 4, 6, 6)), tensor(&s, "o", SHAPE(2, 8, 4, 4));
    tensor(&s, "f", SHAPE(8, 4, 3, 3));
    check_shape(&s, add(&s, KIND_CONV2D, window, "o", "i f"), 1, 32, 8, 36);
    check_shape(&s, add(&s, KIND_CONV2D_BACKWARD_WEIGHT, window, "f", "i o"), 1, 8, 36, 32);
    ProductShape shape;  // of each element of dx as many products, also where windows overlap less
    ck_assert(kernel_model_product(&shape, &s.p, s.plan,
                                   add(&s, KIND_CONV2D_BACKWARD_INPUT, window, "i", "o f")));
    ck_assert(shape.rows == 72 && shape.columns == 4 && shape.depth == 72);
    tensor(&s, "a", SHAPE(4, 2, 3, 5)), tensor(&s, "b", SHAPE(4, 2, 3, 7));
    tensor(&s, "e", SHAPE(2, 7, 5));
    make_tensor(&s.p, "load", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(4, 2), DTYPE_I64);
    check_shape(&s, add(&s, KIND_EXPERT_LINEAR, NULL, "b", "a e load"), 8, 3, 7, 5);
    check_shape(&s, add(&s, KIND_EXPERT_LINEAR_BACKWARD_INPUT, NULL, "a", "b e load"), 8, 3, 5, 7);
    check_shape(&s, add(&s, KIND_EXPERT_LINEAR_BACKWARD_WEIGHT, NULL, "e", "a b load"), 2, 7, 5,
                12);
    ck_assert(!kernel_model_product(&shape, &s.p, s.plan, add(&s, KIND_RELU, NULL, "y", "y")));
    program_finish(&s.p);
}
END_TEST

// 2 rows of 5 positions, 3 heads of 4 channels: 6 matrices of 5 x 5.
START_TEST(unfused_attention_is_one_product_of_each_head_or_two) {
    static const int64_t heads[] = {3, 3};
    Setup s;
    ProductShape shape[2];
    setup(&s);
    tensor(&s, "qkv", SHAPE(2, 5, 36)), tensor(&s, "y", SHAPE(2, 5, 12));
    tensor(&s, "m", SHAPE(2, 3, 5, 5)), tensor(&s, "d", SHAPE(2, 3, 5, 5));
    add(&s, KIND_ATTENTION_SCORES, heads, "m", "qkv");
    add(&s, KIND_ATTENTION_VALUES, heads, "y", "m qkv");
    add(&s, KIND_ATTENTION_VALUES_BACKWARD, heads, "d y", "y m qkv");
    add(&s, KIND_ATTENTION_SCORES_BACKWARD, heads, "qkv", "d y qkv");
    static const struct {
        int count;
        bool square;  // the first is T x T of sums over channels
    } cases[] = {{1, true}, {1, false}, {2, true}, {2, false}};
    for (int i = 0; i < 4; i++) {
        const Op *op = &s.plan->ops[i];
        ck_assert_int_eq(kernel_model_matrices(shape, &s.p, s.plan, op), cases[i].count);
        ck_assert_int_eq(shape[0].count, 6);
        ck_assert_int_eq(shape[0].rows, 5);
        ck_assert_int_eq(shape[0].columns, cases[i].square ? 5 : 4);
        ck_assert_int_eq(shape[0].depth, cases[i].square ? 4 : 5);
        if (cases[i].count > 1) ck_assert(shape[1].columns == 4 && shape[1].depth == 5);
        ck_assert_int_eq(op_work(&s.p, op)->flops, cases[i].count * 2 * 6 * 5 * 5 * 4);
    }
    program_finish(&s.p);
}
END_TEST

static int64_t linear_ps(const KernelModel *k, int64_t rows, int64_t columns, int64_t depth) {
    Setup s;
    int64_t ps;
    setup(&s);
    tensor(&s, "x", SHAPE(rows, depth)), tensor(&s, "y", SHAPE(rows, columns));
    tensor(&s, "w", SHAPE(columns, depth));
    ck_assert(kernel_model_arithmetic_ps(
        &ps, k, &s.p, s.plan, add(&s, KIND_LINEAR, NULL, "y", "x w"), (int64_t)4 * RATE));
    program_finish(&s.p);
    return ps;
}

// 8 x 4 are four tiles, one wave of 10 products a sum: 320 + 100 ns; a row more is a second wave,
// but for the tile turned round, which covers 2 x 4. One element takes as long as a tile. Of very
// long sums the device's limit decides: 2 * 8 * 4 * 10^6 flops at 4 G/s * 0.4.
START_TEST(a_product_takes_whole_waves_of_tiles) {
    ck_assert_int_eq(linear_ps(&model, 8, 4, 10), 420000);
    ck_assert_int_eq(linear_ps(&model, 1, 1, 10), 420000);
    ck_assert_int_eq(linear_ps(&model, 9, 4, 10), 2 * 420000);
    ck_assert_int_eq(linear_ps(&model, 2, 16, 10), 420000);  // 2 x 4, four of them
    ck_assert_int_eq(linear_ps(&model, 8, 4, 1000000), INT64_C(40000000000));
    KernelModel two = model;  // a smaller tile, less good: 2 x 2 in 8 flops at a quarter, 32 ns
    two.tiles[two.tile_count++] = (KernelTile){2, 2, 250, 10000};
    ck_assert_int_eq(linear_ps(&two, 1, 1, 10), 330000);
    ck_assert_int_eq(linear_ps(&two, 8, 4, 10), 420000);
    // 512 products: alone 16,384 + 100 ns. In 4 pieces for 4 units 4,096 + 2 * 100; in 8 of 64
    // products two waves of 2,048 + 100, and 100.
    ck_assert_int_eq(linear_ps(&model, 1, 1, 512), 4296000);
    KernelModel cold = model;
    cold.most_permille = 1000;
    ck_assert_int_eq(linear_ps(&cold, 8, 4, 512), 16484000);  // every unit has a tile
}
END_TEST

// 2 rows, 3 heads, 6 queries: in blocks of 4, 12 of them, 3 waves. 2 * 2 * 2 * 6 * 6 * 12 flops
// are 3456, 288 a block: 576 ns at half of a unit's peak. The backward does 5 products for each 2.
START_TEST(attention_takes_waves_of_blocks_of_queries) {
    Setup s;
    int64_t ps, attrs[] = {3, 3, 0};
    setup(&s);
    tensor(&s, "q", SHAPE(2, 6, 12)), tensor(&s, "k", SHAPE(2, 6, 12)),
        tensor(&s, "v", SHAPE(2, 6, 12)), tensor(&s, "y", SHAPE(2, 6, 12));
    tensor(&s, "lse", SHAPE(2, 6, 3)), tensor(&s, "dy", SHAPE(2, 6, 12));
    const Op *op = add(&s, KIND_ATTENTION, attrs, "y lse", "q k v");
    ck_assert_int_eq(op_work(&s.p, op)->flops, 3456);
    ck_assert(kernel_model_arithmetic_ps(&ps, &model, &s.p, s.plan, op, (int64_t)4 * RATE));
    ck_assert_int_eq(ps, 3 * (576000 + 100000));
    op = add(&s, KIND_ATTENTION_BACKWARD, attrs, "q k v", "dy y lse q k v");
    ck_assert(kernel_model_arithmetic_ps(&ps, &model, &s.p, s.plan, op, (int64_t)4 * RATE));
    ck_assert_int_eq(ps, 3 * (720 * 4000 + 700000));
    program_finish(&s.p);
}
END_TEST

// bf16 products whose features, in or out, are odd reach 50 thousandths of 4 G/s, even ones 100;
// multiples of four, and f32, what others do. A product's rows do not matter. 2 * 8 * r * d flops.
START_TEST(products_of_unaligned_features_reach_less) {
    static const struct {
        int64_t outputs, inputs, permille;
        Dtype dtype;
    } cases[] = {{1000, 1001, 50, DTYPE_BF16},  {1001, 1000, 50, DTYPE_BF16},
                 {1000, 1002, 100, DTYPE_BF16}, {1000, 1004, 400, DTYPE_BF16},
                 {1001, 1000, 400, DTYPE_F32},  {1000, 1000, 400, DTYPE_BF16}};
    KernelModel k = model;
    k.odd_permille = 50, k.even_permille = 100;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t out = cases[i].outputs, in = cases[i].inputs, rows = 7;
        const Dtype t = cases[i].dtype;
        Setup s;
        setup(&s);
        make_tensor(&s.p, "x", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(rows, in), t);
        make_tensor(&s.p, "w", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(out, in), t);
        make_tensor(&s.p, "y", ROLE_ACTIVATION, PLACEMENT_REPLICATED, SHAPE(rows, out), t);
        make_tensor(&s.p, "dw", ROLE_GRADIENT, PLACEMENT_REPLICATED, SHAPE(out, in), DTYPE_F32);
        static const struct {
            Kind kind;
            const char *out, *in;
        } ops[] = {{KIND_LINEAR, "y", "x w"},
                   {KIND_LINEAR_BACKWARD_INPUT, "x", "y w"},
                   {KIND_LINEAR_BACKWARD_WEIGHT, "dw", "x y"}};
        for (int j = 0; j < 3; j++) {
            int64_t ps, least = units_ps_at(2 * rows * out * in, INT64_C(4) * RATE,
                                            (int32_t)cases[i].permille);
            int n = make_op(&s.p, s.plan, (OpSpec){.name = "op", .kind = ops[j].kind, .dtype = t},
                            ops[j].out, ops[j].in);
            ck_assert(kernel_model_arithmetic_ps(&ps, &k, &s.p, s.plan, &s.plan->ops[n],
                                                 INT64_C(4) * RATE));
            if (cases[i].permille < 400)
                ck_assert_int_eq(ps, least);
            else
                ck_assert(ps >= least && ps < 2 * least);
        }
        program_finish(&s.p);
    }
}
END_TEST

// At 1 byte a nanosecond: of 100 bytes a tenth of it is reached, of 300 a half, of 200 what lies
// between; less takes as long as 100, more reaches a half.
START_TEST(memory_reaches_its_rate_with_enough_bytes) {
    const KernelModel k = {.bytes = {100, 300}, .bytes_permille = {100, 500}, .point_count = 2};
    ck_assert_int_eq(kernel_model_memory_ps(&k, 100, RATE, 0), 1000000);
    ck_assert_int_eq(kernel_model_memory_ps(&k, 1, RATE, 0), 1000000);
    ck_assert_int_eq(kernel_model_memory_ps(&k, 0, RATE, 1), 0);
    ck_assert_int_eq(kernel_model_memory_ps(&k, 200, RATE, 0), 666667);
    ck_assert_int_eq(kernel_model_memory_ps(&k, 300, RATE, 0), 600000);
    ck_assert_int_eq(kernel_model_memory_ps(&k, 3000, RATE, 0), 6000000);
    ck_assert_int_eq(kernel_model_memory_ps(&model, 100, RATE, 500), 200000);
}
END_TEST

// At 1 byte a nanosecond, 2 ns from kernel to kernel. A GELU moves 400 bytes at a quarter of
// that; a gradient of 10 biases is summed over 2 rows of 40 bytes at half of it, by a kernel
// beside that of the weights; a bias of images is added so, too, at the whole rate.
START_TEST(kinds_and_biases_take_what_their_kernels_do) {
    DeviceModel d = {.memory_bytes_per_s = RATE, .memory_permille = 1000, .launch_ps = 2000};
    d.flops_per_s[DTYPE_F32] = INT64_C(4) * RATE;
    d.kernels = model;
    d.kernels.kind_permille[KIND_GELU] = 250;
    Setup s;
    setup(&s);
    tensor(&s, "a", SHAPE(5, 10)), tensor(&s, "b", SHAPE(5, 10));
    tensor(&s, "x", SHAPE(2, 5)), tensor(&s, "y", SHAPE(2, 10)), tensor(&s, "w", SHAPE(10, 5));
    tensor(&s, "bias", SHAPE(10)), tensor(&s, "in", SHAPE(1, 4, 3, 3));
    tensor(&s, "filter", SHAPE(10, 4, 1, 1)), tensor(&s, "out", SHAPE(1, 10, 3, 3));
    const int64_t window[] = {1, 1, 0};
    const Op *gelu = add(&s, KIND_GELU, NULL, "b", "a"), *relu = add(&s, KIND_RELU, NULL, "b", "a");
    ck_assert_int_eq(device_model_ps(&d, &s.p, s.plan, gelu), 4 * 400000 + 2000);
    ck_assert_int_eq(device_model_ps(&d, &s.p, s.plan, relu), 400000 + 2000);
    const struct {
        Kind kind;
        const char *out, *in;
        int64_t bias_ps;
    } cases[] = {{KIND_LINEAR_BACKWARD_WEIGHT, "w bias", "x y", 2 * 80000 + 2000},
                 {KIND_LINEAR_BACKWARD_WEIGHT, "w", "x y", 0},
                 {KIND_LINEAR, "y", "x w bias", 0},
                 {KIND_CONV2D, "out", "in filter bias", 2 * 360000 + 2000},
                 {KIND_CONV2D, "out", "in filter", 0},
                 {KIND_CONV2D_BACKWARD_WEIGHT, "filter bias", "in out", 2 * 360000 + 2000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Op *op = add(&s, cases[i].kind, window, cases[i].out, cases[i].in);
        d.kernels.bias_permille = 0;
        const int64_t on_the_way = device_model_ps(&d, &s.p, s.plan, op);
        d.kernels.bias_permille = 500;
        ck_assert_int_eq(device_model_ps(&d, &s.p, s.plan, op), on_the_way + cases[i].bias_ps);
    }
    d.graph = true;
    ck_assert_int_eq(device_model_ps(&d, &s.p, s.plan, relu), 400000 + 2000);
    d.graph_gap_ps = 700;
    ck_assert_int_eq(device_model_ps(&d, &s.p, s.plan, relu), 400000 + 700);
    program_finish(&s.p);
}
END_TEST

// The largest products of SimuMax's table, in bf16 on A100 PCIe: as measured, within 6 %.
START_TEST(large_products_on_a_built_in_device_take_what_was_measured) {
    static const struct {
        int64_t rows, columns, depth;
        double reached;
    } rows[] = {{4096, 28672, 8192, 0.747788},
                {4096, 4096, 8192, 0.744704},
                {33024, 4096, 7168, 0.750614},
                {4096, 1024, 8192, 0.488206}};
    Arena a = {0};
    Machine m;
    ck_assert_ok(machine_read(&m, &a, "pcie-8"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Setup s;
        int64_t ps, flops_per_s = m.device.flops_per_s[DTYPE_BF16];
        setup(&s);
        tensor(&s, "x", SHAPE(rows[i].rows, rows[i].depth));
        tensor(&s, "w", SHAPE(rows[i].columns, rows[i].depth));
        tensor(&s, "y", SHAPE(rows[i].rows, rows[i].columns));
        const Op *op = add(&s, KIND_LINEAR, NULL, "y", "x w");
        ck_assert(
            kernel_model_arithmetic_ps(&ps, &m.device.kernels, &s.p, s.plan, op, flops_per_s));
        double reached =
            (double)op_work(&s.p, op)->flops / ((double)flops_per_s * (double)ps * 1e-12);
        ck_assert_close(reached / rows[i].reached, 1, 0.06);
        program_finish(&s.p);
    }
    arena_finish(&a);
}
END_TEST

#define MACHINE(keys)                                                                           \
    "tandem: machine 1\nname: x\ndevices: 1\ndevice: {name: d, flops: {f32: 1T}, memory: 1GB, " \
    "memory_bandwidth: 1GB/s, " keys "}\n"
#define TILE "{rows: 64, columns: 64, reached: 0.5, fill: 1us}"

START_TEST(what_is_wrong_about_kernels_is_named) {
    machine_refused(MACHINE("products: {most: 0.7, tiles: [" TILE "]}"), "units: 108");
    machine_refused(MACHINE("units: 0"), "units");
    machine_refused(MACHINE("slowed: {products: 0.9}"), "products");
    machine_refused(MACHINE("slowed: {product: 1.1}"), "product");
    machine_refused(MACHINE("units: 8, products: {most: 0.7, tiles: []}"), "expected 1 to 8");
    machine_refused(MACHINE("units: 8, products: {most: 0, tiles: [" TILE "]}"), "most");
    machine_refused(MACHINE("units: 8, products: {most: 1, tiles: [{rows: 64}]}"), "columns");
    machine_refused(
        MACHINE("units: 8, attention: {rows: 64, reached: 0.5, backward: 0.5, fill: 2s}"),
        "at most 1s");
    machine_refused(MACHINE("reached: {memory: {}}"), "expected 1 to 12 sizes");
    machine_refused(MACHINE("reached: {memory: {much: 0.5}}"), "expected sizes, such as 1MiB");
    machine_refused(MACHINE("reached: {memory: {1MiB: 0.5, 1KiB: 0.1}}"), "sizes that rise");
    machine_refused(MACHINE("reached: {memory: {1MiB: 0.1, 2MiB: 0.9}}"),
                    "2MiB would take less time than the size before");
    machine_refused(MACHINE("reached: {kinds: {gelo: 0.5}}"), "such as layer_norm, found gelo");
    machine_refused(MACHINE("reached: {kinds: {gelu: 2}}"), "gelu");
    machine_refused(MACHINE("units: 8, products: {most: 1, odd: 2, tiles: [" TILE "]}"), "odd");
}
END_TEST

SUITE("kernel_model", products_have_the_shape_that_kernels_compute,
      unfused_attention_is_one_product_of_each_head_or_two, a_product_takes_whole_waves_of_tiles,
      attention_takes_waves_of_blocks_of_queries, products_of_unaligned_features_reach_less,
      memory_reaches_its_rate_with_enough_bytes, kinds_and_biases_take_what_their_kernels_do,
      large_products_on_a_built_in_device_take_what_was_measured,
      what_is_wrong_about_kernels_is_named)
