"""The texts of the files that are written, each line explained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tinyship.init.findings import Carried, Outcome
from tinyship.init.source import Source, ignored

GO = "1.24"
PYTHON = "3.13"
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"}
_ABOUT = {
    "image": "The repository's name; tags and registries stand below.",
    "version": "Where the version comes from; without this it is the git tag on HEAD: v1.2.0 is 1.2.0.",
    "args": "Build arguments. GIT_COMMIT, VERSION, BUILD_DATE and SOURCE_DATE_EPOCH come by themselves.",
    "labels": "Labels of the release image, beside those that come by themselves.",
    "platforms": "What the release image is built for; several need the engine's containerd image store.",
    "secrets": "For RUN --mount=type=secret: never in an image, a layer or a log.",
    "ssh": "Agents for RUN --mount=type=ssh.",
    "contexts": "Named contexts, for FROM and COPY --from.",
    "cache_from": "Where cached steps may come from.",
    "cache_to": "Where cached steps are put.",
    "network": "The network of RUN instructions.",
    "pull": "Ask registries for newer base images.",
    "no_cache": "Build every step again.",
    "base": "Base images of one's own, made in this order.",
    "build": "The fat image that compiles; its artifacts are copied out of it.",
    "release": "The tiny image that ships.",
    "push": "Where `push` sends it, under which tags.",
    "images": "Several images, each with a repository of its own; made in this order.",
}


def tasks(name: str) -> str:
    """A tasks.py; ``tinyship`` itself needs none, but one's own tasks do."""
    return (
        f'"""Ship {name}: `invoke --list` shows how."""\n'
        "\n"
        "import tinyship\n"
        "\n"
        "# base, build, release, push, clean and size; tasks of your own can be added beside them.\n"
        "ns = tinyship.collection()\n"
    )


def config(outcome: Outcome) -> str:
    """An invoke.yaml, with a comment above each key: what it is, and where its value was found."""
    lines = [
        "# How this project's images are made and shipped. `invoke config --all` shows every setting.",
        "tinyship:",
    ]
    for key, value in _ordered(outcome.values):
        lines += ["", *_about(key, outcome.carried), *_entry(key, value, 2, outcome.carried, "")]
    keys = set(outcome.values)
    inner = {key for image in outcome.values.get("images", ()) for key in image}
    if "push" not in keys | inner:
        lines += [
            "",
            "  # Where `push` sends it: nothing said so. Without `to` it is the registry that the name implies.",
            "  # push: {to: [registry.example.com]}",
        ]
    if "size" not in keys:
        lines += [
            "",
            "  # How large it may be, on disk; `invoke size` shows what it is. A broken budget fails the release.",
            "  # size: {budgets: [{stage: release, unpacked: 40MB}]}",
        ]
    return "\n".join([*lines, ""])


