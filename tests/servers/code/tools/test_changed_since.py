"""What changed since a revision: kinds, lines, symbols, and a repository that would have programs run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers.code.conftest import git

from portico_servers.code.errors import GitError, ToolMissing
from portico_servers.code.tools.changed_since import changed_since
from portico_servers.code.workspace import Workspace


@pytest.mark.anyio
async def test_changes_since_a_commit_have_their_kind_lines_symbol_and_diff(git_repository: Path, tmp_path: Path) -> None:
    pool = git_repository / "pool.py"
    pool.write_text(pool.read_text().replace("self.free.append(block)", "self.free.appendleft(block)"))
    (git_repository / "new.py").write_text("x = 1\n")
    (git_repository / "README.md").unlink()
    git(git_repository, "mv", "server/main.go", "server/start.go")
    found = Workspace([git_repository], tmp_path / "index")
    found.start()
    assert found.indexes["cache"].ready.wait(30)
    result = await changed_since(found, "HEAD")
    kinds = {hit.path: hit.kind for hit in result.hits}
    assert kinds == {"pool.py": "modified", "new.py": "untracked", "README.md": "deleted", "server/start.go": "renamed"}
    change = next(hit for hit in result.hits if hit.path == "pool.py")
    assert change.symbol == "BlockPool.release_block"
    assert change.text.startswith("+1 -1\n")
    assert "+        self.free.appendleft(block)" in change.text
    assert [hit.path for hit in (await changed_since(found, "HEAD", path="*.md")).hits] == ["README.md"]
    found.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "ref",
    [
        *("", "nope", "--output=owned", "-p", "HEAD; touch owned", "HEAD\nx", "a" * 500, "HEAD:pool.py", "@{-1}"),
        *("1", "HEAD~99", "release-1", "v1.2.3", "origin/week-1", "feature/monday", "may-fix", "2020-01-01-hotfix", "1 week x"),
    ],
)
async def test_what_is_no_revision_is_refused(git_repository: Path, tmp_path: Path, ref: str) -> None:
    found = Workspace([git_repository], tmp_path / "index")
    with pytest.raises(GitError):
        await changed_since(found, ref)
    assert not (git_repository / "owned").exists()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "date",
    [
        *("2020-01-02", "2020-01-02 10:00", "2020-01-02T10:00:00Z", "2020-01-02 10:00:00 +0200", "2020/01/02", "02.01.2020"),
        *(
            "Jan 2 2020",
            "2nd January 2020",
            "2.weeks.ago",
            "3 days ago",
            "yesterday",
            "last week",
            "today",
            "last monday at noon",
        ),
    ],
)
async def test_a_date_means_the_last_commit_before_it(
    git_repository: Path, tmp_path: Path, date: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z")
    git(git_repository, "commit", "-q", "--amend", "--no-edit")
    (git_repository / "new.py").write_text("x = 1\n")
    found = Workspace([git_repository], tmp_path / "index")
    assert [hit.path for hit in (await changed_since(found, date)).hits] == ["new.py"]
    found.close()


@pytest.mark.anyio
async def test_a_repository_cannot_have_its_programs_run(git_repository: Path, tmp_path: Path) -> None:
    """Settings that make git run a program: none of them may be, however the repository came to have them."""
    marker = tmp_path / "owned"
    for key in ("core.fsmonitor", "diff.external", "core.pager", "diff.evil.textconv", "diff.evil.command"):
        git(git_repository, "config", key, f"touch {marker}")
    (git_repository / ".gitattributes").write_text("*.py diff=evil\n")
    (git_repository / "pool.py").write_text("changed = 1\n")
    found = Workspace([git_repository], tmp_path / "index")
    assert (await changed_since(found, "HEAD")).hits
    assert not marker.exists()


@pytest.mark.anyio
async def test_outside_a_repository_and_without_git_it_says_so(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Workspace([repository], tmp_path / "index")
    with pytest.raises(GitError, match="cache is not in a git repository"):
        await changed_since(found, "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="git was not found"):
        await changed_since(found, "HEAD")
