"""Reads a secret where it is said to be, when a build needs it."""

from __future__ import annotations

import os

from tinyship.engine.request import Secret
from tinyship.errors import ConfigError


def value(name: str, secret: Secret) -> bytes:
    """The bytes of a secret.

    Raises:
        ConfigError: it is not where it is said to be; names it, and where.
    """
    if secret.file is None:
        found = os.environb.get(os.fsencode(secret.env))
        if found is None:
            raise ConfigError(
                f"the secret `{name}` comes from the variable {secret.env}, which is not set",
                hint=f"Set {secret.env}, or change `secrets`.",
            )
        return found
    try:
        return secret.file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the secret `{name}` cannot be read from {secret.file}: {error.strerror}",
            hint="Paths in `secrets` are relative to the project.",
        ) from error
