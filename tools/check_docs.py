#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fail when a document shows or names what is not there. Usage: check_docs.py [ROOT]

Every ```c block of a .md is, line for line, in some source file; every local link leads to a file;
every path in `backticks` that begins with a folder of the repository, or ends like a source file,
exists (`core/{base,plan}` and `lessons/*` are expanded), and every `function()` and every `name` of
four words or more (a test) is in some source file: in the file itself where it follows one, as in
`core/nn/emit.c`: `model_emit()`, `layer()`. A source that cites `docs/contract.md, 4` or
`docs/formats.md, Reports` cites an existing document and a heading in it: "4. …", "Reports".
Every --option stands in some program or script. tools/run_commands.py runs the commands.
"""
import itertools
import pathlib
import re
import sys

CODE = {'.c', '.h', '.cu', '.cuh'}
SOURCE_ENDINGS = CODE | {'.py', '.md'}
FENCE = re.compile(
    r'^(?P<mark>```+|~~~+)[ \t]*(?P<language>\S*)[^\n]*\n(?P<body>.*?)^(?P=mark)[ \t]*$',
    re.S | re.M)
LINK = re.compile(r'\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)')
OPTION = re.compile(r'(?<![\w-])--([a-z][a-z0-9-]*[a-z0-9])')
FUNCTION = re.compile(r'`(\w+)\(\)`')
SENTENCE = re.compile(r'`([a-z0-9]+(?:_[a-z0-9]+){3,})`')
IN_FILE = re.compile(r'`([\w./-]+\.(?:c|h|cu|py))`:((?:,?\s*`\w+(?:\(\))?`)+)')
# A document in a source, with a number or without; a comment may break between the two.
CITATION = re.compile(r'\bdocs/([\w-]+\.md)(?:,(?:\s|//|#)*(?:(\d+)\b|[\\"]*([A-Z][\w ]+\w)))?')
CITING = CODE | {'.py', '.gp', '.build', '.model'}
NAMED = re.compile(r'`([\w.*{},-]+(?:/[\w.*{},-]+)+/?)`')


def is_outside(path, root):
    """Not ours to check: hidden folders and build trees."""
    parts = path.relative_to(root).parts[:-1]
    return any(part.startswith('.') for part in parts) or \
        any((root.joinpath(*parts[:i + 1]) / 'meson-private').is_dir() for i in range(len(parts)))


def files(root, endings):
    return sorted(p for p in root.rglob('*')
                  if p.suffix in endings and p.is_file() and not is_outside(p, root))


def squeeze(text):
    return '\n'.join(line.strip() for line in text.splitlines() if line.strip()) + '\n'


def expand(path):
    """core/{base,plan} -> core/base, core/plan."""
    pieces = [piece[1:-1].split(',') if piece.startswith('{') else [piece]
              for piece in re.split(r'(\{[^{}]*\})', path)]
    return [''.join(choice) for choice in itertools.product(*pieces)]


def exists(folder, path):
    path = path.rstrip('/')
    return any(folder.glob(path)) if '*' in path else (folder / path).exists()


def check_blocks(text, sources):
    for block in FENCE.finditer(text):
        body = squeeze(block['body'])
        if block['language'] == 'c' and '\n' + body not in sources:
            first = body.splitlines()[0]
            yield block.start(), f'no source file has the block that begins "{first}"'


def check_links(text, page):
    for link in LINK.finditer(text):
        target = link.group(1).split('#')[0]
        remote = re.match(r'[a-z][a-z0-9+.-]*:', target)
        if target and not remote and not exists(page.parent, target):
            yield link.start(), f'the link leads to {target}, which does not exist'


def check_named(text, page, root):
    for named in NAMED.finditer(text):
        for path in expand(named.group(1)):
            top = path.split('/')[0]
            ours = top not in ('.', '..', 'build') and (root / top).is_dir()
            if not ours and (top == '..' or pathlib.PurePath(path).suffix not in SOURCE_ENDINGS):
                continue
            if not exists(root, path) and not exists(page.parent, path):
                yield named.start(), f'{path} does not exist'


def check_functions(text, words):
    for function in FUNCTION.finditer(text):
        if function.group(1) + '(' not in words:
            yield function.start(), f'no source file has {function.group(1)}()'


def scripts(root):
    """Programs without an ending: quickstart, bench/validate."""
    places = [root, root / 'bench', root / 'tools', root / '.ci']
    return [p for place in places for p in place.glob('*')
            if not p.suffix and p.is_file() and p.read_bytes()[:2] == b'#!']


def check_options(text, options):
    """--name is in an option table, or a script takes or gives it."""
    for option in OPTION.finditer(text):
        if option.group(1) not in options:
            yield option.start(), f'no program has --{option.group(1)}'


def check_sentences(text, words):
    for name in SENTENCE.finditer(text):
        if name.group(1) not in words:
            yield name.start(), f'no source file has {name.group(1)}'


def check_in_file(text, root):
    """Names behind a file are in that file."""
    for named in IN_FILE.finditer(text):
        path = root / named.group(1)
        code = path.read_text(encoding='utf-8') if path.is_file() else ''
        for name in re.findall(r'`(\w+)', named.group(2)):
            if code and not re.search(rf'\b{name}\b', code):
                yield named.start(), f'{named.group(1)} has no {name}'


def check_citations(text, root):
    """What sources cite: a document of docs/, and the number of a heading in it."""
    for cited in CITATION.finditer(text):
        name, number, title = cited.groups()
        page = root / 'docs' / name
        heading = rf'{number}\. ' if number else f'{title}$' if title else ''
        if not page.is_file():
            yield cited.start(), f'docs/{name} does not exist'
        elif not re.search(rf'^#+ {heading}', page.read_text(encoding='utf-8'), re.M):
            yield cited.start(), f'docs/{name} has no heading "{title or number + "."}"'


def located(path, root, text, found):
    name = path.relative_to(root).as_posix()
    return [f'{name}:{text.count(chr(10), 0, at) + 1}: {why}' for at, why in sorted(found)]


def check(root):
    bad = []
    texts = {p: p.read_text(encoding='utf-8') for p in files(root, CITING | {'.md'})}
    pages = {p: text for p, text in texts.items() if p.suffix == '.md'}
    citing = {p: text for p, text in texts.items() if p.suffix in CITING}
    sources = ''.join('\n' + squeeze(text) for p, text in citing.items() if p.suffix in CODE)
    programs = ''.join([*citing.values(), *(p.read_text(encoding='utf-8') for p in scripts(root))])
    words = set(re.findall(r'\w+', sources)) | set(re.findall(r'\w+\(', sources))
    options = set(re.findall(r'"([a-z][a-z0-9-]*)"', programs)) | set(OPTION.findall(programs))
    for page, text in pages.items():
        prose = FENCE.sub(lambda block: re.sub(r'[^\n]', ' ', block.group(0)), text)
        found = [*check_blocks(text, sources), *check_links(prose, page),
                 *check_named(prose, page, root), *check_functions(prose, words),
                 *check_sentences(prose, words), *check_in_file(prose, root),
                 *check_options(text, options)]
        bad += located(page, root, text, found)
    for path, text in citing.items():
        bad += located(path, root, text, check_citations(text, root))
    return bad


if __name__ == '__main__':
    found = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else '.'))
    print('\n'.join(found) or 'docs ok')
    sys.exit(bool(found))
