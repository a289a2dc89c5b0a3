"""What is seen in an image, and what is said of one that is not what it should be."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness import containers
from harness.containers import look_into
from harness.core.errors import UsageError
from harness.runtime.engine import Image

DIGEST = "sha256:" + "ab" * 32
WHOLE = f"""home /home/rocketmq/rocketmq-5.3.3
script mqbroker
script mqnamesrv
{"1" * 64}  /home/rocketmq/rocketmq-5.3.3/lib/rocketmq-broker-5.3.3.jar
{"2" * 64}  /home/rocketmq/rocketmq-5.3.3/lib/rocketmq-common-5.3.3.jar
java_home /opt/java/openjdk
openjdk version "1.8.0_422"
OpenJDK Runtime Environment (Temurin)(build 1.8.0_422-b05)
word chroot
word sleep
looked
"""


class Looked:
    """An engine with one image, in which a look shows this."""

    def __init__(self, shown: str = "", error: str = "") -> None:
        self._shown, self._error = shown, error

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
    ],
)
def test_what_an_image_lacks_is_said_in_one_sentence(taken, put, said):
    with pytest.raises(UsageError, match=r"--rocketmq 'image:x:5.3.3' ") as refused:
        look_into(Looked(WHOLE.replace(taken, put)), "image:x:5.3.3")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_one_in_which_nothing_can_be_run_holds_no_rocketmq():
    with pytest.raises(UsageError, match=r"--upgrade-to 'image:x:5.3.3' holds no RocketMQ .*: exec sh: not found"):
        look_into(Looked(error="exec sh: not found"), "image:x:5.3.3", "upgrade-to")


def test_a_candidate_is_known_by_its_suffix():
    shown = WHOLE.replace("broker-5.3.3.jar", "broker-5.3.4-SNAPSHOT.jar")
    assert str(look_into(Looked(shown), "image:x:5.3.4-SNAPSHOT").version) == "5.3.4-SNAPSHOT"


def test_jvm_options_are_tried_on_the_image_s_java():
    release = look_into(Looked(WHOLE), "image:x:5.3.3")

    settings = SimpleNamespace(jvm_opts={"broker": ("-Xint",), "namesrv": ()})
    containers._check_jvm_opts(settings, Looked(WHOLE), release)
    with pytest.raises(UsageError, match=r"--jvm-opt -Xint \(of the broker\): .*'Unrecognized option'"):
        containers._check_jvm_opts(settings, Looked("Unrecognized option\n"), release)
    settings.jvm_opts = {"broker": ("-Da=b c",)}
    with pytest.raises(UsageError, match="take no option with a blank"):
        containers._check_jvm_opts(settings, Looked(WHOLE), release)
