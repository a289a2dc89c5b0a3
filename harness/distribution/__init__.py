"""Which RocketMQ and which Java: pinned by checksum, downloaded once into the user's cache."""

from __future__ import annotations

from harness.distribution.archive import ArchivePlan, archive_flags
from harness.distribution.cpplib import CppLibrary, obtain_cpp
from harness.distribution.grpclib import GrpcLibrary, obtain_grpc
from harness.distribution.jre import JavaSpec, Jre, obtain_jre, parse_java
from harness.distribution.release import (
    Inside,
    Release,
    ReleaseSpec,
    check_proxy,
    misfit,
    obtain_client,
    obtain_release,
    parse_release,
    supported_clients,
    supported_releases,
    with_proxy,
)
from harness.distribution.store import default_cache

__all__ = [
    "ArchivePlan",
    "CppLibrary",
    "GrpcLibrary",
    "Inside",
    "JavaSpec",
    "Jre",
    "Release",
    "ReleaseSpec",
    "archive_flags",
    "check_proxy",
    "default_cache",
    "misfit",
    "obtain_client",
    "obtain_cpp",
    "obtain_grpc",
    "obtain_jre",
    "obtain_release",
    "parse_java",
    "parse_release",
    "supported_clients",
    "supported_releases",
    "with_proxy",
]
