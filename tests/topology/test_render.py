"""What a node is started with, per release, and that every deviation is owned up to."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from harness.core.errors import UsageError
from harness.core.version import Version
from harness.planning import varied
from harness.topology import keys, known_topologies, layout, load_topology, parse_topology
from harness.topology.jvm import jvm_flags
from harness.topology.logback import logback_files
from harness.topology.model import NodeSpec, Role, Topology
from harness.topology.render import Rendered, nameserver_list, parse_overrides, render_broker, render_nameserver

V4 = Version(4, 9, 7)
V5 = Version(5, 3, 3)
ALL = [Version.parse(text) for text in ("3.2.6", "4.2.0", "4.4.0", "4.8.0", "4.9.7", "5.0.0", "5.3.3", "5.5.0")]


def addresses(topology: Topology) -> dict[str, str]:
    return {node.name: f"10.7.0.{number}" for number, node in enumerate(topology.nodes, 10)}


def rendered(topology_name: str, node: str, version: Version, **options) -> Rendered:
    topology = load_topology(topology_name)
    return render_broker(topology.node(node), topology, version, addresses(topology), **options)


def test_identity_place_and_role_come_from_the_topology():
    conf = rendered("2m-2s-sync", "broker-b-0", V4).conf
    assert conf["brokerName"] == "broker-b"
    assert conf["brokerId"] == "0"
    assert conf["brokerRole"] == "SYNC_MASTER"
    assert conf["flushDiskType"] == "ASYNC_FLUSH"
    assert conf["namesrvAddr"] == "10.7.0.10:9876;10.7.0.11:9876"
    assert conf["brokerIP1"] == conf["brokerIP2"] == "10.7.0.14"
    assert conf["storePathCommitLog"] == "/rmq/broker-b-0/store/commitlog"
    assert rendered("2m-2s-sync", "broker-b-1", V4).conf["brokerRole"] == "SLAVE"
    assert rendered("2m-2s-async", "broker-a-0", V4).conf["brokerRole"] == "ASYNC_MASTER"
    assert rendered("2m-2s-sync-syncflush", "broker-a-1", V4).conf["flushDiskType"] == "SYNC_FLUSH"


def test_text_is_the_conf_in_order():
    result = rendered("1m", "broker-a-0", V4)
    assert result.text.splitlines() == [f"{key}={value}" for key, value in result.conf.items()]
    assert result.path == "/rmq/broker-a-0/conf/broker.conf"


def test_5x_sync_masters_are_made_to_wait_for_a_slave():
    conf = rendered("2m-2s-sync", "broker-a-0", V5).conf
    assert (conf["totalReplicas"], conf["inSyncReplicas"], conf["slaveReadEnable"]) == ("2", "2", "true")
    many = rendered("1m-2s-sync", "broker-a-0", V5).conf
    assert (many["totalReplicas"], many["inSyncReplicas"]) == ("3", "2")
    asynchronous = rendered("2m-2s-async", "broker-a-0", V5).conf
    assert "inSyncReplicas" not in asynchronous
    assert asynchronous["slaveReadEnable"] == "true"
    assert "slaveReadEnable" not in rendered("2m-noslave", "broker-a-0", V5).conf


def test_4x_needs_none_of_that():
    conf = rendered("2m-2s-sync", "broker-a-0", V4).conf
    assert not {"totalReplicas", "inSyncReplicas", "slaveReadEnable"} & set(conf)


def test_only_a_4x_slave_is_told_its_master():
    slave = rendered("2m-2s-sync", "broker-a-1", V4).conf
    assert slave["haMasterAddress"] == "10.7.0.12:10912"
    assert slave["haSendHeartbeatInterval"] == "-1"
    assert "haMasterAddress" not in rendered("2m-2s-sync", "broker-a-0", V4).conf
    assert "haMasterAddress" not in rendered("2m-2s-sync", "broker-a-1", V5).conf


def test_timers():
    assert rendered("1m", "broker-a-0", V5).conf["registerNameServerPeriod"] == "10000"
    documented = rendered("1m", "broker-a-0", V5, timers="documented")
    assert "registerNameServerPeriod" not in documented.conf
    assert "transactionCheckInterval" not in {deviation.key for deviation in documented.deviations}


@pytest.mark.parametrize("version", ALL, ids=str)
@pytest.mark.parametrize("name", known_topologies())
def test_no_key_is_rendered_that_the_release_does_not_know(name: str, version: Version):
    topology = load_topology(name)
    for node in topology.of_role(Role.MASTER, Role.SLAVE):
        result = render_broker(node, topology, version, addresses(topology))
        unknown = [key for key in result.conf if not keys.knows("broker", key, version)]
        assert unknown == []


def test_commit_log_size_is_spelled_as_the_release_spells_it():
    old = rendered("1m", "broker-a-0", Version(4, 4, 0)).conf
    new = rendered("1m", "broker-a-0", Version(4, 8, 0)).conf
    assert "mapedFileSizeCommitLog" in old
    assert "mappedFileSizeCommitLog" not in old
    assert "mappedFileSizeCommitLog" in new
    assert "mapedFileSizeCommitLog" not in new


@pytest.mark.parametrize("version", ALL, ids=str)
def test_every_key_beyond_identity_and_place_is_a_deviation_with_a_reason(version: Version):
    for node in ("broker-a-0", "broker-a-1"):
        result = rendered("2m-2s-sync", node, version)
        owned = {deviation.key for deviation in result.deviations}
        declared = {"brokerClusterName", "brokerName", "brokerId", "brokerRole", "flushDiskType"}
        place = {"namesrvAddr", "listenPort", "brokerIP1", "brokerIP2", "storePathRootDir", "storePathCommitLog"}
        assert set(result.conf) == owned | declared | place
        assert all(deviation.why and deviation.ours != deviation.default for deviation in result.deviations)
        assert result.differences == ()


def test_overrides_have_the_last_word_and_are_deviations():
    result = rendered("1m", "broker-a-0", V5, overrides={"timerFlushIntervalMs": "500", "maxMessageSize": "1024"})
    assert result.conf["timerFlushIntervalMs"] == "500"
    by_key = {deviation.key: deviation for deviation in result.deviations}
    assert by_key["timerFlushIntervalMs"].default == "1000"
    assert by_key["maxMessageSize"].ours == "1024"
    assert result.warnings == ()


def test_an_empty_override_restores_the_default():
    result = rendered("2m-2s-sync", "broker-a-1", V4, overrides={"haSendHeartbeatInterval": "", "haMasterAddress": ""})
    assert not {"haSendHeartbeatInterval", "haMasterAddress"} & set(result.conf)
    assert not {"haSendHeartbeatInterval", "haMasterAddress"} & {deviation.key for deviation in result.deviations}


def test_an_override_equal_to_the_default_is_no_deviation():
    result = rendered("1m", "broker-a-0", V5, overrides={"timerFlushIntervalMs": "1000"})
    assert result.conf["timerFlushIntervalMs"] == "1000"
    assert "timerFlushIntervalMs" not in {deviation.key for deviation in result.deviations}


@pytest.mark.parametrize(
    ("key", "version", "warned"),
    [
        ("mapedFileSizeCommitLog", Version(4, 4, 0), False),
        ("storePathConsumeQueue", V4, True),
        ("abortFile", Version(4, 2, 0), True),
        ("haSlaveFallbehindMax", V4, False),
        ("haSlaveFallbehindMax", V5, True),
        ("inSyncReplicas", Version(5, 5, 0), False),
        ("inSyncReplicas", V4, True),
        ("fileReservedTime", Version(3, 2, 6), False),
        ("waitTimeMillsInSendQueue", Version(3, 2, 6), True),
        ("splitMetadataSize", Version(5, 5, 0), False),
        ("splitMetadataSize", V5, True),
    ],
)
def test_keys_that_the_release_ignores_are_warned_about(key: str, version: Version, warned: bool):
    result = rendered("1m", "broker-a-0", version, overrides={key: "77"})
    assert bool(result.warnings) is warned
    assert result.conf[key] == "77"


def test_an_override_is_written_as_the_release_spells_it():
    result = rendered("1m", "broker-a-0", V4, overrides={"mapedFileSizeCommitLog": "77"})
    assert result.conf["mappedFileSizeCommitLog"] == "77"
    assert "mapedFileSizeCommitLog" not in result.conf
    assert not result.warnings


def test_stock_is_the_release_s_own_file_and_the_node_s_place():
    result = rendered("2m-2s-sync-stock", "broker-a-0", V5)
    shipped = {
        "brokerClusterName": "DefaultCluster",
        "brokerName": "broker-a",
        "brokerId": "0",
        "deleteWhen": "04",
        "fileReservedTime": "48",
        "brokerRole": "SYNC_MASTER",
        "flushDiskType": "ASYNC_FLUSH",
    }
    place = {"namesrvAddr", "listenPort", "brokerIP1", "brokerIP2", "storePathRootDir", "storePathCommitLog"}
    assert {key: value for key, value in result.conf.items() if key not in place} == shipped
    assert {difference.key for difference in result.differences} == place
    assert result.deviations == ()
    assert rendered("2m-2s-sync-stock", "broker-b-1", V4).conf["brokerRole"] == "SLAVE"


def test_stock_lists_what_the_caller_changed_too():
    overrides = {"inSyncReplicas": "2", "fileReservedTime": "1", "deleteWhen": ""}
    by_key = {d.key: d for d in rendered("2m-2s-sync-stock", "broker-a-0", V5, overrides=overrides).differences}
    assert (by_key["inSyncReplicas"].ours, by_key["inSyncReplicas"].default) == ("2", "not set")
    assert (by_key["fileReservedTime"].ours, by_key["fileReservedTime"].default) == ("1", "48")
    assert by_key["deleteWhen"].ours == "not set"


@pytest.mark.parametrize("version", [V4, V5])
def test_a_stock_cluster_that_a_control_varied_is_what_the_control_says(version):
    """Without it the control runs on a SYNC_MASTER as shipped, and comes out as no control should."""
    topology = load_topology("2m-2s-sync-stock")
    other = varied(topology, replication="async", flush="sync")
    master = render_broker(other.node("broker-a-0"), other, version, addresses(other))
    assert (master.conf["brokerRole"], master.conf["flushDiskType"]) == ("ASYNC_MASTER", "SYNC_FLUSH")
    assert {d.key for d in master.differences} >= {"brokerRole", "flushDiskType"}
    assert render_broker(other.node("broker-a-1"), other, version, addresses(other)).conf["brokerRole"] == "SLAVE"


@pytest.mark.parametrize("name", ["2m-2s-sync-stock", "2m-2s-async-stock", "2m-noslave-stock"])
def test_stock_as_declared_has_role_and_flush_of_the_shipped_file(name):
    for node in ("broker-a-0", "broker-b-0"):
        assert not {d.key for d in rendered(name, node, V5).differences} & {"brokerRole", "flushDiskType"}


def test_stock_of_an_unread_release_is_doubted_and_an_unknown_folder_refused():
    assert "5.5.0" in rendered("2m-2s-sync-stock", "broker-a-0", Version(5, 5, 0)).warnings[0]
    text = load_topology("2m-2s-sync-stock").model_dump_json().replace('"base":"2m-2s-sync"', '"base":"9m-9s"')
    topology = parse_topology(text, "odd.yaml")
    with pytest.raises(UsageError, match="9m-9s"):
        render_broker(topology.node("broker-a-0"), topology, V5, addresses(topology))
    text = text.replace('"base":"9m-9s"', '"base":"2m-noslave"')
    topology = parse_topology(text, "odd.yaml")
    with pytest.raises(UsageError, match="no file for a slave"):
        render_broker(topology.node("broker-a-1"), topology, V5, addresses(topology))


def test_nameserver():
    topology = load_topology("2m-2s-sync")
    asked = {"scanNotActiveBrokerInterval": "1000", "nonsense": "1"}
    result = render_nameserver(topology.node("namesrv-1"), topology, V5, addresses(topology), asked)
    assert result.path == "/rmq/namesrv-1/conf/namesrv.conf"
    assert result.text == "listenPort=9876\nscanNotActiveBrokerInterval=1000\nnonsense=1\n"
    assert len(result.warnings) == 1
    assert nameserver_list(topology, addresses(topology)) == "10.7.0.10:9876;10.7.0.11:9876"


def test_overrides_are_read_and_refused():
    assert parse_overrides(["a=1", "b=x=y", "a=2"]) == {"a": "2", "b": "x=y"}
    for wrong in ("a", "=1", "a b=1", "a=1\nb=2"):
        with pytest.raises(UsageError, match="KEY=VALUE"):
            parse_overrides([wrong])


BROKER = NodeSpec("broker-a-0", Role.MASTER, "broker-a", 0)
NAMESERVER = NodeSpec("namesrv-1", Role.NAMESERVER)


def test_jvm_flags():
    flags = jvm_flags(BROKER, 25, extra=("-Xmx1g",))
    assert "-Duser.home=/rmq/broker-a-0" in flags
    assert "-Drocketmq.home.dir=/rmq/broker-a-0" in flags
    assert "-Dtls.server.mode=disabled" in flags
    assert "-XX:TieredStopAtLevel=1" in flags
    assert flags[-1] == "-Xmx1g"
    assert "-XX:TieredStopAtLevel=1" not in jvm_flags(BROKER, 25, short_run=False)
    assert "-Xmx96m" in jvm_flags(NAMESERVER, 25)
    assert "-XX:MaxDirectMemorySize=15g" in jvm_flags(BROKER, 25), "4 MiB for each of some forty threads that store"


def test_jvm_flags_of_stock_are_heap_sizes_and_what_it_needs():
    for flag in jvm_flags(BROKER, 25, stock=True):
        assert flag.startswith(("-Xm", "-XX:MaxDirect", "--", "-Drocketmq.home.dir", "-Duser.home"))


def test_java_8_gets_no_module_flags():
    assert not [flag for flag in jvm_flags(BROKER, 8) if flag.startswith("--")]
    assert "--sun-misc-unsafe-memory-access=allow" not in jvm_flags(BROKER, 21)


def test_main_classes():
    assert layout.main_class(Role.SLAVE, V5) == "org.apache.rocketmq.broker.BrokerStartup"
    assert layout.main_class(Role.NAMESERVER, Version(3, 2, 6)) == "com.alibaba.rocketmq.namesrv.NamesrvStartup"
    assert layout.mqadmin_class(V5) == "org.apache.rocketmq.tools.command.MQAdminStartup"
    assert layout.mqadmin_class(Version(3, 2, 6)) == "com.alibaba.rocketmq.tools.command.MQAdminStartup"


def test_4x_finds_its_logging_files_and_5x_brings_its_own():
    files = logback_files(V4)
    assert set(files) == {"logback_broker.xml", "logback_namesrv.xml", "logback_tools.xml"}
    for text in files.values():
        assert ET.fromstring(text.split("?>", 1)[1]).find("root").get("level") == "INFO"
    assert "${user.home}/logs/rocketmqlogs/broker.log" in files["logback_broker.xml"]
    assert logback_files(V5) == {}


def test_members_of_a_dledger_group_know_each_other_and_have_no_role():
    conf = rendered("dledger-3", "broker-a-n1", V4).conf
    assert conf["enableDLegerCommitLog"] == "true"
    assert conf["dLegerPeers"] == "n0-10.7.0.12:40911;n1-10.7.0.13:40911;n2-10.7.0.14:40911"
    assert (conf["dLegerGroup"], conf["dLegerSelfId"]) == ("broker-a", "n1")
    assert not {"brokerId", "brokerRole", "haMasterAddress", "inSyncReplicas"} & conf.keys()
    topology = load_topology("dledger-3")
    nameserver = render_nameserver(topology.node("namesrv-1"), topology, V4, addresses(topology))
    assert nameserver.text == "listenPort=9876\n"


def test_a_controller_is_in_every_nameserver_and_gives_out_ids_and_roles():
    topology = load_topology("controller-1m-2s")
    conf = render_nameserver(topology.node("namesrv-2"), topology, V5, addresses(topology)).conf
    assert conf["controllerDLegerPeers"] == "n0-10.7.0.10:9878;n1-10.7.0.11:9878;n2-10.7.0.12:9878"
    assert (conf["enableControllerInNamesrv"], conf["controllerDLegerSelfId"]) == ("true", "n1")
    member = rendered("controller-1m-2s", "broker-a-n0", V5)
    assert member.conf["controllerAddr"] == "10.7.0.10:9878;10.7.0.11:9878;10.7.0.12:9878"
    assert (member.conf["brokerId"], member.conf["brokerRole"]) == ("-1", "SLAVE")
    assert {"allAckInSyncStateSet", "minInSyncReplicas"} <= {deviation.key for deviation in member.deviations}
