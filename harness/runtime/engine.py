"""The Docker engine of this machine: found or refused; its images; and whatever carries a run's mark in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.core.errors import HarnessError, SetupError, UsageError
from harness.runtime.owner import ProcessMark

LABEL: Final = "rmq-harness.run"
"""The label of everything that a run makes in the engine; its value is the run's mark."""
_LOOK: Final = "look"
OLDEST_API: Final = (1, 40)
TIMEOUT_S: Final = 60
_BUILD: Final = "build one with `make docker-image ROCKETMQ=VERSION` and name it: --rocketmq image:rmq-harness:VERSION"
_INSTALL: Final = "--runtime docker needs the Python package `docker`: pip install 'rmq-harness[docker]', or make setup"


@dataclass(frozen=True, slots=True)
class Image:
    """An image of this engine: `id` is the digest of its configuration, which names it for good."""

    reference: str
    id: str


class Engine:
    """A conversation with the daemon on this machine, `client` of the SDK. Safe for use by several threads."""

    def __init__(self, client: Any, url: str) -> None:
        self.client = client
        self.url = url

    @classmethod
    def connect(cls, url: str | None = None) -> Engine:
        """Finds the daemon as the docker command does: DOCKER_HOST, else the current context, else the usual socket.

        Raises `UsageError` for one that is not on this machine, `SetupError` for one that is missing, refuses this user
        or is too old.
        """
        try:
            import docker
            from docker.errors import DockerException
        except ImportError:
            raise SetupError(_INSTALL) from None
        told_by, found = ("its owner's record", url) if url else _endpoint()
        if not found.startswith("unix://"):
            raise UsageError(
                f"--runtime docker: {told_by} names the daemon at {found!r}, which may be on another machine; nodes "
                "need this machine's files and networks: name a unix:// socket of this one, or use another runtime"
            )
        path = Path(found.removeprefix("unix://"))
        if not path.is_socket():
            raise SetupError(
                f"no Docker daemon is at {path} (by {told_by}): start it, or have DOCKER_HOST=unix://... name another"
            )
        try:
            client = docker.DockerClient(base_url=found, version="auto", timeout=TIMEOUT_S)
            api = tuple(int(part) for part in client.api.api_version.split("."))
        except (DockerException, OSError) as error:
            refused = "Permission denied" in str(error)
            remedy = "run as root or as a member of its group (usually docker)" if refused else "is it running?"
            raise SetupError(f"the Docker daemon at {path} does not answer ({_words(error)}): {remedy}") from None
        if api < OLDEST_API:
            client.close()
            spoken, needed = (".".join(map(str, numbers)) for numbers in (api, OLDEST_API))
            raise SetupError(
                f"the Docker daemon at {path} speaks API {spoken}; {needed} is needed: use Docker 19.03 or newer"
            )
        return cls(client, found)

    def close(self) -> None:
        """Ends the conversation."""
        self.client.close()

    # images

    def image(self, reference: str) -> Image:
        """The image, pulled if it is not here. Raises `SetupError` if it cannot be had."""
        from docker.errors import DockerException, ImageNotFound

        try:
            found = self.client.images.get(reference)
        except ImageNotFound:
            try:
                found = self.client.images.pull(*_parts(reference))
            except DockerException as error:
                raise SetupError(
                    f"the image {reference!r} is not on this machine and cannot be pulled ({_words(error)}): "
                    f"load it, or {_BUILD}"
                ) from None
        return Image(reference, str(found.id))

    def import_image(self, archive: Path, reference: str, changes: Sequence[str]) -> Image:
        """Makes an image of a file system in a tar archive. Raises `SetupError`."""
        name, tag = _parts(reference)
        with told("importing an image"):
            self.client.api.import_image_from_file(str(archive), repository=name, tag=tag, changes=list(changes))
            return Image(reference, str(self.client.images.get(reference).id))

    def forget_image(self, reference: str) -> None:
        """Removes an image that no container uses. Raises `SetupError`."""
        with told("removing an image"):
            self.client.images.remove(reference)

    def output_of(self, image: str, script: str, words: Sequence[str] = ()) -> str:
        """What a script for `sh` prints in a container of its own, without network, as its standard output and error.

        Raises `UsageError` where it cannot be run or fails: the image is not what it should be.
        """
        with told(f"running a container of {image}"):
            looker = self.client.containers.create(
                image,
                entrypoint=["sh", "-c", script, "sh", *words],
                network_mode="none",
                user="0:0",
                labels={LABEL: _look_mark(ProcessMark.of(os.getpid()))},
            )
        try:
            with told("its `sh`"):
                looker.start()
                code = int(looker.wait(timeout=TIMEOUT_S)["StatusCode"])
                said = str(looker.logs().decode(errors="replace"))
        except SetupError as error:
            raise UsageError(str(error)) from None
        finally:
            discard(looker)
        if code:
            raise UsageError(said.strip() or f"its script ended with {code}")
        return said

    def forget_lookers(self) -> None:
        """Removes the containers of `output_of` whose harness was killed meanwhile."""
        with told("listing containers"):
            found = self.client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
        for container in found:
            word, *numbers = container.labels[LABEL].split("-")
            if word == _LOOK and not ProcessMark(*map(int, numbers)).alive:
                discard(container)


def discard(container: Any) -> None:
    """Kills a container and removes it with what it wrote. Idempotent. Raises `SetupError`."""
    from docker.errors import APIError, NotFound

    with told(f"removing container {container.name}"):
        try:
            container.remove(force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            # One that removes itself is being removed: that is awaited as well.
            if error.status_code != 409:
                raise
            with suppress(APIError):
                container.wait(condition="removed", timeout=TIMEOUT_S)


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Makes what the daemon refuses in the block a `SetupError` that says what was being done."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except HarnessError:
        raise
    except (DockerException, RequestException) as error:
        raise SetupError(f"{doing}: the Docker daemon says: {_words(error)}") from None


def _endpoint() -> tuple[str, str]:
    """Who names the daemon, and its address."""
    if host := os.environ.get("DOCKER_HOST"):
        return "DOCKER_HOST", host
    from docker.context import ContextAPI

    name = os.environ.get("DOCKER_CONTEXT")
    context = ContextAPI.get_context(name)
    if context is None:
        raise UsageError(f"DOCKER_CONTEXT {name!r} is no context: docker context ls shows those there are")
    return f"the context {context.Name!r}", context.Host or "unix:///var/run/docker.sock"


def _parts(reference: str) -> tuple[str, str | None]:
    """Name and tag of a reference; the registry's port is no tag, and a digest stays with the name."""
    if "@" in reference:
        return reference, None
    name, colon, tag = reference.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (reference, "latest")


def _look_mark(process: ProcessMark | None) -> str:
    return f"{_LOOK}-{process.pid}-{process.start_ticks}" if process is not None else _LOOK


def _words(error: BaseException) -> str:
    said = getattr(error, "explanation", None) or str(error)
    return " ".join(str(said).split())[:300]
