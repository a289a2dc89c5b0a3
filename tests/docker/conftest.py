"""A real Docker daemon for the tests that are marked for it: this machine's, or one of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from harness.containers import build_image, look_into
from harness.core.errors import HarnessError, SetupError
from harness.options import cache_dir
from harness.runtime.docker import DockerRuntime
from harness.runtime.engine import Engine
from harness.waiting import wait_for

SCRIPT = Path(__file__).with_name("daemon.sh")
BUILT = "rmq-harness:5.3.3"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The daemon that DOCKER_HOST or the context names, else one that is started here and ended at the end."""
    try:
        found = Engine.connect()
    except HarnessError as error:
        if os.geteuid() != 0 or shutil.which("dockerd") is None:
            pytest.skip(f"{error}; and none can be started here: that takes root and dockerd (make docker-engine)")
    else:
        yield found
        found.close()
        return
    place = tmp_path_factory.mktemp("daemon") / "d"
    daemon = subprocess.Popen(["sh", str(SCRIPT), str(place)], stderr=subprocess.PIPE, text=True)

    def up() -> Engine | None:
        if daemon.poll() is not None:
            raise SetupError(f"dockerd ended: {daemon.stderr.read()[-500:] if daemon.stderr else ''}")
        try:
            return Engine.connect(f"unix://{place}/docker.sock")
        except SetupError:
            return None

    try:
        own = wait_for(up, what="a Docker daemon of the tests' own to answer", timeout_s=60, poll_s=0.2)
        yield own
        own.close()
    finally:
        daemon.terminate()
        daemon.wait(60)


@pytest.fixture(scope="session")
def image(engine: Engine, monkeypatch_session: pytest.MonkeyPatch) -> str:
    """The digest of an image with RocketMQ 5.3.3, built here if it is not there."""
    monkeypatch_session.setenv("DOCKER_HOST", engine.url)
    try:
        return look_into(engine, f"image:{BUILT}").image
    except SetupError:
        return build_image("5.3.3", "25", BUILT, cache=cache_dir(), say=print).id


@pytest.fixture(scope="session")
def monkeypatch_session() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def open_runtime(engine: Engine, image: str, tmp_path: Path) -> Iterator[Callable[[], DockerRuntime]]:
    opened: list[DockerRuntime] = []

    def make() -> DockerRuntime:
        runtime = DockerRuntime.open_with(
            image,
            engine.url,
            run_id=f"test-{uuid4().hex[:12]}",
            evidence=tmp_path / "evidence",
            work_dir=tmp_path / "work",
            state_dir=tmp_path / "state",
        )
        opened.append(runtime)
        return runtime

    yield make
    for runtime in opened:
        runtime.close()


@pytest.fixture
def runtime(open_runtime: Callable[[], DockerRuntime]) -> DockerRuntime:
    return open_runtime()
