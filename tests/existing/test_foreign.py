"""What a run on a cluster of others is equipped with, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import foreign
from harness.cluster.discovery import discover
from harness.cluster.otherwise import SHIPPED_LEVELS
from harness.core.errors import CapabilityMissing, SetupError, WaitTimeout
from harness.distribution.jre import Jre
from harness.runner import check_capabilities
from harness.runtime.base import SHIPPED_CHECKS, SHIPPED_DELAYS
from harness.scenario import Scenario
from harness.settings import Settings
from harness.suite import Kill, consume, master, plan, produce, then
from harness.workloads.crew import ClientKit
from tests.existing.conftest import TheirCluster, Theirs

HOOKS = {"kill": "true", "start": "true"}


@pytest.fixture
def equipped(theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    jre = Jre("unknown", 0, "unknown", "", Path(), Path(), Path())
    monkeypatch.setattr(foreign, "obtain_kit", lambda _settings: ClientKit("remoting", "4.9.7", (), jre))

    def adopt(**config: str):
        cluster: TheirCluster = theirs(**config)
        adopt.made.append(cluster)
        found = discover(cluster.namesrv)
        settings = Settings(
            found.topology, str(found.version), runtime="existing", found=found, state=tmp_path, hooks=HOOKS
        )
        return foreign.adopt(settings, found, lambda _text: None)

    adopt.made = []
    return adopt


def test_a_client_that_cannot_be_had_is_found_before_anything_is_made(theirs: Theirs, tmp_path: Path, monkeypatch):
    cluster = theirs()
    found = discover(cluster.namesrv)

    def cannot(_settings: Settings) -> None:
        raise SetupError("the cpp client cannot be had")

    monkeypatch.setattr(foreign, "obtain_kit", cannot)
    monkeypatch.setattr(foreign, "try_topic", lambda *_: pytest.fail("a topic was made"))
    settings = Settings(found.topology, str(found.version), runtime="existing", found=found, state=tmp_path)
    with pytest.raises(SetupError, match="cannot be had"):
        foreign.adopt(settings, found, lambda _text: None)


DELAYED = Scenario(name="s", load=(produce(1, delay_level=3),))
RETRIED = Scenario(name="s", load=(produce(1), consume(1, fail_every=3)))
DECIDED = Scenario(name="s", load=(produce(1, mode="transaction"),))
PLAIN = Scenario(name="s", load=(produce(1), consume(1), consume(1, group="b", model="broadcasting", fail_every=3)))


def test_what_is_as_shipped_is_asked_for_and_had(equipped) -> None:
    assert DELAYED.reach() == RETRIED.reach() == {SHIPPED_DELAYS}
    assert DECIDED.reach() == {SHIPPED_CHECKS}
    assert PLAIN.reach() == frozenset()
    levels = f" {SHIPPED_LEVELS}  "
    equipment = equipped(
        messageDelayLevel=levels, transactionTimeOut="6000", transactionCheckInterval="30000", transactionCheckMax="15"
    )
    for scenario in (DELAYED, RETRIED, DECIDED, PLAIN):
        check_capabilities(scenario, equipment)


def test_delay_levels_of_the_owners_own_are_not_held_against_the_product(equipped) -> None:
    equipment = equipped(messageDelayLevel="1s 2s 3s")
    for scenario in (DELAYED, RETRIED):
        with pytest.raises(CapabilityMissing, match="shipped messageDelayLevel, and its owner has '1s 2s 3s'"):
            check_capabilities(scenario, equipment)
    for scenario in (DECIDED, PLAIN):
        check_capabilities(scenario, equipment)


def test_a_kill_is_not_asked_of_brokers_that_give_up_to_it_what_they_acknowledged(equipped) -> None:
    equipment = equipped(transientStorePoolEnable="true")
    killed = Scenario(name="s", steps=plan(then(Kill(target=master(0)))))
    with pytest.raises(CapabilityMissing, match="transientStorePoolEnable=true"):
        check_capabilities(killed, equipment)
    check_capabilities(PLAIN, equipment)
    with pytest.raises(CapabilityMissing, match="rejectTransactionMessage"):
        check_capabilities(DECIDED, equipped(rejectTransactionMessage="true"))


def test_a_cluster_that_is_another_by_the_next_scenario_is_not_held_to_what_it_was(
    equipped, theirs: Theirs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "AS_FOUND_S", 0.1)
    monkeypatch.setattr("harness.cluster.discovery.ASK_S", 0.5)
    equipment = equipped()
    broker = equipped.made[-1].brokers["broker-a-0"]
    places = {"evidence": tmp_path / "e", "work_dir": tmp_path / "w", "state_dir": tmp_path / "s"}
    equipment.open_runtime(run_id="r", **places).close()
    broker.config["flushDiskType"] = "SYNC_FLUSH"
    with pytest.raises(WaitTimeout, match=r"what it was when the run began.*flush"):
        equipment.open_runtime(run_id="q", **places)
    broker.stop()
    with pytest.raises(WaitTimeout, match="does not tell its configuration"):
        equipment.open_runtime(run_id="q", **places)


@pytest.mark.parametrize(
    "config", [{"transactionTimeOut": "60000"}, {"transactionCheckInterval": "600000"}, {"transactionCheckMax": "1"}]
)
def test_nor_are_transactions_of_which_a_broker_asks_later_or_less_often(equipped, config: dict[str, str]) -> None:
    equipment = equipped(**config)
    (key, value), *_ = config.items()
    with pytest.raises(CapabilityMissing, match=f"{key} as it is shipped, and its owner has {value}"):
        check_capabilities(DECIDED, equipment)
    check_capabilities(DELAYED, equipment)
