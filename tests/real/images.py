"""Images made here, because the tests reach no image registry.

``python:3.11-slim`` is a look-alike: Debian bookworm's Python 3.11 with pip, imported under the usual
name, so that an ordinary Dockerfile builds from it. The app's image adds tests/standins/app.py.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from target.engine import REVISION
from tests.real import debian
from tests.real.engine import DockerEngine

PACKAGES = ("mmdebstrap", "ca-certificates")
PYTHON_BASE = "python:3.11-slim"
SYSTEMD_BASE = "debian-systemd:12"
APP_SOURCE = Path(__file__).resolve().parents[1] / "standins" / "app.py"
APP_PORT, MINIO_PORT = 8000, 9000
"""Where the app's image listens, inside."""

_SUITE = "bookworm"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_INCLUDED = (
    *("python3-minimal", "python3-pip", "ca-certificates"),
    *("base-files", "base-passwd", "passwd", "libc-bin", "dash", "bash", "coreutils"),
    *("findutils", "grep", "sed", "tar", "gzip"),
)
_OF_SLIM = ("libstdc++6",)
"""What the real image has from its apt, and compiled wheels (numpy's) need."""
_SYSTEMD = ("systemd", "systemd-sysv", "python3")
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
_FINISH = f"""set -eu; root=$1
cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
ln -s python3 "$root/usr/bin/python"
rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
cp -L {_CERTIFICATES} "$root{_CERTIFICATES}"
rm -rf "$root/etc/apt" "$root/var/lib/apt" "$root/var/cache/apt" "$root/etc/resolv.conf" "$root/etc/hostname"
"""
"""What maintainer scripts would have done, and what a machine's own setup must not leave in an image."""
_CHANGES = (
    "ENV PYTHONUNBUFFERED=1 LANG=C.UTF-8",
    f"ENV PIP_CERT={_CERTIFICATES} PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1",
    'CMD ["python3"]',
)
_HEALTH = r"""case $ROLE in minio) ask="$MINIO_PORT /minio/health/live";; *) ask="$APP_PORT /api/health";; esac
for try in {1..60}; do exec 3<>/dev/tcp/127.0.0.1/${ask% *} && break || sleep 0.2; done
printf 'GET %s HTTP/1.0\r\n\r\n' "${ask#* }" >&3 && mapfile -t answer <&3; [[ ${answer[0]} == *' 200 '* ]]"""
"""A shell asks for a tenth of what Python costs: in a long run of tests many containers are asked each second.
It waits for an application that does not listen yet: on a busy machine that takes longer than two checks."""


@dataclass(frozen=True)
class AppImage:
    """An image of the stand-in app on one engine."""

    tag: str
    revision: str
    id: str


def python_root() -> Path:
    """The root filesystem of PYTHON_BASE as a tar file, made once for a checkout.

    Raises DebianError where mmdebstrap is missing and may not be installed.
    """
    return _root(f"python-3.11-slim-{_SUITE}.tar", (*_INCLUDED, *_OF_SLIM))


def systemd_base(engine: DockerEngine) -> str:
    """See that ``engine`` has SYSTEMD_BASE; its tag. Raises DebianError as ``python_root``."""
    if not engine.client.images.list(SYSTEMD_BASE):
        root = _root(f"systemd-{_SUITE}.tar", (*_INCLUDED, *_SYSTEMD))
        changes = ("ENV container=docker", 'CMD ["/sbin/init"]')
        words = [word for change in changes for word in ("--change", change)]
        engine.docker("import", *words, root, SYSTEMD_BASE)
    return SYSTEMD_BASE


def _root(name: str, included: tuple[str, ...]) -> Path:
    made = debian.CACHE / name
    if made.exists():
        return made
    debian.install(*PACKAGES)
    if os.geteuid() != 0:
        raise debian.DebianError("making a root filesystem needs root")
    debian.CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = made.with_suffix(".unfinished.tar")
    debian.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=extract",  # unpack only: half the time and size of a configured system
            "--skip=cleanup/apt,cleanup/mmdebstrap",  # the hook cleans, more thoroughly
            f"--include={','.join(included)}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
            f'--extract-hook=sh -c {shlex.quote(_FINISH)} _ "$1"',
            _SUITE,
            str(unfinished),
            debian.source_line(_SUITE),
        ]
    )
    unfinished.rename(made)
    return made


def python_base(engine: DockerEngine) -> str:
    """See that ``engine`` has PYTHON_BASE; its tag.

    The engine's containers do not reach the world, so a ``RUN pip install`` builds with
    ``docker build --network host``; the image trusts the machine's certificates.
    """
    if not engine.client.images.list(PYTHON_BASE):
        changes = [word for change in _CHANGES for word in ("--change", change)]
        engine.docker("import", *changes, python_root(), PYTHON_BASE)
    return PYTHON_BASE


def app_image(
    engine: DockerEngine, tag: str, *, revision: str, behaviour: str = "good"
) -> AppImage:
    """Build the stand-in app as ``tag``, labelled with ``revision``, its BEHAVIOUR baked in.

    ``behaviour`` is one that tests/standins/app.py knows: good, broken, slow, crash, unhealthy, hungry or warming.
    """
    with tempfile.TemporaryDirectory() as context:
        shutil.copy(APP_SOURCE, Path(context) / "app.py")
        (Path(context) / "Dockerfile").write_text(_dockerfile(python_base(engine), behaviour))
        image, _ = engine.client.images.build(
            path=context, tag=tag, labels={REVISION: revision}, rm=True, forcerm=True
        )
    return AppImage(tag, revision, str(image.id))


def _dockerfile(base: str, behaviour: str) -> str:
    health = json.dumps(["bash", "-c", "; ".join(_HEALTH.splitlines())])
    return f"""FROM {base}
COPY app.py /app.py
ENV BEHAVIOUR={behaviour} ROLE=app APP_PORT={APP_PORT} MINIO_PORT={MINIO_PORT}
HEALTHCHECK --interval=1s --timeout=15s --retries=2 CMD {health}
CMD ["python", "/app.py"]
"""
