"""Runs the process that draws: one picture, within a deadline, and nothing of ours but its numbers goes in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

COMMAND = (sys.executable, "-P", "-m", "receiver.pictures.painter")
DEADLINE_SECONDS = 90.0
"""It is the last in line for the processor, which may be busy just then."""
MOST_BYTES = 1024 * 1024
MOST_PIXELS = 4000
_HEAD, _TAIL = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


class DrawingError(Exception):
    """No picture came of it, in words."""


@dataclass(frozen=True)
class Picture:
    """A PNG with its size in pixels."""

    body: bytes
    width: int
    height: int


def installed() -> bool:
    """Whether the extra is there. Loads nothing."""
    return find_spec("matplotlib") is not None


async def draw(
    drawing: str,
    cache: Path,
    command: Sequence[str] | None = None,
    deadline: float = DEADLINE_SECONDS,
) -> Picture:
    """``drawing``: JSON of a Drawing; ``cache``: a directory where the library keeps its list of fonts.

    Raises DrawingError. The process has ended, or been ended, when this returns or raises.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(command or COMMAND),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            env=_environment(cache),
            start_new_session=True,
        )
    except OSError as error:
        raise DrawingError(f"the drawing process cannot be started: {error.strerror}") from error
    try:
        async with asyncio.timeout(deadline):
            said, complaint = await _talk(process, drawing.encode())
            code = await process.wait()
    except TimeoutError:
        raise DrawingError(f"the drawing process did not end within {deadline:g} s") from None
    finally:
        await _end(process)
    if max(len(said), len(complaint)) > MOST_BYTES:
        raise DrawingError(f"the drawing process wrote more than {MOST_BYTES} bytes")
    if code != 0:
        how = f"by signal {-code}" if code < 0 else f"with {code}"
        raise DrawingError(f"the drawing process ended {how}: {_last_line(complaint)}")
    return checked(said)


def checked(body: bytes) -> Picture:
    """Raises DrawingError for what is no whole PNG of a sensible size (PNG specification, 5.2 and 11.2)."""
    if (
        len(body) > MOST_BYTES
        or not (body.startswith(_HEAD) and body.endswith(_TAIL))
        or len(body) < 45
    ):
        raise DrawingError("what the drawing process wrote is no picture")
    width, height = struct.unpack(">II", body[16:24])
    if not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS):
        raise DrawingError(f"the drawing process made a picture of {width} × {height} pixels")
    return Picture(body, width, height)


async def _talk(process: asyncio.subprocess.Process, text: bytes) -> tuple[bytes, bytes]:
    """What it wrote on stdout and stderr; more than MOST_BYTES where it did not end by itself."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise DrawingError("the drawing process has no pipes")
    said, complaint, _ = await asyncio.gather(
        _read(process, process.stdout),
        _read(process, process.stderr),
        _write(process.stdin, text),
    )
    return said, complaint


async def _write(stream: asyncio.StreamWriter, text: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its end is told by its code
        stream.write(text)
        await stream.drain()
    stream.close()


async def _read(process: asyncio.subprocess.Process, stream: asyncio.StreamReader) -> bytes:
    """All of it, up to MOST_BYTES and a piece: then the process is killed."""
    found = bytearray()
    while chunk := await stream.read(64 * 1024):
        if len(found) <= MOST_BYTES:
            found += chunk
        else:
            _kill(process)
    return bytes(found)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Whatever it does: it is gone when this returns.

    What it had written is read to its end, because asyncio does not notice the end of a process
    whose full pipe nobody reads.
    """
    streams = [one for one in (process.stdout, process.stderr) if one is not None]
    if process.returncode is None or not all(stream.at_eof() for stream in streams):
        _kill(process)
        for stream in streams:
            while await stream.read(64 * 1024):
                pass
        await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    """With what it has started itself: it has a session of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _last_line(complaint: bytes) -> str:
    lines = complaint.decode("utf-8", "replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return "".join(c if c.isprintable() else "?" for c in said)[:160]


def _environment(cache: Path) -> dict[str, str]:
    """No secret of ours: settings may stand in our environment."""
    passed = {
        name: os.environ[name]
        for name in ("PATH", "PYTHONPATH", "VIRTUAL_ENV")
        if name in os.environ
    }
    return {
        "PATH": os.defpath,
        **passed,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(cache),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
