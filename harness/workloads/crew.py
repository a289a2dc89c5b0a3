"""The client workers of one scenario: started, let go, watched, stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from harness.clients.config import Config, ConsumerConfig, CppSetup, GrpcSetup, JavaSetup, Pin, ProducerConfig
from harness.clients.handle import Progress, Worker
from harness.clients.spawn import RuntimeSpawner
from harness.cluster import Cluster
from harness.cluster.provision import shown_jars, shown_jre
from harness.core.errors import EvidenceError, HarnessError, UsageError
from harness.core.names import COUNTS, REFUSED, ROSTER
from harness.core.op import SCHEMA, OpName, OpType
from harness.core.refusal import last_attempt
from harness.distribution import CppLibrary, GrpcLibrary, Jre
from harness.runtime.base import Runtime
from harness.workloads.abilities import DEFAULT_RETRIES, FIXED_TIMERS
from harness.workloads.load import Consume, Load, Produce, is_called, producer_group, workers_of

Tell = Callable[[str, Mapping[str, Any]], None]
FAST_POLL_NAMESERVER_MS = 1_000
FAST_HEARTBEAT_MS = 1_000
DOCUMENTED_POLL_MS = 30_000
STOP_TIMEOUT_S = 60.0
QUIET = "--enable-native-access=ALL-UNNAMED"  # else the JVM warns, naming a place of the machine
FAST_REBALANCE = "-Drocketmq.client.rebalance.waitInterval=2000"


@dataclass(frozen=True, slots=True)
class ClientKit:
    """What client workers are made of: which client, its jars and the JRE inside the worker (Java client only)."""

    client: str
    version: str
    jars: tuple[Path, ...]
    jre: Jre
    cpp: CppLibrary | None = None
    grpc: GrpcLibrary | None = None

    def java(self, runtime: Runtime, timers: str) -> JavaSetup:
        """The Java set-up as a worker is told it; fast timers shorten the client's rebalance interval of 20 s."""
        return JavaSetup(
            classpath=tuple(shown_jars(runtime, self.jars)),
            libjvm=f"{shown_jre(runtime, self.jre)}/{self.jre.libjvm.relative_to(self.jre.home)}",
            version=self.version,
            jvm_flags=(QUIET, *(() if timers == "documented" else (FAST_REBALANCE,))),
        )

    def cpp_setup(self, cluster: Cluster) -> CppSetup:
        """The C++ client as a worker is told it, and the one broker name, which its answers do not tell."""
        if self.cpp is None:
            return CppSetup()
        shown = cluster.runtime.provide(self.cpp.home, self.cpp.home.name)
        return CppSetup(shown, self.cpp.version, self.cpp.library, str(cluster.plan.topology.brokers[0].name))

    def grpc_setup(self, cluster: Cluster) -> GrpcSetup:
        """The gRPC client as a worker is told it, the proxies, and the broker name if there is one alone."""
        if self.grpc is None:
            return GrpcSetup()
        shown = cluster.runtime.provide(self.grpc.home, self.grpc.home.name)
        names = [group.name for group in cluster.plan.topology.brokers]
        return GrpcSetup(shown, self.grpc.version, cluster.proxy_list(), names[0] if len(names) == 1 else "")


