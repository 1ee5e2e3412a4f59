"""Advice: every saving is what the image really loses when the advice is followed, and no byte is promised twice."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from small_images import of, taken, tar

from tinyship.sizes import advice as module
from tinyship.sizes.account import Account
from tinyship.sizes.advice import RULES, Advice, advise
from tinyship.sizes.leftovers import Places, is_build_tool
from tinyship.sizes.packages import Package, find

SITE = "usr/lib/python3/dist-packages"
WHERE = [
    ("var/lib/apt/lists/partial/x", "apt-lists"),
    ("var/cache/apt/archives/curl.deb", "apt-cache"),
    ("var/cache/apk/APKINDEX.1.tar.gz", "apk-cache"),
    ("var/cache/dnf/x.solv", "dnf-cache"),
    ("var/cache/yum/x86_64/y", "yum-cache"),
    ("var/cache/zypp/raw/z", "zypper-cache"),
    ("var/cache/pacman/pkg/p.pkg.tar.zst", "pacman-cache"),
    ("root/.cache/pip/http/a", "pip-cache"),
    ("home/jo/.cache/pip/http/a", "pip-cache"),
    (".cache/pip/http/a", "pip-cache"),
    ("root/.cache/uv/archive/a", "uv-cache"),
    ("root/.cache/pypoetry/a", "poetry-cache"),
    ("root/.npm/_cacache/content/a", "npm-cache"),
    ("usr/local/share/.cache/yarn/v6/a", "yarn-cache"),
    ("root/.composer/cache/a", "composer-cache"),
    ("usr/local/bundle/cache/a.gem", "bundler-cache"),
    ("go/pkg/mod/x@v1/x.go", "go-cache"),
    ("root/.cache/go-build/00/a", "go-cache"),
    ("usr/local/cargo/registry/a", "cargo-cache"),
    ("root/.m2/repository/a.jar", "java-cache"),
    ("root/.cache/other/a", "user-cache"),
    (f"{SITE}/a/__pycache__/a.cpython-311.pyc", "bytecode"),
    ("app/.git/objects/pack/p", "git"),
    (f"{SITE}/numpy/tests/data/x", "tests"),
    ("app/node_modules/x/test/y.js", "tests"),
    ("usr/local/lib/python3.11/test/support/x.py", "python-extras"),
    ("usr/lib/python3.11/config-3.11-x86_64-linux-gnu/libpython3.11.a", "python-extras"),
    ("usr/share/doc/curl/changelog.gz", "docs"),
    ("usr/share/man/man1/ls.1.gz", "manuals"),
    ("usr/share/locale/de/LC_MESSAGES/x.mo", "locales"),
    ("usr/include/stdio.h", "headers"),
    ("usr/lib/x86_64-linux-gnu/libc.a", "static"),
    ("var/log/dpkg.log", "logs"),
    ("tmp/x/y", "temporary"),
    ("app/core.1234", "core"),
    ("root/core", "core"),
    ("Python-3.11.tar.xz", "archives"),
    ("opt/tool.deb", "archives"),
]
WANTED = [
    "usr/share/doc/curl/copyright",
    "app/data/archive.tar.gz",
    "usr/lib/python3.11/tests.py",
    "app/tests/test_app.py",
    "app/core",
    "usr/share/docs/x",
    "var/logs/x",
    "home/.cache/x",
    "root/.npmrc",
    "usr/lib/libc.so.6",
    "usr/lib/x.a",
    "tmpfile",
    "",
]


def program(symbols: int, size: int = 600) -> bytes:
    """A program of so many bytes, of which so many are symbols."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 64, 0, 64, 0, 0, 64, 2, 0)
    table = bytes(64) + struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, 192, symbols, 0, 0, 0, 0)
    return (head + table).ljust(size, b"p")


def advice_of(account: Account, base: int = 0) -> tuple[Advice, ...]:
    return advise(account, find(account), base=base)


def followed(layers: Sequence[Mapping[str, bytes]], every: Sequence[Advice], advices: Sequence[Advice]) -> Account:
    """The image without what the advice is about; the copy that stays is the one that no advice takes away."""
    before = of(*layers)
    files = {file.path: file for file in before.files}
    going = {path for one in every if one.rule != "symbols" and one.hidden is None for path in one.paths}
    staying = {
        (file.size, before.prints[file.inode]): file.path
        for file in sorted(before.files, key=lambda file: (file.layer, file.path), reverse=True)
        if file.path not in going
    }
    left = [dict(layer) for layer in layers]
    links: list[dict[str, str]] = [{} for _ in layers]
    hard: list[dict[str, str]] = [{} for _ in layers]
    for one in advices:
        for path in one.paths:
            data = left[one.layer].pop(path)
            if one.rule == "symbols":
                left[one.layer][path] = data[: len(data) - before.strippable[files[path].inode]]
            elif one.rule.startswith("copies"):
                first = staying[len(data), before.prints[files[path].inode]]
                if one.rule == "copies":
                    hard[one.layer][path] = first
                else:
                    links[one.layer][path] = f"/{first}"
    return taken([tar(*parts) for parts in zip(left, links, hard, strict=True)])


