// SPDX-License-Identifier: MIT
// What ranks hold of the weights, put together when a run ends: replicas are compared, and where
// rank 0 does not hold everything itself, it gathers the pieces of the others (core/plan/piece.h
// knows who holds what). Read rank_gather() first: it goes in rounds, one exchange each, so that
// ranks in lockstep can take turns.
#include "core/base/hash.h"
#include "core/plan/piece.h"
#include "parallel/run/rank_internal.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_BYTES = 1 << 16 };  // of a whole tensor, in one round

// What ranks tell each other first; hashes of their pieces follow, one for each saved tensor.
enum { SAYS_FINITE, SAYS_COPIED, SAYS_HASHES };

bool rank_saves(const Program *p, int tensor) {
    const Tensor *t = &p->tensors[tensor];
    return role_persists((Role)t->role) && t->alias == NONE && t->logical != NONE;
}

// Do ranks of two classes that agree on all axes but those of the classes hold the same elements?
static bool classes_hold_alike(const ProgramSet *set, int c, int t, int d, int u) {
    const Program *p = &set->programs[c], *q = &set->programs[d];
    uint16_t confined = set->classes[c].axes | set->classes[d].axes;
    if (p->tensors[t].logical != q->tensors[u].logical) return false;
    for (int a = 0; a < p->axis_count; a++) {
        Placement here = p->tensors[t].placement[a], there = q->tensors[u].placement[a];
        bool cut = here.place == PLACE_SHARD || there.place == PLACE_SHARD;
        if (cut && (confined >> a & 1 || !placement_equal(here, there))) return false;
    }
    return true;
}

// As stages of a pipeline that share a weight, or a count of updates.
static bool earlier_class_holds(const ProgramSet *set, int class, int tensor) {
    for (int c = 0; c < class; c++)
        for (int t = 0; t < set->programs[c].tensor_count; t++)
            if (rank_saves(&set->programs[c], t) && classes_hold_alike(set, class, tensor, c, t))
                return true;
    return false;
}

bool rank_holds_first(const Job *job, int rank, int tensor) {
    const ProgramSet *set = &job->set;
    const Program *p = job_program(job, rank);
    const RankClass *c = set->classes ? &set->classes[program_set_class(set, rank)] : NULL;
    int coordinate[AXES], first[AXES];
    program_coordinates(p, rank, coordinate);
    for (int a = 0; a < AXES; a++) first[a] = c && c->axes >> a & 1 ? c->first[a] : 0;
    return piece_is_first(p, &p->tensors[tensor], coordinate, first);
}

bool rank_keeps(const Job *job, int rank, int tensor) {
    int class = program_set_class(&job->set, rank);
    if (!rank_holds_first(job, rank, tensor)) return false;
    return !job->set.classes || !earlier_class_holds(&job->set, class, tensor);
}

// The tensor in which a rank holds the i-th saved logical tensor, or NONE.
static int held(const Rank *r, int rank, int i) {
    int class = program_set_class(&r->job->set, rank);
    return r->weights.held[class * r->weights.count + i];
}

static const Logical *logical_of(const Rank *r, int i) {
    return &r->program->logicals[r->weights.logicals[i]];
}

// Mark the logical tensors that some class saves.
static void mark_saved(const Rank *r, int *place) {
    const ProgramSet *set = &r->job->set;
    for (int c = 0; c < set->count; c++)
        for (int t = 0; t < set->programs[c].tensor_count; t++)
            if (rank_saves(&set->programs[c], t)) place[set->programs[c].tensors[t].logical] = 1;
}

