// SPDX-License-Identifier: MIT
// Ping-pong between two ranks, over the communicator that the trainer uses; and a message whose
// buffer is written to before it has arrived.
#include "lessons/07_message/message.h"

#include "core/base/clock.h"
#include "core/platform/machine.h"
#include "lessons/engine/ranks.h"
#include "lessons/engine/translate.h"
#include "viz/alpha_beta.h"

#include <math.h>
#include <time.h>

enum { SMALLEST = 8, REPEATED = 200, TRIES = 5 };
static const double LINE_ERROR = 0.15;  // mean

// --- a described host

typedef struct {
    double alpha_s, wake_s, bytes_per_s;
} Described;

// The receiver sees the note and copies: each byte is read and written.
static Status describe(Described *out, const LessonRun *run) {
    Machine *m = ARENA_NEW(run->arena, Machine, 1);
    if (!m) FAIL(ERR_MEMORY, "out of memory for a machine");
    TRY(machine_read(m, run->arena, "laptop"));
    *out = (Described){1e-12 * (double)(m->host.poll_ps + m->host.dispatch_ps),
                       1e-12 * (double)m->host.wake_ps, (double)m->host.fold_bytes_per_s / 2};
    return OK;
}

static double described_s(const Described *d, double bytes) {
    return d->alpha_s + bytes / d->bytes_per_s;
}

// --- the line

static Status fit(Message *x) {
    double us[MESSAGE_SIZES];
    AlphaBeta line;
    for (int i = 0; i < MESSAGE_SIZES; i++) us[i] = 1e6 * x->time_s[i];
    TRY(alpha_beta_fit(&line, x->bytes, us, MESSAGE_SIZES));
    x->alpha_s = 1e-6 * line.alpha_us;
    x->alpha_low_s = 1e-6 * line.alpha_low;
    x->alpha_high_s = 1e-6 * line.alpha_high;
    x->bytes_per_s = 1e6 * line.beta;
    x->low_bytes_per_s = 1e6 * line.beta_low;
    x->high_bytes_per_s = 1e6 * line.beta_high;
    x->error = line.mean_error < 1e-9 ? 0 : line.mean_error;  // rounding
    x->held_bytes = SMALLEST * round(x->held_factor * message_half_bytes(x) / SMALLEST);
    return OK;
}

Status message_describe(const LessonRun *run, Message *x) {
    Described d;
    TRY(describe(&d, run));
    for (int i = 0; i < MESSAGE_REPEATS; i++)
        x->repeat_s[i] = described_s(&d, SMALLEST) + (i == 0 ? d.wake_s : 0);
    for (int i = 0; i < MESSAGE_SIZES; i++) {
        x->bytes[i] = i == 0 ? SMALLEST : 512 * pow(4, i - 1);
        x->time_s[i] = described_s(&d, x->bytes[i]);
    }
    x->simulated = run->virtual_time;
    return fit(x);
}

// --- ping-pong

typedef struct {
    const double *bytes;
    int sizes, repeats;
    double *time_s;  // [repeats][sizes]
} PingPong;

static CommCall message(bool receive, int peer, const CommSegment *what) {
    return (CommCall){.kind = COLLECTIVE_ALL_REDUCE,
                      .dtype = DTYPE_F32,
                      .point_to_point = true,
                      .receive = receive,
                      .root = peer,
                      .parts = 1,
                      .input_count = receive ? 0 : 1,
                      .output_count = receive ? 1 : 0,
                      .input = what,
                      .output = what,
                      .name = "a message of a lesson"};
}

// Rank 0 sends and gets the message back; half of that is one direction.
static Status bounce(Comm *c, void *context) {
    PingPong *x = context;
    CommSegment what[MESSAGE_SIZES + 1];
    CommCall first[MESSAGE_SIZES + 1], second[MESSAGE_SIZES + 1];
    for (int i = 0; i < x->sizes; i++) {
        what[i] = (CommSegment){0, (int64_t)x->bytes[i] / 4};
        first[i] = message(c->rank == 1, 1 - c->rank, &what[i]);
        second[i] = message(c->rank == 0, 1 - c->rank, &what[i]);
        TRY(comm_prepare(c, &first[i]));
        TRY(comm_prepare(c, &second[i]));
    }
    // Long enough for the other rank to fall asleep.
    if (c->rank == 0) nanosleep(&(struct timespec){0, 2000000}, NULL);
    for (int k = 0; k < x->repeats; k++)
        for (int i = 0; i < x->sizes; i++) {
            int64_t start = clock_ns();
            TRY(ranks_do(c, &first[i]));
            TRY(ranks_do(c, &second[i]));
            if (c->rank == 0) x->time_s[k * x->sizes + i] = 0.5e-9 * (double)(clock_ns() - start);
        }
    return OK;
}