def keeps_its_word(layers: Sequence[Mapping[str, bytes]]) -> tuple[Advice, ...]:
    """Every advice, followed alone, saves what it says; and all of them together what they say together."""
    account = of(*layers)
    found = advice_of(account)
    for one in found:
        assert account.unpacked - followed(layers, found, [one]).unpacked == one.saving > 0, one.text
    assert account.unpacked - followed(layers, found, found).unpacked == sum(one.saving for one in found)
    return found


@pytest.mark.parametrize(("path", "rule"), WHERE)
def test_leftovers(path: str, rule: str) -> None:
    """Each kind is known by its place, measured, and gone when the advice is followed."""
    (found,) = keeps_its_word([{path: b"x" * 1234, "app/run": b"y" * 99}])
    assert (found.rule, found.saving, found.layer, found.paths, found.hidden) == (rule, 1234, 0, (path,), None)


def test_every_rule_is_shown_here() -> None:
    """No rule of a place is without an example above."""
    others = {"build-tools", "package-database", "recommended"}
    assert {rule for _, rule in WHERE} | others == set(RULES)


@pytest.mark.parametrize("path", WANTED)
def test_what_is_wanted(path: str) -> None:
    """What only looks like a leftover is left alone."""
    assert Places().at(path) is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gcc", True),
        ("gcc-12", True),
        ("g++-12-aarch64-linux-gnu", True),
        ("libc6-dev", True),
        ("build-essential", True),
        ("binutils-x86-64-linux-gnu", True),
        ("make", True),
        ("gcc-12-base", False),
        ("libgcc-s1", False),
        ("libstdc++", False),
        ("cargo-bay", True),
        ("makedumpfile", False),
        ("perl", False),
    ],
)
def test_build_tools_by_name(name: str, told: bool) -> None:
    """Compilers and headers are told from the libraries that programs run with."""
    assert is_build_tool(Package(name, "1", "dpkg", 1, 1, 0)) is told
    assert not is_build_tool(Package(name, "1", "python", 1, 1, 0))


def test_build_tools() -> None:
    """What a compiler's package brought is advised on as such, its headers too; its documentation is documentation."""
    paths = {"usr/bin/gcc": b"g" * 500, "usr/include/a.h": b"h" * 30, "usr/share/doc/gcc/news": b"d" * 7}
    listed = "".join(f"/{path}\n" for path in paths).encode()
    status = b"Package: gcc\nVersion: 12\nStatus: install ok installed\n"
    found = keeps_its_word(
        [{**paths, "usr/include/b.h": b"11", "var/lib/dpkg/status": status, "var/lib/dpkg/info/gcc.list": listed}]
    )
    assert {one.rule: one.saving for one in found} == {"build-tools": 530, "docs": 7, "headers": 2}


def control(name: str, more: str = "") -> str:
    return f"Package: {name}\nVersion: 1\nStatus: install ok installed\nArchitecture: all\n{more}\n"


