// SPDX-License-Identifier: MIT
// The network that ranks with devices are placed on.
#ifndef SIM_PREDICT_PLACE_H
#define SIM_PREDICT_PLACE_H

#include "sim/predict.h"

// Nodes of the machine's kind, as many as the ranks need; or with a link given, one switch.
// ERR_USAGE where the machine has no link or rail for them.
Status predict_place_devices(TopologyOptions *t, const SimSetting *s, int ranks) MUST_USE;

#endif
