"""What is seen in an image, and what is said of one that is not what it should be."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace

import pytest

from harness import containers
from harness.containers import look_into
from harness.core.errors import SetupError, UsageError
from harness.core.version import Version
from harness.runtime.engine import Image
from harness.settings import Settings
from harness.topology import keys, load_topology

DIGEST = "sha256:" + "ab" * 32
WHOLE = f"""home /home/rocketmq/rocketmq-5.3.3
script mqbroker
script mqnamesrv
heeds mqbroker
heeds mqnamesrv
{"1" * 64}  /home/rocketmq/rocketmq-5.3.3/lib/rocketmq-broker-5.3.3.jar
{"2" * 64}  /home/rocketmq/rocketmq-5.3.3/lib/rocketmq-common-5.3.3.jar
{"3" * 64}  /home/rocketmq/rocketmq-5.3.3/lib/rocketmq-namesrv-5.3.3.jar
{"4" * 64}  /home/rocketmq/rocketmq-5.3.3/lib/rocketmq-remoting-5.3.3.jar
{"5" * 64}  /home/rocketmq/rocketmq-5.3.3/lib/rocketmq-store-5.3.3.jar
{"6" * 64}  /home/rocketmq/rocketmq-5.3.3/lib/rocketmq-slf4j-api-1.0.1.jar
java_home /opt/java/openjdk
openjdk version "1.8.0_422"
OpenJDK Runtime Environment (Temurin)(build 1.8.0_422-b05)
word chroot
word sleep
word sha256sum
looked
"""


class Looked:
    """An engine with one image, in which a look shows this."""

    def __init__(self, shown: str = "", error: str = "") -> None:
        self._shown, self._error = shown, error

    url = "unix:///x"

    def close(self):
        pass

    def forget_lookers(self):
        pass

    def image(self, reference):
        return Image(reference, DIGEST)

    def output_of(self, image, _script, _words=()):
        assert image == DIGEST, "what is looked into is what will be run"
        if self._error:
            raise UsageError(self._error)
        return self._shown


def test_a_whole_image_is_described_by_what_was_seen_in_it():
    release = look_into(Looked(WHOLE), "image:apache/rocketmq:5.3.3")
    assert (release.image, release.version, release.label) == (DIGEST, (5, 3, 3), "image:apache/rocketmq:5.3.3")
    assert release.sha256["rocketmq-common-5.3.3.jar"] == "2" * 64
    assert release.sha256["image:apache/rocketmq:5.3.3"] == "ab" * 32
    inside = release.inside
    assert inside is not None
    assert inside.scripts == "/home/rocketmq/rocketmq-5.3.3/bin"
    assert (inside.jre.major, inside.jre.version, str(inside.jre.home)) == (8, "1.8.0_422", "/opt/java/openjdk")
    assert "rocketmq-common-5.3.3.jar" in release.own_jars


@pytest.mark.parametrize(
    ("taken", "put", "said"),
    [
        ("script mqbroker\n", "", "bin/mqbroker and bin/mqnamesrv was not seen"),
        ("rocketmq-broker-5.3.3.jar", "other.jar", "one lib/rocketmq-broker-VERSION.jar was not seen"),
        ("rocketmq-broker-5.3.3.jar", "rocketmq-broker-5.4.0.jar", "says 5.3.3 by its tag and holds RocketMQ 5.4.0"),
        ('openjdk version "1.8.0_422"\n', "", "no Java that tells its version: set JAVA_HOME"),
        ("word chroot\n", "", "lacks chroot"),
        ("word sha256sum\n", "", "lacks sha256sum"),
        ("heeds mqnamesrv\n", "", "has a bin/mqnamesrv that takes no JAVA_OPT_EXT"),
        ("rocketmq-store-5.3.3.jar", "x.jar", "no rocketmq-store-5.3.3.jar: it is no whole RocketMQ 5.3.3"),
        ("slf4j-api-1.0.1.jar", "store-4.9.7.jar", "rocketmq-store-4.9.7.jar beside those of 5.3.3"),
    ],
)
def test_what_an_image_lacks_is_said_in_one_sentence(taken, put, said):
    with pytest.raises(UsageError, match=r"--rocketmq 'image:x:5.3.3' ") as refused:
        look_into(Looked(WHOLE.replace(taken, put)), "image:x:5.3.3")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_look_sees_whether_scripts_take_the_harness_s_options(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib").mkdir()
    for name, text in {
        "mqbroker": "sh runbroker.sh",
        "runbroker.sh": 'JAVA_OPT="${JAVA_OPT} ${JAVA_OPT_EXT}"\njava ${JAVA_OPT}',
        "mqnamesrv": "sh runserver.sh",
        "runserver.sh": "# no JAVA_OPT_EXT here\njava ${JAVA_OPT}",
    }.items():
        (tmp_path / "bin" / name).write_text(text)
    environment = {"ROCKETMQ_HOME": str(tmp_path), "PATH": os.defpath}
    done = subprocess.run(["sh", "-c", containers._LOOK], env=environment, capture_output=True, text=True, check=True)
    heeds = [line for line in done.stdout.splitlines() if line.startswith("heeds ")]
    assert heeds == ["heeds mqbroker"]


def test_one_in_which_nothing_can_be_run_holds_no_rocketmq():
    with pytest.raises(UsageError, match=r"--upgrade-to 'image:x:5.3.3' holds no RocketMQ .*: exec sh: not found"):
        look_into(Looked(error="exec sh: not found"), "image:x:5.3.3", "upgrade-to")


def test_a_candidate_is_known_by_its_suffix():
    shown = WHOLE.replace("5.3.3.jar", "5.3.4-SNAPSHOT.jar")
    assert str(look_into(Looked(shown), "image:x:5.3.4-SNAPSHOT").version) == "5.3.4-SNAPSHOT"


def test_jvm_options_are_tried_on_the_image_s_java():
    release = look_into(Looked(WHOLE), "image:x:5.3.3")

    settings = SimpleNamespace(jvm_opts={"broker": ("-Xint",), "namesrv": ()})
    containers._check_jvm_opts(settings, Looked(WHOLE), release)
    said = r"--jvm-opt -Xint \(of the broker\): the Java of image:x:5.3.3 .*'Unrecognized option'"
    with pytest.raises(UsageError, match=said):
        containers._check_jvm_opts(settings, Looked("Unrecognized option\n"), release)
    settings.jvm_opts = {"broker": ("-Da=b c",)}
    with pytest.raises(UsageError, match="take no option with a blank"):
        containers._check_jvm_opts(settings, Looked(WHOLE), release)


class Refusing(Looked):
    def image(self, reference):
        raise UsageError(f"{reference!r} names no image")


def test_a_name_that_names_no_image_is_told_with_its_option():
    with pytest.raises(UsageError, match=r"--upgrade-to 'image:X:5.3.3': 'X:5.3.3' names no image"):
        look_into(Refusing(), "image:X:5.3.3", "upgrade-to")


def test_a_daemon_that_fails_is_not_taken_for_a_bad_image():
    class Failing(Looked):
        def output_of(self, *_words):
            raise SetupError("looking into the image: the Docker daemon says: gone")

    with pytest.raises(SetupError, match="the Docker daemon says: gone"):
        look_into(Failing(), "image:x:5.3.3")


class Two(Looked):
    """Two images of two Javas: the second one's refuses an option."""

    def image(self, reference):
        return Image(reference, f"{DIGEST}-{reference}")

    def output_of(self, image, _script, words=()):
        if words:
            return "Unrecognized option" if image.endswith("5.5.0") else WHOLE
        return WHOLE.replace("5.3.3", "5.5.0") if image.endswith("5.5.0") else WHOLE


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setattr(containers.Engine, "connect", lambda *_words: Two())
    monkeypatch.setattr(containers, "probe_capabilities", lambda *_words: {})
    monkeypatch.setattr(containers, "warm", lambda *_words, **_more: None)
    monkeypatch.setattr(containers, "obtain_kit", lambda _settings: None)