def debian(instruction: str, *paragraphs: str) -> Account:
    """An image on a base with `libc`, with a layer in which these packages have a file of 100 bytes each."""
    names = [text.partition("\n")[0].removeprefix("Package: ") for text in paragraphs]
    files = {f"usr/lib/{name}": name.encode() * (100 // len(name)) for name in names}
    lists = {f"var/lib/dpkg/info/{name}.list": f"/usr/lib/{name}\n".encode() for name in ("libc", *names)}
    status = {"var/lib/dpkg/status": "\n".join((control("libc"), *paragraphs)).encode()}
    return of({"usr/lib/libc": b"c" * 50}, {**files, **lists, **status}, says=["ADD base /", instruction])


APP = control("appx", "Depends: libx (>= 1), mail-agent | libnone\nRecommends: docx, libcb | other\n")
BROUGHT = (APP, control("libx"), control("docx", "Depends: docx-data\n"), control("docx-data"), control("stray"))


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("RUN apt-get update && apt-get install -y appx=1", ["docx", "docx-data"]),
        ("RUN apt install appx", ["docx", "docx-data"]),
        ("RUN apt-get install -y appx docx-data", ["docx"]),
        ("RUN apt-get install -y appx docx", []),
        ("RUN apt-get install -y $PACKAGES", []),
        ("RUN apt-get install -y appx $MORE", []),
        ("RUN apt-get install -y --no-install-recommends appx", []),
        ("RUN dpkg -i appx.deb", []),
        ("COPY apt-install /", []),
    ],
)
def test_recommended_packages(instruction: str, expected: list[str]) -> None:
    """What apt brought as a recommendation, with what it needs; what is named, or of unknown origin, is left alone."""
    found = [one for one in advice_of(debian(instruction, *BROUGHT), 1) if one.rule == "recommended"]
    assert sorted(path.removeprefix("usr/lib/") for one in found for path in one.paths) == expected
    assert sum(one.saving for one in found) == sum(100 // len(name) * len(name) for name in expected)
    if expected:
        assert "(`docx`" in found[0].text


def test_a_recommendation_that_something_else_needs() -> None:
    """A package that another one depends on, under its own name or one that it provides, stays."""
    agent = control("exim", "Provides: mail-agent (= 4)\n")
    app = control("appx", "Depends: mail-agent:any\nRecommends: exim, libc\n")
    assert advice_of(debian("RUN apt-get install appx", app, agent), 1) == ()
    circle = control("appx", "Recommends: b\n"), control("b", "Recommends: appx\nDepends: b\n")
    assert [one.saving for one in advice_of(debian("RUN apt-get install appx", *circle), 1)] == [100]


def test_recommended_packages_of_the_base_are_its_own() -> None:
    """A base image's own installing is not judged."""
    assert advice_of(debian("RUN apt-get install -y appx", *BROUGHT), 2) == ()


def test_an_archive_of_a_package_is_no_leftover() -> None:
    """What a package brought where archives are dropped stays."""
    status = b"Package: x\nVersion: 1\nStatus: install ok installed\n"
    files = {"opt/x.zip": b"123", "var/lib/dpkg/status": status, "var/lib/dpkg/info/x.list": b"/opt/x.zip\n"}
    assert advice_of(of(files)) == ()


def test_removed_too_late() -> None:
    """Bytes that a later layer hides are named by who wrote and who hid them, and caches by what they are."""
    layers = [
        {"data/a": b"1" * 500, "data/b": b"2" * 60, "var/lib/apt/lists/x": b"l" * 70},
        {"data/.wh.a": b"", "var/lib/apt/.wh.lists": b"", "data/.wh..wh..opq": b""},
    ]
    says = ["RUN apt-get update && dd of=/data/a", "RUN rm -rf /data /var/lib/apt/lists"]
    found = keeps_its_word(layers)
    assert [(one.rule, one.saving, one.layer, one.hidden) for one in found] == [
        ("removed", 560, 0, 1),
        ("apt-lists", 70, 0, 1),
    ]
    assert [one.text for one in advice_of(of(*layers, says=says))] == [
        "`RUN apt-get update && dd of=/data/a` writes 560 Bytes that `RUN rm -rf /data /var/lib/apt/lists` only hides: "
        "remove them in the same RUN, or work in an earlier stage",
        "`RUN apt-get update && dd of=/data/a` leaves 70 Bytes of package lists, which "
        "`RUN rm -rf /data /var/lib/apt/lists` only hides: add `rm -rf /var/lib/apt/lists/*` to the same RUN",
    ]


def test_changed_owner() -> None:
    """The same content again is a change of owner or mode; where a COPY wrote it, that could have done it."""
    layers = [{"app/x": b"1" * 900}, {"app/x": b"1" * 900}]
    found = keeps_its_word(layers)
    assert [(one.rule, one.saving) for one in found] == [("metadata", 900)]
    (said,) = advice_of(of(*layers, says=["COPY . /app", "RUN chown -R app /app"]))
    assert said.text == (
        "`RUN chown -R app /app` stores 900 Bytes of `COPY . /app` a second time, with another owner or mode: "
        "use `COPY --chown` or `--chmod`"
    )


def test_overwritten() -> None:
    """Other content, or something of another type, at the same path; databases of packages are told apart."""
    layers = [
        {"x": b"1" * 50, "y/z": b"2" * 60, "var/lib/dpkg/status": b"Package: a\n", "lib/apk/db/installed": b"P:a\n"},
        {"x": b"3" * 51, "y": b"4", "var/lib/dpkg/status": b"Package: b\n", "lib/apk/db/installed": b"P:b\n"},
    ]
    found = keeps_its_word(layers)
    assert {one.rule: one.saving for one in found} == {"overwritten": 110, "package-database": 15}


def test_copies() -> None:
    """Equal files are one file too many: a hard link where one layer holds both, else a symbolic one, which costs."""
    same = b"s" * 5000
    found = keeps_its_word([{"a": same, "b/c": same, "small": b"1" * 100, "tiny": b"1" * 100}, {"d": same, "e": same}])
    assert {one.rule: (one.saving, one.layer, one.paths) for one in found} == {
        "copies": (5000, 0, ("b/c",)),
        "copies-of-below": (2 * (5000 - len("/a")), 1, ("e", "d")),
    }


def test_a_copy_is_not_stripped_as_well() -> None:
    """Symbols of a program count once, and not in a copy that is to go."""
    layers = [{"bin/a": program(100, 5000), "bin/b": program(100, 5000), "bin/c": program(50), "tmp/d": program(40)}]
    found = keeps_its_word(layers)
    assert {one.rule: one.saving for one in found} == {"copies": 5000, "temporary": 600, "symbols": 150}


def test_hard_links() -> None:
    """A file of which a path stays keeps its bytes; one of which every path goes is gone once."""
    stays = taken([tar({"tmp/a": b"1" * 5000}, hard={"usr/bin/a": "tmp/a"})])
    assert advice_of(stays) == ()
    goes = taken([tar({"tmp/a": b"1" * 5000}, hard={"tmp/b": "tmp/a", "tmp/c": "tmp/a"})])
    assert [(one.rule, one.saving) for one in advice_of(goes)] == [("temporary", 5000)]
    mixed = taken([tar({"tmp/a": b"1" * 5000}, hard={"var/log/b": "tmp/a", "tmp/c": "tmp/a"})])
    assert advice_of(mixed) == ()


def test_symbolic_links() -> None:
    """A link weighs what its target's name does; links in documentation may lead to a licence."""
    account = taken([tar({}, {"tmp/x": "/usr/share", "usr/share/doc/x": "libx"})])
    assert [(one.rule, one.saving) for one in advice_of(account)] == [("temporary", 10)]


def test_of_the_base_image() -> None:
    """What a base image holds cannot be mended here, and the advice says so; what was copied is not RUN's."""
    layers = [{"usr/share/doc/a": b"1" * 900, "x": b"2" * 800}, {".wh.x": b"", "app/.git/p": b"3" * 30}]
    says = ["ADD rootfs.tar /", "COPY . /"]
    found = advice_of(of(*layers, says=says), base=1)
    assert [one.text for one in found] == [
        "in the base image: 900 Bytes of documentation: "
        "only a smaller base image, or a stage that copies what is needed from it, goes without",
        "in the base image: 800 Bytes that `COPY . /` removes are transferred all the same: "
        "only a smaller base image, or a stage that copies what is needed from it, goes without",
        "`COPY . /` brings 30 Bytes of version control: "
        "name it in `.dockerignore`, or remove it where it is copied from",
    ]


def test_instructions_that_are_not_known_or_hostile() -> None:
    """Without a history layers have numbers; control characters do not reach the terminal, long ones are cut."""
    (found,) = advice_of(of({"tmp/x": b"1"}))
    assert found.text.startswith("layer 1 leaves 1 Byte of temporary files: ")
    (found,) = advice_of(of({"tmp/x": b"1"}, says=["RUN \x1b[31mevil`\n" + "long " * 99]))
    assert found.text.startswith("`RUN evil' long long")
    assert "...` leaves" in found.text


def test_examples_are_the_largest() -> None:
    """A few paths are named, the largest first; the saving is of all."""
    (found,) = advice_of(of({f"tmp/{number}": b"x" * number for number in range(100)}))
    assert found.saving == sum(range(100))
    assert found.paths == ("tmp/99", "tmp/98", "tmp/97", "tmp/96", "tmp/95")


def test_nothing_to_say() -> None:
    """An image that is as it should be, and one that is empty, get no advice."""
    assert advice_of(of({"app": b"x" * 9999, "tmp/": b"", "tmp/empty": b""})) == ()
    assert advice_of(taken([])) == ()


def test_deep_paths() -> None:
    """Folders as deep as a path may go are no trouble."""
    deep = "d/" * 2000
    assert [one.rule for one in advice_of(of({f"{deep}__pycache__/x": b"1", f"{deep}y": b"2"}))] == ["bytecode"]


_PATHS = some.sampled_from(
    [path for path, _ in WHERE] + ["usr/bin/a", "usr/bin/b", "app/run", "srv/x", "var/lib/dpkg/status"]
)
_DATA = some.sampled_from(
    [b"", b"1", b"22", b"a" * 4096, b"b" * 5000, program(60), program(90, 4500), b"c" * 4095, b"Package: x\n"]
)
_LAYERS = some.lists(
    some.tuples(
        some.dictionaries(_PATHS, _DATA, max_size=8),
        some.sets(some.sampled_from(["usr/.wh.bin", ".wh.tmp", "usr/bin/.wh.a", "var/.wh..wh..opq", ".wh.root"])),
    ),
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(_LAYERS)
def test_any_image(layers: list[tuple[dict[str, bytes], set[str]]]) -> None:
    """Whatever the layers hold: all advice together saves exactly what it says, as does each alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_EXAMPLES", 1000)
        keeps_its_word([{**dict.fromkeys(hides, b""), **files} for files, hides in layers])
