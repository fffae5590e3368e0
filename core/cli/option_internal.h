// SPDX-License-Identifier: MIT
// Shared by parsing, help, the manual page and the completion.
#ifndef CORE_CLI_OPTION_INTERNAL_H
#define CORE_CLI_OPTION_INTERNAL_H

#include "core/base/nearest.h"
#include "core/cli/option_value.h"

// The option of that name (of `length` bytes), of that letter; NULL: none.
const Option *option_find(const OptionTable *t, const char *name, size_t length);
const Option *option_find_letter(const OptionTable *t, char letter);

// The option that --help TOPIC names, as "ranks", "--ranks", "no-overlap", "q" or "-q".
const Option *option_find_topic(const OptionTable *t, const char *topic);

// The name of the option for which other programs have this word; NULL: none.
const char *option_named_otherwise(const OptionTable *t, const char *word);

// What is answered to an option of other programs that needs none here; NULL: it is none of these.
const char *option_needless(const OptionTable *t, const char *word);

// The word, or a spelling of it, that --help TOPIC names; NULL: none.
const OptionWord *option_find_word(const OptionTable *t, const char *topic);

// Let `near` know all words, and print one or all of them.
void option_offer_words(Nearest *near, const OptionTable *t);
void option_print_word(FILE *f, const OptionWord *w);
void option_print_words(FILE *f, const OptionTable *t);

// Parts of help: an option with its meaning; an example; words from `column` on, the
// cursor being at `at`.
void option_print(FILE *f, const Option *o, OptionHelp which);
void option_print_example(FILE *f, const OptionTable *t, const OptionExample *e);
void option_print_wrapped(FILE *f, const char *text, int at, int column);
void option_print_exits(FILE *f, const OptionTable *t);

// Is it an exit status that the program can have?
bool option_ends_with(const OptionTable *t, const StatusExit *e);

// Pieces of these, in buffers of 512 bytes: "-q, --quiet"; the help with bounds and default; what
// can be written for the value, or nothing. Then the longer text of a topic, or NULL.
void option_print_spelling(char *out, const Option *o);
void option_print_meaning(char *out, const Option *o);
void option_print_form(char *out, const Option *o);
const char *option_detail(const OptionTable *t, const char *topic);

// The table as a manual page, and as what bash and zsh complete with; all speak of tandem-PROGRAM,
// as it is installed.
void option_print_man(FILE *f, const OptionTable *t);
void option_print_bash(FILE *f, const OptionTable *t);
void option_print_zsh(FILE *f, const OptionTable *t);

// A bound as a person would type it.
char *option_print_bound(char out[UNITS_TEXT], const Option *o, double bound);

static inline double option_most(const Option *o) { return o->offered ? o->offered : o->max; }
static inline bool option_has_bounds(const Option *o) { return o->min != 0 || o->max != 0; }

#endif
