"""What the Engine, the version ledger and BACKUP_DIR tell of the application's versions, as samples. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from exporter.exposition import Family, Samples, number
from target.backups import Made, Status, has_been
from target.engine import Container, Image
from target.versions import (
    Ledger,
    Release,
    deployments,
    facts_of,
    known_good_reference,
    last_known_good,
    running,
)

BUILD_INFO = Family(
    "sermon_uploader_build_info",
    "gauge",
    "The application that runs: version and revision from its image's labels.",
)
IMAGE_INFO = Family(
    "sermon_uploader_image_info",
    "gauge",
    "The image of each running service of the application; digest is empty where no registry gave one.",
)
DEPLOYMENTS = Family(
    "sermon_uploader_deployments_total",
    "counter",
    "Times that another image of the application took over, from the version ledger.",
)
LAST_DEPLOYMENT = Family(
    "sermon_uploader_last_deployment_timestamp_seconds",
    "gauge",
    "Unix time of the last such time; absent when there was none.",
)
LAST_DEPLOYMENT_TOOK = Family(
    "sermon_uploader_last_deployment_duration_seconds",
    "gauge",
    "From the creation of its container to the health it has kept since; absent before.",
)
RUNNING_SINCE = Family(
    "sermon_uploader_running_version_start_time_seconds",
    "gauge",
    "Unix time since which the running image of the service runs, recreations of its container included.",
)
RUNNING_GOOD = Family(
    "sermon_uploader_running_version_good",
    "gauge",
    "Whether the running image of the service has proved good (1) or not, or not yet (0).",
)
KNOWN_GOOD_INFO = Family(
    "sermon_uploader_known_good_info",
    "gauge",
    "The version that a rollback would go to: the newest that proved good, other than the running one.",
)
TAG_PRESENT = Family(
    "sermon_uploader_known_good_tag_present",
    "gauge",
    "Whether the image of that version is here under its known-good tag (1) or not (0).",
)
BACKUP_AGE = Family(
    "sermon_uploader_backup_age_seconds",
    "gauge",
    "Age of the newest entry of BACKUP_DIR; absent when there is none.",
)
BACKUP_DATA_AGE = Family(
    "sermon_uploader_backup_data_age_seconds",
    "gauge",
    "Age of the newest backup that has MinIO's objects in it; absent when there is none.",
)
BACKUP_BYTES = Family(
    "sermon_uploader_backup_size_bytes",
    "gauge",
    "Bytes of all that it holds, those that it shares with others too: of the newest backup with MinIO's objects, else of the newest.",
)
BACKUP_SECONDS = Family(
    "sermon_uploader_backup_duration_seconds",
    "gauge",
    "How long that backup took.",
)
DRILL_SUCCESS = Family(
    "sermon_uploader_backup_drill_success",
    "gauge",
    "Whether the last try to restore a backup succeeded (1) or not (0); absent when there was none.",
)
DRILL_AGE = Family(
    "sermon_uploader_backup_drill_age_seconds",
    "gauge",
    "Time since the last try to restore a backup; absent when there was none.",
)
FAMILIES = (
    *(BUILD_INFO, IMAGE_INFO, DEPLOYMENTS, LAST_DEPLOYMENT, LAST_DEPLOYMENT_TOOK, RUNNING_SINCE),
    *(RUNNING_GOOD, KNOWN_GOOD_INFO, TAG_PRESENT, BACKUP_AGE),
    *(BACKUP_DATA_AGE, BACKUP_BYTES, BACKUP_SECONDS, DRILL_SUCCESS, DRILL_AGE),
)


class WayBack(NamedTuple):
    """The version that a rollback of ``service`` would go to, and the local tag that keeps it."""

    service: str
    release: Release

    @property
    def reference(self) -> str:
        return known_good_reference(self.service, self.release.image_id)


def ways_back(ledger: Ledger, services: Iterable[str]) -> list[WayBack]:
    """One for each service that has another version than the running one to go to."""
    found = []
    for service in sorted(services):
        present = running(ledger, service)
        release = last_known_good(ledger, service, present.image_id) if present else None
        if release is not None:
            found.append(WayBack(service, release))
    return found


def image_samples(containers: Sequence[Container], images: Mapping[str, Image]) -> list[Samples]:
    """Of running containers; ``images`` by image id: one that is not known yet has no sample."""
    builds, infos = set(), set()
    for one in containers:
        if (image := images.get(one.image_id)) is not None:
            digest = facts_of(one.image, image).digest
            builds.add(
                BUILD_INFO.series(version=image.version, revision=image.revision, image=one.image)
            )
            infos.add(
                IMAGE_INFO.series(
                    service=one.service, image=one.image, image_id=one.image_id, digest=digest
                )
            )
    return [_present(BUILD_INFO, builds), _present(IMAGE_INFO, infos)]


def ledger_samples(ledger: Ledger, services: Collection[str]) -> list[Samples]:
    """What ran when, of ``services``: those that are the application.

    No count while the ledger knows only services of which it is not known yet that they are the
    application: a 0 there would make the true count look like a deployment.
    """
    found = [one for one in deployments(ledger) if one.service in services]
    counted = not ledger.releases or any(one.service in services for one in ledger.releases)
    total = Samples(DEPLOYMENTS, b"")
    if counted:
        total = DEPLOYMENTS.one(len(found) + ledger.forgotten)
    return [total, *_last(found[-1] if found else None), *_running(ledger, services)]


def _last(release: Release | None) -> list[Samples]:
    if release is None:
        return []
    samples = [LAST_DEPLOYMENT.one(release.since.timestamp())]
    if release.good_since is not None:
        seconds = (release.good_since - release.since).total_seconds()
        samples.append(LAST_DEPLOYMENT_TOOK.one(max(0.0, seconds)))
    return samples


def _running(ledger: Ledger, services: Iterable[str]) -> list[Samples]:
    present = [one for name in sorted(services) if (one := running(ledger, name)) is not None]
    since = [(one.service, one.since.timestamp()) for one in present]
    good = [(one.service, int(one.verdict == "good")) for one in present]
    back = {
        KNOWN_GOOD_INFO.series(
            service=one.service,
            image=one.release.image,
            digest=one.release.digest,
            revision=one.release.revision,
        )
        for one in ways_back(ledger, services)
    }
    return [
        _by_service(RUNNING_SINCE, since),
        _by_service(RUNNING_GOOD, good),
        _present(KNOWN_GOOD_INFO, back),
    ]


def tag_samples(tags: Mapping[str, bool]) -> Samples:
    """``tags``: by service, whether its way back is here."""
    return _by_service(TAG_PRESENT, [(name, int(here)) for name, here in sorted(tags.items())])


def backup_samples(newest: float | None, now: float) -> Samples:
    """``newest``: when the newest backup was made, as Unix time; None where there is none."""
    if newest is None:
        return Samples(BACKUP_AGE, b"")
    return BACKUP_AGE.one(max(0.0, now - newest))


def backup_status_samples(status: Status, now: float) -> list[Samples]:
    """What the toolkit said of its backups. The size and duration are of the newest that has the sermons, where one has.

    One of the future, by a wrong clock, is none: it would look new for years.
    """
    data, drill = _believed(status.newest_with_data, now), status.drill
    last = data or _believed(status.newest, now)

    def one(family: Family, value: float | None) -> Samples:
        return Samples(family, b"") if value is None else family.one(value)

    return [
        one(BACKUP_DATA_AGE, max(0.0, now - data.at) if data else None),
        one(BACKUP_BYTES, last.bytes if last else None),
        one(BACKUP_SECONDS, last.seconds if last else None),
        one(DRILL_SUCCESS, int(drill.ok) if drill else None),
        one(DRILL_AGE, max(0.0, now - drill.at) if drill else None),
    ]


def _believed(made: Made | None, now: float) -> Made | None:
    return made if made and has_been(made.at, now) else None


def _present(family: Family, series: Iterable[bytes]) -> Samples:
    return Samples(family, b"".join(one + b"1\n" for one in sorted(series)))


def _by_service(family: Family, values: Iterable[tuple[str, float]]) -> Samples:
    lines = (family.series(service=name) + number(value) + b"\n" for name, value in values)
    return Samples(family, b"".join(lines))
