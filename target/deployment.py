"""Find the deployment on this machine: its compose files, the app's service in them, what runs of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from target.compose import FILES, Compose, ComposeError, Project
from target.compose_file import ComposeFileError, ImageLine, find_image, unquoted
from target.engine import COMPOSE_PROJECT, COMPOSE_SERVICE, Container, Engine, EngineError
from target.roles import OUR_PROJECT, named
from target.settings import DeploymentSettings
from target.versions import OWN_IMAGES, repository_of

CONFIG_FILES = "com.docker.compose.project.config_files"
OVERRIDE_NAME = ".sermon-monitor.put-back.yml"
"""Lives only while a rollback is being put back; the container made then names it for ever."""


class DeployError(Exception):
    """Refused, and nothing was changed; the words say why and what mends it.

    ``may_return``: the Engine did not answer, or someone else is at work: the same may be done later.
    """

    def __init__(self, words: str, *, may_return: bool = False) -> None:
        super().__init__(words)
        self.may_return = may_return


@dataclass(frozen=True)
class Deployment:
    """The app's service, the file that names its image, and its containers as they are now."""

    compose: Compose
    project: str
    service: str
    file: Path
    """The one whose ``image:`` counts: the last that names it."""
    text: str
    image: ImageLine
    image_now: str
    """As compose understands the file now, variables filled in."""
    containers: tuple[Container, ...]
    notes: tuple[str, ...]

    @property
    def running(self) -> Container | None:
        """The container that is replaced: the running one, else a stopped one, else None."""
        return self.containers[0] if self.containers else None

    @property
    def repository(self) -> str:
        """Where the app's images come from, pin or no pin; empty where the file does not tell."""
        if not self.image_now.startswith(OWN_IMAGES):
            return repository_of(self.image_now)
        original = repository_of(unquoted(self.image.original or ""))
        return "" if "$" in original else original


def find_deployment(
    settings: DeploymentSettings, engine: Engine, service: str | None = None
) -> Deployment:
    """Everything a change needs to know beforehand; changes nothing.

    ``service`` is a compose service or a container's name; None looks for APP_SERVICE. Raises
    DeployError with words for a person.
    """
    names = (service,) if service else settings.app_service
    try:
        containers = named(engine.containers(), names)
        files = compose_files(settings, containers)
        compose = Compose(files, settings.docker_host)
        project = compose.project()
        key = _service_key(project, names, containers, files)
        file, text, image = _image_line(files, key)
    except (EngineError, ComposeError) as error:
        raise DeployError(str(error), may_return=may_return(error)) from error
    _only_the_apps(project, key, containers)
    return Deployment(
        compose=compose,
        project=project.name,
        service=key,
        file=file,
        text=text,
        image=image,
        image_now=project.services[key].image,
        containers=tuple(c for c in containers if c.labels.get(COMPOSE_SERVICE) == key),
        notes=project.warnings,
    )


def compose_files(
    settings: DeploymentSettings, containers: Sequence[Container] = ()
) -> tuple[Path, ...]:
    """COMPOSE_FILE; else what the running container was made from, where that lies in
    COMPOSE_PROJECT_DIR; else the first of compose's usual names there. Raises DeployError."""
    folder = settings.compose_project_dir
    if not _readable(folder, Path.is_dir):
        raise DeployError(
            f"COMPOSE_PROJECT_DIR={folder}: there is no such directory, or what it is in may not be read"
        )
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
        raise DeployError(f"COMPOSE_PROJECT_DIR={folder} may not be read by this user: use sudo")
    if settings.compose_file:
        files = tuple(folder / name for name in str(settings.compose_file).split(os.pathsep))
        for file in files:
            if not _readable(file, Path.is_file):
                raise DeployError(f"COMPOSE_FILE={file}: there is no such file")
        return tuple(file.absolute() for file in files)
    for container in containers:
        written = container.labels.get(CONFIG_FILES, "").split(",")
        files = tuple(Path(f) for f in written if f and not f.endswith(OVERRIDE_NAME))
        if files and all(_inside(file, folder) for file in files):
            return files
    for name in FILES:
        if _readable(folder / name, Path.is_file):
            found = (folder / name).absolute()
            extra = found.with_name(f"{found.stem}.override{found.suffix}")
            return (found, extra) if extra.is_file() else (found,)
    raise DeployError(
        f"no compose file in {folder} (looked for {', '.join(FILES)}); set COMPOSE_FILE"
    )


def may_return(error: Exception) -> bool:
    """An Engine that was not there may be back."""
    return isinstance(error, EngineError) and not error.missing


def read_compose_text(file: Path) -> str:
    """Raises DeployError. Line ends are kept as they are."""
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise DeployError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DeployError(f"{file} is not UTF-8 text") from error


def _readable(path: Path, is_it: Callable[[Path], bool]) -> bool:
    try:
        return is_it(path)
    except OSError:
        return False


def _inside(file: Path, folder: Path) -> bool:
    try:
        return file.is_file() and file.resolve().is_relative_to(folder.resolve())
    except OSError:
        return False


def _service_key(
    project: Project,
    names: Sequence[str],
    containers: Sequence[Container],
    files: Sequence[Path],
) -> str:
    """The compose service that the first fitting name means: a key, a container_name, or a running container."""
    for name in names:
        if name in project.services:
            return name
        for service in project.services.values():
            if service.container_name == name:
                return service.name
        for container in containers:
            label = container.labels.get(COMPOSE_SERVICE, "")
            if name in (container.name, label) and label in project.services:
                return label
    raise DeployError(
        f"none of {', '.join(names)} is a service of {files[-1]} "
        f"(it has {', '.join(project.services) or 'none'}); name one with --service or APP_SERVICE"
    )


def _image_line(files: Sequence[Path], service: str) -> tuple[Path, str, ImageLine]:
    problem = ComposeFileError("no file")
    for file in reversed(files):
        text = read_compose_text(file)
        try:
            return file, text, find_image(text, service)
        except ComposeFileError as error:
            problem = error
    raise DeployError(
        f"{files[-1]}: {problem}. A service that is built, or takes its image from elsewhere, "
        "cannot be pinned: give it an image: of its own"
    ) from problem


def _only_the_apps(project: Project, key: str, containers: Sequence[Container]) -> None:
    if project.name == OUR_PROJECT:
        raise DeployError(
            f"the compose project {OUR_PROJECT} is the monitor's own; it is never changed"
        )
    for container in containers:
        label = container.labels.get(COMPOSE_PROJECT)
        if label and label != project.name and container.labels.get(COMPOSE_SERVICE) == key:
            raise DeployError(
                f"the container {container.name} belongs to the compose project {label}, but these "
                f"files make {project.name}: set COMPOSE_PROJECT_DIR and COMPOSE_FILE to what it "
                "was started from, or COMPOSE_PROJECT_NAME"
            )
