// SPDX-License-Identifier: MIT
// The list of devices, and what lower() must know of each, for the trainer and the simulator alike.
#ifndef CORE_PLATFORM_DEVICE_TRAITS_H
#define CORE_PLATFORM_DEVICE_TRAITS_H

#include "core/plan/lower.h"

// Every device, a row each: X(name, as help lists it, traits, where a build has no kernels for it:
// why, and what to do; a paragraph of help). core/device defines `device_<name>` for each, empty
// where it is not built in. A row that help does not list has no kernels in any build yet.
// clang-format off
#define DEVICE_LIST(X) \
    X(reference, "|reference", &device_traits_reference, "is always there", \
      "reference is plain C, slow, and the specification.") \
    X(cpu, "|cpu", &device_traits_cpu, \
      "is not built in, because no BLAS was found: install OpenBLAS (libopenblas-dev) and build " \
      "again, or give --device reference", \
      "\ncpu is fast, and agrees with reference in the tests.") \
    X(timed, "|timed:PLATFORM", &device_traits_timed, \
      "needs a machine: timed:laptop, timed:dgx-a100, or a file", \
      "\ntimed:PLATFORM computes nothing: operations last as long as the model of that machine " \
      "(built in, or a machine file) says.") \
    X(cuda, "", NULL, \
      "is not built in: this version has no kernels for NVIDIA GPUs; to see what they would do " \
      "give --device timed:dgx-a100, or sim --gpus 8", \
      "")
// clang-format on

// "reference|cpu|timed:PLATFORM", for messages and the help of --device.
#define DEVICE_FORM(name, form, traits, missing, help) form
#define DEVICE_FORMS (&(DEVICE_LIST(DEVICE_FORM))[1])
#define DEVICE_HELP_OF(name, form, traits, missing, help) help
#define DEVICE_HELP DEVICE_LIST(DEVICE_HELP_OF)

// The device of a job that names none: the fastest of this build that has kernels for its type.
extern const char device_traits_default[];  // of f32 and f64
const char *device_traits_default_for(Dtype dtype);

extern const DeviceTraits device_traits_reference;  // no fusion; scratch for bf16 alone
extern const DeviceTraits device_traits_cpu;
extern const DeviceTraits device_traits_timed;  // no fusion, no scratch

// PLATFORM of a device's name "timed:PLATFORM", whose computation is modelled; NULL for another.
const char *device_traits_platform(const char *name);

// The traits of a device of the list, or of "timed:PLATFORM"; NULL for a name that is no device.
const DeviceTraits *device_traits(const char *name);

#endif
