# SPDX-License-Identifier: MIT
# %% [markdown]
# # 3. Data parallel is the same step
#
# N ranks with a share of the batch each, whose gradients are averaged, take the step that one
# process takes with the whole batch. To the last bit, if the order of additions is fixed.

# %%
import math
import lab

STEPS = 10 if lab.FAST else 50
MODEL = 'linear'

# %%
lab.machine()

# %% [markdown]
# ## The same bits
#
# One process adds up the gradients of two shards of each batch; two processes have a shard each.
# The hash is of all weights at the end.

# %%
job = f'--model {MODEL} --steps {STEPS} -q'
one = lab.report('train', job, '--ranks 1 --shards 2')
two = lab.report('train', job, '--ranks 2')
print(one['parameters_hash'], two['parameters_hash'])
lab.claim('two ranks have the bits of one process',
          one['parameters_hash'] == two['parameters_hash'])
lab.claim('and its losses', one['loss'] == two['loss'])

# %% [markdown]
# ## Another order of additions
#
# One process that does not cut its batch sums over rows in one go: the same numbers, added in
# another order. Each float sum is rounded to 24 bits, so weights differ in their last bits, and
# no more. In double precision the difference is $2^{29}$ times smaller: it is rounding and
# nothing else.

# %%
def weights(words):
    lab.run('train', job, words, '--save weights.safetensors')
    found = lab.tensors(lab.scratch('weights.safetensors'))
    return [v for key in ('fc.weight', 'fc.bias') for v in found[key][1]]


def apart(a, b):
    return max(abs(x - y) for x, y in zip(a, b))


whole = weights('--ranks 1')
largest = max(map(abs, whole))
f32 = apart(whole, weights('--ranks 2'))
f64 = apart(weights('--ranks 1 --dtype f64'), weights('--ranks 2 --dtype f64'))
print(f'largest weight {largest:.3f}; apart in float {f32:.2e}, in double {f64:.2e}')
lab.claim('float: not the same bits', f32 > 0)
# A step adds some rounding errors of half a unit in the last place, which later steps carry on.
lab.claim('float: a few units in the last place a step', f32 < 16 * STEPS * largest * 2**-24)
lab.claim('double: the same, of its own last place', f64 < 16 * STEPS * largest * 2**-53)

# %% [markdown]
# ## Any order will do, if it is the same one
#
# A ring adds each chunk in another order of ranks; all ranks still get the same bits, since a
# finished chunk is copied. With two ranks a + b = b + a, with four the order shows.

# %%
orders = {}
for name in ('direct', 'chain', 'ring'):
    r = lab.report('train', job, f'--ranks 4 --comm thread --all-reduce {name}')
    orders[name] = r['parameters_hash']
for name, bits in orders.items():
    print(f'{name:8} {bits}')
lab.claim('direct and chain add in the order of ranks', orders['direct'] == orders['chain'])
lab.claim('a ring adds in another one', orders['ring'] != orders['direct'])

# %% [markdown]
# ## A sum is not a mean
#
# If gradients were summed instead of averaged, every update would be N times as long. Averaging
# is why the learning rate need not change with the number of ranks, as long as the global batch
# stays. Uneven shards count by their rows: the mean of means is another number.

# %%
rows, means = (7, 3), (1.0, 5.0)
by_rows = sum(n * m for n, m in zip(rows, means)) / sum(rows)
of_means = sum(means) / len(means)
print(f'7 rows of mean 1 and 3 rows of mean 5: {by_rows} by rows, {of_means} as a mean of means')
a = lab.report('train', job, '--batch 7 --ranks 1 --shards 2')
b = lab.report('train', job, '--batch 7 --ranks 2')
lab.claim('a batch of 7 on two ranks (4 and 3 rows) has the bits of one process',
          a['parameters_hash'] == b['parameters_hash'])

# %% [markdown]
# ## The batch, not the ranks, changes what is learned
#
# More ranks with the same batch each is another job: a larger global batch, fewer steps in an
# epoch.

# %%
epoch = f'--model {MODEL} --epochs 1 --ranks 2 -q'
same = lab.report('train', epoch, '--batch 64')
larger = lab.report('train', epoch, '--batch-per-rank 64')
held_out = [r['evaluations'][-1]['loss'] for r in (same, larger)]
lab.table(['global batch', 'steps', 'held-out loss'],
          [[str(r['batch']), str(r['steps']), e] for r, e in zip((same, larger), held_out)])
samples = same['step_samples'][-1]
lab.claim('an epoch of the larger batch has half of the steps',
          larger['steps'] == math.ceil(samples / 128) and same['steps'] == math.ceil(samples / 64))
lab.claim('and has learned less', held_out[1] > held_out[0])

# %% [markdown]
# ## Questions
#
# - What happens to the hash with `--all-reduce ring` and two ranks, and why?
# - Which options of `train` change the bits, and which only the time? Try `--bucket-kib`,
#   `--comm`, `--shards`.
