"""What ``check`` asks of the kernel: control groups, their memory controller, and pressure; reads files only."""

from __future__ import annotations

from pathlib import Path

from sermon_monitor.finding import Finding
from sermon_monitor.settings import Settings

MEMORY_FLAGS = ("cgroup_enable=memory", "cgroup_memory=1")
"""Raspberry Pi kernels have the controller switched off (raspberrypi/linux issue 6980); the second is the older name."""
PRESSURE_FLAG = "psi=1"
"""Linux, Documentation/admin-guide/kernel-parameters.txt."""
COMMAND_LINES = ("boot/firmware/cmdline.txt", "boot/cmdline.txt")
"""Where a Pi's firmware takes the kernel's command line from, since Debian 12 and before (Raspberry Pi documentation, "Kernel command line")."""
COMPOSE_LINES = (
    "cgroup: host",
    "CGROUP_ROOT: /host/sys/fs/cgroup",
    "PROC_ROOT: /host/proc",
    "- /sys/fs/cgroup:/host/sys/fs/cgroup:ro",
    "- /proc:/host/proc:ro",
)
_NEEDED = (
    "docker-compose.monitoring.yml needs under services.monitor: {}; under environment: {}, {}; "
    "under volumes: {}, {}. Outside of compose: set CGROUP_ROOT to where the host's are mounted"
).format(*(f"`{one}`" for one in COMPOSE_LINES))
_MOST_BYTES = 64 * 1024


def kernel(settings: Settings) -> list[Finding]:
    """Nothing is changed; what is there already is said too."""
    return [*_control_groups(settings), *_pressure(settings)]


def _control_groups(settings: Settings) -> list[Finding]:
    root = settings.cgroup_root
    try:
        controllers = _controllers(root)
    except OSError as error:
        words = f"{root} cannot be read: {_because(error)}; no metrics of containers"
        return [Finding("problem", "control groups", words, _NEEDED)]
    if not controllers:
        words = f"{root} is not the root of the host's control groups; no metrics of containers"
        return [Finding("problem", "control groups", words, _NEEDED)]
    if _private_namespace(settings.proc_root):
        words = "our own cgroup namespace is private: where containers are shows as /.. here"
        return [Finding("problem", "control groups", words, _NEEDED)]
    if "memory" in controllers:
        return [Finding("ok", "memory controller", f"{root}: on")]
    words = f"none under {root}: no container memory metrics, limits are not enforced"
    return [Finding("note", "memory controller", words, _mend(settings, MEMORY_FLAGS))]


def _controllers(root: Path) -> set[str]:
    """cgroup v2 lists its controllers in a file, v1 has a folder for each. Empty: this is neither. Raises OSError."""
    listing = root / "cgroup.controllers"
    try:
        return {"v2", *_text(listing).split()}
    except FileNotFoundError:
        names = {
            name for entry in root.iterdir() if entry.is_dir() for name in entry.name.split(",")
        }
    # At least one of those that every container has: else it is some other folder.
    return names if names & {"cpu", "cpuacct", "cpuset", "pids", "freezer"} else set()


def _private_namespace(proc_root: Path) -> bool:
    """Seen from a namespace of its own, the host's first process is outside (cgroup_namespaces(7))."""
    try:
        lines = _text(proc_root / "1/cgroup").splitlines()
    except OSError:
        return (
            False  # it may not be ours to read; the exporter's own metrics then say what is missing
        )
    return any(line.split(":", 2)[-1].startswith("/..") for line in lines)


def _pressure(settings: Settings) -> list[Finding]:
    directory = settings.proc_root / "pressure"
    try:
        for kind in ("cpu", "memory", "io"):
            _text(directory / kind)
    except OSError as error:
        words = f"{directory}: {_because(error)}; no pressure metrics, nothing else is missing"
        return [Finding("note", "pressure", words, _mend(settings, (PRESSURE_FLAG,)))]
    return [Finding("ok", "pressure", f"{directory}: on")]


def _mend(settings: Settings, flags: tuple[str, ...]) -> str:
    """What to do, by what the kernel was started with and what it will be started with."""
    if _has(settings.proc_root / "cmdline", flags):
        return (
            f"the kernel was started with {' '.join(flags)} and has none: it needs another kernel"
        )
    there = [name for name in COMMAND_LINES if _is_command_line(settings.rootfs / name)]
    if there and _has(settings.rootfs / there[0], flags):
        return f"{' '.join(flags)} stands in /{there[0]} already: reboot"
    where = f"/{there[0]}" if there else f"/{COMMAND_LINES[0]} (older systems: /{COMMAND_LINES[1]})"
    return f"add {' '.join(flags)} to the one line of {where} and reboot"


def _is_command_line(path: Path) -> bool:
    """Since Debian 12 the older place holds a few words that point to the newer one."""
    try:
        return "root=" in _text(path)
    except OSError:
        return False


def _has(path: Path, flags: tuple[str, ...]) -> bool:
    try:
        words = _text(path).split()
    except OSError:
        return False
    return set(flags) <= set(words)


def _text(path: Path) -> str:
    """Raises OSError."""
    with path.open("rb") as file:
        return file.read(_MOST_BYTES).decode("ascii", errors="replace")


def _because(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
