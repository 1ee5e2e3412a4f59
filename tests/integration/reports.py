"""Reports to look at in tests: of an ordinary image, of one whose names were given by an enemy, and of a huge one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tinyship.sizes import account, diff
from tinyship.sizes.account import Account
from tinyship.sizes.image import Image, Layer
from tinyship.sizes.layer import Contents
from tinyship.sizes.report.report import Limit, Package, Point, Report
from tinyship.sizes.table import Row
from tinyship.sizes.tar import FILE

HOSTILE = (
    "<script>document.title='owned'</script>",
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"' onmouseover='document.title=`owned`'",
    "<b>bold</b><a href='javascript:document.title=1'>link</a>",
    "<!--<script>",
    "]]>&lt;&amp;&#60;",
    "%{value}%{customdata}",
    "no-utf8-\udcff\udc80",
    "turned-\u202egnp.exe",
    "שלום/عربي",
    "line\nbreak\ttab\r\x1b[31m",
    "$x^2$ `tick` |pipe| *star* _under_ [a](b) @someone #1 https://example.com www.example.com",
    "lone-\ud800",
    "long-" + "x" * 4000,
)
"""Names of files, as an image may have them."""


@dataclass(frozen=True)
class Hint:
    """An advice."""

    text: str
    saving: int
    instruction: str


def layer(
    number: int,
    instruction: str,
    files: Iterable[tuple[str, int]],
    hides: Iterable[str] = (),
    stored: int | None = None,
) -> Layer:
    """A layer of files of these sizes, which hides paths of those below."""
    contents = Contents()
    for place, (path, size) in enumerate(files):
        contents.paths.append(path)
        contents.kinds.append(FILE)
        contents.sizes.append(size)
        contents.prints.append(number * 1_000_000_007 + place)
    contents.whiteouts.extend(hides)
    return Layer(f"sha256:{number:064x}", instruction, contents, stored)


def taken(*layers: Layer, name: str = "example/foo:1.5.0") -> Account:
    """The account of an image of these layers."""
    return account.take(Image(name, f"sha256:{'ab' * 32}", "linux/amd64", {}, layers))


def wasteful(bump: int = 0, name: str = "example/foo:1.5.0") -> Account:
    """An image that installs a compiler, removes it, and copies its program twice."""
    program = ("opt/foo/bin/foo", 11_400_000 + bump)
    modules = [(f"usr/lib/module{number % 7}/part{number}.so", 1000 + number * 531) for number in range(300)]
    return taken(
        layer(1, "ADD rootfs.tar.gz /", [*modules, ("bin/busybox", 820_000)], stored=3_200_000),
        layer(2, "RUN apk add gcc", [("usr/bin/gcc", 4_800_000), ("usr/libexec/cc1plus", 9_300_000)], stored=5_000_000),
        layer(3 + bump, "COPY bin/foo /opt/foo/bin/", [program], stored=4_000_000),
        layer(4 + bump, "RUN chmod +x /opt/foo/bin/foo", [program], stored=4_000_000),
        layer(5, "RUN apk del gcc", [], ["usr/bin/gcc", "usr/libexec"], stored=300),
        layer(6, "COPY assets /opt/foo/share/", [("opt/foo/share/site.css", 640_000)], stored=1_400_000),
        name=name,
    )


def report(older: int = 5) -> Report:
    """Everything that a report can tell, of an ordinary image."""
    before, after = wasteful(name="example/foo:1.4.0"), wasteful(900_000)
    installed = (
        {"zlib": ("1.2", 90_000), "musl": ("1.2.4", 650_000)},
        {"zlib": ("1.3", 99_000), "zstd": ("1.5", 410_000)},
    )
    change = replace(diff.compare(before, after), packages=diff.packages(*installed))
    own = sum(after.held[1:])
    return Report(
        title="example/foo:1.5.0",
        made="2026-11-20T10:00:00Z",
        account=after,
        base=1,
        base_name="example/alpine:latest",
        chain=(
            Row("base", "example/alpine:latest", after.held[0], 3_200_000, None, 1, 0),
            Row("build", "example/foo:build", 136_000_000, None, 98_000_000, 7, 1_200_000, dead=6_000_000),
            Row("release", "example/foo:1.5.0", after.unpacked, 17_600_300, own, 6, 1_800_000, "62 % below build"),
        ),
        trend=(
            *(
                Point(f"1.{n}.0", f"2026-01-{n % 28 + 1:02}", f"{n:040x}", 40_000_000 + n, 9_000_000)
                for n in range(older)
            ),
            Point("1.5.0", "2026-11-20T10:00:00Z", "f" * 40, after.unpacked, 17_600_300, after.dead_bytes),
        ),
        diff=change,
        advice=(
            Hint(
                "Copy the program with its mode: `COPY --chmod=755 bin/foo /opt/foo/bin/`.",
                12_300_000,
                "RUN chmod +x foo",
            ),
            Hint("Install and remove the compiler in one instruction.", 14_100_000, "RUN apk add gcc"),
        ),
        budgets=(Limit("release: unpacked at most 60MB", False), Limit("dead 26.4 MB, budget 10MB", True)),
        packages=(Package("musl", "1.2.5", 650_000), Package("zstd", "1.5", 410_000)),
        notices=("pull is what the registry's manifest says",),
    )


def hostile() -> Report:
    """A report in which every text that others give is one of ``HOSTILE``."""
    files = [(name, 1_000_000 + place) for place, name in enumerate(HOSTILE)]
    enemy = taken(
        layer(1, f"RUN {HOSTILE[0]}", files),
        layer(2, HOSTILE[1], [(f"more/{name}", size) for name, size in files], [name for name, _ in files[:6]]),
        layer(3, "\n".join(HOSTILE), [(f"{name}/inside", size) for name, size in files]),
        name=HOSTILE[2],
    )
    every = "".join(HOSTILE)
    return Report(
        title=HOSTILE[1],
        made=HOSTILE[0],
        account=enemy,
        base=1,
        base_name=HOSTILE[2],
        chain=tuple(Row(name, name, 1_000_000, 1, 1, 1, 1, name) for name in HOSTILE),
        trend=tuple(Point(name, name, name, 1_000_000, 1, 1) for name in HOSTILE),
        diff=replace(
            diff.compare(taken(), enemy),
            before=HOSTILE[0],
            after=HOSTILE[1],
            packages=diff.packages({}, {name: (name, 1) for name in HOSTILE}),
        ),
        advice=tuple(Hint(name, 1, name) for name in HOSTILE),
        budgets=tuple(Limit(name, True) for name in HOSTILE),
        packages=tuple(Package(name, name, 1) for name in HOSTILE),
        notices=(*HOSTILE, every),
    )


def huge(files: int = 200_000) -> Report:
    """A report on very many files, in folders deep and shallow, a tenth of them dead."""
    paths = [
        (f"usr/lib/{n % 97}/{n % 13}/{'deep/' * (n % 9)}file{n}.py", 100 + n * 7919 % 100_000) for n in range(files)
    ]
    return Report(
        "example/huge:1",
        "2026-11-20T10:00:00Z",
        taken(layer(1, "RUN pip install everything", paths), layer(2, "RUN rm", [], [path for path, _ in paths[::10]])),
    )


def plain(sizes: Mapping[str, int]) -> Report:
    """A report that knows nothing but the files of one layer."""
    return Report("example/plain:1", "2026-11-20T10:00:00Z", taken(layer(1, "COPY . /", sizes.items())))
