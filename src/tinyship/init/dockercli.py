"""Commands of `docker`, and of programs that take the same words, as what they do to images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from posixpath import join, normpath

from tinyship.init.findings import Build, Carried, Findings, Place, Retag, Run, Sent, Unclear
from tinyship.init.marks import has_unknown, marks, shown
from tinyship.init.script import Command

PROGRAMS = {"docker", "podman", "nerdctl", "buildah"}
AUTOMATIC = {"GIT_COMMIT", "VERSION", "BUILD_DATE", "SOURCE_DATE_EPOCH"}
"""Build arguments that every Dockerfile of ours gets by itself."""
_SECRET = re.compile(r"(?i)(?:token|passw|secret|credential|api_?key|private_?key)")
_LISTS = {
    "--label": "labels",
    "--secret": "secrets",
    "--ssh": "ssh",
    "--cache-from": "cache_from",
    "--cache-to": "cache_to",
    "--add-host": "extra_hosts",
    "--ulimit": "ulimits",
    "--build-context": "contexts",
    "--attest": "attests",
    "--no-cache-filter": "no_cache_filter",
}
_SCALARS = {"--network": "network", "--shm-size": "shm_size"}
_SWITCHES = {"--pull": "pull", "--no-cache": "no_cache"}
_PASSED_OVER = {
    *("--load", "--rm", "--force-rm", "-q", "--quiet", "--squash", "--compress", "-D", "--debug", "--tls", "--push"),
    *("--disable-content-trust", "--rm=true", "--format", "--layers"),
}
_WITH_VALUE = {
    "--progress",
    "--builder",
    "--iidfile",
    "--metadata-file",
    "-l",
    "--log-level",
    "--config",
    "-H",
    "--host",
}
_SHORT = {"-t": "--tag", "-f": "--file", "-o": "--output"}
_TAKE_VALUES = {
    *("--tag", "--file", "--target", "--build-arg", "--platform", "--output", "--cgroup-parent", "--memory", "-m"),
    *("--cpuset-cpus", "--cpu-shares", "--isolation", "--security-opt", "--annotation", "--allow", "--call"),
    *_LISTS,
    *_SCALARS,
    *_WITH_VALUE,
}
_OFF = {"false", "0"}
_RUN_SWITCHES = {
    *("-d", "--detach", "-i", "--interactive", "-t", "--tty", "-it", "-ti", "--rm", "--init", "--privileged", "-P"),
    *("--read-only", "--no-healthcheck", "-dit", "-itd", "-id", "-P", "--publish-all", "--oom-kill-disable"),
}
_REPLACED = {
    "rmi": "`clean.images` and `clean.all` remove what the project made",
    "login": "credentials are those of the Docker config, one registry at a time",
}
_LEFT = {
    *("rm", "stop", "start", "kill", "logs", "exec", "ps", "images", "inspect", "network", "volume", "system", "info"),
    *("container", "version", "pull", "create", "cp", "wait", "history", "builder", "context", "stack", "service"),
    *("restart", "attach", "top", "stats", "port", "search", "events", "logout", "scout", "scan", "plugin", "swarm"),
}


def read(command: Command, place: Place) -> Findings | None:
    """What a command does to images; None where it is none of these programs'."""
    words = list(command.words)
    program = words[0].rpartition("/")[2]
    if program not in PROGRAMS:
        return None
    found = Findings()
    words = words[1:]
    while words and words[0].startswith("-"):
        words = words[2 if words[0] in _WITH_VALUE else 1 :]
    if words and words[0] in {"image", "buildx", "builder"} and len(words) > 1:
        words = words[1:] if words[1] not in {"create", "use", "inspect", "rm", "ls", "prune"} else []
    if not words:
        return found
    verb, rest = words[0], words[1:]
    if verb in {"build", "b", "bud", "build-using-dockerfile"}:
        _build(rest, command.folder, place, found)
    elif verb == "tag" and len(rest) == 2:
        found.retags.append(Retag(place, rest[0], rest[1]))
    elif verb == "push":
        names = [word for word in rest if not word.startswith("-")]
        found.sent.extend(Sent(place, name) for name in names[-1:])
    elif verb == "run":
        _ran(rest, place, found)
    elif verb == "bake":
        found.unclear += [Unclear(place, _said(command), "its Bake file is read for itself")]
    elif verb in _REPLACED:
        found.unclear.append(Unclear(place, _said(command), _REPLACED[verb]))
    elif verb == "save" or verb == "export":
        why = "not carried over: `release.outputs` has `type=docker,dest=FILE`, which is made with each release"
        found.unclear.append(Unclear(place, _said(command), why))
    elif verb not in _LEFT and verb != "compose":
        found.unclear.append(Unclear(place, _said(command), f"`{verb}` is not carried over"))
    return found