static Status find_held(Rank *r) {
    const ProgramSet *set = &r->job->set;
    Weights *w = &r->weights;
    int logicals = program_shared_logicals(r->program);
    int *place = ARENA_NEW(&r->arena, int, logicals + 1);
    w->logicals = ARENA_NEW(&r->arena, int, logicals + 1);
    if (!place || !w->logicals) FAIL(ERR_MEMORY, "rank %d: out of memory", r->comm.rank);
    mark_saved(r, place);
    for (int l = 0; l < logicals; l++) {
        if (!place[l]) continue;
        w->logicals[w->count++] = l;
        place[l] = w->count;
    }
    w->held = ARENA_NEW(&r->arena, int, set->count * w->count + 1);
    if (!w->held) FAIL(ERR_MEMORY, "rank %d: out of memory", r->comm.rank);
    for (int i = 0; i < set->count * w->count; i++) w->held[i] = NONE;
    for (int c = 0; c < set->count; c++)
        for (int t = 0; t < set->programs[c].tensor_count; t++) {
            if (!rank_saves(&set->programs[c], t)) continue;
            int *at = &w->held[c * w->count + place[set->programs[c].tensors[t].logical] - 1];
            if (*at == NONE) *at = t;
        }
    return OK;
}

static int64_t logical_bytes(const Logical *l) {
    return logical_elements(l) * dtype_bytes((Dtype)l->dtype);
}

// Does rank 0 hold all of it?
static bool is_whole_on_0(const Rank *r, int i) {
    const Program *p = job_program(r->job, 0);
    int coordinate[AXES], tensor = held(r, 0, i);
    program_coordinates(p, 0, coordinate);
    return tensor != NONE &&
           piece_elements(p, &p->tensors[tensor], coordinate) == logical_elements(logical_of(r, i));
}

// Parameters give the hash at the end; what is saved besides is gathered only for a file of rank 0.
static bool is_gathered(const Rank *r, int i) {
    const JobOptions *o = &r->job->options;
    if (o->save && !o->save_shards) return true;
    return r->weights.ends && logical_of(r, i)->role == ROLE_PARAMETER;
}

static bool gathers(const Rank *r) {
    for (int i = 0; i < r->weights.count; i++)
        if (is_gathered(r, i) && !is_whole_on_0(r, i)) return true;
    return false;
}

// --- replicas

