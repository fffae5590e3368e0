// SPDX-License-Identifier: MIT
// The programs of all ranks of a run: one per class of ranks. A class is a box of the mesh, such as
// the ranks of one pipeline stage, and all its ranks execute one program. Which class a rank is in
// follows from its coordinates: there is no list over ranks.
//
// All programs of a set have the same mesh, groups, lanes and logical tensors, so that an index of
// one of them means the same to every rank, and plans of the same names. plan_check() sees to it.
#ifndef CORE_PLAN_SET_H
#define CORE_PLAN_SET_H

#include "core/plan/program.h"

enum { RANK_CLASSES = 1024 };  // of a set

// The ranks whose coordinate lies in first..last along every axis of `axes`; all ranks without any.
typedef struct {
    char name[32];  // "": the only class of a set
    uint16_t axes;  // bit i: axis i counts
    int32_t first[AXES], last[AXES];
} RankClass;

typedef struct {
    Program *programs;   // owned, one per class, as the array
    RankClass *classes;  // owned; NULL: one class, which has all ranks
    int count, capacity, class_capacity;
} ProgramSet;

void program_set_finish(ProgramSet *s);  // free what it owns; safe on a zeroed set

// A set of one program for all ranks, to look at: it borrows the program, so do not finish it.
static inline ProgramSet program_set_of_one(const Program *p) {
    return (ProgramSet){.programs = (Program *)p, .count = 1};
}

// Append a class and its program, which the set owns from then on, also when this fails; *p is
// zeroed. `class` NULL: all ranks. ERR_MEMORY; ERR_PLAN for more classes than RANK_CLASSES.
Status program_set_add(ProgramSet *s, const RankClass *class, Program *p) MUST_USE;

// Confine a class to positions first..last of an axis.
void rank_class_confine(RankClass *c, int axis, int first, int last);
bool rank_class_has(const RankClass *c, const Program *p, int rank);

// The class of a rank, from its coordinates; NONE: it is in no class.
int program_set_class(const ProgramSet *s, int rank);

// The program that a rank executes. The set must have passed plan_check().
const Program *program_set_program(const ProgramSet *s, int rank);

// The name of class i, "" when a set of one class has none; the class of that name, or NONE.
const char *program_set_name(const ProgramSet *s, int i);
int program_set_find(const ProgramSet *s, const char *name);

int program_set_ranks(const ProgramSet *s);  // of the mesh

// Begin the program of another class: *out, zeroed before, gets mesh, groups, lanes and the logical
// tensors that classes share, in the same order, but no tensors and plans. ERR_MEMORY.
Status program_copy_head(Program *out, const Program *p) MUST_USE;
Status program_copy_logicals(Program *out, const Program *p) MUST_USE;  // these tensors alone

// The first so many logical tensors are those of all classes. Scratch, which lower() adds behind
// them, is a program's own: as much as its operations need.
int program_shared_logicals(const Program *p);

// "pipe=0 data=1..2": the positions of a class; "" for all ranks.
enum { RANK_CLASS_TEXT = AXES * 32 };
const char *rank_class_print(char out[RANK_CLASS_TEXT], const RankClass *c, const Program *p);

#endif
