"""Names of nodes: none is taken for another kind of node."""

from __future__ import annotations

import pytest

from harness.core.errors import UsageError
from harness.topology import parse_topology

FILE = """
name: mine
description: of mine
nameservers: 2
replication: none
brokers:
{brokers}
"""


def parsed(*names: str) -> object:
    brokers = "\n".join(f"  - {{name: {name}, replicas: [{{role: master, id: 0}}]}}" for name in names)
    return parse_topology(FILE.format(brokers=brokers), "mine.yaml")


@pytest.mark.parametrize("name", ["namesrv", "nameserver", "namesrv-a", "nameserver-1"])
def test_a_broker_that_is_named_as_nameservers_are_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"a broker group is named {name}, as nameservers are"):
        parsed(name)
