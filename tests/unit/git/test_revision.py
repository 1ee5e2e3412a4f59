"""What git says of a project: every test asks a real repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinyship.errors import ConfigError, GitError
from tinyship.git.revision import ancestors, given, known_versions, public_url, read, state, tag_commit, tag_of
from tinyship.settings.schema import Version

if TYPE_CHECKING:
    from tests.conftest import Repository

    from tinyship.versions import Scheme

FROM_GIT = Version()


def test_no_repository(tmp_path: Path) -> None:
    """Outside of a repository there is no version, and the error says how to have one."""
    with pytest.raises(GitError, match="is in no git repository") as caught:
        read(tmp_path, FROM_GIT)
    assert str(tmp_path) in str(caught.value)
    assert "version.literal" in caught.value.hint


def test_no_repository_but_a_version(tmp_path: Path) -> None:
    """A version of the settings needs no git."""
    revision = read(tmp_path, Version(literal="1.10"))
    assert (revision.version, revision.commit, revision.source, revision.root) == ("1.10", "", "", None)
    assert revision.released
    assert any("no git repository" in notice for notice in revision.notices)


def test_no_commit(repository: Repository) -> None:
    """A repository without a commit has no version either."""
    with pytest.raises(GitError, match="no commit yet") as caught:
        read(repository.root, FROM_GIT)
    assert "Commit first" in caught.value.hint


def test_no_commit_but_a_version(repository: Repository) -> None:
    """With a version of the settings, what no commit holds is dirty."""
    revision = read(repository.root, Version(literal="1.0.0"))
    assert (revision.commit, revision.branch, revision.date) == ("", "main", None)
    assert revision.full_version == "1.0.0-dirty"
    assert not revision.released


def test_tag_on_head(repository: Repository) -> None:
    """v1.2.3 is version 1.2.3, released."""
    commit = repository.commit()
    repository.git("tag", "v1.2.3")
    revision = read(repository.root, FROM_GIT)
    assert (revision.version, revision.tag, revision.full_version) == ("1.2.3", "v1.2.3", "1.2.3")
    assert (revision.commit, revision.short_commit, revision.branch) == (commit, commit[:7], "main")
    assert (revision.dirty, revision.changes, revision.is_given, revision.shallow) == (False, (), False, False)
    assert revision.root == repository.root
    assert revision.notices == ()
    assert revision.released


def test_annotated_tag(repository: Repository) -> None:
    """An annotated tag is a version as a plain one is."""
    repository.commit()
    repository.git("tag", "-a", "-m", "text", "v1.2.3")
    assert read(repository.root, FROM_GIT).tag == "v1.2.3"


def test_date_is_that_of_the_commit(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The date is the committer's, with its time zone."""
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2017-05-01T12:00:00+02:00")
    repository.commit()
    assert read(repository.root, FROM_GIT).date == datetime(2017, 5, 1, 10, tzinfo=UTC)


def test_behind_a_tag(repository: Repository) -> None:
    """Four commits behind v1.2.3 the version is 1.2.3-4-g and the commit; that is no release."""
    repository.commit()
    repository.git("tag", "v1.2.3")
    for number in range(4):
        commit = repository.commit(str(number))
    revision = read(repository.root, FROM_GIT)
    assert revision.version == f"1.2.3-4-g{commit[:7]}"
    assert (revision.tag, revision.tags, revision.released) == ("", (), False)
    assert revision.notices == (
        f"HEAD is 4 commits after the tag v1.2.3, so the version is {revision.version}, which is no release; "
        "`--version` or `version.literal` names another",
    )


