#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write numbers.f8: 10 steps of BERT by PyTorch, in float64. README.md says what is in it.
With --f32: how far off PyTorch's own float32 is from these."""
import pathlib
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

STEPS, BATCH, LENGTH, VOCABULARY, HIDDEN, HEADS, LAYERS, EVERY = 10, 8, 32, 66, 64, 4, 2, 29
MASK = VOCABULARY - 1
HERE = pathlib.Path(__file__).parent


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

    def below(self, n):
        return (self.next() >> 33) % n

    def symmetric(self, count):
        return np.array([2 * ((self.next() >> 40) / 2**24) - 1 for _ in range(count)])


def norm():
    return nn.LayerNorm(HIDDEN, eps=1e-12)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.attended = (nn.Linear(HIDDEN, HIDDEN)
                                                           for _ in range(4))
        self.norm1 = norm()
        self.up, self.down = nn.Linear(HIDDEN, 4 * HIDDEN), nn.Linear(4 * HIDDEN, HIDDEN)
        self.norm2 = norm()

    def forward(self, x):
        def heads(y):
            return y.view(len(x), LENGTH, HEADS, -1).transpose(1, 2)

        q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        p = F.softmax(q @ k.transpose(2, 3) / (HIDDEN // HEADS)**0.5, dim=-1)
        y = (p @ v).transpose(1, 2).reshape(x.shape)
        x = self.norm1(x + self.attended(y))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Bert(nn.Module):  # parameters in the order of Hugging Face's BertForMaskedLM
    def __init__(self):
        super().__init__()
        self.words, self.positions = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(LENGTH, HIDDEN)
        self.types = nn.Embedding(2, HIDDEN)
        self.norm = norm()
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.dense, self.dense_norm = nn.Linear(HIDDEN, HIDDEN), norm()
        self.bias = nn.Parameter(torch.zeros(VOCABULARY))

    def forward(self, tokens):
        x = self.words(tokens) + self.types.weight[0] + self.positions.weight
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x)
        x = self.dense_norm(F.gelu(self.dense(x)))
        return x @ self.words.weight.T + self.bias


def ordered(model):
    """As in the model file: the last bias stands last, where nn.Module lists it first."""
    named = dict(model.named_parameters())
    return [(n, p) for n, p in named.items() if n != 'bias'] + [('bias', named['bias'])]


def flat(tensors):
    return np.concatenate([t.detach().double().numpy().ravel() for t in tensors])


def run(dtype):
    model, mix = Bert().to(dtype), SplitMix(4005)
    for name, p in ordered(model):
        s = mix.symmetric(p.numel())
        is_norm, is_bias = 'norm' in name, 'bias' in name
        w = (0.05 * s if is_bias else 1 + 0.1 * s) if is_norm else (0.02 if is_bias else 0.08) * s
        p.data = torch.tensor(w.astype(np.float32).reshape(p.shape)).to(dtype)
    tokens, labels = (np.zeros((STEPS * BATCH, LENGTH), np.int64) for _ in range(2))
    for row in range(STEPS * BATCH):
        c = mix.below(MASK)
        for t in range(LENGTH):
            chosen = mix.below(20)
            tokens[row, t] = MASK if chosen < 3 else c
            labels[row, t] = c if chosen < 4 else -100
            c = (3 * c + 7 + mix.below(4)) % MASK
    decayed = [p for _, p in ordered(model) if p.dim() > 1]
    others = [p for _, p in ordered(model) if p.dim() == 1]
    optimizer = torch.optim.AdamW([{'params': decayed, 'weight_decay': 0.1},
                                   {'params': others, 'weight_decay': 0}],
                                  lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for step in range(STEPS):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        logits = model(torch.from_numpy(tokens[rows]))
        loss = F.cross_entropy(logits.view(-1, VOCABULARY),
                               torch.from_numpy(labels[rows]).view(-1), label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            first = flat([logits[0]])
            gradients = flat([p.grad for _, p in ordered(model)])
        optimizer.step()
        losses.append(loss.item())
    weights = flat([p for _, p in ordered(model)])
    return np.array(losses), first, gradients[::EVERY], weights[::EVERY]


def main():
    numbers = run(torch.float64)
    if '--f32' in sys.argv:
        for what, a, b in zip(('losses', 'logits', 'gradients', 'weights'), numbers,
                              run(torch.float32)):
            print(what, len(a), 'off by at most', abs(a - b).max())
    else:
        np.concatenate(numbers).astype('<f8').tofile(HERE / 'numbers.f8')


main()
