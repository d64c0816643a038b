"""TLS, client certificates and passwords for our listeners, in Prometheus' own form: WEB_CONFIG_FILE.

Source: github.com/prometheus/exporter-toolkit, docs/web-configuration.md. What is asked for and cannot be
given stops the start in words: nobody shall believe to be protected by a line that nothing reads.
"""

from __future__ import annotations

import re
import ssl
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from target.yaml_text import YamlError, parse_yaml

MOST_BYTES = 64 * 1024
LOOK_AGAIN_SECONDS = 1.0
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_ASKED = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
Version = Literal["TLS12", "TLS13"]
log = structlog.get_logger("serve")


class WebConfigError(Exception):
    """The file, or one that it names, cannot be used. The words have no secret."""


def _bcrypt_hash(value: str) -> str:
    if not re.fullmatch(r"\$2[aby]\$(0[4-9]|1[0-7])\$[./A-Za-z0-9]{53}", value):
        raise ValueError(
            "allowed: a bcrypt hash with a cost up to 17, as htpasswd -nBC 10 makes it"
        )
    return value


class TlsServerConfig(BaseModel):
    """Paths count from the directory of the web configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cert_file: str = Field(min_length=1)
    key_file: str = Field(min_length=1)
    client_auth_type: Literal[
        "NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"
    ] = "NoClientCert"
    client_ca_file: str = ""
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    prefer_server_cipher_suites: Literal[True] = True


class WebConfig(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tls_server_config: TlsServerConfig | None = None
    basic_auth_users: dict[str, Annotated[str, AfterValidator(_bcrypt_hash)]] = Field(
        default={}, repr=False
    )


def read_web_config(path: Path) -> WebConfig:
    """Raises WebConfigError with every line that is wrong."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise WebConfigError(f"{path}: longer than {MOST_BYTES} bytes")
        found = parse_yaml(text)
        return WebConfig.model_validate({} if found is None else found)
    except OSError as error:
        raise WebConfigError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise WebConfigError(f"{path}: {'; '.join(map(_words, error.errors()))}") from None
    except YamlError:  # its words would show the file's text
        raise WebConfigError(f"{path}: not YAML") from None


def _words(error: Any) -> str:
    where = ".".join(map(str, error["loc"])) or "the file"
    if error["type"] == "extra_forbidden":
        return f"{where}: not supported here"
    if error["type"] == "literal_error":
        return f"{where}: allowed: {error['ctx']['expected']}"
    return f"{where}: {str(error['msg']).removeprefix('Value error, ')}"


def tls_context(config: TlsServerConfig, directory: Path) -> ssl.SSLContext:
    """Raises WebConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    context.maximum_version = _VERSIONS[config.max_version]
    certificate, key = directory / config.cert_file, directory / config.key_file
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise WebConfigError(f"{certificate}, {key}: {_why(error)}") from error
    context.verify_mode = _ASKED[config.client_auth_type]
    if context.verify_mode == ssl.CERT_NONE:
        return context
    if not config.client_ca_file:
        raise WebConfigError(f"client_auth_type {config.client_auth_type} needs a client_ca_file")
    authorities = directory / config.client_ca_file
    try:
        context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise WebConfigError(f"{authorities}: {_why(error)}") from error
    return context


def _no_password() -> str:
    """Otherwise OpenSSL would ask for one at a terminal."""
    raise ValueError("the key is encrypted: allowed: one without a password")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "not PEM").replace("_", " ").lower()
        return f"no certificate and key that fit: {reason}"
    return getattr(error, "strerror", None) or str(error)


class WebConfiguration:
    """What is in force for each new connection and request; read anew when a file has changed, as a renewal does it.

    What cannot be used then is said, and what was in force stays.
    """

    def __init__(self, path: Path) -> None:
        """Raises WebConfigError."""
        self._path = path
        self._looked_at = time.monotonic()
        self.config = read_web_config(path)
        self._state = self._files()
        self._context = self._made(self.config)

    @property
    def wanted(self) -> bool:
        """Whether there is to be TLS at all; a restart alone changes that."""
        return self.config.tls_server_config is not None

    def users(self) -> dict[str, str]:
        """Names and bcrypt hashes."""
        self._look()
        return self.config.basic_auth_users

    def context(self) -> ssl.SSLContext:
        """For the next handshake. Raises WebConfigError where there is to be none: see ``wanted``."""
        self._look()
        if self._context is None:
            raise WebConfigError(f"{self._path}: no tls_server_config")
        return self._context

    def _look(self) -> None:
        if time.monotonic() - self._looked_at < LOOK_AGAIN_SECONDS:
            return
        self._looked_at = time.monotonic()
        state = self._files()
        if state == self._state:
            return
        self._state = state
        try:
            config = read_web_config(self._path)
            context = self._made(config)
        except WebConfigError as error:
            log.error("the web configuration stays as it was", problem=str(error))
            return
        if (context is not None) != self.wanted:
            words = "TLS is switched on or off by a restart alone"
            log.error("the web configuration stays as it was", problem=words)
        else:
            self.config, self._context = config, context
            log.info("the web configuration was read anew", path=str(self._path))

    def _made(self, config: WebConfig) -> ssl.SSLContext | None:
        if config.tls_server_config is None:
            return None
        return tls_context(config.tls_server_config, self._path.parent)

    def _files(self) -> tuple[tuple[str, int, int], ...]:
        """Of every file that counts: another one after each change. One that is missing counts too."""
        tls = self.config.tls_server_config
        names = [tls.cert_file, tls.key_file, tls.client_ca_file] if tls else []
        paths = [self._path, *(self._path.parent / name for name in names if name)]
        return tuple((str(path), *_stamp(path)) for path in paths)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        seen = path.stat()
    except OSError:
        return 0, 0
    return seen.st_ino, seen.st_mtime_ns
