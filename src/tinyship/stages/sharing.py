"""Base images that several images of a project stand on: made once in a run, so they must be the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tinyship.engine.request import BuildRequest
from tinyship.errors import ConfigError
from tinyship.stages import building
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.settings.stages import Base


def check(scopes: Sequence[Scope]) -> None:
    """Look at each base image that several images have, before any is made.

    Their entries are the same, which ``settings.load`` sees to; what is around them may differ.

    Raises:
        ConfigError: it would be made in another way for one image than for another; names both, and the setting.
    """
    first: dict[str, tuple[Scope, tuple[BuildRequest, object]]] = {}
    count: dict[str, int] = {}
    for scope in scopes:
        for base in scope.settings.base:
            count[base.name] = count.get(base.name, 0) + 1
    for scope in scopes:
        for base in scope.settings.base:
            if base.dockerfile and count[base.name] > 1:
                made = _made(scope, base)
                other, known = first.setdefault(base.name, (scope, made))
                if known != made:
                    raise ConfigError(
                        f"the base image {base.name} has other {_difference(known, made)} in `{scope.name}` than in "
                        f"`{other.name}` of `tinyship.images`: it can be made in one way only",
                        hint="Give the two two names, or the same settings.",
                        stage="base",
                        image=base.name,
                    )


def _made(scope: Scope, base: Base) -> tuple[BuildRequest, object]:
    """All that decides how a base image is built."""
    request = replace(building.of_base(scope, base), labels={})
    settings = scope.settings
    return request, (settings.builder, settings.builder_tls, settings.proxy, settings.no_proxy)


def _difference(one: tuple[BuildRequest, object], other: tuple[BuildRequest, object]) -> str:
    """The setting that differs, in words."""
    names = BuildRequest.__struct_fields__
    changed = [name for name in names if getattr(one[0], name) != getattr(other[0], name)]
    return f"`{changed[0]}`" if changed else "`builder` or `proxy`"
