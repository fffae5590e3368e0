// SPDX-License-Identifier: MIT
#include "core/device/device.h"

#include <string.h>

#ifdef TANDEM_BLAS
#include "core/device/cpu/cpu.h"
#endif

Status device_find(const Device **out, const char *name) {
    if (!strcmp(name, "reference")) {
        *out = &device_reference;
        return OK;
    }
    if (strcmp(name, "cpu")) FAIL(ERR_USAGE, "no device \"%s\"; there are reference and cpu", name);
#ifdef TANDEM_BLAS
    cpu_prepare();
    *out = &device_cpu;
    return OK;
#else
    FAIL(ERR_UNAVAILABLE, "the cpu device is not built in, because no BLAS was found: install "
                          "libopenblas-dev and build again, or give --device reference");
#endif
}
