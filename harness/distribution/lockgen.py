"""Writes the lock files of a RocketMQ version: `python -m harness.distribution.lockgen 5.3.3 [VERSION...]`.

Run by a maintainer when a version is added, and the result is committed; nothing at use time calls it. It
needs `mvn` on the path. The jars are those that Maven resolves for the broker, the nameserver and the
admin tools (`rocketmq-VERSION.lock`), for the client alone (`rocketmq-client-VERSION.lock`) and, if asked for by
`--only proxy`, for the proxy (`rocketmq-proxy-VERSION.lock`; not every release's is published), under the
dependency management of that version's own parent, so that they are the ones its release was built with.
A checksum is that of the file Maven downloaded and itself verified.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.core.errors import SetupError, UsageError
from harness.core.version import Version

LOCK_DIR = Path(__file__).parent / "locks"
SERVER = ("rocketmq-broker", "rocketmq-namesrv", "rocketmq-tools")
CLIENT = ("rocketmq-client",)
PROXY = ("rocketmq-proxy",)
# Not published in the form asked for, and not needed by a broker.
_EXCLUDED = (("org.kohsuke", "github-api"), ("com.sun", "tools"), ("io.netty", "netty-tcnative"))
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


def _xml(tag: str, **children: str) -> str:
    inner = "".join(f"<{name}>{text}</{name}>" for name, text in children.items())
    return f"<{tag}>{inner}</{tag}>"


def _group(version: Version) -> str:
    return "com.alibaba.rocketmq" if version < (4,) else "org.apache.rocketmq"


def _extras(version: Version, artifacts: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """What the roles need and the closure leaves out: a log binding that is silent, for a client of 4.x."""
    if artifacts == CLIENT and version < (5,):
        return [("org.slf4j", "slf4j-nop", "1.7.36"), ("org.slf4j", "slf4j-api", "1.7.36")]
    return []


def _pom(version: Version, artifacts: tuple[str, ...]) -> str:
    group, text = _group(version), str(version)
    exclusions = "".join(_xml("exclusion", groupId=g, artifactId=a) for g, a in _EXCLUDED)
    wanted = [_xml("dependency", groupId=g, artifactId=a, version=v) for g, a, v in _extras(version, artifacts)]
    wanted += [
        _xml("dependency", groupId=group, artifactId=name, version=text, exclusions=exclusions) for name in artifacts
    ]
    bom = _xml("dependency", groupId=group, artifactId="rocketmq-all", version=text, type="pom", scope="import")
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0">'  # the name of a schema, not a place to fetch
        "<modelVersion>4.0.0</modelVersion>"
        "<groupId>lock</groupId><artifactId>lock</artifactId><version>1</version>"
        f"<dependencyManagement><dependencies>{bom}</dependencies></dependencyManagement>"
        f"<dependencies>{''.join(wanted)}</dependencies></project>"
    )


def _entry(jar: Path, root: Path) -> dict[str, object]:
    """One artifact, read off its place in the repository layout GROUP/ARTIFACT/VERSION/FILE."""
    *group, artifact, version, name = jar.relative_to(root).parts
    classifier = name.removeprefix(f"{artifact}-{version}").removesuffix(".jar").removeprefix("-")
    entry: dict[str, object] = {"group": ".".join(group), "artifact": artifact, "version": version}
    if classifier:
        entry["classifier"] = classifier
    entry["size_bytes"] = jar.stat().st_size
    entry["sha256"] = hashlib.sha256(jar.read_bytes()).hexdigest()
    return entry


def resolve(version: Version, artifacts: tuple[str, ...]) -> list[dict[str, object]]:
    """The jars Maven resolves for `artifacts` of `version`, sorted by file name.

    Raises `SetupError` with Maven's own last words where it cannot.
    """
    with tempfile.TemporaryDirectory() as scratch:
        pom, out = Path(scratch, "pom.xml"), Path(scratch, "jars")
        pom.write_text(_pom(version, artifacts), encoding="utf-8")
        command = ["mvn", "-q", "-B", "-f", str(pom), _COPY, "-DincludeScope=runtime"]
        command += ["-Dmdep.useRepositoryLayout=true", f"-DoutputDirectory={out}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
            raise SetupError(f"Maven could not resolve {', '.join(artifacts)} {version}:\n{said}")
        jars = sorted(out.rglob("*.jar"), key=lambda jar: jar.name)
        return [_entry(jar, out) for jar in jars]


def write(version: Version, name: str, artifacts: tuple[str, ...]) -> Path:
    """Writes `locks/NAME-VERSION.lock` and returns its path."""
    target = LOCK_DIR / f"{name}-{version}.lock"
    lines = ",\n  ".join(json.dumps(entry) for entry in resolve(version, artifacts))
    head = f'"schema": 1,\n "name": "{name}",\n "version": "{version}"'
    target.write_text(f'{{{head},\n "artifacts": [\n  {lines}\n ]}}\n', encoding="utf-8")
    return target


def main(argv: list[str] | None = None) -> int:
    """Writes the server's and the client's lock of each version named; 4 where one is no version."""
    parser = argparse.ArgumentParser(prog="lockgen", description="Pin the jars of RocketMQ versions.")
    parser.add_argument("versions", nargs="+", metavar="VERSION")
    parser.add_argument("--only", choices=("server", "client", "proxy"))
    options = parser.parse_args(argv)
    try:
        for text in options.versions:
            version = Version.parse(text)
            if options.only == "proxy":
                sys.stdout.write(f"{write(version, 'rocketmq-proxy', PROXY)}\n")
                continue
            if options.only != "client":
                sys.stdout.write(f"{write(version, 'rocketmq', SERVER)}\n")
            if options.only != "server":
                sys.stdout.write(f"{write(version, 'rocketmq-client', CLIENT)}\n")
    except (UsageError, SetupError) as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