def test_no_tag(repository: Repository) -> None:
    """Without a tag the version is 0.0.0-g and the commit, and that is said."""
    commit = repository.commit()
    repository.git("tag", "nightly")
    repository.git("tag", "vendor")  # like `v*` to the letter, and no version
    revision = read(repository.root, FROM_GIT)
    assert (revision.version, revision.tag, revision.tags) == (f"0.0.0-g{commit[:7]}", "", ("nightly", "vendor"))
    assert revision.notices == (
        f"no version tag (`v*`) is reached from HEAD, so the version is 0.0.0-g{commit[:7]}; "
        "`--version` or `version.literal` names another",
    )


@pytest.mark.parametrize(
    ("tags", "highest"),
    [
        (("v1.9.0", "v1.10.0"), "v1.10.0"),
        (("v1.0.0", "v1.0.0-rc1"), "v1.0.0"),
        (("v1.0.0-rc2", "v1.0.0-rc10", "v1.0.0-beta9"), "v1.0.0-rc10"),
        (("v1.0.0-alpha", "v1.0.0-alpha.1", "v1.0.0-alpha.beta"), "v1.0.0-alpha.beta"),
        (("v1.0.0-1", "v1.0.0-alpha"), "v1.0.0-alpha"),
        (("v1.0.0-rc1", "v0.9.9"), "v1.0.0-rc1"),
        (("v1.0", "v1.0.1"), "v1.0.1"),
        (("v2.0.0+build5", "v2.0.0-rc1"), "v2.0.0+build5"),
    ],
)
def test_several_tags_on_one_commit(repository: Repository, tags: tuple[str, ...], highest: str) -> None:
    """The highest is the version, a pre-release is below its release, and the choice is said with the way out."""
    repository.commit()
    for tag in tags:
        repository.git("tag", tag)
    revision = read(repository.root, FROM_GIT)
    assert (revision.tag, revision.version) == (highest, highest.removeprefix("v"))
    assert set(revision.tags) == set(tags)
    (notice,) = revision.notices
    assert all(tag in notice for tag in tags)
    assert notice.endswith("`--version` or `version.literal` names another")


def test_pre_release_behind_a_release(repository: Repository) -> None:
    """A pre-release's tag is a version like any other."""
    repository.commit()
    repository.git("tag", "v1.0.0")
    repository.commit("more")
    repository.git("tag", "v1.1.0-rc.1")
    assert read(repository.root, FROM_GIT).version == "1.1.0-rc.1"


@pytest.mark.parametrize(
    ("glob", "tag", "version"),
    [
        ("release-*", "release-1.2.3", "1.2.3"),
        ("api/v*", "api/v2.0.0", "2.0.0"),
        ("*", "3.1", "3.1"),
        ("v*-lts", "v4.0-lts", "4.0-lts"),
        ("nightly", "nightly", "nightly"),
    ],
)
def test_custom_tags(repository: Repository, glob: str, tag: str, version: str) -> None:
    """Only tags like the one in the settings count; what stands before its `*` is cut, on HEAD and behind it."""
    repository.commit()
    repository.git("tag", tag)
    repository.git("tag", "v9.9.9-other")
    revision = read(repository.root, Version(tag=glob))
    assert (revision.version, revision.tag) == (version, tag)
    assert set(revision.tags) == {tag, "v9.9.9-other"}
    commit = repository.commit("more")
    assert read(repository.root, Version(tag=glob)).version == f"{version}-1-g{commit[:7]}"


def test_custom_tags_with_digits_are_ordered_too(repository: Repository) -> None:
    """Digits before the version are none of it: a pre-release is still below its release."""
    repository.commit()
    for tag in ("k8s-v1.0.0-rc1", "k8s-v1.0.0", "k8s-v0.9.0"):
        repository.git("tag", tag)
    assert read(repository.root, Version(tag="k8s-v*")).version == "1.0.0"


def test_words_that_begin_like_a_version(repository: Repository) -> None:
    """`v*` does not mean a tag like `vendor`: a digit follows."""
    repository.commit()
    repository.git("tag", "vendor")
    assert read(repository.root, FROM_GIT).version.startswith("0.0.0-g")