// Sizes take turns, so that what disturbs the host meets all of them. What disturbs makes a message
// later, never earlier: of each size the fastest.
static Status measure(const LessonRun *run, double *time_s, const double *bytes, int sizes) {
    enum { REPEATS = 150 };
    double *all = ARENA_NEW(run->arena, double, sizes *REPEATS);
    double largest = 0;
    if (!all) FAIL(ERR_MEMORY, "out of memory for the times of messages");
    for (int i = 0; i < sizes; i++) largest = fmax(largest, bytes[i]);
    TRY(ranks_run(2, (int64_t)largest + 4096, bounce, &(PingPong){bytes, sizes, REPEATS, all}));
    for (int i = 0; i < sizes; i++) {
        time_s[i] = all[i];
        for (int k = 1; k < REPEATS; k++) time_s[i] = fmin(time_s[i], all[k * sizes + i]);
    }
    return OK;
}

Status message_run_repeats(const LessonRun *run, void *state) {
    Message *x = state;
    const double bytes = SMALLEST;
    if (x->simulated) return OK;
    for (int i = 0; i < REPEATED; i++) {
        TRY(ranks_run(2, 4096, bounce, &(PingPong){&bytes, 1, MESSAGE_REPEATS, x->repeat_s}));
        if (!question_muddled(&message_reported, x)) return OK;
    }
    FAIL(ERR_FAILED, _("this host is too busy to time a message: stop what else runs on it, or "
                       "take --virtual-time"));
}

Status message_run_sizes(const LessonRun *run, void *state) {
    Message *x = state;
    if (x->simulated) return OK;
    // Times that no line goes through were taken while something else had the cores.
    for (int i = 0; i < TRIES; i++) {
        TRY(measure(run, x->time_s, x->bytes, MESSAGE_SIZES));
        TRY(fit(x));
        if (x->error < LINE_ERROR && !question_muddled(&message_half, x)) break;
    }
    return OK;
}

// The mean by which times miss the line, a share.
static double missed(const Message *x, const double time_s[MESSAGE_SIZES]) {
    double sum = 0;
    for (int i = 0; i < MESSAGE_SIZES; i++)
        sum += fabs(time_s[i] / (x->alpha_s + x->bytes[i] / x->bytes_per_s) - 1);
    return sum / MESSAGE_SIZES;
}

Status message_run_held(const LessonRun *run, void *state) {
    Message *x = state;
    Described d;
    double bytes[MESSAGE_SIZES + 1], time_s[MESSAGE_SIZES + 1];
    TRY(describe(&d, run));
    x->held_s = described_s(&d, x->held_bytes);
    if (x->simulated) return OK;
    // The fitted sizes again beside it: where they are as before, so is the host.
    for (int i = 0; i < MESSAGE_SIZES; i++) bytes[i] = x->bytes[i];
    bytes[MESSAGE_SIZES] = x->held_bytes;
    for (int i = 0; i < TRIES; i++) {
        TRY(measure(run, time_s, bytes, MESSAGE_SIZES + 1));
        x->held_s = time_s[MESSAGE_SIZES];
        if (missed(x, time_s) < LINE_ERROR) break;
    }
    return OK;
}

// --- a buffer that is written to too early

// Rank 0 starts to send ones and then writes twos over some of them; only then rank 1 receives.
static Status overwrite(Comm *c, void *context) {
    Message *x = context;
    CommSegment what = {0, (int64_t)x->sent};
    CommCall call = message(c->rank == 1, 1 - c->rank, &what);
    CommRequest r = {0};
    float *pool = c->pool;
    char all[2] = "";
    TRY(comm_prepare(c, &call));
    for (int64_t i = 0; c->rank == 0 && i < (int64_t)x->sent; i++) pool[i] = 1;
    if (c->rank == 0) TRY(comm_start(c, &call, &r, clock_ns()));
    for (int64_t i = 0; c->rank == 0 && i < (int64_t)x->overwritten; i++) pool[i] = 2;
    TRY(comm_exchange(c, "", 1, all));
    if (c->rank == 1) {
        TRY(ranks_do(c, &call));
        for (int64_t i = 0; i < (int64_t)x->sent; i++) x->received_sum += (double)pool[i];
    }
    for (bool done = c->rank == 1; !done;) {
        TRY(comm_test(c, &r, &done));
        if (!done) TRY(comm_idle(c, &(const CommRequest *){&r}, 1, INT64_MAX));
    }
    return OK;
}

Status message_run_overwritten(const LessonRun *run, void *state) {
    Message *x = state;
    x->received_sum = 0;
    return ranks_run(2, (int64_t)x->sent * 4 + 4096, overwrite, x);
}
