// SPDX-License-Identifier: MIT
// Reading and printing of what a machine file says about kernels.
#ifndef CORE_PLATFORM_KERNEL_MODEL_INTERNAL_H
#define CORE_PLATFORM_KERNEL_MODEL_INTERNAL_H

#include "core/base/yaml.h"
#include "core/platform/kernel_model.h"

// The keys "units", "products", "attention" of a machine's device, and of its "reached" the curve
// of memory and the kinds.
Status kernel_model_read(KernelModel *out, const YamlNode *device) MUST_USE;
void kernel_model_print(const KernelModel *k, FILE *f);
void kernel_model_print_kinds(const KernelModel *k, FILE *f);  // ", kinds: {gelu: 0.5, ...}"
void kernel_model_print_curve(const KernelModel *k, FILE *f);  // "{256KiB: 0.1, ...}"

#endif