def test_literal_version(repository: Repository) -> None:
    """A version of the settings wins over tags, and is released where the tree is clean."""
    repository.commit()
    repository.git("tag", "v1.2.3")
    revision = read(repository.root, Version(literal="2.0.0"))
    assert (revision.version, revision.tag, revision.is_given, revision.released) == ("2.0.0", "", True, True)
    (repository.root / "new").write_text("")
    assert read(repository.root, Version(literal="2.0.0")).released is False


@pytest.mark.parametrize(("scheme", "highest"), [("auto", "v1.0.0"), ("semver", "v1.0.0"), ("pep440", "v1.0.0-1")])
def test_scheme_orders_tags(repository: Repository, scheme: Scheme, highest: str) -> None:
    """Which of two tags is higher is the scheme's to say, and the revision knows the scheme."""
    repository.commit()
    for tag in ("v1.0.0", "v1.0.0-1"):
        repository.git("tag", tag)
    revision = read(repository.root, Version(scheme=scheme))
    assert (revision.tag, revision.scheme) == (highest, scheme)
    assert read(repository.root, Version(scheme=scheme, literal="1")).scheme == scheme


def test_given_version_that_is_the_tag_on_head(repository: Repository) -> None:
    """A given version that HEAD is tagged with has that tag; where HEAD's tag says another, both are named."""
    repository.commit()
    repository.git("tag", "v1.2.3")
    same = read(repository.root, Version(literal="1.2.3"))
    assert (same.tag, same.is_given, same.notices) == ("v1.2.3", True, ())
    other = read(repository.root, Version(literal="2.0.0"))
    assert other.notices == ("HEAD has the tag v1.2.3, but the version is given, and is 2.0.0",)


def test_branch_with_the_name_of_a_tag(repository: Repository) -> None:
    """A tag is a version whatever branch has its name; on the branch alone, the way to the tag is said."""
    tagged = repository.commit()
    repository.git("tag", "v1.0.0")
    repository.git("checkout", "-q", "-b", "v1.0.0")
    here = read(repository.root, FROM_GIT)
    assert (here.version, here.tag, here.branch) == ("1.0.0", "v1.0.0", "v1.0.0")
    assert here.notices == ("v1.0.0 is a tag and a branch: versions come from tags alone",)
    commit = repository.commit("more")
    after = read(repository.root, FROM_GIT)
    assert after.version == f"1.0.0-1-g{commit[:7]}"
    assert after.notices[0].startswith("HEAD is 1 commit after the tag v1.0.0")
    assert after.notices[1].endswith("`git checkout refs/tags/v1.0.0` goes there")
    assert tag_commit(repository.root, "v1.0.0") == tagged


def test_branch_that_looks_like_a_version(repository: Repository) -> None:
    """A branch `v1` without such a tag is nothing to speak of."""
    repository.commit()
    repository.git("tag", "v1.0.0")
    repository.git("checkout", "-q", "-b", "v1")
    assert read(repository.root, FROM_GIT).notices == ()


def test_known_versions(repository: Repository, tmp_path: Path) -> None:
    """All tags like the one in the settings count, on any commit, without what is before the version; highest first."""
    assert known_versions(repository.root, FROM_GIT) == ()
    repository.commit()
    for tag in ("v1.9.0", "v1.10.0", "vendor", "2.0.0", "api/v3.0.0"):
        repository.git("tag", tag)
    repository.git("checkout", "-q", "--orphan", "other")
    repository.commit("other")
    repository.git("tag", "-a", "-m", "text", "v1.10.0-rc.1")
    assert known_versions(repository.root, FROM_GIT) == ("1.10.0", "1.10.0-rc.1", "1.9.0")
    assert known_versions(repository.root, Version(tag="api/v*")) == ("3.0.0",)
    assert known_versions(repository.root, Version(tag="v*", literal="9")) == ("1.10.0", "1.10.0-rc.1", "1.9.0")
    assert known_versions(tmp_path, FROM_GIT) == ()


