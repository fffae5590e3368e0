// SPDX-License-Identifier: MIT
#include "tests/support/gradient.h"

static const double step = 0x1p-17, TOLERANCE = 1e-8;

int gradient_tensor(const Case *c, const char *name) {
    int t = program_find_tensor(&c->p, name);
    ck_assert_msg(t != NONE, "no tensor %s", name);
    return t;
}

// How much L = sum of weights[i] y[i] changes when x moves from one place to the other.
static double difference(const Case *c, int y, const double *weights, const Values *from,
                         const Values *to) {
    double sum = 0;
    for (int64_t i = 0; i < case_elements(c, y); i++)
        sum += weights[i] * (to->of[y][i] - from->of[y][i]);
    return sum;
}

void gradient_check(Case *c, const Device *d, const char *x_name, const char *dx_name,
                    const char *y_name, const double *weights) {
    int x = gradient_tensor(c, x_name), dx = gradient_tensor(c, dx_name),
        y = gradient_tensor(c, y_name);
    int64_t n = case_elements(c, x);
    Values analytic = case_run(c, d, (CaseRun){.junk = JUNK_NAN});
    double *numeric = ARENA_NEW(&c->arena, double, n + 1), largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double at = c->before[x][i];
        c->before[x][i] = at - step;
        Values left = case_run(c, d, (CaseRun){.junk = JUNK_NAN});
        c->before[x][i] = at + step;
        Values right = case_run(c, d, (CaseRun){.junk = JUNK_NAN});
        c->before[x][i] = at;
        numeric[i] = difference(c, y, weights, &left, &right) / (2 * step);
        largest = fmax(largest, fabs(numeric[i]));
    }
    ck_assert_msg(largest > 0, "%s %s: %s has no gradient", d->name, c->text, x_name);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(analytic.of[dx][i] - numeric[i]) <= TOLERANCE * largest))
            ck_abort_msg("%s %s: d%s[%lld] is %.15g, the difference gives %.15g", d->name, c->text,
                         x_name, (long long)i, analytic.of[dx][i], numeric[i]);
}
