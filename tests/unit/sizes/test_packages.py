"""Packages: which file is whose, and what each weighs, by the databases of this very machine too."""

from __future__ import annotations

import importlib.metadata
import subprocess
from array import array
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from small_images import of, taken, tar

from tinyship.sizes.account import Account
from tinyship.sizes.packages import Package, Packages, find, sizes

STATUS = "var/lib/dpkg/status"


def status(*names: str, state: str = "install ok installed") -> bytes:
    """A status file of dpkg."""
    text = "Package: {}\nStatus: {}\nArchitecture: amd64\nVersion: 1.2-3\nDescription: some\n more\n .\n text\n"
    return "\n".join(text.format(name, state) for name in names).encode()


def dpkg(name: str, *paths: str) -> Mapping[str, bytes]:
    """The list of a package's files, as dpkg writes it."""
    return {f"var/lib/dpkg/info/{name}.list": "".join(f"{path}\n" for path in ("/.", *paths)).encode()}


def named(packages: Packages) -> dict[str, Package]:
    return {package.name: package for package in packages.packages}


def sums(account: Account, packages: Packages) -> None:
    """Every live byte is somebody's, once."""
    assert sum(one.size for one in packages.packages) + packages.rest.size == sum(account.live)


def test_dpkg() -> None:
    """A package weighs what its files weigh, and names its version and its layer; folders are nobody's."""
    account = of(
        {STATUS: status("curl", "libc6"), **dpkg("curl", "/usr", "/usr/bin", "/usr/bin/curl"), "usr/bin/": b""},
        {"usr/bin/curl": b"c" * 700, "usr/bin/other": b"o" * 11},
    )
    found = find(account)
    assert named(found)["curl"] == Package("curl", "1.2-3", "dpkg", 700, 1, 1)
    assert named(found)["libc6"] == Package("libc6", "1.2-3", "dpkg", 0, 0, None)
    assert found.rest.files == 3
    assert found.notices == ()
    sums(account, found)


def test_dpkg_of_two_architectures() -> None:
    """Lists of packages that exist side by side carry their architecture."""
    account = of({STATUS: status("libc6"), **dpkg("libc6:amd64", "/lib64/ld.so"), "lib64/ld.so": b"12345"})
    assert named(find(account))["libc6"].size == 5


def test_dpkg_through_links() -> None:
    """A list says `/bin/sh` where the file is at `usr/bin/sh`; links may lead through others, and in circles."""
    files = {
        STATUS: status("dash"),
        **dpkg("dash", "/bin/sh", "/a/b/deep", "/loop/x", "/out/x"),
        "usr/bin/sh": b"shell",
    }
    links = {"bin": "usr/bin", "a": "/c", "c/b": "../d", "loop": "loop", "out": "../../.."}
    account = taken([tar({**files, "d/deep": b"123"}, links)])
    assert named(find(account))["dash"].size == 8


def test_removed_packages() -> None:
    """Configuration that is left of a package belongs to no package."""
    account = of({STATUS: status("nginx", state="deinstall ok config-files"), **dpkg("nginx", "/etc/n"), "etc/n": b"x"})
    assert find(account).packages == ()


def test_the_topmost_database_counts() -> None:
    """A database that is written again is the last one; one that a layer removes is none."""
    first = {STATUS: status("old"), **dpkg("old", "/f"), "f": b"12"}
    assert [one.name for one in find(of(first, {STATUS: status("new"), **dpkg("new", "/f")})).packages] == ["new"]
    gone = find(of(first, {"var/lib/dpkg/.wh.status": b""}))
    assert gone.packages == ()
    assert find(of(first, {"var/.wh.lib": b""})).packages == ()


def test_distroless() -> None:
    """Distroless images have a file for each package, and a list of checksums beside it."""
    folder = "var/lib/dpkg/status.d"
    control = b"Package: base-files\nVersion: 12\nArchitecture: amd64\n"
    sums_file = b"0123456789abcdef0123456789abcdef  usr/share/some file\n"
    account = of(
        {f"{folder}/base": control, f"{folder}/base.md5sums": sums_file, "usr/share/some file": b"1234", "x": b"1"}
    )
    found = find(account)
    assert found.packages == (Package("base-files", "12", "dpkg", 4 + len(control), 2, 0),)
    sums(account, found)


