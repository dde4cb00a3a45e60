"""`pull` against a server that plays the hub: what comes, what is gone on with, what is refused."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.gateway.hub.hub_server import COMMIT, Hub, running_hub

from portico_gateway.errors import HubError
from portico_gateway.hub import download as download_module
from portico_gateway.hub.download import download
from portico_gateway.hub.pull import pull
from portico_gateway.hub.repository import HubFile, open_client, parse_name

MEMORY = 1 << 40
Q4 = b"GGUF four bits " * 9000
Q8 = b"GGUF eight bits " * 20_000
REPO = "owner/model-GGUF"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running_hub() as hub:
        hub.files[REPO] = {"README.md": b"hello", "model-Q4_K_M.gguf": Q4, "model-Q8_0.gguf": Q8, "mmproj-f16.gguf": b"no"}
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr(download_module, "_CHUNK", 1 << 12)
        monkeypatch.setattr(download_module.time, "sleep", lambda _seconds: None)
        yield hub


def test_the_usual_quantization_that_fits_comes_whole_and_is_where_the_stores_look(hub: Hub, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    pulled = pull(REPO, tmp_path, memory=MEMORY, report=lambda *each: seen.append(each))
    assert pulled.path == tmp_path / REPO / "model-Q4_K_M.gguf"
    assert pulled.path.read_bytes() == Q4
    assert pulled.repository.licence == "apache-2.0"
    assert seen[-1] == ("model-Q4_K_M.gguf", len(Q4), len(Q4))
    assert list(pulled.path.parent.iterdir()) == [pulled.path]
    assert all(f"/resolve/{COMMIT}/" in path for _, path, _, _ in hub.asked)


def test_what_does_not_fit_is_passed_over_for_what_does(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPO]["model-Q4_K_S.gguf"] = b"small"
    assert pull(REPO, tmp_path, memory=1000).path.name == "model-Q4_K_S.gguf"
    with pytest.raises(HubError, match="none of the usual ones fits"):
        pull(REPO, tmp_path, memory=1)


@pytest.mark.parametrize("name", [f"{REPO}:Q8_0", f"{REPO}:model-q8_0.gguf", f"hf.co/{REPO}:q8_0"])
def test_a_quantization_or_a_file_is_named_behind_a_colon(hub: Hub, tmp_path: Path, name: str) -> None:
    assert pull(name, tmp_path, memory=1).path.read_bytes() == Q8


def test_a_quantization_that_is_not_there_is_answered_with_those_that_are(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"nothing matches 'Q5_K_M'; there is model-Q4_K_M \(0.0 GB\), model-Q8_0"):
        pull(f"{REPO}:Q5_K_M", tmp_path, memory=MEMORY)


def test_all_parts_of_a_model_in_several_come(hub: Hub, tmp_path: Path) -> None:
    hub.files["o/big"] = {f"big-Q4_K_M-0000{i}-of-00002.gguf": bytes([i]) * 50 for i in (1, 2)}
    pulled = pull("o/big", tmp_path, memory=MEMORY)
    assert pulled.path.name == "big-Q4_K_M-00001-of-00002.gguf"
    assert [path.read_bytes()[0] for path in sorted(pulled.path.parent.iterdir())] == [1, 2]


def test_of_a_folder_come_the_files_that_load_it(hub: Hub, tmp_path: Path) -> None:
    kept = {"config.json": b"{}", "tokenizer.json": b"{ }", "model.safetensors": b"weights"}
    hub.files["o/folder"] = {**kept, "pytorch_model.bin": b"a pickle", "onnx/model.safetensors": b"x"}
    pulled = pull("o/folder", tmp_path, memory=MEMORY)
    assert pulled.path == tmp_path / "o/folder"
    assert {path.name: path.read_bytes() for path in pulled.path.iterdir()} == kept


def test_an_adapter_is_known_by_its_files(hub: Hub, tmp_path: Path) -> None:
    hub.files["o/lora"] = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"w", "README.md": b""}
    assert pull("o/lora", tmp_path, memory=MEMORY).choice.kind == "adapter"


def test_pickles_are_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files["o/old"] = {"config.json": b"{}", "pytorch_model.bin": b"\x80"}
    with pytest.raises(HubError, match="pickles"):
        pull("o/old", tmp_path, memory=MEMORY)


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.cuts = 50_000, 2
    assert pull(REPO, tmp_path, memory=MEMORY).path.read_bytes() == Q4
    ranges = [wanted for port, _, wanted, _ in hub.asked if hub.cdn.endswith(str(port))]
    assert len(ranges) == 3
    assert ranges[0] is None
    starts = [int(str(wanted).removeprefix("bytes=").rstrip("-")) for wanted in ranges[1:]]
    assert 0 < starts[0] <= 50_000 < starts[1] <= 100_000


def test_the_next_run_goes_on_with_what_a_broken_one_left(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.cuts = 0, 99
    folder = tmp_path / REPO
    with pytest.raises(HubError, match=r"can't be reached|broke off"):
        pull(REPO, tmp_path, memory=MEMORY)
    (part,) = folder.glob("*.part")
    part.write_bytes(Q4[:70_000])
    with pytest.raises(HubError, match=f"broke off at 70000 of {len(Q4)} bytes.*the same command goes on from there"):
        pull(REPO, tmp_path, memory=MEMORY)
    hub.cuts = 0
    hub.asked.clear()
    assert pull(REPO, tmp_path, memory=MEMORY).path.read_bytes() == Q4
    assert {wanted for _, _, wanted, _ in hub.asked} == {"bytes=70000-"}


def test_a_server_without_ranges_sends_it_all_again(hub: Hub, tmp_path: Path) -> None:
    hub.ranges, hub.cut_after, hub.cuts = False, 60_000, 1
    assert pull(REPO, tmp_path, memory=MEMORY).path.read_bytes() == Q4


def test_what_is_there_whole_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    pull(REPO, tmp_path, memory=MEMORY)
    hub.asked.clear()
    pull(REPO, tmp_path, memory=MEMORY)
    assert hub.asked == []


@pytest.mark.parametrize("name", ["model-Q4_K_M.gguf", "config.json"])
def test_other_bytes_than_the_hub_says_are_deleted_and_both_checksums_named(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.tampered = True
    hub.files = {REPO: {"model-Q4_K_M.gguf": Q4}, "o/f": {"config.json": b'{"a": 1}', "model.safetensors": bytes(4)}}
    asked, kind = (REPO, "SHA-256") if name.endswith("gguf") else ("o/f", "git id")
    with pytest.raises(HubError, match=rf"{name} is not what the hub says it is: its {kind} is \w{{40,}} and must be \w{{40}}"):
        pull(asked, tmp_path, memory=MEMORY)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_more_bytes_than_the_file_has_end_the_transfer(hub: Hub, tmp_path: Path) -> None:
    hub.more = bytes(20_000)
    with pytest.raises(HubError, match="sends something else"):
        pull(REPO, tmp_path, memory=MEMORY)


def test_a_part_of_another_revision_is_not_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / REPO
    folder.mkdir(parents=True)
    (folder / "model-Q4_K_M.gguf.0123456789ab.part").write_bytes(b"another revision's")
    assert pull(REPO, tmp_path, memory=MEMORY).path.read_bytes() == Q4


def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull(REPO, tmp_path, memory=MEMORY)
    assert {(hub.url.endswith(str(port)), token) for port, _, _, token in hub.asked} == {(True, True), (False, False)}


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "accept its licence"), (403, "set HF_TOKEN"), (404, "has no owner/model"), (429, "too many"), (503, "answered 503")],
)
def test_a_refusal_says_what_to_do(hub: Hub, tmp_path: Path, status: int, said: str) -> None:
    hub.status = status
    with pytest.raises(HubError, match=said):
        pull(REPO, tmp_path, memory=MEMORY)


def test_redirects_in_a_circle_end(hub: Hub, tmp_path: Path) -> None:
    hub.circles = True
    with pytest.raises(HubError, match=r"can't be reached .*redirects"):
        pull(REPO, tmp_path, memory=MEMORY)


def test_without_a_network_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(HubError, match=r"can't be reached .*is this machine online"):
            pull(REPO, tmp_path, memory=MEMORY)


@pytest.mark.parametrize("name", ["qwen", "a/b/c", "../../etc", "a/..", "-x/y", "http://elsewhere/x", ""])
def test_what_is_no_name_is_refused_before_anything_is_asked(name: str) -> None:
    with pytest.raises(HubError, match="no model's name"):
        parse_name(name)


def test_a_file_that_would_lie_elsewhere_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files["o/evil"] = {"../../outside.gguf": b"x"}
    with pytest.raises(HubError, match="outside of its folder"):
        pull("o/evil", tmp_path, memory=MEMORY)


def test_two_processes_do_not_write_one_file(hub: Hub, tmp_path: Path) -> None:
    file = HubFile("f.gguf", 4, "ab" * 32, None)
    held = download_module._locked(tmp_path / f"f.gguf.{'ab' * 6}.part")
    with held, open_client() as client, pytest.raises(HubError, match="another process is fetching"):
        download(client, hub.url, file, tmp_path / "f.gguf")


def test_a_disk_without_room_is_told_before_anything_comes(hub: Hub, tmp_path: Path) -> None:
    file = HubFile("f.gguf", 1 << 60, "ab" * 32, None)
    with httpx2.Client() as client, pytest.raises(HubError, match=r"needs .* GB more, and the disk"):
        download(client, hub.url, file, tmp_path / "f.gguf")
    assert hub.asked == []
