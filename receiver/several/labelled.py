"""The metrics of several deployments as those of one process: each sample with the label ``deployment``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from receiver.hearing.sorting import DEPLOYMENT


class Labelled(Collector):
    """``registries`` by deployment; what is of none, under an empty name, gets no label."""

    def __init__(self, registries: Mapping[str, CollectorRegistry]) -> None:
        self._registries = registries

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for name, registry in self._registries.items():
            more = {DEPLOYMENT: name} if name else {}
            for one in registry.collect():
                whole = families.setdefault(
                    one.name, Metric(one.name, one.documentation, one.type, one.unit)
                )
                whole.samples += [s._replace(labels={**s.labels, **more}) for s in one.samples]
        return families.values()
