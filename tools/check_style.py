#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fail on what clang-format leaves alone. Usage: check_style.py [ROOT]

Lines of 100 columns, no tabs, no trailing space; files of 500 lines, headers of 130, functions of
70 (lines of tables in them do not count); the licence first; header guards named after the path;
libraries neither exit nor print; what is left to do names its issue; no comment ends in one or two
words that wrapping left alone on the last line (lines of formulas, three spaces in, are laid out
by hand and not looked at); a source that is no test begins with what is in it.
"""
import pathlib
import re
import sys

COLUMNS, FILE_LINES, HEADER_LINES, FUNCTION_LINES = 100, 500, 130, 70
# Files that may be longer, and why a reader accepts it.
LONGER = {
    'core/plan/kind.h': 'one line per kind of work: the vocabulary is looked up in one place',
    'core/plan/program.h': 'the types of a plan refer to each other and are read together',
    'parallel/comm/comm.h': 'the interface that every communicator implements, in one piece',
}
LIBRARIES = ('core', 'parallel', 'sim', 'viz')
FOLDERS = LIBRARIES + ('lessons', 'programs', 'tests', 'bench', 'tools', 'models', 'notebooks',
                       '.ci')
CODE = {'.c', '.h', '.cu', '.cuh'}
TEXT = CODE | {'.py', '.sh', '.build', '.model', '.gp'}
LICENCE = '// SPDX-License-Identifier: MIT'

LITERAL_OR_COMMENT = re.compile(
    r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.S)
ENDS = re.compile(r'\b(exit|abort|quick_exit)\s*\(')
PRINTS = re.compile(r'\b(printf|vprintf|puts|putchar|perror)\s*\(|\b(stdout|stderr)\b')
FLUSHES = re.compile(r'\bfflush\s*\(\s*(stdout|stderr)\s*\)')
COMMENT = re.compile(r'\s*// (\S.*)$')
ORPHAN_WORDS, ORPHAN_LETTERS = 2, 20
LOOSE = re.compile(r'\b(T[O]DO|F[I]XME|X[X]X)\b(?!\(#\d+\))')


def blank(match):
    """A literal or comment with its letters gone and its lines kept."""
    return re.sub(r'[^\n]', ' ', match.group(0))


def check_text(lines):
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            yield number, f'{len(line)} columns, the limit is {COLUMNS}'
        if '\t' in line:
            yield number, 'a tab'
        if line != line.rstrip():
            yield number, 'trailing space'
        loose = LOOSE.search(line)
        if loose:
            yield number, f'a loose {loose.group(1)}: write {loose.group(1)}(#issue), or do it'


def check_comments(lines):
    """The last line of a paragraph, behind one in which its first word had no room."""
    comments = [COMMENT.match(line) for line in lines] + [None]
    for number, (before, last, after) in enumerate(zip(comments, comments[1:], comments[2:]), 2):
        if not before or not last or after or last.group(1).startswith('clang-format'):
            continue
        words = last.group(1).split()
        full = len(before.group(0)) + 1 + len(words[0]) > COLUMNS
        if full and len(words) <= ORPHAN_WORDS and len(last.group(1)) <= ORPHAN_LETTERS:
            yield number, f'"{last.group(1)}" alone on the last line: break the one before earlier'


def check_functions(code):
    """A function runs from an unindented line with a parenthesis before its brace to the next '}'
    in the first column; an initialiser has '=' there, a type no parenthesis. A table in it runs
    from a line that ends in "= {" to one that ends in "};"."""
    start, head, table, tables = 0, '', 0, 0
    for number, line in enumerate(code, 1):
        if re.match(r'\w', line):
            start, head, tables = number, '', 0
        if start and '{' not in head:
            head += line
        if line.rstrip().endswith('= {'):
            table = number
        if table and line.rstrip().endswith('};'):
            tables += number - table
            table = 0
        if line.startswith('}') and start:
            before = head.split('{')[0]
            length = number - start + 1 - tables
            if '(' in before and '=' not in before and length > FUNCTION_LINES:
                yield start, f'a function of {length} lines, the limit is {FUNCTION_LINES}'
            start = 0


def check_library(code):
    for number, line in enumerate(code, 1):
        if ENDS.search(line):
            yield number, 'a library never exits: return a Status'
        if PRINTS.search(FLUSHES.sub('', line)):
            yield number, 'a library never prints: write to a FILE * of the caller'


def check_header(name, code, lines):
    if len(lines) > HEADER_LINES and name not in LONGER:
        yield len(lines), f'a header of {len(lines)} lines, the limit is {HEADER_LINES}'
    guard = re.sub(r'\W', '_', name).upper()
    directives = [line.strip() for line in code if line.startswith('#')]
    if directives[:2] != [f'#ifndef {guard}', f'#define {guard}'] or directives[-1:] != ['#endif']:
        yield 1, f'the header guard is not #ifndef {guard}, #define {guard}, …, #endif'


def check_file(name, text):
    lines = text.splitlines()
    yield from check_text(lines)
    suffix = pathlib.PurePath(name).suffix
    if len(lines) > FILE_LINES and name not in LONGER:
        yield len(lines), f'{len(lines)} lines, the limit is {FILE_LINES}'
    if text and not text.endswith('\n'):
        yield len(lines), 'no newline at the end'
    if suffix not in CODE:
        return
    code = LITERAL_OR_COMMENT.sub(blank, text).splitlines()
    if lines[:1] != [LICENCE]:
        yield 1, f'the first line is not "{LICENCE}"'
    elif suffix == '.c' and not name.startswith('tests/') and \
            not COMMENT.match(''.join(lines[1:2])):
        yield 2, 'no head comment: what is in this file, and where to read first'
    yield from check_comments(lines)
    yield from check_functions(code)
    if suffix == '.h':
        yield from check_header(name, code, lines)
    if name.split('/')[0] in LIBRARIES:
        yield from check_library(code)


def is_ours(path):
    """Text by its ending, or a script without one."""
    return path.is_file() and (path.suffix in TEXT or
                               not path.suffix and path.read_bytes()[:2] == b'#!')


def check(root):
    bad = []
    paths = [p for folder in FOLDERS for p in (root / folder).rglob('*')] + list(root.glob('*'))
    for path in sorted(p for p in paths if is_ours(p)):
        name = path.relative_to(root).as_posix()
        if name.startswith('tests/data/'):
            continue
        bad += [f'{name}:{number}: {why}'
                for number, why in sorted(check_file(name, path.read_text(encoding='utf-8')))]
    return bad


if __name__ == '__main__':
    found = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else '.'))
    print('\n'.join(found) or 'style ok')
    sys.exit(bool(found))