def test_commit_of_a_tag(repository: Repository, tmp_path: Path) -> None:
    """A tag's commit is found whether it is annotated or not; a branch, a commit and nothing are no tags."""
    first = repository.commit()
    repository.git("tag", "v1.0.0")
    repository.git("tag", "-a", "-m", "text", "api/v1.0.0")
    repository.commit("more")
    for tag in ("v1.0.0", "api/v1.0.0"):
        assert tag_commit(repository.root, tag) == first
    for name in ("main", first, "v2.0.0", ""):
        assert tag_commit(repository.root, name) == ""
    assert tag_commit(tmp_path, "v1.0.0") == ""


@pytest.mark.parametrize(
    ("glob", "name", "version", "tag"),
    [
        ("", "2.0.1", "2.0.1", "v2.0.1"),
        ("", "v2.0.1", "2.0.1", "v2.0.1"),
        ("", "2.1.0-rc.1", "2.1.0-rc.1", "v2.1.0-rc.1"),
        ("", "2024.10", "2024.10", "v2024.10"),
        ("release-*", "release-2.0.1", "2.0.1", "release-2.0.1"),
        ("api/v*", "api/v2.0.1", "2.0.1", "api/v2.0.1"),
        ("api/v*", "v2.0.1", "2.0.1", "api/v2.0.1"),
        ("*", "2.0.1", "2.0.1", "2.0.1"),
    ],
)
def test_version_for_one_run(glob: str, name: str, version: str, tag: str) -> None:
    """A version is given with or without what its tag has before it, and wins over all that the settings say."""
    for settings in (
        Version(tag=glob),
        Version(tag=glob, literal="1.0"),
        Version(tag=glob, file="VERSION", regex="(.)"),
    ):
        assert given(settings, name) == Version(tag=glob, literal=version)
        assert tag_of(settings, version) == tag


@pytest.mark.parametrize(
    ("scheme", "name", "why"),
    [
        ("auto", "nightly", "`nightly`, is none: a version begins with numbers"),
        ("auto", "1.2.x", "`1.2.x`, is none"),
        ("auto", " 1.2.3", "` 1.2.3`, is none"),
        ("auto", "", "is empty"),
        ("auto", " ", "is empty"),
        ("auto", "v", "`v`, is none"),
        ("semver", "1.2", "has three numbers"),
        ("pep440", "1.2.3-alpine", "`version.scheme: pep440`"),
    ],
)
def test_no_version_for_one_run(scheme: Scheme, name: str, why: str) -> None:
    """What is no version is an error that says what one is like, and an empty variable of a script is none."""
    with pytest.raises(ConfigError) as caught:
        given(Version(scheme=scheme), name)
    assert why in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "regex", "version"),
    [
        ("1.2.3\n", "", "1.2.3"),
        ("  1.2.3  ", "", "1.2.3"),
        ('name = "foo"\nversion = "1.10"\n', r'^version = "(.*)"', "1.10"),
        ("const Version = `2.0.0-rc1`", "`(.+)`", "2.0.0-rc1"),
    ],
)
def test_version_of_a_file(tmp_path: Path, text: str, regex: str, version: str) -> None:
    """The version is the file's text, or what the expression's group finds."""
    (tmp_path / "VERSION").write_text(text)
    assert read(tmp_path, Version(file="VERSION", regex=regex)).version == version


@pytest.mark.parametrize(
    ("text", "regex"),
    [
        ("", ""),
        (" \n", ""),
        ("1.0\n2.0\n", ""),
        ("nothing", r"version = (\d+)"),
        ("version = ", r"version = (\d*)"),
        ("version", r"version(\d)?"),
    ],
)
def test_no_version_in_the_file(tmp_path: Path, text: str, regex: str) -> None:
    """A file that has no version is an error that says what was looked for."""
    (tmp_path / "VERSION").write_text(text)
    with pytest.raises(ConfigError, match="there is no version in VERSION") as caught:
        read(tmp_path, Version(file="VERSION", regex=regex))
    assert (regex or "its text") in caught.value.hint


