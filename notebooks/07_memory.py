# SPDX-License-Identifier: MIT
# %% [markdown]
# # 7. Memory, and what ZeRO takes away
#
# Adam in float keeps 16 bytes for a parameter: weight, gradient, two moments. Data parallelism
# keeps them N times. ZeRO divides, stage by stage, what need not be everywhere.

# %%
import lab

RANKS = 4
MLP, GPT = 'mlp:hidden=1024,layers=8', 'gpt2'

# %%
lab.machine()

# %% [markdown]
# ## By formula, and as planned
#
# With P parameters: DDP 16 P; stage 1 divides the moments, 8 P + 8 P/N; stage 2 the gradients, 4
# P + 12 P/N; stage 3 the weights, 16 P/N. `--print-memory` says what the plan really takes.

# %%
def planned(zero, model=MLP, batch=8):
    out = lab.report('sim', f'--gpus {RANKS} --point --model {model} --optimizer adam',
                     f'--zero {zero} --batch {batch} --bucket-kib 1024,1024 --print-memory')
    return out['classes'][0]


stages = ['no', '1', '2', '3']
plans = {z: planned(z) for z in stages}
state = {z: sum(p['step_memory_bytes'][k] for k in ('parameters', 'gradients', 'optimiser'))
         for z, p in plans.items()}
parameters = plans['no']['step_memory_bytes']['parameters'] / 4
print(f'{parameters:.0f} parameters')
formula = {'no': 16, '1': 8 + 8 / RANKS, '2': 4 + 12 / RANKS, '3': 16 / RANKS}
lab.table(['ZeRO', 'formula MB', 'planned MB'],
          [[z, formula[z] * parameters / 1e6, state[z] / 1e6] for z in stages])
lab.claim('each stage needs less', all(state[a] > state[b] for a, b in zip(stages, stages[1:])))
lab.agree('DDP', state['no'], 16 * parameters, relative=0.001)
# Gradients are whole until their collective has ended: those of a bucket that fills and of one that
# travels (here of 1 MiB, so of a tensor or two); stage 3 also holds the weights of two layers.
largest = 4 * 1024 * 1024
for z in stages[1:]:
    over = state[z] - formula[z] * parameters
    lab.claim(f'stage {z}: at most six tensors more than the formula', 0 <= over < 6 * largest,
              f'{over / 1e6:.0f} MB more; the largest tensor has {largest / 1e6:.0f}')

# %% [markdown]
# ## What it costs: traffic
#
# An all-reduce is a reduce-scatter and an all-gather: stages 1 and 2 send what DDP sends. Stage 3
# gathers weights for the forward and again for the backward: up to 1.5 times.

# %%
sent = {z: sum(c['sent_bytes'] for c in p['communications']) for z, p in plans.items()}
lab.table(['ZeRO', 'sent MB', 'of DDP'], [[z, sent[z] / 1e6, sent[z] / sent['no']] for z in stages])
lab.agree('DDP sends 2 (N-1)/N of the gradients', sent['no'],
          2 * (RANKS - 1) / RANKS * 4 * parameters, relative=1e-4)
for z in ('1', '2'):
    lab.claim(f'stage {z} sends no more than DDP', sent[z] <= 1.001 * sent['no'])
lab.claim('stage 3 at most 1.5 times as much', sent['2'] < sent['3'] <= 1.51 * sent['no'])

# %% [markdown]
# ## What it does not change
#
# The same bits are trained, whoever keeps what.

# %%
job = f'--model mlp:hidden=64,layers=2 --optimizer adam --lr 0.001 --steps {5 if lab.FAST else 20}'
hashes = {z: lab.report('train', job, f'--ranks 2 --zero {z} -q')['parameters_hash']
          for z in stages}
for z, bits in hashes.items():
    print(f'ZeRO {z:3} {bits}')
lab.claim('all the same', len(set(hashes.values())) == 1)

# %% [markdown]
# ## Activations
#
# ZeRO leaves them alone. They grow with the batch, and from some batch on they are most of it;
# recomputation trades them for time.

# %%
lines = []
for batch in (4, 16, 64):
    p = planned('no', model=GPT, batch=batch)['step_memory_bytes']
    lines.append((batch, p['activations'], p['all'] - p['activations']))
lab.table(['batch', 'activations MB', 'all else MB'],
          [[str(b), a / 1e6, e / 1e6] for b, a, e in lines])
per_row = (lines[2][1] - lines[0][1]) / 60
lab.agree('in proportion to the rows of a rank', lines[1][1], lines[0][1] + 12 * per_row,
          relative=0.05)
lab.claim('the rest does not depend on the batch',
          max(e for *_, e in lines) - min(e for *_, e in lines) < 0.01 * lines[0][2])


def with_recompute(kind):
    r = lab.sweep(f'--gpus {RANKS} --point --model {GPT} --dtype bf16 --batch 64',
                  f'--recompute {kind} --predictions none')[0]
    return r['memory_bytes'][0]['activations'], r['step_ms']['median']


plain, full = with_recompute('none'), with_recompute('full')
print(f'recomputing: activations {plain[0] / 1e9:.2f} to {full[0] / 1e9:.2f} GB,',
      f'step {plain[1]:.1f} to {full[1]:.1f} ms (simulated)')
lab.claim('less memory: what is left are mostly the logits', full[0] < 0.6 * plain[0])
lab.claim('for about one more forward: a third of a step', 1.1 < full[1] / plain[1] < 1.45,
          f'{full[1] / plain[1]:.2f} times')
lab.figure('sim', f'--gpus {RANKS} --model {GPT} --optimizer adam --batch 64',
           '--sweep zero=no,1,2,3', name='memory')

# %% [markdown]
# ## Questions
#
# - On how many devices does gpt2-xl with Adam fit 16 GB each, with each stage of ZeRO?
# - Why do larger buckets make stage 2 faster, and smaller ones make it smaller?
