# SPDX-License-Identifier: MIT
"""What the notebooks share: running Tandem's programs, reading what they write, and holding what
the text says against the numbers. The standard library alone.

    import lab
    report = lab.report('train', '--model linear --steps 20')
    lab.claim('the loss falls', report['loss'][-1] < report['loss'][0])

A program that fails makes its cell fail, with what it said. LAB_FAST=1 makes runs shorter.
"""
import atexit, json, math, os, pathlib, shlex, shutil, struct, subprocess, sys, tempfile, textwrap

FAST = os.environ.get('LAB_FAST', '') not in ('', '0')
HERE = pathlib.Path(__file__).resolve().parent


class Failed(RuntimeError):
    """A program ended with a failure, or took too long."""


def _build():
    """The folder of the programs: $TANDEM_BUILD, or build/ of this clone."""
    named = os.environ.get('TANDEM_BUILD')
    for folder in [pathlib.Path(named)] if named else [p / 'build' for p in HERE.parents]:
        if (folder / 'train').exists() and (folder / 'sim').exists():
            return folder.resolve()
    sys.exit(f'lab: no train and sim in {named or HERE.parent / "build"}; '
             'run ./quickstart, or set TANDEM_BUILD to the folder they are in')


BUILD = _build()
_scratch = tempfile.mkdtemp(prefix='tandem-notebook-')
atexit.register(shutil.rmtree, _scratch, ignore_errors=True)


def scratch(name):
    """The path of a file of this notebook. Programs run in its folder, so that on their command
    line the name is enough; it is removed at the end."""
    return pathlib.Path(_scratch, name)


def write(name, text):
    """A file for the programs to read."""
    scratch(name).write_text(text, 'utf-8')


# --- running

def run(program, *words, timeout=300, show=True):
    """What a program prints; words as one would type them. `show`: the command line, too."""
    words = shlex.split(' '.join(words))
    if show:
        print(textwrap.fill(shlex.join(['$', program] + words).replace("'$'", '$'), 78,
                            subsequent_indent='    ', break_long_words=False,
                            break_on_hyphens=False))
    try:
        done = subprocess.run([str(BUILD / program)] + words, cwd=_scratch, text=True,
                              capture_output=True, timeout=timeout,
                              env={**os.environ, 'NO_COLOR': '1', 'COLUMNS': '80'})
    except subprocess.TimeoutExpired:
        raise Failed(f'{program} took more than {timeout} s') from None
    if done.returncode:
        tail = '\n'.join(done.stderr.strip().splitlines()[-5:])
        raise Failed(f'{program} ended with status {done.returncode}: {tail}')
    return done.stdout


def report(program, *words, **how):
    """The report of a run or a prediction, or what else its --json prints."""
    return json.loads(run(program, *words, '--json', **how))


def sweep(*words, **how):
    """The reports of sim, one for each number of devices."""
    found = report('sim', *words, **how)
    return found if isinstance(found, list) else [found]


# --- reading

_FORMATS = {'F32': 'f', 'F64': 'd', 'I32': 'i'}


def tensors(path):
    """The tensors of a safetensors file: {name: (shape, flat list of numbers)}."""
    data = pathlib.Path(path).read_bytes()
    size, = struct.unpack_from('<Q', data)
    found = {}
    for name, t in json.loads(data[8:8 + size]).items():
        if name == '__metadata__':
            continue
        start, end = t['data_offsets']
        count = math.prod(t['shape'])
        values = struct.unpack(f'<{count}{_FORMATS[t["dtype"]]}',
                               data[8 + size + start:8 + size + end])
        found[name] = (t['shape'], list(values))
    return found


def rows(shape, values):
    """The rows of a matrix."""
    return [values[i:i + shape[1]] for i in range(0, len(values), shape[1])]


# --- claims

def claim(what, holds, numbers=''):
    """What the text says; the cell fails where it is wrong."""
    print(f'{"holds" if holds else "FAILS"}: {what}{": " if numbers else ""}{numbers}')
    if not holds:
        raise AssertionError(f'{what} {numbers}')


def agree(what, found, expected, relative=0.0, absolute=0.0):
    """That a number is another one, within a tolerance: claim(), with both numbers."""
    far = abs(found - expected)
    claim(what, far <= relative * abs(expected) + absolute,
          f'{found:.10g} and {expected:.10g}, apart by {far:.2g}')


_predicted = {}


def predict(name, value):
    """Write down what you expect, before reveal() shows it."""
    _predicted[name] = value
    print(f'{name}: predicted {value:.6g}')
    return value


def reveal(name, value):
    """What came out, beside what was predicted."""
    if name not in _predicted:
        raise AssertionError(f'{name} was not predicted: call lab.predict({name!r}, ...) first')
    given = _predicted[name]
    off = f', {100 * (given - value) / value:+.1f} %' if value else ''
    print(f'{name}: {value:.6g}, predicted {given:.6g}{off}')
    return value


# --- showing

def table(heads, lines):
    """Columns as wide as they need; numbers with four significant digits."""
    texts = [[c if isinstance(c, str) else f'{c:.4g}' for c in line] for line in lines]
    widths = [max(len(line[i]) for line in [list(heads)] + texts) for i in range(len(heads))]
    for line in [heads] + texts:
        print('  '.join(c.rjust(w) for c, w in zip(line, widths)).rstrip())


def figure(program, *words, name):
    """Draw with the program's own --plot, as the command line does, and show one of its figures.
    Without gnuplot there is none, and it says so."""
    run(program, *words, '--plot plots')
    path = scratch('plots') / (name + '.svg')
    if not path.exists():
        if shutil.which('gnuplot'):
            raise AssertionError(f'--plot drew no {name}.svg')
        print(f'no gnuplot: {name}.svg was not drawn')
        return None
    try:
        from IPython import get_ipython
        from IPython.display import SVG, display
        if get_ipython():
            display(SVG(filename=str(path)))
            return path
    except ImportError:
        pass
    kept = pathlib.Path(os.environ.get('LAB_FIGURES') or HERE / 'figures')
    kept.mkdir(exist_ok=True)
    shutil.copy(path, kept)
    print(f'drawn: {path.name}, in {kept}')
    return path


def machine():
    """Where the measured numbers of this notebook come from."""
    cpu = 'unknown processor'
    try:
        for line in open('/proc/cpuinfo'):
            if line.startswith('model name'):
                cpu = line.split(':')[1].strip()
                break
    except OSError:
        pass
    version = run('train', '--version', show=False).splitlines()[0]
    print(f'{version}; {os.cpu_count()} cores, {cpu}' + ('; short runs' if FAST else ''))
