"""Where the deployment is, and how any room reads its settings.

Settings come from the environment and from KEY=VALUE lines in one file; the environment wins; an
empty value means unset; NAME_FILE reads NAME from a file. They are read once, at the edge.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SecretStr,
    ValidationError,
)

from target import expected_body
from target.durations import Duration, parse_duration
from target.setting_problem import setting_problem

MAX_FILE_BYTES = 64 * 1024


class SettingsError(Exception):
    """The settings cannot be used. ``problems`` has one line for each, fit to be shown."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", value) or not names_a_host(value):
        raise ValueError(
            "allowed: http://HOST[:PORT][/PATH] or https://…, without user, query or fragment"
        )
    return value.rstrip("/")


def names_a_host(url: str) -> bool:
    """Whether a URL has a host and, if any, a port that exists."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _address(value: str) -> str:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]*):(\d{1,5})", value)
    if not match or int(match[2]) > 65535:
        raise ValueError("allowed: HOST:PORT, for instance 127.0.0.1:10980")
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"/[^\s?#]*", value):
        raise ValueError("allowed: a path that begins with /, without a query")
    return value


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as problem:
        raise ValueError(f"allowed: a regular expression ({problem})") from problem
    return value


def _names(value: object) -> object:
    return tuple(filter(None, re.split(r"[,\s]+", value))) if isinstance(value, str) else value


def _are_names(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) for name in value):
        raise ValueError(
            "allowed: one or more names of letters, digits and _ . -, by comma or space"
        )
    return value


def _absolute(value: Path) -> Path:
    # Relative to what? The service, the runner and a shell each stand elsewhere.
    if not value.is_absolute():
        raise ValueError("allowed: an absolute path, one that begins with /")
    return value


def _docker_host(value: str) -> str:
    """What both the docker SDK and our own streams speak."""
    tcp = re.fullmatch(
        r"(?:tcp|https?)://(?:\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+):(\d{1,5})/?", value
    )
    unix = re.fullmatch(r"unix:///[^\s]+", value)
    if not unix and not (tcp and 0 < int(tcp[1]) <= 65535):
        raise ValueError("allowed: unix:///ABSOLUTE/PATH, tcp://HOST:PORT or http(s)://HOST:PORT")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
Address = Annotated[str, AfterValidator(_address)]
UrlPath = Annotated[str, AfterValidator(_path)]
Regex = Annotated[str, AfterValidator(_regex)]
ExpectedBody = Annotated[str, AfterValidator(expected_body.checked)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names), AfterValidator(_are_names)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
DockerHost = Annotated[str, AfterValidator(_docker_host)]


def split_address(address: str) -> tuple[str, int]:
    """``127.0.0.1:5001`` as host and port; an empty host is every interface."""
    host, _, port = address.rpartition(":")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - written so by whoever set it


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach what listens there."""
    host, _ = split_address(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


SYSTEM_STATE = Path("/var/lib/sermon-monitor")
"""The service's own (deploy/sermon-uploader-health-monitor.service)."""


def default_state_dir() -> Path:
    """``/var/lib/sermon-monitor`` where it may be written (root, our container), else the user's own state directory."""
    if os.geteuid() == 0 or os.access(SYSTEM_STATE, os.W_OK):
        return SYSTEM_STATE
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not base.is_absolute():  # to be passed over then (XDG Base Directory Specification)
        base = Path.home() / ".local" / "state"
    return base / "sermon-monitor"


class Room(BaseModel):
    """Base of every settings model: a field ``app_url`` is the variable ``APP_URL``."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, alias_generator=str.upper
    )


class DeploymentSettings(Room):
    """Where the Sermon Uploader is and what belongs to it."""

    app_url: HttpUrl = "http://127.0.0.1:8000"
    app_health_path: UrlPath = "/api/health"
    app_health_body: ExpectedBody = ""
    minio_url: HttpUrl = "http://127.0.0.1:9000"
    minio_health_path: UrlPath = "/minio/health/live"
    minio_health_body: ExpectedBody = ""
    app_containers: Regex = ".*sermon-uploader.*"
    app_service: Names = ("sermon-uploader-backend", "sermon-uploader", "backend")
    minio_service: Names = ("sermon-uploader-minio", "minio")
    compose_project_dir: AbsolutePath = Path("/opt/sermon-uploader")
    compose_file: Path | None = None
    backup_dir: AbsolutePath = Path("/opt/sermon-uploader-backups")
    docker_host: DockerHost | None = None
    state_dir: AbsolutePath = default_state_dir()
    good_after: Duration = parse_duration("15m")
    log_dir: AbsolutePath | None = None


class HostSettings(Room):
    """Where the machine's own files are seen; in a container below /host."""

    machine: Literal["here", "elsewhere"] = "here"
    proc_root: AbsolutePath = Path("/proc")
    rootfs: AbsolutePath = Path("/")


Model = TypeVar("Model", bound=Room)


def parse_settings_file(text: str, name: str = "settings file") -> dict[str, str]:
    """KEY=VALUE lines with a shell's quotes and comments, as the guide's health-monitor.conf has them.

    Nothing is expanded or run. Raises SettingsError with the number of each line that cannot be read.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as problem:
            problems.append(f"{name}:{number}: {str(problem).lower()}")
            continue
        if words[:1] == ["export"]:
            words = words[1:]
        if not words:
            continue
        key, equals, value = words[0].partition("=")
        if len(words) > 1 or not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            problems.append(
                f"{name}:{number}: allowed: KEY=VALUE, with quotes around a value that has spaces"
            )
        else:
            values[key] = value
    if problems:
        raise SettingsError(problems)
    return values


def read_settings(
    model: type[Model],
    environ: Mapping[str, str],
    config: Path | None = None,
    *,
    strict: bool = True,
) -> Model:
    """Read ``model`` from the environment and, beneath it, from the file ``config``.

    ``strict`` refuses keys of the file that ``model`` does not know; a tool
    that needs only a part of a shared file passes False. Raises SettingsError with one line a problem; no line holds a secret.
    """
    fields = {name.upper(): info for name, info in model.model_fields.items()}
    in_file = _read_file(config) if config else {}
    problems = [
        f"{key}: not a setting (in {config}); docs/settings.md lists them"
        for key in in_file
        if strict and not any(name in fields for name in (key, key.removesuffix("_FILE")))
    ]
    values: dict[str, str] = {}
    for name in fields:
        value, problem = _value(name, environ, in_file)
        if problem:
            problems.append(problem)
        elif value:
            values[name] = value
    if not problems:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            problems = [setting_problem(dict(item), fields) for item in error.errors()]
    raise SettingsError(problems)


def given(
    model: type[Room], environ: Mapping[str, str], config: Path | None = None
) -> dict[str, str]:
    """What of ``environ`` and ``config`` counts for ``model``, as NAME or NAME_FILE: an environment by itself.

    Raises SettingsError where the file cannot be read.
    """
    in_file = _read_file(config) if config else {}
    found: dict[str, str] = {}
    for name in (field.upper() for field in model.model_fields):
        keys = ((source, key) for source in (environ, in_file) for key in (name, f"{name}_FILE"))
        source, key = next(((s, k) for s, k in keys if s.get(k)), ({}, name))
        if source:
            found[key] = source[key]
    return found


def _read_file(config: Path) -> dict[str, str]:
    return parse_settings_file(text_of(config, "the settings file"), str(config))


def text_of(path: Path, what: str) -> str:
    """Of a file that a person wrote. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise SettingsError([f"{path}: {what} is larger than {MAX_FILE_BYTES} bytes"])
        text = content.decode()
    except OSError as problem:
        raise SettingsError([f"{path}: {what} cannot be read: {problem.strerror}"]) from problem
    except UnicodeDecodeError as problem:
        raise SettingsError([f"{path}: {what} is not UTF-8 text"]) from problem
    if "\0" in text:
        raise SettingsError([f"{path}: {what} is not text: there is a NUL in it"])
    return text


def _value(
    name: str, environ: Mapping[str, str], in_file: Mapping[str, str]
) -> tuple[str, str | None]:
    """The value of ``name`` (empty: unset) and what is wrong with it. The environment wins, then the file."""
    for source in (environ, in_file):
        if source.get(name):
            return source[name], None
        if path := source.get(f"{name}_FILE"):
            try:
                return text_of(Path(path), f"the file of {name}_FILE").strip(), None
            except SettingsError as error:
                return "", f"{name}_FILE: {error.problems[0]}"
    return "", None


def secret(value: SecretStr | None) -> str | None:
    """The text of a secret, at the one place that needs it."""
    return value.get_secret_value() if value else None
