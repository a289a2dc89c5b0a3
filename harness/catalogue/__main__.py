"""`python -m harness.catalogue > docs/guarantees.md`."""

from __future__ import annotations

import sys

from harness.catalogue import document, load_catalogue

if __name__ == "__main__":
    sys.stdout.write(document(load_catalogue()))
