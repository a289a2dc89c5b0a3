"""The pinned jars: what each lock file of the package says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files

from harness.core.errors import UsageError
from harness.core.version import Version

SERVER = "rocketmq"
CLIENT = "rocketmq-client"
PROXY = "rocketmq-proxy"


@dataclass(frozen=True)
class Artifact:
    """One file of the Java package registry, pinned by its checksum."""

    group: str
    artifact: str
    version: str
    sha256: str
    size_bytes: int
    classifier: str = ""

    @property
    def coordinate(self) -> str:
        """`group:artifact:version`, with the classifier where there is one: how messages name it."""
        parts = [self.group, self.artifact, self.version]
        return ":".join([*parts, self.classifier] if self.classifier else parts)

    @property
    def filename(self) -> str:
        """The name the registry and a class path know it by."""
        tail = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{tail}.jar"


@dataclass(frozen=True)
class Lock:
    """Every jar of one version of the server (`rocketmq`), the client (`rocketmq-client`) or `rocketmq-proxy`."""

    name: str
    version: Version
    artifacts: tuple[Artifact, ...]

    @property
    def label(self) -> str:
        """`rocketmq-5.3.3`: how messages and directories name it."""
        return f"{self.name}-{self.version}"

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that change whenever any jar or checksum does."""
        lines = "\n".join(f"{jar.filename} {jar.sha256}" for jar in self.artifacts)
        return hashlib.sha256(lines.encode()).hexdigest()[:12]


def versions(name: str) -> tuple[Version, ...]:
    """The versions that have a lock file of this name, oldest first."""
    found = []
    for entry in files("harness.distribution").joinpath("locks").iterdir():
        stem = entry.name.removesuffix(".lock")
        number = stem.removeprefix(f"{name}-")
        if entry.name.endswith(".lock") and stem != number and number[:1].isdigit():
            found.append(Version.parse(number))
    return tuple(sorted(found))


def load(name: str, version: Version) -> Lock:
    """The lock of one version. Raises `UsageError` naming the versions there are, where it is not one of them."""
    if version not in versions(name):
        known = ", ".join(map(str, versions(name)))
        raise UsageError(f"{name} {version} is not a supported version: choose one of {known}")
    text = files("harness.distribution").joinpath("locks", f"{name}-{version}.lock").read_text(encoding="utf-8")
    entries = json.loads(text)["artifacts"]
    return Lock(name, version, tuple(Artifact(**entry) for entry in entries))
