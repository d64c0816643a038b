"""DEPLOYMENTS_FILE: several deployments in one process, each with settings of its own.

What an entry does not name it has of the process, but for what is of one deployment alone: where it is, and
whom it tells. Nobody's people are told, and nobody's GitHub is asked, because a line was forgotten.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exporter.settings import ExporterSettings
from receiver.hearing.sorting import Claim, Share, overlap
from receiver.paths import NAME, base
from receiver.settings import ReceiverSettings
from receiver.store.postgres.server import SCHEMA
from sermon_monitor.settings import ProcessSettings, Settings, load
from target.backup_settings import BackupSettings
from target.rules import Thresholds
from target.settings import (
    DeploymentSettings,
    HostSettings,
    Room,
    SettingsError,
    given,
    read_settings,
    text_of,
)
from target.yaml_text import YamlError, parse_yaml

MOST = 32
_LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*"


def _names(*rooms: type[Room]) -> frozenset[str]:
    return frozenset(name.upper() for room in rooms for name in room.model_fields)


_PLACES = _names(DeploymentSettings, HostSettings, BackupSettings)
OF_PROCESS = frozenset(
    {
        "RECEIVER_LISTEN",
        "WEBHOOK_TOKEN",
        "BOARD_TOKEN",
        "BOARD_USER_HEADER",
        "BOARD_PROXIES",
        "MAX_BODY_BYTES",
        "PUBLIC_URL",
        "DEPLOYMENTS_FILE",
        "LOG_DIR",
        *(_names(ExporterSettings) - _PLACES),
        *_names(ProcessSettings, Thresholds),
    }
)
"""Where the process listens, who may call, what is scraped, which thresholds Prometheus has loaded."""
COMMON_PLACES = frozenset({"APP_HEALTH_PATH", "MINIO_HEALTH_PATH", "GOOD_AFTER"})
OF_ONE = (
    (
        _PLACES
        | {
            "OWN_HOST",
            "DISCORD_WEBHOOK_URL",
            "DISCORD_MENTION",
            "CONTACTS",
            "FALLBACK_URLS",
            "HEARTBEAT_URL",
            "GITHUB_REPO",
            "GITHUB_TOKEN",
            "GITHUB_TOKEN_EXPIRES",
            "GITHUB_WEBHOOK_SECRET",
            "DATABASE_SCHEMA",
        }
    )
    - OF_PROCESS
    - COMMON_PLACES
)
"""Where one deployment is, and whom it tells: never taken over from the process."""
_SECRETS = frozenset(
    name.upper() for name, info in Settings.model_fields.items() if "SecretStr" in str(info.annotation)
)  # fmt: skip


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=rf"^{NAME}$")]
    match: dict[Annotated[str, Field(pattern=rf"^{_LABEL}$")], Annotated[str, Field(min_length=1)]] = {}  # fmt: skip
    default: bool = False
    here: bool = False
    settings: dict[str, str] = {}


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    deployments: Annotated[tuple[_Entry, ...], Field(min_length=1, max_length=MOST)]


@dataclass(frozen=True)
class Deployment:
    """One of several."""

    share: Share
    settings: Settings
    environment: Mapping[str, str]
    """What its settings were read from."""
    here: bool = False
    """It is the one of the process's own settings."""

    @property
    def name(self) -> str:
        return self.share.name


def deployments(
    settings: Settings, config: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Deployment, ...]:
    """Those of DEPLOYMENTS_FILE; none where it is unset. Raises SettingsError with one line a problem."""
    if settings.deployments_file is None:
        return ()
    environ = os.environ if environ is None else environ
    path = settings.deployments_file
    entries = _parse(text_of(path, "the file of DEPLOYMENTS_FILE"), path)
    problems = [f"{path}: {words}" for words in _wrong(entries)]
    if problems:
        raise SettingsError(problems)
    claims = tuple(Claim(one.name, one.match, one.default) for one in entries)
    of_process = given(Settings, environ, config)
    found = []
    for entry in entries:
        variables = _variables(entry, settings, of_process)
        try:
            read = read_settings(Settings, variables)
        except SettingsError as error:
            problems += [f"{path}: {entry.name}: {words}" for words in error.problems]
        else:
            share = Share(entry.name, claims)
            found.append(Deployment(share, read, variables, entry.here))
    problems += [f"{path}: {words}" for words in _shared(found)]
    if problems:
        raise SettingsError(problems)
    return tuple(found)


