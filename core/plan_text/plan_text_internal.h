// SPDX-License-Identifier: MIT
// The reader that parsing of plans is built on.
#ifndef CORE_PLAN_TEXT_PLAN_TEXT_INTERNAL_H
#define CORE_PLAN_TEXT_PLAN_TEXT_INTERNAL_H

#include "core/base/arena.h"
#include "core/base/line_reader.h"
#include "core/plan/set.h"
#include "core/plan_text/plan_text_words.h"

#include <stdbool.h>
#include <stddef.h>

// An `after=` or `reuse=` whose operations may still follow: resolved when the plan is complete.
typedef struct {
    int32_t op, line;
    DepKind kind;
    char *names;  // in the reader's arena
} Reference;

typedef struct {
    Program *p;
    LineReader in;
    bool held;  // the current line is still to be read

    Program head;     // what the lines before the first class say
    RankClass class;  // whose lines are being read
    bool in_class;    // there was a class line
    char where[48];   // "class last: ", for messages; "" before the first class
    ProgramSet *set;  // classes that were read

    Plan *plan;  // being read
    Reference *references;
    int reference_count, reference_capacity;
    int32_t *operands;  // of the current operation: outputs, then inputs; owned, as the arrays here
    int operand_count, operand_capacity;
    int32_t *lines;  // of the plan's operations
    int line_capacity;
    Arena names;  // of references
} PlanReader;

// Every failure says where: "edited.plan:12: class last: ...".
#define FAIL_LINE(fmt, ...) \
    FAIL(ERR_FORMAT, "%s:%d: %s" fmt, r->in.source, r->in.line, r->where, __VA_ARGS__)

// The same for a failure of what the line asks for.
#define TRY_LINE(call)                                            \
    do {                                                          \
        Status line_status = (call);                              \
        if (line_status == ERR_MEMORY) return line_status;        \
        if (line_status != OK) FAIL_LINE("%s", status_message()); \
    } while (0)

Status plan_reader_open(PlanReader *r, Program *p, const char *text, size_t length,
                        const char *source) MUST_USE;
void plan_reader_finish(PlanReader *r);

// Cut the next line that has words into words; *found is false at the end.
Status plan_reader_next(PlanReader *r, bool *found) MUST_USE;

// What can be named in a plan file: the closed lists, and what the file itself has named so far.
typedef enum {
    NAMED_KIND,
    NAMED_DTYPE,
    NAMED_ROLE,
    NAMED_PHASE,
    NAMED_ALGORITHM,
    NAMED_ORDER,
    NAMED_REDUCE,
    NAMED_FLAG,
    NAMED_POOL,
    NAMED_LANE_KIND,
    NAMED_FUSION,
    NAMED_SOURCE,  // these three without the first of their enum, which has no name
    NAMED_RESULT,
    NAMED_WHEN,
    NAMED_AXIS,
    NAMED_GROUP,
    NAMED_LANE,
    NAMED_LOGICAL,
    NAMED_TENSOR,
    NAMED_COUNT
} Named;

// The index that a word names; the nearest name is suggested when there is none.
Status plan_reader_find(const PlanReader *r, Named what, const char *word, int *out) MUST_USE;

Status plan_reader_name(const PlanReader *r, const char *what,
                        const char *word) MUST_USE;  // may it be a name?
Status plan_reader_number(const PlanReader *r, const char *what, const char *word, int64_t least,
                          int64_t most, int64_t *out) MUST_USE;
Status plan_reader_int(const PlanReader *r, const char *what, const char *word, int least, int most,
                       int *out) MUST_USE;
Status plan_reader_real(const PlanReader *r, const char *what, const char *word,
                        double *out) MUST_USE;

// Two numbers with a separator between them, as "0.1". Cuts the word.
Status plan_reader_pair(const PlanReader *r, const char *what, char *word, char separator,
                        int64_t out[2]) MUST_USE;

// Cut "key=value" in two. A line must not give a key twice: words before `i` from
// `first` on are keys.
Status plan_reader_key(const PlanReader *r, int first, int i, char **key, char **value) MUST_USE;

// The failure for a key that the line cannot have; `known` ends with NULL.
Status plan_reader_unknown_key(const PlanReader *r, const char *key,
                               const char *const known[]) MUST_USE;

// What a user would see of a word from a file: at most 60 bytes, printable. Text valid until the
// next call with the same buffer.
const char *plan_reader_quote(const char *word, char out[64]);

// Read the operations that follow "plan NAME"; leaves the reader at the next "plan" or "class", or
// at the end.
Status plan_reader_operations(PlanReader *r) MUST_USE;

// A line "class NAME AXIS=POSITION ...": the program of a new class begins.
Status plan_reader_class(PlanReader *r) MUST_USE;
// Below a class line there may be no line of what all classes have alike.
Status plan_reader_check_section(const PlanReader *r) MUST_USE;
// Add to the set what was read: the last class, or the program of a file without classes.
Status plan_reader_add_class(PlanReader *r) MUST_USE;

#endif
