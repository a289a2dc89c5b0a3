"""Toxiproxy's server: built from its Go module as locked, or taken from where it is installed, and kept in the cache.

`python -m harness.distribution.toxiproxy [path:FILE]` is what `make toxiproxy` runs. Nothing of it is downloaded by
a run: one that has links where there is no server says so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from harness.core.errors import CapabilityMissing, HarnessError, SetupError, UsageError
from harness.distribution.store import default_cache, exclusive, put_in_place, sha256_of

CAPABILITY: Final = "toxiproxy"
FILE: Final = "toxiproxy-server"
MODULE: Final = "github.com/Shopify/toxiproxy/v2"
REMEDY: Final = "run `make toxiproxy`, which builds it with Go 1.19 or newer, or name one that is there: "
REMEDY_PATH: Final = "make toxiproxy TOXIPROXY=path:/usr/local/bin/toxiproxy-server"
_ABOUT: Final = "about.json"
_BUILD_TIMEOUT_S: Final = 1800
_VERSION_TIMEOUT_S: Final = 10
OLDEST: Final = (2, 2)
"""From which version on it has every damage that faults of links ask for."""
TOO_NEW: Final = (3, 0)
_LOCKED: Final = ("go.mod", "go.sum")


@dataclass(frozen=True, slots=True)
class Toxiproxy:
    """A server in the cache. `origin` says how it came there: the module's own checksum, or that it was installed."""

    home: Path
    version: str
    sha256: str
    origin: str

    @property
    def facts(self) -> dict[str, str]:
        """What of it belongs into evidence; no path of the machine."""
        return {"version": self.version, "sha256": self.sha256, "origin": self.origin}


def home_of(cache: Path) -> Path:
    """Where it is kept."""
    return cache / "toxiproxy"


