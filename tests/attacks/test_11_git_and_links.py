"""A workspace's repository as bait: whatever `.git` names as a program leaves a mark if it's run, and whatever leads outside is
said to. Beside each: the same answer as from a harmless repository.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from portico_servers.code.errors import GitError
from portico_servers.code.external import git
from portico_servers.code.external.git import ChangeSet

pytestmark = [pytest.mark.anyio, pytest.mark.attack("11 git and links")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def run(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    allowed = ["-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *identity, *allowed, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(root: Path) -> Path:
    root.mkdir(parents=True)
    run(root, "init", "-q", "-b", "main")
    (root / "a.py").write_text("def a():\n    return 1\n")
    (root / "b.py").write_text("b = 1\n")
    run(root, "add", "-A")
    run(root, "commit", "-q", "-m", "first")
    return root


def kinds(found: ChangeSet) -> dict[str, str]:
    return {change.path: change.kind for change in found.changes}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository(tmp_path / "work")


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Is there once a program has run."""
    return tmp_path / "owned"


@pytest.fixture
def program(tmp_path: Path, mark: Path) -> str:
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\ntouch {mark}\ncat 2>/dev/null\n")
    path.chmod(0o755)
    return str(path)


def configure(root: Path, program: str, keys: str) -> None:
    for key in keys.split():
        name, _, value = key.partition("=")
        run(root, "config", name, value.replace("%20", " ").replace("PROGRAM", program) if value else program)


CONFIGURED = [
    "core.fsmonitor",
    "core.fsmonitor core.untrackedCache=true",
    "core.pager pager.diff pager.ls-files",
    "core.editor core.askPass credential.helper core.gitProxy core.sshCommand",
    "core.alternateRefsCommand uploadpack.packObjectsHook",
    "diff.external",
    "diff.evil.textconv diff.evil.cachetextconv=true",
    "diff.evil.command",
    "filter.evil.clean",
    "filter.evil.clean filter.evil.required=true",
    "filter.evil.smudge filter.evil.clean filter.evil.process",
    "filter.evil.process",
    "merge.evil.driver gpg.program log.showSignature=true",
    "alias.diff=!PROGRAM alias.rev-parse=!PROGRAM alias.ls-files=!PROGRAM",
    "diff.submodule=log submodule.recurse=true status.submoduleSummary=true",
    "interactive.diffFilter sequence.editor",
]


@pytest.mark.parametrize("keys", CONFIGURED)
@pytest.mark.parametrize("place", ["config", "included", "worktree"])
async def test_a_program_that_the_repository_configures_is_not_run(
    root: Path, program: str, mark: Path, keys: str, place: str
) -> None:
    if place == "worktree":
        run(root, "config", "extensions.worktreeConfig", "true")
    configure(root, program, keys)
    config = root / ".git/config"
    if place == "included":
        config.rename(root / ".git/other")
        config.write_text("[core]\n\trepositoryformatversion = 0\n[include]\n\tpath = other\n")
    elif place == "worktree":
        config.rename(root / ".git/config.worktree")
        config.write_text("[core]\n\trepositoryformatversion = 1\n[extensions]\n\tworktreeConfig = true\n")
    (root / ".gitattributes").write_text("*.py diff=evil filter=evil merge=evil\n")
    (root / ".git/info/attributes").write_text("*.py diff=evil filter=evil\n")
    (root / "a.py").write_text("def a():\n    return 2\n")
    os.utime(root / "b.py", (1, 1))  # looks changed: git must read it
    mark.unlink(missing_ok=True)
    found = await git.changed_since(root, "HEAD")
    assert kinds(found) == {"a.py": "modified", ".gitattributes": "untracked"}
    assert "+    return 2" in found.changes[0].diff
    assert await git.revisions(root, "ma") == ["main"]
    assert not mark.exists()


