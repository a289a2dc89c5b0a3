"""Puts the topologies into the wheel, and into the wheel alone: an editable install reads them where they lie."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelData(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before it builds; `version` is `standard` or `editable`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds what lies outside the package."""
        if version == "standard":
            build_data["force_include"]["topologies"] = "harness/topology/data"
