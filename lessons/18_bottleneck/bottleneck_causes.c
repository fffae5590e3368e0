// SPDX-License-Identifier: MIT
// Lesson 18's two diagnoses: which fault makes numbers wrong, and which makes steps slow.
#include "lessons/18_bottleneck/bottleneck.h"

#include "core/base/text.h"
#include "lessons/engine/translate.h"

// --- numbers

static void add_number(Page *p, const char *name, double value) {
    enum { NAMES = 44 };
    int gap = NAMES - text_width(name);
    page_line(p, "  %s%*s%.4g", name, gap > 0 ? gap : 0, "", value);
}

void bottleneck_show_numbers(Page *p, const void *state) {
    const Bottleneck *x = state;
    const FaultNumbers *n = &x->numbers;
    page_say(p, _("Measured on %d ranks, and beside it one process with the same %d shards:"),
             FAULT_RANKS, FAULT_RANKS);
    if (n->first_update == 0 && n->refused) page_line(p, "%s", _("  no step was done"));
    if (n->first_update > 0 || !n->refused) {
        add_number(p, _("length of the first update (one process: 1)"), n->first_update);
        add_number(p, _("distance between both first updates"), n->apart);
        add_number(p, _("largest difference between ranks' weights"), n->ranks_apart);
        add_number(p, _("share of epoch 2 in the order of epoch 1"), n->repeated);
    }
    if (n->refused) page_say(p, _("The trainer ended with: %s"), n->refused);
}

static void ask_wrong(Page *p, const void *state) {
    page_say(p, _("Which fault do these numbers show?"));
}

static const char *option_wrong(Page *p, const void *state, int which) {
    return fault_title((FaultKind)(FAULT_SUM + which));
}

static void truth_wrong(Truth *out, const void *state) {
    const Bottleneck *x = state;
    if (x->trained) truth_one(out, FROM_MEASUREMENT, fault_of_numbers(&x->numbers) - FAULT_SUM);
}

static void blame(Answer *out, FaultKind truth, FaultKind first, FaultKind second, FaultKind base) {
    answer_one(out, (truth == first ? second : first) - base);
}

static void blame_rounding(Answer *out, const void *state) {
    const Bottleneck *x = state;
    blame(out, x->wrong.kind, FAULT_DTYPE, FAULT_WEIGHTING, FAULT_SUM);
}
static void blame_scale(Answer *out, const void *state) {
    const Bottleneck *x = state;
    blame(out, x->wrong.kind, FAULT_SUM, FAULT_SHUFFLE, FAULT_SUM);
}
static void blame_replicas(Answer *out, const void *state) {
    const Bottleneck *x = state;
    blame(out, x->wrong.kind, FAULT_BROADCAST, FAULT_STALE, FAULT_SUM);
}

static void reply_rounding(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(
        p,
        _("bf16 has 8 bits: it moves the update by about 1/400 of its length. Wrong weights of "
          "uneven shards move it by a large part. Here it is %s, or no update at all."),
        page_quantity(p, UNIT_SHARE, x->numbers.apart));
}
static void reply_scale(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(p,
             _("A sum over %d ranks makes the update about %d times as long as the mean; the order "
               "of samples leaves the first one as it is. It is %.4g times as long."),
             FAULT_RANKS, FAULT_RANKS, x->numbers.first_update);
}
static void reply_replicas(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(p,
             _("Ranks that began apart stay apart: their weights differ by %.3g here. With stale "
               "gradients the first update is 0: here it is %.4g."),
             x->numbers.ranks_apart, x->numbers.first_update);
}

static void hint_wrong_3(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_line(p, _("  length %.4g, distance %.4g, ranks apart %.3g, repeated %.2g"),
              x->numbers.first_update, x->numbers.apart, x->numbers.ranks_apart,
              x->numbers.repeated);
}

static void explain_wrong(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(p, _("The fault: %s. What fixes it: %s."), fault_title(x->wrong.kind),
             fault_fix(x->wrong.kind));
    page_say(p, _("A run of several ranks that equals one process to the last bit has none of "
                  "these faults: comparing the two after a step finds all of them."));
}

const Question bottleneck_wrong = {
    .id = "wrong_numbers",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, FAULT_STALE},
    .ask = ask_wrong,
    .option = option_wrong,
    .truth = truth_wrong,
    .wrong = {{"it_is_rounding", blame_rounding, {reply_rounding}},
              {"it_is_the_learning_rate", blame_scale, {reply_scale}},
              {"ranks_drift_apart", blame_replicas, {reply_replicas}}},
    .hint = {{.text = N_("Begin with what is not as it is in a run without a fault: length 1, "
                         "distance 0, ranks apart 0, repeated 0.")},
             {.text = N_("  sum: length = ranks   stale: length = 0   bf16: distance = 2^-9")},
             {hint_wrong_3}},
    .explain = {explain_wrong},
};

// --- times

// A name as wide as the others, whatever its letters are.
static void add_row(Page *p, const char *name, const char *healthy, const char *seen) {
    enum { NAMES = 34 };
    int gap = NAMES - text_width(name);
    page_line(p, "  %s%*s%10s %10s", name, gap > 0 ? gap : 0, "", healthy, seen);
}

