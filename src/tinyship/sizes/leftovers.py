"""What in an image is seldom wanted there, told by where it is: caches, lists, documentation, and their like.

Sources: the Filesystem Hierarchy Standard 3.0, and the manuals of the package managers that are named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinyship.sizes.packages import Package


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that is left over.

    Args:
        rule: its name.
        what: it is, as in "5 MB of ...".
        mend: what to do about it where a RUN left it.
        cache: whether it is written by the way, and gone when a later layer thinks of it.
    """

    rule: str
    what: str
    mend: str
    cache: bool = False


_SAME = "to the same RUN"
_IN = "in the same RUN"
_EVERY = (
    Leftover("apt-lists", "package lists", f"add `rm -rf /var/lib/apt/lists/*` {_SAME}", True),
    Leftover("apt-cache", "apt's downloads and indexes", f"add `rm -rf /var/cache/apt/*` {_SAME}", True),
    Leftover("apk-cache", "apk's indexes", "use `apk add --no-cache`", True),
    Leftover("dnf-cache", "dnf's downloads and indexes", f"add `dnf clean all` {_SAME}", True),
    Leftover("yum-cache", "yum's downloads and indexes", f"add `yum clean all` {_SAME}", True),
    Leftover("zypper-cache", "zypper's downloads and indexes", f"add `zypper clean --all` {_SAME}", True),
    Leftover("pacman-cache", "pacman's downloads", f"add `rm -rf /var/cache/pacman/pkg/*` {_SAME}", True),
    Leftover("pip-cache", "pip's downloads", "use `pip install --no-cache-dir`", True),
    Leftover("uv-cache", "uv's downloads", "set `UV_NO_CACHE=1` for it, or use `RUN --mount=type=cache`", True),
    Leftover("poetry-cache", "Poetry's downloads", f"add `poetry cache clear --all .` {_SAME}", True),
    Leftover("npm-cache", "npm's downloads", f"add `npm cache clean --force` {_SAME}", True),
    Leftover("yarn-cache", "yarn's downloads", f"add `yarn cache clean` {_SAME}", True),
    Leftover("composer-cache", "Composer's downloads", f"add `composer clear-cache` {_SAME}", True),
    Leftover("bundler-cache", "Bundler's downloads", f"add `rm -rf /usr/local/bundle/cache` {_SAME}", True),
    Leftover("go-cache", "Go's build cache and modules", "build in an earlier stage, and copy the program", True),
    Leftover("cargo-cache", "Cargo's downloads", "build in an earlier stage, and copy the program", True),
    Leftover("java-cache", "Maven's or Gradle's downloads", "build in an earlier stage, and copy the result", True),
    Leftover("user-cache", "caches in `~/.cache`", f"add `rm -rf ~/.cache` {_SAME}", True),
    Leftover(
        "bytecode",
        "compiled Python",
        "set `PYTHONDONTWRITEBYTECODE=1` and use `pip install --no-compile`; each start then takes a little longer",
    ),
    Leftover("git", "version control", f"add `rm -rf .git` {_SAME}, or clone in an earlier stage"),
    Leftover("tests", "tests of libraries", f"remove them {_IN}, unless something imports them"),
    Leftover("python-extras", "Python's own tests, editor and build files", f"remove what you do not import, {_IN}"),
    Leftover("docs", "documentation", f"add `find /usr/share/doc -type f ! -name copyright -delete` {_SAME}"),
    Leftover("manuals", "manual pages", f"add `rm -rf /usr/share/man /usr/share/info` {_SAME}"),
    Leftover("locales", "translations", f"add `rm -rf /usr/share/locale` {_SAME}, unless users see them"),
    Leftover("headers", "headers", "compile in an earlier stage; programs run without them"),
    Leftover("static", "static libraries", "link in an earlier stage; programs run without them"),
    Leftover(
        "recommended",
        "packages that are only recommended",
        "use `apt-get install --no-install-recommends`, and name those that you want",
    ),
    Leftover("build-tools", "compilers and build tools", "build in an earlier stage, and copy what comes of it"),
    Leftover("logs", "logs", f"add `rm -rf /var/log/*` {_SAME}", True),
    Leftover("temporary", "temporary files", f"remove them {_IN}", True),
    Leftover("core", "core dumps", f"find out what crashed, and remove them {_IN}", True),
    Leftover("archives", "archives", f"remove them {_IN} that unpacks them, or unpack them in an earlier stage", True),
    Leftover("package-database", "package databases", "install all packages in one RUN"),
)
RULES = {one.rule: one for one in _EVERY}
"""All that is known, by name."""

