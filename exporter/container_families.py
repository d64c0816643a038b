"""The container_* metric families: names, types and labels of cAdvisor's, and ours for what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from exporter.cgroups import Usage
from target.engine import Container

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
LABELS = ("id", "image", "name")

_USAGE = {
    "container_memory_usage_bytes": "Memory in use, page cache included.",
    "container_memory_working_set_bytes": "Memory in use without inactive page cache.",
    "container_memory_rss": "Anonymous memory in bytes.",
    "container_memory_cache": "Page cache in bytes.",
    "container_spec_memory_limit_bytes": "Memory limit; 0 is none.",
}
_NETWORK = {
    f"{direction}_{name}": (f"container_network_{direction}_{metric}", f"{direction}: {text}.")
    for direction in ("receive", "transmit")
    for name, metric, text in (
        ("bytes", "bytes", "bytes"),
        ("packets", "packets", "packets"),
        ("errs", "errors", "errors"),
        ("drop", "packets_dropped", "packets dropped"),
    )
}


class Families:
    """One scrape's container families, filled container by container. ``labels`` are values of LABELS."""

    def __init__(self) -> None:
        self._states = _gauge(
            "container_state", "1 for the state that the container is in, else 0.", "state"
        )
        self._health = _gauge(
            "container_health_state",
            "Health check of a running container: 1 healthy, 0 starting or unhealthy, -1 none.",
        )
        self._exit_code = _gauge(
            "container_exit_code", "Exit code of the last run; 0 while it runs."
        )
        self._started = _gauge(
            "container_start_time_seconds", "Unix time of a running container's start."
        )
        self._seen = _gauge("container_last_seen", "Unix time when its usage was last read.")
        self._restarts = CounterMetricFamily(
            "container_restarts",
            "Times that what bears the name was started again: by policy, by hand, or recreated.",
            labels=["name"],
        )
        self._kills = _counter("container_oom_events", "Out-of-memory kills in the container.")
        self._cpu = _counter("container_cpu_usage_seconds", "CPU time consumed.", "cpu")
        self._user = _counter("container_cpu_user_seconds", "CPU time consumed in user mode.")
        self._system = _counter("container_cpu_system_seconds", "CPU time consumed in the kernel.")
        self._memory = {name: _gauge(name, text) for name, text in _USAGE.items()}
        self._network = {
            column: _counter(name, f"Network {text}", "interface")
            for column, (name, text) in _NETWORK.items()
        }
        self._names: set[str] = set()

    def state(self, labels: Sequence[str], container: Container) -> None:
        """What the inspection says."""
        for state in STATES:
            self._states.add_metric([*labels, state], float(state == container.state))
        self._exit_code.add_metric(labels, container.exit_code)
        if container.state in ("running", "paused"):
            health = {None: -1.0, "healthy": 1.0}.get(container.health, 0.0)
            self._health.add_metric(labels, health)
            if container.started_at is not None:
                self._started.add_metric(labels, container.started_at.timestamp())

    def counted(self, labels: Sequence[str], restarts: int, kills: int) -> None:
        """What this process has counted."""
        name = labels[-1]
        if name not in self._names:
            self._names.add(name)
            self._restarts.add_metric([name], restarts)
        self._kills.add_metric(labels, kills)

    def usage(self, labels: Sequence[str], usage: Usage) -> None:
        """What the control group says; nothing of memory where there is no controller."""
        self._cpu.add_metric([*labels, "total"], usage.cpu.usage)
        self._user.add_metric(labels, usage.cpu.user)
        self._system.add_metric(labels, usage.cpu.system)
        if usage.memory is not None:
            memory = usage.memory
            values = (memory.usage, memory.working_set, memory.rss, memory.cache, memory.limit)
            for family, value in zip(self._memory.values(), values, strict=True):
                family.add_metric(labels, value)

    def network(
        self, labels: Sequence[str], interfaces: Iterable[tuple[str, Mapping[str, int]]]
    ) -> None:
        """Counters of the container's own interfaces."""
        for interface, values in interfaces:
            for column, family in self._network.items():
                family.add_metric([*labels, interface], values[column])

    def seen(self, labels: Sequence[str], now: float) -> None:
        self._seen.add_metric(labels, now)

    def all(self) -> list[Metric]:
        return [
            self._states,
            self._health,
            self._exit_code,
            self._started,
            self._seen,
            self._restarts,
            self._kills,
            self._cpu,
            self._user,
            self._system,
            *self._memory.values(),
            *self._network.values(),
        ]


def _gauge(name: str, text: str, *more: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=[*LABELS, *more])


def _counter(name: str, text: str, *more: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, labels=[*LABELS, *more])
