# SPDX-License-Identifier: MIT
"""What the programs of bench/ read from reports of train and sim (docs/formats.md, "Reports")."""
import json, os, shutil, statistics, subprocess, sys, tempfile


class Runs:
    """Runs train and sim of a build in a folder of its own, which close() removes."""

    def __init__(self, name, build):
        self.name, self.build = name, os.path.abspath(build)
        self.scratch = tempfile.mkdtemp(prefix=name + '-')

    def close(self):
        shutil.rmtree(self.scratch)

    def run(self, *words):
        program = os.path.join(self.build, words[0])
        done = subprocess.run([program] + [str(w) for w in words[1:]], cwd=self.scratch,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f'{self.name}: {" ".join(map(str, words))}: {done.stderr.strip()}')
        return done.stdout

    def train(self, *words):
        """The report of a run, as a dictionary."""
        self.run('train', '-q', '--tail', 'drop', '--report', 'report.json', *words)
        with open(os.path.join(self.scratch, 'report.json')) as f:
            return json.load(f)

    def sim(self, *words):
        """Simulated reports, one for each number of ranks."""
        out = json.loads(self.run('sim', '--json', *words))
        return out if isinstance(out, list) else [out]


def is_disturbed(report):
    """As train says it: others had more than a tenth of a core that we used."""
    d = report.get('disturbed')
    spare = d and max(0, d['cores'] - d['threads'])
    return bool(d) and d['others_cores'] + d['steal_cores'] > 0.1 + spare


def step_ms(report):
    return report['step_ms']['median']


def noise(runs):
    """Spread of steps: middle 80 % of them, relative to the median, in the median run."""
    return statistics.median((r['step_ms']['p90'] - r['step_ms']['p10']) / step_ms(r) for r in runs)
