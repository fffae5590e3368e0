// SPDX-License-Identifier: MIT
#include "core/device/device.h"

#include "core/base/nearest.h"

#include <string.h>

#ifdef TANDEM_BLAS
#include "core/device/cpu/cpu.h"
#endif

static Status fail_unknown(const char *name) {
    Nearest nearest = {.word = name};
    nearest_offer(&nearest, "reference");
    nearest_offer(&nearest, "cpu");
    nearest_offer(&nearest, "timed");
    if (!strcmp(name, "timed"))
        FAIL(ERR_USAGE,
             "device \"timed\" needs a machine: timed:laptop, timed:dgx-a100, or a file");
    FAIL(ERR_USAGE, "no device \"%s\"%s%s%s; there are reference, cpu and timed:PLATFORM", name,
         nearest.best ? " (did you mean " : "", nearest.best ? nearest.best : "",
         nearest.best ? "?)" : "");
}

Status device_find(const Device **out, const char *name) {
    if (!strcmp(name, "reference")) {
        *out = &device_reference;
        return OK;
    }
    if (strcmp(name, "cpu")) return fail_unknown(name);
#ifdef TANDEM_BLAS
    cpu_prepare();
    *out = &device_cpu;
    return OK;
#else
    FAIL(ERR_UNAVAILABLE, "the cpu device is not built in, because no BLAS was found: install "
                          "libopenblas-dev and build again, or give --device reference");
#endif
}