// A word at a time: these hashes are only compared with each other.
static uint64_t hash_words(uint64_t hash, const unsigned char *bytes, int64_t count) {
    uint64_t word;
    for (; count >= 8; bytes += 8, count -= 8) {
        memcpy(&word, bytes, 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash_bytes(hash, bytes, (size_t)count);
}

// Of the elements that a rank holds: what a smaller piece leaves free of its memory is nobody's.
static uint64_t hash_piece(const Program *p, const Tensor *t, int rank, const void *data) {
    int64_t element = dtype_bytes((Dtype)t->dtype);
    uint64_t hash = HASH_START;
    int coordinate[AXES];
    PieceWalk walk;
    PieceRun run;
    program_coordinates(p, rank, coordinate);
    piece_walk(&walk, p, t, coordinate);
    while (piece_next(&walk, &run))
        hash = hash_words(hash, (const unsigned char *)data + run.local * element,
                          run.count * element);
    return hash;
}

static Status say(Rank *r) {
    const Program *p = r->program;
    Weights *w = &r->weights;
    bool finite;
    w->says = SAYS_HASHES + w->count;
    if (!w->said) w->said = ARENA_NEW(&r->arena, uint64_t, w->says * (r->comm.ranks + 1));
    if (!w->said) FAIL(ERR_MEMORY, "rank %d: out of memory", r->comm.rank);
    uint64_t *mine = w->said + w->says * r->comm.ranks;
    memset(mine, 0, (size_t)w->says * sizeof *mine);
    TRY(checkpoint_is_finite(r, &finite));
    mine[SAYS_FINITE] = finite;
    mine[SAYS_COPIED] = checkpoint_copies(r) ? (uint64_t)r->result->copied_step : UINT64_MAX;
    for (int i = 0; i < w->count; i++) {
        int t = held(r, r->comm.rank, i);
        const void *data;
        if (t == NONE || p->tensors[t].role != ROLE_PARAMETER) continue;
        TRY(executor_view(&r->executor, t, &data));
        mine[SAYS_HASHES + i] = hash_piece(p, &p->tensors[t], r->comm.rank, data);
    }
    return comm_exchange(&r->comm, mine, (size_t)w->says * sizeof *mine, w->said);
}

// Do two ranks hold the same elements of a logical tensor: cut alike, at the same places?
static bool same_piece(const Rank *r, int i, int a, int b) {
    const Program *p = job_program(r->job, a), *q = job_program(r->job, b);
    const Tensor *t = &p->tensors[held(r, a, i)], *u = &q->tensors[held(r, b, i)];
    for (int x = 0; x < p->axis_count; x++) {
        Placement here = t->placement[x], there = u->placement[x];
        bool cut = here.place == PLACE_SHARD || there.place == PLACE_SHARD;
        const Axis *axis = &p->axes[x];
        if (cut && !placement_equal(here, there)) return false;
        if (cut && axis_coordinate(axis, a) != axis_coordinate(axis, b)) return false;
    }
    return true;
}

static Status compare_ranks(const Rank *r, int i, int a, int b) {
    const Weights *w = &r->weights;
    if (w->said[a * w->says + SAYS_HASHES + i] == w->said[b * w->says + SAYS_HASHES + i]) return OK;
    FAIL(ERR_FAILED,
         "ranks %d and %d end with different values of %s, of which both hold the same elements; "
         "does the plan begin with equal values, and reduce every gradient?",
         a, b, program_name(r->program, logical_of(r, i)->name));
}

// Each rank is compared with the first one that holds the same.
static Status compare_replicas(const Rank *r) {
    for (int i = 0; i < r->weights.count; i++) {
        if (logical_of(r, i)->role != ROLE_PARAMETER) continue;
        for (int b = 1; b < r->comm.ranks; b++) {
            int a = 0;
            if (held(r, b, i) == NONE) continue;
            while (a < b && (held(r, a, i) == NONE || !same_piece(r, i, a, b))) a++;
            if (a < b) TRY(compare_ranks(r, i, a, b));
        }
    }
    return OK;
}

// The run stops being good where any rank says so; copies are good if they are of one step.
static void agree(Rank *r) {
    const Weights *w = &r->weights;
    uint64_t copied = UINT64_MAX;
    bool finite = true, one = true;
    for (int i = 0; i < r->comm.ranks; i++) {
        uint64_t step = w->said[i * w->says + SAYS_COPIED];
        finite = finite && w->said[i * w->says + SAYS_FINITE];
        if (step == UINT64_MAX) continue;
        one = one && (copied == UINT64_MAX || copied == step);
        copied = step;
    }
    r->result->copied_step = one && copied != UINT64_MAX ? (int64_t)copied : 0;
    checkpoint_note_finite(r, finite);
}

// --- pieces

// As far as a walk has come: what is left of its current run.
struct PieceCursor {
    PieceWalk walk;
    PieceRun run;
    bool open;
};

static void cursor_begin(PieceCursor *c, const Job *job, int tensor, int rank) {
    const Program *p = job_program(job, rank);
    int coordinate[AXES];
    *c = (PieceCursor){0};
    if (tensor == NONE || !rank_keeps(job, rank, tensor)) return;
    program_coordinates(p, rank, coordinate);
    piece_walk(&c->walk, p, &p->tensors[tensor], coordinate);
    c->open = piece_next(&c->walk, &c->run);
}

// The next part of the piece that lies before `end`; *out counts in elements. False: none.
static bool cursor_next(PieceCursor *c, int64_t end, PieceRun *out) {
    if (!c->open || c->run.whole >= end) return false;
    *out = c->run;
    if (out->count > end - out->whole) out->count = end - out->whole;
    c->run.local += out->count;
    c->run.whole += out->count;
    c->run.count -= out->count;
    if (!c->run.count) c->open = piece_next(&c->walk, &c->run);
    return true;
}

static int64_t window_elements(const Rank *r) {
    const Logical *l = logical_of(r, r->weights.at_tensor);
    int64_t most = WINDOW_BYTES / dtype_bytes((Dtype)l->dtype),
            left = logical_elements(l) - r->weights.at;
    return left < most ? left : most;
}

// Go to the next tensor that is gathered; false after the last.
static bool next_tensor(Rank *r) {
    Weights *w = &r->weights;
    do w->at_tensor++;
    while (w->at_tensor < w->count && !is_gathered(r, w->at_tensor));
    w->at = 0;
    if (w->at_tensor == w->count) return false;
    cursor_begin(w->own, r->job, held(r, r->comm.rank, w->at_tensor), r->comm.rank);
    for (int i = 0; w->cursors && i < r->comm.ranks; i++)
        cursor_begin(&w->cursors[i], r->job, held(r, i, w->at_tensor), i);
    return true;
}

// Memory for it, which later checkpoints use again.
static Status make_room(Rank *r) {
    Weights *w = &r->weights;
    int64_t bytes = 0;
    if (w->windows) return OK;
    w->windows = ARENA_NEW(&r->arena, unsigned char, WINDOW_BYTES *(r->comm.ranks + 1));
    w->own = ARENA_NEW(&r->arena, PieceCursor, 1);
    if (!w->windows || !w->own)
        FAIL(ERR_MEMORY, "rank %d: out of memory for gathering", r->comm.rank);
    if (r->comm.rank) return OK;
    for (int i = 0; i < w->count; i++)
        if (is_gathered(r, i)) bytes += logical_bytes(logical_of(r, i));
    w->cursors = ARENA_NEW(&r->arena, PieceCursor, r->comm.ranks);
    w->whole = calloc(1, (size_t)bytes + 1);
    if (!w->cursors || !w->whole)
        FAIL(ERR_MEMORY, "no memory for the weights of all ranks (%lld bytes)", (long long)bytes);
    return OK;
}

static Status begin_gather(Rank *r) {
    Weights *w = &r->weights;
    TRY(make_room(r));
    w->at_tensor = NONE;
    w->to = w->whole;
    w->gathered = true;
    return OK;
}

// Put this rank's elements of the window into its place, and exchange.
static Status send_window(Rank *r) {
    Weights *w = &r->weights;
    int64_t count = window_elements(r),
            size = dtype_bytes((Dtype)logical_of(r, w->at_tensor)->dtype);
    unsigned char *mine = w->windows + (int64_t)r->comm.ranks * WINDOW_BYTES;
    const void *from = NULL;
    int tensor = held(r, r->comm.rank, w->at_tensor);
    PieceRun run;
    memset(mine, 0, (size_t)(count * size));
    if (w->own->open) TRY(checkpoint_view(r, tensor, &from));
    while (cursor_next(w->own, w->at + count, &run))
        memcpy(mine + (run.whole - w->at) * size, (const unsigned char *)from + run.local * size,
               (size_t)(run.count * size));
    return comm_exchange(&r->comm, mine, (size_t)(count * size), w->windows);
}

// Rank 0 takes every rank's elements out of the windows.
static void take_window(Rank *r) {
    Weights *w = &r->weights;
    int64_t count = window_elements(r),
            size = dtype_bytes((Dtype)logical_of(r, w->at_tensor)->dtype);
    for (int i = 0; w->whole && i < r->comm.ranks; i++) {
        PieceRun run;
        while (cursor_next(&w->cursors[i], w->at + count, &run))
            memcpy(w->to + (run.whole - w->at) * size,
                   w->windows + (i * count + run.whole - w->at) * size, (size_t)(run.count * size));
    }
    if (w->whole) w->to += count * size;
    w->at += count;
}

// After how many steps the weights are that a checkpoint of now has.
static int64_t step_of_checkpoint(const Rank *r) {
    if (!r->weights.ends) return r->turn.step + 1;
    return r->result->diverged ? r->result->copied_step : r->turn.step;
}

enum { STAGE_SAY, STAGE_COMPARE, STAGE_WRITE, STAGE_GATHER };

// The copies are made: ranks write their shards, and know when all have.
static Status write_shard(Rank *r) {
    const uint64_t done = 1;
    comm_set_away(&r->comm, true);
    TRY(checkpoint_shards_write(r, step_of_checkpoint(r)));
    comm_set_away(&r->comm, false);
    return comm_exchange(&r->comm, &done, sizeof done, r->weights.said);
}

static Status gather_window(Rank *r, bool *more) {
    Weights *w = &r->weights;
    if (w->at_tensor != NONE) take_window(r);
    bool ended = w->at_tensor == NONE || w->at == logical_elements(logical_of(r, w->at_tensor));
    if (ended && !next_tensor(r)) return OK;
    *more = true;
    return send_window(r);
}

static Status start_gathering(Rank *r, bool *more) {
    if (!gathers(r)) return OK;
    TRY(begin_gather(r));
    r->weights.stage = STAGE_GATHER;
    return gather_window(r, more);
}

static Status gather_alone(Rank *r) {
    bool finite;
    TRY(checkpoint_is_finite(r, &finite));
    checkpoint_note_finite(r, finite);
    return r->result->diverged ? OK : checkpoint_keep(r);
}

static Status gather_round(Rank *r, bool *more) {
    switch (r->weights.stage) {
    case STAGE_SAY:
        TRY(say(r));
        r->weights.stage = STAGE_COMPARE;
        *more = true;
        return OK;
    case STAGE_COMPARE:
        agree(r);
        if (!r->result->diverged) TRY(compare_replicas(r));
        if (!r->result->diverged) TRY(checkpoint_keep(r));
        if (r->result->diverged && !(r->weights.ends && r->result->copied_step)) return OK;
        if (!r->job->options.save || !r->job->options.save_shards) return start_gathering(r, more);
        TRY(write_shard(r));
        r->weights.stage = STAGE_WRITE;
        *more = true;
        return OK;
    case STAGE_WRITE: return start_gathering(r, more);
    case STAGE_GATHER: return gather_window(r, more);
    }
    return OK;
}

Status rank_gather(Rank *r, bool ends, bool *more) {
    Weights *w = &r->weights;
    *more = false;
    if (w->stage == STAGE_SAY) {
        if (ends) disturbance_end(r);
        w->ends = ends;
        if (!w->held) TRY(find_held(r));
        w->gathered = false;
        if (!ends && r->executor.comm) comm_note_position(&r->comm, NONE, NONE, r->turn.step + 1);
    }
    if (r->job->device->model) return OK;
    if (!r->executor.comm) return gather_alone(r);
    TRY(gather_round(r, more));
    if (!*more) w->stage = STAGE_SAY;
    return OK;
}

// --- the whole weights

// Those of i: as gathered, as copied, or as they are.
static Status view(Rank *r, int i, bool copied, const unsigned char **gathered, const void **out) {
    const Weights *w = &r->weights;
    if (w->gathered) {
        *out = *gathered;
        *gathered += logical_bytes(logical_of(r, i));
        return OK;
    }
    int tensor = held(r, 0, i);
    return copied ? checkpoint_view(r, tensor, out) : executor_view(&r->executor, tensor, out);
}

int rank_weight_count(const Rank *r) { return r->weights.count; }

const Logical *rank_weight_logical(const Rank *r, int i) { return logical_of(r, i); }

int rank_weight_tensor(const Rank *r, int rank, int i) { return held(r, rank, i); }

Status rank_view_weights(Rank *r, bool copied, WeightView *out) {
    const unsigned char *gathered = r->weights.whole;
    for (int i = 0; i < r->weights.count; i++) {
        const Logical *l = logical_of(r, i);
        out[i] = (WeightView){.logical = l, .bytes = logical_bytes(l)};
        if (r->weights.gathered ? is_gathered(r, i) : is_whole_on_0(r, i))
            TRY(view(r, i, copied, &gathered, &out[i].data));
    }
    return OK;
}

Status rank_hash_parameters(Rank *r, uint64_t *hash) {
    const Weights *w = &r->weights;
    const unsigned char *gathered = w->whole;
    *hash = 0;
    if (r->comm.rank || (gathers(r) && (r->result->diverged || !w->gathered))) return OK;
    *hash = HASH_START;
    for (int i = 0; i < w->count; i++) {
        const void *data;
        if (!is_gathered(r, i)) continue;
        TRY(view(r, i, false, &gathered, &data));
        if (logical_of(r, i)->role == ROLE_PARAMETER)
            *hash = hash_bytes(*hash, data, (size_t)logical_bytes(logical_of(r, i)));
    }
    return OK;
}

void rank_weights_finish(Rank *r) { free(r->weights.whole); }
