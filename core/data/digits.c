// SPDX-License-Identifier: MIT
// A digit is drawn as a person would: choose a form, a slant, a size and a pen, and be inexact.
//   1. glyph: strokes through control points in a box of 100 x 100, each point a little off;
//   2. flatten: Catmull-Rom curves through the points, as short segments;
//   3. place: shear, scale, rotate, shift, then bend by a smooth random displacement field (the
//      elastic distortion of Simard, Steinkraus and Platt, ICDAR 2003, applied to the pen's path);
//   4. ink: each pixel is covered by how far it lies from the nearest segment; add a little noise.
// Fixed point: control points in 1/64 of a box unit, positions in 1/256 pixel, factors in 1/65536.
// Divisions, not shifts: C defines how they round negative numbers.
#include "core/data/digits.h"

#include "core/base/rng.h"

#include <stdbool.h>
#include <string.h>

enum {
    SIDE = DIGITS_SIDE,
    PIXELS = SIDE * SIDE,
    FINE = 64,       // of a box unit
    SUB = 256,       // of a pixel
    ONE = 65536,     // of a factor
    PIECES = 6,      // straight segments per curve
    CELL = 8 * SUB,  // between knots of the displacement field
    KNOTS = 5,
};

// How one sample is written: what is usual, and half-widths of the uniform ranges around it.
enum {
    SIZE = ONE * 78 / 100,  // 19.5 pixels for the box
    RADIUS = SUB,           // half the width of the pen
    INK = 225,
    VARY_POINT = 3 * FINE,  // each control point
    VARY_TURN = 26,         // tangent of half the angle, in 1/256: 11.6 degrees
    VARY_SIZE = ONE * 12 / 100,
    VARY_ASPECT = ONE * 12 / 100,
    VARY_SHEAR = ONE * 35 / 100,
    VARY_SHIFT = 9 * SUB / 4,
    VARY_BEND = 3 * SUB / 2,
    VARY_RADIUS = SUB * 40 / 100,
    VARY_INK = 30,
    NOISE = 8,  // a random byte is divided by this
};

typedef struct {
    int32_t x, y;
} Point;