@pytest.mark.parametrize("where", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
def test_apk(where: str) -> None:
    """Alpine's database, at its old place and at its new one; files at the root have no folder."""
    text = "C:Q1x=\nP:musl\nV:1.2.5-r0\nF:lib\nR:ld-musl.so.1\nZ:Q1=\nF:\nR:init\n\nP:busybox\nV:1\nF:bin\nR:ü\n\n"
    account = of({where: text.encode(), "lib/ld-musl.so.1": b"12345", "init": b"123", "bin/ü": b"1"})
    found = find(account)
    assert found.packages == (Package("musl", "1.2.5-r0", "apk", 8, 2, 0), Package("busybox", "1", "apk", 1, 1, 0))
    assert found.notices == ()


def test_python() -> None:
    """RECORD has quotes, climbs to scripts, and leaves out what is compiled later."""
    site = "usr/lib/python3.11/site-packages"
    record = b'"a, b.py",sha256=x,3\n../../../bin/tool,,\npkg/mod.py,,\nx-1.dist-info/RECORD,,\n/etc/abs,,\n'
    files = {
        f"{site}/x-1.dist-info/RECORD": record,
        f"{site}/x-1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: X.y\nVersion: 1.0\n\nName: body\n",
        f"{site}/a, b.py": b"123",
        "usr/bin/tool": b"12345",
        f"{site}/pkg/mod.py": b"1",
        f"{site}/pkg/__pycache__/mod.cpython-311.pyc": b"1234567",
        f"{site}/pkg/__pycache__/mod.cpython-311.opt-1.pyc": b"12345678",
        "etc/abs": b"1",
    }
    found = find(of(files))
    assert found.packages == (Package("X.y", "1.0", "python", 3 + 5 + 1 + 7 + 8 + 1 + len(record), 7, 0),)


def test_python_eggs() -> None:
    """What setuptools wrote down in its days; a folder without such a list is left alone."""
    files = {
        "lib/site-packages/z-2-py3.egg-info/installed-files.txt": b"../z.py\nPKG-INFO\n",
        "lib/site-packages/z-2-py3.egg-info/PKG-INFO": b"Name: z\nVersion: 2\n",
        "lib/site-packages/z.py": b"1234",
        "lib/site-packages/q.dist-info/METADATA": b"Name: q\n",
    }
    assert find(of(files)).packages == (Package("z", "2", "python", 4 + 19, 2, 0),)


def test_a_python_package_of_the_distribution_is_counted_once() -> None:
    """Debian's package of a Python one is Debian's."""
    record = "usr/lib/python3/dist-packages/six-1.dist-info/RECORD"
    files = {
        STATUS: status("python3-six"),
        **dpkg("python3-six", f"/{record}", "/usr/lib/python3/dist-packages/six.py"),
        record: b"six.py,,\n",
        "usr/lib/python3/dist-packages/six.py": b"123",
    }
    assert [one.name for one in find(of(files)).packages] == ["python3-six"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (STATUS, b"\0\xff\xfe nonsense"),
        (STATUS, b"Package\n\nVersion: 1\n"),
        ("lib/apk/db/installed", b"\x1f\x8b\0\0 nonsense\n\nP:fine\nV:1\nF:\nR:f\n"),
        ("site-packages/x.dist-info/RECORD", b"../../../../etc/passwd,,\n"),
        ("site-packages/x.dist-info/RECORD", b'"' + b"x" * 140_000),
    ],
)
def test_damaged_databases(path: str, text: bytes) -> None:
    """What makes no sense is said, and costs nothing but itself."""
    account = of({path: text, "f": b"12"})
    found = find(account)
    assert len(found.notices) == 1
    assert f"`/{path}`" in found.notices[0]
    sums(account, found)


def test_odd_databases() -> None:
    """Empty ones, names that are no UTF-8, endless paths, and lists of what is not there are no trouble."""
    odd = b"/\xff\xfe\n/" + b"a/" * 5000 + b"x\n\n/not/there\n//\n"
    found = find(of({STATUS: status("p"), "var/lib/dpkg/info/p.list": odd, "lib/apk/db/installed": b""}))
    assert found.packages == (Package("p", "1.2-3", "dpkg", 0, 0, None),)
    taken_odd = taken([tar({STATUS: status("p"), "var/lib/dpkg/info/p.list": odd, "\udcff\udcfe": b"123"})])
    assert named(find(taken_odd))["p"].size == 3