@pytest.mark.parametrize("hooks", [".git/hooks", "hooks"])
async def test_hooks_are_not_run(root: Path, program: str, mark: Path, hooks: str) -> None:
    (root / hooks).mkdir(exist_ok=True)
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout", "pre-auto-gc"):
        (root / hooks / name).write_bytes(Path(program).read_bytes())
        (root / hooks / name).chmod(0o755)
    run(root, "config", "core.hooksPath", str(root / hooks))
    mark.unlink(missing_ok=True)
    os.utime(root / "a.py", (1, 1))
    await git.changed_since(root, "HEAD")
    assert not mark.exists()


async def test_a_missing_object_is_not_fetched_by_the_repositorys_own_command(root: Path, program: str, mark: Path) -> None:
    (root / "a.py").write_text("second = 2\n")
    run(root, "commit", "-q", "-a", "-m", "second")
    blob = run(root, "rev-parse", "HEAD~1:a.py")
    (root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    config = root / ".git/config"
    config.write_text(
        "[core]\n\trepositoryformatversion = 1\n"
        f"\tsshCommand = {program}\n"
        "[extensions]\n\tpartialClone = origin\n"
        f'[remote "origin"]\n\turl = ext::{program}\n\tpromisor = true\n\tuploadpack = {program}\n'
        "[protocol]\n\tallow = always\n"
    )
    with pytest.raises(GitError, match="nothing is fetched from here"):
        await git.changed_since(root, "HEAD~1")
    config.write_text(config.read_text().replace(f"ext::{program}", "ssh://git@example.org/x.git"))
    with pytest.raises(GitError, match="nothing is fetched from here"):
        await git.changed_since(root, "HEAD~1")
    assert not mark.exists()


@pytest.mark.parametrize("key", ["core.fsmonitor", "filter.evil.clean", "filter.evil.process", "diff.external"])
async def test_a_submodules_own_configuration_is_not_read(
    root: Path, tmp_path: Path, program: str, mark: Path, key: str
) -> None:
    repository(tmp_path / "other")
    run(root, "submodule", "--quiet", "add", str(tmp_path / "other"), "sub")
    run(root, "commit", "-q", "-m", "with a submodule")
    configure(root / "sub", program, key)
    (root / "sub/.gitattributes").write_text("*.py filter=evil\n")
    (root / "sub/a.py").write_text("changed = 1\n")
    run(root, "config", "diff.ignoreSubmodules", "none")
    mark.unlink(missing_ok=True)
    assert kinds(await git.changed_since(root, "HEAD")) == {}
    assert not mark.exists()


def gitdir_file(root: Path, outside: Path) -> None:
    (root / ".git").rename(root / "old")
    (root / ".git").write_text(f"gitdir: {outside}/.git\n")


def relative_gitdir_file(root: Path, outside: Path) -> None:
    (root / ".git").rename(root / "old")
    (root / ".git").write_text(f"gitdir: ../{outside.name}/.git\n")


def linked_git(root: Path, outside: Path) -> None:
    (root / ".git").rename(root / "old")
    (root / ".git").symlink_to(outside / ".git")


def alternates(root: Path, outside: Path) -> None:
    (root / ".git/objects/info").mkdir(exist_ok=True)
    (root / ".git/objects/info/alternates").write_text(f"# from elsewhere\n{outside}/.git/objects\n")


def relative_alternates(root: Path, outside: Path) -> None:
    (root / ".git/objects/info").mkdir(exist_ok=True)
    (root / ".git/objects/info/alternates").write_text(f"../../../{outside.name}/.git/objects\n")


def alternates_of_an_alternate(root: Path, outside: Path) -> None:
    inner = repository(root / "inner")
    alternates(inner, outside)
    (root / ".git/objects/info").mkdir(exist_ok=True)
    (root / ".git/objects/info/alternates").write_text("../../inner/.git/objects\n")


def commondir(root: Path, outside: Path) -> None:
    (root / ".git/commondir").write_text(f"{outside}/.git\n")


def linked(name: str) -> Callable[[Path, Path], None]:
    def link(root: Path, outside: Path) -> None:
        place = root / ".git" / name
        if place.exists():
            place.rename(root / "old")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(outside / ".git" / name)

    return link


def linked_object(root: Path, outside: Path) -> None:
    (outside / "secret").write_text("token\n")
    blob = run(outside, "hash-object", "-w", "secret")
    (root / ".git/objects" / blob[:2]).mkdir(exist_ok=True)
    place = Path(".git/objects") / blob[:2] / blob[2:]
    (root / place).symlink_to(outside / place)


def linked_branches(root: Path, outside: Path) -> None:
    (root / ".git/refs/heads/theirs").symlink_to(outside / ".git/refs/heads")


def linked_tag(root: Path, outside: Path) -> None:
    (root / ".git/refs/tags/theirs").symlink_to(outside / ".git/refs/heads/main")


def linked_log(root: Path, outside: Path) -> None:
    (root / ".git/logs/refs/heads/deep").mkdir()
    (root / ".git/logs/refs/heads/deep/theirs").symlink_to(outside / ".git/logs/refs/heads/main")


@pytest.mark.parametrize(
    "arrange",
    [
        gitdir_file,
        relative_gitdir_file,
        linked_git,
        alternates,
        relative_alternates,
        alternates_of_an_alternate,
        commondir,
        linked_object,
        linked_branches,
        linked_tag,
        linked_log,
        *(linked(name) for name in ("objects", "refs", "index", "config", "objects/pack", "info/exclude", "logs/HEAD")),
    ],
)
async def test_what_leads_outside_is_refused_by_name(root: Path, tmp_path: Path, arrange: Callable[[Path, Path], None]) -> None:
    outside = repository(tmp_path / "outside")
    (outside / ".git/info/exclude").write_text("secret\n")
    arrange(root, outside)
    with pytest.raises(GitError, match=r"leads outside the directories that are served.*serve the directory of its main"):
        await git.changed_since(root, "HEAD")
    assert await git.revisions(root, "ma") == []


@pytest.mark.parametrize("said", ["", "gitdir:", "gitdir: nowhere", "gitdir: \0", "x" * 10_000])
async def test_a_git_file_that_names_nothing_is_no_repository(root: Path, said: str) -> None:
    (root / ".git").rename(root / "old")
    (root / ".git").write_text(said)
    with pytest.raises(GitError, match="not in a git repository"):
        await git.changed_since(root, "HEAD")


async def test_a_pipe_in_place_of_a_file_hangs_nothing(root: Path) -> None:
    os.mkfifo(root / ".git/commondir")
    assert kinds(await git.changed_since(root, "HEAD")) == {}


async def test_of_a_submodule_that_lies_outside_nothing_is_told(root: Path, tmp_path: Path) -> None:
    outside = repository(tmp_path / "outside")
    run(root, "submodule", "--quiet", "add", str(outside), "sub")
    run(root, "commit", "-q", "-m", "with a submodule")
    (outside / "a.py").write_text("secret = 2\n")
    run(outside, "commit", "-q", "-a", "-m", "second")
    (root / "sub/.git").write_text(f"gitdir: {outside}/.git\n")
    assert not any("Subproject" in change.diff for change in (await git.changed_since(root, "HEAD")).changes)


# What honest repositories get.


async def test_a_worktree_is_read_where_its_main_repository_is_served_too(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    run(root, "worktree", "add", "-q", str(other), "-b", "feature")
    (other / "b.py").write_text("b = 2\n")
    with pytest.raises(GitError, match="If this is a worktree"):
        await git.changed_since(other, "HEAD")
    assert kinds(await git.changed_since(other, "main", [root])) == {"b.py": "modified"}
    assert kinds(await git.changed_since(root, "HEAD")) == {}


async def test_a_submodules_new_commit_is_a_change_and_the_submodule_itself_is_read(root: Path, tmp_path: Path) -> None:
    repository(tmp_path / "lib")
    run(root, "submodule", "--quiet", "add", str(tmp_path / "lib"), "sub")
    run(root, "commit", "-q", "-m", "with a submodule")
    (root / "sub/a.py").write_text("second = 2\n")
    run(root / "sub", "commit", "-q", "-a", "-m", "second")
    found = await git.changed_since(root, "HEAD")
    assert kinds(found) == {"sub": "modified"}
    assert "+Subproject commit " in found.changes[0].diff
    assert kinds(await git.changed_since(root / "sub", "HEAD~1", [root])) == {"a.py": "modified"}


async def test_a_git_directory_elsewhere_inside_is_followed(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "store").mkdir(parents=True)
    run(work, "init", "-q", "--separate-git-dir", "store/repository")
    (work / "a.py").write_text("a = 1\n")
    (work / ".gitignore").write_text("store\n")
    run(work, "add", "-A")
    run(work, "commit", "-q", "-m", "first")
    (work / "a.py").write_text("a = 2\n")
    assert kinds(await git.changed_since(work, "HEAD")) == {"a.py": "modified"}


async def test_a_part_of_a_repository_has_the_changes_beneath_it(root: Path) -> None:
    (root / "part").mkdir()
    (root / "part/c.py").write_text("c = 1\n")
    (root / "a.py").write_text("a = 2\n")
    assert kinds(await git.changed_since(root / "part", "HEAD")) == {"c.py": "untracked"}


@pytest.mark.parametrize("how", ["config", "attributes"])
async def test_converted_line_endings_are_no_change(root: Path, how: str) -> None:
    if how == "config":
        run(root, "config", "core.autocrlf", "true")
    else:
        (root / ".git/info/attributes").write_text("*.py text eol=crlf\n")
    (root / "a.py").write_bytes(b"def a():\r\n    return 1\r\n")
    assert kinds(await git.changed_since(root, "HEAD")) == {}


async def test_a_file_under_a_filter_is_compared_as_it_is_and_said_to_be(root: Path) -> None:
    (root / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    (root / "x.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    run(root, "-c", "filter.lfs.clean=cat", "add", "-A")
    run(root, "commit", "-q", "-m", "a pointer")
    (root / "x.bin").write_text("abc")
    found = await git.changed_since(root, "HEAD")
    assert [(change.path, change.filtered) for change in found.changes] == [("x.bin", True)]


@pytest.mark.parametrize("options", [["--object-format=sha256"], []])
async def test_other_layouts_are_read_as_git_reads_them(tmp_path: Path, options: list[str]) -> None:
    work = tmp_path / "work"
    work.mkdir()
    run(work, "init", "-q", "-b", "main", *options)
    (work / "a.py").write_text("a = 1\n")
    run(work, "add", "-A")
    run(work, "commit", "-q", "-m", "first")
    (work / "a.py").write_text("a = 2\n")
    run(work, "commit", "-q", "-a", "-m", "second")
    run(work, "update-index", "--split-index")
    run(work, "pack-refs", "--all")
    run(work, "gc", "-q")
    assert kinds(await git.changed_since(work, "main~1")) == {"a.py": "modified"}
    assert kinds(await git.changed_since(work, "HEAD@{1}")) == {"a.py": "modified"}


async def test_a_shallow_clone_is_read_to_its_end(root: Path, tmp_path: Path) -> None:
    (root / "a.py").write_text("a = 2\n")
    run(root, "commit", "-q", "-a", "-m", "second")
    run(tmp_path, "clone", "-q", "--depth=1", f"file://{root}", "shallow")
    (tmp_path / "shallow/b.py").write_text("b = 2\n")
    assert kinds(await git.changed_since(tmp_path / "shallow", "HEAD")) == {"b.py": "modified"}
    with pytest.raises(GitError, match="no commit is called 'HEAD~1'"):
        await git.changed_since(tmp_path / "shallow", "HEAD~1")


async def test_the_users_own_ignore_rules_hold(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("*.swp\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (root / "a.swp").write_text("x")
    (root / "a.bak").write_text("x")
    assert kinds(await git.changed_since(root, "HEAD")) == {"a.bak": "untracked"}
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/mine\n")
    (home / "mine").write_text("*.bak\n")
    assert kinds(await git.changed_since(root, "HEAD")) == {"a.swp": "untracked"}


async def test_a_difference_without_end_is_cut(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "MAX_DIFF_BYTES", 10_000)
    (root / "a.py").write_text("".join(f"line {n}\n" for n in range(100_000)))
    found = await git.changed_since(root, "HEAD")
    assert not found.complete
    assert kinds(found) == {"a.py": "modified"}
