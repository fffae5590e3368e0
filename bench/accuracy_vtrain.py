# SPDX-License-Identifier: MIT
"""bench/accuracy vtrain: GPT on one node of A100 with Megatron-DeepSpeed (Bang et al., "vTrain",
2024), as the machine file has it, with the time that PyTorch took another host for an operation,
and with that number fitted to other rows of the table.

The table is called ground truth where it was published, and is no measurement: its times lie on
straight lines over the number of micro-batches, to the nanosecond, and data parallelism adds what
a table of NCCL's times of the same authors has, to the nanosecond. They are what vTrain predicts,
from kernels that it timed in eager PyTorch."""
import collections, csv, os, statistics

NAMES = {'layers': 'layers', 'hidden': 'hidden size', 'heads': 'attention heads',
         'seq': 'sequence length', 'dp': 'data parallelism', 'tp': 'tensor parallelism',
         'pp': 'pipeline parallelism', 'batch': 'global batch', 'micro': 'micro batch'}
VOCABULARY = 50257  # vTrain's
FIT_EVERY = 20  # rows that the number is fitted to: one of so many,
FIT_FIRST = 5   # from here on


def numbers(row):
    return {k: int(row[name]) for k, name in NAMES.items()}


def time_ms(row):
    return float(row['iteration time (ms)'])


def micro_batches(n):
    return n['batch'] // (n['dp'] * n['micro'])


def show_lines(table):
    """How far rows that differ in the number of micro-batches alone are from a straight line."""
    alike = collections.defaultdict(list)
    for row in table:
        n = numbers(row)
        m = micro_batches(n)
        del n['batch']
        alike[tuple(n.values())].append((m, time_ms(row)))
    rows, worst, lines = 0, 0, [sorted(a) for a in alike.values() if len(set(a)) > 2]
    for line in lines:
        (m0, t0), (m1, t1) = line[0], line[-1]
        rows += len(line)
        worst = max([worst] + [abs(t - t0 - (t1 - t0) * (m - m0) / (m1 - m0)) for m, t in line])
    print(f'{rows} rows, of {len(lines)} networks with 3 numbers of micro-batches or more: at most '
          f'{1e6 * worst:.1f} ns\nfrom the straight line through the first and the last of each')


def parameters_mib(n):
    """Of a rank without stages, as vTrain counts them, in two bytes each."""
    h, tp = n['hidden'], n['tp']
    layer = 12 * h * h // tp + 7 * h // tp + 6 * h
    return 2 * (2 * (VOCABULARY // tp) * h + n['seq'] * h + n['layers'] * layer) / 2**20


def show_all_reduces(table):
    """What data parallelism adds to a step, beside vTrain's table of NCCL's times."""
    path = os.path.join(os.environ['TANDEM_SHARED'], 'traces', 'nccl', 'allreduce_a100_{}gpu.csv')
    alone, found, equal, times = {}, 0, 0, {}
    for gpus in (2, 4, 8):
        with open(path.format(gpus), newline='') as f:
            for row in list(csv.reader(f))[1:]:
                times[gpus, int(row[0]) >> 20] = int(row[5])
    key = lambda n: tuple(v for k, v in n.items() if k not in ('dp', 'batch')) + (micro_batches(n),)
    for row in table:
        n = numbers(row)
        if n['dp'] == 1:
            alone[key(n)] = time_ms(row)
    for row in table:
        n = numbers(row)
        listed = times.get((n['dp'], round(parameters_mib(n))))
        if n['dp'] > 1 and n['pp'] == 1 and key(n) in alone and listed:
            found += 1
            equal += abs(1e6 * (time_ms(row) - alone[key(n)]) - listed) < 1
    print(f'{equal} of {found} rows with data parallelism take longer than the same without, '
          "by what\nNCCL's table has for so many bytes, to the nanosecond\n")


def simulate(o, make_job, row, platform):
    """Error of a step in percent; None, and why, where sim refuses it."""
    n = numbers(row)
    vocabulary = VOCABULARY // n['tp'] * n['tp']  # each rank has a whole number
    model = (f"megatron:layers={n['layers']},hidden={n['hidden']},heads={n['heads']},"
             f"seq={n['seq']},vocabulary={vocabulary}")
    more = ['--batch', n['batch'], '--tp', n['tp'], '--pp', n['pp'], '--accumulate',
            micro_batches(n), '--recompute', 'block', '--launch', 'wait']
    more += ['--no-overlap'] if n['dp'] > 1 else []
    try:
        simulated = make_job(o, model, n['dp'] * n['tp'] * n['pp'], more, platform).step_s() * 1e3
    except SystemExit as why:
        return n, None, str(why).split('sim: ')[-1]
    measured = time_ms(row)
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


def pytorch_issue_us():
    """What an operation in PyTorch took the host of the H100 that was measured."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, '..', 'machines', 'h100-1.yaml')) as f:
        return [line.split()[1][:-2] for line in f if line.strip().startswith('issue:')][0]


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
    show_lines(table)
    show_all_reduces(table)
    fitted = table[FIT_FIRST::FIT_EVERY]
    others = [r for i, r in enumerate(table) if i % o.every == 0 and i % FIT_EVERY != FIT_FIRST]
    show(o, make_job, others, o.platform, 'nothing')
    us = pytorch_issue_us()
    show(o, make_job, others, machine_with(o, us), f'nothing; issue {us}us, as of h100-1')
    us, error = fit(o, make_job, fitted)
    show(o, make_job, others, machine_with(o, us),
         f'issue {us}us, to {len(fitted)} other rows\n({error:.1f} % there)')
    print('The model is megatron, all of a block is computed again, and hosts wait for each\n'
          'message of a pipeline. issue is what an operation takes a host: Python, and all the\n'
          'launches that are one operation here. Devices with small networks wait for it.')
