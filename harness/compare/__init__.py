"""Two releases side by side: guarantee by guarantee better, same, worse or not comparable, and a page to sign."""

from __future__ import annotations

from harness.compare.compare import compare

__all__ = ["compare"]