def test_version_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder and a binary are errors that name the file and the reason."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, reason in (("missing", "No such file"), ("folder", "directory"), ("binary", "no UTF-8")):
        with pytest.raises(ConfigError, match=rf"`version\.file`: {name} cannot be read: .*{reason}"):
            read(tmp_path, Version(file=name))


@pytest.mark.parametrize("name", ["new", "with space", "ünïcödé-Ω", 'quo"te', "tab\there", "new\nline"])
def test_untracked_file(repository: Repository, name: str) -> None:
    """A file that git does not know makes the tree dirty, and is named as it is named."""
    repository.commit()
    repository.git("tag", "v1.0.0")
    (repository.root / name).write_text("")
    revision = read(repository.root, FROM_GIT)
    assert revision.changes == (f"?? {name}",)
    assert (revision.full_version, revision.version, revision.released) == ("1.0.0-dirty", "1.0.0", False)


def test_untracked_folder_is_one_change(repository: Repository) -> None:
    """A folder of new files is listed once, also where the user's git hides such files."""
    repository.commit()
    repository.git("config", "status.showUntrackedFiles", "no")
    (repository.root / "new").mkdir()
    (repository.root / "new" / "a").write_text("")
    (repository.root / "new" / "b").write_text("")
    assert read(repository.root, FROM_GIT).changes == ("?? new/",)


def test_bytes_that_are_no_text(repository: Repository) -> None:
    """A name that is no UTF-8 is a change like any other."""
    repository.commit()
    Path(os.fsdecode(os.fsencode(repository.root) + b"/\xff\xfe")).write_text("")
    (change,) = read(repository.root, FROM_GIT).changes
    assert os.fsencode(change) == b"?? \xff\xfe"
    assert state(repository.root)[1]


def test_ignored_files_are_none(repository: Repository) -> None:
    """What git ignores leaves the tree clean."""
    (repository.root / ".gitignore").write_text("*.o\n")
    repository.commit()
    (repository.root / "main.o").write_text("")
    assert not read(repository.root, FROM_GIT).dirty


def test_tracked_files_that_change(repository: Repository) -> None:
    """Modified, staged, deleted and renamed files are listed as `git status --short` does."""
    for name in ("modified", "staged", "deleted", "old ä name"):
        (repository.root / name).write_text(name * 20)
    repository.commit()
    (repository.root / "modified").write_text("other")
    (repository.root / "staged").write_text("other")
    repository.git("add", "staged")
    (repository.root / "deleted").unlink()
    repository.git("mv", "old ä name", "new ä name")
    (repository.root / "untracked").write_text("")
    revision = read(repository.root, FROM_GIT)
    assert revision.dirty
    assert set(revision.changes) == {" M modified", "M  staged", " D deleted", "R  new ä name", "?? untracked"}


def test_conflict(repository: Repository) -> None:
    """A file in conflict is a change."""
    repository.commit("one")
    repository.git("checkout", "-q", "-b", "other")
    repository.commit("two")
    repository.git("checkout", "-q", "main")
    repository.commit("three")
    with pytest.raises(subprocess.CalledProcessError):
        repository.git("merge", "other")
    assert read(repository.root, FROM_GIT).changes == ("UU file.txt",)


def test_detached_head(repository: Repository) -> None:
    """A detached HEAD has no branch; the version is the same."""
    repository.commit()
    repository.git("tag", "v1.0.0")
    repository.git("checkout", "-q", "--detach")
    revision = read(repository.root, FROM_GIT)
    assert (revision.branch, revision.version, revision.released) == ("", "1.0.0", True)


