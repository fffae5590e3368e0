#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures one GPU with PyTorch: kernels by their shapes, launches, and whole training steps. A
line of JSON for each result, written at once; the first says where it comes from.

usage: bench/gpu_torch.py [--device cuda|cpu] [--seconds N] [--parts A,B..] [--out FILE]
                          [--profile FILE] [--fast] [--steps MODEL,..]

The parts, and what share of the seconds each may take; the rest of a list is left out, and the
last line says of which parts how many were.
  launch       issue and gap of raw kernels (gpu_launch.cu, where nvcc is) and of PyTorch's
  products     matrix products of layers, forward and both gradients: bf16, f32, tf32
  memory       kernels bound by memory, 4 KiB to 1 GiB read and written
  attention    scaled_dot_product_attention
  convolution  those of resnet50, vgg16, net
  step         training steps of gpu_models.py: eager, CUDA graph, torch.compile
  compile      those of step that torch.compile makes
  profile      which kernels some of the steps consist of, by torch.profiler; written to --profile
By default all but the last two. --steps: of these models only. --fast: few and small (also for
--device cpu, which has no events and no graphs).

Kernels are timed in a CUDA graph that has them many times, over operands in turn that together are
larger than the cache (64 sets at most): medians of replays, with what lies between two kernels of a
graph. A step's time is from event to event of steps that are not waited for.
"""
import argparse, itertools, json, os, shutil, statistics, subprocess, tempfile, time, traceback

import torch
import torch.nn.functional as F

import gpu_models as models
from gpu_kernels import attention, convolution, memory, products
from gpu_timing import Bench, capture, spread

SHARES = {'launch': .05, 'products': .26, 'memory': .11, 'attention': .07, 'convolution': .16,
          'step': .35, 'compile': .2, 'profile': .1}


# --- launches

def raw_launches(b):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'gpu_launch.cu')
    nvcc = shutil.which('nvcc') or '/usr/local/cuda/bin/nvcc'
    if not b.cuda or not os.path.exists(nvcc):
        b.emit(part='launch', failed='no nvcc: raw launches were not measured')
        return
    with tempfile.TemporaryDirectory() as d:
        program = os.path.join(d, 'launch')
        for command in ([nvcc, '-O2', '-arch=native', '-o', program, source], [program]):
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode:
                b.emit(part='launch', failed=(run.stderr or run.stdout)[-400:])
                return
        for line in run.stdout.splitlines():
            b.emit(**json.loads(line))


def issue_us(b, call, count=200):
    """Of the host for a call, when the device does not hold it up."""
    times = []
    for _ in range(7):
        b.wait()
        start = time.perf_counter()
        for _ in range(count):
            call()
        times.append((time.perf_counter() - start) / count * 1e6)
    b.wait()
    return statistics.median(times)


def launch(b, until):
    raw_launches(b)
    d = b.o.device
    x, w = torch.randn(32, 64, device=d), torch.randn(64, 64, device=d, requires_grad=True)
    bias = torch.zeros(64, device=d, requires_grad=True)
    y, half = torch.randn_like(x), torch.randn(32, 64, device=d, dtype=torch.bfloat16)
    g = torch.randn_like(x, requires_grad=True)
    calls = {
        'add in place': lambda: x.add_(1), 'add': lambda: x + y, 'cast': lambda: half.float(),
        'linear': lambda: F.linear(y, w, bias), 'gelu': lambda: F.gelu(g),
        'layer norm': lambda: F.layer_norm(g, (64,), bias, bias),
    }
    for name, call in calls.items():
        with torch.no_grad():
            call()
            plain = issue_us(b, call)
        graded = plain if name in ('add in place', 'cast', 'add') else issue_us(b, call)
        b.emit(part='launch', what='PyTorch: ' + name, launched='stream',
               issue_us=round(plain, 3), issue_with_grad_us=round(graded, 3))
    deep = torch.nn.Sequential(*(m for _ in range(20) for m in (
        torch.nn.Linear(64, 64), torch.nn.GELU(), torch.nn.LayerNorm(64)))).to(d)
    loss = lambda: deep(y).sum()
    forward = issue_us(b, loss, 5)
    both = issue_us(b, lambda: torch.autograd.grad(loss(), list(deep.parameters())), 5)
    b.emit(part='launch', what='PyTorch: 20 x (linear, gelu, layer norm)', launched='stream',
           operations=61, issue_us=round(forward, 1), issue_with_backward_us=round(both, 1))
    if not b.cuda:
        return
    b.emit(part='launch', what='PyTorch: add in place', launched='graph',
           period_us=round(b.timed([lambda: x.add_(1)])[0], 3))


# --- training steps

class Trainer:
    """dtype f32 and tf32; autocast: bf16 by torch.autocast; bf16: as sim --dtype bf16, weights that
    each step makes bf16 of f32 ones, whose gradients are made f32 before the update."""

    def __init__(self, b, name, dtype, compiled=False):
        torch.manual_seed(1)
        self.b, self.name, self.dtype = b, name, dtype
        self.model = models.MODELS[name][0]().to(b.o.device)
        if models.is_text(name):
            for p in self.model.parameters():
                if p.dim() > 1:
                    torch.nn.init.normal_(p, std=.02)
        elif name in ('resnet50', 'vgg16'):
            self.model = self.model.to(memory_format=torch.channels_last)
        self.params = list(self.model.parameters())
        self.masters = self.params
        if dtype == 'bf16':
            self.masters = [p.detach().clone() for p in self.params]
            for m in self.model.modules():
                if not isinstance(m, torch.nn.modules.batchnorm._BatchNorm):
                    for n, p in m.named_parameters(recurse=False):
                        p.data = p.data.to(torch.bfloat16)
            for p in self.masters:
                p.grad = torch.zeros_like(p)
        if models.is_text(name):
            self.optimizer = torch.optim.AdamW(self.masters, lr=1e-4, fused=True,
                                               **({'capturable': True} if b.cuda else {}))
        else:
            self.optimizer = torch.optim.SGD(self.masters, lr=1e-3, momentum=.9)
        self.run = torch.compile(self.model) if compiled else self.model

    def load(self, batch):
        self.x, self.y = models.batch_of(self.name, batch, self.b.o.device, torch.bfloat16
                                         if self.dtype == 'bf16' else torch.float32)

    def step(self):
        if self.dtype == 'bf16':
            with torch.no_grad():
                torch._foreach_copy_(self.params, self.masters)
            for p in self.params:
                p.grad = None
        else:
            self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.b.o.device, torch.bfloat16, enabled=self.dtype == 'autocast'):
            loss = F.cross_entropy(self.run(self.x), self.y)
        loss.backward()
        if self.dtype == 'bf16':
            torch._foreach_copy_([p.grad for p in self.masters], [p.grad for p in self.params])
        self.optimizer.step()
        return loss.detach()


# model, dtype, batches, modes; what matters most comes first
STEPS = [
    ('gpt2', 'bf16', (8, 1, 16), 'eager graph'),
    ('resnet50', 'bf16', (64, 256), 'eager graph'),
    ('net', 'f32', (64, 1024), 'eager graph'),
    ('bert-large', 'bf16', (8, 32), 'eager graph'),
    ('gpt2', 'autocast', (8, 1, 16), 'eager graph'),
    ('mlp', 'f32', (64, 1024), 'eager graph'),
    ('resnet50', 'autocast', (64, 256), 'eager graph'),
    ('gpt2', 'f32', (4,), 'eager graph'),
    ('vgg16', 'bf16', (32, 128), 'eager'),
    (models.LLAMA, 'bf16', (2, 4), 'eager graph'),
    ('bert-large', 'autocast', (32,), 'eager'),
    ('resnet50', 'f32', (64,), 'eager graph'),
    ('gpt2-medium', 'bf16', (8,), 'eager graph'),
    (models.SMALL, 'f32', (64,), 'eager graph'),
    ('gpt2', 'tf32', (4,), 'eager'),
    ('mlp', 'bf16', (1024,), 'eager graph'),
    ('vgg16', 'f32', (32,), 'eager'),
    ('gpt2-large', 'bf16', (4,), 'eager'),
    ('resnet50', 'tf32', (64,), 'eager'),
    ('mlp', 'tf32', (1024,), 'eager graph'),
]
COMPILED = [('gpt2', 'bf16', (8, 16), 'compile'), ('resnet50', 'bf16', (64,), 'compile')]


def measure_step(b, t, batch, mode, row):
    t.load(batch)
    for _ in range(4):
        loss = t.step()
    b.wait()
    if not b.cuda:
        us = spread([b.once_us(t.step)])
        b.emit(**row, step_ms=us[0] / 1e3, loss=float(loss))
        return
    torch.cuda.reset_peak_memory_stats()
    run = capture(t.step).replay if mode == 'graph' else t.step
    rough = b.once_us(run)
    count = max(6, min(60, int(900e3 / rough)))
    us = spread(b.intervals(run, count))
    b.emit(**row, step_ms=round(us[0] / 1e3, 4), p10_ms=round(us[1] / 1e3, 4),
           p90_ms=round(us[2] / 1e3, 4), steps=count, loss=round(float(t.step()), 4),
           parameters=sum(p.numel() for p in t.params),
           peak_bytes=torch.cuda.max_memory_allocated(),
           reserved_bytes=torch.cuda.memory_reserved())


def step(b, until, table=STEPS):
    torch.backends.cudnn.benchmark = True
    if b.o.fast:
        ways = ('compile',) if table is COMPILED else ('eager',)
        table = [(name, dtype, (2,), way) for way in ways for name, dtype in (
            ('net', 'f32'), ('net', 'bf16'), (models.SMALL, 'bf16'), (models.SMALL, 'autocast'))]
    if b.o.steps:
        table = [row for row in table if row[0] in b.o.steps.split(',')]
    for name, dtype, batches, modes in b.rows('step', table, until):
        b.precision(dtype)
        try:
            t = Trainer(b, name, dtype, modes == 'compile')
            for batch, mode in itertools.product(batches, modes.split()):
                if time.monotonic() < until:
                    row = dict(part='step', model=name, dtype=dtype, batch=batch, mode=mode,
                               optimizer='adamw' if models.is_text(name) else 'sgd')
                    measure_step(b, t, batch, mode, row)
        except RuntimeError as e:
            b.emit(part='step', model=name, dtype=dtype, failed=str(e)[:300])
        t = None
        if b.cuda:
            torch.cuda.empty_cache()


# --- what steps consist of

PROFILED = [('gpt2', 'bf16', 8), ('resnet50', 'bf16', 64), ('bert-large', 'bf16', 8),
            ('gpt2', 'autocast', 8), ('net', 'f32', 64), ('resnet50', 'autocast', 64),
            ('vgg16', 'bf16', 32), (models.LLAMA, 'bf16', 2), ('gpt2', 'f32', 4),
            ('mlp', 'f32', 1024), ('net', 'f32', 1024), ('resnet50', 'f32', 64)]


def profile(b, until):
    """The kernels of a step, captured and replayed: how many, and microseconds of all."""
    import torch.profiler as profiler
    torch.backends.cudnn.benchmark = True
    for name, dtype, batch in b.rows('profile', PROFILED if b.cuda else [], until):
        b.precision(dtype)
        t = Trainer(b, name, dtype)
        t.load(batch)
        for _ in range(4):
            t.step()
        graph = capture(t.step)
        for _ in range(3):
            graph.replay()
        b.wait()
        with profiler.profile(activities=[profiler.ProfilerActivity.CUDA]) as p:
            for _ in range(3):
                graph.replay()
            b.wait()
        kernels = [(e.key[:110], round(e.count / 3, 2), round(e.self_device_time_total / 3, 1))
                   for e in p.key_averages() if e.self_device_time_total]
        kernels.sort(key=lambda k: -k[2])
        b.emit(b.profile, part='kernels', model=name, dtype=dtype, batch=batch,
               kernels=kernels[:80])
        t = graph = None
        torch.cuda.empty_cache()


def provenance(b):
    row = dict(part='about', date=time.strftime('%Y-%m-%d'), pytorch=torch.__version__,
               seconds=b.o.seconds, device='CPU')
    if b.cuda:
        p = torch.cuda.get_device_properties(0)
        row |= dict(device=p.name, units=p.multi_processor_count, memory=p.total_memory,
                    cache=p.L2_cache_size, cuda=torch.version.cuda,
                    cudnn=torch.backends.cudnn.version())
    b.emit(**row, **clocks(b))


def clocks(b):
    asked = ('driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.draw,power.limit,'
             'temperature.gpu')
    smi = shutil.which('nvidia-smi')
    if not b.cuda or not smi:
        return {}
    run = subprocess.run([smi, '--query-gpu=' + asked, '--format=csv,noheader,nounits', '-i', '0'],
                         capture_output=True, text=True)
    return dict(zip(asked.split(','), map(str.strip, run.stdout.split(','))))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--device', default='cuda', choices=['cuda', 'cpu'])
    parser.add_argument('--seconds', type=float, default=300)
    parser.add_argument('--parts', default='launch,products,memory,attention,convolution,step')
    parser.add_argument('--out')
    parser.add_argument('--profile')
    parser.add_argument('--steps')
    parser.add_argument('--fast', action='store_true')
    o = parser.parse_args()
    b = Bench(o)
    if b.cuda:
        torch.cuda.set_stream(torch.cuda.Stream())
    provenance(b)
    parts = {'launch': launch, 'products': products, 'memory': memory, 'attention': attention,
             'convolution': convolution, 'step': step,
             'compile': lambda b, until: step(b, until, COMPILED), 'profile': profile}
    asked = [p for p in parts if p in o.parts.split(',')]
    whole = sum(SHARES[p] for p in asked) or 1
    until = time.monotonic()
    torch.backends.cudnn.benchmark = True
    for name in asked:
        until += o.seconds * SHARES[name] / whole
        start = time.monotonic()
        try:
            parts[name](b, until)
        except Exception as e:  # the other parts can be measured all the same
            traceback.print_exc()
            b.emit(part=name, failed=str(e)[:300])
        b.wait()
        b.emit(part='done', what=name, seconds=round(time.monotonic() - start, 1), **clocks(b))
        if b.cuda:
            torch.cuda.empty_cache()
    b.emit(part='end', left_out=b.left)


main()
