"""The host collector in a running exporter: with a whole /proc, with none, and by promtool's eyes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from exporter.exposition import render
from exporter.host.areas import areas
from tests.parts.exporter_kit import exporter, new_findings, success
from tests.parts.test_exporter_docs import WHOLESALE, documented, rows
from tests.real.daemons import Binaries
from tests.unit.host_tree import plant


async def test_a_hidden_proc_leaves_what_needs_none(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    async with exporter(
        tmp_path, f"unix://{tmp_path}/no.sock", PROC_ROOT=str(hidden), ROOTFS=str(hidden)
    ) as running:
        for _ in range(2):
            samples = await running.samples()
            assert success(samples, "host") == 0
            assert success(samples, "process") == 1
            assert samples["node_time_seconds",] > 0
            assert [key for key in samples if key[0] == "node_uname_info"]
            assert not [key for key in samples if key[0].startswith("node_cpu_seconds")]
            assert not [key for key in samples if key[0].startswith("node_memory_")]


async def test_what_a_kernel_may_lack_is_said_once_and_is_no_failure(tmp_path: Path) -> None:
    proc, root = plant(tmp_path)
    shutil.rmtree(proc / "pressure")
    settings = {"PROC_ROOT": str(proc), "ROOTFS": str(root)}
    with capture_logs() as logs:
        async with exporter(tmp_path, f"unix://{tmp_path}/no.sock", **settings) as running:
            for _ in range(3):
                samples = await running.samples()
                assert success(samples, "host") == 1
                assert samples["node_load1",] == 0.25
                assert ("node_pressure_cpu_waiting_seconds_total",) not in samples
    assert [entry["area"] for entry in logs if "area" in entry] == ["pressure"]


async def test_of_a_raspberry_pi_promtool_finds_nothing_new(
    tmp_path: Path, binaries: Binaries
) -> None:
    samples = [one for area in areas(*plant(tmp_path)) for one in area.read()]
    assert await new_findings(binaries, render(samples, "")[0].decode()) == []


def test_each_of_a_raspberry_pis_metrics_has_its_row(tmp_path: Path) -> None:
    samples = [one for area in areas(*plant(tmp_path)) for one in area.read()]
    table = documented()
    told = rows(text_string_to_metric_families(render(samples, "")[0].decode()))
    assert "sermon_monitor_rpi_throttled" in told
    for name, row in told.items():
        if not name.startswith(WHOLESALE):
            assert table.get(name) == row, name


@pytest.mark.parametrize("parse", [text_string_to_metric_families, openmetrics])
def test_both_formats_can_be_read_back(tmp_path: Path, parse: object) -> None:
    assert callable(parse)
    samples = [one for area in areas(*plant(tmp_path)) for one in area.read()]
    accept = "application/openmetrics-text" if parse is openmetrics else ""
    families = list(parse(render(samples, accept)[0].decode()))
    assert len(families) == len([one for one in samples if one.lines])
