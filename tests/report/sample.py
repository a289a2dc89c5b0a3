"""A realistic run made of nothing: 14 rows, six scenarios with histories, one candidate that breaks a promise.

`python tests/report/sample.py DIR` writes its report.html there; docs/report.png is a picture of it.
"""

from __future__ import annotations

import random
import sys
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from harness.core.history import RAW_SCHEMA, History
from harness.core.op import OpName, OpType, line
from harness.core.verdict import Assumption, Check, Finding, Judgement, Verdict
from harness.report.html import html_report
from harness.report.material import Promise, ScenarioReport
from harness.report.rows import Control, Row, Run, ScenarioRow
from harness.report.series import series

NS = 1_000_000_000
START_NS = 7_310 * NS


def history(
    *,
    seed: int = 7,
    seconds: float = 60.0,
    rate: int = 400,
    outage: tuple[float, float] | None = (10.0, 30.0),
    failing: bool = False,
) -> History:
    """Four producers, one group; the outage slows sends or, if `failing`, fails some; a backlog waits for its end."""
    rng = random.Random(seed)
    raw: list[dict[str, Any]] = []
    bite = outage[0] + 0.09 if outage else 1e9
    back = outage[1] + 4.2 if outage else -1.0
    for n in range(int(seconds * rate)):
        at_s = n / rate
        process = f"producer-{n % 4}"
        mid = f"{process}-{n}"
        shock = 0 <= at_s - bite < 1.9
        took_s = rng.lognormvariate(-6.1, 0.35) * (9 if bite < at_s < bite + 4 else 1)
        roll = rng.random()
        kind = OpType.OK
        if shock and failing:
            kind = OpType.FAIL if roll < 0.32 else OpType.INFO if roll < 0.47 else OpType.OK
            took_s = 0.4 + rng.random() if kind is not OpType.OK else took_s
        begun = START_NS + int(at_s * NS)
        done = begun + int(took_s * NS)
        raw.append({"p": process} | line(OpName.SEND, OpType.INVOKE, begun, c=n, id=mid, tp="orders"))
        status = {OpType.OK: "SEND_OK", OpType.FAIL: "connect refused", OpType.INFO: "timeout"}[kind]
        raw.append({"p": process} | line(OpName.SEND, kind, done, c=n, id=mid, tp="orders", s=status))
        if kind is OpType.OK:
            lag_s = 0.004 + rng.random() / 100
            if bite < at_s < back and n % 2 and outage:
                lag_s = max(lag_s, back - at_s + rng.random() * 3) if at_s < bite + 3 else lag_s
            raw.append(
                {"p": "consumer-0"} | line(OpName.DELIVER, OpType.OK, done + int(lag_s * NS), id=mid, tp="orders")
            )
    if outage:
        raw += _fault("kill-a", "kill", ["broker-a-master"], outage[0], bite, outage[1], back)
        for name, begin, end in (
            ("load", 0.0, seconds),
            ("restart broker-a-master", outage[1], back),
            ("drain", seconds, seconds + 2.4),
        ):
            raw.append({"p": "runner"} | line(OpName.STEP, OpType.INFO, START_NS + int(begin * NS), id=name, s="begin"))
            raw.append({"p": "runner"} | line(OpName.STEP, OpType.INFO, START_NS + int(end * NS), id=name, s="end"))
    return History.from_raw(pl.DataFrame(raw, schema=RAW_SCHEMA))


def _fault(name: str, fault: str, targets: list[str], *instants_s: float) -> list[dict[str, Any]]:
    import json

    extra = json.dumps({"fault": fault, "targets": targets})
    actions = ("inject", "observed", "heal", "recovered")
    return [
        {"p": "nemesis"}
        | line(
            OpName.FAULT,
            OpType.INFO,
            START_NS + int(at * NS),
            id=name,
            s=action,
            x=extra if action == "inject" else None,
        )
        for action, at in zip(actions, instants_s, strict=True)
    ]


