// SPDX-License-Identifier: MIT
// What --jitter, --straggler and --steps ask for: steps that differ.
#ifndef PROGRAMS_SIM_NOISE_H
#define PROGRAMS_SIM_NOISE_H

#include "programs/sim_internal.h"

// Is --jitter a number that there can be, or "recorded"; are --steps of something? ERR_USAGE.
Status sim_noise_read(Sim *s) MUST_USE;

// Is the option one that a replay of drawn steps may have?
bool sim_noise_suits_replay(const Sim *s, const Option *o);

// Jitter and stragglers of the setting, when the sizes are known. ERR_USAGE.
Status sim_noise_choose(Sim *s) MUST_USE;

// What a report says of them, into `settings`, which has room for two; how many. Text is in the
// arena of `s`. ERR_MEMORY.
Status sim_noise_describe(RunSetting *settings, int *count, const Sim *s) MUST_USE;

#endif
