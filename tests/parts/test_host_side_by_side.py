"""Beside a real node_exporter: the same names, types, labels and values of the machine that runs the tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.exposition import Samples, render
from exporter.host.areas import areas
from exporter.host.mounts import MountTable
from exporter.host.rows import Area
from tests.conftest import Tell, tier_missing
from tests.real.debian import DebianError
from tests.real.node_exporter import NodeExporter

pytestmark = pytest.mark.daemons

NOT_OURS = {
    r"node_(scrape_collector_\w+|exporter_build_info)": "about itself; ours are sermon_monitor_…",
    r"node_network_receive_nohandler_total": "not in /proc/net/dev: node_exporter asks by netlink",
    r"node_disk_(filesystem_info|ata_\w+|device_mapper_\w+)": "udev's, and never changes",
    r"node_cpu_(core|package)_throttles_total": "Intel's only; a Raspberry Pi's are sermon_monitor_rpi_…",
    r"node_cpu_(isolated|online)": "how the machine was set up",
}
"""What node_exporter's same collectors tell and we do not."""
ONLY_OURS = r"node_memory_\w+|sermon_monitor_rpi_\w+"
"""node_exporter 1.9 knows a fixed list of /proc/meminfo's fields; we tell all."""
MIB = 2**20
TOLERANCE = {
    r"node_memory_DirectMap\w+": 8192 * MIB,
    r"node_memory_(?!MemTotal|SwapTotal)\w+": 512 * MIB,
    r"node_filesystem_(free|avail)_bytes": 4096 * MIB,
    r"node_filesystem_files_free": 200_000,
    r"node_load\d+": 4,
    r"node_procs_\w+": 100,
    r"node_filefd_allocated": 20_000,
    r"node_disk_io_now": 1000,
    r"node_thermal_zone_temp": 20,
    r"node_cooling_device_cur_state": 100,
    r"node_cpu_\w+": 0.5,  # each keeps a processor's idle time from falling since its own first look
}
"""What a busy machine changes between three looks; of all else the middle one lies between the others."""
_TRIES = 20
_LOOKS = 5
"""On a machine that starts others' programs meanwhile one of so many is without a leap; what is wrong is so in all."""

Labels = frozenset[tuple[str, str]]


class Found(NamedTuple):
    kind: str
    series: dict[Labels, float]


def parsed(text: str) -> dict[str, Found]:
    """By the name of its samples. A label without a value is none."""
    found = {}
    for family in text_string_to_metric_families(text):
        series = {
            frozenset((key, value) for key, value in sample.labels.items() if value): sample.value
            for sample in family.samples
        }
        found[family.samples[0].name] = Found(family.type, series)
    return found


def look(ours: tuple[Area, ...]) -> dict[str, Found]:
    samples: list[Samples] = []
    for area in ours:
        try:
            samples += area.read()
        except OSError:
            if not area.optional:
                raise
    return parsed(render(samples, "")[0].decode())


@pytest.fixture(scope="module")
def node_exporter(tmp_path_factory: pytest.TempPathFactory, tell: Tell) -> Iterator[NodeExporter]:
    tell("fetching node_exporter, unless it is here")
    try:
        exporter = NodeExporter(tmp_path_factory.mktemp("node_exporter"))
    except DebianError as problem:
        tier_missing(f"no node_exporter: {problem}")
    try:
        exporter.start()
        yield exporter
    finally:
        exporter.stop()


def theirs(node_exporter: NodeExporter) -> dict[str, Found]:
    return corrected(parsed(node_exporter.scrape()))


def corrected(found: dict[str, Found]) -> dict[str, Found]:
    """node_exporter says rotational="0" also where another file of the disk's queue directory is missing."""
    info = found.get("node_disk_info")
    if info is not None:
        series = {}
        for labels, value in info.series.items():
            named = dict(labels)
            file = Path("/sys/block", named["device"], "queue/rotational")
            if file.exists():
                named["rotational"] = file.read_text().strip()
            series[frozenset(named.items())] = value
        found["node_disk_info"] = Found(info.kind, series)
    return found


def shape(found: Mapping[str, Found]) -> dict[str, set[Labels]]:
    return {name: set(one.series) for name, one in found.items()}


def without_overlay_root(found: dict[str, Found]) -> dict[str, Found]:
    """Where the machine's root is an overlay we tell it; node_exporter leaves it out."""
    for name, one in list(found.items()):
        if name.startswith("node_filesystem_"):
            kept = {
                labels: value
                for labels, value in one.series.items()
                if ("device", "overlay") not in labels
            }
            found[name] = Found(one.kind, kept)
    return {name: one for name, one in found.items() if one.series}


