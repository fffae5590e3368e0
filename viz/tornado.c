// SPDX-License-Identifier: MIT
// By how much a step changes with each number of a platform. Read write_figure().
#include "viz/tornado.h"

#include "viz/figures_internal.h"

#include <math.h>

// Smaller changes are rounding, and make no bar.
static const double smallest = 5e-5;

typedef struct {
    const Tornado *all;
    const TornadoBar *bars[TORNADO_BARS];
    int count, others;
    double most;  // the largest change, in %
} Shown;

static double change(const Tornado *t, double ms) {
    return 100 * (ms / t->run->step_ms.median - 1);
}

static double largest(const Tornado *t, const TornadoBar *b) {
    return fmax(fabs(change(t, b->less_ms)), fabs(change(t, b->more_ms)));
}

// The largest first; of equal ones in the order given. One that finds no room drops out.
static void choose(Shown *s, const Tornado *t) {
    *s = (Shown){.all = t};
    for (int i = 0; i < t->count; i++) {
        double size = largest(t, &t->bars[i]);
        int at = s->count;
        if (!(size >= 100 * smallest)) continue;
        while (at > 0 && largest(t, s->bars[at - 1]) < size) at--;
        if (at == TORNADO_BARS) continue;
        if (s->count < TORNADO_BARS) s->count++;
        for (int k = s->count - 1; k > at; k--) s->bars[k] = s->bars[k - 1];
        s->bars[at] = &t->bars[i];
        s->most = fmax(s->most, size);
    }
    s->others = t->count - s->count;
}

// The bars of one side: on the number's line, or one beside the other where both do not reach to
// different sides of the middle.
static void write_side(Figure *f, const Shown *s, bool more) {
    figure_block(f, more ? "10 % more" : "10 % less");
    for (int i = 0; i < s->count; i++) {
        const TornadoBar *b = s->bars[i];
        double less = change(s->all, b->less_ms), own = more ? change(s->all, b->more_ms) : less;
        bool beside = less * change(s->all, b->more_ms) >= 0;
        int line = s->count - 1 - i;
        fprintf(f->data.stream, "%d\t%s\t%s\t%g\t%g\t%.10g\t%.6g\n", line, b->name, b->value,
                line + (beside ? more ? -0.19 : 0.19 : 0), beside ? 0.19 : 0.36,
                more ? b->more_ms : b->less_ms, own);
    }
}

static void write_caption(Figure *f, const Shown *s) {
    char ms[CAPTION_MS];
    FILE *out = f->caption.stream;
    const Report *run = s->all->run;
    caption_job(out, f->options, run);
    fprintf(out,
            "Base: %s a step. Bars: the step simulated again with one number 10 %% less, and "
            "10 %% more, and all others as they are; no spread, since nothing is random.",
            caption_ms(ms, run->step_ms.median, 5));
    if (s->others)
        fprintf(out, " Not shown: %d number%s of smaller effect.", s->others,
                s->others == 1 ? "" : "s");
}

static Status add_facts(Figure *f, const Shown *s) {
    json_t *base = json_object();
    int failed = json_object_set_new(base, "ranks", json_integer(s->all->run->run.ranks));
    failed |= json_object_set_new(base, "kind", json_string("simulated"));
    failed |= json_object_set_new(base, "step_ms", json_number(s->all->run->step_ms.median));
    failed |= json_object_set_new(f->facts, "base", base);
    if (failed) FAIL(ERR_MEMORY, "no memory for the figure %s", f->name);
    return OK;
}

static Status write_figure(Figure *f, const void *data) {
    const Shown *s = data;
    TRY(figure_open(f, "line\tnumber\tnow\tposition\thalf height\tstep (ms)\tchange (%)"));
    write_side(f, s, false);
    write_side(f, s, true);
    figure_set(f, "BARS", s->count);
    figure_set(f, "MOST", s->most);
    figure_set_text(f, "TITLE", "What a step of %s depends on", s->all->run->run.model);
    write_caption(f, s);
    return add_facts(f, s);
}

Status figures_tornado(const FigureOptions *o, const Tornado *t, FigureNotes *notes) {
    static const char *const parts[] = {"tornado", NULL};
    Shown shown;
    choose(&shown, t);
    if (!shown.count) {
        figure_note(notes, "tornado is not drawn: no number changes the step by 0.005 %%");
        return OK;
    }
    return figure_make(o, notes,
                       &(FigureForm){.name = "tornado",
                                     .width = 820,
                                     .height = 190 + 26 * shown.count,
                                     .run = t->run,
                                     .write = write_figure,
                                     .data = &shown,
                                     .parts = parts});
}