def test_branch_with_a_slash(repository: Repository) -> None:
    """A branch has its whole name."""
    repository.commit()
    repository.git("checkout", "-q", "-b", "feature/ä-b")
    assert read(repository.root, FROM_GIT).branch == "feature/ä-b"


def test_shallow_clone(repository: Repository, tmp_path: Path) -> None:
    """A clone without history says that its version may not be the true one."""
    repository.commit()
    repository.git("tag", "v1.0.0")
    commit = repository.commit("more")
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth", "1", repository.root.as_uri(), str(clone))
    revision = read(clone, FROM_GIT)
    assert (revision.shallow, revision.version) == (True, f"0.0.0-g{commit[:7]}")
    assert revision.notices[1:] == (
        "the clone is shallow: older tags may be missing, and with them the true version; "
        "`git fetch --unshallow --tags` gets them",
    )


def test_shallow_clone_of_a_tag(repository: Repository, tmp_path: Path) -> None:
    """A shallow clone of a tag is a release, without a word."""
    repository.commit()
    repository.commit("more")
    repository.git("tag", "v1.0.0")
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth", "1", "--branch", "v1.0.0", repository.root.as_uri(), str(clone))
    revision = read(clone, FROM_GIT)
    assert (revision.shallow, revision.version, revision.released, revision.notices) == (True, "1.0.0", True, ())


def test_worktree(repository: Repository, tmp_path: Path) -> None:
    """A worktree has its own branch and changes, and the repository's tags and remote."""
    repository.commit()
    repository.git("remote", "add", "origin", "git@example.com:lacion/foo.git")
    repository.git("tag", "v1.0.0")
    (repository.root / "untracked").write_text("")
    worktree = tmp_path / "worktree"
    repository.git("worktree", "add", "-q", "-b", "other", str(worktree))
    revision = read(worktree, FROM_GIT)
    assert (revision.branch, revision.version, revision.changes) == ("other", "1.0.0", ())
    assert revision.root == worktree
    assert revision.source == "https://example.com/lacion/foo"
    assert state(worktree) != state(repository.root)


def test_submodule(repository: Repository, tmp_path: Path) -> None:
    """A submodule is a project of its own, not the one around it."""
    (tmp_path / "inner").mkdir()
    inner = type(repository)(tmp_path / "inner")
    commit = inner.commit("inner")
    inner.git("tag", "v5.0.0")
    repository.commit("outer")
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.root), "module")
    repository.git("commit", "-q", "-m", "module")
    repository.git("tag", "v1.0.0")
    module = read(repository.root / "module", FROM_GIT)
    assert (module.version, module.commit, module.root) == ("5.0.0", commit, repository.root / "module")
    assert read(repository.root, FROM_GIT).version == "1.0.0"
    (repository.root / "module" / "file.txt").write_text("changed")
    assert read(repository.root / "module", FROM_GIT).changes == (" M file.txt",)
    assert read(repository.root, FROM_GIT).changes == (" M module",)


def test_project_in_a_subfolder(repository: Repository) -> None:
    """The repository around the project counts, with all of its changes; a version's file is the project's."""
    project = repository.root / "services" / "api"
    project.mkdir(parents=True)
    (project / "VERSION").write_text("3.0.0\n")
    repository.commit()
    repository.git("tag", "v1.0.0")
    revision = read(project, FROM_GIT)
    assert (revision.version, revision.root, revision.dirty) == ("1.0.0", repository.root, False)
    assert read(project, Version(file="VERSION")).version == "3.0.0"
    (project / "new file").write_text("")
    (repository.root / "other").write_text("")
    assert read(project, FROM_GIT).changes == ("?? other", "?? services/api/new file")


def test_bare_repository(tmp_path: Path, repository: Repository) -> None:
    """A repository without a work tree cannot be released from."""
    repository.git("init", "-q", "--bare", str(tmp_path / "bare"))
    with pytest.raises(GitError, match="has no work tree"):
        read(tmp_path / "bare", FROM_GIT)


