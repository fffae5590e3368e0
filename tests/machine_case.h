// SPDX-License-Identifier: MIT
// Machine files that are wrong.
#ifndef TESTS_MACHINE_CASE_H
#define TESTS_MACHINE_CASE_H

#include "tests/testing.h"

// A file m.yaml with this text is not read: ERR_FORMAT, with this in the message.
void machine_refused(const char *text, const char *message);

#endif
