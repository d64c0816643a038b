"""What the receiver needs to know, beside where the deployment is."""

from __future__ import annotations

import importlib.util
import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from receiver.store.postgres.server import SCHEMA, SCHEMES, Server, installed
from receiver.store.trouble import StoreError
from receiver.webhook_url import validate_webhook_url
from target.durations import Duration, parse_duration
from target.rules import Thresholds
from target.settings import (
    Address,
    DeploymentSettings,
    HostSettings,
    HttpUrl,
    Names,
    is_loopback,
    names_a_host,
)
from target.times import parse_rfc3339


def _repository(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}", value):
        raise ValueError("allowed: OWNER/NAME")
    return value


def _token(value: SecretStr) -> SecretStr:
    """What an Authorization header can carry."""
    if not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
        raise ValueError("allowed: printable ASCII characters without a space")
    return value


def _webhook_secret(value: SecretStr) -> SecretStr:
    """GitHub signs with it; a short one could be found by trying."""
    if len(value.get_secret_value()) < 16:
        raise ValueError("allowed: 16 characters and more")
    return value


def _moment(value: object) -> object:
    """A day (its beginning, UTC) or a time."""
    if not isinstance(value, str):
        return value
    try:
        return parse_rfc3339(f"{value}T00:00:00Z" if re.fullmatch(r"[\d-]{10}", value) else value)
    except ValueError as error:
        raise ValueError(
            "allowed: a day like 2026-12-31, or a time like 2026-12-31T10:00:00Z"
        ) from error


def _mention(value: str) -> str:
    if not re.fullmatch(r"<@[&!]?\d{1,20}>|@here", value):
        raise ValueError("allowed: <@&ROLE_ID>, <@USER_ID> or @here")
    return value


def _discord(value: SecretStr) -> SecretStr:
    validate_webhook_url(value.get_secret_value())
    return value


def _heartbeat(value: SecretStr) -> SecretStr:
    """Whatever a service for such signs gives out; its path or its query is the secret."""
    url = value.get_secret_value()
    form = r"https?://[^\s/?#@]+(/[^\s?#@]*)?(\?[^\s#]*)?"
    if not re.fullmatch(form, url) or not names_a_host(url):
        raise ValueError("allowed: http://HOST[:PORT][/PATH][?QUERY] or https://…, without a user")
    return value