// The ways to write each digit: strokes, y down. UP lifts the pen; a point given twice is a corner;
// {0, 0} ends the glyph.
enum { WAYS = 3 };
enum { POINTS = 16 };  // of the longest glyph, its end included
typedef struct {
    int8_t x, y;
} Control;
// clang-format off
#define UP {-1, -1}
static const Control glyphs[DIGITS_CLASSES][WAYS][POINTS] = {
    // 0: closed; begun at the top right, overshooting
    {{{50, 5}, {28, 18}, {20, 50}, {29, 83}, {50, 95}, {71, 82}, {80, 50}, {72, 18}, {50, 5}},
     {{66, 14}, {44, 6}, {25, 27}, {22, 62}, {38, 93}, {63, 87}, {78, 57}, {73, 22}, {52, 8},
      {38, 12}}},
    // 1: a bar; with a flag; with a flag and a foot
    {{{52, 5}, {50, 50}, {48, 95}},
     {{37, 29}, {54, 5}, {54, 5}, {52, 50}, {51, 95}},
     {{37, 28}, {53, 6}, {53, 6}, {52, 50}, {52, 94}, UP, {30, 94}, {74, 94}}},
    // 2: straight foot; looped foot; angular
    {{{23, 27}, {33, 10}, {53, 5}, {73, 16}, {73, 38}, {52, 64}, {22, 93}, {22, 93}, {80, 92}},
     {{24, 24}, {45, 6}, {70, 18}, {66, 46}, {42, 74}, {26, 90}, {22, 80}, {36, 77}, {58, 90},
      {82, 88}},
     {{25, 14}, {55, 6}, {75, 24}, {56, 56}, {25, 92}, {25, 92}, {50, 87}, {79, 93}}},
    // 3: round; with a flat top
    {{{25, 16}, {48, 5}, {71, 17}, {68, 38}, {44, 48}, {44, 48}, {70, 56}, {77, 76}, {56, 94},
      {22, 84}},
     {{25, 8}, {74, 8}, {74, 8}, {46, 42}, {46, 42}, {70, 50}, {78, 71}, {60, 92}, {36, 94},
      {21, 84}}},
    // 4: open; closed; with the bar first
    {{{32, 8}, {24, 38}, {22, 57}, {22, 57}, {82, 56}, UP, {66, 20}, {64, 60}, {62, 95}},
     {{60, 95}, {62, 50}, {64, 6}, {64, 6}, {40, 38}, {18, 66}, {18, 66}, {84, 66}},
     {{26, 10}, {25, 34}, {36, 50}, {58, 50}, {72, 42}, UP, {75, 8}, {71, 50}, {68, 95}}},
    // 5: with a separate bar; in one stroke
    {{{33, 8}, {28, 44}, {28, 44}, {52, 38}, {75, 52}, {75, 77}, {54, 94}, {24, 86}, UP, {33, 8},
      {76, 8}},
     {{76, 10}, {38, 10}, {38, 10}, {30, 40}, {56, 46}, {74, 66}, {62, 90}, {36, 94}, {22, 84}}},
    // 6: curved; with a straight back
    {{{66, 8}, {40, 26}, {25, 56}, {29, 85}, {52, 95}, {74, 82}, {72, 60}, {50, 52}, {28, 66}},
     {{52, 5}, {32, 40}, {24, 70}, {40, 93}, {66, 90}, {74, 70}, {58, 57}, {36, 62}, {26, 76}}},
    // 7: plain; curved; with a bar through
    {{{22, 10}, {78, 9}, {78, 9}, {58, 46}, {42, 95}},
     {{22, 20}, {26, 10}, {26, 10}, {54, 13}, {78, 8}, {78, 8}, {56, 44}, {48, 95}},
     {{22, 10}, {77, 10}, {77, 10}, {56, 50}, {44, 94}, UP, {36, 52}, {74, 49}}},
    // 8: in one stroke; two rings
    {{{70, 18}, {50, 5}, {30, 18}, {38, 40}, {62, 56}, {74, 76}, {52, 95}, {28, 78}, {38, 57},
      {62, 40}, {70, 18}},
     {{50, 6}, {31, 18}, {34, 38}, {50, 46}, {67, 37}, {69, 18}, {50, 6}, UP, {50, 46}, {28, 58},
      {26, 80}, {50, 95}, {74, 80}, {72, 58}, {50, 46}}},
    // 9: straight back; curved; hooked
    {{{72, 26}, {56, 8}, {34, 12}, {26, 34}, {42, 50}, {64, 42}, {72, 26}, {72, 26}, {70, 60},
      {67, 95}},
     {{74, 34}, {66, 10}, {42, 6}, {26, 24}, {32, 46}, {56, 50}, {73, 32}, {74, 32}, {68, 66},
      {48, 95}},
     {{70, 24}, {48, 6}, {28, 22}, {36, 45}, {60, 42}, {71, 22}, {71, 22}, {74, 60}, {60, 90},
      {32, 90}}},
};
// clang-format on

// How one sample is written.
typedef struct {
    int32_t size_x, size_y, shear, cosine, sine, shift_x, shift_y;
    Point bend[KNOTS][KNOTS];
    int32_t radius, ink;
} Hand;

static int32_t lesser(int32_t a, int32_t b) { return a < b ? a : b; }
static int32_t greater(int32_t a, int32_t b) { return a > b ? a : b; }

// Uniform in [-most, most].
static int32_t vary(Rng *r, int32_t most) {
    return (int32_t)rng_below(r, 2 * (uint32_t)most + 1) - most;
}

// x first: an initialiser would leave the order to the compiler.
static Point vary_point(Rng *r, int32_t most) {
    Point p;
    p.x = vary(r, most);
    p.y = vary(r, most);
    return p;
}

static int32_t times(int32_t a, int32_t b) { return (int32_t)((int64_t)a * b / ONE); }

// The rotation with tan(angle / 2) = n / 256 has rational sine and cosine.
static void hand_turn(Hand *h, int32_t n) {
    int64_t one = 256 * 256 + n * n;
    h->cosine = (int32_t)((256 * 256 - n * n) * (int64_t)ONE / one);
    h->sine = (int32_t)(2 * 256 * n * (int64_t)ONE / one);
}

