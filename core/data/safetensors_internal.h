// SPDX-License-Identifier: MIT
// What the readers of safetensors files and of their indexes share.
#ifndef CORE_DATA_SAFETENSORS_INTERNAL_H
#define CORE_DATA_SAFETENSORS_INTERNAL_H

#include "core/base/json.h"
#include "core/data/safetensors.h"

const char *safetensors_dtype_name(Dtype d);  // as in files: "F32"

// dtype and shape of a tensor whose name is set, from {"dtype": …, "shape": …}; its bytes do not
// overflow. ERR_FORMAT, `path` first.
Status safetensors_read_about(SafetensorsEntry *out, const json_t *about,
                              const char *path) MUST_USE;

#endif