class Crew:
    """Starts workers in nodes of their own and sums their progress. Closing it ends them all.

    `tell(name, detail)` records whom it started and what each said it had done: what their histories must hold.
    """

    def __init__(self, cluster: Cluster, kit: ClientKit, timers: str, history: Path, tell: Tell) -> None:
        self._cluster = cluster
        self._kit = kit
        self._timers = timers
        self._history = history
        self._tell = tell
        self._spawner = RuntimeSpawner(cluster.runtime)
        self._workers: dict[str, Worker] = {}
        self._producers: dict[str, str] = {}
        self._consumed: dict[str, list[ConsumerConfig]] = {}
        self._broadcast: dict[str, list[str]] = {}
        self._stopped: dict[str, Mapping[str, int]] = {}
        self._doomed: set[str] = set()

    def names(self) -> list[str]:
        """Every worker that was started, in order."""
        return list(self._workers)

    def named(self, prefix: str) -> list[str]:
        """The workers called `prefix` or `prefix-N`."""
        return [name for name in self._workers if is_called(name, prefix)]

    def members(self, group: str) -> frozenset[str]:
        """The workers that consume in a group and were neither stopped nor are about to be killed."""
        mine = (config.process for config in self._consumed.get(group, ()))
        return frozenset(name for name in mine if name not in self._stopped and name not in self._doomed)

    def is_producer(self, name: str) -> bool:
        """It sends."""
        return name in self._producers

    def start(self, load: Iterable[Load], topics: Sequence[str]) -> list[str]:
        """Starts every process of the load, side by side, and tells each what to be. Returns their names."""
        configs = [config for part in load for config in self._configs(part, topics)]
        for config in configs:
            if config.process in self._workers:
                raise UsageError(f"a worker named {config.process!r} runs already; give the load another name")
        with ThreadPoolExecutor(max_workers=4) as pool:
            for config, worker in zip(configs, pool.map(self._spawn, configs), strict=True):
                self._workers[config.process] = worker
                self._tell(ROSTER, {"process": config.process, "role": config.role})
                if config.role == "producer":
                    self._producers[config.process] = config.topic
                else:
                    self._consumed.setdefault(config.group, []).append(config)
                    if config.model == "broadcasting":
                        self._broadcast.setdefault(config.group, []).append(config.process)
        return [config.process for config in configs]

    def await_ready(self, names: Iterable[str], timeout_s: float) -> None:
        """Waits until every one of them works: a producer has a route, a consumer owns queues."""
        for name in names:
            self._workers[name].ready(timeout_s)

    def go(self, names: Iterable[str]) -> None:
        """Lets them send."""
        for name in names:
            self._workers[name].go()

    def hold(self, names: Iterable[str]) -> None:
        """Lets them send nothing new until `go`."""
        for name in names:
            self._workers[name].pause()

    def stop(self, names: Iterable[str]) -> dict[str, Any]:
        """Stops them and waits for what was in flight. Workers that a fault killed are passed over.

        Raises ClientError for one that died unasked: what it did not do any more is nobody's fault but ours.
        """
        running = [n for n in names if n in self._workers and n not in self._stopped]
        wanted = [n for n in running if n not in self._doomed or self._workers[n].alive]

        def one(name: str) -> Mapping[str, int]:
            return self._workers[name].stop(STOP_TIMEOUT_S)

        with ThreadPoolExecutor(max_workers=8) as pool:
            for name, counts in zip(wanted, pool.map(one, wanted), strict=True):
                self._stopped[name] = counts
                self._tell(COUNTS, {"process": name, "final": True, **counts})
        return {name: dict(self._stopped[name]) for name in wanted}

    def expect_death(self, names: Iterable[str]) -> None:
        """A fault is about to kill them."""
        for name in names:
            self._doomed.add(name)
            self._workers[name].expect_death()

    def check_alive(self) -> None:
        """Raises ClientError for a worker that died unasked."""
        for name, worker in self._workers.items():
            if name not in self._stopped and name not in self._doomed:
                worker.wait_progress(lambda _: True, "to be alive", 1.0)

    def count(self, prefix: str, what: str) -> int:
        """A count of `Progress`, summed over the workers of that name."""
        return sum(int(getattr(self._workers[name].progress, what)) for name in self.named(prefix))

    def await_first_ok(self, name: str, timeout_s: float) -> Progress:
        """Waits until the producer has an acknowledged send."""
        return self._workers[name].wait_progress(lambda p: p.ok > 0, "its first acknowledged send", timeout_s)

    def undelivered(self, group: str, brokers: Sequence[str] | None = None) -> int:
        """Acknowledged messages of its topics that the group was not given so far, as the histories have it.

        What it refused it is owed again, unless that was the last attempt. Of a broadcasting group each member that
        runs is owed all of them, and what each lacks is summed. Raises UsageError for a group that nobody consumes in:
        it is owed nothing, and that would look like all.
        """
        if group not in self._consumed:
            known = ", ".join(sorted(self._consumed)) or "none"
            raise UsageError(f"no consumer of group {group!r} was started so far; the groups are {known}")
        topics = {topic for config in self._consumed[group] for topic in config.topics}
        sending = [self._workers[n].history for n, topic in self._producers.items() if topic in topics]
        sent = self._scan(sending, OpName.SEND, pl.col("y") == OpType.OK.value)
        if brokers is not None:
            sent = sent.filter(pl.col("b").is_in(list(brokers)))
        if members := [n for n in self._broadcast.get(group, ()) if n not in self._doomed]:
            each = (self._given(config) for config in self._consumed[group] if config.process in members)
            return sum(sent.join(given, on="id", how="anti").height for given in each)
        every = pl.concat([self._given(config) for config in self._consumed[group]])
        return sent.join(every.unique("id"), on="id", how="anti").height

    def _given(self, config: ConsumerConfig) -> pl.DataFrame:
        """What ends a consumer's claim to a message: it was given it and did not refuse, or for the last time."""
        last = last_attempt(asdict(config))
        kept = (pl.col("s") != REFUSED).fill_null(True) | (pl.lit(False) if last is None else pl.col("k") >= last)
        history = self._workers[config.process].history
        return self._scan([history], OpName.DELIVER, (pl.col("r") == config.group) & kept)

    def close(self) -> None:
        """Ends every worker. Idempotent, never raises for one that is gone."""
        unsaid = {n: w.progress for n, w in self._workers.items() if n not in self._stopped}
        for worker in self._workers.values():
            worker.close()
        # A history that cannot be written any more lacks these lines, and is not judged for that.
        with suppress(EvidenceError):
            for name, progress in unsaid.items():
                self._stopped[name] = {}
                self._tell(COUNTS, {"process": name, "final": False, **asdict(progress)})

    def _scan(self, paths: Sequence[Path], name: OpName, condition: pl.Expr) -> pl.DataFrame:
        frames = []
        for path in paths:
            data = path.read_bytes() if path.exists() else b""
            whole = data[: data.rfind(b"\n") + 1]  # the worker may be writing its last line right now
            if whole:
                frames.append(pl.read_ndjson(whole, schema=SCHEMA).filter((pl.col("f") == name.value) & condition))
        empty = pl.DataFrame(schema=SCHEMA)
        return pl.concat([empty, *frames]).select("id", "b").unique("id")

    def _spawn(self, config: Config) -> Worker:
        self._cluster.add_client(config.process)
        try:
            worker = Worker(self._spawner, config.process, self._history / f"{config.process}.jsonl")
        except HarnessError:
            self._cluster.remove_client(config.process)
            raise
        worker.configure(config)
        return worker

    def _configs(self, load: Load, topics: Sequence[str]) -> list[Config]:
        make: Callable[[str], Config]
        if isinstance(load, Produce):
            produce = load
            make = lambda name: self._producer(produce, name, topics[produce.topic])  # noqa: E731
        else:
            consume = load
            make = lambda name: self._consumer(consume, name, topics[consume.topic])  # noqa: E731
        return [make(name) for name in workers_of(load)]

    def _producer(self, load: Produce, name: str, topic: str) -> ProducerConfig:
        return ProducerConfig(
            process=name,
            namesrv=self._cluster.nameserver_list(),
            topic=topic,
            client=load.client or self._kit.client,
            group=self._cluster.plan.prefix + producer_group(load.name),
            mode=load.mode,
            rate_per_s=None if load.rate_per_s is None else load.rate_per_s / load.producers,
            threads=load.threads,
            window=load.window,
            retries=DEFAULT_RETRIES.get(self._kit.client, 2) if load.retries is None else load.retries,
            timeout_ms=load.timeout_ms,
            body_bytes=load.body_bytes,
            max_messages=load.max_messages,
            pins=self._pins(load, topic),
            delay_level=load.delay_level or 0,
            properties={} if load.wait_store else {"WAIT": "false"},
            wait_route=load.wait_route,
            poll_nameserver_ms=self._poll_ms(load.poll_nameserver_ms),
            heartbeat_ms=self._heartbeat_ms(),
            java=self._kit.java(self._cluster.runtime, self._timers),
            cpp=self._kit.cpp_setup(self._cluster),
            grpc=self._kit.grpc_setup(self._cluster),
        )

    def _pins(self, load: Produce, topic: str) -> tuple[Pin, ...]:
        cluster = self._cluster
        return tuple(
            Pin(broker=cluster.broker_name(node), queue=queue, address=cluster.address(node))
            for index in load.only_brokers
            for node in cluster.masters()[index : index + 1]
            for queue in range(self._queues(topic))
        )

    def _queues(self, topic: str) -> int:
        return next(spec.queues for spec in self._cluster.plan.topics if spec.name == topic)

    def _consumer(self, load: Consume, name: str, topic: str) -> ConsumerConfig:
        return ConsumerConfig(
            process=name,
            namesrv=self._cluster.nameserver_list(),
            topics=(topic,),
            group=load.group,
            client=load.client or self._kit.client,
            model=load.model,
            listener=load.listener,
            fail_every=load.fail_every or 0,
            fail_attempts=load.fail_attempts or 0,
            retry_level=load.retry_level or 0,
            max_reconsume=-1 if load.max_reconsume is None else load.max_reconsume,
            wait_assignment=load.wait_assignment,
            poll_nameserver_ms=self._poll_ms(load.poll_nameserver_ms),
            heartbeat_ms=self._heartbeat_ms(),
            java=self._kit.java(self._cluster.runtime, self._timers),
            cpp=self._kit.cpp_setup(self._cluster),
            grpc=self._kit.grpc_setup(self._cluster),
        )

    def _poll_ms(self, wanted: int | None) -> int:
        return self._own_ms(FAST_POLL_NAMESERVER_MS) if wanted is None else wanted

    def _heartbeat_ms(self) -> int:
        return self._own_ms(FAST_HEARTBEAT_MS)

    def _own_ms(self, fast_ms: int) -> int:
        # What a client is recorded to have been told must be so: not every client's timers can be set.
        return DOCUMENTED_POLL_MS if self._timers == "documented" or self._kit.client in FIXED_TIMERS else fast_ms
