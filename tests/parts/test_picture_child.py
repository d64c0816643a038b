"""The process that draws, as it may misbehave: it is ended, and what became of it is told in words."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from receiver.pictures.child import DrawingError, draw


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


def left_behind(program: str) -> list[psutil.Process]:
    """Children of ours that run a program like this, the dead that nobody has waited for among them."""
    every = psutil.Process().children(recursive=True)
    return [one for one in every if one.status() == psutil.STATUS_ZOMBIE or one.cmdline()[-1:] == [program]]  # fmt: skip


BAD_CHILDREN = {
    "dies": ("raise SystemExit(3)", "ended with 3"),
    "is killed": ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
    "hangs": ("import time; time.sleep(600)", "did not end within"),
    "hangs with its picture written": ("import os, time; os.write(1, b'x'); os.close(1); os.close(2); time.sleep(600)", "did not end within"),
    "writes rubbish": ("print('rubbish')", "no picture"),
    "writes nothing": ("pass", "no picture"),
    "writes without end": ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "wrote more than"),
    "complains without end": ("import sys\nwhile True: sys.stderr.write('x' * 65536)", "wrote more than"),
    "leaves another with its pipes": ("import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])", "did not end within"),
    "complains": ("import sys; sys.exit('secret of nobody')", "secret of nobody"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CHILDREN)
async def test_a_child_that_misbehaves_is_ended_and_told(name: str, tmp_path: Path) -> None:
    program, words = BAD_CHILDREN[name]
    with pytest.raises(DrawingError, match=words):
        await draw("{}", tmp_path, python(program), deadline=2.0 if "within" in words else 60.0)
    assert left_behind(program) == []


async def test_a_child_that_cannot_be_started_or_is_cancelled(tmp_path: Path) -> None:
    with pytest.raises(DrawingError, match="cannot be started"):
        await draw("{}", tmp_path, ("/nowhere/python",))
    drawing = asyncio.create_task(draw("{}", tmp_path, python("import time; time.sleep(600)")))
    await asyncio.sleep(0.1)
    drawing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drawing
    assert left_behind("import time; time.sleep(600)") == []


async def test_the_child_is_bounded_and_knows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel has it; and a drawing that is none ends it in words."""
    monkeypatch.setenv("DISCORD_WEBHOOK_URL", "a secret")
    program = (
        "import os, resource, sys; from receiver.pictures.painter import bound; bound();"
        "print(os.nice(0), resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_CPU)[0],"
        " sorted(k for k in os.environ if 'DISCORD' in k), file=sys.stderr); sys.exit(1)"
    )
    with pytest.raises(DrawingError, match=r"19 805306368 60 \[\]"):
        await draw("{}", tmp_path, python(program))
    greedy = "from receiver.pictures.painter import bound; bound(); x = b'x' * (2 << 30)"
    with pytest.raises(DrawingError, match="MemoryError"):
        await draw("{}", tmp_path, python(greedy))
    with pytest.raises(DrawingError, match="ended with 1"):
        await draw('{"marks": []}', tmp_path)
