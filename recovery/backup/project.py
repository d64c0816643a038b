"""Which files in COMPOSE_PROJECT_DIR make the deployment again: the compose files, and what they refer to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from target.deployment import DeployError, compose_files
from target.engine import Container
from target.settings import DeploymentSettings
from target.yaml_text import parse_yaml

ENVS = re.compile(r"\.env(\..+)?|.+\.env|\.ports\.env")
COMPOSE = re.compile(r"(docker-)?compose.*\.ya?ml")


class _Loader(yaml.SafeLoader):
    """Compose has tags of its own: !reset takes a value away, !override replaces another file's.

    Source: docs.docker.com/reference/compose-file/merge.
    """


def _tagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> object:
    if tag != "override":
        return None
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


_Loader.add_multi_constructor("!", _tagged)


@dataclass(frozen=True)
class ProjectFiles:
    files: Mapping[str, Path]
    """By the path from COMPOSE_PROJECT_DIR."""
    left_out: tuple[str, ...]
    """What is referred to and cannot be saved, as it is written there."""


def project_files(
    settings: DeploymentSettings, containers: Sequence[Container] = ()
) -> ProjectFiles:
    """The compose files in force, the others beside them, and what holds their variables.

    It takes no ``docker compose``: where that is missing or refuses its files they are wanted all the more.
    """
    folder = settings.compose_project_dir.absolute()
    try:
        in_force = compose_files(settings, containers)
    except DeployError:
        in_force = ()
    found: dict[str, Path] = {}
    for file in in_force:
        inside = file.is_relative_to(folder)
        found.setdefault(str(file.relative_to(folder)) if inside else file.name, file)
    for path in sorted(_files(folder)):
        if ENVS.fullmatch(path.name) or COMPOSE.fullmatch(path.name):
            found.setdefault(path.name, path)
    base = in_force[0].parent if in_force else folder
    left_out = []
    for word in dict.fromkeys(w for file in in_force for w in _referred(file)):
        path = Path(os.path.normpath(base / word))
        if "$" in word or word.startswith("~") or not path.is_relative_to(folder):
            left_out.append(word)
        elif _is_file(path):
            found.setdefault(str(path.relative_to(folder)), path)
    return ProjectFiles(found, tuple(left_out))


def references(said: object) -> Iterator[str]:
    """The paths of files that a compose file, as it was parsed, cannot do without. Pure.

    Source: docs.docker.com/reference/compose-file: env_file, extends, include, and the top-level configs and secrets.
    """
    if not isinstance(said, Mapping):
        return
    for service in _values(said.get("services")):
        yield from _paths(service.get("env_file"), "path")
        yield from _paths(service.get("extends"), "file", plain=False)
    yield from _paths(said.get("include"), "path", "env_file")
    for kind in ("configs", "secrets"):
        for one in _values(said.get(kind)):
            yield from _paths(one, "file")


def _referred(file: Path) -> list[str]:
    """Of one that cannot be read or parsed: nothing; it is saved as it is."""
    try:
        return list(references(parse_yaml(file.read_bytes(), _Loader)))
    except (OSError, ValueError, RecursionError):
        return []


def _paths(value: Any, *names: str, plain: bool = True) -> Iterator[str]:
    """A path, a mapping that has some under ``names``, or a list of these."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and plain:
            yield one
        elif isinstance(one, Mapping):
            for name in names:
                yield from _paths(one.get(name))


def _values(value: Any) -> Iterable[Mapping[str, Any]]:
    return (
        [v for v in value.values() if isinstance(v, Mapping)] if isinstance(value, Mapping) else []
    )


def _is_file(path: Path) -> bool:
    """One that may not be looked at is said when it is to be copied."""
    try:
        return path.is_file()
    except PermissionError:
        return True


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []
