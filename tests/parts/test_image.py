"""The image that the compose file runs, built for real."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.parts.test_compose import ROOT
from tests.real.engine import DockerEngine


def test_the_dockerfile_builds_anywhere() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "RUN --mount" not in text
    assert not text.startswith("# syntax")
    assert "--require-hashes" in text
    datasource = ROOT / "monitoring/grafana/provisioning/datasources/datasources.yml"
    assert (
        yaml.safe_load(datasource.read_text())["datasources"][0]["url"] == "http://prometheus:9090"
    )


@pytest.fixture(scope="module")
def image(engine: DockerEngine, python_image: str) -> str:
    assert python_image == "python:3.11-slim"
    tag = "sermon-monitor:test"
    engine.docker("build", "--network", "host", "-t", tag, ROOT, timeout=280)
    return tag


@pytest.mark.engine
def test_the_image_runs_as_nobody_special_and_read_only(engine: DockerEngine, image: str) -> None:
    hardened = ("run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL")
    assert engine.docker(*hardened, image, "--version").strip().endswith("0.1.0")
    script = (
        "import os, monitoring, target; print(os.getuid(), os.getgid(), os.stat('/secrets').st_uid)"
    )
    ids = engine.docker(*hardened, "--entrypoint", "python", image, "-c", script)
    assert ids.split() == ["10001", "10001", "10001"]
    inspected = json.loads(engine.docker("inspect", image))[0]["Config"]
    assert inspected["User"] == "10001:10001"
    assert "/healthz" in " ".join(inspected["Healthcheck"]["Test"])
