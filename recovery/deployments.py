"""The facts that verbs decide by: the deployment's containers and what its compose files say. Pure reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recovery.ports import is_of, listening
from recovery.run import Session
from target.compose import Compose, ComposeError, Project
from target.deploy import LOCK_NAME
from target.deployment import DeployError, compose_files
from target.engine import Container, EngineError
from target.members import members
from target.roles import OUR_PROJECT, app_containers, minio_containers
from target.settings import DeploymentSettings

NO_RIGHT = "this user may not use its socket"
HANGS = "it took the question and said nothing"
_SILENCES = {
    "FileNotFoundError": "its socket is not there",
    "PermissionError": NO_RIGHT,
    "ConnectionRefusedError": "nobody listens on its socket",
    "TimeoutError": HANGS,
}


@dataclass(frozen=True)
class Facts:
    """What is there. Where something could not be asked, its problem says why."""

    settings: DeploymentSettings
    containers: tuple[Container, ...] = ()
    """Of the deployment, in the order in which they start."""
    engine_problem: str = ""
    compose: Compose | None = field(default=None, compare=False)
    project: Project | None = None
    """What the compose files mean; None where they cannot be used."""
    compose_problem: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    """The id of each image that the compose files name and that is on this machine."""

    held: Mapping[int, str] = field(default_factory=dict)
    """TCP ports of this machine that are listened on, and by whom."""

    @property
    def engine_mend(self) -> str:
        """What to type where the Engine cannot be asked."""
        return engine_mend(self.engine_problem)

    @property
    def lock(self) -> Path | None:
        """The deployment's lock file, beside its compose file."""
        return self.compose.files[-1].parent / LOCK_NAME if self.compose else None

    def app(self) -> list[Container]:
        return app_containers(self.containers, self.settings)

    def minio(self) -> list[Container]:
        """MinIO's containers: the application's where the two share one."""
        return self.app() if self.shared else minio_containers(self.containers, self.settings)

    def urls(self, container: Container) -> tuple[str, ...]:
        """Where this container's service answers for its health: none, one, or both."""
        return self.urls_of_names({container.service, container.name})

    def urls_of_names(self, names: set[str]) -> tuple[str, ...]:
        """The same for a compose service and the name that its container will have.

        App and MinIO may share a container; then neither MINIO_SERVICE's nor any other container is MinIO's.
        """
        settings, found = self.settings, []
        app = bool(names & set(settings.app_service))
        if names & set(settings.minio_service) or (app and self.shared):
            found.append(settings.minio_url + settings.minio_health_path)
        if app:
            found.append(settings.app_url + settings.app_health_path)
        return tuple(found)

    @property
    def shared(self) -> bool:
        """Whether one container is both the application and MinIO: nothing else is named as MinIO's."""
        names = set(self.settings.minio_service)
        if self.project is not None:
            services = self.project.services.values()
            return not any({s.name, s.container_name} & names for s in services)
        return bool(self.containers) and not minio_containers(self.containers, self.settings)


def gather(session: Session) -> Facts:
    """Never fails: what cannot be asked is a problem of the facts."""
    settings, engine = session.settings, session.engine
    containers: tuple[Container, ...] = ()
    engine_problem = compose_problem = ""
    session.terminal.detail(f"asking the Engine at {engine.host} for its containers")
    try:
        containers = members(engine.containers(), settings)
    except EngineError as error:
        engine_problem = engine_words(str(error))
    session.terminal.detail(f"reading the compose project in {settings.compose_project_dir}")
    compose, project = None, None
    try:
        compose = Compose(compose_files(settings, containers), settings.docker_host)
        project = compose.project()
        if project.name == OUR_PROJECT:
            compose = project = None
            compose_problem = (
                f"the compose project in {settings.compose_project_dir} is the monitor's own"
            )
    except (DeployError, ComposeError) as error:
        compose_problem = str(error)
    return Facts(
        settings=settings,
        containers=containers,
        engine_problem=engine_problem,
        compose=compose if project else None,
        project=project,
        compose_problem=compose_problem,
        images=_images(session, project) if project and not engine_problem else {},
        held=listening(),
    )


def engine_words(words: str) -> str:
    """What an EngineError says, for a person: ``the Docker Engine at … does not answer: its socket is not there``."""
    found = re.search(r"the Engine at (\S+) does not answer \((\w+)\)", words)
    if not found:
        return words
    why = _SILENCES.get(found[2], found[2])
    return f"the Docker Engine at {found[1]} does not answer: {why}"


def engine_mend(problem: str) -> str:
    """What to type where the Engine cannot be asked; ``problem`` is one of ``engine_words``."""
    if NO_RIGHT in problem:
        return "use sudo, or once: sudo usermod -aG docker $USER, and log in anew"
    if HANGS in problem:  # it runs: to start it would do nothing
        return "sudo systemctl restart docker (containers may restart with it); sudo journalctl -u docker -n 50"
    return "sudo systemctl start docker; where it does not start: sudo journalctl -u docker -n 50"


def without_engine(words: str) -> str:
    """A refusal for a person; where the Engine does not answer, with what to type."""
    told = engine_words(words)
    return words if told == words else f"{told}. First: {engine_mend(told)}"


def _images(session: Session, project: Project) -> dict[str, str]:
    found = {}
    for name in {service.image for service in project.services.values() if service.image}:
        try:
            found[name] = session.engine.image(name).id
        except EngineError as error:
            if not error.missing:
                session.terminal.detail(str(error))
    return found


def of_project(facts: Facts, container: Container) -> bool:
    """Whether compose's files speak of this container."""
    return is_of(facts.project, container)
