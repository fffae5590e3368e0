#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write numbers.f8: 20 steps of graph.model by PyTorch, in float64. README.md says what is in it."""
import math
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

ROWS, SAMPLES, STEPS, CLASSES = 16, 64, 20, 5


class SplitMix:
    def __init__(self, seed):
        self.state = seed

    def next(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def symmetric(self, count):
        return np.array([2 * ((self.next() >> 40) / 2**24) - 1 for _ in range(count)])


class Graph(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.res = nn.ModuleList(nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
                                 for _ in range(2))
        self.c = nn.Conv2d(4, 8, 2)
        self.enc = nn.Linear(8, 8)
        self.dec = nn.Linear(8, 8)
        self.dec.weight = self.enc.weight
        self.logits = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = F.gelu(self.stem(x))
        for a, b in self.res:
            x = b(F.gelu(a(x))) + x
        x = F.adaptive_avg_pool2d(self.c(F.avg_pool2d(x, 3, stride=2)), 1)
        v = x.flatten(1)
        return self.logits(self.dec(F.gelu(self.enc(v))) + v)


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    model = Graph()
    mix = SplitMix(3003)
    labels = torch.tensor([(mix.next() >> 33) % CLASSES for _ in range(SAMPLES)])
    images = mix.symmetric(SAMPLES * 72).astype(np.float32).astype(np.float64)
    images = torch.tensor(images.reshape(SAMPLES, 1, 9, 8))
    parameters = list(model.parameters())  # a tied one is there once
    fan_in = 0
    with torch.no_grad():
        for p in parameters:
            if p.dim() > 1:
                fan_in = math.prod(p.shape[1:])
            w = mix.symmetric(p.numel()) / math.sqrt(fan_in)
            p.copy_(torch.tensor(w.astype(np.float32).astype(np.float64).reshape(p.shape)))
    sgd = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    losses, gradient = [], None
    for step in range(STEPS):
        first = step * ROWS % SAMPLES
        sgd.zero_grad()
        loss = F.cross_entropy(model(images[first:first + ROWS]), labels[first:first + ROWS])
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            gradient = [p.grad.numpy().copy().ravel() for p in parameters]
        sgd.step()
    weights = [p.detach().numpy().ravel() for p in parameters]
    out = np.concatenate([np.array(losses), *gradient, *weights]).astype('<f8')
    pathlib.Path(__file__).with_name('numbers.f8').write_bytes(out.tobytes())
    print([n for n, _ in model.named_parameters()], len(out), losses[0], losses[-1])


main()
