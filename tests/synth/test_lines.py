"""Inputs of every kind, and malformed ones: each bad line is named, and none escapes the output folder."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.errors import UserError
from spear_accel.synth.line import MAX_CHARACTERS, Line
from spear_accel.synth.lines import read_lines

KINDS = ("txt", "csv", "jsonl")


@given(st.binary(max_size=400), st.sampled_from(KINDS))
def test_no_bytes_crash_and_every_line_is_accounted_for(data: bytes, kind: str) -> None:
    try:
        good, bad = read_lines(data, "f", kind)
    except UserError:
        return
    numbers = [line.number for line in (*good, *bad)]
    assert len(set(numbers)) == len(numbers)
    assert all(fault.reason for fault in bad)
    for line in good:
        assert "/" not in line.id and "\\" not in line.id and ".." not in line.id.split(".")[0] and line.id[0] != "."
        assert line.text.strip() and len(line.text) <= MAX_CHARACTERS


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "text", "seed", "speed", "voice", "other"]),
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())),
        ),
        max_size=6,
    )
)
def test_json_objects_of_any_values(values: list[dict[str, object]]) -> None:
    data = "\n".join(json.dumps(value) for value in values).encode("utf-8", "surrogatepass")
    try:
        good, bad = read_lines(data, "f", "jsonl")
    except UserError:
        assert not values
        return
    assert len(good) + len(bad) == len(values)


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_marks_and_line_ends_do_not_matter(ends: bytes, mark: bytes) -> None:
    good, bad = read_lines(mark + ends.join([b"One.", b"", b"Two."]), "f", "txt")
    assert [(line.number, line.id, line.text) for line in good] == [(1, "000001", "One."), (3, "000003", "Two.")]
    assert not bad


def test_csv_and_json_lines() -> None:
    good, _ = read_lines(b'a|Dr. Who|Doctor Who\nb|"Quoted, too"\nc|plain|\n', "f", "csv")
    assert [(line.id, line.text, line.said) for line in good] == [
        ("a", "Dr. Who", "Doctor Who"), ("b", '"Quoted, too"', '"Quoted, too"'), ("c", "plain", "plain"),
    ]  # fmt: skip
    record = {"id": "x-1", "text": "Hi", "seed": 4, "speed": 1.25, "voice": "v", "more": [1]}
    (line,), _ = read_lines(json.dumps(record).encode(), "f", "jsonl")
    assert (line.id, line.text, line.seed, line.speed, line.voice) == ("x-1", "Hi", 4, 1.25, "v")


@pytest.mark.parametrize(
    ("kind", "raw", "said"),
    [
        ("txt", b"caf\xe9", "not UTF-8 (byte 4)"),
        ("txt", b"a\0b", "NUL"),
        ("txt", b"a" * 10_000_000, "10000000 characters; split it"),
        ("txt", b"a" * (MAX_CHARACTERS + 1), "split it"),
        ("csv", b"only text", "1 fields"),
        ("csv", b"a|b|c|d", "4 fields"),
        ("csv", b"../x|text", "no name for a file"),
        ("csv", b"a/b|text", "no name for a file"),
        ("csv", b".hidden|text", "no name for a file"),
        ("csv", b"a|", "empty"),
        ("jsonl", b"{", "not JSON"),
        ("jsonl", b"[" * 60_000, "not JSON"),
        ("jsonl", b"[1]", "no JSON object"),
        ("jsonl", b'{"id": "a"}', "lacks a text"),
        ("jsonl", b'{"id": [1], "text": "x"}', "id is no text"),
        ("jsonl", b'{"text": "x", "seed": 1.5}', "seed"),
        ("jsonl", b'{"text": "x", "speed": 9}', "speed must be between 0.5 and 2, got 9"),
        ("jsonl", b'{"text": "x", "speed": Infinity}', "speed must be between 0.5 and 2, got inf"),
        ("jsonl", b'{"text": "\\ud83d"}', "surrogate"),
        ("jsonl", b'{"id": "C:\\\\x", "text": "x"}', "no name for a file"),
    ],
)
def test_a_bad_line_is_named_and_harms_no_other(kind: str, raw: bytes, said: str) -> None:
    fine = {"txt": b"Fine.", "csv": b"fine|Fine.", "jsonl": b'{"text": "Fine."}'}[kind]
    good, (fault,) = read_lines(raw + b"\n" + fine, "f", kind)
    assert fault.number == 1 and said in fault.reason
    assert [line.text for line in good] == ["Fine."]


@pytest.mark.parametrize("heading", ["id|text", "file_name|transcription", '"ID"|"Text"', "id|raw|normalized_text"])
def test_a_heading_is_no_line_and_no_failure(heading: str) -> None:
    good, bad = read_lines(f"{heading}\na|The old boat.\n".encode(), "f", "csv")
    assert [(line.number, line.id) for line in good] == [(2, "a")]
    assert [(line.number, line.heading) for line in bad] == [(1, True)]
    (line,), bad = read_lines(b"a|The old boat.\n", "f", "csv")
    assert line.text == "The old boat." and not bad


@pytest.mark.parametrize(
    ("raw", "refused"),
    [
        ("u1|Hi | there", True), ("u1|stay on|off", True), ("u1|One | two | three", True),
        ("u1|Dr. Who|Doctor Who", False), ("u1|$5|five dollars", False), ("u1|NASA|Nasa", False),
        ("u1|Hi there|", False),
        ("u1|Mr. No|Mister No", False), ("u1|It's 5 p.m.|It's five P M", False),
    ],
)  # fmt: skip
def test_a_pipe_inside_a_text_is_refused(raw: str, refused: bool) -> None:
    good, bad = read_lines(raw.encode(), "f", "csv")
    assert bool(bad) == refused and len(good) == (not refused)
    if refused:
        assert "comma" in bad[0].reason and bad[0].id == "u1"


def test_the_raw_text_of_a_corpus_is_kept_and_the_normalised_one_is_read() -> None:
    (line,), _ = read_lines(b"LJ-1|It cost $5.|It cost five dollars.\n", "f", "csv")
    assert (line.text, line.said) == ("It cost $5.", "It cost five dollars.")


def test_lines_of_data_frames_are_read() -> None:
    frame = [
        {"id": 3.0, "text": "One.", "seed": 7.0, "speed": None, "voice": None},
        {"id": None, "text": "Two.", "seed": None, "speed": 1.0},
        {"id": 12, "text": "Three.", "seed": 2, "speed": 2},
        {"id": math.nan, "text": "Four.", "seed": math.nan, "speed": math.nan, "voice": math.nan},
    ]
    good, bad = read_lines("\n".join(map(json.dumps, frame)).encode(), "f", "jsonl")
    assert not bad
    assert [(line.id, line.seed, line.speed) for line in good] == [
        ("3", 7, 1.0), ("000002", None, 1.0), ("12", 2, 2.0), ("000004", None, 1.0)
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["sead", "Seed", "SPEED", "sped", "ID", "Text", "voise", "texts"])
def test_a_key_that_just_misses_one_that_is_read_is_refused(key: str) -> None:
    _, (fault,) = read_lines(json.dumps({"text": "One.", key: 1}).encode(), "f", "jsonl")
    assert f"unknown key {key!r}" in fault.reason and "did you mean" in fault.reason


def test_keys_of_other_manifests_are_passed_over() -> None:
    record = {"id": "a", "text": "One.", "seeds": [1], "duration": 2.0, "speaker": "x", "audio_filepath": "a.wav"}
    good, bad = read_lines(json.dumps(record).encode(), "f", "jsonl")
    assert len(good) == 1 and not bad


def test_lines_of_callers_are_checked_as_those_of_files() -> None:
    line = Line(np.int64(1), "a", "One.", seed=np.int32(4), speed=np.float32(1.5))  # type: ignore[arg-type]
    assert (type(line.number), type(line.seed), type(line.speed)) == (int, int, float)
    for values in ({"id": "../a"}, {"text": " "}, {"seed": 1.5}, {"speed": 9}, {"id": "a" + "." * 90}, {"number": 0}):
        with pytest.raises(UserError):
            Line(**{"number": 1, "id": "a", "text": "One.", **values})  # type: ignore[arg-type]


def test_an_id_that_comes_again_is_refused() -> None:
    good, bad = read_lines(b"a|One.\nA|Two.\na|Three.\n", "f", "csv")
    assert [line.text for line in good] == ["One."]
    assert [(fault.number, "that of line 1" in fault.reason) for fault in bad] == [(2, True), (3, True)]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"  \r\n"])
def test_an_empty_input_is_refused(data: bytes) -> None:
    with pytest.raises(UserError, match="f: holds no line"):
        read_lines(data, "f", "txt")
