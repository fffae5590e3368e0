// SPDX-License-Identifier: MIT
// What lower() must know of each kind of device, for the trainer and the simulator alike.
#ifndef CORE_PLATFORM_DEVICE_TRAITS_H
#define CORE_PLATFORM_DEVICE_TRAITS_H

#include "core/plan/lower.h"

extern const DeviceTraits device_traits_reference;  // no fusion, no scratch
extern const DeviceTraits device_traits_cpu;

// The traits of "reference" or "cpu"; NULL for a name that is not a device.
const DeviceTraits *device_traits(const char *name);

#endif
