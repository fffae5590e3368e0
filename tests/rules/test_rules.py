#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tools that keep rules, on small trees that break them. Usage: test_rules.py TOOLS

Speaks TAP.
"""
import contextlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, sys.argv[1])
import check_commits  # noqa: E402
import check_docs     # noqa: E402
import check_layers   # noqa: E402
import check_style    # noqa: E402
import check_symbols  # noqa: E402
import count_tests    # noqa: E402
import run_commands   # noqa: E402


class Skip(Exception):
    """Why a test cannot be made here."""


LICENCE = '// SPDX-License-Identifier: MIT\n'


def tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    return root


def an_include_against_the_layers_is_named(root):
    tree(root, {'core/base/a.c': '#include "core/plan/plan.h"\n#include "core/base/a.h"\n',
                'core/nn/b.c': '#include "core/plan/x_internal.h"\n#include "b.h"\n',
                'core/platform/c.h': '#include "core/base/yaml.h"\n',
                'core/platform/c_internal.h': '#include "core/base/yaml.h"\n'})
    assert check_layers.check(root) == [
        'core/base/a.c:1: core/base may not include core/plan',
        'core/nn/b.c:1: core/nn may not include core/plan/x_internal.h, '
        'which only core/plan shares',
        'core/nn/b.c:2: "b.h" does not start at the root: write "core/nn/b.h"',
        'core/platform/c.h:1: core/base/yaml.h stays out of headers that others include; '
        'declare this in an _internal.h']


def headers_of_others_are_for_their_wrapper_alone(root):
    tree(root, {'viz/backend/sdl.c': '#include <SDL2/SDL.h>\n#include "viz/scene/draw.h"\n',
                'viz/backend/png.c': '#include <SDL2/SDL_ttf.h>\n#include <png.h>\n',
                'core/device/cuda/table.cu': '#include <cuda_runtime.h>\n#include <nccl.h>\n',
                'core/device/cpu/table.c': '# include "cublas_v2.h"\n',
                'parallel/comm/nccl.c': '#include <nccl.h>\n#include <mpi.h>\n',
                'parallel/comm/mpi.c': '#include <mpi.h>\n',
                'bench/collectives_mpi.c': '#include <mpi.h>\n',
                'programs/train.c': '#include <SDL.h>\n#include <stdio.h>\n'})
    assert check_layers.check(root) == [
        'core/device/cpu/table.c:1: <cublas_v2.h> is for core/device/cuda/* alone: '
        'what is of CUDA leaks nowhere else',
        'core/device/cuda/table.cu:2: <nccl.h> is for parallel/comm/nccl* alone: '
        'what is of NCCL leaks nowhere else',
        'parallel/comm/nccl.c:2: <mpi.h> is for parallel/comm/mpi* alone: '
        'what is of MPI leaks nowhere else',
        'programs/train.c:1: <SDL.h> is for viz/backend/sdl* alone: '
        'what is of SDL leaks nowhere else',
        'viz/backend/png.c:1: <SDL2/SDL_ttf.h> is for viz/backend/sdl* alone: '
        'what is of SDL leaks nowhere else']


def a_scene_sees_no_back_end_and_an_import_no_simulator(root):
    tree(root, {'viz/scene/a.c': '#include "viz/backend/svg.h"\n#include "core/report/report.h"\n',
                'lessons/engine/b.c': '#include "viz/backend/ansi.h"\n#include "viz/scene/a.h"\n',
                'sim/import/c.c': '#include "core/plan_text/plan_text.h"\n#include "sim/job.h"\n'
                                  '#include "core/report/report.h"\n#include "core/nn/model.h"\n',
                'sim/job.c': '#include "sim/import/c.h"\n'})
    assert check_layers.check(root) == [
        'lessons/engine/b.c:1: lessons/engine may not include viz/backend',
        'sim/import/c.c:2: sim/import may not include sim',
        'sim/import/c.c:3: sim/import may not include core/report',
        'sim/import/c.c:4: sim/import may not include core/nn',
        'viz/scene/a.c:1: viz/scene may not include viz/backend']


def what_breaks_the_style_is_named(root):
    body = '    x();\n' * 69
    tree(root, {'core/base/a.c': f'int f(int a) {{\n{body}}}\n',
                'core/base/b.c': LICENCE + '\tputs("x"); \n' + 'x' * 101 + '\n',
                'core/base/c.h': LICENCE + '#ifndef C_H\n#define C_H\n#endif\n',
                'programs/d.c': LICENCE + '// Main.\nint main(void) { puts("fine"); }\n'})
    found = '\n'.join(check_style.check(root))
    for line in ('core/base/a.c:1: a function of 71 lines',
                 'core/base/a.c:1: the first line is not',
                 'core/base/b.c:2: no head comment', 'core/base/b.c:2: a tab',
                 'core/base/b.c:2: trailing space',
                 'core/base/b.c:2: a library never prints', 'core/base/b.c:3: 101 columns',
                 'core/base/c.h:1: the header guard is not #ifndef CORE_BASE_C_H'):
        assert line in found, line
    assert 'programs/d.c' not in found


def tables_do_not_make_a_function_long(root):
    table = '    static const int t[] = {\n' + '        1,\n' * 80 + '    };\n'
    tree(root, {'core/base/a.c': LICENCE + f'// A.\nint f(int a) {{\n{table}    return 1;\n}}\n'})
    assert check_style.check(root) == []


def a_symbol_without_its_noun_is_named(root):
    if not shutil.which('nm') or not shutil.which('cc'):
        raise Skip('no nm or no cc')
    tree(root, {
        'core/plan/good.h': 'typedef enum { ONE } LinkKind;\ntypedef struct {\n} BigSum;\n',
        'core/plan/good.c': 'int good_a, goods_b, plan_c, core_d, link_e, big_sum_f, goody;\n'
                            'static int hidden;\nint *used(void) { return &hidden; }\n',
        'core/plan/other_internal.h': 'struct Pair;\n', 'b/keep': '',
        'core/plan/other.c': 'int other_a, others_b, pair_c, sum_d;\n',
        'programs/p.c': 'int anything;\n'})
    sources = ['core/plan/good.c', 'core/plan/other.c', 'programs/p.c']
    for number, name in enumerate(sources):
        subprocess.run(['cc', '-c', root / name, '-o', root / f'b/{number}.o'], check=True)
    (root / 'b/compile_commands.json').write_text(json.dumps(
        [{'file': f'../{name}', 'output': f'{i}.o'} for i, name in enumerate(sources)]))
    found = [line.split(' has no noun')[0] for lines in
             check_symbols.check(root, root / 'b').values() for line in lines]
    assert found == ['core/plan/good.c: goody()', 'core/plan/good.c: used()',
                     'core/plan/other.c: sum_d()'], found


def a_comment_whose_last_word_stands_alone_is_refused(root):
    full, formula = '// ' + 'x' * 94, '//   ' + 'x' * 94
    last = [f'{full}\n// alone.', f'{full}\n// two words.', f'{full}\n// of these three',
            f'{full[:80]}\n// short', f'{full}\n// clang-format off', f'{formula}\n// = 1',
            f'{full}\n//   - 1']
    tree(root, {'core/base/a.c': LICENCE + '// What.\n\n' + '\nint x;\n'.join(last) + '\n'})
    assert check_style.check(root) == [
        'core/base/a.c:5: "alone." alone on the last line: break the one before earlier',
        'core/base/a.c:8: "two words." alone on the last line: break the one before earlier']


def documents_that_show_what_is_not_there_are_named(root):
    tree(root, {'core/base/a.c': 'int real(void) {\n    return 1;\n}\nchar *s = "known";\n',
                'script': '#!/bin/sh\nx --from-a-script\n',
                'A.md': '[here](B.md) `core/base/b.c` `real()` `made_up()` `core/base/a.c`\n'
                        '--known --gone-by --from-a-script\n'
                        '```c\nint real(void) {\n    return 1;\n```\n```c\nint other;\n```\n'})
    assert check_docs.check(root) == [
        'A.md:1: the link leads to B.md, which does not exist',
        'A.md:1: core/base/b.c does not exist',
        'A.md:1: no source file has made_up()',
        'A.md:2: no program has --gone-by',
        'A.md:7: no source file has the block that begins "int other;"']


def citations_and_names_that_lead_nowhere_are_named(root):
    none, law = 'docs/' + 'none.md', 'docs/' + 'contract.md'  # not cited here
    cites = f'// (docs/contract.md, 1), docs/contract.md,\n// 2, and {none}\n' \
            f'char *s = "{law}, \\"One day\\"; {law}, Two";\n'
    tree(root, {'core/base/a.c': cites + 'START_TEST(a_test_that_is_there) {\n',
                'core/base/b.c': 'int other(void);\n',
                'docs/contract.md': '# Law\n\n## 1. One\n\n### Two\n\n'
                                    '`a_test_that_is_there` `a_test_that_is_not`\n'
                                    '`core/base/a.c`: `a_test_that_is_there`, `other()`\n'})
    assert check_docs.check(root) == [
        'docs/contract.md:7: no source file has a_test_that_is_not',
        'docs/contract.md:8: core/base/a.c has no other',
        'core/base/a.c:1: docs/contract.md has no heading "2."',
        f'core/base/a.c:2: {none} does not exist',
        'core/base/a.c:3: docs/contract.md has no heading "One day"']


def commit(root, message, files):
    tree(root, files)
    who = {f'GIT_{role}_{part}': 'x'
           for role in ('AUTHOR', 'COMMITTER') for part in ('NAME', 'EMAIL')}
    for words in (['add', '-A'], ['commit', '-q', '--allow-empty', '--cleanup=whitespace',
                                  '-m', message]):
        subprocess.run(['git', '-c', 'commit.gpgsign=false', '-C', root, *words], check=True,
                       env=os.environ | who | {'GIT_CONFIG_GLOBAL': os.devnull})


def messages_without_a_reason_are_named(root):
    if not shutil.which('git'):
        raise Skip('no git')
    subprocess.run(['git', 'init', '-q', root], check=True, stderr=subprocess.DEVNULL)
    commit(root, 'Whatever came before', {'a': ''})
    base = subprocess.run(['git', '-C', root, 'rev-parse', 'HEAD'], check=True,
                          capture_output=True, text=True).stdout.strip()
    lines = '1\n2\n3\n'
    for number, message in enumerate([
            'core/base: what it does now\n\nBecause.', 'core/{base,plan}, sim: what\n\nBecause.',
            'core: ' + 'x' * 66 + '\n\nBecause.', 'core: ' + 'x' * 67 + '\n\nBecause.',
            'What it does\n\nBecause.', 'core: six lines without a reason',
            'core: six\n\nSigned-off-by: x', 'core: WIP\n\nBecause.',
            'core: x\n\nWork in progress.', 'fixup! core: x\n\nBecause.',
            'core: x\nat once\n\nBecause.']):
        commit(root, message, {f'{number}.c': lines * 2})
    commit(root, 'core: five lines without a reason', {'a.c': lines + '4\n5\n'})
    commit(root, 'docs: many lines', {'docs/a.svg': lines * 9, 'A.md': lines * 9})
    commit(root, 'docs: many lines and a source', {'A.md': lines, 'b.c': lines})
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert check_commits.main(root, base)
    printed = out.getvalue().splitlines()
    assert printed[0] == '1..14'
    assert [line for line in printed if line[0] == '#'] == [
        '# the subject has 73 columns, the limit is 72',
        '# the subject is not "folder: what it does now"', '# no body: say why',
        '# no body: say why', '# is in progress: finish it, or split off what is finished',
        '# is in progress: finish it, or split off what is finished',
        '# is to be squashed into another', '# no empty line after the subject',
        '# no body: say why'], printed
    assert [line.split()[2] for line in printed if line.startswith('not')] == \
        ['4', '5', '6', '7', '8', '9', '10', '11', '14'], printed


def without_the_base_commits_are_skipped(root):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert not check_commits.main(root)
    assert out.getvalue().startswith('1..0 # SKIP '), out.getvalue()


def a_commit_is_described_or_left_out(root):
    def described(**more):
        return subprocess.run([pathlib.Path(sys.argv[1]) / 'describe_commit', root], check=True,
                              capture_output=True, text=True, env=os.environ | more).stdout
    assert described(GIT_CEILING_DIRECTORIES=str(root.parent)) == '\n'
    if not shutil.which('git'):
        raise Skip('no git')
    subprocess.run(['git', 'init', '-q', root], check=True, stderr=subprocess.DEVNULL)
    commit(root, 'core: a', {'a': ''})
    assert len(described().strip()) == 12
    assert described(GIT_TEST_ASSUME_DIFFERENT_OWNER='1') == '\n'  # "dubious ownership"
    assert described(PATH='/nowhere') == '\n'


def commands_of_documents_are_run(root):
    tree(root, {'A.md': '```sh\nbuild/good   # why\nbuild/bad \\\n  x\nmake install\n```\n'
                        '```\nnone\n```\n',
                'b/good': '#!/bin/sh\n', 'b/bad': '#!/bin/sh\necho no >&2; exit 3\n'})
    for name in ('good', 'bad'):
        (root / 'b' / name).chmod(0o755)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run_commands.main(root, root / 'b')
    assert out.getvalue().splitlines()[:5] == [
        '1..3', 'ok 1 - A.md: build/good', 'not ok 2 - A.md: build/bad x', '# status 3', '# no']
    assert 'not ok 3 - A.md: make install' in out.getvalue()


def what_documents_show_is_printed(root):
    sim, train = 'build/sim --gpus 2', 'build/train --epochs 5'
    tree(root, {'A.md': f'```console\n$ {sim}\n1 2\n\n  3\n$ {train}\nnet, 7 steps\n  loss 0.1\n'
                        f'    compute 5\n  step 2\n```\n```console\n$ {sim}\n1 2\n```\n'
                        f'```console\n$ {train}\nnet, 7 steps\n  loss\n```\n'
                        f'```console\n$ {train}\nmlp, 7 steps\n  loss\n  step\n```\n',
                'b/sim': '#!/bin/sh\nprintf "1 2\\n\\n  3\\n"\n',
                'b/train': '#!/bin/sh\nprintf "net, 5 steps\\n  loss 2.3\\n  step 1\\n"\n'})
    for name in ('sim', 'train'):
        (root / 'b' / name).chmod(0o755)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run_commands.main(root, root / 'b')
    assert out.getvalue().splitlines() == [
        '1..5', f'ok 1 - A.md: $ {sim}', f'ok 2 - A.md: $ {train}', f'not ok 3 - A.md: $ {sim}',
        '# shown:   nothing', '# printed: ', f'not ok 4 - A.md: $ {train}',
        '# shown:   lines loss', '# printed: lines loss, step', f'not ok 5 - A.md: $ {train}',
        '# shown:   mlp, 7 steps', '# printed: net, 5 steps'], out.getvalue()
    with contextlib.redirect_stdout(io.StringIO()):
        run_commands.main(root, root / 'b', '--update')
    text = (root / 'A.md').read_text()
    assert text.count(f'$ {sim}\n1 2\n\n  3\n```') == 1, text
    assert text.count(f'$ {sim}\n1 2\n\n  3\n$') == 1, text


def commands_of_documents_fit_a_terminal(root):
    fits, path = '12 ' * 26 + '12', 'x' * 41 + ' ' + 'y ' * 25
    for name, line, wide in (('fits', fits, False), ('wide', fits + '3', True),
                             ('path', path, False)):
        assert (run_commands.too_wide(name, f'a\n{line}\n') is not None) == wide, name
    assert run_commands.too_wide('build/train --generate 9', fits + '3') is None
    tree(root, {'A.md': '```sh\nbuild/wide\n```\n', 'b/wide': f'#!/bin/sh\necho {fits}3\n'})
    (root / 'b/wide').chmod(0o755)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run_commands.main(root, root / 'b')
    assert '# a line of 81 columns: 12' in out.getvalue(), out.getvalue()


def training_in_documents_is_cut_short(root):
    assert run_commands.shortened('build/train --epochs 5 --ranks 2') == \
        'build/train --steps 5 --ranks 2'
    assert run_commands.shortened('build/train') == 'build/train --steps 5'
    assert run_commands.shortened('build/sim --steps 7') == 'build/sim --steps 7'


def single_tests_are_counted(root):
    programs = [
        ('four', '1..4\nok 1 - a\nnot ok 2 - b\n# why\nok 3 - c # SKIP x\nok 4\n', 'ERROR', 1),
        ('crashed', '', 'ERROR', -11), ('half', '1..3\nok 1 - a\n', 'ERROR', -6),
        ('slow', '', 'TIMEOUT', -15), ('rule', 'rule ok\n', 'OK', 0), ('broken', '', 'FAIL', 1),
        ('elsewhere', '1..0 # SKIP no GPU\n', 'SKIP', 0),
        ('leaks', '1..1\nok 1 - a\n', 'ERROR', 23)]
    log = ''.join(json.dumps({'name': name, 'stdout': out, 'result': result, 'returncode': status})
                  + '\n' for name, out, result, status in programs)
    tree(root, {'build/meson-logs/testlog.json': log})
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert count_tests.main([str(root / 'build'), str(root / 'none'), 'left=out'])
    # Passed: a, 4, half's a, rule, leaks' a. Failed: b, crashed, half, slow, broken, leaks, none.
    # Skipped: c, elsewhere, left.
    assert out.getvalue().splitlines()[-1] == '5 passed, 7 failed, 3 skipped', out.getvalue()


TESTS = [an_include_against_the_layers_is_named, headers_of_others_are_for_their_wrapper_alone,
         a_scene_sees_no_back_end_and_an_import_no_simulator, what_breaks_the_style_is_named,
         tables_do_not_make_a_function_long, a_comment_whose_last_word_stands_alone_is_refused,
         a_symbol_without_its_noun_is_named, documents_that_show_what_is_not_there_are_named,
         citations_and_names_that_lead_nowhere_are_named, commands_of_documents_are_run,
         what_documents_show_is_printed, commands_of_documents_fit_a_terminal,
         training_in_documents_is_cut_short,
         single_tests_are_counted, messages_without_a_reason_are_named,
         without_the_base_commits_are_skipped, a_commit_is_described_or_left_out]


def main():
    failed = False
    print(f'1..{len(TESTS)}')
    for number, test in enumerate(TESTS, 1):
        with tempfile.TemporaryDirectory() as directory:
            try:
                test(pathlib.Path(directory))
                print(f'ok {number} - {test.__name__}')
            except Skip as why:
                print(f'ok {number} - {test.__name__} # SKIP {why}')
            except AssertionError as error:
                failed = True
                print(f'not ok {number} - {test.__name__}\n# {error!r}')
    return failed


if __name__ == '__main__':
    sys.exit(main())
