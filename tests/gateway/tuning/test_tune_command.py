"""`portico tune` at the command line: data from tool lists and the log, what is refused, an adapter installed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from tests.gateway.tuning.test_call_log import record, written

from portico_gateway.cli.main import run
from portico_gateway.config.edit import with_adapter
from portico_gateway.errors import ConfigError
from portico_gateway.tuning.installing import install_adapter

TOOLS = {
    "tools": [
        {
            "name": f"{verb}_{thing}",
            "description": f"{verb.title()} a {thing} by its name.",
            "inputSchema": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "limit": {"type": "integer"}},
                "required": ["name"],
            },
        }
        for verb in ("find", "delete", "rename")
        for thing in ("project", "invoice", "person")
    ]
}


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps(TOOLS), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setattr("portico_gateway.config.logs.set_up_logging", lambda *_: None)
    monkeypatch.chdir(tmp_path)


def test_rows_are_made_of_a_tool_list_and_shown_before_they_are_written(
    tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tune", "data", "--tools", str(tools), "--rows", "600", "--out", "rows"]) == 1
    said = capsys.readouterr()
    assert "sft.jsonl: 600 rows, such as" in said.out
    assert "--yes writes without asking" in said.err
    assert not (tmp_path / "rows").exists()
    assert run(["tune", "data", "--tools", str(tools), "--rows", "600", "--out", "rows", "--yes"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "rows" / "sft.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 600
    assert {(row["origin"], row["licence"]) for row in rows} == {("tools.json", "yours")}
    answers = [row["completion"][0]["content"] for row in rows]
    assert any(answer.startswith("None of these tools") for answer in answers)
    assert any(answer.startswith("[{") for answer in answers)
    assert len({tool["function"]["name"] for row in rows for tool in row["tools"]}) > 9, "some go by other names"
    assert all(len(row["tools"]) >= 1 for row in rows)
    optional = [row for row, answer in zip(rows, answers, strict=True) if '"limit"' in answer]
    assert optional
    assert all(
        "limit" in row["prompt"][-1]["content"] or any(c.isdigit() for c in row["prompt"][-1]["content"]) for row in optional
    )


def test_the_same_seed_makes_the_same_rows(tools: Path, tmp_path: Path) -> None:
    for folder, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        run(["tune", "data", "--tools", str(tools), "--rows", "500", "--out", folder, "--yes", "--seed", seed])
    read = {name: (tmp_path / name / "sft.jsonl").read_bytes() for name in "abc"}
    assert read["a"] == read["b"] != read["c"]


def test_rows_like_an_evaluation_s_questions_are_left_out(
    tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["tune", "data", "--tools", str(tools), "--rows", "600", "--yes"]
    run([*args, "--out", "all"])
    rows = [json.loads(line) for line in (tmp_path / "all" / "sft.jsonl").read_text(encoding="utf-8").splitlines()]
    long = next(row["prompt"][-1]["content"] for row in rows if len(row["prompt"][-1]["content"].split()) > 9)
    (tmp_path / "evaluation.txt").write_text(f"{long}\n", encoding="utf-8")
    assert run([*args, "--out", "apart", "--without", "evaluation.txt"]) == 0
    assert "rows that share eight words in a row with an evaluation's" in capsys.readouterr().out
    assert long not in (tmp_path / "apart" / "sft.jsonl").read_text(encoding="utf-8")


def test_the_log_is_used_with_consent_alone(tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["tune", "data", "--log", "--tools", str(tools), "--out", "rows", "--rows", "1", "--small", "--yes"]
    assert run(args) == 1
    assert "set use_log = true under [tune] in portico.toml" in capsys.readouterr().err
    log = written(
        tmp_path / "audit.db",
        record("Find the person Ada, ada@firma.de", {"name": "ada@firma.de"}, tool="find_person"),
        record("Which invoice is 12?", {"name": "12"}, tool="find_invoice"),
    )
    (tmp_path / "portico.toml").write_text(f'[tune]\nuse_log = true\n[audit]\nfile = "{log}"\n', encoding="utf-8")
    assert run([*args, "--config", "portico.toml"]) == 0
    said = capsys.readouterr().out
    assert "masked: e-mail address, 2 times" in said
    assert "ad…de is written user1@example.com" in said
    assert "firma" not in (tmp_path / "rows" / "rated.jsonl").read_text(encoding="utf-8")
    card = json.loads((tmp_path / "rows" / "data.json").read_text(encoding="utf-8"))
    assert card["by_origin"]["your audit log (yours)"] == 4


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["data", "--out", "x"], 2, "no source: give --tools FILE, --catalog or --log"),
        (["data", "--out", "x", "--tools", "none.json"], 2, "none.json: this file can't be read"),
        (["data", "--out", "x", "--tools", "portico.txt"], 2, "this is no answer to tools/list"),
        (["data", "--out", "x", "--tools", "tools.json", "--rows", "10", "--yes"], 1, "rows teach a model to repeat them"),
        (["eval", "none", "--data", "none.jsonl"], 1, "none.jsonl can't be read"),
        (["export", "none", "--to", "peft", "--out", "x"], 1, "none holds neither an adapter nor a checkpoint"),
        (["dpo", "--data", "none.jsonl", "--out", "x"], 1, "dpo makes a model that answers choose better"),
        (["sft", "--data", "none.jsonl", "--out", "x"], 1, "none.jsonl can't be read"),
        (["sft", "--data", "none.jsonl", "--out", "x", "--model", "none.gguf"], 3, "no model file at none.gguf"),
    ],
)
def test_bad_input_is_named_with_what_would_be_right(
    tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int, said: str
) -> None:
    if args[0] != "data":
        pytest.importorskip("transformers")
    (tmp_path / "portico.txt").write_text("hello", encoding="utf-8")
    try:
        ended = run(["tune", *args])
    except SystemExit as exit_:
        ended = int(str(exit_.code))
    heard = capsys.readouterr()
    assert said in heard.err
    assert ended == code


def test_an_adapter_is_installed_under_its_name_once(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}", encoding="utf-8")
    config = tmp_path / "portico.toml"
    config.write_text('# mine\n[model]\nname = "smollm2"\n', encoding="utf-8")
    place, file = install_adapter(adapter, "mine", config)
    assert file == config
    assert (place / "adapter_config.json").exists()
    assert config.read_text(encoding="utf-8").startswith("# mine\n")
    assert tomllib.loads(config.read_text(encoding="utf-8"))["model"]["adapters"] == {"mine": str(place)}
    with pytest.raises(ConfigError, match="there is an adapter 'mine' already"):
        install_adapter(adapter, "mine", config)


@pytest.mark.parametrize(
    "text",
    ["", "[model]\nname = 'x'\n", "[model.adapters]\nold = '/o'\n[serve]\nport = 1\n", "[model]\n[model.adapters] # all\n"],
)
def test_an_adapter_is_named_in_the_file_and_all_else_stays(text: str, tmp_path: Path) -> None:
    before, after = tomllib.loads(text), tomllib.loads(with_adapter(text, "mine", "/a b", tmp_path))
    assert after["model"]["adapters"].pop("mine") == "/a b"
    if not before.get("model", {}).get("adapters"):
        before.setdefault("model", {})["adapters"] = {}
    assert after == before


@pytest.mark.parametrize("text", ["[model]\nadapters = { old = '/o' }\n", "model = { name = 'x' }\n"])
def test_where_it_can_t_be_named_cleanly_it_is_left_to_a_person(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="add it by hand"):
        with_adapter(text, "mine", "/a", tmp_path)
