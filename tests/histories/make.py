"""Writes the golden histories that are made of nothing. Run it after a change of the line format, and read the diff."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from harness.core.expectation import Expectation, Forbid, Gates, Require, Rules  # noqa: E402
from tests.builder import MASTER, SLAVE, HistoryBuilder, healthy_run  # noqa: E402

THIN = Gates(min_acked=5, min_acked_before_fault=2)
LOST = Forbid(anomaly="lost")


def put(name: str, h: HistoryBuilder, verdict: str, reason: str, *demands: Expectation, gates: Gates = THIN) -> None:
    lines = "".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in h.rows)
    (HERE / f"{name}.jsonl").write_text(lines)
    rules = Rules(gates=gates, expectations=demands).model_dump(mode="json")
    text = json.dumps({"verdict": verdict, "reason": reason, "rules": rules}, indent=1)
    (HERE / f"{name}.json").write_text(text + "\n")


def async_flush_power_cut(*, hole: bool) -> HistoryBuilder:
    """A cut that takes the newest messages of a queue; their offsets are given away again after the restart."""
    h = HistoryBuilder()
    h.observe("healthy.before", True)
    for n in range(10):
        h.send("p1", f"p1-{n}").ok(offset=n)
    open_send = h.send("p1", "p1-10")
    h.fault("power", "inject", "observed")
    open_send.info()
    h.fault("power", "heal", "recovered")
    for n in range(11, 14):
        h.send("p1", f"p1-{n}").ok(offset=n - 4)
    h.observe("healthy.after", True)
    kept = [n for n in range(7) if not (hole and n == 3)]
    ids = [f"p1-{n}" for n in kept] + [f"p1-{n}" for n in range(11, 14)]
    h.read(*ids, offsets=(*kept, 7, 8, 9))
    return h


def acknowledged_without_its_slave() -> HistoryBuilder:
    """The link to the slave is cut, the master goes on acknowledging, and is destroyed."""
    h = HistoryBuilder()
    h.observe("healthy.before", True)
    for n in range(6):
        h.send("p1", f"p1-{n}").ok()
    open_send = h.send("p1", "p1-6")
    h.fault("cut", "inject", "observed", lasting=True)
    open_send.ok()
    h.send("p1", "p1-7").ok()
    open_send = h.send("p1", "p1-8")
    h.fault("destroy", "inject", "observed", lasting=True)
    open_send.info()
    h.observe("healthy.after", True)
    h.read(*(f"p1-{n}" for n in range(6)), replica=SLAVE)
    return h


def main() -> None:
    put("master-killed-nothing-lost", healthy_run(), "held", "0 lost of 12", LOST, Forbid(anomaly="undelivered"))

    h = healthy_run()
    h.send("p1", "p1-gone").ok()
    put("one-acknowledged-message-lost", h, "broken", "1 lost of 13", LOST)

    h = healthy_run()
    h.send("p1", "p1-gone").info("FLUSH_SLAVE_TIMEOUT", code=12)
    put("one-unknown-message-nowhere", h, "held", "0 lost of 12", LOST)

    h = healthy_run()
    h.send("p1", "p1-gone").ok()
    h.read(replica=MASTER, queue=3, complete=False)
    put("loss-seen-by-a-reader-that-was-cut-short", h, "inconclusive", "not read to their end", LOST)

    put("load-too-thin", healthy_run(), "inconclusive", "5,000 are needed", LOST, gates=Gates())

    inside = Forbid(anomaly="lost-inside")
    put("power-cut-takes-a-tail", async_flush_power_cut(hole=False), "held", "0 lost-inside", inside)
    put("power-cut-takes-from-the-middle", async_flush_power_cut(hole=True), "broken", "1 lost-inside", inside)
    put(
        "power-cut-reuses-offsets-in-order",
        async_flush_power_cut(hole=False),
        "held",
        "0 reordered",
        Forbid(anomaly="reordered"),
    )

    h = acknowledged_without_its_slave()
    put(
        "dual-write-acknowledged-alone",
        h,
        "broken",
        "2 lost of 8",
        Forbid(anomaly="lost", params={"replicas": "slave"}),
    )
    put(
        "dual-write-acknowledged-under-the-cut",
        h,
        "broken",
        "not == 0",
        Require(metric="ok_in", op="==", bound=0, params={"window": "cut"}),
    )

    h = healthy_run()
    h.read("p1-x", replica=MASTER, queue=4, digests=("one",))
    h.read("p1-x", replica=SLAVE, queue=4, digests=("other",))
    put("replicas-hold-different-bytes", h, "broken", "1 diverged", Forbid(anomaly="diverged"))

    h = healthy_run()
    h.send("p1", "p1-zeroed").ok(queue=3)
    for replica in (MASTER, SLAVE):
        h.read("p1-zeroed", replica=replica, queue=3, altered={"p1-zeroed": "body"})
    put("body-destroyed-on-every-replica", h, "broken", "2 altered of 38", LOST, Forbid(anomaly="phantom"))
    put("nobody-compared-the-bodies", healthy_run(compared=False), "held", "0 lost of 12", LOST)


if __name__ == "__main__":
    main()