def test_two_claims_on_one_file() -> None:
    """The first one has it, and its bytes are counted once; hard links are one file with several paths."""
    files = {STATUS: status("a", "b"), **dpkg("a", "/f"), **dpkg("b", "/f", "/g", "/h"), "f": b"123", "g": b"12345"}
    account = taken([tar(files, hard={"h": "g"})])
    found = named(find(account))
    assert (found["a"].size, found["a"].files) == (3, 1)
    assert (found["b"].size, found["b"].files) == (5, 2)
    sums(account, find(account))


def test_of_an_empty_image() -> None:
    """No file, no package."""
    assert find(taken([])).packages == ()
    assert find(taken([])).rest == Package("", "", "", 0, 0, None)


@pytest.mark.skipif(not Path("/var/lib/dpkg/status").is_file(), reason="no Debian machine: it has no dpkg")
def test_real_dpkg() -> None:
    """A layer of this machine's own packages: each weighs what its files on this disk do."""
    names = ["base-files", "coreutils", "libc-bin", "dash"]
    lists = {name: Path(f"/var/lib/dpkg/info/{name}.list") for name in names}
    files = {STATUS: Path("/var/lib/dpkg/status").read_bytes()}
    links = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"} if Path("/bin").is_symlink() else {}
    weights = {}
    for name, listed in lists.items():
        files[str(listed)[1:]] = listed.read_bytes()
        weights[name] = 0
        for line in listed.read_text().splitlines():
            path = Path(line)
            if path.is_file() and not path.is_symlink():
                files[str(path.resolve())[1:]] = path.read_bytes()
                weights[name] += path.stat().st_size
    weights["base-files"] += sum(map(len, links.values()))  # which has them as folders
    account = taken([tar(files, links)])
    found = find(account)
    assert found.notices == ()
    assert {name: named(found)[name].size for name in names} == weights
    version = subprocess.run(["dpkg-query", "-Wf${Version}", "dash"], capture_output=True, text=True, check=True)
    assert named(found)["dash"].version == version.stdout
    sums(account, found)


def test_real_distribution() -> None:
    """A distribution as pip installed it for these tests: all that it wrote down is its own."""
    real = importlib.metadata.distribution("iniconfig")
    listed = [file for file in real.files or () if Path(str(file.locate())).is_file()]
    files = {f"app/site-packages/{file}": Path(str(file.locate())).read_bytes() for file in listed}
    found = find(of(files))
    assert found.packages == (
        Package("iniconfig", real.version, "python", sum(map(len, files.values())), len(files), 0),
    )
    assert (found.rest.size, found.rest.files) == (0, 0)


_WORDS = ("Package: a\n", "P:b\n", "\n\n", "F:../..\n", "R:f\n", "/l/f\n", '"', ",,\n", "\0", "\xff", "../", "f", " ")
_PIECES = some.sampled_from([word.encode("latin-1") for word in _WORDS])
_PLACES = [
    STATUS,
    "var/lib/dpkg/info/a.list",
    "var/lib/dpkg/status.d/a",
    "var/lib/dpkg/status.d/a.md5sums",
    "lib/apk/db/installed",
    "x.dist-info/RECORD",
    "x.dist-info/METADATA",
    "y.egg-info/installed-files.txt",
    "y.egg-info/PKG-INFO",
]


@settings(max_examples=100, deadline=None)
@given(some.dictionaries(some.sampled_from(_PLACES), some.lists(_PIECES, max_size=12).map(b"".join)))
def test_any_database(texts: dict[str, bytes]) -> None:
    """Whatever the databases hold: nothing breaks, and every byte is counted once."""
    account = taken([tar({**texts, "d/f": b"12345"}, {"l": "d", "m": "l/../m"})])
    sums(account, find(account))


def test_sizes_by_name_and_manager() -> None:
    """Packages of one name are told apart by their manager; several versions of one are one entry."""
    six = Package("six", "1.16", "dpkg", 10, 1, 0)
    found = Packages(
        (six, replace(six, manager="npm", version="2"), replace(six, manager="npm", size=5)), array("l"), six
    )
    assert sizes(found) == {"six (dpkg)": ("1.16", 10), "six (npm)": ("1.16, 2", 15)}
