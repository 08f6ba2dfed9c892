"""`spear-accel say`: what will be read, without a voice."""

from __future__ import annotations


def test_says_what_is_read_one_utterance_a_line(run) -> None:
    outcome = run("say", "Dr. Who paid $5. It rained.")
    assert outcome.code == 0 and outcome.err == ""
    assert outcome.out.decode().splitlines() == ["Doctor Who paid five dollars.", "It rained."]


def test_shows_spans_classes_and_readings(run) -> None:
    lines = run("say", "He paid $5.", "--show").out.decode().splitlines()
    assert lines[0].split() == ["8-10", "money", "$5", "->", "five", "dollars"]
    assert lines[1:] == ["He paid five dollars."]


def test_warns_of_what_is_left_out_and_takes_options(run) -> None:
    outcome = run("say", "05/06/2024 😀", "--day-first")
    assert outcome.out.decode() == "June fifth, twenty twenty-four\n"
    assert "warning: left out 1 character" in outcome.err


def test_refuses_in_one_line(run, tmp_path) -> None:
    assert "nothing in the text can be read aloud" in run("say", "...").error_line
    assert "not both" in run("say", "a", "-i", "b").error_line
    assert "at least 1 character" in run("say", "a", "--longest", "0").error_line


def test_reads_a_file(run, tmp_path) -> None:
    (tmp_path / "a.txt").write_text("5 cats sat here.\n")
    assert run("say", "-i", tmp_path / "a.txt").out.decode() == "five cats sat here.\n"
