"""The C++ client in the cache: pinned, verified, seen to load. Nothing is downloaded and no real library is loaded."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from dataclasses import replace

import pytest

from harness.core.errors import SetupError
from harness.distribution import cpplib
from harness.distribution.cpplib import fetch_cpp, obtain_cpp, pinned, see_it_load

LIBRARY = b"a library"


@pytest.fixture(autouse=True)
def pin(monkeypatch):
    made = replace(pinned(), library_sha256=hashlib.sha256(LIBRARY).hexdigest())
    monkeypatch.setattr(cpplib, "pinned", lambda: made)
    return made


def wheel(client="", library=LIBRARY):
    def fetch(_wheel, scratch):
        file = scratch / "a.whl"
        with zipfile.ZipFile(file, "w") as archive:
            names = {"rocketmq/__init__.py": "", "rocketmq/client.py": client, "samples/producer.py": "import nonsense"}
            for name, text in (names | {"rocketmq/librocketmq.so": library, "rocketmq/.libs/libz.so": b"z"}).items():
                archive.writestr(name, text)
        return file

    return fetch


def unasked(*_):
    pytest.fail("downloaded what is there")


def test_it_is_unpacked_once_and_nothing_but_the_package(cache):
    found = obtain_cpp(cache, machine="x86_64", fetch=wheel())
    assert (found.version, found.library) == ("0.5.0rc2", "bundled")
    assert [entry.name for entry in found.home.iterdir()] == ["rocketmq"]
    assert obtain_cpp(cache, machine="x86_64", fetch=unasked) == found


def test_a_library_that_was_changed_in_the_cache_is_brought_anew(cache):
    found = obtain_cpp(cache, machine="x86_64", fetch=wheel())
    library = found.home / "rocketmq" / "librocketmq.so"
    library.write_bytes(b"another library")
    obtain_cpp(cache, machine="x86_64", fetch=wheel())
    assert library.read_bytes() == LIBRARY


def test_a_wheel_with_another_library_is_refused(cache):
    with pytest.raises(SetupError, match="does not hold the library that its lock file names"):
        obtain_cpp(cache, machine="x86_64", fetch=wheel(library=b"another"))


def test_elsewhere_the_python_layer_stands_on_an_installed_library(cache, monkeypatch):
    monkeypatch.setattr("ctypes.util.find_library", {"rocketmq": "librocketmq.so.2"}.get)
    found = obtain_cpp(cache, machine="aarch64", fetch=wheel())
    assert found.library == "librocketmq.so.2"
    assert sorted(entry.name for entry in (found.home / "rocketmq").iterdir()) == ["__init__.py", "client.py"]
    assert obtain_cpp(cache, machine="x86_64", fetch=wheel()).home != found.home


def test_elsewhere_without_one_that_is_said_before_anything_is_downloaded(cache, monkeypatch):
    monkeypatch.setattr("ctypes.util.find_library", lambda _name: None)
    with pytest.raises(SetupError, match=r"for x86_64 alone, and no librocketmq is installed.*--client java"):
        obtain_cpp(cache, machine="aarch64", fetch=unasked)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("raise OSError('no libfoo.so.1')", "exited with code 1: OSError: no libfoo.so.1"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV: it said nothing"),
    ],
    ids=["missing", "crash"],
)
def test_a_library_that_cannot_be_loaded_is_one_clear_error(cache, client, words):
    with pytest.raises(SetupError, match=words) as refused:
        obtain_cpp(cache, machine="x86_64", fetch=wheel(client=client))
    assert "use --client java or --client remoting" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_one_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(cpplib, "_LOAD_TIMEOUT_S", 0.5)
    (tmp_path / "rocketmq").mkdir()
    (tmp_path / "rocketmq" / "__init__.py").touch()
    (tmp_path / "rocketmq" / "client.py").write_text("import threading; threading.Event().wait()")
    with pytest.raises(SetupError, match=r"did not end within 0\.5 s"):
        see_it_load(tmp_path)


def test_the_pin_is_one_wheel_with_its_hash_and_pip_is_asked_for_it_on_any_machine(tmp_path, monkeypatch):
    seen = tmp_path / "argv"
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho \"$@\" > {seen}\necho 'no such wheel' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(SetupError, match=r"rocketmq-client-python 0\.5\.0rc2 could not be downloaded.*no such wheel"):
        fetch_cpp(pinned().wheel, tmp_path)
    assert "--platform manylinux1_x86_64" in seen.read_text()
    (line,) = (tmp_path / "pins.txt").read_text().splitlines()
    assert line.startswith("rocketmq-client-python==0.5.0rc2 --hash=sha256:")
