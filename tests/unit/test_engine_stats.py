"""The Engine's stats as series: answers of both versions of control groups, and answers as no Engine gives them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from exporter.cgroup_files import MOST_INTERFACES
from exporter.engine_stats import parse_stats

V1: dict[str, Any] = {
    "read": "2026-03-07T09:15:02.123456789Z",
    "pids_stats": {"current": 3, "limit": 18446744073709551615},
    "networks": {
        "eth0": {
            **{"rx_bytes": 1086, "rx_packets": 13, "rx_errors": 1, "rx_dropped": 2},
            **{"tx_bytes": 2000, "tx_packets": 14, "tx_errors": 3, "tx_dropped": 4},
        }
    },
    "memory_stats": {
        "usage": 100_000,
        "max_usage": 200_000,
        "failcnt": 12,
        "limit": 536_870_912,
        "stats": {
            **{"cache": 1, "rss": 2, "pgfault": 3, "pgmajfault": 4, "inactive_file": 5},
            **{"total_cache": 40_960, "total_rss": 81_920, "total_mapped_file": 1},
            **{"total_pgfault": 30, "total_pgmajfault": 4, "total_inactive_file": 16_384},
        },
    },
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 254, "minor": 0, "op": "Read", "value": 4096},
            {"major": 254, "minor": 0, "op": "Write", "value": 8192},
            {"major": 254, "minor": 0, "op": "Total", "value": 12288},
        ],
        "io_serviced_recursive": [{"major": 254, "minor": 0, "op": "Read", "value": 1}],
    },
    "cpu_stats": {
        "cpu_usage": {
            "total_usage": 1_500_000_000,
            "percpu_usage": [1_000_000_000, 500_000_000, 0, 0],
            "usage_in_kernelmode": 500_000_000,
            "usage_in_usermode": 1_000_000_000,
        },
        "online_cpus": 2,
        "throttling_data": {"periods": 9, "throttled_periods": 2, "throttled_time": 30_000},
    },
}
V2: dict[str, Any] = {
    "read": "2026-03-07T09:15:02.123456789Z",
    "pids_stats": {"current": 3, "limit": 100},
    "networks": V1["networks"],
    "memory_stats": {
        "usage": 100_000,
        "limit": 536_870_912,
        "stats": {
            **{"anon": 81_920, "file": 40_960, "file_mapped": 1, "file_dirty": 2},
            **{"inactive_file": 16_384, "active_file": 24_576, "pgfault": 9, "pgmajfault": 10},
            **{"pgscan": 7, "pgsteal": 8},
        },
    },
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 254, "minor": 0, "op": "read", "value": 4096},
            {"major": 254, "minor": 0, "op": "write", "value": 8192},
        ],
        "io_serviced_recursive": None,
    },
    "cpu_stats": {
        "cpu_usage": {
            "total_usage": 1_500_000_000,
            "usage_in_kernelmode": 500_000_000,
            "usage_in_usermode": 1_000_000_000,
        },
        "online_cpus": 2,
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    },
}


def told(answer: object) -> dict[tuple[str, ...], float]:
    parsed = parse_stats(answer, {"254:0": "/dev/vda"}.get)  # type: ignore[arg-type]
    if parsed is None:
        return {}
    shape, values = parsed
    found: dict[tuple[str, ...], float] = {}
    at = 0
    for slot in shape.slots:
        width = 2 if slot.digits else 1
        assert slot.family is not None
        key = slot.family.name.removeprefix("container_"), *(text for _, text in slot.labels)
        assert key not in found
        found[key] = float(b".".join(values[at : at + width]))
        at += width
    assert at == len(values)
    return found


COMMON = {
    ("cpu_user_seconds_total",): 1.0,
    ("cpu_system_seconds_total",): 0.5,
    ("memory_usage_bytes",): 100_000,
    ("memory_working_set_bytes",): 83_616,
    ("memory_rss",): 81_920,
    ("memory_cache",): 40_960,
    ("memory_mapped_file",): 1,
    ("memory_total_inactive_file_bytes",): 16_384,
    ("threads",): 3,
    ("network_receive_packets_dropped_total", "eth0"): 2,
    ("network_transmit_bytes_total", "eth0"): 2000,
    ("fs_reads_bytes_total", "/dev/vda"): 4096,
    ("fs_writes_bytes_total", "/dev/vda"): 8192,
    ("blkio_device_usage_total", "/dev/vda", "254", "0", "Read"): 4096,
}


def test_version_1() -> None:
    expected = {
        **COMMON,
        ("cpu_usage_seconds_total", "cpu00"): 1.0,
        ("cpu_usage_seconds_total", "cpu01"): 0.5,
        ("cpu_cfs_throttled_seconds_total",): 3e-5,
        ("memory_max_usage_bytes",): 200_000,
        ("memory_failcnt",): 12,
        ("memory_failures_total", "pgfault", "container"): 3,
        ("memory_failures_total", "pgfault", "hierarchy"): 30,
        ("fs_reads_total", "/dev/vda"): 1,
        ("blkio_device_usage_total", "/dev/vda", "254", "0", "Total"): 12288,
    }
    found = told(V1)
    assert {key: found.get(key) for key in expected} == pytest.approx(expected)


def test_version_2() -> None:
    expected = {
        **COMMON,
        ("cpu_usage_seconds_total", "total"): 1.5,
        ("memory_total_active_file_bytes",): 24_576,
        ("memory_failures_total", "pgfault", "container"): 9,
        ("memory_failures_total", "pgfault", "hierarchy"): 9,
        ("memory_pgscan_total",): 7,
    }
    found = told(V2)
    assert {key: found.get(key) for key in expected} == pytest.approx(expected)
    absent = ("memory_failcnt", "memory_max_usage_bytes", "cpu_cfs_periods_total")
    assert not [key for key in found if key[0] in absent]


def test_without_the_memory_controller() -> None:
    """As a Raspberry Pi's Engine answers."""
    assert not [key for key in told({**V2, "memory_stats": {}}) if key[0].startswith("memory")]