def _watchdog(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise ValueError("allowed: 1s and longer")
    return value


def _fallback(value: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= value <= timedelta(days=1):
        raise ValueError("allowed: 1m to 1d")
    return value


def _image_age(value: timedelta) -> timedelta:
    if value < timedelta(days=1):
        raise ValueError("allowed: 1d and longer")
    return value


def _retention(value: timedelta) -> timedelta:
    if value < timedelta(days=7):
        raise ValueError("allowed: 7d and longer")
    return value


def _approval(value: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= value <= timedelta(days=7):
        raise ValueError("allowed: 1m to 7d")
    return value


def _database(value: SecretStr) -> SecretStr:
    """The whole may be shown nowhere: that of a PostgreSQL has a password in it."""
    url = value.get_secret_value()
    if url.partition("://")[0] in SCHEMES:
        _server(url)
    elif not url.startswith("sqlite:///") or len(url) == len("sqlite:///"):
        raise ValueError(
            "allowed: sqlite:///PATH (four slashes for an absolute path), or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
    return value


def _server(url: str) -> None:
    if not installed():
        raise ValueError(
            'PostgreSQL needs an extra: pip install "sermon-monitor[postgres]"; in the compose stack: EXTRAS=true'
        )
    try:
        parts = urlsplit(url)
        named = len(parts.path) > 1 and parts.port != 0
    except ValueError:
        named = False
    if not named:
        raise ValueError("allowed: postgresql://USER:PASSWORD@HOST:PORT/DATABASE")


def _zone(value: str) -> str:
    try:
        zone_of(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
        raise ValueError(
            "allowed: the name of a time zone, for instance Europe/Berlin"
        ) from problem
    return value


def zone_of(name: str) -> tzinfo:
    """Raises ZoneInfoNotFoundError, ValueError, OSError."""
    return UTC if name == "UTC" else ZoneInfo(name)


def _time_of_day(value: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|off", value):
        raise ValueError("allowed: HH:MM, or off")
    return value


def _networks(value: object) -> object:
    """Addresses and networks, by comma or space."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(ip_network(one) for one in re.split(r"[,\s]+", value) if one)
    except ValueError as error:
        raise ValueError(
            "allowed: addresses or networks, like 10.0.0.5 or 172.18.0.0/16"
        ) from error


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
Token = Annotated[SecretStr, AfterValidator(_token)]


class ReceiverSettings(DeploymentSettings, HostSettings, Thresholds):
    """Credentials, budgets and switches of what is told and done."""

    receiver_listen: Address = "127.0.0.1:5001"
    database_url: Annotated[SecretStr, AfterValidator(_database)] | None = None
    database_schema: str = Field(SCHEMA, pattern=r"^[a-z_][a-z0-9_]{0,47}$")
    retention: Annotated[Duration, AfterValidator(_retention)] = parse_duration("365d")
    policy_file: Path | None = None
    deployments_file: Path | None = None
    webhook_token: Token | None = None
    board_token: Token | None = None
    board_user_header: str = Field("", pattern=r"^([A-Za-z][A-Za-z0-9-]{0,63})?$")
    board_proxies: Networks = (IPv4Network("127.0.0.1/32"), IPv6Network("::1/128"))
    max_body_bytes: int = Field(1024 * 1024, ge=1024, le=64 * 1024 * 1024)

    discord_webhook_url: Annotated[SecretStr, AfterValidator(_discord)] | None = None
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    digest_at: Annotated[str, AfterValidator(_time_of_day)] = "09:00"
    discord_mention: Annotated[str, AfterValidator(_mention)] | None = None
    contacts: str = Field("", max_length=1000)
    fallback_urls: SecretStr | None = None
    fallback_after: Annotated[Duration, AfterValidator(_fallback)] = parse_duration("10m")
    public_url: HttpUrl | None = None

    github_token: Token | None = None
    github_repo: Annotated[str, AfterValidator(_repository)] | None = None
    github_api_url: HttpUrl = "https://api.github.com"
    github_webhook_secret: Annotated[SecretStr, AfterValidator(_webhook_secret)] | None = None
    github_token_expires: Annotated[datetime | None, BeforeValidator(_moment)] = None
    deploy_workflows: Names = ("self-hosted-deploy.yml",)
    rollback_workflow: str = Field("rollback.yml", pattern=r"^[\w.-]+\.ya?ml$")
    rollback_ref: str = Field("main", pattern=r"^\w[\w./-]*$")

    own_host: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,64}$")
    alertmanager_url: HttpUrl | None = None
    prometheus_url: HttpUrl | None = None
    grafana_url: HttpUrl | None = None
    watchdog_timeout: Annotated[Duration, AfterValidator(_watchdog)] = parse_duration("5m")
    heartbeat_url: Annotated[SecretStr, AfterValidator(_heartbeat)] | None = None

    auto_rollback_enabled: bool = True
    rollback_on_health_failure: bool = True
    rollback_on_performance_degradation: bool = True
    rollback_on_resource_exhaustion: bool = True
    emergency_stop_on_critical: bool = True
    dry_run: bool = False
    flap_window: Duration = parse_duration("10m")
    cooldown: Duration = parse_duration("30m")
    cleanup_images_after: Annotated[Duration, AfterValidator(_image_age)] = parse_duration("30d")
    approval_ttl: Annotated[Duration, AfterValidator(_approval)] = parse_duration("12h")
    max_rollbacks_per_day: int = Field(3, ge=0, le=100)
    max_restarts_per_hour: int = Field(3, ge=0, le=100)

    @model_validator(mode="after")
    def _combinations(self) -> ReceiverSettings:
        if not is_loopback(self.receiver_listen) and not (self.webhook_token and self.board_token):
            raise ValueError(
                f"RECEIVER_LISTEN={self.receiver_listen} is not loopback: WEBHOOK_TOKEN and BOARD_TOKEN are needed"
                " (sermon-monitor secrets init DIR makes them)"
            )
        if self.fallbacks and importlib.util.find_spec("apprise") is None:
            raise ValueError(
                'FALLBACK_URLS needs an extra: pip install "sermon-monitor[elsewhere]"; in the compose stack: EXTRAS=true'
            )
        if self.github_token and not self.github_repo:
            raise ValueError(
                "GITHUB_TOKEN is set without GITHUB_REPO: allowed: OWNER/NAME of the application"
            )
        return self

    @property
    def fallbacks(self) -> tuple[SecretStr, ...]:
        """FALLBACK_URLS, one by one."""
        text = self.fallback_urls.get_secret_value() if self.fallback_urls else ""
        return tuple(SecretStr(url) for url in text.split())

    @property
    def zone(self) -> tzinfo:
        """TIMEZONE."""
        return zone_of(self.timezone)

    @property
    def digest_time(self) -> time | None:
        """DIGEST_AT; None for no digest."""
        return None if self.digest_at == "off" else time.fromisoformat(self.digest_at)

    @property
    def server(self) -> Server | None:
        """The PostgreSQL of DATABASE_URL; None where the store is a file."""
        url = self.database_url
        named = url is not None and not url.get_secret_value().startswith("sqlite:")
        return Server(url, self.database_schema) if url is not None and named else None

    @property
    def database_path(self) -> Path:
        """The store's file. Raises StoreError where it is in PostgreSQL."""
        if self.server is not None:
            raise StoreError(f"the store is no file: it is in {self.server}")
        if self.database_url is None:
            return self.state_dir / "receiver.sqlite3"
        return Path(self.database_url.get_secret_value().removeprefix("sqlite:///"))

    @property
    def store(self) -> Path | Server:
        """Wherever it is."""
        return self.server or self.database_path
