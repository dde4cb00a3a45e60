"""The process that stays, asked over its real socket by the real client."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import threading

import anyio
import pytest
from tests.gateway.background.conftest import KEY, Serving

from portico_gateway.background import client
from portico_gateway.background.client import BackgroundLost, ask, connect, connect_or_start, request
from portico_gateway.background.protocol import AskedQuestion
from portico_gateway.background.remote_terminal import RemoteTerminal
from portico_gateway.background.server import BackgroundKind
from portico_gateway.background.socket_place import BackgroundUnavailable, SocketPlace, runtime_folder, socket_place

QUESTION = AskedQuestion("How many?", allow=("a__*", "b"), places=("/work",), as_json=True, started=5.0)


def connected(place: SocketPlace) -> socket.socket:
    connection = connect(place)
    assert connection is not None
    return connection


def nobody(text: str) -> bool:
    raise AssertionError(f"nobody was to be asked: {text}")


async def echo(question: AskedQuestion, terminal: RemoteTerminal) -> int:
    terminal.stdout.write(f"{question!r}\n")
    terminal.stderr.write("done\n")
    return 7


def test_a_question_arrives_whole_and_text_and_exit_code_come_back(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(connected(serving(echo)), QUESTION, nobody) == 7
    shown = capsys.readouterr()
    assert shown.out == f"{QUESTION!r}\n"
    assert shown.err == "done\n"


def test_lines_come_in_the_order_in_which_they_were_written_from_any_thread(
    serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    async def count(_: AskedQuestion, terminal: RemoteTerminal) -> int:
        for number in range(200):
            if number % 2:
                terminal.stdout.write(f"{number}\n")
            else:
                await anyio.to_thread.run_sync(terminal.stdout.write, f"{number}\n")
        return 0

    ask(connected(serving(count)), QUESTION, nobody)
    assert capsys.readouterr().out == "".join(f"{number}\n" for number in range(200))


@pytest.mark.parametrize("answer", [True, False])
def test_a_consent_is_asked_at_the_clients_terminal(serving: Serving, answer: bool) -> None:
    async def needs(_: AskedQuestion, terminal: RemoteTerminal) -> int:
        return 10 + await terminal.confirm("May it?")

    asked: list[str] = []

    def confirm(text: str) -> bool:
        asked.append(text)
        return answer

    assert ask(connected(serving(needs)), QUESTION, confirm) == 10 + answer
    assert asked == ["May it?"]


def test_a_client_that_hangs_up_cancels_its_question_and_the_others_go_on(serving: Serving) -> None:
    cancelled, asked, go = threading.Event(), threading.Event(), threading.Event()

    async def wait(question: AskedQuestion, terminal: RemoteTerminal) -> int:
        asked.set()
        try:
            if question.text == "first":
                await anyio.sleep_forever()
        except BaseException:
            cancelled.set()
            raise
        await anyio.to_thread.run_sync(go.wait, 10)
        return 3

    place = serving(wait)
    first = connected(place)
    client._send(first, client.ask_message(AskedQuestion("first"), client.looks_of_this_terminal(), client.package_version()))
    assert asked.wait(60)
    first.close()
    assert cancelled.wait(60)
    go.set()
    assert ask(connected(place), AskedQuestion("second"), nobody) == 3


def test_ctrl_c_at_the_client_ends_its_question_alone(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = threading.Event()

    async def wait(question: AskedQuestion, terminal: RemoteTerminal) -> int:
        if question.text == "again":
            return 0
        terminal.stdout.write("working\n")
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        return 1

    def interrupted(message: dict[str, str]) -> bool:
        raise KeyboardInterrupt

    place = serving(wait)
    with monkeypatch.context() as patched:
        patched.setattr(client, "_show", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ask(connected(place), QUESTION, nobody)
    assert cancelled.wait(60)
    assert ask(connected(place), AskedQuestion("again"), nobody) == 0


def test_two_questions_at_once_are_answered_at_once(serving: Serving) -> None:
    both = threading.Barrier(2, timeout=60)

    async def meet(_: AskedQuestion, terminal: RemoteTerminal) -> int:
        await anyio.to_thread.run_sync(both.wait)
        return 0

    place = serving(meet)
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(ask(connected(place), QUESTION, nobody))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert codes == [0, 0]


def test_a_mistake_in_one_question_is_said_and_the_next_is_answered(
    serving: Serving, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def fail_first(question: AskedQuestion, terminal: RemoteTerminal) -> int:
        if question.text == "bad":
            raise RuntimeError("oh")
        return 0

    place = serving(fail_first)
    assert ask(connected(place), AskedQuestion("bad"), nobody) == 1
    assert "the log has more" in capsys.readouterr().err
    assert ask(connected(place), AskedQuestion("good"), nobody) == 0
    assert "a question failed" in caplog.text


def test_another_version_is_refused(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    place = serving(echo)
    monkeypatch.setattr(client, "package_version", lambda: "0.0.0")
    with pytest.raises(BackgroundUnavailable, match="it is portico"):
        ask(connected(place), QUESTION, nobody)


@pytest.mark.parametrize(
    "line", [b"no json\n", b"[]\n", b'{"ask": 1}\n', b'{"version": "x"}\n', b"\xff\n", b"half", b""], ids=repr
)
def test_what_is_no_question_does_it_no_harm(serving: Serving, line: bytes) -> None:
    place = serving(echo)
    with connected(place) as connection:
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert answer == b"" or "refused" in json.loads(answer)
    assert request(place, "status") is not None


def test_the_socket_is_its_owners_alone(serving: Serving) -> None:
    assert stat.S_IMODE(serving(echo).path.stat().st_mode) == 0o600


def test_it_says_what_it_is(serving: Serving) -> None:
    place = serving(echo)
    ask(connected(place), QUESTION, nobody)
    status = request(place, "status")
    assert status is not None
    assert (status.kind, status.folder, status.pid, status.questions) == ("background", "/work", os.getpid(), 1)


def test_it_ends_when_it_is_stopped(serving: Serving) -> None:
    ended = threading.Event()

    async def slow(_: AskedQuestion, terminal: RemoteTerminal) -> int:
        await anyio.to_thread.run_sync(ended.wait, 10)
        return 5

    place = serving(slow)
    codes: list[int] = []
    connection = connected(place)
    thread = threading.Thread(target=lambda: codes.append(ask(connection, QUESTION, nobody)))
    thread.start()
    while (status := request(place, "status")) is not None and not status.questions:
        pass
    assert request(place, "stop") is not None
    ended.set()
    thread.join(10)
    assert codes == [5], "the question under way is answered first"
    serving.wait_ended()


def test_serve_and_stdio_are_not_stopped_by_it(serving: Serving) -> None:
    place = serving(echo, BackgroundKind("serve", "/work"))
    with pytest.raises(BackgroundUnavailable, match="it is a portico serve"):
        request(place, "stop")


def test_it_ends_when_nobody_asks_any_more(serving: Serving) -> None:
    serving(echo, BackgroundKind("background", "/work", 0.05))
    serving.wait_ended()


def test_another_users_process_is_not_talked_to(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    place = serving(echo)
    monkeypatch.setattr("portico_gateway.background.peer.peer_user", lambda connection: os.geteuid() + 1)
    with pytest.raises(Exception, match="another user"):
        connect(place)


def test_another_user_is_not_answered(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    place = serving(echo)
    monkeypatch.setattr(client, "refuse_foreign", lambda connection: None)
    connection = connected(place)
    monkeypatch.setattr("portico_gateway.background.peer.peer_user", lambda connection: os.geteuid() + 1)
    with pytest.raises(BackgroundLost):
        ask(connection, QUESTION, nobody)


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="this system names the peer otherwise")
def test_the_system_says_who_is_at_the_other_end(serving: Serving) -> None:
    from portico_gateway.background.peer import peer_user

    with connected(serving(echo)) as connection:
        assert peer_user(connection) == os.geteuid()


def test_a_process_that_dies_before_anything_was_shown_lets_the_command_answer_itself() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with pytest.raises(BackgroundLost) as lost:
        ask(ours, QUESTION, nobody)
    assert lost.value.nothing_shown


def test_one_that_dies_in_the_middle_of_an_answer_says_so() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b'{"stdout": "half"}\n{"stdout": "cut o')
    theirs.shutdown(socket.SHUT_WR)
    with theirs, pytest.raises(BackgroundLost) as lost:
        ask(ours, QUESTION, nobody)
    assert not lost.value.nothing_shown


def test_a_dead_processs_socket_is_replaced(serving: Serving) -> None:
    place = socket_place(KEY)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(place.path))
    assert connect(place) is None
    serving(echo)
    assert ask(connected(place), QUESTION, nobody) == 7


def test_a_process_that_can_answer_nothing_tells_one_question_so_and_ends(serving: Serving) -> None:
    place = serving(echo)
    serving.end_when_told()
    assert ask(connected(place), QUESTION, nobody) == 7
    serving.wait_ended()


def test_a_process_that_can_not_be_started_says_why() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no room')"]
    with pytest.raises(BackgroundUnavailable, match="exit code 1; it last said: no room"):
        connect_or_start(KEY, command)
    with pytest.raises(BackgroundUnavailable, match="it ended before it listened"):  # soon, not after its time to start
        connect_or_start(KEY, [sys.executable, "-c", ""])
    with pytest.raises(BackgroundUnavailable, match="can't be started"):
        connect_or_start(KEY, ["/nowhere/python"])


def test_what_a_process_said_last_is_its_owners_alone() -> None:
    with pytest.raises(BackgroundUnavailable):
        connect_or_start(KEY, [sys.executable, "-c", "raise SystemExit(1)"])
    modes = {stat.S_IMODE(file.stat().st_mode) for file in runtime_folder().iterdir()}
    assert modes == {0o600}
