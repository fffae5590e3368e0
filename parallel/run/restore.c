// SPDX-License-Identifier: MIT
// Read restore_open() first. What does not fit is collected, not told at the first: whoever resumes
// with three wrong options learns of three.
#include "parallel/run/restore.h"

#include "core/base/bf16.h"
#include "core/base/f16.h"
#include "core/base/text.h"
#include "core/data/safetensors_experts.h"
#include "core/data/safetensors_index.h"
#include "core/plan/piece.h"
#include "parallel/run/checkpoint_about.h"
#include "parallel/run/rank_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MOST = 1000000000, SHAPE_TEXT = 160, LIST_TEXT = 260, VALUE_TEXT = 80 };

// --- lists for people

// "a; b; c and 4 more": what fits, and how many did not.
typedef struct {
    char text[LIST_TEXT];
    int count, left_out;
    bool weights;  // is there a parameter among them that no run with this model takes?
} List;

static void list_add(List *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void list_add(List *l, const char *fmt, ...) {
    char item[LIST_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(item, sizeof item, fmt, args);
    va_end(args);
    const char *between = l->count ? "; " : "";
    bool fits = strlen(l->text) + strlen(between) + strlen(item) < sizeof l->text - 20;
    if (fits && !l->left_out)
        text_append(l->text, sizeof l->text, "%s%s", between, item);
    else
        l->left_out++;
    l->count++;
}

static const char *list_end(List *l) {
    if (l->left_out) text_append(l->text, sizeof l->text, " and %d more", l->left_out);
    l->left_out = 0;
    return l->text;
}

static Status add_note(Job *job, const char *text) {
    Restore *s = &job->restore;
    if (s->note_count == RESTORE_NOTES) return OK;
    s->notes[s->note_count] = arena_string(&job->arena, text);
    if (!s->notes[s->note_count++]) FAIL(ERR_MEMORY, "out of memory");
    return OK;
}

// "f32 10x784"; of one element "f32 1".
static const char *shape_text(char out[SHAPE_TEXT], Dtype dtype, const int64_t *shape, int dims) {
    snprintf(out, SHAPE_TEXT, "%s ", dtype_name(dtype));
    if (!dims) text_append(out, SHAPE_TEXT, "1");
    for (int i = 0; i < dims; i++)
        text_append(out, SHAPE_TEXT, "%s%lld", i ? "x" : "", (long long)shape[i]);
    return out;
}

// --- what a file says about its run

// A value, or the first of its names and how many there are.
static const char *value_text(char out[VALUE_TEXT], const char *value) {
    size_t first = strcspn(value, ",");
    int names = 1;
    for (const char *c = value; *c; c++) names += *c == ',';
    if (strlen(value) < VALUE_TEXT || !value[first])
        snprintf(out, VALUE_TEXT, "%s", value);
    else
        snprintf(out, VALUE_TEXT, "%.*s and %d more", (int)(first < 60 ? first : 60), value,
                 names - 1);
    return out;
}

static void compare_texts(Job *job, const SafetensorsText *mine, int count, List *wrong,
                          List *other) {
    for (int i = 0; i < count; i++) {
        const char *key = mine[i].key, *value = safetensors_text(&job->restore.file, key);
        AboutKind kind = checkpoint_about_kind(key);
        if (job->options.evaluate_only && kind != ABOUT_SAME_SAMPLES) continue;
        if (job->options.generates && strcmp(key, "data_hash")) continue;  // what tokens mean
        if (kind == ABOUT_INFORMATION || (value && !strcmp(value, mine[i].value))) continue;
        bool needed = kind == ABOUT_MUST_EQUAL || kind == ABOUT_SAME_SAMPLES;
        if (!value && !needed) continue;  // of a plan, or of another update rule
        char theirs[VALUE_TEXT], ours[VALUE_TEXT];
        list_add(kind == ABOUT_MAY_DIFFER ? other : wrong, "%s %s, here %s", key,
                 value_text(theirs, value ? value : "not known"), value_text(ours, mine[i].value));
    }
}

// Whoever evaluates with weights alone is told where held-out samples may have been trained on.
static Status note_other_samples(Job *job) {
    SafetensorsText *mine;
    int count;
    List other = {0};
    char note[LIST_TEXT + 200];
    TRY(checkpoint_about(&mine, &count, &job->arena, job, 0));
    for (int i = 0; i < count; i++) {
        const char *key = mine[i].key, *value = safetensors_text(&job->restore.file, key);
        bool differs = value && strcmp(value, mine[i].value) != 0;
        if (differs && checkpoint_about_kind(key) == ABOUT_SAME_SAMPLES)
            list_add(&other, "%s %s, here %s", key, value, mine[i].value);
    }
    if (!other.count) return OK;
    snprintf(note, sizeof note, "%.100s: %s; so it may have been trained on what is held out here",
             job->restore.path, list_end(&other));
    return add_note(job, note);
}

static Status compare_about(Job *job, List *wrong) {
    SafetensorsText *mine;
    int count;
    List other = {0};
    char note[LIST_TEXT + 200];
    TRY(checkpoint_about(&mine, &count, &job->arena, job, 0));
    compare_texts(job, mine, count, wrong, &other);
    if (!other.count || wrong->count) return OK;
    snprintf(note, sizeof note,
             "%.100s: %s; so this run computes other numbers than one that was "
             "not stopped",
             job->restore.path, list_end(&other));
    return add_note(job, note);
}

static Status read_step(Job *job) {
    Restore *s = &job->restore;
    const char *format = safetensors_text(&s->file, "format"),
               *steps = safetensors_text(&s->file, "steps");
    char *end = NULL;
    if (!format || strcmp(format, "tandem") || !steps)
        FAIL(ERR_INPUT,
             "%s: the file does not say where a run stopped; it is none of Tandem's checkpoints. "
             "--load takes its weights alone",
             s->path);
    s->step = strtoll(steps, &end, 10);
    if (end == steps || *end || s->step < 0 || s->step > STEPS_MOST)
        FAIL(ERR_FORMAT, "%s: __metadata__: steps: expected 0 to %d, found '%.40s'", s->path,
             STEPS_MOST, steps);
    return OK;
}

// --- its tensors

// The one of a logical tensor: under its name, or that of one tied to it.
static const SafetensorsEntry *find_entry(const Restore *s, const Program *p, int logical) {
    const SafetensorsEntry *e =
        safetensors_find(&s->file, program_name(p, p->logicals[logical].name));
    for (int l = 0; l < p->logical_count && !e; l++)
        if (p->logicals[l].tied_to == logical)
            e = safetensors_find(&s->file, program_name(p, p->logicals[l].name));
    return e;
}

static bool is_real(Dtype d) { return dtype_is_real(d) || d == DTYPE_F16; }

// With --load the optimiser begins anew, and so does other state that the file does not have; an
// evaluation has no use for it.
static bool is_wanted(const Restore *s, Role role) {
    return s->whole || (role != ROLE_OPTIMISER && role != ROLE_FEEDBACK);
}

static bool has_shape(const SafetensorsEntry *e, const Logical *l) {
    return e->dims == l->dims && !memcmp(e->shape, l->shape, sizeof *l->shape * (size_t)l->dims);
}

// Is a tensor the optimiser's for one of these parameters, "fc1.weight.velocity" for fc1.weight? A
// run that is resumed with others frozen has it where the file has none, or the other way round.
static bool is_state_of(const char *frozen, const char *name) {
    for (const char *at = frozen; at && *at; at += *at == ',') {
        size_t length = strcspn(at, ",");
        if (!strncmp(at, name, length) && name[length] == '.') return true;
        at += length;
    }
    return false;
}

// Errors of shards, a row each, of a run with another number of them: their sum is what counts.
static bool has_other_shards(const SafetensorsEntry *e, const Logical *l) {
    if (l->role != ROLE_FEEDBACK || e->dims != l->dims || !strstr(e->name, ".error")) return false;
    for (int d = 1; d < l->dims; d++)
        if (e->shape[d] != l->shape[d]) return false;
    return e->shape[0] > 0 && e->shape[0] != l->shape[0] && e->dtype == l->dtype;
}

// Factors of the pieces that tensor-parallel ranks had of a gradient, of a run with others.
static bool has_other_pieces(const SafetensorsEntry *e, const Logical *l) {
    return l->role == ROLE_FEEDBACK && !has_shape(e, l) && strstr(e->name, ".factor") &&
           e->dims == l->dims && e->dtype == l->dtype;
}

static void check_logical(const Restore *s, const Program *p, int logical, Role role, List *wrong,
                          List *missing) {
    const Logical *l = &p->logicals[logical];
    const SafetensorsEntry *e = find_entry(s, p, logical);
    const char *name = program_name(p, l->name);
    char is[SHAPE_TEXT], want[SHAPE_TEXT];
    shape_text(want, (Dtype)l->dtype, l->shape, l->dims);
    if (!e) {
        bool kept = role == ROLE_OPTIMISER || role == ROLE_FEEDBACK,
             thawed = kept && (is_state_of(safetensors_text(&s->file, "frozen"), name) ||
                               (role == ROLE_FEEDBACK && s->refrozen)),
             needed = (s->whole && !thawed) || role == ROLE_PARAMETER;
        wrong->weights |= role == ROLE_PARAMETER;
        list_add(needed ? wrong : missing, "%s is not in it, here %s", name, want);
        return;
    }
    bool type =
        e->dtype == l->dtype || (!s->whole && is_real(e->dtype) && is_real((Dtype)l->dtype));
    if (type && (has_shape(e, l) || has_other_shards(e, l))) return;
    wrong->weights |= role == ROLE_PARAMETER && !has_shape(e, l);
    list_add(has_other_pieces(e, l) ? missing : wrong, "%s is %s, here %s", name,
             shape_text(is, e->dtype, e->shape, e->dims), want);
}

// Error feedback is of one use of a parameter, which may be tied and have another name.
static bool is_feedback(const char *name) { return strstr(name, ".grad.") != NULL; }

// Names of the file that no tensor of the job has.
static bool is_known(const Job *job, const char *name) {
    for (int c = 0; c < job->set.count; c++) {
        const Program *p = &job->set.programs[c];
        int l = program_find_logical(p, name);
        if (l == NONE) continue;
        int root = p->logicals[l].tied_to == NONE ? l : p->logicals[l].tied_to;
        for (int t = 0; t < p->tensor_count; t++)
            if (p->tensors[t].logical == root && rank_saves(p, t))
                return is_wanted(&job->restore, (Role)p->tensors[t].role);
    }
    return false;
}

// Each once, whichever classes of ranks have it.
static Status check_tensors(Job *job, List *wrong, List *missing) {
    int logicals = program_shared_logicals(&job->set.programs[0]);
    bool *seen = ARENA_NEW(&job->arena, bool, logicals + 1);
    if (!seen) FAIL(ERR_MEMORY, "out of memory");
    for (int c = 0; c < job->set.count; c++) {
        const Program *p = &job->set.programs[c];
        for (int t = 0; t < p->tensor_count; t++) {
            int l = p->tensors[t].logical;
            if (!rank_saves(p, t) || seen[l] || !is_wanted(&job->restore, (Role)p->tensors[t].role))
                continue;
            seen[l] = true;
            check_logical(&job->restore, p, l, (Role)p->tensors[t].role, wrong, missing);
        }
    }
    return OK;
}

static void check_rest(const Job *job, const char *frozen, List *wrong, List *unused) {
    const Restore *s = &job->restore;
    for (int i = 0; i < s->file.count; i++) {
        const SafetensorsEntry *e = &s->file.entries[i];
        char is[SHAPE_TEXT];
        if (is_known(job, e->name)) continue;
        bool left = is_state_of(frozen, e->name) || (s->refrozen && is_feedback(e->name));
        if (s->resumes && !left)
            list_add(wrong, "%s is %s, here none", e->name,
                     shape_text(is, e->dtype, e->shape, e->dims));
        else
            list_add(unused, "%s", e->name);
    }
}

static Status tell_moved_errors(Job *job) {
    const Program *p = &job->set.programs[0];
    char note[LIST_TEXT + 200];
    for (int l = 0; l < p->logical_count && job->restore.whole; l++) {
        const SafetensorsEntry *e = find_entry(&job->restore, p, l);
        if (!e || !has_other_shards(e, &p->logicals[l])) continue;
        snprintf(note, sizeof note,
                 "%.100s: what compression had not sent of %lld shards is added up and goes to the "
                 "first of %lld",
                 job->restore.path, (long long)e->shape[0], (long long)p->logicals[l].shape[0]);
        return add_note(job, note);
    }
    return OK;
}

static Status tell_notes(Job *job, List *missing, List *unused) {
    const Restore *s = &job->restore;
    char note[LIST_TEXT + 200];
    TRY(tell_moved_errors(job));
    if (unused->count) {
        snprintf(note, sizeof note, "%.100s: %d tensor%s not used: %s", s->path, unused->count,
                 unused->count == 1 ? " is" : "s are", list_end(unused));
        TRY(add_note(job, note));
    }
    if (!missing->count) return OK;
    snprintf(note, sizeof note, "%.100s: begin as without it: %s", s->path, list_end(missing));
    return add_note(job, note);
}

static Status check(Job *job) {
    const JobOptions *o = &job->options;
    const Restore *s = &job->restore;
    List wrong = {0}, missing = {0}, unused = {0};
    const char *frozen;
    TRY(checkpoint_about_frozen(&frozen, &job->arena, job));
    const char *before = safetensors_text(&s->file, "frozen");
    job->restore.refrozen = before && strcmp(before, frozen) != 0;
    if (s->resumes) TRY(compare_about(job, &wrong));
    if (!s->resumes && o->evaluate_only && !o->generates) TRY(note_other_samples(job));
    TRY(check_tensors(job, &wrong, &missing));
    if (!o->evaluate_only) check_rest(job, frozen, &wrong, &unused);
    if (!wrong.count) return tell_notes(job, &missing, &unused);
    FAIL(ERR_SHAPE, "%.100s does not fit: %s; %s", s->path, list_end(&wrong),
         wrong.weights ? "give the --model whose weights these are" : "--load takes weights alone");
}

static Status check_steps(Job *job) {
    const JobOptions *o = &job->options;
    job->first_step = job->restore.step;
    if (o->evaluate_only) {
        job->steps = job->first_step;
        if (job->evaluation_turns || o->generates) return OK;
        if (!job->split.test_count)
            FAIL(ERR_USAGE, "--evaluate: no samples are held out; give --test-fraction");
        FAIL(ERR_USAGE, "--evaluate: the plan file has no plan of each_epoch");
    }
    if (job->first_step < job->steps) return OK;
    FAIL(ERR_USAGE,
         "--resume %.200s was saved after step %lld, and the run has %lld in all: give more "
         "--%s, or --evaluate",
         job->restore.path, (long long)job->first_step, (long long)job->steps,
         o->steps ? "steps" : "epochs");
}

// Does some class have this tensor, of which the file has nothing but experts?
static bool wants_whole(const void *context, const char *whole) {
    const Job *job = context;
    for (int c = 0; c < job->set.count; c++)
        if (program_find_logical(&job->set.programs[c], whole) != NONE)
            return !safetensors_find(&job->restore.file, whole);
    return false;
}

static Status read_file(Job *job) {
    Restore *s = &job->restore;
    TRY(safetensors_is_index(s->path) ? safetensors_read_index(&s->file, &job->arena, s->path)
                                      : safetensors_read(&s->file, &job->arena, s->path));
    return safetensors_join_experts(&s->file, &job->arena, wants_whole, job);
}

Status restore_open(Job *job) {
    const JobOptions *o = &job->options;
    Restore *s = &job->restore;
    s->path = o->resume ? o->resume : o->load;
    s->resumes = o->resume != NULL;
    s->whole = s->resumes && !o->evaluate_only;
    if (!s->path) return OK;
    const char *option = s->resumes ? "--resume" : "--load";
    Status done = read_file(job);
    if (done == OK && s->resumes) done = read_step(job);
    if (s->resumes) job->options.info.resumed_from = s->path;
    job->options.info.resumed_step = s->step;
    if (done == OK) done = check(job);
    if (done != OK) FAIL(done, "%s %s", option, status_message());
    return check_steps(job);
}

// --- a rank's pieces

// `count` elements, from places of the whole to places of the piece. Equal types are copied.
static void convert(Dtype to_type, void *to, int64_t at, const SafetensorsEntry *e, int64_t from,
                    int64_t count) {
    int64_t size = dtype_bytes(to_type);
    if (to_type == e->dtype) {
        memcpy((char *)to + at * size, (const char *)e->data + from * size, (size_t)(count * size));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        double x = dtype_read(e->dtype, e->data, from + i);
        switch (to_type) {
        case DTYPE_F64: ((double *)to)[at + i] = x; break;
        case DTYPE_BF16: ((Bf16 *)to)[at + i] = bf16_from_f32((float)x); break;
        case DTYPE_F16: ((F16 *)to)[at + i] = f16_from_f32((float)x); break;
        default: ((float *)to)[at + i] = (float)x;
        }
    }
}

// The sum of the errors of all shards, in their order, is the first one's; others begin with none.
static void fill_sum(const Tensor *t, void *values, const SafetensorsEntry *e,
                     const PieceRun *run) {
    int64_t row = safetensors_bytes(e) / dtype_bytes(e->dtype) / e->shape[0];
    for (int64_t i = 0; i < run->count && run->whole + i < row; i++)
        for (int64_t s = 0; s < e->shape[0]; s++) {
            double x = dtype_read(e->dtype, e->data, s * row + run->whole + i);
            if (t->dtype == DTYPE_F64)
                ((double *)values)[run->local + i] += x;
            else
                ((float *)values)[run->local + i] += (float)x;
        }
}

static Status fill(Executor *to, int tensor, const SafetensorsEntry *e) {
    const Program *p = to->program;
    const Tensor *t = &p->tensors[tensor];
    int coordinate[AXES];
    PieceWalk walk;
    PieceRun run;
    void *values = calloc(1, (size_t)t->bytes + 1);
    if (!values) FAIL(ERR_MEMORY, "no memory for %s of a checkpoint", tensor_name(p, tensor));
    program_coordinates(p, to->rank, coordinate);
    piece_walk(&walk, p, t, coordinate);
    bool other = has_other_shards(e, &p->logicals[t->logical]);
    while (piece_next(&walk, &run))
        if (other)
            fill_sum(t, values, e, &run);
        else
            convert((Dtype)t->dtype, values, run.local, e, run.whole, run.count);
    Status s = executor_write(to, tensor, values);
    free(values);
    return s;
}

Status restore_fill(const Restore *s, Executor *e) {
    const Program *p = e->program;
    if (!s->path) return OK;
    for (int t = 0; t < p->tensor_count; t++) {
        if (!rank_saves(p, t) || !is_wanted(s, (Role)p->tensors[t].role)) continue;
        const SafetensorsEntry *entry = find_entry(s, p, p->tensors[t].logical);
        if (entry && !has_other_pieces(entry, &p->logicals[p->tensors[t].logical]))
            TRY(fill(e, t, entry));
    }
    return OK;
}
