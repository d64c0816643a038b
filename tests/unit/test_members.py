"""Which containers are the deployment's: never one of somebody else's, whatever its service is called."""

from __future__ import annotations

import pytest

from recovery.settings import RecoverySettings
from target.engine import Container
from target.members import ONE_OFF, members, start_order
from target.roles import OUR_PROJECT
from tests.unit.recovery_kit import SETTINGS, backend, container, minio

HERE = "/opt/sermon-uploader"


def names(*containers: Container, settings: RecoverySettings = SETTINGS) -> list[str]:
    return [c.name for c in members(containers, settings)]


def test_those_of_the_projects_directory_belong_whatever_their_names() -> None:
    web = container("web-1", service="web", project="church", folder=HERE)
    assert names(web) == ["web-1"]


def test_a_service_of_somebody_elses_project_is_not_ours() -> None:
    blog = container("blog-minio-1", service="minio", project="blog", folder="/srv/blog")
    shop = container("shop-backend-1", service="backend", project="shop", folder="/srv/shop")
    assert names(blog, shop, container("minio"), container("backend")) == []


def test_names_count_within_a_project_that_is_ours() -> None:
    """As where COMPOSE_PROJECT_DIR is set wrongly: the app's name tells its project."""
    app = backend(folder="/elsewhere")
    storage = container("store-1", service="minio", project="sermon-uploader", folder="/elsewhere")
    cat = container("cat-1", service="cat", project="sermon-uploader", folder="/elsewhere")
    assert names(app, storage, cat) == ["store-1", "sermon-uploader-backend"]


def test_a_containers_name_set_by_a_person_counts() -> None:
    settings = RecoverySettings(app_service=("church-app",))
    assert names(container("church-app"), settings=settings) == ["church-app"]
    other = container("x-1", service="church-app", project="x", folder="/srv/x")
    assert names(other, settings=settings) == []


@pytest.mark.parametrize(
    "one",
    [
        container("sermon-uploader-x", service="x", project=OUR_PROJECT),
        backend(labels={ONE_OFF: "True"}),
    ],
    ids=["the monitor's own", "docker compose run"],
)
def test_some_are_never_members(one: Container) -> None:
    assert names(one) == []


def test_what_is_needed_starts_first() -> None:
    web = container(
        "a-web", service="web", project="sermon-uploader", needs="backend:service_started:true"
    )
    found = start_order([web, backend(), minio()], SETTINGS)
    assert [c.name for c in found] == ["sermon-uploader-minio", "sermon-uploader-backend", "a-web"]


def test_minio_starts_first_where_nothing_is_said() -> None:
    assert [c.service for c in start_order([backend(needs=""), minio()], SETTINGS)] == [
        "minio",
        "backend",
    ]


def test_a_circle_has_an_order_too() -> None:
    one = minio(needs="backend:service_started:false")
    assert len(start_order([one, backend()], SETTINGS)) == 2
