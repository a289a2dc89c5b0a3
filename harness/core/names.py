"""Names under which the harness records what it did itself, for the judge to find."""

from __future__ import annotations

from typing import Final

DRAIN: Final = "drain."
"""An observation `drain.<group>`: what was undelivered when the wait for deliveries ended, and if it still got less."""
