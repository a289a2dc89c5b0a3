"""The Docker engine of this machine: found or refused; its images; and whatever carries a run's mark in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.core.errors import HarnessError, SetupError, UsageError
from harness.runtime.owner import ProcessMark

LABEL: Final = "rmq-harness.run"
"""The label of everything that a run makes in the engine; its value is the run's mark."""
READABLE: Final = {"type": "json-file"}
"""Where a container's output goes: a daemon may have another default, of which it can read nothing back."""
_LOOK: Final = "look"
_LOOKS: Final = re.compile(rf"{_LOOK}-(\d+)-(\d+)")
_BAD_REQUEST: Final = 400
_CONFLICT: Final = 409
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
        except (DockerException, OSError, ValueError) as error:
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
        """The image, pulled if it is not here. Raises `SetupError` if it cannot be had, `UsageError` for no name."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        found = self._image_here(reference)
        if found is None:
            try:
                found = self.client.images.pull(*_parts(reference))
            except (DockerException, RequestException) as error:
                raise SetupError(
                    f"the image {reference!r} is not on this machine and cannot be pulled ({_words(error)}): "
                    f"load it, or {_BUILD}"
                ) from None
        return Image(reference, str(found.id))

    def _image_here(self, reference: str) -> Any:
        from docker.errors import APIError, ImageNotFound

        with told(f"looking for the image {reference!r}"):
            try:
                return self.client.images.get(reference)
            except ImageNotFound:
                return None
            except APIError as error:
                if error.status_code != _BAD_REQUEST:
                    raise
                raise UsageError(f"{reference!r} names no image ({_words(error)}): write NAME:VERSION") from None

    def import_image(self, archive: Path, reference: str, changes: Sequence[str]) -> Image:
        """Makes an image of a file system in a tar archive. Raises `SetupError`.

        An image that had that name before is not taken for the new one.
        """
        name, tag = _parts(reference)
        with told(f"importing the image {reference!r}"):
            said = self.client.api.import_image_from_file(str(archive), repository=name, tag=tag, changes=list(changes))
            found = str(self.client.images.get(reference).id)
        # A refusal may come as one more line of an answer that began well.
        lines = tuple(_lines(said))
        made = [str(line["status"]) for line in lines if str(line.get("status")).startswith("sha256:")]
        if any("error" in line for line in lines) or made not in ([], [found]):
            raise SetupError(
                f"importing the image {reference!r}: the Docker daemon says: {' '.join(str(said).split())}"
            )
        return Image(reference, found)

    def forget_image(self, reference: str) -> None:
        """Removes an image that no container uses. Raises `SetupError`."""
        with told("removing an image"):
            self.client.images.remove(reference)

    def output_of(self, image: str, script: str, words: Sequence[str] = ()) -> str:
        """What a script for `sh` prints in a container of its own, without network, as its standard output and error.

        Raises `UsageError` where it cannot be run or fails: the image is not what it should be; `SetupError` where the
        daemon does not do what is asked, which says nothing of the image.
        """
        from docker.errors import APIError

        with told(f"looking into the image {image}"):
            looker = self.client.containers.create(
                image,
                entrypoint=["sh", "-c", script, "sh", *words],
                network_mode="none",
                log_config=READABLE,
                user="0:0",
                labels={LABEL: _look_mark(ProcessMark.of(os.getpid()))},
            )
        with ExitStack() as failing:
            failing.callback(_discard_quietly, looker)
            with told(f"looking into the image {image}"):
                try:
                    looker.start()
                except APIError as error:
                    if "exec" not in _words(error) and error.status_code != _BAD_REQUEST:
                        raise
                    raise UsageError(f"its `sh` cannot be run: {_words(error)}") from None
                code = int(looker.wait(timeout=TIMEOUT_S)["StatusCode"])
                said = str(looker.logs().decode(errors="replace"))
            failing.pop_all()
        discard(looker)
        if code:
            raise UsageError(said.strip() or f"its script ended with {code}")
        return said

    def forget_lookers(self) -> None:
        """Removes the containers of `output_of` whose harness was killed meanwhile."""
        with told("listing containers"):
            found = self.client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
        for container in found:
            looks = _LOOKS.fullmatch(container.labels[LABEL])
            if looks is not None and not ProcessMark(*map(int, looks.groups())).alive:
                discard(container)


def discard(container: Any) -> None:
    """Kills a container and removes it with what it wrote. Idempotent. Raises `SetupError` if it stays."""
    from docker.errors import APIError, NotFound

    with told(f"removing container {container.name}"):
        try:
            container.remove(force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            # One that removes itself is being removed: that is awaited as well.
            if error.status_code != _CONFLICT:
                raise
            with suppress(NotFound):
                ended = container.wait(condition="removed", timeout=TIMEOUT_S) or {}
                if wrong := (ended.get("Error") or {}).get("Message"):
                    raise SetupError(f"container {container.name} cannot be removed: {wrong}") from None


def _discard_quietly(container: Any) -> None:
    """For one that is left behind another error, which is the one to be told."""
    with suppress(SetupError):
        discard(container)


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Makes what the daemon refuses in the block a `SetupError` that says what was being done."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except HarnessError:
        raise
    except DockerException as error:
        raise SetupError(f"{doing}: the Docker daemon says: {_words(error)}") from None
    except RequestException as error:
        raise SetupError(f"{doing}: the Docker daemon does not answer ({_words(error)}): does it still run?") from None


def _endpoint() -> tuple[str, str]:
    """Who names the daemon, and its address."""
    if host := os.environ.get("DOCKER_HOST"):
        return "DOCKER_HOST", host
    from docker.context import ContextAPI

    name = os.environ.get("DOCKER_CONTEXT")
    named = f"DOCKER_CONTEXT {name!r}" if name else "the current context of the docker command"
    try:
        context = ContextAPI.get_context(name)
        found = None if context is None else (f"the context {context.Name!r}", context.Host)
    except Exception as error:  # noqa: BLE001  the SDK raises nothing more special for files that it cannot read
        raise UsageError(f"{named} cannot be read ({error}): name the daemon by DOCKER_HOST=unix://...") from None
    if found is None:
        raise UsageError(f"{named} is no context: docker context ls shows those there are")
    return found[0], found[1] or "unix:///var/run/docker.sock"


def _lines(said: Any) -> Iterator[dict[str, Any]]:
    """The lines of an answer that came bit by bit, as far as they are objects of JSON."""
    for text in str(said).splitlines():
        with suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict):
                yield line


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
