#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same collectives of PyTorch over gloo, measured as collectives.c measures ours.

usage: collectives_gloo.py RANKS OP LEAST MOST FACTOR ROUNDS
Prints lines: bytes, us (out of place -1: gloo's are in place), us in place, wrong elements.
"""
import os
import statistics
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as processes

ROUND_S = 20e-3


def brought(rank, elements):
    return ((rank * 7 + torch.arange(elements) * 3) % 17 - 8).float()


def case(op, rank, ranks, elements):
    """What is called, the tensor that it fills, and what must be in it."""
    x = brought(rank, elements)
    total = sum(brought(r, elements) for r in range(ranks))
    if op == 'all_reduce':
        return lambda: dist.all_reduce(x), x, total
    if op == 'broadcast':
        return lambda: dist.broadcast(x, 0), x, brought(0, elements)
    if op == 'reduce':
        return lambda: dist.reduce(x, 0), x, None if rank else total
    if op == 'all_gather':
        piece = brought(rank, elements // ranks)
        parts = list(torch.empty(elements).chunk(ranks))
        wanted = torch.cat([brought(r, elements // ranks) for r in range(ranks)])
        return lambda: dist.all_gather(parts, piece), parts, wanted
    sys.exit(f'gloo has no {op}')


def repeat(call, count):
    dist.barrier()
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def work(rank, ranks, port, op, least, most, factor, rounds):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), GLOO_SOCKET_IFNAME='lo')
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=ranks)
    size = least
    while size <= most:
        elements = (size // 4 + ranks - 1) // ranks * ranks
        call, result, wanted = case(op, rank, ranks, elements)
        call()
        found = torch.cat(result) if isinstance(result, list) else result
        wrong = torch.tensor([0 if wanted is None else int((found != wanted).sum())])
        dist.all_reduce(wrong)
        for tensor in result if isinstance(result, list) else [result]:
            tensor.zero_()
        repeat(call, 2)
        count = torch.tensor([1 + int(ROUND_S / (repeat(call, 3) + 1e-8))])
        dist.broadcast(count, 0)
        median = statistics.median(repeat(call, int(count)) for _ in range(rounds))
        if rank == 0:
            print(f'{elements * 4} -1 {median * 1e6:.3f} {int(wrong)}', flush=True)
        size *= factor
    dist.barrier()
    os._exit(0)  # gloo may hang while it is torn down


if __name__ == '__main__':
    numbers = [int(a) for a in sys.argv[3:]]
    processes.spawn(work, (int(sys.argv[1]), 20000 + os.getpid() % 20000, sys.argv[2], *numbers),
                    nprocs=int(sys.argv[1]))
