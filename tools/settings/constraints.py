"""What settings check beyond their types, as far as a JSON Schema can say it: patterns, limits, keys that go together.

The patterns are those of the code. What needs a look at two entries or two sections, at files or at git is left to
tinyship itself.
"""

from __future__ import annotations

import re
from typing import Any

from tinyship.reference import DIGEST, HOST, PART, REPOSITORY, REPOSITORY_LENGTH, TAG
from tinyship.settings import grammar, options

Schema = dict[str, Any]


def _whole(*patterns: str) -> str:
    """A pattern for all of a text, as JavaScript knows it too."""
    plain = (re.sub(r"\(\?P<\w+>", "(?:", pattern) for pattern in patterns)
    return "^(?:" + "|".join(plain) + ")$"


def _pattern(*patterns: str) -> Schema:
    return {"pattern": _whole(*patterns)}


_SIZE = r"\s*\+?\s*[0-9]+(?:\.[0-9]+)?\s*(?:[KkMmGgTt](?:[Ii]?[Bb])?|[Bb])?\s*"
_SHARE = r"\s*\+?\s*[0-9]+(?:\.[0-9]+)?\s*%\s*"
_TIME = r"\s*[0-9]+(?:\.[0-9]+)?\s*[smhd]\s*"
_ASSIGNMENT = r"[^=]*[^=\s][^=]*=[\s\S]*"
_INSIDE = r"(?!/)(?!(?:.*/)?\.\.(?:/|$))(?=.*[^./]).+"
_OUTSIDE = r"(?![~/])(?!(?:.*/)?\.\.(?:/|$))(?=.*[^./]).+"
_NAMES = "|".join(grammar.TEMPLATE_NAMES)
_REFERENCE = rf"{REPOSITORY.pattern}(?::{TAG.pattern})?"
_PINNED = rf"{_REFERENCE}(?:@{DIGEST.pattern})?"
_REGISTRY = rf"(?:{HOST}|{PART})(?:/{PART})*"
_OUTPUTS = "local|tar|oci|docker|image|registry"
_FIELDS = r'(?:[\s\S]*,)?\s*"?{}="?'
_CACHE = rf"{_PINNED}|{_FIELDS.format('type')}(?:registry|local%s)\b[\s\S]*"
_FOLDER = r"(?!\s*(?:target:\s*$|git@|docker-image://|[a-z0-9+.-]+://))[\s\S]*\S[\s\S]*"

