"""Debian packages the tests need: installed with apt, or unpacked from another suite without installing.

The mirror is the one the machine's own apt sources name; none is written here.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "real"
"""Downloads that outlive a run: git-ignored, safe to delete."""
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class DebianError(Exception):
    """This machine cannot be given a package; the message says what a person can do about it."""


def missing(*packages: str) -> list[str]:
    """Those of ``packages`` that dpkg does not have installed. Raises DebianError where there is no dpkg."""
    if not shutil.which("dpkg-query"):
        raise DebianError("this is no Debian machine (no dpkg): the tests with real parts need one")
    answer = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *packages],
        capture_output=True,
        text=True,
        check=False,  # 1 means that a package is unknown, which is an answer
    )
    installed = {
        line.split()[0] for line in answer.stdout.splitlines() if line.endswith(" installed")
    }
    return [name for name in packages if name not in installed]


def install(*packages: str) -> None:
    """See that ``packages`` are installed; apt runs only when one is missing.

    Raises DebianError: with the command to type when we are not root, with apt's words when it fails.
    """
    wanted = missing(*packages)
    if not wanted:
        return
    if os.geteuid() != 0:
        raise DebianError(
            f"not installed: {', '.join(wanted)}; as root: "
            f"apt-get update && apt-get install --no-install-recommends {' '.join(wanted)}"
        )
    _update_lists()
    _apt("install", "--yes", "--no-install-recommends", *wanted)


@functools.cache
def _update_lists() -> None:
    """Once a process: the lists do not age in a run."""
    _apt("update")


def unpack(suite: str, *packages: str) -> Path:
    """Unpack (not install) ``packages`` of another Debian suite; the root of the unpacked tree.

    apt itself downloads and verifies, with state of its own, so that the machine's apt and dpkg
    stay as they are. Dependencies are not followed. What was unpacked once is not fetched again.
    Raises DebianError.
    """
    home = CACHE / suite
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:  # several processes of one run may want the same
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _unpacked(home, suite, packages)


def _unpacked(home: Path, suite: str, packages: Sequence[str]) -> Path:
    tree, done = home / "tree", home / "unpacked"
    wanted = [name for name in packages if not (done / name).exists()]
    if not wanted:
        return tree
    downloads = home / "downloads"
    for directory in (tree, done, downloads, home / "lists/partial", home / "archives/partial"):
        directory.mkdir(parents=True, exist_ok=True)
    sources = home / "sources.list"
    sources.write_text(source_line(suite) + "\n")
    apart = _private_state(home, sources)
    _apt(*apart, "update")
    _apt(*apart, "download", *wanted, cwd=downloads)
    for name in wanted:
        (archive,) = downloads.glob(f"{name}_*.deb")
        run(["dpkg-deb", "--extract", str(archive), str(tree)])
        archive.unlink()
        (done / name).touch()
    shutil.rmtree(home / "lists")
    return tree


def source_line(suite: str) -> str:
    """A line of sources.list for ``suite`` on this machine's own mirror. Raises DebianError where it has none."""
    return f"deb [signed-by={_KEYRING}] {_mirror()} {suite} main"


def _private_state(home: Path, sources: Path) -> list[str]:
    options = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": home,
        "Dir::State::Lists": home / "lists",
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": home,
        "Dir::Cache::Archives": home / "archives",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",  # the user _apt may not write below a private checkout
    }
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


def _mirror() -> str:
    """The Debian archive of the machine's own release, as apt reads its sources."""
    release = _os_release()
    listed = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(ORIGIN)",
            "Created-By: Packages",
            "Component: main",
            f"Release: {release}",
        ]
    ).splitlines()
    # A third party's repository may use the release's name too; Origin is known once its lists are here.
    own = [line for line in listed if line.endswith(" Debian")] or listed
    if not own:
        raise DebianError(f"apt's sources name no Debian archive for {release}")
    return own[0].split()[0]


def _os_release() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip('"')
    raise DebianError("/etc/os-release has no VERSION_CODENAME: is this a Debian release?")


def _apt(*arguments: str, cwd: Path | None = None) -> None:
    # One line a package: a slow mirror is seen to be at work. A lock of someone else's apt is waited for.
    settings = ("Dpkg::Use-Pty=0", "DPkg::Lock::Timeout=120", "Acquire::Retries=3")
    options = [word for setting in settings for word in ("-o", setting)]
    run(
        ["apt-get", "-q", *options, *arguments],
        cwd=cwd,
        show=True,
    )


def run(command: Sequence[str], *, cwd: Path | None = None, show: bool = False) -> str:
    """Run one of Debian's tools; its stdout, which ``show`` gives to the terminal instead. Raises DebianError."""
    if not shutil.which(command[0]):
        raise DebianError(f"this is no Debian machine (no {command[0]})")
    answer = subprocess.run(
        command,
        cwd=cwd,
        stdout=None if show else subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
    )
    if answer.returncode != 0:
        raise DebianError(f"{' '.join(command)}: {answer.stderr.strip()[-2000:]}")
    return answer.stdout or ""
