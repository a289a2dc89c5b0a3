"""Proxies of a cluster: the last to come up, waited for until they route, and looked at where health is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.core.errors import SetupError, WaitTimeout
from tests.cluster.conftest import MakeCluster, starts

NAME = "2m-2s-sync-proxy"


def test_they_start_when_every_topic_is_routed_and_from_jars_of_their_own(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(NAME, "5.3.3")
    cluster.start()
    order = starts(runtime.log)
    assert max(order[node] for node in cluster.brokers()) < min(order["proxy-1"], order["proxy-2"])
    process = runtime.processes["proxy-1"]
    assert process.env == {"RMQ_PROXY_HOME": "/rmq/proxy-1"}
    assert process.argv[-3:] == ("org.apache.rocketmq.proxy.ProxyStartup", "-pc", "/rmq/proxy-1/conf/rmq-proxy.json")
    assert process.argv[process.argv.index("-cp") + 1].endswith("/c.jar")
    conf = json.loads(runtime.files["proxy-2", "conf/rmq-proxy.json"])
    assert (conf["proxyName"], conf["proxyMode"]) == ("proxy-2", "CLUSTER")
    assert conf["localServeAddr"] == cluster.ip("proxy-2")
    assert conf["namesrvAddr"] == cluster.nameserver_list()
    assert cluster.proxy_list() == f"{cluster.ip('proxy-1')}:8081;{cluster.ip('proxy-2')}:8081"
    assert cluster.health().ok


def test_a_proxy_that_does_not_route_is_waited_for_and_named(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(NAME, "5.3.3", deadline_s=0.5)
    runtime.add_node("proxy-1")
    runtime.server("proxy-1").register = lambda *_: None
    with pytest.raises(WaitTimeout, match="proxy-1 does not route t to broker-a, broker-b"):
        cluster.start()


def test_a_dead_one_and_a_forgetful_one_are_ill_health(make_cluster: MakeCluster) -> None:
    cluster, runtime = make_cluster(NAME, "5.3.3")
    cluster.start()
    cluster.kill_node("proxy-1")
    runtime.server("proxy-2").unregister("broker-b", 0)
    runtime.server("proxy-2").unregister("broker-b", 1)
    problems = cluster.health().problems
    assert "proxy-1 is not running: killed by SIGKILL" in problems
    assert "proxy-2 does not route t to broker-b" in problems
    assert not any("broker-a" in problem for problem in problems)


def test_without_their_jars_they_are_not_started(make_cluster: MakeCluster) -> None:
    cluster, _ = make_cluster(NAME, "5.3.3")
    cluster.plan = replace(cluster.plan, release=replace(cluster.plan.release, proxy=()))
    cluster._provision._plan = cluster.plan
    with pytest.raises(SetupError, match="no jars of a proxy were obtained"):
        cluster.start()
