// SPDX-License-Identifier: MIT
// Makes text that others wrote safe to print: a terminal obeys control characters.
#ifndef CORE_BASE_PRINTABLE_H
#define CORE_BASE_PRINTABLE_H

#include <stdbool.h>
#include <stdio.h>

// Bytes of the printable UTF-8 character at s; 0 where there is none: the end, a control character,
// what is not UTF-8 or cut off.
int printable_length(const char *s);

bool printable(const char *text);  // all of it

// Put '?' in the place of every byte that is not.
void printable_make(char *text);

// The text so changed, on a stream. Errors are the stream's.
void printable_write(FILE *out, const char *text);

// Words of a command line, quoted where a shell would not read them as they are, on a stream.
void printable_command(FILE *out, const char *const *argv, int argc);

#endif
