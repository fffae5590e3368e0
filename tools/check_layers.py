#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fail on an #include that the layers forbid. Usage: check_layers.py [ROOT]

A folder may include itself and what stands beside it here; "sim/predict.h" is a single header.
What ends in _internal.h belongs to its folder, to tests and bench. Includes start at the root.
Headers of SDL, CUDA, NCCL and MPI are for the files that wrap them, and leak nowhere else.
A parser stays behind what it reads: no header that others include shows it.
"""
import pathlib
import re
import sys

CORE = ['core/base', 'core/cli', 'core/plan', 'core/plan_text', 'core/record', 'core/report',
        'core/platform', 'core/nn', 'core/data', 'core/device']
PARALLEL = ['parallel/strategy', 'parallel/collective', 'parallel/comm', 'parallel/run',
            'parallel/calibrate']
LIBRARIES = CORE + PARALLEL + ['sim', 'sim/import', 'viz', 'viz/scene', 'viz/backend']
SCENE = ['core/base', 'core/plan', 'core/record', 'core/report', 'core/platform',
         'parallel/collective', 'sim/predict.h']

MAY_INCLUDE = {
    'core/base': [],
    'core/plan': ['core/base'],
    'core/cli': ['core/base'],
    'core/plan_text': ['core/base', 'core/plan'],
    'core/record': ['core/base', 'core/plan', 'core/plan_text'],
    'core/report': ['core/base', 'core/plan', 'core/record'],
    'core/platform': ['core/base', 'core/plan'],
    'core/nn': ['core/base', 'core/plan'],
    'core/data': ['core/base', 'core/plan', 'core/nn'],
    'core/device': ['core/base', 'core/plan', 'core/platform'],
    'parallel/strategy': ['core/base', 'core/cli', 'core/plan', 'core/record', 'core/nn',
                          'core/platform', 'parallel/collective'],
    'parallel/collective': ['core/base', 'core/plan'],
    'parallel/comm': ['core/base', 'core/plan', 'core/device', 'parallel/collective'],
    'parallel/run': CORE + ['parallel/strategy', 'parallel/collective', 'parallel/comm'],
    'parallel/calibrate': CORE + ['parallel/strategy', 'parallel/collective', 'parallel/comm',
                                  'parallel/run'],
    'sim': ['core/base', 'core/plan', 'core/plan_text', 'core/record', 'core/report',
            'core/platform', 'core/nn', 'parallel/strategy', 'parallel/collective', 'sim/import'],
    'sim/import': ['core/base', 'core/plan', 'core/plan_text', 'core/record'],
    'viz': SCENE + ['viz/scene', 'viz/backend'],
    'viz/scene': SCENE,
    'viz/backend': SCENE + ['viz/scene'],
    'lessons': LIBRARIES + ['lessons/engine'],
    'lessons/engine': [folder for folder in LIBRARIES if folder != 'viz/backend'],
    'programs': LIBRARIES + ['lessons', 'lessons/engine'],
    'tests': LIBRARIES + ['lessons', 'lessons/engine', 'programs', 'bench'],
    'bench': LIBRARIES + ['tests'],
}
BEHIND = ['core/base/yaml.h']
SOURCES = {'.c', '.h', '.cu', '.cuh', '.inc'}
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
# Headers of others, and the files that may see them; programs of bench/ measure these libraries
# themselves, beside ours.
WRAPPED = [
    ('SDL', re.compile(r'(SDL\d?/)?SDL\w*\.h'), 'viz/backend/sdl'),
    ('CUDA', re.compile(r'(cuda|cublas|cudnn|curand|cusolver|cusparse|nvrtc|nvml|nvToolsExt'
                        r'|nvtx3/|cooperative_groups|cub/|cutlass/|thrust/)[\w/.]*'),
     'core/device/cuda/'),
    ('NCCL', re.compile(r'nccl\w*\.h'), 'parallel/comm/nccl'),
    ('MPI', re.compile(r'(open|mpich/)?mpi\w*\.h'), 'parallel/comm/mpi'),
]


def folder_of(path):
    """The row of the table that a path belongs to; its folder's name when there is none."""
    parts = path.split('/')
    pair = '/'.join(parts[:2])
    if pair in MAY_INCLUDE:
        return pair
    return parts[0] if parts[0] in MAY_INCLUDE else '/'.join(parts[:-1][:2]) or path


def complaint(path, included):
    """Why `path` may not include `included`; None when it may."""
    own, used = folder_of(path), folder_of(included)
    if own not in MAY_INCLUDE:
        return f'{own} is not among the folders of tools/check_layers.py'
    if '/' not in included:
        here = path.rsplit('/', 1)[0]
        return f'"{included}" does not start at the root: write "{here}/{included}"'
    if '..' in included.split('/'):
        return f'"{included}" does not start at the root'
    if own != used and used not in MAY_INCLUDE[own] and included not in MAY_INCLUDE[own]:
        return f'{own} may not include {used}'
    if included in BEHIND and path.endswith('.h') and not path.endswith('_internal.h'):
        return f'{included} stays out of headers that others include; declare this in an ' \
               '_internal.h'
    internal = included.rsplit('.', 1)[0].endswith('_internal')
    if internal and own not in (used, 'tests', 'bench'):
        return f'{own} may not include {included}, which only {used} shares'
    return None


def leak(path, included):
    """Whose header `included` is when it is not for `path` to see."""
    for whose, headers, allowed in WRAPPED:
        if headers.fullmatch(included) and not path.startswith((allowed, 'bench/')):
            return f'<{included}> is for {allowed}* alone: what is of {whose} leaks nowhere else'
    return None


def check(root):
    bad = []
    tops = sorted({folder.split('/')[0] for folder in MAY_INCLUDE})
    for path in sorted(p for top in tops for p in (root / top).rglob('*') if p.suffix in SOURCES):
        name = path.relative_to(root).as_posix()
        for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
            used = INCLUDE.match(line)
            if not used:
                continue
            mark, header = used.groups()
            why = leak(name, header) or (complaint(name, header) if mark == '"' else None)
            if why:
                bad.append(f'{name}:{number}: {why}')
    return bad


if __name__ == '__main__':
    found = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else '.'))
    print('\n'.join(found) or 'layers ok')
    sys.exit(bool(found))