static void hand_init(Hand *h, Rng *r) {
    int32_t size = SIZE + vary(r, VARY_SIZE), aspect = vary(r, VARY_ASPECT);
    h->size_x = size - aspect;
    h->size_y = size + aspect;
    h->shear = vary(r, VARY_SHEAR);
    hand_turn(h, vary(r, VARY_TURN));
    h->shift_x = SIDE * SUB / 2 + vary(r, VARY_SHIFT);
    h->shift_y = SIDE * SUB / 2 + vary(r, VARY_SHIFT);
    for (int i = 0; i < KNOTS; i++)
        for (int j = 0; j < KNOTS; j++) h->bend[i][j] = vary_point(r, VARY_BEND);
    h->radius = RADIUS + vary(r, VARY_RADIUS);
    h->ink = INK + vary(r, VARY_INK);
}

// Knot below a coordinate, and how far past it: smoothstep 3t^2 - 2t^3 makes the field smooth.
static int32_t cell_of(int32_t at, int32_t *weight) {
    int32_t inside = lesser(greater(at, 0), SIDE * SUB - 1);
    int64_t t = inside % CELL;
    *weight = (int32_t)(t * t * (3 * CELL - 2 * t) / ((int64_t)CELL * CELL * CELL / ONE));
    return inside / CELL;
}

static int32_t mix(int32_t a, int32_t b, int32_t weight) { return a + times(b - a, weight); }

static Point hand_bend(const Hand *h, Point p) {
    int32_t wx, wy, j = cell_of(p.x, &wx), i = cell_of(p.y, &wy);
    const Point *above = &h->bend[i][j], *below = &h->bend[i + 1][j];
    p.x += mix(mix(above[0].x, above[1].x, wx), mix(below[0].x, below[1].x, wx), wy);
    p.y += mix(mix(above[0].y, above[1].y, wx), mix(below[0].y, below[1].y, wx), wy);
    return p;
}

static Point hand_place(const Hand *h, Point p) {
    int32_t x = times(h->size_x, p.x) - times(h->shear, times(h->size_y, p.y));
    int32_t y = times(h->size_y, p.y);
    Point turned = {times(h->cosine, x) - times(h->sine, y) + h->shift_x,
                    times(h->sine, x) + times(h->cosine, y) + h->shift_y};
    return hand_bend(h, turned);
}

static int32_t pixel_at(int32_t at) { return lesser(greater(at, 0) / SUB, SIDE - 1); }

// Squared distance of p from the segment a b, in (1/256 pixel)^2.
static int64_t segment_distance(Point a, Point b, Point p) {
    int64_t dx = b.x - a.x, dy = b.y - a.y, ax = p.x - a.x, ay = p.y - a.y;
    int64_t along = ax * dx + ay * dy, length = dx * dx + dy * dy;
    if (along <= 0) return ax * ax + ay * ay;
    if (along >= length) return (ax - dx) * (ax - dx) + (ay - dy) * (ay - dy);
    int64_t cross = dx * ay - dy * ax;
    return cross * cross / length;
}

// Lower near[] (squared distance of each pixel's centre from the path) within `reach` of a segment.
static void path_segment(int32_t *near, Point a, Point b, int32_t reach) {
    int32_t x0 = pixel_at(lesser(a.x, b.x) - reach), x1 = pixel_at(greater(a.x, b.x) + reach);
    int32_t y0 = pixel_at(lesser(a.y, b.y) - reach), y1 = pixel_at(greater(a.y, b.y) + reach);
    for (int32_t y = y0; y <= y1; y++)
        for (int32_t x = x0; x <= x1; x++) {
            Point centre = {x * SUB + SUB / 2, y * SUB + SUB / 2};
            int64_t d = segment_distance(a, b, centre);
            if (d < near[y * SIDE + x]) near[y * SIDE + x] = (int32_t)d;
        }
}

// One coordinate of the Catmull-Rom curve from b to c, at n / PIECES of the way.
static int32_t curve(int32_t a, int32_t b, int32_t c, int32_t d, int32_t n) {
    const int32_t n2 = n * n, n3 = n2 * n, one = PIECES, one2 = one * one, one3 = one2 * one;
    return (2 * b * one3 + (c - a) * n * one2 + (2 * a - 5 * b + 4 * c - d) * n2 * one +
            (3 * b - a - 3 * c + d) * n3) /
           (2 * one3);
}