def named(name: str | None, config: Path | None) -> tuple[Settings, Share]:
    """The settings of one deployment, or of the process where there is no file. Raises SettingsError."""
    settings = load(config)
    every = {one.name: one for one in deployments(settings, config)}
    if not every and name is None:
        return settings, Share()
    if not every:
        raise SettingsError(
            [f"--at {name}: there is one deployment, without a name (DEPLOYMENTS_FILE is not set)"]
        )
    names = ", ".join(every)
    if name is None:
        raise SettingsError([f"which deployment? --at NAME, of: {names} (DEPLOYMENTS_FILE)"])
    if name not in every:
        raise SettingsError([f"--at {name}: there is none of that name; allowed: {names}"])
    return every[name].settings, every[name].share


def left_to_each(settings: Settings, found: Sequence[Deployment]) -> list[str]:
    """What is set for the process, and is of each deployment alone, where none is the process's own."""
    if not found or any(one.here for one in found):
        return []
    told = OF_ONE - _names(ExporterSettings, BackupSettings) - {"DATABASE_SCHEMA", "OWN_HOST"}
    names = sorted(name for name in told if getattr(settings, name.lower()))
    return [f"{name} (with DEPLOYMENTS_FILE each deployment names its own)" for name in names]


class _Loader(yaml.SafeLoader):
    """Every value as it is written, as in an environment; a key twice is refused."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value if isinstance(key.value, str)]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise yaml.YAMLError(f"{twice[0]} stands there twice (line {node.start_mark.line + 1})")
    return loader.construct_mapping(node, deep=True)


_Loader.yaml_implicit_resolvers = {}
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _parse(text: str, path: Path) -> tuple[_Entry, ...]:
    try:
        return _File.model_validate(parse_yaml(text, _Loader)).deployments
    except ValidationError as error:  # a ValueError too
        raise SettingsError([f"{path}: {_in_words(item)}" for item in error.errors()]) from error
    except YamlError as error:
        raise SettingsError([f"{path}: not YAML: {str(error)[:300]}"]) from error


def _in_words(item: Mapping[str, Any]) -> str:
    """Where and what; never the value, which may be a secret in the wrong place."""
    where = ".".join(map(str, item["loc"])) or "file"
    words = {
        "extra_forbidden": "no such key; allowed in an entry: name, match, default, here, settings",
        "missing": "is missing",
        "string_type": "allowed: text",
        "dict_type": "allowed: KEY: VALUE lines",
        "model_type": "allowed: KEY: VALUE lines",
        "tuple_type": "allowed: a list of entries, each beginning with a dash",
        "too_long": f"allowed: at most {MOST} entries",
        "too_short": "allowed: at least one entry",
        "bool_parsing": "allowed: true or false",
        "string_too_short": "allowed: the value that the label has",
        "string_pattern_mismatch": "allowed: a to z, 0 to 9 and -, at most 32, not a dash first",
    }
    if "match" in item["loc"] and item["type"] == "string_pattern_mismatch":
        return f"{where}: allowed: the name of a label"
    return f"{where}: {words.get(item['type'], item['msg'])}"


def _wrong(entries: Sequence[_Entry]) -> Iterator[str]:
    """What is wrong with the entries by themselves, and beside one another."""
    names = [one.name for one in entries]
    for name in dict.fromkeys(n for n in names if names.count(n) > 1):
        yield f"{name}: the name stands there twice"
    for what in ("default", "here"):
        those = [one.name for one in entries if getattr(one, what)]
        if len(those) > 1:
            yield f"{what}: true in {' and '.join(those)}: allowed in one entry"
    for one in entries:
        if not one.match and not one.default:
            yield f"{one.name}: match is missing: nothing would ever be its own (or default: true)"
        yield from (f"{one.name}: {words}" for words in _wrong_settings(one))
    for one, other in combinations(entries, 2):
        if overlap(Claim(one.name, one.match), Claim(other.name, other.match)):
            yield (
                f"{one.name} and {other.name}: one alert could match both; they must differ in the"
                " value of one label that both name"
            )


def _wrong_settings(entry: _Entry) -> Iterator[str]:
    known = _names(Settings)
    for key in entry.settings:
        name = key if key in known else key.removesuffix("_FILE")
        if name not in known:
            yield f"{key}: not a setting; docs/settings.md lists them"
        elif name in OF_PROCESS:
            yield f"{key}: is of the process, for all deployments alike: set it where the process has its settings"
        elif key in _SECRETS:
            yield f"{key}: a secret does not stand in this file: name a file that has it, {key}_FILE"
        elif key != name and name in entry.settings:
            yield f"{name} and {key}: allowed: one of them"
    host = entry.match.get("host")
    if host and entry.settings.get("OWN_HOST", host) != host:
        yield f"OWN_HOST: is not the host of match ({host}): nothing would ever be done"


def _variables(entry: _Entry, settings: Settings, of_process: Mapping[str, str]) -> dict[str, str]:
    """The environment that the entry's settings are read from."""
    own = {name.removesuffix("_FILE") for name in entry.settings} | set(entry.settings)
    kept = {}
    for key, value in of_process.items():
        name = key if key in _names(Settings) else key.removesuffix("_FILE")
        if name not in own and (entry.here or name not in OF_ONE):
            kept[key] = value
    return {**kept, **_defaults(entry, settings), **entry.settings}


