"""What a Compose file says of the images that it builds.

Source: the Compose specification (services, build, interpolation).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from posixpath import normpath

from tinyship.init.dockercli import argument, below
from tinyship.init.findings import Build, Carried, Findings, Place, Unclear
from tinyship.init.marks import has_unknown, literal, mark, shown
from tinyship.init.yamlfile import Node, read

FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?:(:?[-?+])([^{}]*))?\}|(\w+))")
_VERSION = re.compile(r"v?\d+(?:\.\d+){1,3}\S*")
_LISTS = {
    "labels": "labels",
    "ssh": "ssh",
    "cache_from": "cache_from",
    "cache_to": "cache_to",
    "extra_hosts": "extra_hosts",
    "platforms": "platforms",
}
_SCALARS = {"network": "network", "shm_size": "shm_size"}
_SWITCHES = {"pull": "pull", "no_cache": "no_cache"}
_KNOWN = {"context", "dockerfile", "target", "args", "tags", "secrets", "additional_contexts", *_LISTS, *_SCALARS}


def find(root: Path, name: str) -> Findings:
    """Read a Compose file.

    Args:
        root: the project's folder.
        name: of the file, from there.
    """
    try:
        document = read(root / name)
    except ValueError as error:
        return Findings(unclear=[Unclear(Place(name), name, f"it is no YAML: {error}")])
    return _Reader(root, name, document).findings()


def dotenv(root: Path) -> Mapping[str, str]:
    """The variables of the project's ``.env``, which Compose reads; empty without one."""
    try:
        lines = (root / ".env").read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, equals, value in pairs if equals}


class _Reader:
    def __init__(self, root: Path, name: str, document: Node) -> None:
        self._root = root
        self._file = name
        self._document = document
        self._variables = dotenv(root)
        self._found = Findings()

    def findings(self) -> Findings:
        for name, service in self._document.get("services").items():
            if service.get("build").value is not None:
                self._service(name, service)
        if self._document.get("include").value is not None:
            self._unclear(self._document.get("include"), "include", "files that are included are not read")
        return self._found

    def _service(self, name: str, service: Node) -> None:
        build = service.get("build")
        context = self._text(build) if isinstance(build.value, str) else self._text(build.get("context")) or "."
        if has_unknown(context) or "://" in context or context.startswith("git@"):
            self._unclear(build, f"service {name}: {shown(context)}", "a context that is no folder is not carried over")
            return
        context = normpath(context)
        image = service.get("image")
        # Compose's own rule for a service without a name for its image.
        project = self._text(self._document.get("name")) or self._root.name
        tags = [self._text(image) or f"{_plain(project)}-{name}"]
        tags += [self._text(tag) for tag in build.get("tags").each()]
        dockerfile = below(context, self._text(build.get("dockerfile")) or "Dockerfile")
        if build.get("dockerfile_inline").value is not None:
            self._unclear(build.get("dockerfile_inline"), f"service {name}: dockerfile_inline", "write it to a file")
        options = list(self._options(build))
        options += [
            Carried("platforms", self._text(one), self._place(one)) for one in (service.get("platform"),) if one.value
        ]
        self._found.builds.append(
            Build(
                self._place(image if image.value else build),
                name,
                tuple(tags),
                dockerfile,
                context,
                self._text(build.get("target")),
                tuple(options),
            )
        )
        self._run(name, service)

    def _options(self, build: Node) -> Iterator[Carried]:
        for entry, node in self._pairs(build.get("args")):
            what = argument(entry, self._place(node))
            if isinstance(what, Carried):
                yield what
            elif what:
                self._found.unclear.append(what)
        for key, setting in _LISTS.items():
            for entry, node in self._pairs(build.get(key), ":" if key == "extra_hosts" else "="):
                yield from self._option(setting, entry, node)
        for key, setting in _SCALARS.items():
            if text := self._text(build.get(key)):
                yield from self._option(setting, text, build.get(key))
        for key, setting in _SWITCHES.items():
            if build.get(key).value is True:
                yield Carried(setting, True, self._place(build.get(key)))
        for entry, node in self._pairs(build.get("additional_contexts")):
            name, _, value = entry.partition("=")
            yield from self._option("contexts", f"{name}={value.replace('service:', 'target:')}", node)
        for secret in build.get("secrets").each():
            yield from self._secret(secret)
        for key, node in build.items():
            if key not in _KNOWN | set(_SWITCHES) | {
                "dockerfile_inline",
                "provenance",
                "sbom",
                "privileged",
                "isolation",
            }:
                self._unclear(node, f"build.{key}", "this key of a build is not carried over")

    def _option(self, setting: str, entry: str, node: Node) -> Iterator[Carried]:
        if has_unknown(entry):
            self._unclear(node, f"{setting}: {shown(entry)}", "what its value comes to is not known")
        else:
            yield Carried(setting, entry, self._place(node))

    def _secret(self, node: Node) -> Iterator[Carried]:
        name = self._text(node) or self._text(node.get("source"))
        target = self._text(node.get("target")) or name
        declared = self._document.get("secrets").get(name)
        variable, file = self._text(declared.get("environment")), self._text(declared.get("file"))
        if variable or file:
            yield Carried(
                "secrets", f"id={target}," + (f"env={variable}" if variable else f"src={file}"), self._place(node)
            )
        else:
            self._unclear(node, f"secret {name}", "the file does not say which variable or file it is")

    def _run(self, name: str, service: Node) -> None:
        """How a service is run: its ports, and what says that it works."""
        for port in service.get("ports").each():
            if (text := self._text(port)) and not has_unknown(text):
                self._found.settings.append(Carried(f"{name}:release.run.ports", text, self._place(port)))
            else:
                self._unclear(port, f"service {name}: a port", "only the short form, `8080:80`, is carried over")
        test = service.get("healthcheck").get("test")
        words = [self._text(word) for word in test.each()]
        if words[:1] == ["CMD"] and not any(map(has_unknown, words)):
            self._found.settings.append(Carried(f"{name}:release.smoke.command", words[1:], self._place(test)))
        elif test.value is not None and words != ["NONE"]:
            why = "it needs a shell in the image: `release.smoke.command` takes a command without one"
            self._unclear(test, f"service {name}: healthcheck", why)

    def _pairs(self, node: Node, sign: str = "=") -> Iterator[tuple[str, Node]]:
        """Entries of a list, or of a map as ``key=value``."""
        for key, value in node.items():
            yield (f"{key}{sign}{self._text(value)}" if value.value is not None else key), value
        for entry in node.each():
            yield self._text(entry), entry

    def _text(self, node: Node) -> str:
        return _VARIABLE.sub(self._variable, node.text())

    def _variable(self, match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match[1] or match[4]
        value = self._variables.get(name)
        if match[2] in {":-", "-"} and not value:
            value = match[3]
        if value is None:
            return mark("unknown", match[0])
        return literal(value) if _VERSION.fullmatch(value) else value

    def _place(self, node: Node) -> Place:
        return Place(self._file, node.line)

    def _unclear(self, node: Node, text: str, why: str) -> None:
        self._found.unclear.append(Unclear(self._place(node), text, why))


def _plain(name: str) -> str:
    """A folder's name as Compose makes a project's name of it."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-") or "app"