def test_a_container_that_has_ended() -> None:
    ended = {**V1, "cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}
    assert parse_stats(ended, str) is None


@pytest.mark.parametrize(
    "answer", [None, [], 7, "x", {}, {"cpu_stats": None}, {"cpu_stats": {"cpu_usage": []}}]
)
def test_no_answer(answer: object) -> None:
    assert parse_stats(answer, str) is None


@pytest.mark.parametrize(
    "rubbish", [None, [], {}, "x", -1, 1.5, True, 2**64, [None], [[]], {"a": 1}]
)
@pytest.mark.parametrize("place", ["memory_stats", "networks", "blkio_stats", "pids_stats"])
def test_rubbish_costs_its_own_series(place: str, rubbish: object) -> None:
    found = told({**V1, place: rubbish})
    assert found["cpu_user_seconds_total",] == 1.0
    deeper: dict[str, Any] = copy.deepcopy(V1)
    for key in deeper[place]:
        deeper[place][key] = rubbish
    assert told(deeper)["cpu_user_seconds_total",] == 1.0


def test_a_container_does_not_choose_how_many_series_it_has() -> None:
    one = V1["networks"]["eth0"]
    networks = {f"e{number}": one for number in range(1000)}
    disks = [{"major": n, "minor": 0, "op": "Read", "value": 1} for n in range(10_000)]
    many = {**V1, "networks": networks, "blkio_stats": {"io_service_bytes_recursive": disks}}
    assert len(told(many)) < 8 * MOST_INTERFACES + 1000


def test_hostile_names() -> None:
    one = V1["networks"]["eth0"]
    names = {
        **dict.fromkeys(("lo", "veth1", 'a"\n'), one),
        **{chr(0xD800 + n): one for n in range(3)},
    }
    found = told({**V1, "networks": names})
    assert {key[1] for key in found if key[0].startswith("network")} == {"?", 'a"\n'}
