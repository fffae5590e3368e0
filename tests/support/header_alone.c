// SPDX-License-Identifier: MIT
#include HEADER
int main(void) { return 0; }
