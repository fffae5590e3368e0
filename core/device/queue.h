// SPDX-License-Identifier: MIT
// A device that works beside the host, lane by lane, as the streams of a GPU do. A rank opens a
// queue of so many lanes and events; what it then gives to a lane runs there in order, some time
// later. Two lanes know of each other by events alone: record() marks the place that a lane has
// reached, wait() keeps another lane from going beyond it, in the sense of the last record() before
// the wait(). Whoever reads or overwrites memory orders itself after its last use that way.
//
// Nothing here allocates but open(), prepare() and pool_create(); all may fail, with a message that
// names the call. A rank calls the methods from its own thread.
#ifndef CORE_DEVICE_QUEUE_H
#define CORE_DEVICE_QUEUE_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct KernelCall;

// Whose memory a pool is: the device's own, the device's where peers' devices reach it too, or the
// host's, which copies may use while they run ("pinned").
typedef enum { QUEUE_POOL_LOCAL, QUEUE_POOL_SHARED, QUEUE_POOL_HOST } QueuePool;

typedef struct DeviceQueue DeviceQueue;  // of one rank; the device's

typedef struct {
    // Zeroed, 64-byte aligned. The host may not touch a local pool; where it carries out the
    // communication it reads and writes the shared one. Destroyed after close().
    Status (*pool_create)(void **out, QueuePool what, int rank, int64_t bytes);
    void (*pool_destroy)(void *pool, QueuePool what, int rank);

    Status (*open)(DeviceQueue **out, int rank, int lanes, int events);
    void (*close)(DeviceQueue *q);  // waits for what runs; safe on NULL

    // Makes of a call what run() needs, once: ERR_UNAVAILABLE where the device cannot do it. The
    // call's operands and attributes stay where they are until close(), which frees *out.
    Status (*prepare)(DeviceQueue *q, const struct KernelCall *call, void **out);
    // Rows in use (Operand.live) are read before run() returns, a guard when its turn has come.
    Status (*run)(DeviceQueue *q, int lane, const void *prepared);
    // Copy from a host pool to the device's memory, and back.
    Status (*write)(DeviceQueue *q, int lane, void *to, const void *from, int64_t bytes);
    Status (*read)(DeviceQueue *q, int lane, void *to, const void *from, int64_t bytes);

    Status (*record)(DeviceQueue *q, int lane, int event);
    Status (*wait)(DeviceQueue *q, int lane, int event);
    Status (*reached)(DeviceQueue *q, int event, bool *out);  // does not wait
    Status (*synchronise)(DeviceQueue *q, int event);  // the host waits; NONE: for everything
    // When the lane reached a recorded event that has been reached, on the monotonic clock. NULL:
    // the device cannot tell, and its operations leave no spans.
    Status (*event_ns)(DeviceQueue *q, int event, int64_t *ns);
} QueueMethods;

#endif
