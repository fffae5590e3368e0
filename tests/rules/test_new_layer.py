#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""TOUR.md lists what a new kind of layer takes. This adds one to a copy of the sources, in exactly
the places of that list, builds `train` and trains with it.
Usage: test_new_layer.py SOURCE COMPILER...

The layer is `times factor=N`: y = N x. Speaks TAP.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SPDX = '// SPDX-License-Identifier: MIT\n'
LAYER = SPDX + '''// y = factor x.
#include "core/nn/layers/layer_internal.h"

static Status infer(const Model *m, Layer *l) {
    layer_keep_shape(l);
    return OK;
}

static Status forward(Graph *g, int i) {
    int y;
    TRY(graph_output(g, i, NONE, &y));
    return graph_forward(g, i, KIND_TIMES, &g->m->layers[i].attribute[ATTRIBUTE_FACTOR], VALUES(y),
                         VALUES(graph_input(g, i, 0)));
}

static Status backward(Graph *g, int i) {
    int dx;
    TRY(graph_dx(g, i, 0, NONE, &dx));
    return graph_backward_input(g, i, KIND_TIMES, &g->m->layers[i].attribute[ATTRIBUTE_FACTOR],
                                VALUES(dx), VALUES(g->dy[i]));
}

const LayerRow layer_times = {
    .word = "times",
    .stem = "times",
    .required = LAYER_TAKES(FACTOR),
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
'''
KERNEL = SPDX + '''#include "core/device/kernel.h"
#include "core/device/real.h"
#include "core/device/DEVICE/DEVICE.h"

void NAME(DEVICE_times)(const KernelCall *call) {
    real *y = output_data(call, 0);
    const real *x = input_data(call, 0);
    int64_t n = live_elements(input(call, 0));
    for (int64_t e = 0; e < n; e++) y[e] = (real)call->attr[0] * x[e];
}
'''
NEW = {
    'core/nn/layers': ('times.c', LAYER),
    'core/device/reference': ('times.c', KERNEL.replace('DEVICE', 'reference')),
    'core/device/cpu': ('times.c', KERNEL.replace('DEVICE', 'cpu')),
}
EDITS = {  # in each file: what is found once, and what stands there instead
    'core/nn/layers/layer_internal.h': [(r'X\(add\)', r'X(add) X(times)')],
    'core/nn/meson.build': [(r"'layers/add.c',", r"'layers/add.c', 'layers/times.c',")],
    'core/nn/attribute.h': [(r'( *)(X\(FROM, "from", LAYERS\))',
                         r'\1X(FACTOR, "factor", POSITIVE) \\\n\1\2')],
    'core/plan/kind.h': [(r'( *)(X\(ADD, "add", COMPUTE, (\w+),)',
                          r'\1X(TIMES, "times", COMPUTE, \3, none, "factor", "y <- x") \\\n\1\2')],
    'core/device/reference/reference.h': [(r'X\(ADD, add\)', r'X(ADD, add) X(TIMES, times)')],
    'core/device/cpu/cpu.h': [(r'X\(ADD, add\)', r'X(ADD, add) X(TIMES, times)')],
    'core/device/meson.build': [(r"'reference/add.c',", r"'reference/add.c', 'reference/times.c',"),
                                (r"'cpu/avg_pool.c',", r"'cpu/avg_pool.c', 'cpu/times.c',")],
}
MODEL = '''model multiplied
input 1 28 28
classes 10
flatten
linear out=20
{}
relu
linear out=10
'''


def listed(source):
    """The files and folders that the row names, and those of them that not every layer needs."""
    tour = (source / 'TOUR.md').read_text(encoding='utf-8')
    row = re.search(r'^\| a kind of layer \|(.*)\|$', tour, re.M).group(1)

    def paths(text):
        return set(re.findall(r'`(core/[\w/.]+)`', text))
    return paths(row), paths(' '.join(re.findall(r'\([^)]*\)', row)))


def is_source(name):
    return not name.startswith(('.', 'build', 'tests'))


def add_layer(copy):
    for folder, (name, text) in NEW.items():
        (copy / folder / name).write_text(text, encoding='utf-8')
    for path, edits in EDITS.items():
        text = (copy / path).read_text(encoding='utf-8')
        for pattern, instead in edits:
            text, count = re.subn(pattern, instead, text)
            if count != 1:
                raise AssertionError(f'{path}: found {pattern} {count} times')
        (copy / path).write_text(text, encoding='utf-8')


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise AssertionError(f'{" ".join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr}')
    return done.stdout


def build(copy, compiler):
    build_dir = copy / 'build'
    run(['meson', 'setup', build_dir, copy, '-Dtests=disabled', '-Doptimization=0',
         '-Ddebug=false'], env={**os.environ, 'CC': ' '.join(compiler)})
    run(['ninja', '-C', build_dir, 'train'])
    return build_dir / 'train'


def weights(train, layer, *options):
    model = train.parent / 'multiplied.model'
    model.write_text(MODEL.format(layer), encoding='utf-8')
    out = run([train, '--quiet', '--model', model, '--data', 'digits:count=300', '--steps', '3',
               *options])
    return re.search(r'weights +([0-9a-f]{16})', out).group(1)


def devices(train):
    """cpu needs a BLAS, so that a build may lack it."""
    done = subprocess.run([train, '--quiet', '--steps', '1', '--data', 'digits:count=100',
                           '--device', 'cpu'], capture_output=True, text=True, check=False)
    if done.returncode and 'no BLAS was found' not in done.stderr:
        raise AssertionError(done.stderr)
    return ['reference'] if done.returncode else ['reference', 'cpu']


def check(source, compiler):
    every, optional = listed(source)
    places = set(NEW) | set(EDITS)
    yield 'what_a_layer_takes_is_what_the_tour_lists', every - optional <= places <= every
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / 'copy'
        shutil.copytree(source, copy, ignore=lambda folder, names: [
            n for n in names if pathlib.Path(folder) == source and not is_source(n)])
        add_layer(copy)
        train = build(copy, compiler)
        for device in devices(train):
            plain, once, twice = (weights(train, layer, '--device', device)
                                  for layer in ('', 'times factor=1', 'times factor=2'))
            yield f'a_new_layer_computes_on_{device}', plain == once != twice
            yield f'two_ranks_equal_two_shards_on_{device}', \
                len({weights(train, 'times factor=2', '--device', device, *cut)
                     for cut in (['--shards', '2'], ['--ranks', '2'])}) == 1


def main(source, *compiler):
    if not shutil.which('meson') or not shutil.which('ninja'):
        print('1..0 # SKIP no meson or no ninja')
        return
    number = 0
    try:
        for name, passed in check(pathlib.Path(source), compiler):
            number += 1
            print(f'{"" if passed else "not "}ok {number} - {name}', flush=True)
    except AssertionError as error:
        number += 1
        print(f'not ok {number} - a_new_layer_is_built_and_trained')
        print('\n'.join(f'# {line}' for line in str(error).splitlines()))
    print(f'1..{number}')


main(*sys.argv[1:])
