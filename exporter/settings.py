"""The exporter's own settings, beside those of the deployment it watches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from target.durations import Duration, parse_duration
from target.settings import AbsolutePath, Address, DeploymentSettings, HostSettings


def _interval(value: object) -> object:
    if value < parse_duration("1s"):  # type: ignore[operator]
        raise ValueError("allowed: 1s and longer")
    return value


class ExporterSettings(DeploymentSettings, HostSettings):
    """What the exporter reads and where it answers."""

    exporter_listen: Address = "127.0.0.1:10980"
    health_check_interval: Annotated[Duration, AfterValidator(_interval)] = parse_duration("30s")
    cgroup_root: AbsolutePath = Path("/sys/fs/cgroup")
    log_source: Literal["auto", "engine"] = "auto"
