// SPDX-License-Identifier: MIT
// How a search ends: what to try where nothing fits, how far it came where it was interrupted.
#include "core/base/text.h"
#include "core/base/units.h"
#include "programs/advise_print.h"

#include <math.h>
#include <stdio.h>

// What a choice needs: as planned, else its weights and states.
static int64_t bytes_of(AdviseChoice c) {
    const AdviseCandidate *it = &c.of->candidates[c.candidate];
    return it->point == NONE ? it->least_bytes : c.of->points[it->point].memory_bytes;
}

// Of those that do not fit the smallest; planned ones, where there are any.
static AdviseChoice find_nearest(const AdvisePrint *p) {
    AdviseChoice best = {NULL, NONE};
    AdviseFate fate = advise_print_fates(p, ADVISE_MEMORY) ? ADVISE_MEMORY : ADVISE_LEAST;
    for (int k = 0; k < p->count; k++)
        for (int i = 0; i < p->searches[k].count; i++) {
            const AdviseChoice c = {&p->searches[k], i};
            if (p->searches[k].candidates[i].fate != fate) continue;
            if (!best.of || bytes_of(c) < bytes_of(best)) best = c;
        }
    return best;
}

void advise_print_progress(char *out, size_t size, const AdviseProgress *p) {
    snprintf(out, size, "%s %d", p->what, p->done);
    if (p->all) text_append(out, size, " of %d", p->all);
    if (!isnan(p->best_ms)) text_append(out, size, "; best %.5g ms", p->best_ms);
}

static int count_simulated(const AdvisePrint *p) {
    int simulated = 0;
    for (int k = 0; k < p->count; k++) simulated += p->searches[k].simulated;
    return simulated;
}

Status advise_print_interrupted(const AdvisePrint *p) {
    int simulated = count_simulated(p);
    if (!simulated) FAIL(ERR_INTERRUPTED, "interrupted before anything was simulated");
    FAIL(ERR_INTERRUPTED, "interrupted after %d simulation%s of %d combinations%s", simulated,
         simulated == 1 ? "" : "s", advise_print_combinations(p),
         advise_print_best(p).of ? "; the best of these is printed" : "");
}

Status advise_print_end(const AdvisePrint *p) {
    int simulated = count_simulated(p);
    if (advise_print_best(p).of) return OK;
    char all[UNITS_TEXT], least[UNITS_TEXT];
    const AdviseChoice nearest = find_nearest(p);
    units_print_size(all, p->memory_bytes);
    if (!nearest.of)
        FAIL(ERR_USAGE,
             "none of %d combinations is possible (see above); give other degrees, devices or a "
             "--batch that more numbers divide",
             advise_print_combinations(p));
    units_print_size(least, bytes_of(nearest));
    if (!simulated)
        FAIL(ERR_USAGE,
             "none of %d combinations fits: weights and states take %s of %s at least; give more "
             "devices, a larger --memory, or a smaller --batch",
             advise_print_combinations(p), least, all);
    FAIL(
        ERR_USAGE,
        "none of %d combinations that were simulated fits: the smallest takes %s of %s; give more "
        "devices, a larger --memory or a smaller --batch, or fix options, such as --recompute full",
        simulated, least, all);
}
