"""The images of docker-compose.monitoring.yml, made here under the names that the file has.

Our own by our own Dockerfile. Prometheus and Alertmanager are Debian's real ones in upstream's layout: path,
user, volume, wget for the health check. Grafana and the socket proxy cannot be had: stand-ins, labelled so.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.real import debian
from tests.real.daemons import SUITE, binaries
from tests.real.engine import DockerEngine
from tests.real.images import python_base

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.monitoring.yml"
STANDINS = ROOT / "tests" / "standins"
_STANDIN = ("LABEL sermon-monitor.tests.stand-in=true", "STOPSIGNAL SIGKILL")
"""Whoever meets one knows it. Python as the first process of a container does not hear SIGTERM."""
OURS, PROXY = "sermon-monitor", "wollomatic/socket-proxy"


@dataclass(frozen=True)
class _Recipe:
    """``files``: what is copied, by its name inside. ``lines`` follow the copies."""

    files: dict[str, Path]
    lines: tuple[str, ...]


def shipped(repository: str) -> str:
    """The image of ``repository`` with the tag that the compose file has."""
    services = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"].values()
    (found,) = {one["image"] for one in services if one["image"].startswith(f"{repository}:")}
    return str(found)


def monitor_image(engine: DockerEngine, *, extras: bool = False) -> str:
    """Build our own image as the compose file names it; its id."""
    python_base(engine)
    words = ("--build-arg", "EXTRAS=true") if extras else ()
    tag = shipped(OURS)
    # As is said at python_base: the engine's networks do not reach the world.
    engine.docker("build", "--network", "host", *words, "-t", tag, ROOT, timeout=600)
    return str(engine.client.images.get(tag).id)


def stack_images(engine: DockerEngine) -> None:
    """All the others. Raises DebianError where a package cannot be had."""
    base = python_base(engine)
    for repository, recipe in _recipes().items():
        with tempfile.TemporaryDirectory() as context:
            for name, path in recipe.files.items():
                inside = Path(context) / name.lstrip("/")
                inside.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, inside)
            text = "\n".join([f"FROM {base}", "COPY . /", *recipe.lines])
            (Path(context) / "Dockerfile").write_text(f"{text}\n")
            engine.docker("build", "-q", "-t", shipped(repository), context, timeout=300)


def _recipes() -> dict[str, _Recipe]:
    real = binaries()
    busybox = debian.unpack("bookworm", "busybox-static") / "bin" / "busybox"
    templates = debian.unpack(SUITE, "prometheus-alertmanager") / "usr/share/prometheus"
    return {
        "prom/prometheus": _Recipe(
            {"/bin/prometheus": real.prometheus, "/bin/wget": busybox},
            (*_owned("/prometheus", 65534), 'ENTRYPOINT ["/bin/prometheus"]'),
        ),
        "prom/alertmanager": _Recipe(
            {
                "/bin/alertmanager": real.prometheus.with_name("prometheus-alertmanager"),
                "/bin/wget": busybox,
                # Debian's build reads from there what upstream's has built in.
                **{
                    f"/usr/share/prometheus/{path.relative_to(templates)}": path
                    for path in templates.glob("alertmanager/*.tmpl")
                },
            },
            (*_owned("/alertmanager", 65534), 'ENTRYPOINT ["/bin/alertmanager"]'),
        ),
        "grafana/grafana": _Recipe(
            {"/grafana.py": STANDINS / "grafana.py", "/bin/wget": busybox},
            (
                *_STANDIN,
                *_owned("/var/lib/grafana", 472),
                'ENTRYPOINT ["python", "/grafana.py"]',
            ),
        ),
        PROXY: _Recipe(
            {"/proxy.py": STANDINS / "socket_proxy.py"},
            (
                *_STANDIN,
                r"""RUN printf '#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/2375\n' >/healthcheck && chmod 755 /healthcheck""",
                'ENTRYPOINT ["python", "/proxy.py"]',
            ),
        ),
    }


def _owned(directory: str, uid: int) -> tuple[str, ...]:
    """A volume at ``directory`` of ``uid``, which is who runs."""
    return (
        f"RUN install -d -o {uid} -g {uid} {directory}",
        f"USER {uid}:{uid}",
        f"VOLUME {directory}",
        f"WORKDIR {directory}",
    )
