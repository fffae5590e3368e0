#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Do the `sim` of two builds say the same, byte for byte? Usage: compare_sim.py BUILD OTHER

Simulated time is whole picoseconds, and neither the compiler nor the order of threads has a part in
what comes out. So each command must print and report the same from both builds and from BUILD once
more, with two threads as with one. Speaks TAP; exit status 1 when something differs.
"""
import pathlib
import subprocess
import sys
import tempfile

COMMANDS = """
--gpus 1,2,4..64 --model net
--gpus 8 --model mlp --platform dgx-h100 -v
--gpus 16 --model resnet50 --platform dgx-v100
--gpus 1,2,4,8 --model gpt --platform pcie-8 -v
--gpus 32 --model gpt2 --platform ethernet-cluster
--gpus 8,16,32 --model mlp --all-reduce ring -v
--gpus 24 --model gpt --network flow -v
--gpus 24 --model gpt --network store-forward -v
--gpus 64 --model mlp --all-reduce ring --link 25GB/s,2us -v
--gpus 16 --model gpt:layers=4 --pp 4 --accumulate 8 --batch 64 --link 10GB/s,5us -v
--gpus 16 --model gpt:layers=4 --pp 4 --accumulate 8 --batch 64 --schedule zero-bubble
--gpus 16 --model gpt:layers=4,heads=4 --tp 4 --sequence-parallel -v
--gpus 8 --model gpt:layers=4 --cp 2 --zero 2
--gpus 8 --model mixtral:layers=2 --ep 4
--gpus 8 --jitter 0.1 --steps 20 --seed 3
--gpus 8 --straggler 3=1.5 -v
--gpus 8 --point --critical-path
--gpus 8 --model gpt --point --what-if bandwidth=x2,latency=/2
--gpus 8 --model gpt --sensitivity
--gpus 16 --model gpt --sweep tp=1,2,4,bandwidth=x1,x2
--gpus 16 --model gpt --advise --memory 80GiB
--ranks 1,2,4,8 --platform laptop
--ranks 4 --platform laptop --model mlp --all-reduce ring -v
--collective all_reduce --gpus 8
--collective all_reduce --gpus 16 --platform dgx-h100 --sizes 8,1KiB..1GiB
--collective all_to_all --gpus 16
""".strip().splitlines()
THREADED = ('--sweep', '--sensitivity', '--advise')
WITHOUT_REPORT = (*THREADED, '--collective')


def answer(build, command):
    """Exit status, what it prints, what it writes into a report."""
    with tempfile.TemporaryDirectory() as directory:
        report = pathlib.Path(directory) / 'report.json'
        (pathlib.Path(directory) / 'sim').symlink_to(pathlib.Path(build).resolve() / 'sim')
        words = ['./sim', *command.split()]  # a report has the command line
        if not any(option in words for option in WITHOUT_REPORT):
            words += ['--report', 'report.json']
        done = subprocess.run(words, cwd=directory, timeout=120, stdin=subprocess.DEVNULL,
                              capture_output=True)
        written = report.read_bytes() if report.exists() else b''
    return {'status': b'%d' % done.returncode, 'output': done.stdout, 'error': done.stderr,
            'report': written}


def difference(want, got):
    """The first line that is not the same, or None."""
    for part in want:
        if want[part] == got[part]:
            continue
        lines = [answered[part].decode(errors='replace').splitlines() for answered in (want, got)]
        for pair in zip(*lines):
            if pair[0] != pair[1]:
                return f'{part}: {pair[0]}\n{part}: {pair[1]}'
        return f'{part}: {len(lines[0])} lines and {len(lines[1])}'
    return None


def check(command, build, other):
    """What differs, or None."""
    threaded = any(option in command for option in THREADED)
    want = answer(build, command + ' --threads 1' * threaded)
    if want['status'] != b'0':
        return 'status ' + want['status'].decode() + '\n' + want['error'].decode()
    for which, again in (('the other build', other), ('once more', build)):
        wrong = difference(want, answer(again, command + ' --threads 2' * threaded))
        if wrong:
            return f'{which}\n{wrong}'
    return None


def main(build, other):
    failed = False
    print(f'1..{len(COMMANDS)}')
    for number, command in enumerate(COMMANDS, 1):
        wrong = check(command, build, other)
        failed = failed or wrong is not None
        print(f'{"not ok" if wrong else "ok"} {number} - sim {command}')
        for line in (wrong or '').splitlines():
            print('# ' + line)
    return failed


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
