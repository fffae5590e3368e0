# SPDX-License-Identifier: MIT
# %% [markdown]
# # 2. A message costs alpha + beta n, and an all-reduce is made of messages
#
# A message of n bytes takes $\alpha + n / B$: a latency, and its bytes over the bandwidth. What
# follows for a ring, and for everybody talking to everybody at once; what NCCL does on top.

# %%
import lab

RANKS = 8
CLASSES = [1, 10, 100, 1000] if lab.FAST else [1, 10, 100, 1000, 10000, 100000]
ALPHA, BANDWIDTH = 10e-6, 10e9  # seconds from device to device; bytes per second

# %%
lab.machine()

# %% [markdown]
# ## A machine, and a gradient
#
# Devices on one switch; from device to switch 5 us. The model `linear` with C classes has one
# layer of 785 C weights, so its gradient is one buffer of 3140 C bytes in float, which is summed
# over all ranks.

# %%
lab.write('switch.yaml', '''tandem: machine 1
name: switch
nodes: 1
devices: 1024
device:
  name: any
  flops: {f32: 10T}
  memory: 16GB
  memory_bandwidth: 500GB/s
link: {bandwidth: 10GB/s, latency: 5us}
''')


def all_reduce(ranks, classes, algorithm, show=False):
    """(bytes of the gradient, seconds of its all-reduce), simulated message by message."""
    out = lab.sweep(f'--gpus {ranks} --point --model linear:classes={classes}',
                    f'--platform switch.yaml --all-reduce {algorithm}',
                    '--bucket-kib 1000000,1000000 --predictions none', show=show)[0]
    bucket = next(o for o in out['operations'] if o['name'] == 'bucket0')
    return 4 * 785 * classes, bucket['duration_ms']['median'] * 1e-3


# %% [markdown]
# ## The ring
#
# The buffer is cut into N chunks. In each of $2(N-1)$ rounds every rank passes one chunk on:
#
# $$T_{ring} = 2 (N-1) \left(\alpha + \frac{S}{N B}\right)$$
#
# ## All at once
#
# Every rank collects the N-1 pieces of its own chunk in one round, adds them up, and in a second
# round everybody fetches the other sums. A port carries as many bytes as in the ring, but waits
# twice only:
#
# $$T_{direct} = 2 \left(\alpha + \frac{(N-1) S}{N B}\right)$$
#
# Each rank sends $2 (N-1)/N \cdot S$ either way: less than twice the buffer, for any N.

# %%
def ring(s, n):
    return 2 * (n - 1) * (ALPHA + s / n / BANDWIDTH)


def direct(s, n):
    return 2 * (ALPHA + (n - 1) * s / n / BANDWIDTH)


lines = []
for classes in CLASSES:
    s, r = all_reduce(RANKS, classes, 'ring', show=classes == CLASSES[0])
    _, d = all_reduce(RANKS, classes, 'direct')
    lines.append((s, r, ring(s, RANKS), d, direct(s, RANKS)))
lab.table(['bytes', 'ring us', 'theory', 'direct us', 'theory'],
          [[str(s)] + [1e6 * t for t in times] for s, *times in lines])
# Chunks are whole numbers of floats: up to 4 (N-1) bytes more in the longest; and times are
# whole picoseconds, a few of which an operation costs by itself.
uneven = 2 * (RANKS - 1) * 4 * RANKS / BANDWIDTH + 10e-9
for s, r, rt, d, dt in lines:
    lab.agree(f'ring of {s} bytes, seconds', r, rt, absolute=uneven)
    lab.agree(f'direct of {s} bytes, seconds', d, dt, absolute=uneven)

# %% [markdown]
# Where are latency and bandwidth worth the same? In the ring at $S = N \alpha B$: predict it,
# then look for the size at which the time is twice that of an empty buffer.

# %%
lab.predict('size, bytes', RANKS * ALPHA * BANDWIDTH)
low, high = 1, 10000
while high - low > 1:
    middle = (low + high) // 2
    if all_reduce(RANKS, middle, 'ring')[1] < 2 * 2 * (RANKS - 1) * ALPHA:
        low = middle
    else:
        high = middle
size = lab.reveal('size, bytes', 3140 * high)
lab.claim('latency and bandwidth meet there', abs(size - RANKS * ALPHA * BANDWIDTH) <= 2 * 3140)

# %% [markdown]
# ## More ranks
#
# The bytes of a rank hardly grow, the rounds of a ring do: for small buffers a ring over many
# ranks is slow, for large ones it hardly matters.

# %%
few, many = 2, 16 if lab.FAST else 64
small = [all_reduce(n, 1, 'ring')[1] for n in (few, many)]
large = [all_reduce(n, 10000, 'ring')[1] for n in (few, many)]
lab.table(['ranks', '3 kB, us', '31 MB, us'],
          [[str(n), 1e6 * a, 1e6 * b] for n, a, b in zip((few, many), small, large)])
lab.claim('the small one grows with the rounds',
          abs(small[1] / small[0] / ((many - 1) / (few - 1)) - 1) < 0.05,
          f'{small[1] / small[0]:.1f} times')
share = 2 * (many - 1) / many / (2 * (few - 1) / few)
extra = 2 * (many - few) * ALPHA / large[0]
lab.claim('the large one grows with the bytes of a rank, and a little latency',
          abs(large[1] / large[0] - share - extra) < 0.02, f'{large[1] / large[0]:.2f} times')

# %% [markdown]
# ## What the trainer really sends
#
# Its processes count what they take from each other.

# %%
out = lab.report('train', '--model linear --ranks 2 --steps 3 -q')
print('payload of a rank in a step:', out['comm_bytes'][0], 'bytes')
lab.claim('it is the gradient, and the loss with its count of rows',
          3140 * 10 <= out['comm_bytes'][0] <= 3140 * 10 + 64)

# %% [markdown]
# ## NCCL
#
# On GPUs a library chooses algorithm and protocol by size. Its latency is of the order of 10 us,
# however small the buffer; and the bandwidth is reached from some MB on. Simulated with NCCL's
# own model of an 8-GPU A100 node, in the columns of nccl-tests: busbw is algbw times $2(N-1)/N$.

# %%
out = lab.report('sim', f'--collective all_reduce --gpus {RANKS} --sizes 8,32KiB,1MiB,32MiB,1GiB')
lab.table(['bytes', 'algorithm', 'protocol', 'time us', 'busbw GB/s'],
          [[str(r['bytes']), r['algorithm'], r['protocol'], r['time_us'], r['busbw_gb_per_s']]
           for r in out['rows']])
for r in out['rows']:
    lab.agree(f'busbw of {r["bytes"]} bytes', r['busbw_gb_per_s'],
              r['bytes'] / r['time_us'] / 1e3 * 2 * (RANKS - 1) / RANKS, relative=1e-6)
first, last = out['rows'][0], out['rows'][-1]
lab.claim('small buffers cost a latency', first['time_us'] > 5)
lab.claim('large ones the bandwidth: more than half of 600 GB/s both ways, 300 each',
          150 < last['busbw_gb_per_s'] < 300, f'{last["busbw_gb_per_s"]:.0f} GB/s')
lab.figure('sim', f'--collective all_reduce --gpus {RANKS}', name='collective')

# %% [markdown]
# ## Questions
#
# - At which size does `direct` stop being faster than the ring? Compute it, then find it.
# - On 64 ranks a chunk of 3 kB is 48 bytes. What does a ring cost then, and what would a tree?