VALUES: dict[str, Schema] = {
    "image": {**_pattern(REPOSITORY.pattern), "maxLength": REPOSITORY_LENGTH},
    "jobs": {"minimum": 0},
    "builder": _pattern(*options.BUILDERS, r"tcp://[^@/?#]+:[0-9]+/?", r"unix:///.+"),
    "platforms[]": _pattern(options.PLATFORM.pattern),
    "args[]": _pattern(_ASSIGNMENT),
    "labels[]": _pattern(_ASSIGNMENT),
    "shm_size": _pattern("", _SIZE),
    "ulimits[]": _pattern(f"(?:{'|'.join(options.LIMITS)})=(?:-1|[0-9]+)(?::(?:-1|[0-9]+))?"),
    "secrets[]": _pattern(_FIELDS.format("id") + r'[^\s,="][\s\S]*'),
    "ssh[]": _pattern(r"[^\s,=]+(?:=[^,]+)?"),
    "contexts[]": _pattern(rf"[^=]*[^=\s][^=]*=(?:{_FOLDER}|\s*docker-image://{_PINNED}\s*)"),
    "cache_from[]": _pattern(_CACHE % ""),
    "cache_to[]": _pattern(_CACHE % "|inline"),
    "max_age": _pattern("", _TIME),
    "proxy": _pattern("", "https?://.+"),
    "insecure[]": _pattern(HOST, PART),
    "mirrors[]": _pattern(rf"(?:{HOST}|{PART})={_REGISTRY}"),
    "attests[]": _pattern(_FIELDS.format("type") + r"(?:provenance|sbom)\b[\s\S]*"),
    "base[].name": _pattern(_REFERENCE),
    "base[].pull": _pattern("", DIGEST.pattern),
    "base[].platforms[]": _pattern(options.PLATFORM.pattern),
    "base[].cache_to[]": _pattern(_CACHE % "|inline"),
    "build.tag": _pattern(TAG.pattern),
    "build.artifacts[]": _pattern(_INSIDE),
    "build.env[]": _pattern(_ASSIGNMENT),
    "build.cache_to[]": _pattern(_CACHE % "|inline"),
    "build.outputs[]": _pattern(
        rf"(?!-$)(?:(?=[^=,]+$){_OUTSIDE})", r'[\s\S]*\btype="?(?:local|tar|oci|docker|image|registry)\b[\s\S]*'
    ),
    "release.run.env[]": _pattern(_ASSIGNMENT),
    "release.smoke.timeout": {"exclusiveMinimum": 0, "exclusiveMaximum": 1e9},
    "push.to[]": _pattern(_REGISTRY),
    "push.tags[]": _pattern(rf"(?:[A-Za-z0-9_.-]|\{{(?:{_NAMES})\}})+"),
    "push.timeout": {"exclusiveMinimum": 0, "exclusiveMaximum": 1e9},
    "size.notes_remote": _pattern("", r"\w[\w./-]*"),
    **{f"size.budgets[].{key}": _pattern("", _SIZE) for key in ("unpacked", "pull", "unique", "dead", "floor")},
    "size.budgets[].growth": _pattern("", _SIZE, _SHARE),
    "size.budgets[].layers": {"minimum": 0},
    "clean.keep": {"minimum": 1},
    "clean.ask_above": {"minimum": 0, "maximum": 1},
    "clean.cache_age": _pattern("", _TIME),
    "clean.cache_size": _pattern("", _SIZE),
    "clean.registry.keep": {"minimum": 1},
    "clean.registry.age": _pattern("", _TIME),
}
VALUES["release.outputs[]"] = VALUES["build.outputs[]"]

LISTS: dict[str, Schema] = {
    **{
        key: {"uniqueItems": True}
        for key in ("platforms", "ulimits", "secrets", "ssh", "contexts", "insecure", "mirrors", "attests")
    },
    "push.tags": {"minItems": 1},
}


def _given(key: str) -> Schema:
    """A key is there, and not empty."""
    return {"required": [key], "properties": {key: {"not": {"enum": ["", [], None]}}}}


def _needs(key: str, other: str) -> Schema:
    return {"if": _given(key), "then": _given(other)}


SECTIONS: dict[str, Schema] = {
    "version": {"not": {"allOf": [_given("literal"), _given("file")]}, **_needs("regex", "file")},
    "base[]": {
        "oneOf": [_given("dockerfile"), _given("rootfs"), _given("pull")],
        "allOf": [_needs("changes", "rootfs"), _needs("platforms", "dockerfile"), _needs("cache_to", "dockerfile")],
    },
    "base[].rootfs": {"oneOf": [_given("tar"), _given("command")]},
    "builder_tls": {"allOf": [_needs("cert", "key"), _needs("key", "cert")]},
    "hooks[]": {
        "allOf": [{"oneOf": [_given("before"), _given("after")]}, {"oneOf": [_given("run"), _given("task")]}],
    },
    "size": {
        "if": _given("notes_remote"),
        "then": {"not": {"required": ["notes"], "properties": {"notes": {"const": False}}}},
    },
    "size.budgets[]": {
        "anyOf": [
            *(_given(key) for key in ("unpacked", "pull", "unique", "dead", "growth")),
            {"required": ["layers"], "properties": {"layers": {"not": {"const": 0}}}},
        ]
    },
}