def argument(entry: str, place: Place) -> Carried | Unclear | None:
    """A build argument, ``NAME=value`` or ``NAME``, as a setting; None where it comes by itself.

    What VERSION is filled from is what the version is; it comes back as a text with marks, under ``version``.
    """
    name, equals, value = entry.partition("=")
    if name in AUTOMATIC and (marks(value) or not equals):
        return Carried("version", value, place) if name == "VERSION" and equals else None
    if _SECRET.search(name):
        why = "a build argument stays readable in the image: use `secrets` and `RUN --mount=type=secret`"
        return Unclear(place, f"{name}=***", why)
    if not equals:
        return Unclear(place, name, "its value is that of the variable of this name, wherever it is built")
    if kinds := [kind for kind, _ in marks(value)]:
        if "unknown" in kinds:
            return Unclear(place, f"{name}={shown(value)}", "what its value comes to is not known")
        ours = {"commit": "GIT_COMMIT", "short_commit": "GIT_COMMIT", "time": "BUILD_DATE", "date": "BUILD_DATE"}.get(
            kinds[0], "VERSION"
        )
        if kinds[0] in {"branch", "dirty"}:
            return Unclear(place, f"{name}={shown(value)}", "no build argument of ours says that")
        why = f"rename it in the Dockerfile to {ours}, which comes by itself"
        return Unclear(place, f"{name}={shown(value)}", why)
    return Carried("args", entry, place)


def below(folder: str, path: str) -> str:
    """A path that is given in a folder, from the project's root."""
    return path if path.startswith("/") or "://" in path else normpath(join(folder, path))


def _build(words: list[str], folder: str, place: Place, found: Findings) -> None:
    tags: list[str] = []
    options: list[Carried] = []
    given: dict[str, str] = {}
    pushes = False
    plain: list[str] = []
    for name, value in _given(words):
        if not name:
            plain.append(value)
        elif name == "--tag":
            tags.append(value)
        elif name in {"--file", "--target"}:
            given[name] = value
        elif name == "--build-arg":
            _keep(argument(value, place), options, found)
        elif name == "--platform":
            options += [Carried("platforms", one.strip(), place) for one in value.split(",") if one.strip()]
        elif key := _LISTS.get(name) or _SCALARS.get(name):
            _option(key, value, place, options, found)
        elif name in _SWITCHES:
            options += [Carried(_SWITCHES[name], True, place)] if value not in _OFF else []
        elif name in {"--provenance", "--sbom"}:
            kind = f"type={name.removeprefix('--')}"
            options += (
                [Carried("attests", f"{kind},{value}" if "=" in value else kind, place)] if value not in _OFF else []
            )
        elif name == "--output" and ("type=registry" in value or "push=true" in value):
            pushes = True
        elif name == "--output" and value not in {"type=docker", "type=image"}:
            why = "not carried over: `release.outputs` takes it in the same form"
            found.unclear.append(Unclear(place, f"{name} {shown(value)}", why))
        elif name == "--push":
            pushes = value not in _OFF
        elif name not in _PASSED_OVER | _WITH_VALUE | {"--output"}:
            found.unclear.append(Unclear(place, shown(name), "this option of a build is not known"))
    context = plain[-1] if plain else "."
    dockerfile = given.get("--file") or join(context, "Dockerfile")
    target = given.get("--target", "")
    for what in (context, dockerfile):
        if what == "-" or "://" in what or what.startswith("git@"):
            found.unclear.append(Unclear(place, shown(what), "a context that is no folder is not carried over"))
            return
    if any(map(has_unknown, (context, dockerfile, target))):
        why = "which context, Dockerfile or target this is, is not known"
        found.unclear.append(Unclear(place, shown(" ".join(words)), why))
        return
    paths = (below(folder, dockerfile), below(folder, context))
    found.builds.append(Build(place, "", tuple(tags), *paths, target, tuple(options), pushes))


def _given(words: list[str]) -> Iterator[tuple[str, str]]:
    """The options of a build by their long names, with their values; other words have no name."""
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("-") or word == "-":
            yield "", word
            continue
        name, equals, value = word.partition("=")
        if len(word) > 2 and word[:2] in _SHORT and not word.startswith("--"):
            name, equals, value = word[:2], "=", word[2:].removeprefix("=")
        name = _SHORT.get(name, name)
        if not equals and name in _TAKE_VALUES and waiting:
            value = waiting.pop(0)
        yield name, value


def _keep(what: Carried | Unclear | None, options: list[Carried], found: Findings) -> None:
    if isinstance(what, Carried):
        options.append(what)
    elif what:
        found.unclear.append(what)


def _option(key: str, value: str, place: Place, options: list[Carried], found: Findings) -> None:
    name = value.partition("=")[0]
    if marks(value):
        own = {"commit", "version", "time", "date", "literal", "file", "regex", "short_commit"}
        by_itself = key == "labels" and {kind for kind, _ in marks(value)} <= own
        why = "labels with commit, version and date come by themselves" if by_itself else "its value is not known"
        found.unclear.append(Unclear(place, f"{name}={shown(value.partition('=')[2])}", why))
    else:
        options.append(Carried(key, value, place))


def _ran(words: list[str], place: Place, found: Findings) -> None:
    """`docker run`: its image, workdir and command."""
    workdir, index = "", 0
    while index < len(words) and words[index].startswith("-"):
        word = words[index]
        index += 1
        name, equals, value = word.partition("=")
        if word in _RUN_SWITCHES or equals:
            workdir = value if name in {"--workdir", "-w"} else workdir
            continue
        if name in {"--workdir", "-w"} and index < len(words):
            workdir = words[index]
        index += 1
    if index < len(words):
        found.runs.append(Run(place, words[index], workdir, tuple(words[index + 1 :])))


def _said(command: Command) -> str:
    text = shown(" ".join(command.words))
    hidden: Callable[[re.Match[str]], str] = lambda match: f"{match[1]}{match[2]}***"  # noqa: E731
    text = re.sub(r"(\s(?:-p|--password))(\s+|=)\S+", hidden, text)
    return text if len(text) <= 100 else f"{text[:97]}..."
