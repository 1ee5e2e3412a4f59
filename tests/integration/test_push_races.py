"""Releases that meet in a registry: nothing of another's is replaced without a word, and who loses learns it."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_registry import MANIFESTS, UPLOADS, Fault, Seen
from pushing import Pushing, bulk
from ships import Ran, Ship
from test_push_faults import failed

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def different(prepared: Ship, tmp_path_factory: pytest.TempPathFactory) -> Ship:
    """A clone that released something else under the same version."""
    root = tmp_path_factory.mktemp("different")
    shutil.copytree(prepared.root, root, symlinks=True, dirs_exist_ok=True)
    ship = replace(prepared, root=root)
    bulk(ship, "else")
    ship.invoke("release")
    assert ship.record["id"] != prepared.record["id"]
    return ship


@pytest.fixture
def rival(pushing: Pushing, different: Ship, tmp_path: Path) -> Pushing:
    """A copy of that clone, before the same registry."""
    return replace(pushing, ship=different).clone(tmp_path / "rival")


@pytest.fixture
def twin(pushing: Pushing, tmp_path: Path) -> Pushing:
    """Another clone of the same commit, and with it of the same image."""
    return pushing.clone(tmp_path / "twin")


def both(one: Pushing, two: Pushing) -> tuple[Ran, Ran]:
    """Push both at the same time."""
    ran: dict[int, Ran] = {}

    def push(number: int, which: Pushing) -> None:
        ran[number] = which.push(code=None)

    threads = [threading.Thread(target=push, args=(number, which)) for number, which in enumerate((one, two))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ran[0], ran[1]


def meet_at(pushing: Pushing, method: str, path: str) -> None:
    """Have two releases wait for each other at their first requests of a kind."""
    meeting = threading.Barrier(2)

    def wait(_: Seen) -> None:
        try:
            meeting.wait(20)
        except threading.BrokenBarrierError:
            return  # the other one does not come so far

    pushing.proxy.on(method, path, Fault(before=wait), times=2)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", f"{MANIFESTS}1.0.0"),
        pytest.param("PUT", MANIFESTS, marks=pytest.mark.slow),
        ("PUT", f"{MANIFESTS}1.0.0"),
    ],
)
def test_push_of_two_releases_at_once(pushing: Pushing, rival: Pushing, method: str, path: str) -> None:
    """Of two images for one version one gets it; the other one's push fails and names both digests."""
    meet_at(pushing, method, path)
    ran = both(pushing, rival)
    assert sorted(one.code for one in ran) == [0, 1], "\n".join(one.err for one in ran)
    winner, loser = (pushing, rival) if ran[0].code == 0 else (rival, pushing)
    lost = ran[1] if ran[0].code == 0 else ran[0]
    tags = winner.holds(others=(loser.ship.record["commit"],))
    assert winner.is_mine(tags["1.0.0"])
    assert winner.is_mine(tags["latest"])
    assert len(winner.ship.record["pushed"]) == 3
    failed(lost, "another", tags["1.0.0"])
    loser.holds(others=("1.0.0", "latest", winner.ship.record["commit"]))
    before = pushing.tags()
    failed(loser.push(code=1), tags["1.0.0"])
    assert pushing.tags() == before
    winner.proxy.heal()
    winner.push()


def test_push_of_one_release_from_two_clones_at_once(pushing: Pushing, twin: Pushing) -> None:
    """Two pushes of the same image do not disturb each other."""
    meet_at(pushing, "PUT", f"{MANIFESTS}1.0.0")
    ran = both(pushing, twin)
    assert [one.code for one in ran] == [0, 0], "\n".join(one.err for one in ran)
    assert pushing.completes() == twin.completes()


def overtaken(pushing: Pushing, rival: Pushing, method: str, path: str) -> None:
    """Push, and have the other one's whole push come between at a request."""
    done: list[Ran] = []
    pushing.proxy.on(method, path, Fault(before=lambda _: done.append(rival.push())))
    lost = pushing.push(code=1)
    assert len(done) == 1
    tags = pushing.tags()
    assert rival.is_mine(tags["1.0.0"])
    assert rival.is_mine(tags["latest"])
    failed(lost, "another release", tags["1.0.0"])
    assert all(":1.0.0" not in pushed["reference"] for pushed in pushing.ship.record["pushed"])
    failed(pushing.push(code=1), tags["1.0.0"])
    assert pushing.tags() == tags


