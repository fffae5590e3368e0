# SPDX-License-Identifier: MIT
"""bench/accuracy gpu: training steps of PyTorch on one GPU, as bench/gpu_torch.py measured them."""
import json, os, statistics

RESULT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'results',
                      'h100-sxm5-pytorch.jsonl')
LAUNCH = {'eager': 'ahead', 'graph': 'graph'}  # steps were not waited for


def steps():
    with open(RESULT) as f:
        rows = [json.loads(line) for line in f]
    return [r for r in rows if r['part'] == 'step' and r['dtype'] in ('f32', 'bf16')
            and r['mode'] in ('eager', 'graph')]


def simulate(o, row):
    words = ['--model', row['model'], '--dtype', row['dtype'], '--batch', row['batch'],
             '--optimizer', row['optimizer'], '--launch', LAUNCH[row['mode']], '--gpus', 1,
             '--point', '--platform', 'h100-1']
    report = o.runs.sim(*words)[0]
    return report['step_ms']['median'], report['answers']['memory']['bytes']['all'] / 2**30


def percent(simulated, measured):
    return 100 * (simulated - measured) / measured


def compare(o):
    """Steps and memory of each; mean errors by what the step is bound by and computes in."""
    print(f'{"step of PyTorch on an H100":31} {"measured":>9} {"simulated":>9}      error'
          f'{"measured":>10} {"simulated":>9}  error')
    errors, sizes = {}, []
    for row in steps():
        ms, gib = simulate(o, row)
        peak = row['peak_bytes'] / 2**30
        error, size = percent(ms, row['step_ms']), percent(gib, peak)
        errors.setdefault((row['dtype'], row['mode']), []).append(error)
        if peak > 1:
            sizes.append(size)
        model = row['model'].split(':')[0]
        print(f"{model:12} {row['dtype']:5} {row['batch']:5} {row['mode']:6} {row['step_ms']:9.3f} "
              f'{ms:9.3f} ms {error:+6.1f} % {peak:9.2f} {gib:9.2f} GiB {size:+5.1f} %', flush=True)
    for (dtype, mode), values in errors.items():
        sizes_of = [abs(e) for e in values]
        print(f'{dtype}, {mode}: mean error {statistics.mean(sizes_of):.1f} %, median '
              f'{statistics.median(sizes_of):.1f} %, worst {max(values, key=abs):+.1f} %, '
              f'of {len(values)}')
    print(f'memory, of more than 1 GiB: mean error {statistics.mean(map(abs, sizes)):.1f} %, worst '
          f'{max(sizes, key=abs):+.1f} %, of {len(sizes)}')
    print('machine h100-1; fitted: nothing to these rows')
