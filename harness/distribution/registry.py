"""Downloads one jar from the Java package registry that `jgo` knows. Nothing here trusts what arrives."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Protocol

from requests import RequestException
from requests.exceptions import SSLError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from harness.core.errors import SetupError
from harness.distribution.locks import Artifact

_TIMEOUT_S = 60
_ATTEMPTS = 3

TLS_REMEDY: Final = (
    "where a proxy opens TLS connections, REQUESTS_CA_BUNDLE must name a PEM file with its certificate "
    "(SSL_CERT_FILE is not read)"
)
"""What both `requests` and pip were seen to honour."""


class Fetcher(Protocol):
    """Anything that brings an artifact to a file in or under `scratch`, a directory of the caller's."""

    def __call__(self, artifact: Artifact, scratch: Path) -> Path:
        """Returns the file. Raises `SetupError` naming the artifact; it may leave rubbish in `scratch`."""
        ...


def fetch_from_registry(artifact: Artifact, scratch: Path) -> Path:
    """The file as the registry serves it, unverified; network trouble is retried, absence is not.

    Raises `SetupError` naming the artifact and whether the registry was reached.
    """
    retrying = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=0.5, max=5),
        retry=retry_if_exception_type(RequestException),
        reraise=True,
    )
    try:
        return retrying(_fetch_once, artifact, scratch)
    except RequestException as error:
        raise SetupError(
            f"{artifact.coordinate} could not be downloaded, {_ATTEMPTS} attempts ended in "
            f"{type(error).__name__}: {_remedy(error)}, or fill the cache on a machine that has a network and copy "
            "it here"
        ) from error
    except RuntimeError as error:
        raise SetupError(
            f"{artifact.coordinate} is missing from the package registry (or the registry refused it): try again "
            "later, or use path:DIR with an unpacked release"
        ) from error


def _remedy(error: RequestException) -> str:
    if isinstance(error, SSLError):
        return f"{TLS_REMEDY}; else check the network and the clock"
    return "check the network and the proxy settings"


def _fetch_once(artifact: Artifact, scratch: Path) -> Path:
    from jgo.maven import MavenContext  # a quarter of a second in every process, and few of them download

    # A directory for each attempt: jgo refuses to write where a broken-off download lies.
    context = MavenContext(repo_cache=Path(mkdtemp(dir=scratch)), timeout=_TIMEOUT_S)
    component = context.project(artifact.group, artifact.artifact).at_version(artifact.version)
    return Path(component.artifact(artifact.classifier).resolve())
