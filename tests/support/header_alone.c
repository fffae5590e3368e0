// SPDX-License-Identifier: MIT
// A header compiles alone (tests/meson.build).
#include HEADER

int header_compiles(void);
int header_compiles(void) { return 0; }
