"""The archive of which an image is made: the official layout, and everything its programs need."""

from __future__ import annotations

import tarfile

import pytest

from harness.core.errors import SetupError
from harness.core.version import Version
from harness.distribution import Release, image
from harness.distribution.image import pack
from harness.distribution.jre import Jre

MAINS = {"mqnamesrv": "a.Namesrv", "mqbroker": "a.Broker", "mqadmin": "a.Admin"}


@pytest.fixture
def packed(tmp_path):
    jar = tmp_path / "rocketmq-broker-5.3.3.jar"
    jar.write_bytes(b"jar")
    home = tmp_path / "java"
    (home / "bin").mkdir(parents=True)
    (home / "lib").mkdir()
    (home / "bin/java").write_text("#!/bin/sh\n")
    (home / "bin/java").chmod(0o755)
    jre = Jre("25", 25, "25.0.2", "b", home, home / "bin/java", home)
    release = Release("5.3.3", Version(5, 3, 3), (jar,))
    archive = tmp_path / "image.tar"
    made = pack(release, jre, {"logback_broker.xml": "<x/>"}, MAINS, archive)
    with tarfile.open(archive) as tar:
        yield made, {member.name: member for member in tar}, lambda name: tar.extractfile(name).read().decode()


def test_it_has_the_official_layout(packed):
    _made, members, text = packed
    home = "home/rocketmq/rocketmq-5.3.3"
    assert members[f"{home}/lib/rocketmq-broker-5.3.3.jar"].size == 3
    assert text(f"{home}/conf/logback_broker.xml") == "<x/>"
    assert members[home].uid == 3000
    assert "rocketmq:x:3000:3000" in text("etc/passwd")
    assert members["usr/lib/jvm/java/bin/java"].mode & 0o111
    for script in ("mqbroker", "mqnamesrv", "mqadmin"):
        assert members[f"{home}/bin/{script}"].mode & 0o111
        assert MAINS[script] in text(f"{home}/bin/{script}")


def test_our_options_come_after_the_script_s_own(packed):
    _made, _members, text = packed
    for script in ("runbroker.sh", "runserver.sh", "tools.sh"):
        lines = text(f"home/rocketmq/rocketmq-5.3.3/bin/{script}")
        assert lines.index("-Xmx") < lines.index("${JAVA_OPT_EXT}") < lines.index('"$@"')


def test_the_programs_bring_the_libraries_that_they_name(packed):
    _made, members, _text = packed
    assert {"bin/sh", "bin/chroot", "bin/sleep", "bin/sha256sum"} <= set(members)
    assert any("libc.so" in name for name in members)


def test_the_image_is_told_where_it_is_and_who_runs_in_it(packed):
    made, _members, _text = packed
    assert "USER 3000" in made.changes
    assert "WORKDIR /home/rocketmq/rocketmq-5.3.3/bin" in made.changes
    assert any("JAVA_HOME=/usr/lib/jvm/java " in change for change in made.changes)


def test_a_machine_without_a_shell_is_told_so(monkeypatch):
    monkeypatch.setattr(image.shutil, "which", lambda name, **_more: None if name == "sh" else "/bin/true")
    with pytest.raises(SetupError, match="an image needs sh of this machine"):
        image._programs()


def test_a_machine_without_ldd_is_told_so(monkeypatch):
    def nowhere(*_words, **_more):
        raise FileNotFoundError(2, "No such file or directory", "ldd")

    monkeypatch.setattr(image.subprocess, "run", nowhere)
    with pytest.raises(SetupError, match="what `ldd` of this machine names, and it cannot be run"):
        list(image._named_by("/bin/true"))