def test_user_settings_of_git_do_not_matter(repository: Repository) -> None:
    """Colours, short paths and signatures in git's config change nothing."""
    repository.commit()
    repository.git("tag", "v1.0.0")
    plain = read(repository.root, FROM_GIT)
    for key, value in {
        "color.ui": "always",
        "status.short": "true",
        "status.branch": "false",
        "status.relativePaths": "true",
        "log.decorate": "no",
        "log.showSignature": "true",
        "core.abbrev": "20",
        "log.date": "relative",
        "core.quotePath": "true",
    }.items():
        repository.git("config", key, value)
    assert read(repository.root, FROM_GIT) == plain
    commit = repository.commit("more")
    assert read(repository.root, FROM_GIT).version == f"1.0.0-1-g{commit[:7]}"


def test_state_is_stable(repository: Repository) -> None:
    """Nothing changed, nothing differs; a clean tree is told by its commit."""
    first = repository.commit()
    assert state(repository.root) == state(repository.root)
    assert state(repository.root)[0] == first
    clean = state(repository.root)[1]
    repository.commit("more")
    assert state(repository.root)[0] != first
    assert state(repository.root)[1] == clean


@pytest.mark.parametrize("name", ["file.txt", "new", "folder/ä new"])
def test_state_follows_a_dirty_file(repository: Repository, name: str) -> None:
    """A dirty file that changes again is another state: what was built is not what is there."""
    repository.commit("text")
    path = repository.root / name
    path.parent.mkdir(exist_ok=True)
    seen = {state(repository.root)}
    for size, time in ((1, 1), (2, 1), (2, 2)):
        path.write_text("x" * size)
        os.utime(path, ns=(time, time))
        seen.add(state(repository.root))
    path.unlink()
    seen.add(state(repository.root))
    assert len(seen) == (5 if name == "file.txt" else 4)


def test_state_goes_back(repository: Repository) -> None:
    """A change that is taken back leaves the state as it was."""
    repository.commit("text")
    before = state(repository.root)
    (repository.root / "new").write_text("")
    assert state(repository.root) != before
    (repository.root / "new").unlink()
    assert state(repository.root) == before


def test_state_without_a_commit_or_repository(repository: Repository, tmp_path: Path) -> None:
    """Without a repository there is no state; without a commit only the tree has one."""
    assert state(tmp_path) == ("", "")
    commit, tree = state(repository.root)
    assert commit == ""
    assert re.fullmatch("[0-9a-f]{64}", tree)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_repository_of_somebody_else(repository: Repository) -> None:
    """A repository that git does not trust is an error that says how to trust it."""
    repository.commit()
    for path in (repository.root, repository.root / ".git"):
        os.chown(path, 12345, 12345)
    for ask in (lambda: read(repository.root, FROM_GIT), lambda: state(repository.root)):
        with pytest.raises(GitError, match="does not trust") as caught:
            ask()
        assert f"safe.directory {repository.root}" in caught.value.hint


NO_GIT = """
import sys
from pathlib import Path
from tinyship.errors import GitError
from tinyship.git.revision import read
from tinyship.settings.schema import Version
try:
    read(Path(sys.argv[1]), Version())
except GitError as error:
    print(error)
"""


