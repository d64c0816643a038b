"""A backup of a large library beside a plain copy of it by the same client, in turn, each in a process of its own.

BACKUP_GIB sets how large it is. The objects' round trip and the kills of tests/parts are done here at full size.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.report import Figure, Tell, paired
from tests.parts.backup_kit import ACCESS, Place, put
from tests.real.storage import Storage

GIB = float(os.environ.get("BACKUP_GIB", "5"))
OBJECT_MIB = 64
BUCKET = "sermons"
AT_MOST = 1 / 0.7
"""Of the plain copy's time."""
FULL = {"BACKUP_OBJECTS": "1000", "BACKUP_LARGE_MIB": "200", "BACKUP_KILLS": "50"}
_COPY = """
import sys
from concurrent.futures import ThreadPoolExecutor
from minio import Minio
host, user, password, bucket, folder = sys.argv[1:]
client = Minio(host, user, password, secure=False)
names = [o.object_name for o in client.list_objects(bucket, recursive=True)]
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda n: client.fget_object(bucket, n, f"{folder}/{n}"), names))
import os; os.sync()
"""
_OURS = """
import atexit, re, sys
from pathlib import Path
place = Path(sys.argv.pop(1))
status = Path("/proc/self/status")
atexit.register(lambda: place.write_text(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]))
from recovery.cli import main
main()
"""
"""Its peak is its own: what rusage tells is also what we had when we started it."""


def measure(rounds: int, tell: Tell) -> list[Figure]:
    """Seconds of each, and our memory beside that for a tenth of it."""
    with tempfile.TemporaryDirectory(prefix="sermon-bench-") as folder:
        storage = Storage(Path(folder))
        try:
            tell("backups: starting an S3 server")
            storage.start()
            return _measured(storage, Path(folder), rounds, tell)
        finally:
            storage.stop()


def _measured(storage: Storage, folder: Path, rounds: int, tell: Tell) -> list[Figure]:
    count = max(10, round(GIB * 1024 / OBJECT_MIB))
    storage.client.make_bucket(BUCKET)
    tell(f"backups: writing {count} objects of {OBJECT_MIB} MiB")
    for number in range(count // 10):
        _write(storage, number)
    _, tenth = _ours(storage, folder / "tenth", {"BACKUP_KEY": "a passphrase"})
    for number in range(count // 10, count):
        _write(storage, number)
    ours, copies, keyed, memory = list[float](), list[float](), list[float](), list[float]()
    for number in range(max(1, rounds // 4)):
        tell(f"backups: round {number + 1}, a plain copy, a backup, an encrypted one")
        copies.append(_copied(storage, folder / "copy"))
        seconds, peak = _ours(storage, folder / "ours", {})
        ours.append(seconds)
        memory.append(peak)
        seconds, peak = _ours(storage, folder / "keyed", {"BACKUP_KEY": "a passphrase"})
        keyed.append(seconds)
        memory[-1] = max(memory[-1], peak)
    title = f"{count * OBJECT_MIB / 1024:.1f} GiB"
    return [
        paired(
            f"a backup of {title}", "s", ours, copies, "a plain copy by the same client", AT_MOST
        ),
        paired(f"the same, encrypted, {title}", "s", keyed, copies, "the same copy", AT_MOST),
        paired(
            f"its memory at most, {title}",
            "MiB",
            memory,
            [tenth] * len(memory),
            "of a tenth of it",
            1.25,
        ),
    ]


def full_size(tell: Tell) -> None:
    """The tests of tests/parts with 1,000 objects, one of 200 MiB, and 50 kills each. Raises CalledProcessError."""
    tell("backups: 1,000 objects there and back; 50 kills of each kind")
    files = [f"tests/parts/{name}.py" for name in ("test_backup_restore", "test_backup_killed")]
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--timeout=3600",
        *files,
    ]
    subprocess.run([*words, "-k", "byte_for_byte or killed"], check=True, env=os.environ | FULL)


def _write(storage: Storage, number: int) -> None:
    content = os.urandom(1 << 20) * OBJECT_MIB
    put(storage.client, BUCKET, f"{number}.wav", content, part_size=16 << 20)


def _copied(storage: Storage, folder: Path) -> float:
    folder.mkdir()
    host = storage.url.removeprefix("http://")
    words = [sys.executable, "-c", _COPY, host, *ACCESS.values(), BUCKET, str(folder)]
    seconds = _timed(words, {})
    shutil.rmtree(folder)
    return seconds


def _ours(storage: Storage, folder: Path, more: dict[str, str]) -> tuple[float, float]:
    place = Place(folder, storage.url)
    peak = folder / "peak"
    words = [sys.executable, "-c", _OURS, str(peak), "backup-create", "one", "--with-data"]
    seconds = _timed(words, place.env | more)
    mib = int(peak.read_text()) / 1024
    shutil.rmtree(folder)
    return seconds, mib


def _timed(words: list[str], env: dict[str, str]) -> float:
    """Seconds."""
    began = time.monotonic()
    subprocess.run(words, env=env or None, stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - began
