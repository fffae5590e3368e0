#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turn text files into a C table of (name, text), so that programs need no files to run.

usage: embed.py HEADER TABLE OUT.c FILE...

HEADER declares `const EmbeddedFile TABLE[]` and `TABLE_count`; a file's name in the table is its
stem.
"""
import pathlib
import sys


def c_string(text):
    """One C string literal a line; anything but printable ASCII as three octal digits."""
    plain = {ord('"'): '\\"', ord('\\'): '\\\\', ord('\n'): '\\n', ord('?'): '\\?'}
    lines = []
    for line in text.encode().splitlines(keepends=True):
        lines.append('"' + ''.join(plain.get(b) or (chr(b) if 32 <= b < 127 else f'\\{b:03o}')
                                   for b in line) + '"')
    return '\n     '.join(lines) or '""'


def main():
    header, table, out, *files = sys.argv[1:]
    if not out.endswith('.c'):
        sys.exit(f'embed.py: {out} is no C file to write')
    with open(out, 'w', encoding='ascii') as f:
        f.write('// Made by tools/embed.py; edit the files it was made from.\n')
        f.write(f'#include "{header}"\n\n')
        f.write(f'const EmbeddedFile {table}[] = {{\n')
        for name in files:
            path = pathlib.Path(name)
            f.write(f'    {{"{path.stem}",\n     {c_string(path.read_text(encoding="utf-8"))}}},\n')
        f.write(f'}};\nconst int {table}_count = {len(files)};\n')


main()
