// SPDX-License-Identifier: MIT
// Small figures in SVG. Every part has its words beside it, so that they need no colours.
#include "core/report/report_internal.h"

#include <math.h>

#define INK "#222"
#define BLUE "#0072b2"
#define FAINT "#ddd"

static void begin_svg(FILE *out, int width, int height, const char *label) {
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "role=\"img\" aria-label=\"%s\" font-family=\"sans-serif\" font-size=\"13\" "
            "fill=\"" INK "\">\n",
            width, height, width, label);
}

static void end_svg(FILE *out) { fputs("</svg>\n", out); }

// One bar a line, all from zero.
void report_svg_breakdown(const Report *r, FILE *out) {
    enum { WIDTH = 640, LEFT = 110 };
    enum { ROW = 22, BAR = 430 };
    double most = 0;
    for (int b = 0; b < TIME_COUNT; b++) most = fmax(most, r->breakdown_ms[b]);
    begin_svg(out, WIDTH, TIME_COUNT * ROW + 4, "Where a step goes");
    for (int b = 0; b < TIME_COUNT; b++) {
        double ms = r->breakdown_ms[b], length = most > 0 ? ms / most * BAR : 0;
        int y = b * ROW + 4;
        fprintf(out,
                "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>"
                "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"" BLUE "\"/>"
                "<text x=\"%.1f\" y=\"%d\">%.3f ms</text>\n",
                LEFT - 8, y + 13, time_category_name((TimeCategory)b), LEFT, y, length, ROW - 6,
                LEFT + length + 8, y + 13, ms);
    }
    end_svg(out);
}

// The losses of the steps that fall into one column of pixels.
typedef struct {
    double mean, low, high;  // NaN when a loss is not finite
} Summary;

static Summary summarise(const double *loss, int count) {
    Summary s = {0, loss[0], loss[0]};
    for (int i = 0; i < count; i++) {
        s.mean += loss[i] / count;
        s.low = fmin(s.low, loss[i]);
        s.high = fmax(s.high, loss[i]);
    }
    return s;
}

enum {
    PLOT_LEFT = 60,
    PLOT_TOP = 10,
    PLOT_WIDTH = 560,
    PLOT_HEIGHT = 200,
    PLOT_COLUMNS = 280,
};

typedef struct {
    Summary column[PLOT_COLUMNS];
    int columns;
    double top;  // value at the upper edge; the lower edge is 0
} Curve;

static double x_of(const Curve *c, int i) {
    return PLOT_LEFT + PLOT_WIDTH * (i + 0.5) / c->columns;
}
static double y_of(const Curve *c, double value) {
    return PLOT_TOP + PLOT_HEIGHT * (1 - value / c->top);
}

// The smallest 1, 2 or 5 times a power of ten that is at least `value`.
static double round_up(double value) {
    double power = pow(10, floor(log10(value)));
    static const double steps[] = {1, 2, 5};
    for (int i = 0; i < 3; i++)
        if (steps[i] * power >= value) return steps[i] * power;
    return 10 * power;
}

static void plot_grid(const Curve *c, double tick, int steps, FILE *out) {
    for (int i = 0; i * tick <= c->top * 1.0001; i++) {
        double y = y_of(c, i * tick);
        fprintf(out,
                "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"" FAINT "\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                PLOT_LEFT, PLOT_LEFT + PLOT_WIDTH, y, y, PLOT_LEFT - 8, y + 4, i * tick);
    }
    int below = PLOT_TOP + PLOT_HEIGHT + 18;
    fprintf(out,
            "<text x=\"%d\" y=\"%d\">step 0</text>"
            "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">step %d</text>\n",
            PLOT_LEFT, below, PLOT_LEFT + PLOT_WIDTH, below, steps - 1);
}

// From the lowest to the highest loss of each column, a bar; their means, a line, broken where a
// loss is not finite.
static void plot_curve(const Curve *c, FILE *out) {
    fputs("<path stroke=\"" FAINT "\" stroke-width=\"2\" fill=\"none\" d=\"", out);
    for (int i = 0; i < c->columns; i++)
        if (isfinite(c->column[i].mean))
            fprintf(out, "M%.1f %.1fV%.1f", x_of(c, i), y_of(c, c->column[i].low),
                    y_of(c, c->column[i].high));
    fputs("\"/>\n<path stroke=\"" BLUE "\" stroke-width=\"1.5\" fill=\"none\" d=\"", out);
    bool drawing = false;
    for (int i = 0; i < c->columns; i++) {
        bool finite = isfinite(c->column[i].mean);
        if (finite)
            fprintf(out, "%c%.1f %.1f", drawing ? 'L' : 'M', x_of(c, i),
                    y_of(c, c->column[i].mean));
        drawing = finite;
    }
    fputs("\"/>\n", out);
}

