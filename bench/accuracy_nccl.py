# SPDX-License-Identifier: MIT
"""bench/accuracy nccl: tables of nccl-tests beside `sim --collective`.

The error by the built-in platform, and after `sim --fit` has fitted at most six of its constants to
the powers of two of a table (every second row where there are no others); and each number of A100
and V100 in a node predicted from the other two. Printed: mean, median and worst error, simulated
over measured less 1, of rows that were not fitted. Tables of machines for which no platform is
built in are left out, and named.
"""
import collections, csv, json, os, pathlib, statistics, sys, tempfile

PLATFORMS = {'A100': 'dgx-a100', 'H100': 'dgx-h100', 'V100': 'dgx-v100'}


class Sim:
    def __init__(self, runs):
        self.runs = runs

    def run(self, *words):
        return self.runs.run('sim', *words)

    def errors(self, table, platform):
        """Of each row: bytes, and simulated over measured less 1."""
        out = json.loads(self.run('--collective', table['kind'], '--compare', table['path'],
                                  '--gpus', str(table['gpus']), '--platform', platform, '--json'))
        return [(row['bytes'], row['error']) for row in out['rows']]

    def fit(self, tables, platform, out):
        self.run('--fit', ','.join(t['path'] for t in tables), '--gpus',
                 ','.join(str(t['gpus']) for t in tables), '--collective', tables[0]['kind'],
                 '--platform', platform, '--out', out)


def others(errors):
    """Rows that --fit does not take."""
    if all(size & (size - 1) == 0 for size, _ in errors):
        return [error for _, error in errors[1::2]]
    return [error for size, error in errors if size & (size - 1)]


def words(errors):
    """Mean, median and worst, in percent."""
    if not errors:
        return f'{"-":>6}{"-":>6}{"-":>6}'
    sizes = [abs(e) for e in errors]
    return ''.join(f'{100 * f(sizes):6.1f}' for f in (statistics.mean, statistics.median, max))


def mean(errors):
    return sum(abs(e) for e in errors) / len(errors) if errors else None


def traced(shared):
    for path in sorted((shared / 'traces/nccl').glob('allreduce_*gpu.csv')):
        _, generation, gpus = path.stem.split('_')
        yield dict(path=str(path), kind='all_reduce', gpus=int(gpus[:-3]), nodes=1,
                   platform=f'dgx-{generation}', name=f'{generation.upper()} {gpus[:-3]}, vTrain')


def swept(shared, folder):
    """The sweeps, a file for each source, collective and group."""
    tables = collections.OrderedDict()
    with open(shared / 'validation/nccl_sweeps.csv', newline='') as f:
        for row in csv.DictReader(f):
            key = (row['source'], row['collective'], row['gpu'], row['gpus'], row['nodes'])
            if row['time_us_oop']:
                tables.setdefault(key, []).append(row)
    for i, (key, rows) in enumerate(tables.items()):
        source, kind, gpu, gpus, nodes = key
        platform = next((p for word, p in PLATFORMS.items() if word in gpu), None)
        kind = {'alltoall': 'all_to_all'}.get(kind, kind)
        path = os.path.join(folder, f'{i}.csv')
        with open(path, 'w') as f:
            f.write('bytes,time(us),gpus,nodes\n')
            for row in rows:
                f.write(f'{row["bytes"]},{row["time_us_oop"]},{gpus},{nodes}\n')
        yield dict(path=path, kind=kind, gpus=int(gpus), nodes=int(nodes), platform=platform,
                   name=f'{gpu.split("-")[0]} {gpus}, {source}', rows=len(rows))


def compare(sim, table, folder):
    fitted = os.path.join(folder, 'fitted.yaml')
    before = sim.errors(table, table['platform'])
    sim.fit([table], table['platform'], fitted)
    after = sim.errors(table, fitted)
    all_before = [e for _, e in before]
    print(f'{table["name"][:30]:<30} {table["platform"]:<8} {len(before):>5}'
          f'{words(all_before)}{words(others(after))}', flush=True)
    return dict(table=table['name'], nodes=table['nodes'], unfitted=mean(all_before),
                fitted=mean(others(after)))


def leave_one_out(sim, tables, folder):
    fitted = os.path.join(folder, 'fitted.yaml')
    print('\na number of devices in a node predicted from tables of the others')
    for left in tables:
        rest = [t for t in tables if t['platform'] == left['platform'] and t is not left]
        sim.fit(rest, left['platform'], fitted)
        errors = [e for _, e in sim.errors(left, fitted)]
        print(f'{left["name"]:<30} {left["platform"]:<8} {len(errors):>5}{words(errors)}',
              flush=True)


def summary(rows):
    for what, wanted in (('within a node, traces', lambda r: 'vTrain' in r['table']),
                         ('within a node, sweeps',
                          lambda r: r['nodes'] == 1 and 'vTrain' not in r['table']),
                         ('across nodes, sweeps', lambda r: r['nodes'] > 1)):
        chosen = [r for r in rows if wanted(r) and r['fitted'] is not None]
        for column in ('unfitted', 'fitted'):
            value = sum(r[column] for r in chosen) / len(chosen)
            print(f'{what}, {column}: mean of {len(chosen)} tables {100 * value:.2f} %')


def compare_all(options):
    shared = pathlib.Path(os.environ.get('TANDEM_SHARED', '.'))
    if not (shared / 'traces/nccl').is_dir():
        sys.exit('bench/accuracy: no traces/nccl below TANDEM_SHARED; set it')
    sim, rows, skipped = Sim(options.runs), [], []
    with tempfile.TemporaryDirectory() as folder:
        own = list(traced(shared))
        print(f'{"errors, %":<44}{"nothing fitted":>19}{"others of a fit":>18}')
        columns = f'{"mean":>6}{"med.":>6}{"worst":>6}'
        print(f'{"table":<30} {"machine":<8} {"rows":>5}{columns}{columns}')
        for table in own + list(swept(shared, folder)):
            if not table['platform'] or table['kind'] == 'sendrecv' or table.get('rows', 9) < 8:
                skipped.append(table['name'])
                continue
            rows.append(compare(sim, table, folder))
        print('left out (no such platform, or fewer than 8 rows):')
        for name in dict.fromkeys(skipped):
            print(f'  {name}')
        leave_one_out(sim, own, folder)
    print()
    summary(rows)
    print('fitted: constants of each machine (sim --fit), to the powers of two of each table and,\n'
          'of numbers of devices, to the tables of the others; errors are of rows left out')
