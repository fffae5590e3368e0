// SPDX-License-Identifier: MIT
// A device that this build does not have, compiled once for each (DEVICE: its table). It has no
// name, by which device_find() knows it; DEVICE_LIST says what brings it.
#include "core/device/device.h"

extern const Device DEVICE;
const Device DEVICE = {0};
