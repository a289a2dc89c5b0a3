"""What the containers of a cluster do when they are killed, paused, cut off, and when their harness dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from uuid import uuid4

import pytest

from harness.cluster import Cluster, ClusterPlan
from harness.containers import look_into
from harness.core.errors import UsageError
from harness.runtime import owner as owners
from harness.runtime.base import Disk, Process
from harness.runtime.fleet import Fleet
from harness.runtime.reaper import clean
from harness.topology import load_topology
from harness.waiting import wait_for

pytestmark = pytest.mark.docker

FOREVER = ("sh", "-c", "sleep 1000; :")
"""Two processes, as the image's scripts and Java are."""


def test_a_killed_process_is_told_from_one_that_ended_in_order(runtime, image):
    runtime.add_node("a")
    pid = runtime.start("a", Process(FOREVER, image=image))
    assert Path(f"/proc/{pid}").exists()
    assert runtime.state("a").kind == "running"
    with pytest.raises(UsageError, match="already runs a process"):
        runtime.start("a", Process(FOREVER, image=image))

    runtime.signal("a", signal.SIGSTOP)
    wait_for(lambda: runtime.state("a").kind == "stopped", what="both to be stopped", timeout_s=5)
    runtime.signal("a", signal.SIGCONT)
    runtime.signal("a", signal.SIGKILL)
    assert str(runtime.wait_exit("a", 10)) == "killed by SIGKILL"


def test_an_orderly_end_is_asked_of_what_the_shells_wait_for(runtime, image):
    runtime.add_node("a")
    runtime.start("a", Process(("sh", "-c", "sh -c 'sleep 1000; exit 3'; exit $?"), image=image))
    wait_for(lambda: b"sleep 1000" in runtime.run("a", ["ps", "ax"], 5)[1], what="the sleeper", timeout_s=10)
    runtime.signal("a", signal.SIGTERM)
    assert runtime.wait_exit("a", 10).exit_code == 3


def test_the_end_that_java_chooses_comes_through_the_shells(runtime, image):
    runtime.add_node("a")
    runtime.start("a", Process(("sh", "-c", "sh -c 'exit 143'; exit $?"), image=image))
    assert runtime.wait_exit("a", 10).exit_code == 143


def test_a_node_keeps_its_address_and_is_cut_off_in_one_direction(runtime, image):
    for name in ("a", "b"):
        runtime.add_node(name)
        runtime.start(name, Process(FOREVER, image=image))
    runtime.add_node("client")
    address = runtime.nodes["a"].address
    runtime.cut(("a", "b"))
    assert not runtime.passes("a", "b")
    assert runtime.passes("b", "a")
    assert runtime.passes("client", "a")

    runtime.signal("a", signal.SIGKILL)
    runtime.wait_exit("a", 10)
    assert runtime.passes("client", "a"), "a dead process took its machine along"
    with pytest.raises(ConnectionRefusedError):
        runtime.dial("client", "a", 10911, 2)
    runtime.start("a", Process(FOREVER, image=image))
    assert not runtime.passes("a", "b"), "a restart must not heal a cut"
    runtime.heal()
    assert runtime.passes("a", "b")
    assert runtime.nodes["a"].address == address


def test_a_cut_made_before_the_first_container_holds_in_it(runtime, image):
    for name in ("a", "b"):
        runtime.add_node(name)
    runtime.cut(("a", "b"))
    runtime.start("a", Process(FOREVER, image=image))
    assert not runtime.passes("a", "b")
    assert runtime.passes("b", "a")


def test_a_container_sees_its_node_s_directories_and_the_names_of_all(runtime, image):
    runtime.add_node("a")
    runtime.write_file("a", "conf/x", b"told")
    runtime.start("a", Process(("sh", "-c", "cat /rmq/a/conf/x /etc/hosts; echo kept > /rmq/a/store/y"), image=image))
    assert runtime.wait_exit("a", 10).exit_code == 0
    assert runtime.tail("a").startswith("told127.0.0.1 localhost")
    assert "hub" in runtime.tail("a")
    assert runtime.read_file("a", "store/y") == b"kept\n"


def test_a_sized_disk_fills_up_under_a_container(runtime, image):
    runtime.add_node("a", Disk("sized", 32 << 20))
    runtime.start("a", Process(("sh", "-c", "sleep 1; cat /dev/zero > /rmq/a/store/big"), image=image))
    assert runtime.wait_exit("a", 20).exit_code != 0
    assert runtime.disk_usage("a").ratio > 0.95
    assert "No space left" in runtime.tail("a")


def test_everything_but_links_can_be_tried_where_the_harness_is_root(runtime):
    missing = {name: why for name, why in runtime.capabilities().items() if why is not None}
    if os.geteuid() == 0:
        assert set(missing) == {"toxiproxy"}


def test_nothing_goes_on_when_the_harness_is_killed(engine, image, tmp_path):
    script = (
        "import sys; from pathlib import Path; from harness.runtime.docker import DockerRuntime; "
        "from harness.runtime.base import Process; base = Path(sys.argv[3]); "
        "r = DockerRuntime.open_with(sys.argv[1], sys.argv[2], run_id=sys.argv[4], evidence=base / 'e', "
        "work_dir=base / 'w', state_dir=base / 's'); r.add_node('a'); "
        "print(r.start('a', Process(('sleep', '1000'), image=sys.argv[1])), flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", script, image, engine.url, str(tmp_path), f"test-{uuid4().hex[:8]}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None
        pid = int(harness.stdout.readline())
        harness.kill()
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), what="the node to end with its harness", timeout_s=5)
    (_path, owner), *_ = owners.records(tmp_path / "s")
    assert owner is not None
    removed = clean(tmp_path / "s")
    assert any("(a)" in line for line in removed), removed
    assert list(Fleet(engine, owners.loop_mark(owner.work_dir)).containers()) == []
    assert not Path(owner.work_dir).exists()


def test_an_image_without_rocketmq_is_refused_in_one_sentence(engine, tmp_path):
    archive = tmp_path / "empty.tar"
    with tarfile.open(archive, "w"):
        pass
    engine.import_image(archive, "rmq-harness-test:1.2.3", [])
    try:
        with pytest.raises(UsageError, match=r"'image:rmq-harness-test:1.2.3' holds no RocketMQ"):
            look_into(engine, "image:rmq-harness-test:1.2.3")
    finally:
        engine.forget_image("rmq-harness-test:1.2.3")


def test_a_cluster_comes_up_from_an_image_and_survives_a_kill(engine, image, runtime):
    release = look_into(engine, "image:rmq-harness:5.3.3")
    assert release.image == image
    assert any(name.startswith("rocketmq-broker-5.3.3") for name in release.sha256)
    assert release.inside is not None
    with Cluster(ClusterPlan(load_topology("1m"), release, release.inside.jre), runtime) as cluster:
        cluster.start()
        (broker,) = cluster.brokers()
        assert cluster.kill_node(broker).state.signal == signal.SIGKILL
        cluster.start_node(broker)
        cluster.wait_healthy()
        assert cluster.stop_node(broker).forced is False
