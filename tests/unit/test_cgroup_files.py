"""The files of control groups as series: good samples, and files as no kernel writes them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from exporter.cgroup_files import (
    MOST_INTERFACES,
    files,
    interfaces,
    pairs,
    per_cpu,
    pressure,
    single,
    v1_memory,
)
from exporter.cgroup_layout import Layout, Locator, Slot, tokens_of
from exporter.cgroup_limits import parse_cpu_max, parse_limit, shares_of_weight
from exporter.container_families import RSS

NET_DEV = b"""Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    1086      13    1    2    0     0          0         0     2000      14    3    4    0     0       0          0
"""
PRESSURE = b"""some avg10=0.00 avg60=0.12 avg300=0.00 total=1500000
full avg10=0.00 avg60=0.00 avg300=0.00 total=7
"""
V1_DISK = b"""254:0 Read 4096
254:0 Write 8192
254:0 Sync 0
254:0 Async 12288
254:0 Discard 0
254:0 Total 12288
Total 12288
"""
V2_DISK = b"254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"

Told = dict[tuple[str, ...], float]


def told(locate: Locator, content: bytes) -> Told:
    """Value by family and labels, as a layout of the one file says."""
    layout = Layout([content], [locate])
    values, kills = layout.values(tokens_of([content])) or ([], b"")
    found: Told = {}
    at = 0
    for slot in layout.slots:
        name = slot.family.name.removeprefix("container_") if slot.family else ""
        labels = tuple(value for _, value in slot.labels)
        width = 2 if slot.digits else 1
        found[name, *labels] = float(b".".join(values[at : at + width]))
        at += width
    if kills:
        found["kills",] = int(kills)
    return found


def of(version: int, name: str, *, quota: bool = True, cpus: int = 2) -> Locator:
    table = files(version, cpus, quota, {"254:0": "/dev/vda"}.get)  # type: ignore[arg-type]
    return next(file.locate for file in table if file.name == name)


@pytest.mark.parametrize(
    ("version", "name", "content", "expected"),
    [
        (1, "cpuacct.usage", b"1500000000\n", {("cpu_usage_seconds_total", "total"): 1.5}),
        (
            1,
            "cpuacct.usage_percpu",
            b"1500000000 7 0 0 \n",
            {
                ("cpu_usage_seconds_total", "cpu00"): 1.5,
                ("cpu_usage_seconds_total", "cpu01"): 7e-9,
            },
        ),
        (
            1,
            "cpuacct.stat",
            b"user 100\nsystem 5\n",
            {("cpu_user_seconds_total",): 1.0, ("cpu_system_seconds_total",): 0.05},
        ),
        (
            1,
            "cpu.stat",
            b"nr_periods 9\nnr_throttled 2\nthrottled_time 2500000000\n",
            {
                ("cpu_cfs_periods_total",): 9,
                ("cpu_cfs_throttled_periods_total",): 2,
                ("cpu_cfs_throttled_seconds_total",): 2.5,
            },
        ),
        (
            1,
            "memory.oom_control",
            b"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
            {("kills",): 3},
        ),
        (1, "memory.failcnt", b"12\n", {("memory_failcnt",): 12}),
        (
            1,
            "blkio.throttle.io_serviced_recursive",
            V1_DISK,
            {("fs_reads_total", "/dev/vda"): 4096, ("fs_writes_total", "/dev/vda"): 8192},
        ),
        (
            2,
            "cpu.stat",
            b"usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnr_periods 4\nnr_throttled 1\nthrottled_usec 30\nnr_bursts 1\nburst_usec 9\n",
            {
                ("cpu_usage_seconds_total", "total"): 1.5,
                ("cpu_user_seconds_total",): 1.0,
                ("cpu_system_seconds_total",): 0.5,
                ("cpu_cfs_periods_total",): 4,
                ("cpu_cfs_throttled_periods_total",): 1,
                ("cpu_cfs_throttled_seconds_total",): 3e-5,
                ("cpu_cfs_burst_periods_total",): 1,
                ("cpu_cfs_burst_seconds_total",): 9e-6,
            },
        ),
        (
            2,
            "memory.events",
            b"low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 0\n",
            {
                ("memory_events_high_total",): 1,
                ("memory_events_max_total",): 2,
                ("kills",): 4,
            },
        ),
        (
            2,
            "io.stat",
            V2_DISK,
            {
                ("fs_reads_bytes_total", "/dev/vda"): 4096,
                ("fs_writes_bytes_total", "/dev/vda"): 8192,
                ("fs_reads_total", "/dev/vda"): 1,
                ("fs_writes_total", "/dev/vda"): 2,
                ("blkio_device_usage_total", "/dev/vda", "254", "0", "Read"): 4096,
                ("blkio_device_usage_total", "/dev/vda", "254", "0", "Write"): 8192,
            },
        ),
        (
            2,
            "io.pressure",
            PRESSURE,
            {
                ("pressure_io_waiting_seconds_total",): 1.5,
                ("pressure_io_stalled_seconds_total",): 7e-6,
            },
        ),
    ],
)
def test_files(
    version: int, name: str, content: bytes, expected: Mapping[tuple[str, ...], float]
) -> None:
    assert told(of(version, name), content) == pytest.approx(expected)


def test_the_bytes_of_version_1_by_device_and_operation() -> None:
    found = told(of(1, "blkio.throttle.io_service_bytes_recursive"), V1_DISK)
    assert found["fs_reads_bytes_total", "/dev/vda"] == 4096
    assert found["blkio_device_usage_total", "/dev/vda", "254", "0", "Async"] == 12288
    assert len(found) == 8


def test_no_quota_no_throttling() -> None:
    content = b"usage_usec 1\nuser_usec 1\nsystem_usec 0\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n"
    assert len(told(of(2, "cpu.stat", quota=False), content)) == 3
    assert "cpu.stat" not in {file.name for file in files(1, 2, False, str)}


def test_memory_of_version_1() -> None:
    content = b"cache 1\nrss 2\npgfault 3\npgmajfault 4\ninactive_file 5\ntotal_cache 10\ntotal_rss 20\ntotal_pgfault 30\ntotal_pgmajfault 40\ntotal_inactive_file 50\n"
    assert told(v1_memory, content) == {
        ("memory_rss",): 20,
        ("memory_cache",): 10,
        ("memory_total_inactive_file_bytes",): 50,
        ("memory_failures_total", "pgfault", "hierarchy"): 30,
        ("memory_failures_total", "pgmajfault", "hierarchy"): 40,
        ("memory_failures_total", "pgfault", "container"): 3,
        ("memory_failures_total", "pgmajfault", "container"): 4,
    }
    assert told(v1_memory, b"cache 1\nrss 2\n") == {("memory_rss",): 2, ("memory_cache",): 1}


def test_network() -> None:
    assert told(interfaces, NET_DEV) == {
        (f"network_{direction}_{what}_total", "eth0"): value
        for direction, values in (("receive", (1086, 13, 1, 2)), ("transmit", (2000, 14, 3, 4)))
        for what, value in zip(
            ("bytes", "packets", "errors", "packets_dropped"), values, strict=True
        )
    }


def test_a_container_does_not_choose_how_many_series_it_has() -> None:
    line = b"e%d: " + b" ".join([b"1"] * 16) + b"\n"
    many = b"\n\n" + b"".join(line % number for number in range(1000))
    assert len(told(interfaces, b"a\nb\n" + many)) == 8 * MOST_INTERFACES
    disks = b"".join(b"%d:0 rbytes=1 wbytes=1\n" % number for number in range(1000))
    locate = next(file.locate for file in files(2, 1, False, str) if file.name == "io.stat")
    assert len(told(locate, disks)) == 4 * 64


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\x00\xff\xfe\n",
        b"rss\n",
        b"rss -1\n",
        b"rss max\n",
        b"rss 1 2\n",
        b"rss 1.5\n",
        b"rss 0x10\n",
        b"rss " + b"9" * 21 + b"\n",
        b"rss \xd9\xa1\n",
    ],
)
def test_a_pair_that_is_no_number_has_no_series(content: bytes) -> None:
    assert told(pairs({b"rss": (Slot(RSS),)}), content) == {}


@pytest.mark.parametrize("content", [b"", b"max\n", b"-1\n", b"1 2\n", b"\xff", b"9" * 21])
def test_a_single_that_is_no_number_has_no_series(content: bytes) -> None:
    assert told(single(Slot(RSS)), content) == {}


def test_of_two_pairs_the_first_counts() -> None:
    assert told(pairs({b"rss": (Slot(RSS),)}), b"rss 1\nrss 2\n") == {("memory_rss",): 1}


@pytest.mark.parametrize(
    "content", [b"", b"some\n", b"some total\n", b"nothing total=1\n", b"total=1\n" * 3]
)
def test_pressure_of_another_kind(content: bytes) -> None:
    assert told(pressure("cpu"), content) == {}


@pytest.mark.parametrize("content", [b"", b"a b\n1 2\n", b"x"])
def test_cpus_of_another_kind(content: bytes) -> None:
    assert told(per_cpu(2), content) == {}


def test_interfaces_of_another_kind() -> None:
    head = b"a\nb\n"
    numbers = b" ".join([b"1"] * 16)
    assert told(interfaces, head + b"eth0:" + numbers + b"\n") == {}
    assert told(interfaces, head + b"eth0: 1 2\n: " + numbers[:9] + b"\n") == {}
    twice = head + b"\xff: " + numbers + b"\n\xfe: " + numbers + b"\n"
    assert len(told(interfaces, twice)) == 8


@pytest.mark.parametrize(
    ("content", "limit"),
    [
        (b"max\n", 0),
        (b"9223372036854771712\n", 0),
        (b"536870912\n", 536_870_912),
        (b"-1\n", -1),
        (b"", None),
        (b"x\n", None),
        (b"9" * 5000, None),
    ],
)
def test_limits(content: bytes, limit: int | None) -> None:
    assert parse_limit(content) == limit


def test_the_quota_and_weight_of_version_2() -> None:
    assert parse_cpu_max(b"max 100000\n") == (0, 100_000)
    assert parse_cpu_max(b"50000 100000\n") == (50_000, 100_000)
    assert parse_cpu_max(b"") == (None, None)
    assert [shares_of_weight(one) for one in (1, 39, 10_000, None)] == [2, 998, 262_144, None]
