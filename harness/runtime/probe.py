"""What this machine can do, found by doing it in a throw-away cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

from harness.core.errors import CapabilityMissing, HarnessError
from harness.distribution import default_cache, toxiproxy
from harness.runtime.base import (
    CAPABILITIES,
    IO_ERROR,
    NETWORK_CUT,
    POWER_CUT,
    SIZED_DISK,
    SLOW_DISK,
    TOXIPROXY,
    Capabilities,
    Disk,
    Process,
)
from harness.runtime.disks import MIN_SIZE_BYTES
from harness.runtime.local import LocalRuntime
from harness.waiting import wait_for

_DELAY_S = 0.1
_WRITTEN_S = 5.0
_SLEEP = ("sleep", "60")
IN_CONTAINERS: Final = "links stand before nodes of --runtime local alone: in containers they were not tried"
_SYNCED, _UNSYNCED = "store/synced", "store/unsynced"


def probe_capabilities(
    open_runtime: Callable[..., LocalRuntime] = LocalRuntime.open, image: str = "", cache: Path | None = None
) -> Capabilities:
    """Every capability -> None, or why it is missing. Takes about half a second; leaves nothing behind.

    With `image` it is seen whether containers of it are cut off and lose power. `cache` is where Toxiproxy's server is,
    if there is one; without it the user's own.
    """
    with tempfile.TemporaryDirectory(prefix="rmq-probe-") as directory:
        base = Path(directory)
        try:
            runtime = open_runtime(
                run_id=f"probe-{uuid4().hex[:12]}", evidence=base / "evidence", work_dir=base, state_dir=base / "state"
            )
        except HarnessError as error:
            return dict.fromkeys(CAPABILITIES, _reason(error))
        with runtime:
            return {
                **dict.fromkeys(CAPABILITIES),
                NETWORK_CUT: _missing(partial(_try_cut, image), runtime),
                SIZED_DISK: _missing(_try_sized_disk, runtime),
                POWER_CUT: _missing(partial(_try_power_cut, image), runtime),
                IO_ERROR: _missing(_try_io_error, runtime),
                SLOW_DISK: _missing(_try_slow_disk, runtime),
                TOXIPROXY: IN_CONTAINERS if image else _missing(partial(_try_toxiproxy, cache), runtime),
            }


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, CapabilityMissing) else str(error)


def _missing(attempt: Callable[[LocalRuntime], str | None], runtime: LocalRuntime) -> str | None:
    try:
        return attempt(runtime)
    except (HarnessError, OSError) as error:
        return _reason(error)


def _try_cut(image: str, runtime: LocalRuntime) -> str | None:
    for name in ("a", "b"):
        runtime.add_node(name)
        if image:
            runtime.start(name, Process(_SLEEP, image=image))
    if not runtime.passes("a", "b"):
        return "two nodes do not reach each other: is bridged traffic filtered on this machine?"
    runtime.cut(("a", "b"))
    if runtime.passes("a", "b") or not runtime.passes("b", "a"):
        return "a cut from a to b was not seen to stop that direction alone"
    runtime.heal()
    return None if runtime.passes("a", "b") else "a cut did not heal"


def _try_sized_disk(runtime: LocalRuntime) -> str | None:
    runtime.add_node("disk", Disk("sized", MIN_SIZE_BYTES))
    seen = runtime.fill_disk("disk", 0.5).ratio
    return None if abs(seen - 0.5) < 0.005 else f"a disk filled to 0.5 showed {seen:.3f}"


def _try_power_cut(image: str, runtime: LocalRuntime) -> str | None:
    """What is lost is what a process in the node wrote: what only the harness sees may lie on another disk than its."""
    _add_forgetful(runtime)
    runtime.write_file("power", _SYNCED, b"kept")
    runtime.sync_disk("power")
    home = runtime.nodes["power"].home
    writes = f"cat {home}/{_SYNCED} >{home}/{_UNSYNCED}; sleep 60"
    runtime.start("power", Process(("sh", "-c", writes), image=image))
    wait_for(
        lambda: _on_disk(runtime) == {_SYNCED: 4, _UNSYNCED: 4},
        what="what a process wrote to its node's disk to be seen there",
        timeout_s=_WRITTEN_S,
        last_seen=lambda: f"{_on_disk(runtime)}; it says {runtime.tail('power')!r}",
    )
    runtime.cut_power("power")
    if set(_on_disk(runtime)) != {_SYNCED}:
        return f"after a power cut the disk held {sorted(_on_disk(runtime))}, not the synced file alone"
    return None


def _on_disk(runtime: LocalRuntime) -> dict[str, int]:
    return {entry.path: entry.size_bytes for entry in runtime.list_files("power", "store")}


def _add_forgetful(runtime: LocalRuntime) -> None:
    """Once for both attempts; raises for each of them where there is no such disk."""
    if "power" not in runtime.nodes:
        runtime.add_node("power", Disk("sized", MIN_SIZE_BYTES, forgets=True))


def _try_io_error(runtime: LocalRuntime) -> str | None:
    _add_forgetful(runtime)
    if not runtime.disk_answers("power"):
        return "a healthy disk did not take a block"
    runtime.fail_disk("power")
    if runtime.disk_answers("power"):
        return "a disk that was made to fail took a block all the same"
    runtime.mend_disk("power")
    return None if runtime.disk_answers("power") else "a disk that had failed did not mend"


def _try_slow_disk(runtime: LocalRuntime) -> str | None:
    runtime.add_node("slow", Disk("sized", MIN_SIZE_BYTES, forgets=True, unprivileged=True))
    runtime.slow_disk("slow", _DELAY_S)
    seen = runtime.sync_s("slow")
    return None if seen >= _DELAY_S else f"a sync that was slowed down by {_DELAY_S} s took {seen:.3f} s"


def _try_toxiproxy(cache: Path | None, runtime: LocalRuntime) -> str | None:
    """It runs in a node and says which version it is. What it does to links is seen where it is done."""
    server = toxiproxy.find(cache or default_cache())
    runtime.add_node("toxiproxy")
    program = f"{runtime.provide(server.home, 'toxiproxy')}/{toxiproxy.FILE}"
    code, said, wrong = runtime.run("toxiproxy", [program, "-version"], 10)
    if code or server.version not in said.decode(errors="replace"):
        return f"{toxiproxy.FILE} -version ended with {code} and said {(said + wrong).decode(errors='replace')[:80]!r}"
    return None
