#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training steps of the built-in network (net) in PyTorch, for bench/train.

usage: pytorch_net.py plain|tuned RANKS SECONDS BATCH...     prints one JSON object per batch size

plain   what a user writes first: NCHW, defaults.
tuned   channels-last memory; the caller also sets malloc's thresholds in the environment, so that
        freed memory is kept.
One thread a rank. With 2 ranks or more: DistributedDataParallel over gloo, BATCH per rank.
"""
import json, os, statistics, sys, time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 20, 5)
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.reshape(x.size(0), 320))))


def measure(tuned, ranks, seconds, batch):
    torch.manual_seed(1)
    net = Net()
    xs = [torch.randn(batch, 1, 28, 28) for _ in range(8)]
    ys = [torch.randint(0, 10, (batch,)) for _ in range(8)]
    if tuned:
        net = net.to(memory_format=torch.channels_last)
        xs = [x.to(memory_format=torch.channels_last) for x in xs]
    model = net
    if ranks > 1:
        model = nn.parallel.DistributedDataParallel(net, gradient_as_bucket_view=True)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def step(i):
        optimiser.zero_grad()
        F.cross_entropy(model(xs[i % 8]), ys[i % 8]).backward()
        optimiser.step()

    begin = time.perf_counter()
    for i in range(10):
        step(i)
    steps = max(10, int(seconds / ((time.perf_counter() - begin) / 10)))
    if ranks > 1:  # every rank must do as many
        count = torch.tensor([steps])
        torch.distributed.broadcast(count, 0)
        steps = int(count)
    times = []
    for i in range(steps):
        begin = time.perf_counter()
        step(i)
        times.append(time.perf_counter() - begin)
    rate = ranks * batch / statistics.median(times)
    return {'batch': batch, 'samples_per_s': rate, 'steps': steps}


def work(rank, tuned, ranks, seconds, batches, port):
    torch.set_num_threads(1)
    if ranks > 1:
        os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), GLOO_SOCKET_IFNAME='lo')
        torch.distributed.init_process_group('gloo', rank=rank, world_size=ranks)
    for batch in batches:
        result = measure(tuned, ranks, seconds, batch)
        if rank == 0:
            print(json.dumps(result), flush=True)
    if ranks > 1:
        torch.distributed.barrier()
        os._exit(0)  # destroy_process_group() may hang with gloo in PyTorch 1.13


if __name__ == '__main__':
    kind, ranks, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    batches = [int(b) for b in sys.argv[4:]]
    arguments = (kind == 'tuned', ranks, seconds, batches, 20000 + os.getpid() % 20000)
    if ranks > 1:
        torch.multiprocessing.spawn(work, arguments, nprocs=ranks)
    else:
        work(0, *arguments)
