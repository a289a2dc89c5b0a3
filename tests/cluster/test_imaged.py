"""The command line of a node that is started from an image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.cluster.imaged import image_process
from harness.core.errors import SetupError
from harness.core.version import Version
from harness.distribution import Inside, Jre, Release
from harness.topology import load_topology
from harness.topology.jvm import jvm_flags

JAVA = Jre("image", 21, "21.0.1", "b", Path("/opt/java"), Path(), Path())
RELEASE = Release("image:x:5.3.3", Version(5, 3, 3), image="sha256:1", inside=Inside("/h/bin", "/h", JAVA))


def node(broker):
    return next(node for node in load_topology("1m").nodes if node.is_broker is broker)


@pytest.mark.parametrize(("broker", "script"), [(True, "mqbroker"), (False, "mqnamesrv")])
def test_the_image_s_own_script_is_told_our_options_last(broker, script):
    spec = node(broker)
    process = image_process(spec, RELEASE, (*jvm_flags(spec, 21), "-Dlast=1"))
    assert process.argv[:3] == ("sh", script, "-c")
    assert process.argv[3].startswith(f"/rmq/{spec.name}/conf/")
    assert (process.image, process.cwd, process.env["ROCKETMQ_HOME"]) == ("sha256:1", "/h/bin", "/h")
    options = process.env["JAVA_OPT_EXT"].split()
    assert options[-1] == "-Dlast=1"
    assert f"-Drocketmq.home.dir=/rmq/{spec.name}" in options
    assert {option for option in options if option.endswith("GC")} == {"-XX:-UseG1GC", "-XX:+UseSerialGC"}


def test_an_old_java_is_told_to_leave_the_collectors_of_its_scripts():
    old = replace(RELEASE, inside=replace(RELEASE.inside, jre=replace(JAVA, major=8)))
    options = image_process(node(False), old, jvm_flags(node(False), 8)).env["JAVA_OPT_EXT"].split()
    assert {"-XX:-UseG1GC", "-XX:-UseConcMarkSweepGC", "-XX:-UseParNewGC", "-XX:+UseSerialGC"} <= set(options)
    stock = image_process(node(False), old, jvm_flags(node(False), 8, stock=True)).env["JAVA_OPT_EXT"].split()
    assert not [option for option in stock if option.endswith("GC")], "a stock node keeps what its scripts choose"


def test_the_young_generation_fits_into_the_heap():
    for broker in (True, False):
        options = image_process(node(broker), RELEASE, jvm_flags(node(broker), 21)).env["JAVA_OPT_EXT"].split()
        told = {option[:4]: int(option[4:-1]) for option in options if option[:4] in ("-Xmn", "-Xms", "-Xmx")}
        assert told["-Xmn"] < told["-Xms"] <= told["-Xmx"]


def test_what_a_script_would_split_is_refused():
    with pytest.raises(SetupError, match="'-Da=b c' has a blank in it"):
        image_process(node(True), RELEASE, ("-Da=b c",))


def test_an_image_that_was_not_looked_into_starts_nothing():
    with pytest.raises(SetupError, match="no image that was looked into"):
        image_process(node(True), Release("5.3.3", Version(5, 3, 3)), ())
