"""`spear-accel bench`: records, tables and charts from one command line, and mistakes found before measuring."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from spear_accel import DecodeOptions, Voice
from spear_accel.voice.precision import choose_precision

QUICK = ("--batch-sizes", "1,2", "--utterances", 2, "--repeats", 2, "--threads", 1)


def test_writes_records_tables_and_a_chart(run, shared_voice: Path, tmp_path: Path) -> None:
    records, chart = tmp_path / "bench.json", tmp_path / "bench.png"
    outcome = run("bench", shared_voice, *QUICK, "--methods", "autoregressive", "--json", records, "--plot", chart)
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    table = outcome.out.decode()
    assert "| autoregressive |" in table and "\x1b" not in table
    found = json.loads(records.read_text())
    assert [record["batch_size"] for record in found] == [1, 2]
    for record in found:
        assert record["identical_to_autoregressive"] is True and record["first_difference"] is None
        assert record["speedup"] == record["block_efficiency"] == 1.0
        assert record["threads"] == 1 and record["device"] == "cpu"
        assert record["dtype"] == choose_precision("auto", "cpu").name
        assert record["utterances"] == 2 and len(record["repeat_seconds"]) == 2
        assert record["tokens"] > 0 and record["tokens_per_second"] > 0
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "bench.png"]


def test_measures_every_method_that_the_voice_can_run(run, shared_voice: Path, tmp_path: Path) -> None:
    """The voice drafts for itself: every draft is right."""
    lengths = ("--draft-model", shared_voice, "--draft-lengths", "1,2", "--temperature", 0)
    outcome = run("bench", shared_voice, *QUICK, *lengths, "--json", "-")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    found = json.loads(outcome.out)
    drafting = [(method, length) for method in ("draft-model", "ngram", "jacobi") for length in (1, 2)]
    ways = [("autoregressive", 0), *drafting]
    assert [(record["method"], record["draft_length"]) for record in found] == ways * 2
    assert all(record["identical_to_autoregressive"] for record in found)
    assert [record["acceptance_by_position"] for record in found[:3]] == [[], [1.0], [1.0, 1.0]]
    assert found[2]["target_calls"] < found[1]["target_calls"] < found[0]["target_calls"]


def test_decodes_the_given_lines_with_the_given_seed(run, shared_voice: Path, tmp_path: Path) -> None:
    """From a file and from standard input alike; what is counted are the tokens that the voice says."""
    lines = "The fox is quick.\n\nIt is cold.\n"
    (tmp_path / "lines.txt").write_text(lines)
    arguments = ("bench", shared_voice, "--batch-sizes", 2, "--methods", "autoregressive", "--repeats", 1)
    chosen = (*arguments, "--seed", 3, "--temperature", 0.9, "--json", "-")
    by_file = run(*chosen, "--text", tmp_path / "lines.txt")
    by_stdin = run(*chosen, "--text", "-", stdin=lines.encode())
    one, other = (json.loads(outcome.out)[0] for outcome in (by_file, by_stdin))
    texts = ["The fox is quick.", "It is cold."]
    expected = Voice.load(shared_voice).text_to_semantic(texts, DecodeOptions(seed=3, temperature=0.9))
    assert one["tokens"] == other["tokens"] == sum(len(tokens) for tokens in expected.tokens)
    assert (one["seed"], one["temperature"], one["utterances"]) == (3, 0.9, 2)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--methods", "magic"], "method 'magic' is unknown; choose one of auto, autoregressive"),
        (["--methods", "autoregressive,"], "--methods 'autoregressive,'"),
        (["--methods", "prophet"], "method 'prophet' needs a head that this voice lacks"),
        (["--methods", "draft-model"], "needs a draft model"),
        (["--draft-model", "nobody"], "nobody: no such voice"),
        (["--verify", "magic", "--methods", "auto"], "verify 'magic' is unknown; choose one of coupled"),
        (["--draft-lengths", "-1"], "--draft-lengths: '-1' is not a whole number of at least 0"),
        (["--draft-lengths", "auto,long"], "--draft-lengths: 'long'"),
        (["--batch-sizes", "0"], "--batch-sizes: '0' is not a whole number of at least 1"),
        (["--batch-sizes", "1,,2"], "--batch-sizes '1,,2'"),
        (["--batch-sizes", "64"], "batch size 64 cannot be filled by 40 texts"),
        (["--utterances", "41"], "only 40 texts"),
        (["--utterances", "0"], "--utterances"),
        (["--repeats", "0"], "--repeats"),
        (["--threads", "0"], "--threads"),
        (["--temperature", "-1"], "temperature"),
        (["--text", "missing.txt"], "missing.txt: cannot read"),
        (["--text", "empty.txt"], "empty.txt: holds no text"),
        (["--text", "broken.txt"], "broken.txt: not UTF-8 text (byte 2)"),
        (["--text", "signs.txt"], "signs.txt, line 2: nothing in the text can be read aloud"),
        (["--json", "nowhere/a.json"], "nowhere: no such folder"),
        (["--json", "."], "is a folder"),
        (["--plot", "nowhere/a.png"], "nowhere: no such folder"),
        (["--plot", "a.svg"], "only PNG"),
        (["--device", "tpu"], "choose cpu or cuda"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(
    run, shared_voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {"empty.txt": b"\n", "broken.txt": b"a\xff", "signs.txt": b"Fine.\n&&\n"}
    for name, data in texts.items():
        (tmp_path / name).write_bytes(data)
    if "--batch-sizes" not in arguments:
        arguments = [*arguments, "--batch-sizes", "1"]
    assert fault in run("bench", shared_voice, *arguments).error_line
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(texts)


def test_an_unknown_voice_lists_the_shipped_ones(run) -> None:
    assert "nobody: no such voice; shipped voices:" in run("bench", "nobody").error_line


def test_a_missing_matplotlib_is_found_out_before_measuring(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The voice does not even exist: nothing was loaded."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "spear-accel[train]" in run("bench", "nobody", "--plot", tmp_path / "a.png").error_line
    assert list(tmp_path.iterdir()) == []
