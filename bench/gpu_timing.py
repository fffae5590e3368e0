# SPDX-License-Identifier: MIT
"""How gpu_torch.py times: many calls in a CUDA graph, or steps that follow each other."""
import collections, json, statistics, sys, time

import torch

TYPES = {'f32': torch.float32, 'tf32': torch.float32, 'bf16': torch.bfloat16}
COLD = 160e6  # bytes of operands in turn, more than three times the cache of an H100


class Bench:
    def __init__(self, o):
        self.o, self.cuda, self.left = o, o.device == 'cuda', {}
        self.out = open(o.out, 'a') if o.out else sys.stdout
        self.profile = open(o.profile, 'a') if o.profile else None

    def emit(self, file=None, **row):
        file = file or self.out
        file.write(json.dumps(row) + '\n')
        file.flush()

    def rows(self, part, specs, until):
        """The specifications for which there is time."""
        for i, spec in enumerate(specs):
            if time.monotonic() > until:
                self.left[part] = len(specs) - i
                return
            yield spec

    def precision(self, dtype):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype == 'tf32'

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def once_us(self, call):
        call()
        self.wait()
        start = time.perf_counter()
        for _ in range(3):
            call()
        self.wait()
        return (time.perf_counter() - start) / 3 * 1e6

    def timed(self, calls, budget_ms=60):
        """Microseconds of a call: median, 10 % and 90 %, over the calls in turn."""
        for call in calls[:4]:
            call()
        rough = self.once_us(calls[0])
        if not self.cuda:
            return (rough,) * 3
        count = max(1, min(400, int(3000 / rough) + 1), min(len(calls), 64))
        kept = collections.deque(maxlen=len(calls))  # results in turn, too
        def all_():
            for i in range(count):
                kept.append(calls[i % len(calls)]())
        graph = capture(all_)
        for _ in range(2):
            graph.replay()
        replays = max(5, min(25, int(budget_ms * 1e3 / (count * rough))))
        times = [t / count for t in self.intervals(graph.replay, replays)]
        return spread(times)

    def intervals(self, step, count):
        """Microseconds between the ends of steps that follow each other."""
        events = [torch.cuda.Event(enable_timing=True) for _ in range(count + 2)]
        for event in events:
            step()
            event.record()
        self.wait()
        return [1e3 * a.elapsed_time(b) for a, b in zip(events[1:], events[2:])]


def capture(call):
    """A graph of it. All runs in one stream that is not the default one (main)."""
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    graph.capture_begin()
    call()
    graph.capture_end()
    return graph


def spread(values):
    values = sorted(values)
    n = len(values)
    return statistics.median(values), values[n // 10], values[9 * n // 10]


def three(times):
    return dict(zip(('us', 'p10_us', 'p90_us'), (round(t, 3) for t in times)))


def sets_of(bytes_):
    return max(1, min(64, int(COLD / max(bytes_, 1)) + 1))
