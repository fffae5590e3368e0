// SPDX-License-Identifier: MIT
// What lower() must know of each kind of device, for the trainer and the simulator alike.
#ifndef CORE_PLATFORM_DEVICE_TRAITS_H
#define CORE_PLATFORM_DEVICE_TRAITS_H

#include "core/plan/lower.h"

// The traits of "reference" or "cpu"; NULL for a name that is not a device.
const DeviceTraits *device_traits(const char *name);

#endif
