# SPDX-License-Identifier: MIT
"""From what gpu_torch.py measured to the numbers of a machine file: the gap between kernels, the
curve of memory, which kinds of kernels stay below it, attention. Used by bench/products."""
import bisect, collections, json, math, random

# Kinds of work by what was measured of them: bytes that the simulator counts for each byte of the
# tensor (a kernel each). `less`: what else is in the measured time.
KINDS = (
    # kinds of work, measured, bytes in all for an element, tensors each kernel moves, less
    ('layer_norm', 'layer norm bf16', 4, (2,), None),
    ('layer_norm_backward_weight layer_norm_backward_input', 'layer norm backward bf16', 6, (2, 3),
     None),
    ('attention_softmax', 'softmax bf16', 4, (2,), None),
    ('cross_entropy', 'cross entropy bf16', 2, (3,), None),
    ('cross_entropy_backward', 'cross entropy and backward bf16', 2, (3,), 'cross entropy bf16'),
    ('batch_norm_statistics batch_norm', 'batch norm bf16', 6, (1, 2), None),
    ('batch_norm_reduce batch_norm_backward_input', 'batch norm and backward bf16', 16, (2, 3),
     'batch norm bf16'),
    ('max_pool max_pool_backward', 'max pool and backward bf16', 9, (1.375, 1.375), None),
    ('sgd', 'sgd f32', 20, (10,), None),
    ('adam', 'adam f32', 28, (14,), None),
    ('bias', 'sum of rows bf16', 2, (1,), None),
)
ELEMENTWISE = ('add f32', 'add bf16', 'relu bf16', 'cast f32 to bf16', 'gelu bf16',
               'gelu backward bf16')


def mean(values):
    values = list(values)
    return sum(values) / len(values)


class Measured:
    def __init__(self, path):
        with open(path) as f:
            self.rows = [json.loads(line) for line in f]
        self.about = self.rows[0]
        spins = {r['launched']: r for r in self.part('launch')
                 if r.get('what') == 'spin' and r['blocks'] == 1}
        self.gap, self.graph_gap = spins['stream']['gap_us'], spins['graph']['gap_us']
        self.memory = collections.defaultdict(dict)
        for r in self.part('memory'):
            self.memory[r['op']][r['bytes']] = r['us'] - self.graph_gap
        self.curve = {b: mean(self.memory[o][b] for o in ELEMENTWISE)
                      for b in sorted(self.memory['relu bf16'])}

    def part(self, name):
        return [r for r in self.rows if r['part'] == name and 'failed' not in r]

    def curve_us(self, bytes_):
        """Of an element-wise kernel, as kernel_model_memory_ps(): rates between those measured."""
        sizes = list(self.curve)
        if bytes_ <= sizes[0]:
            return self.curve[sizes[0]]
        i = min(bisect.bisect_left(sizes, bytes_), len(sizes) - 1)
        a, b = sizes[i - 1], sizes[i]
        rate = [s / self.curve[s] for s in (a, b)]
        at = min(1, (bytes_ - a) / (b - a))
        return bytes_ / (rate[0] + at * (rate[1] - rate[0]))

    def op_us(self, name, bytes_):
        """Of a measured kernel, between two sizes in proportion."""
        sizes = sorted(self.memory[name])
        i = min(max(bisect.bisect_left(sizes, bytes_), 1), len(sizes) - 1)
        a, b = sizes[i - 1], sizes[i]
        us = self.memory[name]
        return us[a] + (bytes_ - a) / (b - a) * (us[b] - us[a])

    def share(self, op, size, tensors, less):
        """Of the curve, geometric mean over 16, 64 and 256 MiB read and written; of updates, which
        do all tensors at once, from 256 MiB on."""
        shares = []
        for bytes_ in (2**28, 2**30) if op in ('adam f32', 'sgd f32') else (2**24, 2**26, 2**28):
            elements = bytes_ / size
            us = self.op_us(op, bytes_)
            if less:
                size_less = next(k[2] for k in KINDS if k[1] == less)
                us -= self.op_us(less, elements * size_less)
            expected = sum(self.curve_us(t * 2 * elements) for t in tensors)
            shares.append(math.log(expected / us))
        return min(1, math.exp(mean(shares)))

    def kinds(self):
        return {kind: self.share(*how) for kinds, *how in KINDS for kind in kinds.split()}

    def products(self, dtype='bf16'):
        """(m, n, k, seconds, largest power of two up to 8 that divides features)."""
        for r in self.part('products'):
            if r['dtype'] != dtype:
                continue
            features = (r['m'], r['n']) if r['role'] == 'dw' else (r['n'], r['k'])
            both = features[0] | features[1] | 8
            yield r['m'], r['n'], r['k'], (r['us'] - self.graph_gap) * 1e-6, both & -both

    def attention(self, peak, units, rows=128):
        """Of blocks of queries, forward and backward: share of the peak, fill, mean error of two
        rows of three that were fitted and of the others."""
        times = collections.defaultdict(dict)
        for r in self.part('attention'):
            key = r['batch'], r['heads'], r['seq'], r['dim'], r['causal']
            times[key][r['what']] = r['us'] - self.graph_gap
        for backward in (False, True):
            cases = []
            for (batch, heads, seq, dim, causal), t in times.items():
                flops = 4 * batch * heads * dim * (seq * (seq + 1) / 2 if causal else seq**2)
                us = t['both'] - t['forward'] if backward else t['forward']
                cases.append((batch * heads * -(-seq // rows), flops * (2.5 if backward else 1),
                              us * 1e-6))
            fitted = [c for i, c in enumerate(cases) if i % 3]
            others = [c for i, c in enumerate(cases) if i % 3 == 0]

            def error(p, cases):
                def seconds(blocks, flops):
                    sums = flops / blocks / (peak / units * p[0])
                    return -(-blocks // units) * (sums + p[1])
                return mean(abs(seconds(blocks, flops) / s - 1) for blocks, flops, s in cases)
            random.seed(1)
            best = .5, 5e-6
            for _ in range(4000):
                p = [v * math.exp(random.gauss(0, .05)) for v in best]
                if p[0] <= 1 and error(p, fitted) < error(best, fitted):
                    best = p
            yield best[0], best[1], error(best, fitted), error(best, others)