def test_push_that_another_release_overtakes(pushing: Pushing, rival: Pushing) -> None:
    """A whole release of another clone comes between: it keeps what it has, and who comes late learns it."""
    overtaken(pushing, rival, "PUT", MANIFESTS)
    pushing.holds(others=("1.0.0", "latest", rival.ship.record["commit"]))


@pytest.mark.slow
def test_push_that_another_release_overtakes_in_a_layer(pushing: Pushing, rival: Pushing, tmp_path: Path) -> None:
    """The same while a layer is on its way, that no other release has."""
    earlier = pushing.clone(tmp_path / "earlier")
    bulk(earlier.ship, "earlier", version="0.9.0")
    earlier.ship.invoke("release")
    earlier.push()  # or the engine would have the other push wait for the layers that both have
    overtaken(pushing, rival, "PATCH|PUT", UPLOADS)
    owned = ("1.0.0", "latest", rival.ship.record["commit"])
    pushing.holds(others=(*owned, "0.9.0", earlier.ship.record["commit"]))


@pytest.fixture
def successor(pushing: Pushing, tmp_path: Path) -> Pushing:
    """Another clone, which released a higher version."""
    successor = pushing.clone(tmp_path / "successor")
    bulk(successor.ship, "next", version="1.1.0")
    successor.ship.invoke("release")
    return successor


@pytest.mark.slow
def test_push_of_a_higher_version_right_after(pushing: Pushing, successor: Pushing) -> None:
    """A higher version takes what moves just after it was given: it keeps it, and the record does not claim it."""

    def from_now_on(_: Seen) -> None:
        pushing.proxy.on("HEAD", MANIFESTS, Fault(before=lambda _: successor.push()))

    pushing.proxy.on("PUT", f"{MANIFESTS}latest", Fault(before=from_now_on))
    pushing.push()
    tags = pushing.holds(others=("1.1.0", "latest", successor.ship.record["commit"]))
    assert successor.is_mine(tags["latest"])
    assert pushing.is_mine(tags["1.0.0"])


@pytest.mark.slow
def test_push_of_a_higher_version_right_before(pushing: Pushing, successor: Pushing) -> None:
    """A higher version is there by the time that what moves is given: that is an error, which says how to mend it."""
    pushing.proxy.on("PUT", f"{MANIFESTS}latest", Fault(before=lambda _: successor.push()))
    failed(pushing.push(code=1), "higher version", "latest")
    pushing.holds(others=("1.1.0", successor.ship.record["commit"]))
    successor.push()
    tags = pushing.tags()
    assert successor.is_mine(tags["latest"])
    assert pushing.is_mine(tags["1.0.0"])
    pushing.push()
    assert pushing.tags() == tags


def test_push_of_a_version_that_is_another_image(pushing: Pushing, rival: Pushing) -> None:
    """A version that names another image is refused, before anything is sent; `--force` replaces it and says what."""
    rival.push()
    before = pushing.tags()
    pushing.proxy.heal()
    failed(pushing.push(code=1), "1.0.0", before["1.0.0"], "--force")
    assert pushing.proxy.requests("PUT|PATCH|POST") == []
    assert pushing.tags() == before
    assert pushing.ship.record["pushed"] == []
    ran = pushing.push("--force")
    assert before["1.0.0"] in ran.err
    assert "replaced" in ran.err
    tags = pushing.holds(others=(rival.ship.record["commit"],))
    assert pushing.is_mine(tags["1.0.0"])
    assert pushing.is_mine(tags["latest"])
    failed(rival.push(code=1), "1.0.0", tags["1.0.0"])


def test_push_of_a_version_that_is_this_image(pushing: Pushing, twin: Pushing) -> None:
    """What another clone pushed of the same image is there already."""
    twin.push()
    pushing.proxy.heal()
    pushing.push()
    assert pushing.proxy.uploaded() == 0
    assert pushing.tags() == twin.tags()
    assert len(pushing.ship.record["pushed"]) == 3
