#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run every command that the documents show. Usage: run_commands.py ROOT BUILD [--update]

Commands are the lines of ```sh blocks. Those that begin with build/ are run here, one after the
other in an empty directory, where build/ is BUILD, and docs/ that of ROOT; training is cut to five
steps. The others must be among those that something else runs (ELSEWHERE). Speaks TAP.

```console blocks show a command after "$ " and what it prints. `sim` and `lesson` must print
exactly that; with --update, documents get what they print now. A command may begin with
LANGUAGE=zh_CN, and is skipped where the build has no texts in that language. Times and losses of
`train` are the machine's: its first line must agree but for numbers, and lines that are indented
by two columns in their first word. No line of standard output is wider than 80 columns.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import check_docs

ELSEWHERE = {
    './quickstart': '.ci/run',
    './quickstart test': '.ci/run',
}
STEPS = 5
COLUMNS = 80
OURS = re.compile(r'(?:LANGUAGE=(\w+) )?build/(\w+)')


def commands(root):
    """Page and command line, every command once."""
    seen = {}
    for page in check_docs.files(root, {'.md'}):
        for block in check_docs.FENCE.finditer(page.read_text(encoding='utf-8')):
            if block['language'] != 'sh':
                continue
            for line in re.sub(r'\s*\\\n\s*', ' ', block['body']).splitlines():
                command = re.sub(r'\s+#.*', '', line).strip()
                if command:
                    seen.setdefault(command, page.relative_to(root).as_posix())
    return [(page, command) for command, page in seen.items()]


def shortened(command):
    """`train` for a few steps: what is shown is that the command line works. A run that is resumed
    has as many again."""
    program, *words = command.split(' ', 1)
    untrained = ('--calibrate', '--evaluate', '--generate')
    if program != 'build/train' or any(option in command for option in untrained):
        return command
    rest = re.sub(r'(^|\s)--(epochs|steps)\s+\S+', '', ' '.join(words)).strip()
    steps = 2 * STEPS if '--resume' in command else STEPS
    return f'{program} --steps {steps} {rest}'.rstrip()


def transcripts(root):
    """Page, command and what it prints: the console blocks."""
    found = []
    for page in check_docs.files(root, {'.md'}):
        for block in check_docs.FENCE.finditer(page.read_text(encoding='utf-8')):
            if block['language'] != 'console':
                continue
            for part in re.split(r'^\$ ', block['body'], flags=re.M)[1:]:
                command, printed = part.split('\n', 1)
                found.append((page.relative_to(root).as_posix(), command, printed))
    return found


def difference(command, shown, printed):
    """The first line that is not as shown, or None."""
    def line(text, at):
        lines = text.splitlines()
        return lines[at] if at < len(lines) else 'nothing'
    if not command.startswith('build/train'):
        for at in range(max(len(shown.splitlines()), len(printed.splitlines()))):
            if line(shown, at) != line(printed, at):
                return f'shown:   {line(shown, at)}\nprinted: {line(printed, at)}'
        return None
    # A build without BLAS trains on its default device, which is another than that of the page.
    first = [re.sub(r'\d+', '#', re.sub(r'\(reference,', '(cpu,', line(text, 0)))
             for text in (shown, printed)]
    if first[0] != first[1]:
        return f'shown:   {line(shown, 0)}\nprinted: {line(printed, 0)}'
    words = [re.findall(r'^  (\S+)', text, re.M) for text in (shown, printed)]
    if words[0] != words[1]:
        return f'shown:   lines {", ".join(words[0])}\nprinted: lines {", ".join(words[1])}'
    return None


def too_wide(command, printed):
    """A line that does not fit a terminal of 80 columns, or None. A word that cannot be broken, a
    path or an address, may be as long as it is, and so is text that a network wrote."""
    for line in printed.splitlines():
        if len(line) > COLUMNS and '--generate' not in command and \
                max(map(len, line.split())) <= COLUMNS // 2:
            return f'a line of {len(line)} columns: {line}'
    return None


def run(command, directory, shown=None):
    """What is wrong with it, or None; and what it printed."""
    if command in ELSEWHERE:
        return None, ''
    if not OURS.match(command):
        return 'nothing runs this command; see tools/run_commands.py', ''
    try:
        done = subprocess.run(['sh', '-c', shortened(command)], cwd=directory, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**os.environ, 'LC_ALL': 'C.UTF-8', 'TERM': 'xterm'})
    except subprocess.TimeoutExpired:
        return 'not done within 60 s', ''
    why = f'status {done.returncode}\n{done.stderr}' if done.returncode else None
    why = why or too_wide(command, done.stdout)
    if not why and shown is not None:
        why = difference(command, shown, done.stdout)
    return why, done.stdout


def is_untranslated(command, build):
    """Is it in a language whose texts are not built?"""
    language = OURS.match(command) and OURS.match(command)[1]
    texts = pathlib.Path(build, 'po', str(language), 'LC_MESSAGES', 'tandem-lesson.mo')
    return language and not texts.exists()


def update(path, command, shown, printed):
    block = re.escape(f'$ {command}\n{shown}') + r'(?=```|\$ )'
    text = path.read_text(encoding='utf-8')
    path.write_text(re.sub(block, lambda _: f'$ {command}\n{printed}', text), encoding='utf-8')


def main(root, build, *options):
    root = pathlib.Path(root)
    found = [(page, command, None) for page, command in commands(root)] + transcripts(root)
    failed = False
    print(f'1..{len(found)}')
    with tempfile.TemporaryDirectory() as directory:
        os.symlink(os.path.abspath(build), os.path.join(directory, 'build'))
        os.symlink(os.path.abspath(root / 'docs'), os.path.join(directory, 'docs'))
        for number, (page, command, shown) in enumerate(found, 1):
            if is_untranslated(command, build):
                print(f'ok {number} - {page}: {command} # SKIP its texts are not built')
                continue
            why, printed = run(command, directory, shown)
            stale = why and printed and shown is not None and OURS.match(command)[2] != 'train'
            if stale and '--update' in options:
                update(root / page, command, shown, printed)
                why = None
            failed = failed or why is not None
            prompt = '' if shown is None else '$ '
            print(f'{"not ok" if why else "ok"} {number} - {page}: {prompt}{command}')
            for line in (why or '').splitlines():
                print('# ' + line)
    return failed


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