def _ordered(section: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The keys of a section as people read them: what it is, how it is made, where it goes."""
    order = ["name", *_ABOUT]
    return sorted(section.items(), key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order))


def _about(key: str, carried: Sequence[Carried]) -> Iterator[str]:
    places = dict.fromkeys(str(said.place) for said in carried if said.key.partition(".")[0] == key)
    found = f" ({', '.join(places)})" if places and key != "images" else ""
    yield f"  # {_ABOUT.get(key, 'As it was found.')}{found}"


def _entry(key: str, value: Any, indent: int, carried: Sequence[Carried], path: str) -> Iterator[str]:
    """A key with its value; maps and lists of maps on lines of their own."""
    space = " " * indent
    if isinstance(value, Mapping):
        yield f"{space}{key}:"
        for name, inner in value.items():
            yield from _entry(name, inner, indent + 2, carried, f"{path}{key}.")
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield f"{space}{key}:"
        for entry in value:
            first = True
            prefix = f"{path}{key}[{entry.get('name', '')}]."
            for name, inner in _ordered(entry) if key == "images" else entry.items():
                if key == "images" and name != "name" and (said := _places(f"{prefix}{name}", carried)):
                    yield f"{space}    # {said}"
                for line in _entry(name, inner, indent + 4, carried, prefix):
                    yield f"{space}  - {line.lstrip()}" if first else line
                    first = False
    else:
        yield f"{space}{key}: {_flow(value)}"


def _places(key: str, carried: Sequence[Carried]) -> str:
    return ", ".join(dict.fromkeys(str(said.place) for said in carried if f"{said.key}.".startswith(f"{key}.")))


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_flow(entry) for entry in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    is_one_line = text.isprintable() and "'" not in text
    return f"'{text}'" if is_one_line and set(text) & set('"\\') else json.dumps(text, ensure_ascii=False)


def dockerfile(source: Source) -> str:
    """A Dockerfile of two stages, whose last one has the program and what it needs to run."""
    return _go(source) if source.language == "go" else _python(source)


def _go(source: Source) -> str:
    flags = "-s -w" + "".join(f" -X main.{name}=${{{_FILLED[name]}}}" for name in source.linked)
    args = "".join(f"ARG {_FILLED[name]}\n" for name in source.linked)
    filled = "# What git says comes in as these arguments, and is linked in.\n" if args else ""
    sums = "go.mod go.sum" if source.locked else "go.mod"
    main = source.main if source.main == "." else f"./{source.main}"
    return f"""\
# The stage that compiles; nothing of it ships but what the last stage copies.
# Another image with Go, from a mirror or the team's own, can stand here: args: ["GO_IMAGE=..."] in invoke.yaml.
ARG GO_IMAGE=golang:{source.version or GO}-alpine
FROM ${{GO_IMAGE}} AS build-stage
WORKDIR /src

# Dependencies alone first: this layer stays while {sums.replace(" ", " and ")} do{"es" if " " not in sums else ""}.
COPY {sums} ./
RUN go mod download

COPY . .
{filled}{args}# Without cgo the program needs no C library; -trimpath leaves this machine's paths out of it, and
# -s -w the symbols that only debuggers read: about a third of its size.
RUN CGO_ENABLED=0 go build -trimpath -o /out/{source.name} \\
      -ldflags="{flags}" {main}

# What ships: nothing but the program, and the certificates that it trusts.
FROM scratch
COPY --from=build-stage /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build-stage /out/{source.name} /{source.name}

# No root: this is a user without a name, which needs no /etc/passwd.
USER 65532:65532
ENTRYPOINT ["/{source.name}"]
"""


_FILLED = {"version": "VERSION", "commit": "GIT_COMMIT"}


def _python(source: Source) -> str:
    image = f"python:{source.version or PYTHON}"
    start = ["python", *source.main.split()] if source.main else [source.name]
    steps = []
    if source.locked:
        steps += [
            "# Dependencies alone first: this layer stays while requirements.txt does.",
            "COPY requirements.txt ./",
            f"RUN {_PIP} -r requirements.txt",
        ]
    if source.installs:
        steps += [""] * bool(steps) + ["COPY . .", f"RUN {_PIP} ."]
    lines = [
        '# Another image with Python, of a mirror or one\'s own: args: ["PYTHON_IMAGE=..."] in invoke.yaml.',
        f"# A dependency without a wheel for Alpine (musl) has to be compiled; {image}-slim is the way out then.",
        f"ARG PYTHON_IMAGE={image}-alpine",
        "",
    ]
    if steps:
        lines += [
            "# The stage that installs; nothing of it ships but what the last stage copies.",
            "FROM ${PYTHON_IMAGE} AS build-stage",
            "WORKDIR /src",
            "",
            "# An environment without pip: a folder that can be copied, with only what is installed into it.",
            "RUN python -m venv --without-pip /venv",
            "",
            *steps,
            "",
        ]
    lines += ["# What ships: the interpreter, and what runs on it.", "FROM ${PYTHON_IMAGE}"]
    if steps:
        lines += ["COPY --from=build-stage /venv /venv", "ENV PATH=/venv/bin:$PATH"]
    lines += [
        "# No caches of compiled modules are written while it runs.",
        "ENV PYTHONDONTWRITEBYTECODE=1",
        "WORKDIR /app",
    ]
    if not source.installs:
        lines.append("COPY . .")
    lines += [
        "",
        "# No root: this is a user without a name.",
        "USER 65532:65532",
        f"ENTRYPOINT {json.dumps(start)}",
        "",
    ]
    return "\n".join(lines)


_PIP = "python -m pip --python /venv/bin/python install --no-cache-dir --no-compile"


def dockerignore(source: Source | None, mentioned: str, config_name: str) -> str:
    """A .dockerignore of what no image needs, without what a Dockerfile mentions.

    Args:
        source: the program, where it is known.
        mentioned: the texts of the Dockerfiles.
        config_name: the file that the settings stand in.
    """
    lines = ["# What no image needs: it is not sent to the builder, and its changes build nothing again."]
    groups = (
        ("# git says what the commit is; the builder need not know.", (".git", ".gitignore")),
        ("# The release's own files.", (".tinyship", "tasks.py", config_name, ".dockerignore", "Dockerfile*")),
        ("# Secrets belong into `secrets`, not into a context.", (".env", ".env.*")),
        ("# What the language leaves behind.", tuple(ignored(source))),
    )
    for about, patterns in groups:
        kept = [pattern for pattern in patterns if not _mentions(mentioned, pattern)]
        if kept:
            lines += ["", about, *kept]
    return "\n".join([*lines, ""])


def _mentions(text: str, pattern: str) -> bool:
    words = {word.removeprefix("./").rstrip("/") for line in text.splitlines() for word in line.split()}
    bare = pattern.removeprefix("**/").rstrip("*")
    return any(word == bare or word.startswith(f"{bare}/") or (bare == ".git" and ".git" in word) for word in words)


def gitignore(artifacts: Iterable[str]) -> Sequence[str]:
    """The lines that a .gitignore needs: what tasks leave in the tree would make it dirty."""
    folders = dict.fromkeys(f"/{path.partition('/')[0]}{'/' if '/' in path else ''}" for path in artifacts)
    return (*folders, ".tinyship/", "__pycache__/")
