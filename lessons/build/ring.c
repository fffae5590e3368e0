// SPDX-License-Identifier: MIT
// Exercise 3: all-reduce around a ring. Each rank is a thread, of which one runs at a time: whoever
// runs holds the network's lock, and gives it up only while it waits for a message. When all wait,
// that is seen at once.
#include "lessons/build/exercises.h"
#include "lessons/engine/ranks.h"
#include "lessons/engine/translate.h"
#include "parallel/collective/collective.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RANKS = 6, NOBODY = -1 };

typedef struct Message {
    struct Message *next;
    int count;
    float values[];
} Message;

typedef struct {
    BuildCheck *check;
    int ranks, elements, idle;  // idle: ranks that wait or have ended
    pthread_mutex_t lock;
    pthread_cond_t news;
    Message *first[MOST_RANKS], **end[MOST_RANKS];  // on the way from the rank before
    bool waits[MOST_RANKS];
    int64_t sent[MOST_RANKS];  // bytes
} Network;

typedef struct {
    Network *n;
    int rank;
    float *values, *scratch;
} Port;

// As in the stub.
typedef struct {
    int rank, ranks;
    void *network;
    void (*send)(void *network, int to, const float *values, int count);
    void (*receive)(void *network, int from, float *values, int count);
} Ring;
typedef void RingAllReduce(float *values, float *scratch, int elements, const Ring *ring);

#define END(...)                                               \
    do {                                                       \
        if (exercise_fail(check, __VA_ARGS__)) exercise_end(); \
    } while (0)

static void send(void *network, int to, const float *values, int count) {
    const Port *port = network;
    Network *n = port->n;
    BuildCheck *check = n->check;
    if (to != (port->rank + 1) % n->ranks || to == port->rank)
        END(_("rank %d of %d sends to rank %d, which is not the next on the ring"), port->rank,
            n->ranks, to);
    if (count < 0) END(_("rank %d sends %d elements"), port->rank, count);
    Message *m = malloc(sizeof *m + (size_t)count * sizeof *m->values);
    if (!m) END("out of memory for a message");
    *m = (Message){.count = count};
    memcpy(m->values, values, (size_t)count * sizeof *values);
    *n->end[to] = m;
    n->end[to] = &m->next;
    n->sent[port->rank] += count * (int64_t)sizeof *values;
    if (n->waits[to]) n->idle--;
    n->waits[to] = false;
    pthread_cond_broadcast(&n->news);
}

// One more that does nothing: if all do, nobody ever will.
static void rest(Network *n) {
    BuildCheck *check = n->check;
    int waiting = NOBODY;
    for (int r = 0; r < n->ranks; r++)
        if (n->waits[r]) waiting = r;
    if (++n->idle == n->ranks && waiting != NOBODY)
        END(_("rank %d waits for a message that nobody sends, and all others wait or have ended"),
            waiting);
}

static void receive(void *network, int from, float *values, int count) {
    const Port *port = network;
    Network *n = port->n;
    BuildCheck *check = n->check;
    int me = port->rank;
    if (from != (me + n->ranks - 1) % n->ranks || from == me)
        END(_("rank %d of %d receives from rank %d, which is not the one before on the ring"), me,
            n->ranks, from);
    if (!n->first[me]) {
        n->waits[me] = true;
        rest(n);
    }
    while (!n->first[me]) pthread_cond_wait(&n->news, &n->lock);
    Message *m = n->first[me];
    if (m->count != count)
        END(_("rank %d receives %d elements; the message from rank %d has %d"), me, count, from,
            m->count);
    memcpy(values, m->values, (size_t)count * sizeof *values);
    n->first[me] = m->next;
    if (!n->first[me]) n->end[me] = &n->first[me];
    free(m);
}

