"""What the C++ client's callbacks answer where they fail: without the library, which goes on with whatever it reads."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAILS = """
import ctypes, types
from harness.clients.config import CppSetup, ProducerConfig
from harness.clients.cpp_producer import CppProducer
from harness.core.errors import ClientError

class Producer:
    '''As the wheel has it: whatever its caller answers is what the library is told.'''
    _handle = None
    def __init__(self, group, check): self.check = check
    def send_message_in_transaction(self, message, execute): CALLBACK(lambda: execute(message, None))()
    def __getattr__(self, _name): return lambda *_: None

class Message:
    keys = None
    def __getattr__(self, _name): return lambda *_: None

class Recorder:
    def write(self, line):
        if "COMMIT" in line: raise ClientError("the disk is full")

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int)
client = types.SimpleNamespace(TransactionMQProducer=Producer, Message=lambda _topic: Message(),
                               TransactionStatus=types.SimpleNamespace(COMMIT=0, ROLLBACK=1, UNKNOWN=2))
binding = types.SimpleNamespace(client=client, error=OSError, call=lambda *_: None)
config = ProducerConfig("p", "n", "T", client="cpp", mode="transaction", threads=1, wait_route=False)
producer = CppProducer(config, Recorder(), binding)
producer.start()
"""


@pytest.mark.parametrize(
    ("act", "why"),
    [
        ("CALLBACK(lambda: producer._producer.check(Message()))()", "AttributeError"),
        ("producer._transaction(0)", "the disk is full"),
    ],
)
def test_a_transaction_is_not_committed_because_a_callback_failed(act: str, why: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{FAILS}\n{act}\nprint('went on')"], capture_output=True, text=True, check=False
    )
    assert why in done.stderr
    assert (done.returncode, done.stdout) == (70, "")
