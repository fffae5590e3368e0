// SPDX-License-Identifier: MIT
// Machine files that are wrong, and machines that are the same.
#ifndef TESTS_SUPPORT_MACHINE_CASE_H
#define TESTS_SUPPORT_MACHINE_CASE_H

#include "core/platform/machine.h"
#include "tests/support/testing.h"

// A file m.yaml with this text is not read: ERR_FORMAT, with this in the message.
void machine_refused(const char *text, const char *message);

// All but their sources and calibrations are equal.
void machine_same(const Machine *a, const Machine *b);

#endif