static void add_ms(Page *p, const char *name, double healthy, double seen) {
    add_row(p, name, page_text(p, "%.3f", healthy), page_text(p, "%.3f", seen));
}

void bottleneck_show_times(Page *p, const void *state) {
    const Bottleneck *x = state;
    const FaultTimes *h = &x->healthy, *s = &x->seen;
    page_say(p,
             _("The second run is right to the last bit, but slow. A step of it beside one without "
               "a fault, in ms, mean over ranks, simulated on the machine laptop. The first four "
               "rows are nearly all of it:"));
    add_row(p, "", _("healthy"), _("slow"));
    add_ms(p, _("computing"), h->compute_ms, s->compute_ms);
    add_ms(p, _("communication that is exposed"), h->exposed_ms, s->exposed_ms);
    add_ms(p, _("waiting for a rank that is late"), h->waiting_ms, s->waiting_ms);
    add_ms(p, _("pipeline bubble"), h->bubble_ms, s->bubble_ms);
    add_ms(p, _("all communication, hidden too"), h->comm_ms, s->comm_ms);
    add_row(p, _("all-reduces in a step"), page_text(p, "%d", h->collectives),
            page_text(p, "%d", s->collectives));
    add_row(p, _("bytes that a rank brings"), page_text(p, "%.0f", h->payload_bytes),
            page_text(p, "%.0f", s->payload_bytes));
}

static void ask_cause(Page *p, const void *state) {
    page_say(p, _("What makes the second run slow?"));
}

static const char *option_cause(Page *p, const void *state, int which) {
    return fault_title((FaultKind)(FAULT_SLOW_RANK + which));
}

static void truth_cause(Truth *out, const void *state) {
    const Bottleneck *x = state;
    truth_one(out, FROM_SIMULATION, fault_of_times(&x->healthy, &x->seen) - FAULT_SLOW_RANK);
}

static void blame_network(Answer *out, const void *state) {
    const Bottleneck *x = state;
    blame(out, x->slow.kind, FAULT_SLOW_LINK, FAULT_BUCKETS, FAULT_SLOW_RANK);
}
static void blame_computing(Answer *out, const void *state) {
    const Bottleneck *x = state;
    blame(out, x->slow.kind, FAULT_SLOW_RANK, FAULT_STAGES, FAULT_SLOW_RANK);
}
static void blame_overlap(Answer *out, const void *state) {
    const Bottleneck *x = state;
    blame(out, x->slow.kind, FAULT_OVERLAP, FAULT_BUCKETS, FAULT_SLOW_RANK);
}

static void reply_network(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(p,
             _("Slow links make the same bytes in the same number of all-reduces take longer: "
               "here %.3g ms, healthy %.3g ms. Small buckets make more all-reduces: %d, healthy "
               "%d. Exposed time alone says nothing of the links."),
             x->seen.comm_ms, x->healthy.comm_ms, x->seen.collectives, x->healthy.collectives);
}
static void reply_computing(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(p,
             _("A rank that computes slowly makes the mean of computing longer: %.4g ms, healthy "
               "%.4g ms. Work that is only divided badly leaves that mean as it is, and makes a "
               "bubble: %.3g ms."),
             x->seen.compute_ms, x->healthy.compute_ms, x->seen.bubble_ms);
}
static void reply_overlap(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(p,
             _("Without overlap all communication is exposed, and takes no longer than in the "
               "healthy run. Here %.3g of %.3g ms are exposed, healthy %.3g of %.3g ms."),
             x->seen.exposed_ms, x->seen.comm_ms, x->healthy.exposed_ms, x->healthy.comm_ms);
}

static void hint_cause_3(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_line(p, _("  computing x %.3g, communication x %.3g, all-reduces x %.3g"),
              x->seen.compute_ms / x->healthy.compute_ms, x->seen.comm_ms / x->healthy.comm_ms,
              (double)x->seen.collectives / x->healthy.collectives);
}

static void explain_cause(Page *p, const void *state) {
    const Bottleneck *x = state;
    page_say(p, _("The fault: %s. What fixes it: %s."), fault_title(x->slow.kind),
             fault_fix(x->slow.kind));
    if (x->slow.kind == FAULT_SLOW_RANK)
        page_say(p,
                 _("It is rank %d. It waits for nobody: the time is lost on the others, inside "
                   "their all-reduces, which look slow and are not."),
                 x->slow.rank);
}

const Question bottleneck_cause = {
    .id = "cause",
    .shape = {ANSWER_CHOICE, UNIT_NUMBER, FAULT_COUNT - FAULT_SLOW_RANK},
    .ask = ask_cause,
    .option = option_cause,
    .truth = truth_cause,
    .wrong = {{"a_long_all_reduce_is_a_slow_network", blame_network, {reply_network}},
              {"who_is_busy_is_guilty", blame_computing, {reply_computing}},
              {"exposed_means_no_overlap", blame_overlap, {reply_overlap}}},
    .hint = {{.text = N_("Which row has grown that no other row explains?")},
             {.text = N_("  communication = all-reduces x latency + bytes / bandwidth")},
             {hint_cause_3}},
    .explain = {explain_cause},
};
