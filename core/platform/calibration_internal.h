// SPDX-License-Identifier: MIT
// The calibration's reader, for the machine file's, and the keys that reader and writer share.
#ifndef CORE_PLATFORM_CALIBRATION_INTERNAL_H
#define CORE_PLATFORM_CALIBRATION_INTERNAL_H

#include "core/base/yaml.h"
#include "core/platform/calibration.h"

// Read the section; `n` is its mapping. ERR_FORMAT with file, line, column, expected, found.
Status calibration_read(Calibration *out, Arena *a, const YamlNode *n) MUST_USE;

// X(field of Calibration, key, for people): the durations that are measured once.
// clang-format off
#define CALIBRATION_TIMES(X)                                                 \
    X(step_ps, "step", "step of one rank")                                   \
    X(turn_ps, "turn", "of it, besides the plan")                            \
    X(dispatch_ps, "dispatch", "executor, per operation")                    \
    X(span_ps, "span", "recording a span")                                   \
    X(clock_ps, "clock", "reading the clock")                                \
    X(cpu_clock_ps, "cpu_clock", "reading the CPU clock")                    \
    X(ping_ps, "ping", "store seen by a spinning core")                      \
    X(wake_ps, "wake", "waking a sleeper, other core")                       \
    X(wake_same_core_ps, "wake_same_core", "waking a sleeper, same core")    \
    X(switch_ps, "switch", "switch from rank to rank")                       \
    X(yield_ps, "yield", "yielding to nobody")                               \
    X(collective_ps, "collective", "all-reduce of two numbers")
// clang-format on

#endif
