#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run every command that the documents show. Usage: run_commands.py ROOT BUILD

Commands are the lines of ```sh blocks. Those that begin with build/ are run here, one after the
other in an empty directory, where build/ is BUILD; training is cut to five steps. The others must
be among those that something else runs (ELSEWHERE). Speaks TAP.
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


def commands(root):
    """Page and command line, every command once."""
    seen = {}
    for page in check_docs.files(root, {'.md'}):
        for block in check_docs.FENCE.finditer(page.read_text(encoding='utf-8')):
            if block['language'] != 'sh':
                continue
            for line in block['body'].splitlines():
                command = re.sub(r'\s+#.*', '', line).strip()
                if command:
                    seen.setdefault(command, page.relative_to(root).as_posix())
    return [(page, command) for command, page in seen.items()]


def shortened(command):
    """`train` for a few steps: what is shown is that the command line works."""
    program, *words = command.split(' ', 1)
    if program != 'build/train' or '--calibrate' in command:
        return command
    rest = re.sub(r'(^|\s)--(epochs|steps)\s+\S+', '', ' '.join(words)).strip()
    return f'{program} --steps {STEPS} {rest}'.rstrip()


def run(command, directory):
    """What is wrong with it, or None."""
    if command in ELSEWHERE:
        return None
    if not command.startswith('build/'):
        return 'nothing runs this command; see tools/run_commands.py'
    try:
        done = subprocess.run(['sh', '-c', shortened(command)], cwd=directory, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return 'not done within 60 s'
    return f'status {done.returncode}\n{done.stderr}' if done.returncode else None


def main(root, build):
    found, failed = commands(pathlib.Path(root)), False
    print(f'1..{len(found)}')
    with tempfile.TemporaryDirectory() as directory:
        os.symlink(os.path.abspath(build), os.path.join(directory, 'build'))
        for number, (page, command) in enumerate(found, 1):
            why = run(command, directory)
            failed = failed or why is not None
            print(f'{"not ok" if why else "ok"} {number} - {page}: {command}')
            for line in (why or '').splitlines():
                print('# ' + line)
    return failed


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
