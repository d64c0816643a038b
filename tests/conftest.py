"""What every tier shares: the real parts, started once a session, and the rule about skips.

A tier whose parts cannot be had here is skipped with the reason; under CI=true a skip of any kind
fails the session, so that nothing is left out unseen.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.real import daemons, images
from tests.real.daemons import Binaries
from tests.real.debian import DebianError
from tests.real.engine import DockerEngine
from tests.real.images import AppImage
from tests.real.postgres import Postgres, postgres

Tell = Callable[[str], None]
_skipped: list[str] = []
HEARTBEAT_SECONDS = 30.0
# On a busy machine making an example may take as long as it likes: slowness proves nothing.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


class AppImages(NamedTuple):
    """Two versions of the stand-in app: ``v1`` is good, ``v2`` is broken."""

    v1: AppImage
    v2: AppImage


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        choices=["file", "postgres"],
        default="file",
        help="of the receivers that tests/parts start",
    )


def tier_missing(reason: str) -> NoReturn:
    """Skip what asks for a real part that this machine cannot give; ``reason`` says what would mend it."""
    pytest.skip(reason)


@pytest.fixture(scope="session")
def tell(request: pytest.FixtureRequest) -> Tell:
    """Print a line at once, past pytest's capture, so that a slow step is seen to be at work."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")

    def line(words: str) -> None:
        with capture.global_and_fixture_disabled():
            # One write, because several workers share the terminal.
            sys.stderr.write(f"\n  {worker} {words}\n")
            sys.stderr.flush()

    return line


@pytest.fixture(scope="session")
def binaries(tell: Tell) -> Binaries:
    """Paths of the real prometheus, promtool, alertmanager and amtool."""
    tell("fetching Prometheus and Alertmanager, unless they are here")
    try:
        return daemons.binaries()
    except DebianError as problem:
        tier_missing(f"no Prometheus and Alertmanager: {problem}")


@pytest.fixture(scope="session")
def postgres_server(tell: Tell) -> Iterator[Postgres]:
    """A real PostgreSQL of the tests' own."""
    tell("starting a PostgreSQL")
    try:
        with postgres(Path(tempfile.mkdtemp(prefix="sermon-pg-"))) as server:
            yield server
    except DebianError as problem:
        tier_missing(f"no PostgreSQL: {problem}")


@pytest.fixture(scope="session")
def engine(tell: Tell) -> Iterator[DockerEngine]:
    """A real Docker Engine of the tests' own, without images."""
    tell("starting a Docker Engine")
    with tempfile.TemporaryDirectory(prefix="sermon-") as directory:
        engine = DockerEngine(Path(directory))
        try:
            engine.start()
            yield engine
        except DebianError as problem:
            tier_missing(f"no Docker Engine: {problem}")
        finally:
            engine.stop()


@pytest.fixture(scope="session")
def python_image(engine: DockerEngine, tell: Tell) -> str:
    """The tag of the base image, on ``engine``."""
    tell("importing the Python base image; the first time in a checkout it is made, in about 20 s")
    try:
        return images.python_base(engine)
    except DebianError as problem:
        tier_missing(f"no base image: {problem}")


def made_app_images(engine: DockerEngine) -> AppImages:
    """The stand-in app's two versions, on ``engine``: made again where a clean-up of another test removed them."""
    return AppImages(
        v1=images.app_image(engine, "sermon-uploader:v1", revision="a1" * 20),
        v2=images.app_image(engine, "sermon-uploader:v2", revision="b2" * 20, behaviour="broken"),
    )


@pytest.fixture(scope="module")
def app_images(engine: DockerEngine, python_image: str) -> AppImages:
    del python_image  # is there
    return made_app_images(engine)


def pytest_configure() -> None:
    # A cancelled run gets SIGTERM: the fixtures' ends must run then, as they do after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell starts what it puts in the background deaf to Ctrl-C, and so would be all that we start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("CI") == "true" and "PYTEST_XDIST_WORKER" not in os.environ:
        threading.Thread(target=_beat, args=(time.monotonic(),), daemon=True).start()


def _beat(began: float) -> None:
    """CI ends what is silent for long; the end-to-end tests wait for real durations."""
    while True:
        time.sleep(HEARTBEAT_SECONDS)
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        sys.__stderr__.write(f"\n  {minutes}:{seconds:02} at work\n")  # type: ignore[union-attr]


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _remember(report)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _remember(report)


def _remember(report: pytest.CollectReport | pytest.TestReport) -> None:
    if report.skipped:  # an expected failure counts as skipped too
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _skips_fail() and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skips_fail():
        terminalreporter.section("skipped, which CI=true does not allow", red=True)
        for nodeid in _skipped:
            terminalreporter.write_line(nodeid)


def _skips_fail() -> bool:
    return bool(_skipped) and os.environ.get("CI") == "true"
