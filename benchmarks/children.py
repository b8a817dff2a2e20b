"""Contenders that are processes of their own and take turns: a program that is started once for each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

Said = dict[str, float]


def take_turns(
    contenders: Mapping[str, Mapping[str, str]], program: Sequence[str], questions: Sequence[Any]
) -> dict[str, list[Said]]:
    """What each contender answers to each question but the first, which warms up.

    Args:
        contenders: the environment of each by its name.
        program: a Python file and its words; `--child NAME` is added. For each line of JSON that it reads it writes
            one, an object of numbers.
        questions: each is asked of one after the other, before the next one.
    """
    said: dict[str, list[Said]] = {name: [] for name in contenders}
    with ExitStack() as stack:
        children = {name: _started(stack, name, each, program) for name, each in contenders.items()}
        for turn, question in enumerate(questions):
            for name, child in children.items():
                found = _asked(child, question)
                if turn:
                    said[name].append(found)
    return said


def one_device(threads: int) -> dict[str, str]:
    """The environment of a child that is to use so many threads and no graphics card."""
    return {"OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


def _started(
    stack: ExitStack, name: str, environment: Mapping[str, str], program: Sequence[str]
) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, *program, "--child", name],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(child.wait)
    stack.callback(child.kill)
    return child


def _asked(child: subprocess.Popen[str], question: Any) -> Said:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(question) + "\n")
    child.stdin.flush()
    found: Said = json.loads(child.stdout.readline())
    return found
