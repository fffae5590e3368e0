// SPDX-License-Identifier: MIT
// The timed device: a device that is only described. Its kernels compute nothing; the executor lets
// each operation last as long as the description says (core/platform/device_model.h).
#ifndef CORE_DEVICE_TIMED_TIMED_H
#define CORE_DEVICE_TIMED_TIMED_H

#include "core/device/device.h"

// A device on the caller's memory; the model is borrowed. slowdown_permille: how much slower than
// the model it runs, in thousandths (1000: as fast).
void device_timed_init(Device *out, const DeviceModel *model, int64_t slowdown_permille);

#endif
