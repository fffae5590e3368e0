#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make notebooks/*.ipynb from notebooks/*.py, or test both.

usage: notebooks.py ROOT          write the .ipynb
       notebooks.py ROOT BUILD    test, as TAP: sources and .ipynb agree; each runs from head to
                                  tail with the programs of BUILD; what is wrong makes it fail

A source has cells, each after a line `# %%` (code) or `# %% [markdown]` (comment lines). The .ipynb
hold no outputs, and their cells have fixed names, so that the same source makes the same bytes.
"""
import json, os, pathlib, re, subprocess, sys, tempfile

CELL = re.compile(r'^# %%(?: \[(markdown)\])?$')


def cells_of(source):
    """[(kind, text)] of a source; what stands before the first cell belongs to none."""
    cells = []
    for line in source.splitlines():
        mark = CELL.match(line)
        if mark:
            cells.append((mark.group(1) or 'code', []))
        elif cells:
            cells[-1][1].append(line)
    return [(kind, '\n'.join(lines).strip('\n')) for kind, lines in cells]


def text_of(kind, text):
    if kind == 'code':
        return text
    for line in text.splitlines():
        if not re.match(r'#( |$)', line):
            sys.exit(f'notebooks.py: a line of text must begin with "# ": {line}')
    return '\n'.join(line[2:] for line in text.splitlines())


def notebook_of(source):
    cells = []
    for i, (kind, text) in enumerate(cells_of(source)):
        cell = {'cell_type': kind, 'id': f'cell-{i:02}', 'metadata': {},
                'source': text_of(kind, text).splitlines(keepends=True)}
        if kind == 'code':
            cell |= {'execution_count': None, 'outputs': []}
        cells.append(cell)
    about = {'kernelspec': {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'},
             'language_info': {'name': 'python'}}
    book = {'cells': cells, 'metadata': about, 'nbformat': 4, 'nbformat_minor': 5}
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + '\n'


def sources_in(root):
    return sorted((root / 'notebooks').glob('[0-9][0-9]_*.py'))


# --- tests

class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def result(self, ok, name, why=''):
        self.count += 1
        self.failed += not ok
        print(f'{"ok" if ok else "not ok"} {self.count} - {name}')
        if not ok:
            print('\n'.join('# ' + line for line in why.splitlines()), flush=True)


def run(root, build, code, figures):
    """A Python program beside lab.py, with the programs of `build`: (status, what it printed)."""
    env = {**os.environ, 'LAB_FAST': '1', 'LAB_FIGURES': figures, 'TANDEM_BUILD': str(build),
           'PYTHONDONTWRITEBYTECODE': '1'}
    done = subprocess.run([sys.executable] + code, cwd=root / 'notebooks', env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    return done.returncode, done.stdout


def must_fail(tap, root, build, figures, name, code, says):
    status, out = run(root, build, ['-c', 'import lab\n' + code], figures)
    tap.result(status != 0 and says in out, name, out)


def test(root, build):
    tap = Tap()
    sources = sources_in(root)
    tap.result(len(sources) == 8, 'there are eight notebooks', f'{len(sources)} sources')
    with tempfile.TemporaryDirectory() as figures:
        for source in sources:
            book = source.with_suffix('.ipynb')
            made = notebook_of(source.read_text('utf-8'))
            same = book.exists() and book.read_text('utf-8') == made
            tap.result(same, f'{book.name} is what {source.name} makes',
                       'run python3 tools/notebooks.py .')
            status, out = run(root, build, [source.name], figures)
            tap.result(status == 0, f'{source.name} runs from head to tail', out[-3000:])
            tap.result(out.count('holds: ') >= 4, f'{source.name} holds its text against numbers',
                       out)
        must_fail(tap, root, build, figures, 'a command that fails makes its cell fail',
                  'lab.run("train", "--model", "nothing")', 'lab.Failed: train ended with status 2')
        must_fail(tap, root, build, figures, 'so does a claim that is wrong',
                  'lab.agree("two", 1, 2, relative=0.1)', 'AssertionError: two')
        must_fail(tap, root, build, figures, 'and what is revealed before it was predicted',
                  'lab.reveal("step", 1)', 'step was not predicted')
        must_fail(tap, root, root / 'nowhere', figures, 'without programs it says what to do', '',
                  'run ./quickstart')
    print(f'1..{tap.count}')
    return tap.failed != 0


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    root = pathlib.Path(sys.argv[1]).resolve()
    if len(sys.argv) == 3:
        return test(root, pathlib.Path(sys.argv[2]).resolve())
    for source in sources_in(root):
        source.with_suffix('.ipynb').write_text(notebook_of(source.read_text('utf-8')), 'utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
