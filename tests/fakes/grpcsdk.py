"""A package that stands for `rocketmq-python-client`: `lay` puts it where a worker finds it.

What it answers to the n-th send is `answers[n]`, and SEND_OK where there is none: a class name of the client's, or
`unavailable` for gRPC's own. What was sent is given to consumers, in order, those of `again` twice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_CODE = """
import json, threading, time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
HERE = Path(__file__).parent
SCRIPT = json.loads((HERE / "script.json").read_text())
POOL = ThreadPoolExecutor(1)


class ClientException(Exception):
    def __init__(self, message, code=None):
        super().__init__(message)
        self.code = code
class ProxyTimeoutException(ClientException): pass
class TooManyRequestsException(ClientException): pass
class IllegalArgumentException(ClientException): pass
class Status:
    value = (14, "unavailable")
class AioRpcError(Exception):
    def code(self): return Status
    def details(self): return "failed to connect"
class Unheard(Exception):
    def __str__(self): raise RuntimeError("no text of it")
class Credentials: pass
class FilterExpression: pass
class ClientConfiguration:
    def __init__(self, endpoints, credentials, namespace, timeout): self.told = [endpoints, timeout]
class TransactionChecker: pass
class TransactionResolution:
    COMMIT, ROLLBACK = "COMMIT", "ROLLBACK"
class MessageListener: pass
class ConsumeResult:
    SUCCESS, FAILURE = "SUCCESS", "FAILURE"


class Message:
    def __init__(self):
        self._keys, self.properties = set(), {}
        self.message_group = self.delivery_timestamp = None
    keys = property(lambda self: self._keys, lambda self, key: self._keys.add(key))
    def add_property(self, name, value): self.properties[name] = value


def tell(what, **more):
    with (HERE / "log.jsonl").open("a") as file:
        file.write(json.dumps({"what": what, **more}) + "\\n")


class Queue:
    def is_writable(self): return True
    def is_master_broker(self): return True
class Route:
    message_queues = [Queue()]
class Routes:
    def update_topic_route(self, topic): return Route()


class Client:
    def __init__(self, configuration):
        self.configuration, self.route_manager = configuration, Routes()
        self._init_settings_event = threading.Event()
        if SCRIPT.get("settings", True):
            self._init_settings_event.set()
    def startup(self):
        if SCRIPT.get("refuses"):
            try:
                raise Exception(SCRIPT["refuses"])
            except Exception:
                # As a consumer that has nothing yet that it could shut down.
                None.shutdown() if SCRIPT.get("clumsy") else None
                raise
        tell("startup", told=self.configuration.told)
    def shutdown(self):
        tell("shutdown")
        if SCRIPT.get("sulks"):
            raise ClientException("had shutdown")


class Receipt: pass


class Transaction:
    def commit(self): self.end("commit")
    def rollback(self): self.end("rollback")
    def end(self, how):
        tell(how, id=min(self.message.keys))
        if SCRIPT.get("forgets"):
            raise ClientException("unknown transaction", 40015)


class Producer(Client):
    def __init__(self, configuration, topics=(), checker=None):
        super().__init__(configuration)
        self.checker = checker
    def begin_transaction(self): return Transaction()
    def send(self, message, transaction=None):
        key = min(message.keys)
        answer = SCRIPT.get("answers", {}).get(key.rpartition("-")[2])
        if answer == "no-route":
            raise Exception("failed to fetch topic:T route.")
        tell("send", id=key, group=message.message_group, due=message.delivery_timestamp, size=len(message.body))
        if answer == "unheard-of":
            raise Unheard()
        if answer == "unavailable":
            raise AioRpcError()
        if answer == "nothing":
            return None
        receipt = Receipt()
        receipt.message_id = "" if answer == "no-id" else "01"
        if answer == "no-id":
            return receipt
        if answer:
            raise globals()[answer]("said so", 50402)
        if transaction is not None:
            transaction.message = message
            if SCRIPT.get("asks"):
                self.ask(SCRIPT.get("asks_of", key))
        return receipt
    def ask(self, key):
        # As the client does: what is raised stays in a future that nobody looks at.
        asked = Message()
        asked.keys = key
        def check(): tell("checked", id=key, answer=self.checker.check(asked))
        POOL.submit(check).exception()
    def send_async(self, message):
        future = Future()
        if SCRIPT.get("slow_s"):
            threading.Thread(target=self.settle, args=(future, message), daemon=True).start()
        else:
            self.settle(future, message)
        return future
    def settle(self, future, message):
        try:
            receipt = self.send(message)
            time.sleep(SCRIPT.get("slow_s", 0))
            future.set_result(receipt)
        except Exception as error:
            future.set_exception(error)


def stored():
    for n, (key, body, attempt) in enumerate(SCRIPT["stored"]):
        message = Message()
        message.keys, message.topic, message.body, message.delivery_attempt = key, "T", body.encode(), attempt
        message.message_id = f"01{n}"
        message.receipt_handle = f"0 1 60000 7 0 broker-b 3 {n} 99"
        yield message


class PushConsumer(Client):
    fifo = SCRIPT.get("fifo", True)
    def __init__(self, configuration, group, listener, subscription, consumption_thread_count=20):
        super().__init__(configuration)
        self.listener, self.__process_queues = listener, {}
    def startup(self):
        super().startup()
        self.__process_queues["queue"] = 1
        threading.Thread(target=self.push, daemon=True).start()
    def push(self):
        for message in stored():
            tell("answer", id=min(message.keys), answer=self.listener.consume(message))


class SimpleConsumer(Client):
    def __init__(self, configuration, group, subscription, await_duration=20):
        super().__init__(configuration)
        self.left = list(stored())
    def receive(self, most, invisible_s):
        SCRIPT["stumbles"] = int(SCRIPT.get("stumbles", 0)) - 1
        if SCRIPT["stumbles"] >= 0:
            raise AioRpcError()
        if not self.left:
            time.sleep(0.05)
        given, self.left = self.left[:2], self.left[2:]
        return given
    def ack(self, message):
        tell("ack", id=min(message.keys))
        if SCRIPT.get("unacked"):
            raise ClientException("the handle is invalid", 40015)
"""


def lay(directory: Path, **script: Any) -> Path:
    """Writes the package below `directory`, which is then what a set-up's `path` names."""
    package = directory / "rocketmq"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_CODE)
    (package / "script.json").write_text(json.dumps(script))
    (directory / "grpc.py").write_text("__version__ = '1'\n")
    return directory


def log(directory: Path) -> list[dict[str, Any]]:
    """What the package was asked to do, in order."""
    file = directory / "rocketmq" / "log.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
