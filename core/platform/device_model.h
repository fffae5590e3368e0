// SPDX-License-Identifier: MIT
// How long a described device takes for a piece of work: the roofline (Williams, Waterman and
// Patterson, "Roofline", 2009), in whole picoseconds. The simulator prices operations by it, and a
// timed device waits it out.
#ifndef CORE_PLATFORM_DEVICE_MODEL_H
#define CORE_PLATFORM_DEVICE_MODEL_H

#include "core/plan/program.h"
#include "core/platform/machine.h"

// Picoseconds for an operation at its full extent, computation and host work alike: its flops
// against the peak of its type, its bytes read and written against the memory's rate, each at the
// share of it that kernels of its shape reach (kernel_model.h) and rounded up; the longer of the
// two, plus the gap to the next, and the kernel for its bias where that is one of its own.
// INT64_MAX when it is longer than fits; device_model_knows() must hold.
int64_t device_model_ps(const DeviceModel *d, const Program *p, const Plan *plan, const Op *op);

// The same for work whose shapes do not matter.
int64_t device_model_work_ps(const DeviceModel *d, const Work *w);

// Has the device a rate for all that the work needs?
bool device_model_knows(const DeviceModel *d, const Work *w);

// Does the device know all computation and host work of a program? ERR_USAGE names the first that
// it does not.
Status device_model_check(const DeviceModel *d, const Program *p) MUST_USE;

// Nanoseconds for picoseconds of a model that runs slower by `slowdown_permille` thousandths (1000:
// as it is), rounded up.
int64_t device_model_slowed_ns(int64_t ps, int64_t slowdown_permille);

#endif
