// SPDX-License-Identifier: MIT
// Options of steps that differ (programs/sim_noise.h).
#include "programs/sim_noise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Status sim_noise_read(Sim *s) {
    const SimOptions *o = s->o;
    char *end;
    s->apart = o->jitter && !strcmp(o->jitter, "apart");
    s->draws = s->apart || (o->jitter && !strcmp(o->jitter, "recorded"));
    if (o->jitter && !s->draws) {
        s->jitter = strtod(o->jitter, &end);
        if (end == o->jitter || *end || !(s->jitter >= 0 && s->jitter <= 1))
            FAIL(ERR_USAGE, "--jitter %s: expected a number from 0 to 1, or recorded, or apart",
                 o->jitter);
    }
    if (o->steps && !s->draws && !(s->jitter > 0))
        FAIL(ERR_USAGE,
             "--steps %lld: steps differ only with --jitter; give it, or leave --steps "
             "out",
             (long long)o->steps);
    return OK;
}

bool sim_noise_suits_replay(const Sim *s, const Option *o) {
    static const char *const of_draws[] = {"jitter", "steps", "seed"};
    for (int i = 0; i < 3 && s->draws; i++)
        if (!strcmp(o->name, of_draws[i])) return true;
    return false;
}

// A straggler that no row has is a slip; rows with fewer devices go without it.
static Status check_stragglers(const Sim *s) {
    const Noise *n = &s->setting.noise;
    int64_t most = 0;
    for (int i = 0; i < s->sizes.count; i++)
        if (s->sizes.items[i] > most) most = s->sizes.items[i];
    for (int i = 0; i < n->straggler_count; i++)
        if (n->stragglers[i].rank >= most)
            FAIL(ERR_USAGE, "--straggler %s: there are ranks 0 to %lld", s->o->straggler,
                 (long long)most - 1);
    return OK;
}

Status sim_noise_choose(Sim *s) {
    if (s->draws && (!s->recorded || s->setting.devices))
        FAIL(ERR_USAGE,
             "--jitter %s draws steps of a recorded run, for ranks of its host: give --trace DIR; "
             "for devices a number, such as 0.1",
             s->o->jitter);
    s->step_draws = (StepDraws){(uint64_t)s->job.spec.seed, s->apart, (int)s->o->steps};
    s->setting.draws = s->draws ? &s->step_draws : NULL;
    s->setting.noise = (Noise){.variation = (int32_t)llround(s->jitter * NOISE_UNIT),
                               .seed = (uint64_t)s->job.spec.seed};
    s->setting.steps = (int)s->o->steps;
    if (!s->o->straggler) return OK;
    TRY(noise_parse_stragglers(&s->setting.noise, s->arena, s->o->straggler));
    return check_stragglers(s);
}

Status sim_noise_describe(RunSetting *settings, int *count, const Sim *s) {
    char *jitter = arena_push(s->arena, UNITS_TEXT);
    if (!jitter) FAIL(ERR_MEMORY, "out of memory");
    snprintf(jitter, UNITS_TEXT, "%g", s->jitter);
    *count = 0;
    if (s->o->straggler) settings[(*count)++] = (RunSetting){"straggler", s->o->straggler};
    if (s->jitter > 0 || s->draws)
        settings[(*count)++] = (RunSetting){"jitter", s->draws ? s->o->jitter : jitter};
    return OK;
}
