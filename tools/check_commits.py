#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fail on a commit whose message breaks the rules of CONTRIBUTING.md.
Usage: check_commits.py [ROOT [BASE]]

Looks at the commits after BASE, merges left out. A subject is "folder: what it does now", of 72
columns at most; a body says why, unless the change touches only documents or is trivial: 5 lines
added and removed at most. Nothing is in progress, to be squashed or to be fixed up. Speaks TAP, a
line for each commit; all is skipped where git does not know BASE, as in an archive or a shallow
clone.
"""
import re
import subprocess
import sys

BASE = '93a044853c40517630f1da25abafaf18fac8cef0'  # the rules hold for what came after it
COLUMNS, TRIVIAL_LINES = 72, 5
FORM = re.compile(r'[\w.+-]+(?:[/, ]+[\w.{},+-]+){0,5}: \S')
UNFINISHED = re.compile(r'\A.*\b(?:work in progress|wip)\b|^(?:work in progress|wip)\b',
                        re.I | re.M)
SQUASHED = re.compile(r'(?:fixup|squash|amend)!')
TRAILER = re.compile(r'[A-Z][\w-]+-[Bb]y: ')
DOCUMENT = re.compile(r'(?:.*\.md|docs/.*|LICENSE)')


class Unknown(Exception):
    """What git cannot tell here."""


def git(root, *words):
    try:
        done = subprocess.run(['git', '-C', root, *words], capture_output=True, text=True)
    except FileNotFoundError:
        raise Unknown('no git') from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise Unknown(lines[0] if lines else f'git {words[0]} failed')
    return done.stdout


def is_trivial(root, commit):
    """Documents alone, or a few lines."""
    lines, documents = 0, True
    for line in git(root, 'show', '--numstat', '--format=', '--no-renames', commit).splitlines():
        added, removed, path = line.split('\t')
        documents = documents and DOCUMENT.fullmatch(path)
        lines += TRIVIAL_LINES + 1 if added == '-' else int(added) + int(removed)
    return documents or lines <= TRIVIAL_LINES


def complaints(root, commit):
    subject, *body = git(root, 'show', '-s', '--format=%B', commit).rstrip('\n').split('\n')
    if len(subject) > COLUMNS:
        yield f'the subject has {len(subject)} columns, the limit is {COLUMNS}'
    if SQUASHED.match(subject):
        yield 'is to be squashed into another'
    elif not FORM.match(subject):
        yield 'the subject is not "folder: what it does now"'
    if UNFINISHED.search('\n'.join([subject, *body])):
        yield 'is in progress: finish it, or split off what is finished'
    if body and body[0]:
        yield 'no empty line after the subject'
    if not any(line.strip() and not TRAILER.match(line) for line in body) \
            and not is_trivial(root, commit):
        yield 'no body: say why'


def main(root='.', base=BASE):
    try:
        git(root, 'cat-file', '-e', f'{base}^{{commit}}')
        commits = git(root, 'rev-list', '--reverse', '--no-merges', f'{base}..HEAD').split()
    except Unknown as why:
        print(f'1..0 # SKIP {why}')
        return False
    failed = False
    print(f'1..{len(commits)}' if commits else '1..0 # SKIP no commit after the base')
    for number, commit in enumerate(commits, 1):
        bad = list(complaints(root, commit))
        failed = failed or bool(bad)
        subject = git(root, 'show', '-s', '--format=%h %s', commit).strip().replace('#', '')
        print(f'{"not ok" if bad else "ok"} {number} - {subject}')
        print(''.join(f'# {why}\n' for why in bad), end='')
    return failed


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
