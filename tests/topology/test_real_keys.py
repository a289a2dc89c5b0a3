"""What is rendered is what a real broker says it runs with: asked with `-p`, which prints its settings and ends."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from harness.distribution import default_cache, obtain_jre, obtain_release
from harness.topology import NodeSpec, layout, load_topology
from harness.topology.jvm import jvm_flags
from harness.topology.logback import logback_files
from harness.topology.render import render_broker

# 5.x keeps these in a superclass, which `-p` leaves out.
NOT_PRINTED = {"brokerClusterName", "brokerName", "brokerId"}

pytestmark = pytest.mark.real


def settings(version: str, node: NodeSpec, text: str, home: Path) -> dict[str, str]:
    release = obtain_release(version, default_cache(), quiet=True)
    jre = obtain_jre("25", default_cache())
    (home / "conf").mkdir(parents=True)
    (home / "broker.conf").write_text(text)
    for name, logging in logback_files(release.version).items():
        (home / "conf" / name).write_text(logging)
    flags = [flag.replace(layout.home(node), str(home)) for flag in jvm_flags(node, jre.major)]
    jars = ":".join(str(jar) for jar in release.jars)
    main = layout.main_class(node.role, release.version)
    command = [str(jre.java), *flags, "-cp", jars, main, "-c", str(home / "broker.conf"), "-p"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    logged = "".join(path.read_text() for path in home.rglob("*.log"))
    return dict(re.findall(r"(?:^|\s)(\w+)=(\S*)", ended.stdout + ended.stderr + logged))


@pytest.mark.parametrize("version", ["4.4.0", "4.8.0", "4.9.7", "5.1.4", "5.3.3"])
@pytest.mark.parametrize("node_name", ["broker-a-0", "broker-a-1"])
def test_every_rendered_key_is_in_force_and_every_stated_default_is_one(version: str, node_name: str, tmp_path: Path):
    topology = load_topology("2m-2s-sync")
    node = topology.node(node_name)
    addresses = {each.name: f"127.0.0.{number}" for number, each in enumerate(topology.nodes, 10)}
    release = obtain_release(version, default_cache(), quiet=True)
    result = render_broker(node, topology, release.version, addresses)

    ours = settings(version, node, result.text, tmp_path / "ours")
    printed = {key: value for key, value in result.conf.items() if key not in NOT_PRINTED}
    assert {key: ours.get(key) for key in printed} == printed

    place = ("brokerName", "brokerId", "brokerRole", "namesrvAddr", "brokerIP1")
    plain = "".join(f"{key}={result.conf[key]}\n" for key in place)
    defaults = settings(version, node, plain, tmp_path / "plain")
    stated = {deviation.key: deviation.default.replace("not set", "") for deviation in result.deviations}
    assert {key: defaults.get(key) for key in stated} == stated
