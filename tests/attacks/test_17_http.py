"""An address that others reach is served with keys alone, unless somebody says that it is meant otherwise."""

from __future__ import annotations

import pytest

from portico_gateway.assembly import listening
from portico_gateway.cli.main import run

pytestmark = pytest.mark.attack("17 no open door without keys")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "example.org", "", "0", "::ffff:10.0.0.1"])
def test_an_address_beyond_this_machine_needs_keys(
    host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "bind", lambda *_: pytest.fail("it was bound"))
    assert run(["serve", "--no-model", "--port", "0", "--host", host]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "portico key new NAME" in err
    assert "--without-keys" in err


class Bound(SystemExit):
    """It got as far as its socket. No error, which the command would tell in one line."""


@pytest.mark.parametrize(
    "args", [["--host", "127.0.0.1"], ["--host", "::1"], ["--host", "localhost"], ["--host", "0.0.0.0", "--without-keys"]]
)
def test_this_machine_and_whoever_means_it_needs_none(args: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def bound(*_: object) -> None:
        raise Bound

    monkeypatch.setattr(listening, "bind", bound)
    with pytest.raises(Bound):
        run(["serve", "--no-model", "--port", "0", *args])