static void path_stroke(int32_t *near, const Hand *h, const Point *p, int count, int32_t reach) {
    for (int i = 0; i + 1 < count; i++) {
        Point b = p[i], c = p[i + 1];
        if (b.x == c.x && b.y == c.y) continue;
        Point a = p[i > 0 ? i - 1 : i], d = p[i + 2 < count ? i + 2 : i + 1];
        Point from = hand_place(h, b);
        for (int n = 1; n <= PIECES; n++) {
            Point on = {curve(a.x, b.x, c.x, d.x, n), curve(a.y, b.y, c.y, d.y, n)};
            Point to = hand_place(h, on);
            path_segment(near, from, to, reach);
            from = to;
        }
    }
}

// Every stroke of a glyph, its points a little off; those of a corner stay together.
static void path_glyph(int32_t *near, const Hand *h, Rng *r, const Control *g, int32_t reach) {
    Point stroke[POINTS], off = {0, 0};
    int count = 0;
    for (int i = 0; i < POINTS && g[i].x != 0; i++) {
        if (g[i].x < 0) {
            path_stroke(near, h, stroke, count, reach);
            count = 0;
            continue;
        }
        bool corner = count > 0 && g[i].x == g[i - 1].x && g[i].y == g[i - 1].y;
        if (!corner) off = vary_point(r, VARY_POINT);
        stroke[count++] = (Point){(g[i].x - 50) * FINE + off.x, (g[i].y - 50) * FINE + off.y};
    }
    path_stroke(near, h, stroke, count, reach);
}

static int32_t square_root(int32_t n) {
    int32_t root = 0;
    for (int32_t bit = 1 << 14; bit; bit /= 2)
        if ((root + bit) * (root + bit) <= n) root += bit;
    return root;
}

// Ink where the path is near, a little noise everywhere.
static void ink(uint8_t *image, const int32_t *near, const Hand *h, Rng *r, int32_t reach) {
    uint32_t noise = 0;
    for (int i = 0; i < PIXELS; i++) {
        noise = i % 4 ? noise >> 8 : rng_u32(r);
        int32_t covered = near[i] < reach * reach ? lesser(reach - square_root(near[i]), SUB) : 0;
        int32_t value = h->ink * covered / SUB + ((int32_t)(noise & 255) - 128) / NOISE;
        image[i] = (uint8_t)lesser(greater(value, 0), 255);
    }
}

void digits_draw(uint8_t *image, uint64_t seed, uint32_t index) {
    Rng r;
    Hand hand;
    rng_init(&r, seed, RNG_DIGITS, index, 0);
    hand_init(&hand, &r);
    const Control(*glyph)[POINTS] = glyphs[digits_label(index)];
    uint32_t ways = 0;
    while (ways < WAYS && glyph[ways][0].x) ways++;
    uint32_t way = rng_below(&r, ways);

    int32_t near[PIXELS], reach = hand.radius + SUB / 2;
    for (int i = 0; i < PIXELS; i++) near[i] = reach * reach;
    path_glyph(near, &hand, &r, glyph[way], reach);
    ink(image, near, &hand, &r, reach);
}

Dataset digits_describe(int64_t count) {
    const DatasetPart part = {.count = count, .image_step = PIXELS, .label_step = 1};
    Dataset d = {.channels = 1, .height = SIDE, .width = SIDE};
    dataset_add(&d, &part);
    return d;
}

enum { TOLD_EVERY = 4096 };  // digits, some tens of milliseconds

Status digits_make(Dataset *out, Arena *a, int64_t count, uint64_t seed,
                   const DatasetProgress *progress) {
    uint8_t *images = ARENA_NEW(a, uint8_t, count * PIXELS), *labels = ARENA_NEW(a, uint8_t, count);
    if (!images || !labels)
        FAIL(ERR_MEMORY, "digits: out of memory for %lld images", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        digits_draw(images + i * PIXELS, seed, (uint32_t)i);
        labels[i] = digits_label((uint32_t)i);
        if (progress && progress->call && (i + 1) % TOLD_EVERY == 0)
            progress->call(progress->context, i + 1, count);
    }
    *out = digits_describe(count);
    out->parts[0].images = images;
    out->parts[0].labels = labels;
    return OK;
}
