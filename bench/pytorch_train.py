#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training steps in eager PyTorch: of the network that bench/train measures, of GPT-2 (4 layers x
256, sequence 128) and of the ResNet-8 for CIFAR-10.

usage: pytorch_train.py net|gpt|resnet8 plain|tuned RANKS SECONDS BATCH...
Prints one JSON object per batch size.

plain   what a user writes first: NCHW, defaults.
tuned   channels-last memory of images; the caller also sets malloc's thresholds in the environment,
        so that freed memory is kept.
One thread a rank. With 2 ranks or more: DistributedDataParallel over gloo, BATCH per rank.
"""
import json, os, statistics, sys, time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    """The built-in network: two convolutions, two linear layers."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 20, 5)
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.reshape(x.size(0), 320))))


LAYERS, HIDDEN, HEADS, SEQUENCE, VOCABULARY = 4, 256, 4, 128, 65


class Block(nn.Module):
    """GPT-2's: attention and a perceptron, each behind a layer norm, added to what came in."""

    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.c_attn, self.c_proj = nn.Linear(HIDDEN, 3 * HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.up, self.down = nn.Linear(HIDDEN, 4 * HIDDEN), nn.Linear(4 * HIDDEN, HIDDEN)
        self.register_buffer('future', torch.ones(SEQUENCE, SEQUENCE, dtype=torch.bool).triu(1))

    def attention(self, x):
        B, T, C = x.shape
        q, k, v = (t.view(B, T, HEADS, C // HEADS).transpose(1, 2)
                   for t in self.c_attn(x).split(C, dim=2))
        if hasattr(F, 'scaled_dot_product_attention'):  # from PyTorch 2.0 on
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(-2, -1) * (C // HEADS) ** -0.5
            y = F.softmax(scores.masked_fill(self.future, float('-inf')), dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))

    def forward(self, x):
        x = x + self.attention(self.ln_1(x))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate='tanh'))


class Gpt(nn.Module):
    """GPT-2: learned positions, layer norms first, the head tied to the embedding, no dropout."""

    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(SEQUENCE, HIDDEN)
        self.h = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.ln_f = nn.LayerNorm(HIDDEN)
        for weight in (self.wte.weight, self.wpe.weight):
            nn.init.normal_(weight, std=0.02)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.size(1)))
        return F.linear(self.ln_f(self.h(x)), self.wte.weight).flatten(0, 1)


class Residual(nn.Module):
    """Two convolutions, each normalised; a 1x1 one on the shortcut where the shape changes."""

    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        self.shortcut = nn.Identity()
        if stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False),
                                          nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet8(nn.Module):
    """The form for CIFAR-10 of He et al. 2015 with one block of 16, 32 and 64 channels each."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.fc(x.mean(dim=(2, 3)))


def images(*shape):
    return lambda batch: (torch.randn(batch, *shape), torch.randint(0, 10, (batch,)))


def tokens(batch):
    text = torch.randint(0, VOCABULARY, (batch, SEQUENCE + 1))
    return text[:, :-1].contiguous(), text[:, 1:].flatten()


def sgd(net):
    return torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)


def adamw(net):  # decay on tensors of two and more dimensions, as GPT-2's training does
    decayed, others = [], []
    for p in net.parameters():
        (decayed if p.dim() >= 2 else others).append(p)
    groups = [{'params': decayed, 'weight_decay': 0.1}, {'params': others, 'weight_decay': 0}]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))


# The network, a batch of its input and labels, its optimiser.
MODELS = {'net': (Net, images(1, 28, 28), sgd), 'gpt': (Gpt, tokens, adamw),
          'resnet8': (ResNet8, images(1, 28, 28), sgd)}


def measure(model, tuned, ranks, seconds, batch):
    torch.manual_seed(1)
    make, draw, optimise = MODELS[model]
    net = make()
    data = [draw(batch) for _ in range(8)]
    if tuned and data[0][0].dim() == 4:
        net = net.to(memory_format=torch.channels_last)
        data = [(x.to(memory_format=torch.channels_last), y) for x, y in data]
    module = net
    if ranks > 1:
        module = nn.parallel.DistributedDataParallel(net, gradient_as_bucket_view=True)
    optimiser = optimise(net)

    def step(i):
        x, y = data[i % 8]
        optimiser.zero_grad()
        F.cross_entropy(module(x), y).backward()
        optimiser.step()

    begin = time.perf_counter()
    for i in range(5):
        step(i)
    steps = max(10, int(seconds / ((time.perf_counter() - begin) / 5)))
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


def work(rank, model, tuned, ranks, seconds, batches, port):
    torch.set_num_threads(1)
    if ranks > 1:
        os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), GLOO_SOCKET_IFNAME='lo')
        torch.distributed.init_process_group('gloo', rank=rank, world_size=ranks)
    for batch in batches:
        result = measure(model, tuned, ranks, seconds, batch)
        if rank == 0:
            print(json.dumps(result), flush=True)
    if ranks > 1:
        torch.distributed.barrier()
        os._exit(0)  # destroy_process_group() may hang with gloo in PyTorch 1.13


if __name__ == '__main__':
    model, kind, ranks, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    batches = [int(b) for b in sys.argv[5:]]
    arguments = (model, kind == 'tuned', ranks, seconds, batches, 20000 + os.getpid() % 20000)
    if ranks > 1:
        torch.multiprocessing.spawn(work, arguments, nprocs=ranks)
    else:
        work(0, *arguments)
