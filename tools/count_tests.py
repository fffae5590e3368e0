#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Count single tests and show those that failed. Usage: count_tests.py BUILD[=WHY]...

Reads BUILD/meson-logs/testlog.json, where `meson test` keeps what each program printed. A program
that speaks TAP counts test by test; any other counts as one. One that crashed, ran out of time or
failed without naming a test counts as one failure more, and so does a build without a log: it
failed. BUILD=WHY was left out for that reason and counts as one skipped. The last line is
`N passed, M failed, K skipped`; exit status 1 when something failed or nothing passed.
"""
import json
import pathlib
import re
import sys

PLAN = re.compile(r'1\.\.(\d+)\b(?:\s*#\s*skip\S*\s*(.*))?', re.I)
TEST = re.compile(r'(not )?ok\b\s*\d*\s*(?:- )?(.*?)(?:\s*#\s*skip\S*\s*(.*))?$', re.I)
SHOWN = 60  # lines of what a failed program printed


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def fail(self, where, output=''):
        self.failed += 1
        print(f'FAILED   {where}')
        lines = output.rstrip().splitlines()
        for line in ['…'] * (len(lines) > SHOWN) + lines[-SHOWN:]:
            print('         ' + line)

    def skip(self, where, why):
        self.skipped += 1
        print(f'skipped  {where}: {why}')


def explanation(lines, at):
    """The comment lines that follow line `at`: what a failed test says of itself."""
    end = at + 1
    while end < len(lines) and lines[end].startswith('#'):
        end += 1
    return '\n'.join(line[1:].strip() for line in lines[at + 1:end])


def count_tap(count, where, lines):
    """Results of a program that speaks TAP; how many tests it announced and how many it ran."""
    planned, ran, failed_before = None, 0, count.failed
    for at, line in enumerate(lines):
        plan, test = PLAN.match(line), TEST.match(line)
        if plan:
            planned = int(plan.group(1))
            if planned == 0:
                count.skip(where, plan.group(2) or 'all of it')
        elif test:
            ran += 1
            wrong, name, why = test.groups()
            if why is not None:
                count.skip(f'{where}: {name}', why)
            elif wrong:
                count.fail(f'{where}: {name}', explanation(lines, at))
            else:
                count.passed += 1
    return planned, ran, count.failed > failed_before


def count_program(count, build, program):
    where = f'{build}: {program["name"]}'
    output = program.get('stdout', '')
    result = program['result']
    ending = f'{result.lower()}, status {program["returncode"]}'
    planned, ran, named = count_tap(count, where, output.splitlines())
    everything = output + program.get('stderr', '')
    if planned is None and ran == 0:
        if result == 'SKIP':
            count.skip(where, 'said so')
        elif result in ('OK', 'EXPECTEDFAIL'):
            count.passed += 1
        else:
            count.fail(f'{where}: {ending}', everything)
    elif planned != ran:
        count.fail(f'{where}: {ending} after {ran} tests of {planned}', everything)
    elif result not in ('OK', 'SKIP') and not named:
        count.fail(f'{where}: {ending}', everything)


def main(builds):
    count = Count()
    for build in builds:
        if '=' in build:
            count.skip(*build.split('=', 1))
            continue
        log = pathlib.Path(build) / 'meson-logs' / 'testlog.json'
        if not log.is_file():
            count.fail(f'{build}: no test was run, see above')
            continue
        for line in log.read_text(encoding='utf-8', errors='replace').splitlines():
            count_program(count, build, json.loads(line))
    print(f'{count.passed} passed, {count.failed} failed, {count.skipped} skipped')
    return count.failed > 0 or count.passed == 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
