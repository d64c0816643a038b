"""MinIO's objects through S3, by MinIO's own client: what is there, its content, and putting it back."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import RawIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

from recovery.backup.manifest import Bucket
from recovery.backup.sealing import FRAME
from recovery.steps import StepError
from target.backup_settings import BackupSettings
from target.settings import DeploymentSettings, SettingsError, parse_settings_file, secret

if TYPE_CHECKING:
    from minio import Minio

THREADS = 4
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 60.0
TRIES = 3
"""Of a request that got no answer."""
PARTS = tuple(mib << 20 for mib in (16, 8, 5, 10))
"""Bytes of one part of a large upload, as clients cut them; each is held in memory, THREADS times."""
EXPIRES = "expires"
"""The client would make it metadata of the user's."""
KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", EXPIRES)
CONTENT_TYPE = "content-type"
META = "x-amz-meta-"
NAMES = (("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"), ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"))
"""As the deployment's .env may call them."""
SCRATCH = "sermon-drill-"
"""Begins the name of a bucket that a drill made; it is in no backup."""
_IN_PARTS = re.compile(r"[0-9a-f]{32}-[0-9]{1,5}")
_GONE = ("NoSuchKey", "NoSuchBucket")
_NO_SUCH = ("NoSuchTagSet", "NoSuchBucketPolicy", "NotImplemented", "MethodNotAllowed")


class GoneError(StepError):
    """The object, or its bucket, was removed meanwhile."""


class ObjectRefusedError(StepError):
    """MinIO, or its client, does not take what was asked for; something else it may."""


@dataclass(frozen=True)
class Listed:
    """One object, as the listing of its bucket has it."""

    bucket: str
    key: str
    bytes: int
    etag: str
    modified: str


@dataclass(frozen=True)
class About:
    """What is known of an object beside its content."""

    bytes: int
    etag: str
    modified: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Credentials:
    url: str
    access_key: str
    secret_key: str = field(repr=False)


def credentials(settings: DeploymentSettings, own: BackupSettings, environment: str) -> Credentials:
    """Ours where they are set, else those of the deployment's .env, whose text is given. Raises StepError."""
    access, hidden = secret(own.minio_access_key), secret(own.minio_secret_key)
    if access and hidden:
        return Credentials(settings.minio_url, access, hidden)
    for user, password in NAMES:
        found = _value(environment, user), _value(environment, password)
        if all(found):
            return Credentials(settings.minio_url, *found)
    names = " or ".join(" and ".join(pair) for pair in NAMES)
    raise StepError(
        f"MinIO's access is not known: set MINIO_ACCESS_KEY and MINIO_SECRET_KEY; "
        f"{settings.compose_project_dir}/.env has neither {names}"
    )


def _value(text: str, name: str) -> str:
    """Of lines that somebody else's program reads too: what we cannot read is passed over."""
    for line in text.splitlines():
        if re.match(rf"\s*(export\s+)?{name}\s*=", line):
            with contextlib.suppress(SettingsError):
                return parse_settings_file(line).get(name, "")
    return ""


class Objects:
    """For several threads at once. What MinIO or the network refuses is a StepError in words."""

    def __init__(self, access: Credentials) -> None:
        import certifi
        import urllib3
        from minio import Minio

        from recovery.backup.wire import Wire

        # Its warnings of each retry are nobody's business: what comes of it is said in words.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._url = access.url
        parts = urlsplit(access.url)
        if parts.path:
            raise StepError(f"MINIO_URL={access.url} has a path: S3 is asked at the root of a host")
        self._wire = Wire(
            maxsize=2 * THREADS,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
            retries=urllib3.Retry(TRIES, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
            ca_certs=certifi.where(),
        )
        self._minio: Minio = Minio(
            parts.netloc,
            access.access_key,
            access.secret_key,
            secure=parts.scheme == "https",
            http_client=self._wire,
        )

    def buckets(self) -> list[Bucket]:
        with self._asking("list the buckets"):
            found = [bucket.name for bucket in self._minio.list_buckets()]
        there = list[Bucket]()
        for name in sorted(name for name in found if not name.startswith(SCRATCH)):
            with contextlib.suppress(GoneError):  # since they were listed
                there.append(self._bucket(name))
        return there

    def scratch_buckets(self) -> list[str]:
        with self._asking("list the buckets"):
            return [b.name for b in self._minio.list_buckets() if b.name.startswith(SCRATCH)]

    def listed(self, bucket: str) -> Iterator[Listed]:
        with self._asking(f"list {bucket}"):
            for one in self._minio.list_objects(bucket, recursive=True):
                modified = one.last_modified.isoformat() if one.last_modified else ""
                name = str(one.object_name)
                yield Listed(bucket, name, one.size or 0, (one.etag or "").strip('"'), modified)

    @contextlib.contextmanager
    def content(self, bucket: str, key: str) -> Iterator[tuple[About, Iterator[bytes]]]:
        """What the object is and its content, of one answer. Raises GoneError."""
        with self._asking(f"read {bucket}/{key}"):
            answer: Any = self._minio.get_object(bucket, key)
            try:
                # As it was stored: a content encoding is the business of whoever stored it.
                yield _about(answer.headers), answer.stream(FRAME, decode_content=False)
            finally:
                answer.close()
                answer.release_conn()

    def about(self, bucket: str, key: str) -> About | None:
        """None where there is no such object."""
        try:
            with self._asking(f"look at {bucket}/{key}"):
                return _about(self._minio.stat_object(bucket, key).metadata or {})
        except GoneError:
            return None

    def tags(self, bucket: str, key: str) -> dict[str, str]:
        """Raises GoneError."""
        found: dict[str, str] = {}
        with self._asking(f"read the tags of {bucket}/{key}", empty=True):
            found.update(self._minio.get_object_tags(bucket, key) or {})
        return found

    def put(
        self,
        bucket: str,
        key: str,
        content: RawIOBase,
        about: About,
        tags: Mapping[str, str],
    ) -> None:
        from minio.commonconfig import Tags

        wanted = Tags.new_object_tags()
        wanted.update(tags)
        others = (CONTENT_TYPE, EXPIRES)
        headers: dict[str, Any] = {n: v for n, v in about.headers.items() if n not in others}
        unsigned = {EXPIRES: about.headers[EXPIRES]} if EXPIRES in about.headers else {}
        with self._asking(f"write {bucket}/{key}"), self._wire.adding(unsigned):
            self._minio.put_object(
                bucket,
                key,
                cast("BinaryIO", content),
                about.bytes,
                content_type=about.headers.get(CONTENT_TYPE, "application/octet-stream"),
                metadata=headers,
                tags=wanted if tags else None,
                part_size=part_bytes(about),
                num_parallel_uploads=1,
            )

    def make_bucket(self, bucket: Bucket) -> None:
        """With what it is; one that is there with something in it stays as it is.

        An empty one may be that of a restore that was cut off before it said what the bucket is.
        """
        from minio.versioningconfig import VersioningConfig

        with self._asking(f"make the bucket {bucket.name}"):
            if not self._minio.bucket_exists(bucket.name):
                self._minio.make_bucket(bucket.name)
            elif next(self._minio.list_objects(bucket.name), None) is not None:
                return
            if bucket.versioning:
                self._minio.set_bucket_versioning(bucket.name, VersioningConfig(bucket.versioning))
            if bucket.policy:
                self._minio.set_bucket_policy(bucket.name, bucket.policy)

    def remove_bucket(self, name: str) -> None:
        """With all that is in it: for a bucket of our own."""
        with self._asking(f"remove the bucket {name}"):
            if not self._minio.bucket_exists(name):
                return
            for one in self._minio.list_objects(name, recursive=True):
                self._minio.remove_object(name, str(one.object_name))
            self._minio.remove_bucket(name)

    def remove(self, bucket: str, key: str) -> None:
        with self._asking(f"remove {bucket}/{key}"):
            self._minio.remove_object(bucket, key)

    def _bucket(self, name: str) -> Bucket:
        versioning, policy = "", ""
        with self._asking(f"look at {name}", empty=True):
            versioning = str(self._minio.get_bucket_versioning(name).status or "")
        with self._asking(f"look at {name}", empty=True):
            policy = self._minio.get_bucket_policy(name)
        return Bucket(
            name=name, versioning="" if versioning == "Off" else versioning, policy=policy
        )

    @contextlib.contextmanager
    def _asking(self, what: str, *, empty: bool = False) -> Iterator[None]:
        """``empty``: that there is none, or that the server knows no such thing, is an answer too."""
        from minio.error import MinioException, S3Error
        from urllib3.exceptions import HTTPError

        try:
            yield
        except S3Error as error:
            code = str(error.code)
            if empty and code in _NO_SUCH:
                return
            if code in _GONE:
                raise GoneError(f"cannot {what}: it is not there any more") from error
            words = f"MinIO at {self._url} refuses to {what}: {_refusal(error)}"
            raise ObjectRefusedError(words) from error
        except (
            ValueError
        ) as error:  # of the client: a name that S3 has not, or a header beyond ASCII
            raise ObjectRefusedError(f"cannot {what}: {error}") from error
        except (HTTPError, MinioException) as error:
            raise StepError(
                f"MinIO at {self._url} ended in the middle, or does not answer ({_short(error)}): cannot {what}"
            ) from error


def part_bytes(about: About) -> int:
    """How large the parts are to be: as they were, so far as the ETag tells, for then it is the same again. Pure.

    Of an object in parts the ETag ends in their number; S3 takes at most 10,000 of them.
    """
    count = int(about.etag.rpartition("-")[2]) if _IN_PARTS.fullmatch(about.etag) else 0
    fitting = (size for size in PARTS if -(-about.bytes // size) == count)
    return next(fitting, max(PARTS[1], about.bytes // 9000))


def _refusal(error: Any) -> str:
    return f"{error.code}: {error.message}" if error.message else str(error.code)


def _short(error: BaseException) -> str:
    """Without the addresses of objects in memory and the whole URL that urllib3 puts in."""
    return type(getattr(error, "reason", None) or error).__name__


def _about(headers: Mapping[str, str]) -> About:
    from recovery.backup.wire import from_wire

    lower = {name.lower(): from_wire(value) for name, value in headers.items()}
    kept = {
        name: value
        for name, value in lower.items()
        if name in KEPT or name == CONTENT_TYPE or name.startswith(META)
    }
    return About(
        int(lower.get("content-length", 0)),
        lower.get("etag", "").strip('"'),
        lower.get("last-modified", ""),
        dict(sorted(kept.items())),
    )
