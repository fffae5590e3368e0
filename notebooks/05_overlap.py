# SPDX-License-Identifier: MIT
# %% [markdown]
# # 5. Overlap and buckets
#
# The backward pass makes gradients from the last layer to the first. Those that are done can
# travel while others are still computed: DDP collects them in buckets and sends each as it fills.
# What does it hide, and how large should a bucket be?

# %%
import lab

JOB = '--model gpt2 --dtype bf16 --gpus 8 --batch 128 --platform ethernet-cluster'
BUCKETS = [0, 1024, 25600, 1000000]  # KiB

# %%
lab.machine()

# %% [markdown]
# ## With and without overlap
#
# Without it all communication is exposed: the devices do nothing else meanwhile.

# %%
def step(words=''):
    r = lab.sweep(JOB, words, '--point --predictions none')[0]
    sync = [o for o in r['operations'] if o['phase'] == 'sync']
    return {'ms': r['step_ms']['median'], 'exposed': r['breakdown_ms']['exposed_comm'],
            'busy': sum(o['duration_ms']['median'] for o in sync), 'count': len(sync),
            'last': sync[-1]['duration_ms']['median'], 'bytes': r['comm_bytes'][0]}


off = step('--no-overlap')
on = step()
lab.table(['', 'step ms', 'exposed ms', 'collectives', 'bytes'],
          [[name, s['ms'], s['exposed'], str(s['count']), str(s['bytes'])]
           for name, s in (('no overlap', off), ('overlap', on))])
lab.claim('overlap moves the same bytes', on['bytes'] == off['bytes'])
lab.claim('hides a part of them', on['exposed'] < off['exposed'])
lab.claim('and takes nothing but what was exposed off the step',
          off['ms'] - on['ms'] <= off['exposed'] - on['exposed'] + 1e-6,
          f'{off["ms"] - on["ms"]:.3f} of {off["exposed"] - on["exposed"]:.3f} ms')
lab.claim('the last bucket can never hide: nothing is computed behind it',
          on['exposed'] > 0, f'{on["exposed"]:.2f} ms')

# %% [markdown]
# ## How large should a bucket be?
#
# A collective costs a latency, so many small ones cost many. But one bucket for all is full only
# when the backward ends. Predict the best of these before you look.

# %%
lab.predict('best bucket, KiB', 25600)
steps = {b: step(f'--bucket-kib {b},{b}') for b in BUCKETS}
lab.table(['bucket KiB', 'collectives', 'step ms', 'exposed ms'],
          [[str(b), str(s['count']), s['ms'], s['exposed']] for b, s in steps.items()])
best = min(steps, key=lambda b: steps[b]['ms'])
lab.reveal('best bucket, KiB', best)
lab.claim('fewer, larger buckets', all(steps[a]['count'] >= steps[b]['count']
                                       for a, b in zip(BUCKETS, BUCKETS[1:])))
lab.claim('neither the smallest nor the largest is the best', BUCKETS[0] < best < BUCKETS[-1])
alone = step(f'--no-overlap --bucket-kib {BUCKETS[-1]},{BUCKETS[-1]}')
lab.claim('one bucket for all hides next to nothing: as fast as the same without overlap',
          abs(steps[BUCKETS[-1]]['ms'] / alone['ms'] - 1) < 0.002,
          f'{steps[BUCKETS[-1]]["ms"]:.2f} and {alone["ms"]:.2f} ms')
lab.figure('sim', JOB, '--sweep bucket-kib=' + ','.join(map(str, BUCKETS)), name='sweep')

# %% [markdown]
# ## What is computed does not change
#
# Buckets and overlap are questions of time. The trainer's weights have the same bits whatever
# they are.

# %%
hashes = {}
for words in ('', '--no-overlap', '--bucket-kib 0,0', '--bucket-kib 1000000,1000000'):
    r = lab.report('train', f'--ranks 2 --steps {5 if lab.FAST else 20} -q', words)
    hashes[words or 'as it is'] = r['parameters_hash']
for name, bits in hashes.items():
    print(f'{name:32} {bits}')
lab.claim('all the same bits', len(set(hashes.values())) == 1)

# %% [markdown]
# ## Questions
#
# - From which batch on does this network hide all but the last bucket?
# - What changes with `--compress bf16`: the bytes, the exposed time, or the bits?