_FOLDERS = {
    "var/lib/apt/lists": "apt-lists",
    "var/cache/apt": "apt-cache",
    "var/cache/apk": "apk-cache",
    "etc/apk/cache": "apk-cache",
    "var/cache/dnf": "dnf-cache",
    "var/cache/libdnf5": "dnf-cache",
    "var/cache/yum": "yum-cache",
    "var/cache/zypp": "zypper-cache",
    "var/cache/pacman": "pacman-cache",
    "~/.cache": "user-cache",
    "~/.cache/pip": "pip-cache",
    "~/.cache/uv": "uv-cache",
    "~/.cache/pypoetry": "poetry-cache",
    "~/.npm/_cacache": "npm-cache",
    "~/.npm/_logs": "npm-cache",
    "~/.cache/yarn": "yarn-cache",
    "~/.yarn/berry/cache": "yarn-cache",
    "usr/local/share/.cache": "yarn-cache",
    "~/.cache/composer": "composer-cache",
    "~/.composer/cache": "composer-cache",
    "usr/local/bundle/cache": "bundler-cache",
    "~/.cache/go-build": "go-cache",
    "~/go/pkg": "go-cache",
    "go/pkg": "go-cache",
    "~/.cargo/registry": "cargo-cache",
    "~/.cargo/git": "cargo-cache",
    "usr/local/cargo/registry": "cargo-cache",
    "usr/local/cargo/git": "cargo-cache",
    "~/.m2/repository": "java-cache",
    "~/.gradle/caches": "java-cache",
    "usr/share/doc": "docs",
    "usr/share/gtk-doc": "docs",
    "usr/local/share/doc": "docs",
    "usr/share/man": "manuals",
    "usr/share/info": "manuals",
    "usr/local/share/man": "manuals",
    "usr/local/share/info": "manuals",
    "usr/share/locale": "locales",
    "usr/local/share/locale": "locales",
    "usr/include": "headers",
    "usr/local/include": "headers",
    "var/log": "logs",
    "tmp": "temporary",
    "var/tmp": "temporary",
    "var/lib/dpkg": "package-database",
    "lib/apk/db": "package-database",
    "usr/lib/apk/db": "package-database",
    "var/lib/rpm": "package-database",
    "usr/lib/sysimage/rpm": "package-database",
}
_NAMES = {"__pycache__": "bytecode", ".git": "git", ".hg": "git", ".svn": "git"}
_TESTS = {"test", "tests", "__tests__"}
_LIBRARIES = re.compile(r"(?:^|/)(?:site-packages|dist-packages|node_modules)/")
_EXTRAS = re.compile(
    r"(?:.*/)?lib(?:64)?/python3\.\d+t?/(?:test|idlelib|tkinter|turtledemo|ensurepip|lib2to3|config-3[^/]*)"
)
_CORE = re.compile(r"(?:.*/)?core\.\d+|(?:root/|home/[^/]+/)?core")
_DROPPED = re.compile(
    r"(?:(?:root|home/[^/]+|opt|srv|usr/src|usr/local|usr/local/src)/)?"
    r"[^/]+\.(?:tar|tar\.(?:gz|xz|bz2|zst)|tgz|txz|tbz2|zip|deb|rpm|apk|whl)"
)
_DROPPED_ENDS = (".tar", "gz", "xz", "bz2", ".zst", ".zip", ".deb", ".rpm", ".apk", ".whl")
_TOOLS = re.compile(
    r"(?:gcc|g\+\+|cpp|gfortran|clang|rustc|cargo|golang)(?:-(?!.*base$)[\w.-]*)?"
    r"|binutils(?:-.*)?|lib(?:binutils|gprofng.*|ctf\w*)|build-(?:essential|base)|make|cmake(?:-data)?|ninja-build|samurai"
    r"|autoconf|automake|libtool|bison|flex|dpkg-dev|abuild|fortify-headers|.+-(?:dev|devel|headers)"
)


class Places:
    """Tells leftovers by their paths; folders are looked at once each."""

    def __init__(self) -> None:
        self._folders: dict[str, Leftover | None] = {"": None}

    def at(self, path: str) -> Leftover | None:
        """What a file is that is left over; None for all others. What is most particular about its place wins."""
        folder, _, name = path.rpartition("/")
        found = self._folders[folder] if folder in self._folders else self._enter(folder)
        if found is not None:
            return None if found.rule == "docs" and name == "copyright" else found
        if name.endswith(".a") and name.startswith("lib"):
            return RULES["static"]
        if name.startswith("core") and _CORE.fullmatch(path):
            return RULES["core"]
        if name.endswith(_DROPPED_ENDS) and _DROPPED.fullmatch(path):
            return RULES["archives"]
        return None

    def _enter(self, folder: str) -> Leftover | None:
        unknown = []
        while folder not in self._folders:
            unknown.append(folder)
            folder = folder.rpartition("/")[0]
        above = self._folders[folder]
        for path in reversed(unknown):
            rule = _FOLDERS.get(_from_home(path)) or ("" if above else _named(path))
            above = self._folders[path] = RULES[rule] if rule else above
        return above


def is_build_tool(package: Package) -> bool:
    """Whether a package is there to build others."""
    return package.manager in {"dpkg", "apk", "rpm"} and _TOOLS.fullmatch(package.name) is not None


def _named(folder: str) -> str:
    """The rule for a folder that is told by its name."""
    name = folder.rpartition("/")[2]
    if name in _TESTS and _LIBRARIES.search(folder):
        return "tests"
    return _NAMES.get(name) or ("python-extras" if _EXTRAS.fullmatch(folder) else "")


def _from_home(folder: str) -> str:
    """A folder below somebody's home as that one would write it; who has none has the root."""
    if folder.startswith("root/"):
        return f"~{folder[4:]}"
    if folder.startswith("home/"):
        return f"~{folder[folder.find('/', 5) :]}" if folder.count("/") > 1 else folder
    return f"~/{folder}" if folder[:1] == "." else folder
