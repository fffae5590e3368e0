# SPDX-License-Identifier: MIT
# %% [markdown]
# # 6. Pipelines and tensor parallelism
#
# A model that does not fit one device is divided: by layers (a pipeline, whose stages wait at the
# beginning and the end of a step) or inside each layer (tensor parallelism, which communicates in
# every layer). What each costs.

# %%
import lab

STAGES = [2, 4] if lab.FAST else [2, 4, 8]
MICRO = [4, 8, 16]

# %%
lab.machine()

# %% [markdown]
# ## The bubble
#
# P stages, M micro-batches: the last stage waits for the first micro-batch to arrive, the first
# for the last to come back. Of a step's time $(P-1) / (M+P-1)$ is bubble, where all stages are as
# long and messages cost nothing. Here they hardly do: a machine with very fast links, and a model
# of equal layers.

# %%
lab.write('ideal.yaml', '''tandem: machine 1
name: ideal
nodes: 1
devices: 8
device:
  name: any
  flops: {f32: 1T}
  memory: 16GB
  memory_bandwidth: 1000TB/s
link: {bandwidth: 1000TB/s, latency: 1ps}
''')
lab.write('deep.model', '''model deep
input 1 28 28
classes 784

flatten
repeat 16
    linear fc out=784 bias=false
    relu
end
''')


def pipeline(stages, micro, schedule):
    return lab.sweep(f'--gpus {stages} --pp {stages} --accumulate {micro} --batch {16 * micro}',
                     f'--schedule {schedule} --model deep.model --platform ideal.yaml --point',
                     '--predictions none', show=stages == 2 and micro == 4)[0]


lines = []
for stages in STAGES:
    for micro in MICRO:
        share = {}
        for schedule in ('gpipe', '1f1b'):
            r = pipeline(stages, micro, schedule)
            share[schedule] = r['breakdown_ms']['bubble'] / r['step_ms']['median']
            memory = r['memory_bytes'][0]['activations']
            lines.append((stages, micro, schedule, share[schedule], memory))
        theory = (stages - 1) / (micro + stages - 1)
        lab.agree(f'{stages} stages, {micro} micro-batches: bubble', share['1f1b'], theory,
                  absolute=0.02)
        lab.agree('GPipe has the same', share['gpipe'], share['1f1b'], absolute=0.01)
lab.table(['stages', 'micro-batches', 'schedule', 'bubble %', 'activations kB, stage 0'],
          [[str(p), str(m), s, 100 * b, a / 1e3] for p, m, s, b, a in lines])

# %% [markdown]
# 1F1B does not shrink the bubble. It bounds what must be kept: a stage begins the backward of a
# micro-batch as soon as it can, so stage 0 holds P of them and not all M.

# %%
kept = {s: [a for p, m, t, _, a in lines if t == s and p == 2] for s in ('gpipe', '1f1b')}
lab.claim('GPipe keeps more with more micro-batches',
          kept['gpipe'][0] < kept['gpipe'][1] < kept['gpipe'][2])
lab.claim('1F1B does not', kept['1f1b'][0] == kept['1f1b'][1] == kept['1f1b'][2])

# %% [markdown]
# ## The result does not change
#
# Stages execute the operations of the one process that accumulates as many micro-batches.

# %%
job = f'--model mlp:hidden=64,layers=3 --steps {5 if lab.FAST else 20} --accumulate 4 -q'
one = lab.report('train', job)
two = lab.report('train', job, '--ranks 2 --pp 2')
print(one['parameters_hash'], two['parameters_hash'])
lab.claim('two stages have the bits of one process',
          one['parameters_hash'] == two['parameters_hash'])

# %% [markdown]
# ## Tensor parallelism
#
# A weight matrix divided by columns needs no communication in the forward, the next one divided
# by rows ends with an all-reduce of its output: one for the pair, and one in the backward, of
# activations. So what is sent grows with the batch; the gradients of data parallelism do not.

# %%
def sent(words):
    out = lab.report('sim', '--gpus 4 --point --model mlp --print-memory', words)
    return sum(c['sent_bytes'] for c in out['classes'][0]['communications'])


lines = [(b, sent(f'--batch {b}'), sent(f'--batch {b} --tp 4')) for b in (64, 128, 256)]
lab.table(['batch', 'data parallel, bytes a step', 'tensor parallel'],
          [[str(b), f'{d:.0f}', f'{t:.0f}'] for b, d, t in lines])
lab.claim('data parallelism sends the same for any batch',
          lines[0][1] == lines[1][1] == lines[2][1])
lab.claim('tensor parallelism in proportion to it', abs(lines[2][2] / lines[0][2] / 4 - 1) < 0.01)

# %% [markdown]
# ## Which link does it go over?
#
# Tensor parallelism waits for every sum. Within a node of NVLink that is bearable; across nodes
# it is not.

# %%
def step_ms(words=''):
    r = lab.sweep('--model gpt2 --dtype bf16 --batch 64 --gpus 16 --platform dgx-a100', words,
                  '--point --predictions none')[0]
    return r['step_ms']['median']


near = step_ms('--tp 2')
far = step_ms('--tp 2 --mesh tensor,pipe,data,context')
none = step_ms()
lab.table(['16 devices, 2 nodes', 'step ms'],
          [['tensor parallel between neighbours', near], ['tensor parallel across nodes', far],
           ['data parallel alone', none]])
lab.claim('across nodes it is slower', far > 1.1 * near, f'{far / near:.2f} times')
lab.claim('and a small model is better off without it', none < near)

# %% [markdown]
# ## Questions
#
# - How many micro-batches keep the bubble of 8 stages below a tenth?
# - On dgx-a100 1F1B is slower than GPipe for a small model. Which part of the step says why?