def find(cache: Path) -> Toxiproxy:
    """The server that was made before, its checksum verified in this call. Raises `CapabilityMissing`."""
    home = home_of(cache)
    try:
        about = json.loads((home / _ABOUT).read_text(encoding="utf-8"))
        found = Toxiproxy(home, str(about["version"]), str(about["sha256"]), str(about["origin"]))
        seen = sha256_of(home / FILE)
    except FileNotFoundError:
        raise CapabilityMissing(CAPABILITY, f"no {FILE} is in the cache: {REMEDY}{REMEDY_PATH}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CapabilityMissing(CAPABILITY, f"{home} cannot be read ({error}): {REMEDY}{REMEDY_PATH}") from None
    if seen != found.sha256:
        raise CapabilityMissing(
            CAPABILITY, f"{home / FILE} has sha256 {seen}, {found.sha256} was recorded: {REMEDY}{REMEDY_PATH}"
        )
    return found


def locked() -> tuple[str, str]:
    """The version of the module that is built, and its checksum as Go writes it."""
    place = files("harness.distribution").joinpath("locks", "toxiproxy")
    text = place.joinpath("go.mod").read_text(encoding="utf-8")
    version = re.search(rf"{re.escape(MODULE)} (v\S+)", text)
    if version is None:
        raise SetupError(f"the lock of Toxiproxy names no {MODULE}: the installation is broken")
    sums = place.joinpath("go.sum").read_text(encoding="utf-8")
    checksum = re.search(rf"{re.escape(MODULE)} {re.escape(version[1])} (h1:\S+)", sums)
    if checksum is None:
        raise SetupError(f"the lock of Toxiproxy has no checksum of {MODULE} {version[1]}: the installation is broken")
    return version[1], checksum[1]


def build(cache: Path, environment: Mapping[str, str]) -> Toxiproxy:
    """Builds the locked version, every module verified by Go against the lock, and puts it into the cache.

    Takes a minute or three; needs a module mirror, as Go is configured on this machine. Raises `SetupError`.
    """
    go = shutil.which("go", path=environment.get("PATH"))
    if go is None:
        raise SetupError(
            f"Toxiproxy is built from its Go module and no `go` is on the PATH: install Go 1.19 or newer and "
            f"run `make toxiproxy` again, or name a server that is there: {REMEDY_PATH}"
        )
    version, checksum = locked()
    with exclusive(cache, CAPABILITY) as scratch:
        source, made = scratch / "source", scratch / "made"
        source.mkdir()
        made.mkdir()
        for name in _LOCKED:
            text = files("harness.distribution").joinpath("locks", "toxiproxy", name).read_text(encoding="utf-8")
            (source / name).write_text(text, encoding="utf-8")
        flags = ["-mod=readonly", "-trimpath", "-buildvcs=false"]
        linked = f"-s -w -X {MODULE}.Version={version.removeprefix('v')}"
        command = [go, "build", *flags, "-ldflags", linked, "-o", str(made / FILE), f"{MODULE}/cmd/server"]
        # Nothing of the user's own flags changes what is built; where modules come from is his.
        _run(command, source, {**environment, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"})
        built_with = _run([go, "env", "GOVERSION"], source, environment).strip()
        return _keep(made, cache, f"{MODULE} {version} {checksum}, {built_with}")


def take(file: Path, cache: Path) -> Toxiproxy:
    """Copies a server that is installed into the cache. Raises `UsageError` for a file that is none."""
    if not file.is_file():
        raise UsageError(f"TOXIPROXY=path:{file} is no file: name a toxiproxy-server that is installed")
    with exclusive(cache, CAPABILITY) as scratch:
        made = scratch / "made"
        made.mkdir()
        try:
            shutil.copyfile(file, made / FILE)
            (made / FILE).chmod(0o755)
        except OSError as error:
            raise UsageError(f"TOXIPROXY=path:{file} cannot be copied to {made}: {error.strerror}") from None
        try:
            return _keep(made, cache, "installed on the machine")
        except SetupError as error:
            raise UsageError(f"TOXIPROXY=path:{file} is no toxiproxy-server that runs here: {error}") from None


def _keep(made: Path, cache: Path, origin: str) -> Toxiproxy:
    said = _run([str(made / FILE), "-version"], made, {}, _VERSION_TIMEOUT_S)
    version = re.fullmatch(r"toxiproxy-server version (\S+)\s*", said)
    numbers = re.match(r"v?(\d+)\.(\d+)", version[1]) if version is not None else None
    if version is None or (numbers is not None and not OLDEST <= tuple(map(int, numbers.groups())) < TOO_NEW):
        wanted = ".".join(map(str, OLDEST))
        raise UsageError(
            f"{FILE} -version said {said.strip()[:80]!r}: that is no Toxiproxy 2 from {wanted} on: {REMEDY_PATH}"
        )
    found = Toxiproxy(home_of(cache), version[1], sha256_of(made / FILE), origin)
    about = {key: value for key, value in asdict(found).items() if key != "home"}
    (made / _ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    put_in_place(made, found.home)
    return found


def _run(command: list[str], cwd: Path, environment: Mapping[str, str], timeout_s: float = _BUILD_TIMEOUT_S) -> str:
    name = " ".join(Path(word).name if number == 0 else word for number, word in enumerate(command[:2]))
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=dict(environment),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{name} did not work for Toxiproxy: {error}") from error
    if done.returncode:
        last = "; ".join((done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-4:])
        raise SetupError(f"{name} ended with code {done.returncode} for Toxiproxy: {last}")
    return done.stdout


def main(words: list[str], environment: Mapping[str, str]) -> int:
    """Makes the server and says what it is; an exit code."""
    given = environment.get("RMQ_HARNESS_CACHE", "")
    cache = Path(given).resolve() if given else default_cache()
    wanted = words[0] if words else ""
    try:
        if wanted and not wanted.startswith("path:"):
            raise UsageError(f"TOXIPROXY={wanted} is not path:FILE: {REMEDY_PATH}, or leave it out to build one")
        made = take(Path(wanted.removeprefix("path:")).absolute(), cache) if wanted else build(cache, environment)
    except HarnessError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    print(f"toxiproxy-server {made.version}, sha256 {made.sha256} ({made.origin})")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
