"""What is told of our own process, beside what prometheus_client tells of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter.collectors.process import (
    ProcessesOwnCollector,
    open_descriptors,
    parse_start,
    parse_statm,
)
from exporter.exposition import find, render
from exporter.scrape import CollectorError

NEAR = {
    "process_cpu_seconds_total": 1.0,
    "process_resident_memory_bytes": 64 * 2**20,
    "process_virtual_memory_bytes": 64 * 2**20,
    "process_open_fds": 3,
    "process_start_time_seconds": 0.02,
    "python_gc_objects_collected_total": 1e9,
    "python_gc_collections_total": 1000,
}
PAGE = os.sysconf("SC_PAGE_SIZE")


def values(text: str) -> dict[tuple[str, str], tuple[str, float]]:
    return {
        (sample.name, str(sorted(sample.labels.items()))): (family.type, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_it_is_what_prometheus_client_tells() -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    theirs = values(generate_latest(registry).decode())
    ours = values(render(ProcessesOwnCollector(CollectorRegistry()).begin()(), "")[0].decode())
    own = {key for key in ours if key[0] == "sermon_monitor_build_info"}
    assert len(own) == 1
    assert ours.keys() - own == theirs.keys()
    for key, (kind, value) in theirs.items():
        assert ours[key][0] == kind
        assert ours[key][1] == pytest.approx(value, abs=NEAR.get(key[0], 0)), key


def test_what_others_registered_is_told() -> None:
    registry = CollectorRegistry()
    Counter("sermon_monitor_test", "X.", registry=registry).inc(3)
    samples = ProcessesOwnCollector(registry).begin()()
    assert find(samples, "sermon_monitor_test_total") == b"sermon_monitor_test_total 3\n"


def test_descriptors_are_counted_by_old_kernels_too(tmp_path: Path) -> None:
    before = open_descriptors(Path("/proc/self/fd"))
    with (tmp_path / "file").open("w"):
        assert open_descriptors(Path("/proc/self/fd")) == before + 1


def test_statm() -> None:
    assert parse_statm(b"17450 14884 5000 1 0 2 0\n") == (17450 * PAGE, 14884 * PAGE)
    for hostile in (b"", b"1", b"a b", b"-1 2"):
        with pytest.raises(ValueError, match="statm"):
            parse_statm(hostile)


def test_start_time() -> None:
    stat = b"7 (a ) b) S " + b" ".join(b"%d" % number for number in range(4, 53))
    assert parse_start(stat, 1000) == 1000 + 22 / os.sysconf("SC_CLK_TCK")
    for hostile in (b"", b"7 (x) S 1 2"):
        with pytest.raises(ValueError, match="start time"):
            parse_start(hostile, 1000)


def test_where_only_processes_are_shown_the_start_is_known(tmp_path: Path) -> None:
    """proc(5), ``subset=pid``: as systemd's ProcSubset=pid mounts it."""
    (tmp_path / "self").symlink_to("/proc/self")
    told = ProcessesOwnCollector(CollectorRegistry(), tmp_path).begin()()
    whole = ProcessesOwnCollector(CollectorRegistry()).begin()()
    name = "process_start_time_seconds"
    started = [float(find(one, name).split()[1]) for one in (told, whole)]
    assert started[0] == pytest.approx(started[1], abs=2)
    assert [one.family.name for one in told] == [one.family.name for one in whole]


def test_a_hidden_proc_leaves_what_needs_none(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    Counter("sermon_monitor_test", "X.", registry=registry).inc(3)
    with pytest.raises(CollectorError, match="No such file") as partial:
        ProcessesOwnCollector(registry, tmp_path).begin()()
    told = {one.family.name for one in partial.value.partial}
    assert {"sermon_monitor_test_total", "sermon_monitor_build_info", "process_max_fds"} <= told
    assert not told & {"process_open_fds", "process_start_time_seconds"}
