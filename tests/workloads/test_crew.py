"""What a crew says of groups, without any worker."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import UsageError
from harness.workloads.crew import Crew


def test_a_group_that_nobody_joined_is_not_given_everything(tmp_path: Path) -> None:
    """It is owed nothing, and nothing missing would look like all of it."""
    nothing: Any = None
    crew = Crew(SimpleNamespace(runtime=None), nothing, "fast", tmp_path, lambda name, detail: None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no consumer of group 'g' was started so far; the groups are none"):
        crew.undelivered("g")