def test_no_git(repository: Repository, tmp_path: Path) -> None:
    """Without a git on PATH, the error says to install it."""
    repository.commit()
    environ = {**os.environ, "PATH": str(tmp_path / "nowhere")}
    command = [sys.executable, "-c", NO_GIT, str(repository.root)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.stdout == "there is no git on PATH\n  Install git.\n"
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://example.com/lacion/foo.git", "https://example.com/lacion/foo"),
        ("https://user:t0ken@example.com/lacion/foo.git", "https://example.com/lacion/foo"),
        ("https://t0ken@example.com:8443/lacion/foo", "https://example.com:8443/lacion/foo"),
        ("http://user:t0ken@example.com/foo.git/", "http://example.com/foo"),
        ("https://example.com/foo?token=t0ken#t0ken", "https://example.com/foo"),
        ("git@example.com:lacion/foo.git", "https://example.com/lacion/foo"),
        ("example.com:lacion/foo.git", "https://example.com/lacion/foo"),
        ("t0ken@example.com:/lacion/foo", "https://example.com/lacion/foo"),
        ("user:t0ken@example.com:lacion/foo", "https://example.com/lacion/foo"),
        ("ssh://git@example.com:2222/lacion/foo.git", "https://example.com/lacion/foo"),
        ("ssh://git:t0ken@example.com/lacion/foo.git", "https://example.com/lacion/foo"),
        ("git+ssh://git@example.com/foo", "https://example.com/foo"),
        ("git://example.com/foo.git", "https://example.com/foo"),
        ("https://[::1]:8443/foo.git", "https://[::1]:8443/foo"),
        ("/srv/git/foo.git", ""),
        ("../foo.git", ""),
        ("./a:b", ""),
        ("file:///srv/git/foo.git", ""),
        ("foo", ""),
        ("", ""),
    ],
)
def test_public_url(url: str, public: str) -> None:
    """A remote is shown as a browser takes it: without credentials, without a path on this machine."""
    assert public_url(url) == public


def test_source(repository: Repository) -> None:
    """The source is `origin`, or the only remote; of several others it is none."""
    repository.commit()
    assert read(repository.root, FROM_GIT).source == ""
    repository.git("remote", "add", "one", "https://user:t0ken@example.com/one.git")
    assert read(repository.root, FROM_GIT).source == "https://example.com/one"
    repository.git("remote", "add", "two", "https://example.com/two.git")
    assert read(repository.root, FROM_GIT).source == ""
    repository.git("remote", "add", "origin", "git@example.com:three.git")
    assert read(repository.root, FROM_GIT).source == "https://example.com/three"


@pytest.mark.parametrize("url", ["https://example.com:port/foo", "/srv/git/foo"])
def test_source_that_is_no_place_on_the_web(repository: Repository, url: str) -> None:
    """A remote that no browser takes is no source, and no error."""
    repository.commit()
    repository.git("remote", "add", "origin", url)
    assert read(repository.root, FROM_GIT).source == ""


def test_ancestors_far_and_near(repository: Repository) -> None:
    """All come in one order, however many git is asked for at a time."""
    stream = "".join(f"commit refs/heads/main\ncommitter T <t@x> {number} +0000\ndata 0\n\n" for number in range(500))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repository.root, input=stream.encode(), check=True)
    every = repository.git("rev-list", "main").split()
    for limit in (1, 199, 200, 201, 500, 10_000):
        assert list(ancestors(repository.root, every[0], limit)) == every[:limit]
    assert list(ancestors(repository.root, every[300])) == every[300:]


def test_ancestors(repository: Repository, tmp_path: Path) -> None:
    """A commit, then what it was made of, over merges, up to a limit; without commit or repository there is none."""
    first = repository.commit("1")
    repository.git("checkout", "-q", "-b", "side")
    side = repository.commit("side")
    repository.git("checkout", "-q", "main")
    second = repository.commit("2")
    repository.git("merge", "-q", "--strategy=ours", "-m", "merge", "side")
    merge = repository.git("rev-parse", "HEAD")
    found = list(ancestors(repository.root, merge))
    assert (found[0], set(found[1:3]), found[3:]) == (merge, {side, second}, [first])
    assert list(ancestors(repository.root, second)) == [second, first]
    assert list(ancestors(repository.root, merge, limit=1)) == [merge]
    assert list(ancestors(repository.root, "")) == []
    assert list(ancestors(tmp_path, merge)) == []
    with pytest.raises(GitError):
        next(ancestors(repository.root, "a" * 40))
