#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fail on a symbol of a library without its noun. Usage: check_symbols.py ROOT BUILD

Whatever leaves its file begins with a noun that says where it is defined: the name of a header of
its folder (NAME_internal.h is NAME), of its own file, of the folder or one above it, or of a type
in the folder's headers, in snake_case (without the word Kind, or with it). A plural will do. Names
that begin with _ are the compiler's. Reads the objects in BUILD with nm, as far as they are
built. Speaks TAP, a line for each folder; all is skipped where nm or the objects are missing.
"""
import collections
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import sys

LIBRARIES = ('core', 'lessons', 'parallel', 'sim', 'viz')
# Symbols that may do without, and why.
WITHOUT_NOUN = {}
TYPE = re.compile(r'^(?:typedef\b.*|\}) ?\b([A-Z]\w*)(?:\[.*)?;|\b(?:struct|enum|union) ([A-Z]\w*)')


def snake(name):
    """PendingCollective -> pending_collective."""
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', name).lower()


def stem_of(path):
    return path.name.split('.')[0].removesuffix('_internal')


def nouns_of(root, source):
    folder = (root / source).parent
    nouns = {stem_of(pathlib.Path(source)), *pathlib.PurePosixPath(source).parts[:-1]}
    for header in folder.glob('*.h'):
        nouns.add(stem_of(header))
        for line in header.read_text(encoding='utf-8').splitlines():
            nouns |= {snake(name).removesuffix('_kind')
                      for name in itertools.chain(*TYPE.findall(line)) if name}
    return nouns


def has_noun(symbol, nouns):
    return any(re.match(rf'{noun}(?:s|es)?(?:_|$)', symbol) for noun in nouns)


def objects_of(root, build):
    """Source in a library, and its object; each source once."""
    seen = {}
    for command in json.loads((build / 'compile_commands.json').read_text(encoding='utf-8')):
        path = (build / command['file']).resolve()
        source = path.relative_to(root).as_posix() if path.is_relative_to(root) else ''
        output = build / command['output']
        if source.split('/')[0] in LIBRARIES and output.is_file():
            seen.setdefault(source, output)
    return seen


def symbols_of(objects):
    """External symbols that each source defines, from one call of nm."""
    sources = {str(path): source for source, path in objects.items()}
    listed = subprocess.run(['nm', '-A', '-g', '--defined-only', '-P', *sources], check=True,
                            capture_output=True, text=True).stdout
    symbols = collections.defaultdict(list)
    for line in listed.splitlines():
        path, symbol = re.match(r'(.*?):\s*(\S+)', line).groups()
        symbols[sources[path]].append(symbol)
    return symbols


def check(root, build):
    """What is wrong, by folder."""
    root, build = root.resolve(), build.resolve()
    bad = collections.defaultdict(list)
    for source, symbols in sorted(symbols_of(objects_of(root, build)).items()):
        nouns = nouns_of(root, source)
        bad[str(pathlib.PurePosixPath(source).parent)] += [
            f'{source}: {symbol}() has no noun: begin it with the name of a header, of the file, '
            f'of the folder or of a type' for symbol in sorted(symbols)
            if symbol[0] != '_' and symbol not in WITHOUT_NOUN and not has_noun(symbol, nouns)]
    return bad


def main(root, build):
    root, build = pathlib.Path(root), pathlib.Path(build)
    why = 'no nm' if not shutil.which('nm') else \
        'no objects' if not objects_of(root.resolve(), build.resolve()) else None
    if why:
        print(f'1..0 # SKIP {why}')
        return False
    found = check(root, build)
    print(f'1..{len(found)}')
    for number, (folder, bad) in enumerate(found.items(), 1):
        print(f'{"not ok" if bad else "ok"} {number} - every symbol of {folder} has its noun')
        print(''.join(f'# {line}\n' for line in bad), end='')
    return any(found.values())


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
