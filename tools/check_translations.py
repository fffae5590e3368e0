#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fail on a text of the lessons that a language lacks. Usage: check_translations.py ROOT

Every _("...") and N_("...") of lessons/ and programs/lesson*.c needs a translation in all po/*.po,
with the same placeholders: printf's conversions in the same order, or numbered (%2$s). A
translation that is fuzzy, or of a text that is gone, is an error as well.
"""
import ast
import pathlib
import re
import sys

CALL = re.compile(r'\b(?:_|N_)\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)')
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
CONVERSION = re.compile(r'%(?:(\d+)\$)?[-+ #0]*(?:\*|\d+)?(?:\.(?:\*|\d+))?'
                        r'(hh|h|ll|l|z|j|t)?([diouxXeEfgGcsp%])')


def unquote(strings):
    return ''.join(ast.literal_eval(f'"{s}"') for s in STRING.findall(strings))


def texts_of(root):
    """{text: 'file:line' of its first use}"""
    found = {}
    for path in sorted((root / 'lessons').rglob('*.c')) + sorted(root.glob('programs/lesson*.c')):
        source = path.read_text(encoding='utf-8')
        for call in CALL.finditer(source):
            line = source.count('\n', 0, call.start()) + 1
            found.setdefault(unquote(call.group(1)), f'{path.relative_to(root)}:{line}')
    return found


def translations_of(path):
    """{text: translation}, and the texts whose translation is fuzzy."""
    known, fuzzy = {}, []
    for entry in path.read_text(encoding='utf-8').split('\n\n'):
        lines = [line for line in entry.splitlines() if not line.startswith('#')]
        parts = '\n'.join(lines).split('msgstr ')
        if len(parts) != 2 or not parts[0].startswith('msgid '):
            continue
        text = unquote(parts[0])
        known[text] = unquote(parts[1])
        if re.search(r'^#,.*\bfuzzy\b', entry, re.M):
            fuzzy.append(text)
    known.pop('', None)
    return known, fuzzy


def conversions(text):
    """What each argument is printed as, in the order of the arguments."""
    order = {}
    for i, (place, length, kind) in enumerate(
            c for c in CONVERSION.findall(text) if c[2] != '%'):
        order[int(place) if place else i + 1] = length + kind
    return [order[k] for k in sorted(order)]


def check(root):
    errors = []
    texts = texts_of(root)
    for path in sorted((root / 'po').glob('*.po')):
        known, fuzzy = translations_of(path)
        name = path.relative_to(root)
        for text, place in texts.items():
            if not known.get(text):
                errors.append(f'{name}: no translation of {place}: "{text[:60]}"')
            elif conversions(known[text]) != conversions(text):
                errors.append(f'{name}: other placeholders than {place}: "{text[:60]}"')
        errors += [f'{name}: fuzzy: "{text[:60]}"' for text in fuzzy]
        errors += [f'{name}: no text any more: "{text[:60]}"'
                   for text in known if text not in texts]
    if not texts:
        errors.append('lessons: no text found')
    return errors


def main():
    errors = check(pathlib.Path(sys.argv[1]))
    print('\n'.join(errors) if errors else 'translations ok')
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