def between_two_looks(
    node_exporter: NodeExporter, ours: tuple[Area, ...]
) -> tuple[dict[str, Found], dict[str, Found], dict[str, Found]]:
    """Theirs, ours, theirs again: once while no disk, link or mount came or went."""
    for _ in range(_TRIES):
        before, middle, after = theirs(node_exporter), look(ours), theirs(node_exporter)
        if shape(before) == shape(after):
            return before, without_overlay_root(middle), after
    raise AssertionError("the machine does not keep still")


def compare(before: dict[str, Found], ours: dict[str, Found], after: dict[str, Found]) -> None:
    missing = [name for name in before if name not in ours]
    assert [name for name in missing if not any(re.fullmatch(one, name) for one in NOT_OURS)] == []
    extra = [name for name in ours if name not in before]
    assert [name for name in extra if not re.fullmatch(ONLY_OURS, name)] == []
    for name in before.keys() & ours.keys():
        assert ours[name].kind == before[name].kind, name
        assert set(ours[name].series) == set(before[name].series), name
        room = next((room for one, room in TOLERANCE.items() if re.fullmatch(one, name)), 1e-6)
        for labels, value in ours[name].series.items():
            ends = sorted((before[name].series[labels], after[name].series[labels]))
            assert ends[0] - room <= float(value) <= ends[1] + room, (name, labels, value, ends)


def test_the_same_is_told_in_the_same_words(node_exporter: NodeExporter) -> None:
    host = areas(Path("/proc"), Path("/"))
    for left in reversed(range(_LOOKS)):
        before, ours, after = between_two_looks(node_exporter, host)
        try:
            compare(before, ours, after)
            break
        except AssertionError:
            if not left:
                raise
    assert len(before.keys() & ours.keys()) > 100
    for name in ("node_cpu_seconds_total", "node_memory_MemAvailable_bytes", "node_load1"):
        assert name in ours


def test_every_exception_has_its_reason() -> None:
    assert len(NOT_OURS) == 5
    assert all(NOT_OURS.values())


_INSIDE = """
import sys
from pathlib import Path
from exporter.exposition import render
from exporter.host.areas import areas
from exporter.host.filesystems import FilesystemsArea
proc, root = Path(sys.argv[1], "proc"), Path(sys.argv[1], "rootfs")
samples = []
for area in areas(proc, root):
    try:
        samples += area.read()
    except OSError:
        if not area.optional:
            raise
print(render(samples, "")[0].decode(), end="====")
print(render(FilesystemsArea(Path("/nowhere"), root).read(), "")[0].decode())
"""
_CONTAINER = """
set -e
mkdir -p "$1/proc" "$1/rootfs"
mount --rbind /proc "$1/proc"
mount --rbind / "$1/rootfs"
mount -o remount,bind,ro "$1/rootfs"
hostname inside-a-container
exec "$2" -c "$3" "$1"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="unshare needs root")
def test_from_inside_a_container_the_host_is_told(
    node_exporter: NodeExporter, tmp_path: Path
) -> None:
    """Of its own it has mounts, network, processes and a name; the host's /proc and / lie in ``host``."""
    command = ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "sh", "-c", _CONTAINER]
    arguments = ["sh", str(tmp_path / "host"), sys.executable, _INSIDE]
    for _ in range(_TRIES):
        before = theirs(node_exporter)
        output = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, timeout=120
        )
        assert output.returncode == 0, output.stderr
        after = theirs(node_exporter)
        if shape(before) == shape(after):
            break
    inside, _, by_our_own_mounts = output.stdout.partition("====")
    ours = without_overlay_root(parsed(inside))
    fallback = without_overlay_root(parsed(by_our_own_mounts))
    names = {name for name in ours if name.startswith("node_filesystem_")}
    uname = dict(next(iter(ours["node_uname_info"].series)))
    assert uname["nodename"] == Path("/etc/hostname").read_text().strip()
    before["node_uname_info"] = after["node_uname_info"] = ours["node_uname_info"]
    compare(before, ours, after)
    for name in names:
        assert set(fallback[name].series) == set(ours[name].series), name


@pytest.mark.skipif(os.geteuid() != 0, reason="unshare needs root")
def test_mounts_are_read_only_when_they_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'echo ready; while read -r line; do mount -t tmpfs none "$line" && echo done; done'
    shell = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    with shell:
        assert shell.stdout.readline() == "ready\n"
        proc = tmp_path / "proc"
        proc.mkdir()
        (proc / "1").symlink_to(f"/proc/{shell.pid}")
        table = MountTable(proc, Path("/"))
        reads = 0
        read = table._of_init.read

        def counted() -> bytes:
            nonlocal reads
            reads += 1
            return read()

        monkeypatch.setattr(table._of_init, "read", counted)
        first = table.read()
        assert first
        assert table.read() is first
        assert reads == 1
        shell.stdin.write(f"{tmp_path}\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == "done\n"
        assert table.read() is first  # memory is no storage
        assert table.read() is first
        assert reads == 2
        shell.stdin.close()