def run() -> Run:
    return Run(
        id="2026-03-14T02-10-07-2m-2s-sync-20260314",
        seed=20260314,
        started_utc="2026-03-14T02:10:07Z",
        ended_utc="2026-03-14T02:58:41Z",
        harness="0.1.0",
        git_commit="c76d8d6",
        replay="pytest suites/ --topology=2m-2s-sync --rocketmq=path:/home/release/rocketmq-5.3.4 --seed=20260314",
        versions={"rocketmq": "5.3.4 (candidate)", "client": "java 5.3.3", "java": "25.0.2", "python": "3.11.9"},
        checksums={"rocketmq-broker-5.3.4.jar": "9f3a" * 16, "rocketmq-store-5.3.4.jar": "07bc" * 16},
        options={
            "timers": "fast",
            "runtime": "local",
            "rocketmq": "path:/home/release/rocketmq-5.3.4",
            "strict": False,
        },
        machine={"kernel": "6.8.0", "cpu": "2 x EPYC", "memory": "8 GiB", "root": True},
        deviations=("broker: totalReplicas=2 (default 1)", "broker: inSyncReplicas=2 (default 1)"),
    )


def row(id: str, verdict: Verdict = Verdict.HELD, **given: Any) -> Row:
    base: dict[str, Any] = {
        "topology": "2m-2s-sync",
        "rocketmq": "5.3.4",
        "java": "25",
        "client": "java",
        "runtime": "local",
        "timers": "fast",
        "waited_s": 31.0,
        "worked_s": 74.0,
    }
    if verdict in (Verdict.HELD, Verdict.BROKEN) and "scenarios" not in given:
        given["scenarios"] = (scenario(id, verdict, lost=given.get("figures", {}).get("lost", 0)),)
    if verdict is not Verdict.HELD and "reason" not in given:
        given["reason"] = f"{id} is {verdict.value}"
    return Row(id=id, verdict=verdict, **(base | given))


def scenario(name: str, verdict: Verdict = Verdict.HELD, *, acked: int = 23_811, lost: int = 0) -> ScenarioRow:
    return ScenarioRow(
        name=name, seed=41, history=f"scenarios/{name}/history.parquet", verdict=verdict, acked=acked, lost=lost
    )


def rows() -> list[Row]:
    ok = Control(kind="product", expected="failed sends with retries 0", observed="1,204 failed sends", ok=True)
    planted = Control(kind="planted", expected="broken", observed="broken: 1 lost of 23,811", ok=True)
    off = Control(kind="fault-off", expected="did not bite", observed="did not bite", ok=True)
    weak = Control(kind="product", expected="SEND_OK lost under ASYNC_MASTER", observed="0 lost of 8,112", ok=False)
    lost = {"acked": 23_811, "lost": 0}
    return [
        row(
            "master-outage-leaves-sends-working",
            figures=lost | {"unacknowledged_ratio": 0.0, "rto_worst_s": 1.834},
            control=ok,
            reason="0 lost of 23,811; 0 phantom; unacknowledged sends 0 == 0; rto of every producer 1.83 s < 5 s",
            deviations=("totalReplicas=2", "inSyncReplicas=2"),
        ),
        row("nameserver-outage-is-invisible", figures=lost | {"failed_sends": 0}, control=off, reason="0 failed sends"),
        row(
            "dead-broker-expires-in-two-minutes",
            figures={"acked": 12_400, "expired_after_s": 126.4},
            control=off,
            timers="documented",
            waited_s=214.0,
        ),
        row("producers-spread-load", figures={"acked": 48_211, "worst_share_ratio": 0.0213}, control=planted),
        row("process-kill-loses-nothing", figures={"acked": 48_211, "lost": 0, "rto_worst_s": 4.21}, control=planted),
        row(
            "sync-master-ack-means-two-copies",
            Verdict.BROKEN,
            figures={"acked": 23_811, "lost": 0, "acked_while_cut": 37},
            control=Control(kind="product", expected="SEND_OK under ASYNC_MASTER", observed="4,003 SEND_OK", ok=True),
            reason="37 SEND_OK while the slave was unreachable, first producer-2-9911 at 10.412 s, last at 12.007 s; "
            "the answer came before the slave had the message",
        ),
        row(
            "sync-master-survives-disk-loss",
            Verdict.INCONCLUSIVE,
            scenarios=(scenario("sync-master-survives-disk-loss", Verdict.HELD, acked=8_112),),
            figures={"acked": 8_112, "lost": 0},
            control=weak,
            reason="the control lost nothing: ASYNC_MASTER kept all 8,112 SEND_OK although its disk was destroyed",
        ),
        row(
            "misnamed-slave-is-noticed",
            Verdict.BROKEN,
            known="a slave under another brokerName registers and never replicates; nothing logs an error",
            expected=Verdict.BROKEN,
            figures={"acked": 6_020, "errors_logged": 0},
            control=off,
            reason="no error in any log 60 s after the start; replicated offset stays 0",
        ),
        row("slave-is-readable", figures=lost | {"first_delivery_from_slave_s": 2.9}, control=ok),
        row("slave-is-not-writable", figures={"rejected": 200, "stored": 0}, control=planted),
        row("replicas-agree", figures={"queues": 16, "diverged": 0}, control=planted),
        row("at-least-once", figures=lost | {"duplicate_ratio": 0.0008}, control=planted),
        row(
            "eio-is-never-acknowledged",
            Verdict.NOT_TESTED,
            missing="loop-device",
            reason="capability loop-device is missing: no /dev/loop-control",
        ),
        row("rolling-upgrade-loses-nothing", Verdict.NOT_TESTED, reason="needs --upgrade-from and --upgrade-to"),
    ]


