// SPDX-License-Identifier: MIT
// A simulated network of its own, on which tests send messages and see when they end.
#ifndef TESTS_SUPPORT_TOPOLOGY_CASE_H
#define TESTS_SUPPORT_TOPOLOGY_CASE_H

#include "sim/transfer.h"
#include "tests/support/testing.h"

typedef struct {
    Engine engine;
    Network network;
    Topology topology;
    Transfers transfers;
    int16_t actor;    // who hears of messages that end
    int ended;        // so many
    int64_t last_ps;  // when the last did
} TopologyCase;

void topology_case_init(TopologyCase *c, const TopologyOptions *o);
void topology_case_finish(TopologyCase *c);

// From device to device, now.
void topology_case_send(TopologyCase *c, int from, int to, int64_t bytes);

#endif
