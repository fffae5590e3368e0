// SPDX-License-Identifier: MIT
// How long NCCL takes for a collective: its own tuning model (NCCL 2.28 to 2.30, src/graph/
// tuning.cc), by which it also chooses, and whose figures are therefore known of every platform.
//
//     time = latency + bytes / bandwidth
//
// for each algorithm and protocol; the smallest is taken. Latencies are a base and hops: 2 (n - 1)
// of a ring's all-reduce, twice the depth of a tree; bandwidth is that of the channels, less what a
// protocol wastes (LL sends a flag with every 4 bytes, LL128 8 in 128). Where the model speaks of
// no such collective (all-to-all, scatter, gather: sends and receives at once) the price is the
// latency of a send, 0.4 us for each further peer, as the model has it for the peers of a
// CollNetDirect, and the time of the busier of NVLink and rail.
//
// Whole numbers throughout: picoseconds, bytes per second, factors in thousandths or millionths.
#ifndef SIM_NCCL_MODEL_H
#define SIM_NCCL_MODEL_H

#include "core/platform/nccl_constants.h"
#include "parallel/collective/collective.h"

// X(constant, name as in NCCL_ALGO); the words of an option in the order of the enum, but for P2P,
// which is no choice.
#define NCCL_ALGORITHM_LIST(X)         \
    X(TREE, "Tree")                    \
    X(RING, "Ring")                    \
    X(COLLNET_DIRECT, "CollNetDirect") \
    X(COLLNET_CHAIN, "CollNetChain")   \
    X(NVLS, "NVLS")                    \
    X(NVLS_TREE, "NVLSTree")           \
    X(PAT, "PAT")                      \
    X(P2P, "P2P")
#define NCCL_ALGORITHM_WORDS "auto|tree|ring|collnetdirect|collnetchain|nvls|nvlstree|pat"
typedef enum {
    NCCL_ANY_ALGORITHM,
#define X(constant, name) NCCL_##constant,
    NCCL_ALGORITHM_LIST(X)
#undef X
        NCCL_ALGORITHMS
} NcclAlgorithm;

#define NCCL_PROTOCOL_WORDS "auto|ll|ll128|simple"
typedef enum { NCCL_ANY_PROTOCOL, NCCL_LL, NCCL_LL128, NCCL_SIMPLE, NCCL_PROTOCOLS } NcclProtocol;

const char *nccl_algorithm_name(NcclAlgorithm a);  // "Ring"; of the one for any "auto"
const char *nccl_protocol_name(NcclProtocol p);    // "LL128"

typedef struct {
    CollectiveKind kind;
    int64_t bytes;            // of the whole array; of an all-to-all, of one member's input
    int32_t ranks, nodes;     // that the members are on
    NcclAlgorithm algorithm;  // only this one, where NCCL has it for that collective
    NcclProtocol protocol;
} NcclCall;

typedef struct {
    NcclAlgorithm algorithm;
    NcclProtocol protocol;
    int32_t channels;  // that so many bytes use
    int64_t latency_ps;
    int64_t bytes_per_s;  // at which `bytes` go after that
    int64_t time_ps;      // both together
    // What of each byte passes a member's link within its node, and its rail, in each direction: in
    // 1/1024 (NCCL_WEIGHT), rounded down.
    int32_t port_weight, rail_weight;
} NcclPrice;

enum { NCCL_WEIGHT = 1024 };

// How a simulation prices communication.
typedef struct {
    const NcclConstants *constants;  // borrowed; NULL: not by this model
    NcclAlgorithm algorithm;
    NcclProtocol protocol;
    int64_t dilation;  // of times, in thousandths; 0: 1000
} NcclPricing;

// The price of the fastest, or of the one asked for. One rank has nothing to do. ERR_USAGE for
// an algorithm or protocol that the platform does not have, or nodes without constants for them.
Status nccl_price(NcclPrice *out, const NcclConstants *c, const NcclCall *call) MUST_USE;

// The same, of few calls again and again, by the same constants: micro-batches ask alike. A price
// is kept in the place that its call says until another takes that; zeroed at first.
enum { NCCL_KNOWN = 64 };
typedef struct {
    NcclCall calls[NCCL_KNOWN];
    NcclPrice prices[NCCL_KNOWN];
} NcclMemo;
Status nccl_price_again(NcclPrice *out, NcclMemo *m, const NcclConstants *c,
                        const NcclCall *call) MUST_USE;

// A message between two ranks, on one node or not.
Status nccl_price_message(NcclPrice *out, NcclMemo *m, const NcclConstants *c, int64_t bytes,
                          bool across) MUST_USE;

// Bus bandwidth as nccl-tests defines it: bytes per second times this, in 1/1000000.
int64_t nccl_model_bus_factor(CollectiveKind kind, int32_t ranks);

#endif