def _defaults(entry: _Entry, settings: Settings) -> dict[str, str]:
    """What differs from the process's without being named."""
    found = {}
    if "host" in entry.match:
        found["OWN_HOST"] = entry.match["host"]
    if settings.public_url:
        found["PUBLIC_URL"] = f"{settings.public_url}{base(entry.name)}"
    if not entry.here:
        found["STATE_DIR"] = str(settings.state_dir / "at" / entry.name)
        found["MACHINE"] = "elsewhere"
        found["DATABASE_SCHEMA"] = f"{SCHEMA}_{entry.name.replace('-', '_')}"
    return found


def _shared(found: Sequence[Deployment]) -> Iterator[str]:
    """Places that two of them would share."""
    for one, other in combinations(found, 2):
        for setting, words in _common(one.settings, other.settings):
            yield f"{one.name} and {other.name}: {setting}: {words}; it must differ"


def _common(one: ReceiverSettings, other: ReceiverSettings) -> Iterator[tuple[str, str]]:
    if one.state_dir == other.state_dir:
        yield "STATE_DIR", f"both have {one.state_dir}"
    elif one.store == other.store:
        yield "DATABASE_URL", f"both have the store {one.store}"
    if one.app_url == other.app_url:
        yield "APP_URL", f"both have {one.app_url}"
    if one.minio_url == other.minio_url:
        yield "MINIO_URL", f"both have {one.minio_url}"
    names = {*one.app_service, *one.minio_service} & {*other.app_service, *other.minio_service}
    if one.docker_host == other.docker_host and names:
        where = one.docker_host or "this machine's"
        yield "DOCKER_HOST", f"both have {where}, and APP_SERVICE or MINIO_SERVICE {min(names)}"
    if one.github_repo and _workflow(one) == _workflow(other):
        yield "GITHUB_REPO", f"both have {one.github_repo} with {one.rollback_workflow}"
    if one.heartbeat_url and one.heartbeat_url == other.heartbeat_url:
        yield "HEARTBEAT_URL", "both have the same"
    same = one.prometheus_url and one.prometheus_url == other.prometheus_url
    if same and not (one.own_host and other.own_host):
        yield "PROMETHEUS_URL", "both have the same, and its numbers are told apart by host alone"


def _workflow(settings: ReceiverSettings) -> tuple[str, str, str]:
    repository = (settings.github_repo or "").lower()
    return settings.github_api_url, repository, settings.rollback_workflow
