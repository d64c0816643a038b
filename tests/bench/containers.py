"""CPU of reading and writing the metrics of containers, against a C program that parses the same files.

Real control groups of this machine (version 1, as root), each with a sleeping process in a network
namespace of its own; no Docker is needed. Both programs run in turn, so that the machine's drift hits both.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from exporter.cgroup_layout import Slot
from exporter.cgroups import CONTROLLERS, Tree
from exporter.collectors.containers import ContainersText
from exporter.container_families import MEMORY_USAGE
from exporter.container_rows import Row, UsageText
from exporter.container_usage import UsageReader
from exporter.context import ContainerLabels
from exporter.devices import Devices
from exporter.exposition import render
from target.engine import Container

CGROUP_ROOT = Path("/sys/fs/cgroup")
PROC_ROOT = Path("/proc")
SOURCE = Path(__file__).with_suffix(".c")
_SERIES = 10_000
_LEAST = 1e-9


class Floor:
    """The C program, at work on ``files`` of each container."""

    def __init__(self, files: Sequence[Sequence[str]], directory: Path) -> None:
        program = directory / "containers"
        subprocess.run(["cc", "-O2", "-o", program, SOURCE], check=True)
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for paths in files:
            self._say(" ".join(map(str, paths)))
        self._say("")

    def round(self) -> float:
        """CPU seconds of reading and parsing all files once."""
        self._say("again")
        assert self._process.stdout is not None
        return int(self._process.stdout.readline().split()[0]) / 1e9

    def close(self) -> None:
        self._process.communicate()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


class Ours:
    """Reader and text, as a scrape uses them."""

    def __init__(self, containers: Sequence[Container]) -> None:
        self._containers = tuple(containers)
        self._reader = UsageReader(
            Tree(CGROUP_ROOT, PROC_ROOT), ContainerLabels(), Devices(PROC_ROOT), lambda _: None
        )
        self._text = ContainersText()
        self._restarts = {one.name: 0 for one in containers}
        self._kills = [0] * len(self._containers)

    def round(self) -> float:
        """CPU seconds of one exposition."""
        began = time.process_time_ns()
        self.exposition()
        return (time.process_time_ns() - began) / 1e9

    def exposition(self) -> bytes:
        told = self._reader.read(self._containers, ())
        samples = self._text.write(self._reader.watched, told, self._restarts, self._kills, 0)
        return render(samples, "")[0]

    def files(self) -> list[tuple[str, ...]]:
        return [one.usage.paths for one in self._reader.watched if one.usage is not None]

    def close(self) -> None:
        self._reader.close()


def measure(count: int, rounds: int, pace_seconds: float) -> tuple[list[float], list[float]]:
    """CPU seconds a container in each round: ours, and the floor, in turn.

    ``pace_seconds`` 0 is hot: a round follows the other at once. With 1 each begins cold, as a scrape does.
    Raises OSError where no control groups can be made here.
    """
    with bench(count) as (ours, floor):
        mine, least = [], []
        for _ in range(rounds):
            time.sleep(pace_seconds)
            mine.append(ours.round() / count)
            time.sleep(pace_seconds)
            least.append(max(_LEAST, floor.round() / count))
        return mine, least


def measure_text(rounds: int) -> tuple[list[float], list[float]]:
    """CPU seconds a series of writing 10,000 samples: ours, and prometheus_client's labels and values."""
    ours, theirs = _our_text(), _their_text()
    pairs = [(_cpu(ours) / _SERIES, _cpu(theirs) / _SERIES) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


@contextmanager
def bench(count: int) -> Iterator[tuple[Ours, Floor]]:
    """Both programs, each warm: they have read everything once."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        containers = [stack.enter_context(_container(number)) for number in range(count)]
        ours = Ours(containers)
        stack.callback(ours.close)
        ours.exposition()
        floor = Floor(ours.files(), directory)
        stack.callback(floor.close)
        floor.round()
        yield ours, floor


@contextmanager
def _container(number: int) -> Iterator[Container]:
    """Control groups with a process, as a container has them."""
    key = hashlib.sha256(str(number).encode()).hexdigest()
    groups = [CGROUP_ROOT / name / f"sermon-bench-{key}" for name in CONTROLLERS]
    with ExitStack() as stack:
        sleeper = subprocess.Popen(["unshare", "--net", "sh", "-c", _script()])
        stack.callback(sleeper.wait)
        stack.callback(sleeper.kill)
        for group in groups:
            # One may be left of a run that was killed.
            group.mkdir(exist_ok=True)
            stack.callback(_remove, group)
            (group / "cgroup.procs").write_text(str(sleeper.pid))
        # A group is removed when nothing is in it.
        stack.callback(sleeper.wait)
        stack.callback(sleeper.kill)
        yield _inspected(key, f"sermon-uploader-{number}", sleeper.pid)


def _script() -> str:
    """With an interface that counts, and an end of it that does not, where there is a tool that makes one."""
    link = "ip link add eth0 type veth peer name veth0; " if shutil.which("ip") else ""
    return f"{link}exec sleep 3600"


def _remove(group: Path) -> None:
    """A process that was killed leaves its group a moment later."""
    for _ in range(100):
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.02)
        else:
            return
    group.rmdir()


def _inspected(key: str, name: str, pid: int) -> Container:
    now = datetime.now(UTC)
    return Container(
        id=key,
        name=name,
        image="ghcr.io/example/sermon-uploader:v1.2.3",
        image_id="sha256:" + key,
        state="running",
        health="healthy",
        exit_code=0,
        oom_killed=False,
        restart_count=0,
        pid=pid,
        created_at=now,
        started_at=now,
        finished_at=None,
        tty=False,
        log_path="",
        restart_policy="no",
    )


class _Shape:
    slots = (Slot(MEMORY_USAGE),)


def _labels(number: int) -> dict[str, str]:
    return {"id": f"/docker/{number:064x}", "image": "app:v1", "name": f"app-{number}"}


def _our_text() -> Callable[[], object]:
    text = UsageText()
    rows = [Row(_labels(one), _Shape(), (b"%d" % (one * 4096),)) for one in range(_SERIES)]
    text.write(rows)
    return lambda: render(text.write(rows), "")


def _their_text() -> Callable[[], object]:
    registry = CollectorRegistry()
    gauge = Gauge("container_memory_usage_bytes", "x", ["id", "image", "name"], registry=registry)
    labels = [_labels(one) for one in range(_SERIES)]

    def write() -> None:
        for number, one in enumerate(labels):
            gauge.labels(**one).set(number * 4096)
        generate_latest(registry)

    return write


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
