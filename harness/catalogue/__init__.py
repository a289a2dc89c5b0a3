"""The catalogue of guarantees: data, its loader, and what is rendered from it."""

from __future__ import annotations

from harness.catalogue.load import Catalogue, build_catalogue, load_catalogue
from harness.catalogue.text import document, explain, promises

__all__ = ["Catalogue", "build_catalogue", "document", "explain", "load_catalogue", "promises"]
