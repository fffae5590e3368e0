// SPDX-License-Identifier: MIT
// What lower() must know of each kind of device, for the trainer and the simulator alike.
#ifndef CORE_PLATFORM_DEVICE_TRAITS_H
#define CORE_PLATFORM_DEVICE_TRAITS_H

#include "core/plan/lower.h"

extern const DeviceTraits device_traits_reference;  // no fusion, no scratch
extern const DeviceTraits device_traits_cpu;
extern const DeviceTraits
    device_traits_timed;  // as reference: its operations are those of the plan

// PLATFORM of a device's name "timed:PLATFORM",
// whose computation is modelled; NULL for another name.
const char *device_traits_platform(const char *name);

// The traits of "reference", "cpu", "timed" or "timed:PLATFORM"; NULL for a name that is no device.
const DeviceTraits *device_traits(const char *name);

#endif