static void *be_rank(void *context) {
    Port *port = context;
    Network *n = port->n;
    Ring ring = {port->rank, n->ranks, port, send, receive};
    pthread_mutex_lock(&n->lock);
    ((RingAllReduce *)n->check->function)(port->values, port->scratch, n->elements, &ring);
    rest(n);
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

// --- what must come out

typedef struct {
    const float *const *values;
    float *sum;
    int elements;
} Sum;

static Status add_up(Comm *c, void *context) {
    const Sum *s = context;
    memcpy(c->pool, s->values[c->rank], (size_t)s->elements * sizeof *s->sum);
    TRY(ranks_all_reduce(c, ALGORITHM_RING, s->elements));
    if (c->rank == 0) memcpy(s->sum, c->pool, (size_t)s->elements * sizeof *s->sum);
    return OK;
}

// Bytes: of whole chunks, whose sizes differ by one element where the ranks do not divide them.
static Status compare(Network *n, const Port *ports, const float *sum, bool last) {
    BuildCheck *c = n->check;
    char name[32];
    Collective ring = {.kind = COLLECTIVE_ALL_REDUCE,
                       .algorithm = ALGORITHM_RING,
                       .ranks = n->ranks,
                       .elements = n->elements};
    int64_t most = 0, ours = collective_bytes_per_rank(&ring, sizeof *sum);
    int64_t chunk = (n->elements + n->ranks - 1) / n->ranks;
    int64_t limit = collective_rounds(&ring) * chunk * (int64_t)sizeof *sum;
    for (int r = 0; r < n->ranks; r++) {
        snprintf(name, sizeof name, _("values of rank %d"), r);
        TRY(exercise_near(c, name, ports[r].values, sum, n->elements, 0));
        if (n->first[r])
            return exercise_fail(c, _("a message to rank %d was sent and never received"), r);
        if (n->sent[r] > most) most = n->sent[r];
    }
    if (most > limit)
        return exercise_fail(c, _("a rank sent %lld bytes; passing on chunks takes %lld at most"),
                             (long long)most, (long long)limit);
    if (last) exercise_score(c, N_("sent by a rank"), "bytes", (double)most, (double)ours);
    return OK;
}

static Status one_case(BuildCheck *c, int ranks, int elements, bool last) {
    Network n = {.check = c, .ranks = ranks, .elements = elements};
    Port ports[MOST_RANKS];
    pthread_t threads[MOST_RANKS];
    const float *brought[MOST_RANKS];
    float *sum = exercise_draw_floats(c, elements, 0);
    exercise_case(c, _("ranks: %d, elements: %d"), ranks, elements);
    pthread_mutex_init(&n.lock, NULL);
    pthread_cond_init(&n.news, NULL);
    for (int r = 0; r < ranks; r++) {
        float *values = exercise_draw_floats(c, elements, 0);
        for (int i = 0; i < elements; i++)  // whole numbers: their sum is the same in any order
            values[i] = (float)exercise_draw(c, -99, 99);
        brought[r] = values;
        n.end[r] = &n.first[r];
        ports[r] = (Port){&n, r, exercise_inout(c, "values", values, elements, sizeof *values),
                          exercise_output(c, "scratch", elements, sizeof *values)};
    }
    TRY(ranks_run(ranks, elements * (int64_t)sizeof *sum + 4096, add_up,
                  &(Sum){brought, sum, elements}));
    for (int r = 0; r < ranks; r++)
        if (pthread_create(&threads[r], NULL, be_rank, &ports[r]) != 0)
            FAIL(ERR_MEMORY, "a thread for rank %d cannot be started", r);
    for (int r = 0; r < ranks; r++) pthread_join(threads[r], NULL);
    return compare(&n, ports, sum, last);
}

static Status check_ring(BuildCheck *c) {
    TRY(one_case(c, 2, 2 * exercise_draw(c, 2, 9), false));
    TRY(one_case(c, 4, 4 * exercise_draw(c, 2, 9), false));
    TRY(one_case(c, exercise_draw(c, 3, MOST_RANKS), exercise_draw(c, 40, 99), false));
    TRY(one_case(c, 5, exercise_draw(c, 1, 4), false));  // some chunks are empty
    TRY(one_case(c, 1, exercise_draw(c, 2, 9), false));
    return one_case(c, MOST_RANKS, MOST_RANKS * exercise_draw(c, 100, 200), true);
}

const Exercise exercise_ring_all_reduce = {
    .number = 3,
    .name = "ring_all_reduce",
    .title = N_("All-reduce around a ring"),
    .function = "ring_all_reduce",
    .task = N_("All-reduce around a ring: what one rank does.\n"
               "\n"
               "Every rank calls this function at the same time with its own values. When\n"
               "all have returned, values holds the sum over all ranks, on each of them.\n"
               "A rank may send to the next one, rank + 1 modulo ranks, and receive from the\n"
               "one before. send() copies and never waits; receive() waits for the next\n"
               "message, whose count must be the one that was sent. Cut the array into as\n"
               "many chunks as there are ranks: no rank may send more than a ring needs.\n"
               "There may be fewer elements than ranks, and there may be one rank.\n"),
    .hints = {N_("Two halves of ranks - 1 rounds each: after the first, each rank has the whole "
                 "sum of one chunk; in the second these sums go around."),
              N_("In round k, rank r sends chunk (r - k) mod ranks and receives chunk "
                 "(r - k - 1) mod ranks; in the first half it adds, in the second it overwrites."),
              N_("Chunk i from element i * elements / ranks up to where chunk i + 1 begins: "
                 "right for any number of elements. In C the remainder of r - k is negative where "
                 "k > r: add a multiple of ranks first.")},
    .check = check_ring,
};
