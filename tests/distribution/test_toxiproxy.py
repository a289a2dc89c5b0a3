"""Toxiproxy's server: what is locked, what is kept, and what is said where there is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.core.errors import CapabilityMissing, SetupError, UsageError
from harness.distribution import toxiproxy

SAYS = "#!/bin/sh\necho toxiproxy-server version 2.9.9\n"


def program(path: Path, text: str = SAYS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_lock_names_one_version_and_its_checksum():
    version, checksum = toxiproxy.locked()
    assert version == "v2.5.0"
    assert checksum.startswith("h1:")


def test_without_one_the_capability_is_missing_and_the_remedy_is_named(tmp_path):
    with pytest.raises(CapabilityMissing, match=r"no toxiproxy-server is in the cache: run `make") as missing:
        toxiproxy.find(tmp_path)
    assert missing.value.capability == "toxiproxy"


def test_one_that_is_installed_is_taken_and_found_again(tmp_path):
    taken = toxiproxy.take(program(tmp_path / "bin" / "tp"), tmp_path / "cache")
    assert (taken.version, taken.origin) == ("2.9.9", "installed on the machine")
    assert toxiproxy.find(tmp_path / "cache") == taken
    assert str(tmp_path) not in json.dumps(taken.facts)


def test_one_that_was_altered_since_is_none(tmp_path):
    taken = toxiproxy.take(program(tmp_path / "bin" / "tp"), tmp_path / "cache")
    program(taken.home / toxiproxy.FILE, SAYS + "# more\n")
    with pytest.raises(CapabilityMissing, match=r"has sha256 .*, .* was recorded"):
        toxiproxy.find(tmp_path / "cache")


def test_what_is_no_toxiproxy_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is no file"):
        toxiproxy.take(tmp_path / "nothing", tmp_path / "cache")
    with pytest.raises(UsageError, match="said 'hello': that is no Toxiproxy"):
        toxiproxy.take(program(tmp_path / "bin" / "tp", "#!/bin/sh\necho hello\n"), tmp_path / "cache")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\nexec sleep 600\n", "is no toxiproxy-server that runs here: .* timed out"),
        ("#!/bin/sh\nprintf '\\377\\376'\n", "that is no Toxiproxy 2 from 2.2 on: make toxiproxy"),
        ("#!/bin/sh\necho toxiproxy-server version 2.1.4\n", "version 2.1.4': that is no Toxiproxy 2 from 2.2 on"),
        ("#!/bin/sh\necho toxiproxy-server version 3.0.0\n", "version 3.0.0': that is no Toxiproxy 2 from 2.2 on"),
        ("#!/bin/sh\necho trouble >&2; exit 3\n", "is no toxiproxy-server that runs here: .* code 3 .*trouble"),
        ("\x7fELF, but no program", "is no toxiproxy-server that runs here: .*Exec format error"),
    ],
)
def test_nor_is_what_hangs_or_cannot_run_or_is_of_another_time(tmp_path, monkeypatch, text, said):
    monkeypatch.setattr(toxiproxy, "_VERSION_TIMEOUT_S", 0.5)
    file = program(tmp_path / "bin" / "tp", text)
    with pytest.raises(UsageError, match=said):
        toxiproxy.take(file, tmp_path / "cache")
    assert not (tmp_path / "cache" / "toxiproxy").exists()


@pytest.mark.parametrize("version", ["2.2.0", "2.12.0", "v2.9.0-rc1", "git"])
def test_one_whose_version_is_new_enough_or_is_no_number_is_taken(tmp_path, version):
    file = program(tmp_path / "bin" / "tp", f"#!/bin/sh\necho toxiproxy-server version {version}\n")
    assert toxiproxy.take(file, tmp_path / "cache").version == version


def test_one_that_cannot_be_copied_is_told_without_a_traceback(tmp_path, monkeypatch, capsys):
    def refused(*_words):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(toxiproxy.shutil, "copyfile", refused)
    file = program(tmp_path / "bin" / "tp")
    assert toxiproxy.main([f"path:{file}"], {"RMQ_HARNESS_CACHE": str(tmp_path / "cache")}) == 4
    assert "cannot be copied to" in capsys.readouterr().err


def test_without_go_it_says_what_to_install(tmp_path):
    with pytest.raises(SetupError, match=r"no `go` is on the PATH: install Go 1.19 or newer"):
        toxiproxy.build(tmp_path, {"PATH": str(tmp_path)})


def test_it_is_built_as_locked_and_what_go_says_is_told(tmp_path):
    go = program(
        tmp_path / "go" / "go",
        "#!/bin/sh\nif [ $1 = env ]; then echo go9.9; exit; fi\n"
        'test -s go.sum && test "$CGO_ENABLED$GOFLAGS" = 0 || exit 3\n'
        'while [ "$1" != -o ]; do shift; done\nprintf "#!/bin/sh\\necho toxiproxy-server version 2.5.0\\n" > "$2"\n'
        'chmod 755 "$2"\n',
    )
    environment = {"PATH": f"{go.parent}:{os.defpath}", "GOFLAGS": "-mod=mod"}
    built = toxiproxy.build(tmp_path / "cache", environment)
    assert built.version == "2.5.0"
    assert "v2.5.0 h1:" in built.origin
    assert built.origin.endswith("go9.9")
    program(go, "#!/bin/sh\necho 'verifying module: checksum mismatch' >&2; exit 1\n")
    with pytest.raises(SetupError, match="go build ended with code 1 for Toxiproxy: verifying module: checksum"):
        toxiproxy.build(tmp_path / "other", environment)
    assert not (tmp_path / "other" / "toxiproxy").exists()


def test_what_make_is_told(tmp_path, capsys):
    place = {"RMQ_HARNESS_CACHE": str(tmp_path / "cache"), "PATH": str(tmp_path)}
    assert toxiproxy.main(["path:" + str(program(tmp_path / "bin" / "tp"))], place) == 0
    assert "toxiproxy-server 2.9.9, sha256" in capsys.readouterr().out
    assert toxiproxy.main(["/usr/bin/tp"], place) == 4
    assert "is not path:FILE" in capsys.readouterr().err
    assert toxiproxy.main([], place) == 6
