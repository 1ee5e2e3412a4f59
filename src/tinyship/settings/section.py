"""What every section of the config is."""

from __future__ import annotations

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """A section of the config: frozen, keywords only, and strict about unknown keys."""
