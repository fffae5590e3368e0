# SPDX-License-Identifier: MIT
# %% [markdown]
# # 4. Scaling, and laws of it
#
# How much faster do N devices train, where does the rest go, and how far can a law be trusted
# that was fitted to a few points?

# %%
import lab

JOB = '--model gpt2 --dtype bf16 --platform dgx-a100'
BATCH = 64
DEVICES = [1, 2, 4, 8, 16, 32, 64]

# %%
lab.machine()

# %% [markdown]
# ## Strong scaling: the same batch on more devices
#
# Speed-up $S = T_1 / T_N$, efficiency $S/N$. All of it simulated: NVIDIA's DGX A100, 8 devices a
# node.

# %%
sizes = '--gpus ' + ','.join(map(str, DEVICES))
out = lab.sweep(sizes, JOB, f'--batch {BATCH} --predictions none')
ms = {r['ranks']: r['step_ms']['median'] for r in out}
speed = {n: ms[1] / t for n, t in ms.items()}
lab.table(['devices', 'step ms', 'speed-up', 'efficiency %'],
          [[str(n), ms[n], speed[n], 100 * speed[n] / n] for n in DEVICES])
for r in out:
    lab.agree(f'speed-up of {r["ranks"]}', r['answers']['speed_up'], speed[r['ranks']],
              relative=1e-9)
lab.claim('more devices are faster, and each less useful',
          all(speed[b] > speed[a] and speed[b] / b < speed[a] / a
              for a, b in zip(DEVICES, DEVICES[1:])))

# %% [markdown]
# ## Where the time goes
#
# Each instant of a step counts once: computing, computing slowed by communication, communication
# that nothing hides, waiting. The parts sum to the step.

# %%
parts = ['compute', 'contended', 'exposed_comm', 'bubble', 'waiting', 'host', 'idle']
for r in out:
    lab.agree(f'{r["ranks"]} devices: the sum of the parts', sum(r['breakdown_ms'].values()),
              r['step_ms']['mean'], relative=1e-9)
lab.table(['devices'] + parts,
          [[str(r['ranks'])] + [r['breakdown_ms'][p] for p in parts] for r in out])
ideal = out[0]['breakdown_ms']['compute'] / DEVICES[-1]
last = out[-1]['breakdown_ms']
print(f'on {DEVICES[-1]} devices computing takes {last["compute"]:.2f} ms, not {ideal:.2f}:',
      'small matrices reach less of the peak, and each launch costs the same')
lab.claim('computing itself scales worse than N', last['compute'] > 1.2 * ideal)

# %% [markdown]
# ## Amdahl's law from two points
#
# $S = 1 / (s + (1 - s)/N)$ with a serial share s. Two points give s; what does it say of 64?

# %%
def amdahl(s, n):
    return 1 / (s + (1 - s) / n)


serial = (2 / speed[2] - 1) / (2 - 1)
lab.agree('it goes through the point it was made of', amdahl(serial, 2), speed[2], relative=1e-9)
lab.predict('speed-up of 64', amdahl(serial, 64))
found = lab.reveal('speed-up of 64', speed[64])
print(f'serial share {100 * serial:.1f} %')
lab.claim('two points are no law: the prediction is off by more than 5 %',
          abs(amdahl(serial, 64) / found - 1) > 0.05)

# %% [markdown]
# ## The universal scalability law
#
# $S = N / (1 + \sigma (N-1) + \kappa N (N-1))$ adds a cost that grows with pairs (Gunther, 1993).
# $N/S$ is linear in $\sigma$ and $\kappa$, so least squares are two equations.

# %%
def usl(points):
    """Least squares of N/S - 1 = sigma (N-1) + kappa N (N-1)."""
    a = [(n - 1, n * (n - 1), n / s - 1) for n, s in points.items() if n > 1]
    xx, xy, yy = (sum(r[i] * r[j] for r in a) for i, j in ((0, 0), (0, 1), (1, 1)))
    xb, yb = (sum(r[i] * r[2] for r in a) for i in (0, 1))
    d = xx * yy - xy * xy
    return (xb * yy - yb * xy) / d, (yb * xx - xb * xy) / d


def usl_speed(law, n):
    return n / (1 + law[0] * (n - 1) + law[1] * n * (n - 1))


few = {n: speed[n] for n in (1, 2, 4, 8)}
laws = {'of 1 to 8': usl(few), 'of all': usl(speed)}
lab.table(['devices', 'simulated'] + list(laws),
          [[str(n), speed[n]] + [usl_speed(law, n) for law in laws.values()] for n in DEVICES])
inside = max(abs(usl_speed(laws['of 1 to 8'], n) / s - 1) for n, s in few.items())
outside = abs(usl_speed(laws['of 1 to 8'], 64) / speed[64] - 1)
print(f'fitted within a node: at most {100 * inside:.1f} % off there,',
      f'{100 * outside:.0f} % at 64 devices')
lab.claim('a law that fits where it was fitted need not fit elsewhere', outside > 2 * inside)
lab.figure('sim', sizes, JOB, f'--batch {BATCH} --predictions none', name='laws')

# %% [markdown]
# ## Weak scaling: a batch for each device
#
# Without `--batch` every device has its own 64 rows: the global batch grows, and the question is
# another one. Efficiencies of the two must never stand in one column.

# %%
weak = lab.sweep('--gpus 1,8', JOB, '--predictions none')
efficiency = weak[1]['answers']['efficiency']
print(f'8 devices: {100 * efficiency:.1f} % weak, {100 * speed[8] / 8:.1f} % strong')
lab.claim('weak scaling is the easier one', efficiency > speed[8] / 8)
lab.claim('its batch is not the same', weak[1]['batch'] == 8 * weak[0]['batch'])

# %% [markdown]
# ## Measured on this host
#
# One and two processes share the cores of this machine. What others do meanwhile is in the
# numbers: the report says so.

# %%
runs = {n: lab.report('train', f'--model mlp --ranks {n} --steps {10 if lab.FAST else 40} -q')
        for n in (1, 2)}
for n, r in runs.items():
    low, high = r['step_ms']['p10'], r['step_ms']['p90']
    print(f'{n}: {r["step_ms"]["median"]:.2f} ms measured ({low:.2f} to {high:.2f} in 8 of 10)'
          + (', DISTURBED' if r['disturbed'] and r['disturbed']['others_cores'] > 0.1 else ''))
    lab.agree(f'{n} ranks: the sum of the parts', sum(r['breakdown_ms'].values()),
              r['step_ms']['mean'], relative=1e-6)

# %% [markdown]
# ## Questions
#
# - Which law fits weak scaling, and what does its serial share mean there?
# - How much faster would 64 devices be if the network between nodes were twice as fast? Try
#   `--what-if bandwidth=x2`.
