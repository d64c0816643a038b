"""What a collector is made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from exporter.settings import ExporterSettings
from target.discovery import Discovery
from target.engine import Container, Engine


class ContainerLabels:
    """The labels of a container's series, the same in every collector, so that dashboards can join them.

    ``id`` is the control group's path as cAdvisor has it. The containers' collector finds it while the
    container runs and it is kept after that; until then it is what Docker's cgroupfs driver would have.
    """

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self.version = 0
        """Counts the changes, for those who keep what they made of labels."""

    def found(self, container_id: str, path: str) -> None:
        """Its control group is at ``path``."""
        if self._paths.get(container_id) != path:
            self._paths[container_id] = path
            self.version += 1

    def path(self, container_id: str) -> str:
        return self._paths.get(container_id) or f"/docker/{container_id}"

    def of(self, container: Container) -> dict[str, str]:
        """id, image, name."""
        return {
            "id": self.path(container.id),
            "image": container.image,
            "name": container.name,
        }

    def keep(self, container_ids: Iterable[str]) -> None:
        """Forget all others."""
        self._paths = {one: self._paths[one] for one in container_ids if one in self._paths}


@dataclass(frozen=True)
class Context:
    """Where things are, and the one connection to the Engine that all share."""

    settings: ExporterSettings
    engine: Engine
    discovery: Discovery
    container_labels: ContainerLabels = field(default_factory=ContainerLabels)
