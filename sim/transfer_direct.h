// SPDX-License-Identifier: MIT
// A direct all-reduce over the whole network, by formula instead of message by message: its
// 2 P (P-1) messages (fewer where it has fewer elements than members) all take one of a few times,
// if nothing else travels meanwhile.
#ifndef SIM_TRANSFER_DIRECT_H
#define SIM_TRANSFER_DIRECT_H

#include "sim/transfer.h"

// Does the formula hold? The call must travel alone and have elements, member i be on device i, all
// devices of all nodes take part, and nodes have rails of their own for each device.
bool transfer_direct_applies(const TransferCall *call, const Topology *t, const Network *n);

// When each member has ended, from the arrival of the last member on; [ranks], to the picosecond
// what following the messages would give. ERR_FAILED past the end of time.
Status transfer_direct_ends(int64_t *delay_ps, const TransferCall *call, const Topology *t,
                            const Network *n) MUST_USE;

// How many messages those are.
int64_t transfer_direct_messages(const TransferCall *call);

// Count what each link carries of it.
void transfer_direct_carry(const TransferCall *call, const Topology *t, Network *n);

#endif
