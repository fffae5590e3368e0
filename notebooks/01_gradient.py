# SPDX-License-Identifier: MIT
# %% [markdown]
# # 1. A gradient by hand, and by the trainer
#
# A classifier without hidden layers: 784 pixels, 10 logits, softmax, cross-entropy. Its gradient
# fits on a line, so it is computed here in plain Python and held against what `train` recorded,
# number by number.

# %%
import math
import lab

ROWS = 4 if lab.FAST else 16      # of the batch
RATE = 0.1                        # learning rate
SEED = 1

# %%
lab.machine()

# %% [markdown]
# ## One step of the trainer
#
# In double precision, on the reference device, with plain SGD. `--record` keeps what each
# operation of the step wrote.

# %%
lab.run('train', f'--model linear --dtype f64 --device reference --batch {ROWS} --lr {RATE}',
        f'--momentum 0 --seed {SEED} --test-fraction 0 --steps 2',
        '--record values --record-steps 0:1 -q')
step = lab.tensors(lab.scratch('values/rank0.step0.safetensors'))
for name, (shape, _) in step.items():
    print(f'{name:50} {"x".join(map(str, shape))}')

# %% [markdown]
# ## Forward
#
# The probabilities of a row are $p_i = e^{z_i} / \sum_j e^{z_j}$; its loss is $-\log p_c$, with c
# the right class. The largest logit is taken off first, so that no exponential overflows.

# %%
logits = lab.rows(*step['step/fc.forward/fc.y'])
labels = step['step/load/labels'][1]
images = [step['step/load/x'][1][784 * r:784 * (r + 1)] for r in range(ROWS)]


def softmax(z):
    most = max(z)
    e = [math.exp(v - most) for v in z]
    return [v / sum(e) for v in e]


p = [softmax(z) for z in logits]
recorded_p = lab.rows(*step['step/cross_entropy.forward/cross_entropy.probability'])
worst = max(abs(a - b) for r, s in zip(p, recorded_p) for a, b in zip(r, s))
lab.claim('the probabilities are the recorded ones', worst < 1e-14, f'at most {worst:.1e} apart')

loss = sum(-math.log(p[r][labels[r]]) for r in range(ROWS)) / ROWS
print(f'mean loss {loss:.6f}; of a network that knows nothing ln 10 = {math.log(10):.6f}')

# %% [markdown]
# ## Backward
#
# $\partial L / \partial z = (p - y) / B$ for a mean over B rows; of the weights it is the sum
# over rows of that times the pixels.

# %%
def gradient_of_logits(p, labels):
    return [[(v - (i == c)) / len(p) for i, v in enumerate(row)] for row, c in zip(p, labels)]


dz = gradient_of_logits(p, labels)
by_hand = [[sum(dz[r][i] * images[r][k] for r in range(ROWS)) for k in range(784)]
           for i in range(10)]
by_train = lab.rows(*step['step/fc.backward_weight/fc.weight.grad'])
largest = max(abs(v) for row in by_train for v in row)
worst = max(abs(a - b) for r, s in zip(by_hand, by_train) for a, b in zip(r, s))
# Sums of B products, each rounded: at most about B units in the last place of the largest.
tolerance = 4 * ROWS * 2**-53 * max(1, largest)
lab.claim('the gradient by hand is the recorded one', worst <= tolerance,
          f'at most {worst:.1e} apart, of values up to {largest:.3f}')

# %% [markdown]
# ## Is it the derivative?
#
# Central differences of the loss say so: $(L(w + h) - L(w - h)) / 2h$. A smaller h is not always
# better: the formula's error falls as $h^2$, but rounding grows as $1/h$.

# %%
i, k = max(((i, k) for i in range(10) for k in range(784)),
           key=lambda at: abs(by_hand[at[0]][at[1]]))


def loss_with(change):
    """The loss when weight (i, k) is larger by `change`: only logit i of each row moves."""
    total = 0
    for r in range(ROWS):
        z = list(logits[r])
        z[i] += change * images[r][k]
        total -= math.log(softmax(z)[labels[r]]) / ROWS
    return total


errors = {}
for power in range(1, 14):
    h = 10.0**-power
    errors[h] = abs((loss_with(h) - loss_with(-h)) / (2 * h) - by_hand[i][k])
lab.table(['h', 'error'], [[f'{h:.0e}', f'{e:.1e}'] for h, e in errors.items()])
best = min(errors, key=errors.get)
lab.claim('the best h is neither the largest nor the smallest',
          min(errors) < best < max(errors), f'{best:.0e}')
lab.claim('there the difference agrees to nine digits', errors[best] < 1e-9 * abs(by_hand[i][k]))

# %% [markdown]
# ## The update
#
# SGD: $w \leftarrow w - \eta\, g$. The recorded weights are those after the update; the next
# step's logits must be theirs.

# %%
after = lab.rows(*step['step/sgd.fc.weight/fc.weight'])
bias = step['step/sgd.fc.bias/fc.bias'][1]
following = lab.tensors(lab.scratch('values/rank0.step1.safetensors'))
image = following['step/load/x'][1][:784]
z = [sum(w * x for w, x in zip(after[i], image)) + bias[i] for i in range(10)]
worst = max(abs(a - b) for a, b in zip(z, following['step/fc.forward/fc.y'][1][:10]))
lab.claim('the next step uses the updated weights', worst < 1e-12, f'{worst:.1e} apart')

# %% [markdown]
# With a small enough step in this direction the loss of this batch falls, by about $\eta\,
# |g|^2$. Predict it before you look.

# %%
squares = sum(v * v for row in by_hand for v in row) + sum(
    sum(dz[r][i] for r in range(ROWS))**2 for i in range(10))
small = 1e-4
moved = 0
for r in range(ROWS):
    z = [logits[r][i] - small * (sum(g * x for g, x in zip(by_hand[i], images[r])) +
                                 sum(dz[s][i] for s in range(ROWS))) for i in range(10)]
    moved -= math.log(softmax(z)[labels[r]]) / ROWS
lab.predict('the loss falls by', small * squares)
fell = lab.reveal('the loss falls by', loss - moved)
lab.claim('to first order in the step', abs(fell / (small * squares) - 1) < 0.05)

# %% [markdown]
# ## And so on, 50 times

# %%
job = f'--model linear --steps {20 if lab.FAST else 50} --lr {RATE} -q'
report = lab.report('train', job)
losses = report['loss']
lab.claim('it learns', min(losses[-5:]) < losses[0] / 2, f'{losses[0]:.3f} to {losses[-1]:.3f}')
lab.figure('train', job, name='learning')

# %% [markdown]
# ## Questions
#
# - What does the table of differences look like for a weight whose pixel is always black?
# - Why does the gradient of a logit sum to zero over the classes, and does the gradient of the
#   weights?