def promises() -> dict[str, Promise]:
    return {
        "master-outage-leaves-sends-working": Promise(
            "With several masters, the outage of one does not affect the application.", "deployment guide, section 1.2"
        ),
        "sync-master-ack-means-two-copies": Promise(
            "Success is returned to the application only after both master and slave have written the message.",
            "deployment guide, section 1.4",
        ),
    }


def judgement(verdict: Verdict = Verdict.HELD) -> Judgement:
    broken = verdict is Verdict.BROKEN
    finding = (
        Finding("acked-while-cut", 37, 1_204, ("producer-2-9911 at 10.412 s", "producer-0-9916 at 10.431 s"))
        if broken
        else None
    )
    return Judgement(
        verdict=verdict,
        reason="37 acked while cut" if broken else "0 lost of 23,811",
        assumptions=(
            Assumption("min-acked", True, "23,811 acknowledged, 5,000 demanded"),
            Assumption("fault-bit", True, "kill-a: port 10911 refused 90 ms after the signal", soundness=True),
            Assumption("drained", True, "16 of 16 queues read to the end on every replica", soundness=True),
        ),
        checks=(
            Check("0 lost", True, "0 of 23,811, <= 1.3e-4 at 95 %"),
            Check("0 acked-while-cut", not broken, "37 of 1,204" if broken else "0 of 1,204", finding),
        ),
    )


@cache
def scenarios() -> tuple[ScenarioReport, ...]:
    made = []
    for seed, item in enumerate(r for r in rows() if r.scenarios):
        if seed > 6:
            break
        name = item.scenarios[0].name
        made.append(
            ScenarioReport(
                name=name,
                title="Kill broker-a at 10 s under load, start it again at 30 s",
                judgement=judgement(item.scenarios[0].verdict),
                series=series(history(seed=seed, failing=seed in (4, 5))),
                histories=tuple(f"scenarios/{name}/history/{p}.jsonl" for p in ("producer-0", "consumer-0", "nemesis")),
                node_logs=(f"scenarios/{name}/nodes/broker-a-master/logs/broker.log",),
                started_epoch_ms=1_773_454_207_000,
                log_tails={
                    "broker-a-master/broker.log": "ERROR putMessage not in lock\nWARN [BUG] slave fell behind\n"
                },
                history_sample='{"f":"send","y":"invoke","t":7310000000000,"c":0,"id":"producer-0-0"}\n',
            )
        )
    return tuple(made)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    page = html_report(run(), rows(), scenarios(), promises())
    (target / "report.html").write_text(page, encoding="utf-8")
