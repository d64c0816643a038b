"""The exposition of containers, from the files of a machine: golden, and what changes with them.

``UPDATE_GOLDEN=1 pytest tests/unit/test_container_text.py`` writes the golden files anew; read them as a diff.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from exporter.cgroups import Tree
from exporter.collectors.containers import ContainersText
from exporter.container_usage import Fallback, Told, UsageReader
from exporter.context import ContainerLabels
from exporter.devices import Devices, parse_partitions
from exporter.exposition import Samples, render
from target.engine import Container
from tests.unit.test_cgroup_reader import CONTAINER, v1, v2
from tests.unit.test_cgroups import ID, write

GOLDEN = Path(__file__).parent / "golden"
OTHER = "f" * 64
STOPPED = replace(
    CONTAINER,
    id="0" * 64,
    name='stopped 100%"\\',
    state="exited",
    pid=0,
    exit_code=137,
    started_at=None,
    health=None,
)
NOW = 1_772_874_000


def other(version: Callable[..., dict[str, bytes]]) -> dict[str, bytes]:
    """A second container with the same figures, without a quota."""
    path = f"docker/{OTHER}" if version is v1 else f"system.slice/docker-{OTHER}.scope"
    files = version(path, 43)
    unlimited = {name: b"-1\n" for name in files if name.endswith("cfs_quota_us")}
    return {**files, **unlimited, **{n: b"max 100000\n" for n in files if n.endswith("cpu.max")}}


class Scrapes:
    """Scrapes of a tree below ``root``, of changing containers."""

    def __init__(self, root: Path, fallback: Fallback = lambda _: None) -> None:
        self.reader = UsageReader(
            Tree(root / "cgroup", root / "proc"),
            ContainerLabels(),
            Devices(root / "proc"),
            fallback,
        )
        self.text = ContainersText()
        self.told = Told()

    def samples(
        self, containers: Sequence[Container], changed: Sequence[str] = ()
    ) -> list[Samples]:
        self.told = self.reader.read(tuple(containers), changed)
        restarts = {one.name: 1 for one in containers}
        kills = [2] * len(containers)
        return self.text.write(self.reader.watched, self.told, restarts, kills, NOW)

    def body(self, containers: Sequence[Container]) -> str:
        return render(self.samples(containers), "")[0].decode()

    def of(self, container: Container, family: str, *others: Container) -> list[float]:
        families = text_string_to_metric_families(self.body([container, *others]))
        return [
            sample.value
            for metric in families
            for sample in metric.samples
            if sample.name == family and sample.labels["name"] == container.name
        ]


@pytest.mark.parametrize("version", [v1, v2])
def test_golden(tmp_path: Path, version: Callable[..., dict[str, bytes]]) -> None:
    write(tmp_path, {**other(version), **version()})
    second = replace(CONTAINER, id=OTHER, name="other", pid=43, health="starting")
    scrapes = Scrapes(tmp_path)
    containers = [CONTAINER, second, STOPPED]
    body = scrapes.body(containers)
    file = GOLDEN / f"containers_{version.__name__}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(body)
    assert body == file.read_text()
    assert scrapes.body(containers) == body
    families = list(text_string_to_metric_families(body))
    assert len({family.name for family in families}) == len(families)
    text = render(scrapes.samples(containers), "application/openmetrics-text; version=1.0.0")[0]
    assert list(openmetrics_families(text.decode()))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("version", [v1, v2])
def test_families_of_cadvisor_are_there(
    tmp_path: Path, version: Callable[..., dict[str, bytes]]
) -> None:
    write(tmp_path, version())
    scrapes = Scrapes(tmp_path)
    lines = [line for line in scrapes.body([CONTAINER]).splitlines() if not line.startswith("#")]
    assert len(lines) >= 30
    assert all(f'image="{CONTAINER.image}",name="{CONTAINER.name}"' in line for line in lines if "restarts" not in line)  # fmt: skip


def test_nothing_is_written_anew_while_nothing_changes(tmp_path: Path) -> None:
    write(tmp_path, v2())
    scrapes = Scrapes(tmp_path)
    first, second = (scrapes.samples([CONTAINER, STOPPED]) for _ in range(2))
    same = {one.family.name for one, two in zip(first, second, strict=True) if one.lines is two.lines}  # fmt: skip
    assert {"container_state", "container_spec_memory_limit_bytes"} <= same
    changed = replace(CONTAINER, health="unhealthy")
    assert scrapes.of(changed, "container_health_state") == [0]
    assert scrapes.of(changed, "container_memory_rss") == [81_920]


@pytest.mark.parametrize(
    ("health", "state", "statuses"),
    [
        ("starting", 0, [1, 0, 0, 0]),
        ("healthy", 1, [0, 1, 0, 0]),
        ("unhealthy", 0, [0, 0, 1, 0]),
        (None, -1, [0, 0, 0, 1]),
    ],
)
def test_health(tmp_path: Path, health: str | None, state: int, statuses: list[int]) -> None:
    scrapes = Scrapes(tmp_path)
    one = replace(CONTAINER, health=health)
    assert scrapes.of(one, "container_health_state") == [state]
    assert scrapes.of(one, "container_health_status") == statuses


def test_a_container_that_is_gone_has_no_usage_and_spoils_no_other(tmp_path: Path) -> None:
    write(tmp_path, {**other(v2), **v2()})
    second = replace(CONTAINER, id=OTHER, name="other", pid=43)
    scrapes = Scrapes(tmp_path)
    assert scrapes.of(CONTAINER, "container_memory_rss", second) == [81_920]
    shutil.rmtree(tmp_path / f"cgroup/system.slice/docker-{ID}.scope")
    shutil.rmtree(tmp_path / "proc/42")
    scrapes.reader.watched[
        0
    ].close()  # a plain file's descriptor goes on to answer, a group's does not
    assert scrapes.of(CONTAINER, "container_memory_rss", second) == []
    assert scrapes.told.unreadable == {"path": 0, "missing": 0, "process": 1}
    assert scrapes.of(CONTAINER, "container_last_seen", second) == []
    assert scrapes.of(CONTAINER, "container_exit_code", second) == [0]
    assert scrapes.of(second, "container_memory_rss", CONTAINER) == [81_920]
    assert scrapes.of(second, "container_memory_rss") == [81_920]


def test_a_restart_is_another_process_in_another_group(tmp_path: Path) -> None:
    write(tmp_path, v2())
    scrapes = Scrapes(tmp_path)
    assert scrapes.of(CONTAINER, "container_network_receive_bytes_total") == [1086]
    path = f"system.slice/docker-{ID}.scope"
    moved = {**v2(path, 44), "proc/44/net/dev": b"a\nb\n"}
    write(tmp_path, {**moved, f"cgroup/{path}/memory.current": b"20000\n"})
    again = replace(CONTAINER, pid=44)
    assert scrapes.of(again, "container_network_receive_bytes_total") == []
    assert scrapes.of(again, "container_memory_usage_bytes") == [20_000]


def test_an_update_changes_the_limits(tmp_path: Path) -> None:
    write(tmp_path, v2())
    scrapes = Scrapes(tmp_path)
    name = "container_spec_memory_limit_bytes"
    assert scrapes.of(CONTAINER, name) == [536_870_912]
    limit = f"cgroup/system.slice/docker-{ID}.scope/memory.max"
    write(tmp_path, {limit: b"max\n"})
    assert scrapes.of(CONTAINER, name) == [536_870_912]
    scrapes.samples([CONTAINER], changed=[ID])
    assert scrapes.of(CONTAINER, name) == [0]


def test_a_stopped_container_keeps_its_labels(tmp_path: Path) -> None:
    write(tmp_path, v2())
    scrapes = Scrapes(tmp_path)
    scrapes.body([CONTAINER])
    ended = replace(CONTAINER, state="exited", pid=0, exit_code=3)
    body = scrapes.body([ended])
    assert f'container_exit_code{{id="/system.slice/docker-{ID}.scope"' in body
    assert "container_memory" not in body
    assert "container_start_time" not in body


@pytest.mark.parametrize("state", ["created", "restarting", "removing", "dead"])
def test_what_does_not_run_has_no_usage(tmp_path: Path, state: str) -> None:
    write(tmp_path, v2())
    scrapes = Scrapes(tmp_path)
    one = replace(CONTAINER, state=state)
    assert scrapes.of(one, "container_memory_rss") == []
    assert sum(scrapes.of(one, "container_state")) == 1


def test_without_groups_all_else_is_told(tmp_path: Path) -> None:
    scrapes = Scrapes(tmp_path)
    assert scrapes.of(CONTAINER, "container_state").count(1) == 1
    assert scrapes.of(CONTAINER, "container_restarts_total") == [1]
    assert scrapes.of(CONTAINER, "container_oom_events_total") == [2]


def test_two_containers_of_one_name_have_one_count_of_restarts(tmp_path: Path) -> None:
    scrapes = Scrapes(tmp_path)
    twin = replace(CONTAINER, id=OTHER, pid=43)
    assert scrapes.of(CONTAINER, "container_restarts_total", twin) == [1]


def test_partitions() -> None:
    content = (
        b"major minor  #blocks  name\n\n 254        0  268435456 vda\n x y\n\xff\n 8 1 5 sda1\n"
    )
    assert parse_partitions(content) == {"254:0": "/dev/vda", "8:1": "/dev/sda1"}
