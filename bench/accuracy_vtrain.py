# SPDX-License-Identifier: MIT
"""bench/accuracy vtrain: GPT on one node of A100 with Megatron-DeepSpeed (Bang et al., "vTrain",
2024), as the machine file has it, and with one number fitted to other rows of the table."""
import os, statistics

NAMES = {'layers': 'layers', 'hidden': 'hidden size', 'heads': 'attention heads',
         'seq': 'sequence length', 'dp': 'data parallelism', 'tp': 'tensor parallelism',
         'pp': 'pipeline parallelism', 'batch': 'global batch', 'micro': 'micro batch'}
FIT_EVERY = 20  # rows that the number is fitted to: one of so many,
FIT_FIRST = 5   # from here on


def simulate(o, make_job, row, platform):
    """Error of a step in percent; None, and why, where sim refuses it."""
    n = {k: int(row[name]) for k, name in NAMES.items()}
    model = (f"megatron:layers={n['layers']},hidden={n['hidden']},heads={n['heads']},"
             f"seq={n['seq']},vocabulary=51200")
    more = ['--batch', n['batch'], '--tp', n['tp'], '--pp', n['pp'], '--accumulate',
            n['batch'] // (n['dp'] * n['micro']), '--recompute', 'block']
    more += ['--no-overlap'] if n['dp'] > 1 else []
    try:
        simulated = make_job(o, model, n['dp'] * n['tp'] * n['pp'], more, platform).step_s() * 1e3
    except SystemExit as why:
        return n, None, str(why).split('sim: ')[-1]
    measured = float(row['iteration time (ms)'])
    return n, 100 * (simulated - measured) / measured, (measured, simulated)


def machine_with(o, issue_us):
    """The machine's file with another time for a launch."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, '..', 'machines', o.platform + '.yaml')) as f:
        lines = f.read().split('\n')
    at = [i for i, line in enumerate(lines) if line.strip().startswith('issue:')][0]
    lines[at] = f'  issue: {issue_us}us'
    path = os.path.join(o.runs.scratch, f'issue-{issue_us}.yaml')
    with open(path, 'w') as f:
        f.write('\n'.join(lines))
    return path


def mean_error(o, make_job, rows, issue_us):
    platform = machine_with(o, issue_us)
    errors = [simulate(o, make_job, row, platform)[1] for row in rows]
    return statistics.mean(abs(e) for e in errors if e is not None)


def fit(o, make_job, rows):
    """Microseconds of a launch: the best of 20, 40 ... 100, then of its neighbours at half the
    distance, down to 5."""
    errors = {us: mean_error(o, make_job, rows, us) for us in range(20, 101, 20)}
    for step in (10, 5):
        best = min(errors, key=errors.get)
        for us in (best - step, best + step):
            errors[us] = mean_error(o, make_job, rows, us)
    best = min(errors, key=errors.get)
    return best, errors[best]


def show(o, make_job, rows, platform, fitted):
    errors, refused = {}, []
    for row in rows:
        n, error, more = simulate(o, make_job, row, platform)
        if error is None:
            refused.append(more)
            continue
        if o.verbose:
            what = ' '.join(f'{k}={v}' for k, v in n.items() if k not in ('heads', 'seq'))
            print(f'{what:62} {more[0]:9.1f} {more[1]:9.1f} ms {error:+7.1f} %')
        for key in ('all', f"tp {n['tp']}", f"pp {n['pp']}", f"dp {n['dp']}",
                    f"hidden {n['hidden']}", f"micro-batch {n['micro']}"):
            errors.setdefault(key, []).append(error)
    print(f'{"rows":14} {"count":>5} {"mean error":>11} {"median":>9} {"worst":>9} {"mean":>9}')
    for key in sorted(errors, key=lambda k: (k != 'all', k.split()[0], int((k + ' 0').split()[1]))):
        e = errors[key]
        size = [abs(x) for x in e]
        mean, median = statistics.mean(size), statistics.median(size)
        print(f'{key:14} {len(e):5} {mean:9.1f} % {median:7.1f} % {max(e, key=abs):+7.1f} % '
              f'{statistics.mean(e):+7.1f} %')
    print(f'machine {o.platform}; fitted: {fitted}')
    if refused:
        print(f'{len(refused)} rows that sim refuses, the first: {refused[0]}')
    print(flush=True)


def compare(o, table, make_job):
    fitted = table[FIT_FIRST::FIT_EVERY]
    others = [r for i, r in enumerate(table) if i % o.every == 0 and i % FIT_EVERY != FIT_FIRST]
    show(o, make_job, others, o.platform, 'nothing')
    us, error = fit(o, make_job, fitted)
    show(o, make_job, others, machine_with(o, us),
         f'issue {us}us, to {len(fitted)} other rows\n({error:.1f} % there)')
    print('The model is megatron, and all of a block is computed again. What is fitted is the\n'
          'time that a host takes for an operation: that of Python, and of all the launches that\n'
          'are one operation here. Devices with small networks wait for it. In pipelines hosts\n'
          'there wait for each message, too; here they issue ahead.')