// --- speed-up

// Both axes are logarithmic: equal factors have equal lengths, and the ideal is a straight line.
typedef struct {
    double ranks_least, ranks_span;  // logarithms
    double up_least, up_span;
} LogAxes;

static LogAxes log_axes(const Report *const reports[], int count) {
    const Report *base = reports[0], *last = reports[count - 1];
    double ideal = log((double)last->run.ranks / base->run.ranks), least = 0, most = ideal;
    for (int i = 0; i < count; i++) {
        double up = log(reports[i]->samples_per_s.median / base->samples_per_s.median);
        if (!isfinite(up)) continue;
        least = fmin(least, up);
        most = fmax(most, up);
    }
    return (LogAxes){log(base->run.ranks), ideal > 0 ? ideal : 1, least,
                     most > least ? most - least : 1};
}

static double log_x(const LogAxes *a, double ranks) {
    return PLOT_LEFT + 20 + (PLOT_WIDTH - 80) * (log(ranks) - a->ranks_least) / a->ranks_span;
}

static double log_y(const LogAxes *a, double up) {
    return PLOT_TOP + 20 + (PLOT_HEIGHT - 20) * (1 - (log(up) - a->up_least) / a->up_span);
}

static void plot_ideal(const LogAxes *a, const Report *base, const Report *last, FILE *out) {
    double ideal = (double)last->run.ranks / base->run.ranks;
    fprintf(out,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#777\" "
            "stroke-dasharray=\"3 4\"/><text x=\"%.1f\" y=\"%.1f\" fill=\"#777\">ideal</text>\n",
            log_x(a, base->run.ranks), log_y(a, 1), log_x(a, last->run.ranks), log_y(a, ideal),
            log_x(a, last->run.ranks) + 10, log_y(a, ideal) + 4);
}

// Each point with its speed-up beside it, and the number of ranks at the foot.
void report_svg_scaling(const Report *const reports[], int count, FILE *out) {
    const Report *base = reports[0];
    const LogAxes a = log_axes(reports, count);
    int foot = PLOT_TOP + PLOT_HEIGHT + 40;
    begin_svg(out, PLOT_LEFT + PLOT_WIDTH + 20, foot + 26, "Speed-up against the number of ranks");
    plot_ideal(&a, base, reports[count - 1], out);
    fputs("<path stroke=\"" BLUE "\" stroke-width=\"1.5\" fill=\"none\" d=\"", out);
    for (int i = 0; i < count; i++)
        fprintf(out, "%c%.1f %.1f", i ? 'L' : 'M', log_x(&a, reports[i]->run.ranks),
                log_y(&a, reports[i]->samples_per_s.median / base->samples_per_s.median));
    fputs("\"/>\n", out);
    for (int i = 0; i < count; i++) {
        double up = reports[i]->samples_per_s.median / base->samples_per_s.median;
        double x = log_x(&a, reports[i]->run.ranks), y = log_y(&a, up);
        fprintf(out,
                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"" BLUE "\"/>"
                "<text x=\"%.1f\" y=\"%.1f\">%.2fx</text>"
                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n",
                x, y, x + 8, y + 16, up, x, foot, reports[i]->run.ranks);
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%ss (log scale)</text>\n",
            PLOT_LEFT + PLOT_WIDTH / 2, foot + 20, report_rank_word(base));
    fprintf(out, "<text x=\"4\" y=\"%d\">speed-up (log scale)</text>\n", PLOT_TOP + 6);
    end_svg(out);
}

// --- loss

void report_svg_loss(const Report *r, FILE *out) {
    Curve c = {.columns = r->loss_count < PLOT_COLUMNS ? r->loss_count : PLOT_COLUMNS};
    double highest = 0;
    for (int i = 0; i < c.columns; i++) {
        int first = (int)((int64_t)i * r->loss_count / c.columns);
        int end = (int)((int64_t)(i + 1) * r->loss_count / c.columns);
        c.column[i] = summarise(r->loss + first, end - first);
        if (isfinite(c.column[i].mean)) highest = fmax(highest, c.column[i].high);
    }
    double tick = round_up(highest > 0 ? highest / 4 : 0.25);
    c.top = ceil(fmax(highest, tick) / tick) * tick;
    begin_svg(out, PLOT_LEFT + PLOT_WIDTH + 10, PLOT_TOP + PLOT_HEIGHT + 26,
              "Training loss per step");
    plot_grid(&c, tick, r->loss_count, out);
    plot_curve(&c, out);
    end_svg(out);
    if (c.columns < r->loss_count)
        fputs("<p>The line is the mean of the steps that share a column, the grey bars reach from "
              "their lowest loss to their highest.</p>\n",
              out);
}
