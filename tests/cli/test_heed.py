"""What was asked for and does not reach the product is no run of what was asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import UsageError
from harness.core.version import Version
from harness.distribution import Jre
from harness.heed import check_jvm_opts, check_keys, check_keys_of_both, unheeded
from harness.settings import Settings
from harness.topology import load_topology

TOPOLOGY = load_topology("1m")


def asked(**more: Any) -> Settings:
    return Settings(topology=TOPOLOGY, **more)


class TestKeys:
    def refused(self, version: str = "4.9.7", **more: Any) -> list[str]:
        said: list[str] = []
        settings = asked(**more)
        check_keys(settings, settings.rocketmq, Version.parse(version), said.append)
        return said

    @pytest.mark.parametrize(
        ("conf", "text"),
        [
            ({"broker_conf": {"flushDiskTyp": "SYNC_FLUSH"}}, r"--broker-conf flushDiskTyp=SYNC_FLUSH: .* 4\.9\.7"),
            ({"broker_conf": {"flushDiskTyp": "SYNC_FLUSH"}}, r"did you mean flushDiskType\?"),
            ({"namesrv_conf": {"nosuchkey": "1"}}, "--namesrv-conf nosuchkey=1"),
            ({"broker_conf": {"inSyncReplicas": "2"}}, "RocketMQ 4.9.7 has no such key"),
        ],
    )
    def test_a_key_that_the_release_ignores_is_refused(self, conf: dict[str, Any], text: str) -> None:
        with pytest.raises(UsageError, match=text):
            self.refused(**conf)

    def test_one_that_it_knows_is_taken(self) -> None:
        assert self.refused(broker_conf={"flushDiskType": "SYNC_FLUSH"}, namesrv_conf={"clusterTest": "true"}) == []
        assert self.refused("5.3.3", broker_conf={"inSyncReplicas": "2"}) == []

    @pytest.mark.parametrize(("version", "rocketmq"), [("4.9.7", "path:/a/candidate"), ("4.9.6", "4.9.6")])
    def test_of_what_is_not_known_for_certain_a_word_is_said(self, version: str, rocketmq: str) -> None:
        (said,) = self.refused(version, rocketmq=rocketmq, broker_conf={"brandNewKey": "1"})
        assert "brandNewKey=1" in said
        assert "nothing is refused" in said


class TestKeysOfBoth:
    def said(self, first: str, last: str, **conf: str) -> list[str]:
        said: list[str] = []
        releases = [(text, Version.parse(text.removeprefix("path:"))) for text in (first, last)]
        check_keys_of_both(asked(broker_conf=conf), releases[0], releases[1], said.append)
        return said

    def test_a_key_of_one_release_counts_there_and_that_is_said(self) -> None:
        assert self.said("4.9.7", "5.3.3", inSyncReplicas="2") == [
            "--broker-conf inSyncReplicas=2: counts with RocketMQ 5.3.3 alone; 4.9.7 has no such key"
        ]

    def test_one_that_both_know_under_whatever_spelling_needs_no_word(self) -> None:
        assert self.said("4.4.0", "5.3.3", flushDiskType="SYNC_FLUSH", mapedFileSizeCommitLog="1048576") == []

    def test_one_that_neither_knows_is_refused(self) -> None:
        with pytest.raises(UsageError, match="did you mean flushDiskType"):
            self.said("4.9.7", "5.3.3", flushDiskTyp="SYNC_FLUSH")

    def test_a_candidate_may_know_it(self) -> None:
        (said,) = self.said("4.9.7", "path:5.3.3", brandNewKey="1")
        assert "nothing is refused" in said


class TestJvmOptions:
    @pytest.fixture
    def jre(self, tmp_path: Any) -> Jre:
        java = tmp_path / "java"
        java.write_text('#!/bin/sh\ncase "$*" in *No*) echo "Unrecognized VM option \'No\'" >&2; exit 1;; esac\n')
        java.chmod(0o755)
        return Jre("25", 25, "25", "b", tmp_path, java, tmp_path)

    def test_an_option_that_no_jvm_takes_is_named_with_its_words(self, jre: Jre) -> None:
        with pytest.raises(
            UsageError, match=r"--jvm-opt -XX:\+No \(of the broker\): Java 25 .* says .Unrecognized VM option"
        ):
            check_jvm_opts(asked(jvm_opts={"broker": ("-XX:+No",), "namesrv": ()}), jre)

    def test_others_pass(self, jre: Jre) -> None:
        check_jvm_opts(asked(jvm_opts={"broker": ("-Xss1m",), "namesrv": ()}), jre)
        check_jvm_opts(asked(), jre)


class TestUnheeded:
    def cluster(self, told: dict[str, str] | None, in_force: dict[str, str]) -> Any:
        return SimpleNamespace(
            brokers=lambda: ("broker-a-0",),
            looks=SimpleNamespace(config=lambda node: told),
            plan=SimpleNamespace(broker_conf=in_force),
        )

    @pytest.mark.parametrize(
        ("asked_for", "told", "wrong"),
        [
            ({"flushDiskType": "FOO"}, {"flushDiskType": "ASYNC_FLUSH"}, 1),
            ({"flushDiskType": "SYNC_FLUSH"}, {"flushDiskType": "SYNC_FLUSH"}, 0),
            ({"slaveReadEnable": "TRUE"}, {"slaveReadEnable": "true"}, 0),
            ({"flushDiskType": ""}, {"flushDiskType": "ASYNC_FLUSH"}, 0),
            ({"brandNewKey": "1"}, {"flushDiskType": "ASYNC_FLUSH"}, 0),
            ({"flushDiskType": "FOO"}, None, 0),
        ],
    )
    def test_the_brokers_own_word_counts(self, asked_for: Any, told: Any, wrong: int) -> None:
        seen = unheeded(self.cluster(told, asked_for), asked_for)
        assert len(seen) == wrong
        if wrong:
            assert seen == ["--broker-conf flushDiskType=FOO: broker-a-0 runs with flushDiskType=ASYNC_FLUSH"]

    def test_what_a_scenario_insists_on_is_passed_over(self) -> None:
        told = {"flushDiskType": "ASYNC_FLUSH"}
        assert unheeded(self.cluster(told, {}), {"flushDiskType": "SYNC_FLUSH"}) == []
