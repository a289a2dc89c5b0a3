"""The gRPC client in the cache: brought once, for this Python, and seen to be importable. Nothing is downloaded."""

from __future__ import annotations

import base64
import hashlib
import shutil
import sys

import pytest

from harness.core.errors import SetupError
from harness.distribution import grpclib
from harness.distribution.grpclib import obtain_grpc


def installing(text: str = "", log: list[str] | None = None):
    def install(pins, target):
        if log is not None:
            log.append(pins.read_text())
        (target / "rocketmq").mkdir(parents=True)
        (target / "rocketmq" / "__init__.py").write_text(text)
        for pin in grpclib.lock_text().splitlines():
            if "==" in pin:
                put_wheel(target, *pin.rstrip(" \\").split("=="))

    return install


def put_wheel(target, name, version):
    """What pip leaves of a wheel: its record, which here lists the client's one file."""
    about = target / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    digest = hashlib.sha256((target / "rocketmq" / "__init__.py").read_bytes()).digest()
    told = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    mine = f"rocketmq/__init__.py,sha256={told},1\n" if name == grpclib.PACKAGE else ""
    (about / "RECORD").write_text(mine + f"{about.name}/RECORD,,\n../../bin/tool,sha256=x,1\n")


def unasked(*_):
    pytest.fail("brought what is there")


def test_it_is_brought_once_and_by_its_lock_file(cache):
    log: list[str] = []
    found = obtain_grpc(cache, install=installing(log=log))
    assert log == [grpclib.lock_text()]
    assert found.version == "5.1.2"
    assert sys.implementation.cache_tag in found.home.name
    assert obtain_grpc(cache, install=unasked) == found


def test_every_line_of_the_lock_is_pinned_and_hashed_and_names_no_place():
    lock = grpclib.lock_text()
    heads = [line for line in lock.splitlines() if line and not line.startswith(" ")]
    assert all("==" in head and head.endswith(" \\") for head in heads)
    assert lock.count("--hash=sha256:") >= len(heads)
    assert "://" not in lock
    assert not any(head.startswith("grpcio-tools") for head in heads)


def test_what_cannot_be_imported_is_said_with_the_remedy(cache):
    broken = installing("raise ImportError('no libfoo')")
    with pytest.raises(SetupError, match=r"cannot be imported: ImportError: no libfoo\. Remove that directory, or use"):
        obtain_grpc(cache, install=broken)


def test_one_that_crashes_is_not_taken_at_its_last_words(cache):
    crashing = installing(
        "import os, sys\nsys.stderr.write('some warning\\n')\nsys.stderr.flush()\nos.kill(os.getpid(), 9)"
    )
    with pytest.raises(SetupError, match=r"cannot be imported: some warning; exit code -9\. Remove"):
        obtain_grpc(cache, install=crashing)


def other_version(home):
    about = next(home.glob("grpcio-*.dist-info"))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: grpcio\nVersion: 1.0\n")


@pytest.mark.parametrize(
    ("hurt", "told"),
    [
        (lambda home: (home / "rocketmq" / "__init__.py").write_text("#"), "rocketmq/__init__.py was changed"),
        (lambda home: (home / "rocketmq" / "__init__.py").unlink(), "rocketmq/__init__.py is missing"),
        (other_version, "grpcio is 1.0, and 1"),
        (lambda home: shutil.rmtree(next(home.glob("protobuf-*"))), "protobuf is not there"),
    ],
)
def test_what_is_in_the_cache_is_what_was_put_there_and_of_the_version_that_is_recorded(cache, hurt, told):
    hurt(obtain_grpc(cache, install=installing()).home)
    with pytest.raises(SetupError, match=rf"is not what was put there: {told}.*Remove that directory"):
        obtain_grpc(cache, install=unasked)


def test_its_log_does_not_go_to_the_users_home(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    obtain_grpc(cache, install=installing("import os\nos.makedirs(os.path.expanduser('~/logs'))"))
    assert not (tmp_path / "home").exists()


def test_pip_that_fails_is_quoted(cache, monkeypatch):
    monkeypatch.setattr(grpclib.sys, "executable", "/bin/false")
    with pytest.raises(SetupError, match="could not be had with pip"):
        grpclib.install_with_pip(cache / "pins.txt", cache / "built")