def settings_of(**more):
    asked = {"rocketmq": "image:x:5.3.3", "upgrade_to": "image:x:5.5.0", "jvm_opts": {}, "broker_conf": {}}
    asked |= {"namesrv_conf": {}, "cache": None, "state": None, "keep": False, "fresh_clusters": True}
    return Settings(
        topology=load_topology("1m"),
        runtime="docker",
        java="image",
        client="java",
        seed=1,
        timers="fast",
        reports=None,
        **asked | more,
    )


@pytest.mark.usefixtures("two")
def test_what_the_second_release_s_java_refuses_is_told_before_nodes_are_moved_to_it():
    with pytest.raises(UsageError, match=r"--jvm-opt -Xnew .* the Java of image:x:5.5.0 does not start"):
        containers.equip_containers(settings_of(jvm_opts={"broker": ("-Xnew",)}), print, ())


@pytest.mark.usefixtures("two")
def test_a_key_that_one_of_the_two_releases_knows_is_no_mistake_and_is_told(monkeypatch):
    monkeypatch.setattr(keys, "knows", lambda _server, _key, version: version >= (5, 5))
    told = []
    made = containers.equip_containers(settings_of(broker_conf={"newKey": "1"}), told.append, ())
    assert made.upgrade is not None
    assert any("newKey=1: counts with RocketMQ 5.5.0 alone" in line for line in told)


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("x", "does not say which RocketMQ it holds"),
        ("x:5.3.2", "the tag must be the version that is in it: write NAME:5.3.3"),
        ("x:5.3.3@sha256:00", "the tag must be the version"),
        ("apache/rocketmq:5.3.3", "is the name of the official image"),
    ],
)
def test_an_image_is_not_made_under_a_name_that_lies(tag, said, tmp_path, monkeypatch):
    monkeypatch.setattr(containers.Engine, "connect", lambda: pytest.fail("it is told before a daemon is looked for"))
    with pytest.raises(UsageError, match=said):
        containers.build_image("5.3.3", "25", tag, cache=tmp_path, say=print)


@pytest.mark.parametrize(("home", "name"), [(None, "rmq-harness:5.3.3"), ("/x", "rmq-harness-candidate:5.3.3")])
def test_a_candidate_does_not_take_the_name_of_the_release_that_it_would_be(home, name, tmp_path, monkeypatch):
    class Importing(Looked):
        def import_image(self, _archive, reference, _changes):
            return Image(reference, DIGEST)

    def pack(*words):
        words[-1].write_bytes(b"")
        return SimpleNamespace(changes=())

    monkeypatch.setattr(containers.Engine, "connect", lambda: Importing())
    release = SimpleNamespace(version=Version(5, 3, 3), home=home)
    monkeypatch.setattr(containers, "obtain_release", lambda *_words: release)
    monkeypatch.setattr(containers, "obtain_jre", lambda *_words: SimpleNamespace(version="25"))
    monkeypatch.setattr(containers, "pack", pack)
    version = "5.3.3" if home is None else f"path:{home}"
    assert containers.build_image(version, "25", None, cache=tmp_path, say=lambda _text: None).reference == name
