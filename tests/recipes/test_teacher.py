"""The recipe's teacher step: sentences made by grammar, spoken, checked, resumable; and the bad input it must name."""

from __future__ import annotations

import random
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from spear_accel.errors import UserError
from spear_accel.storage.json_lines import read_manifest
from spear_accel.text.normalise import normalise

RECIPE = Path(__file__).parents[2] / "recipes" / "kathleen"
LINES = [f"This is sentence number {word}." for word in "one two three four five six".split()]


def module(name: str) -> ModuleType:
    sys.path.insert(0, str(RECIPE))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(RECIPE))


teacher, teachers, everyday = module("teacher"), module("teachers"), module("everyday")


class Tone:
    """A teacher that hums for as long as a sentence may take, and counts what it was asked for."""

    sample_rate = 8_000

    def __init__(self, level: float = 0.2, dies_after: int = 10**9) -> None:
        self.level, self.dies_after, self.asked = level, dies_after, []

    def phonemes(self, text: str) -> str | None:
        return text.lower()

    def speak(self, text: str, voice: str, *, speed: float, seed: int) -> np.ndarray:
        if len(self.asked) == self.dies_after:
            raise KeyboardInterrupt
        self.asked.append((text, voice, speed, seed))
        samples = round(0.08 * len(text) * self.sample_rate / speed)
        tone = self.level * np.sin(np.arange(samples) / 10, dtype=np.float32)
        return np.asarray(tone, dtype=np.float32)


def spoken(out: Path, one: Any, settings: Any = None) -> list[dict[str, Any]]:
    teacher.speak_corpus(LINES, one, settings or teacher.TeacherSettings(), out)
    teacher.write_accepted(out, 0.2)
    return read_manifest(out / "manifest.jsonl", ("id", "audio", "text", "phonemes", "voice", "speed", "seconds"))


def test_every_sentence_is_spoken_once_with_its_transcript(tmp_path: Path) -> None:
    records = spoken(tmp_path, Tone())
    assert sorted(record["text"] for record in records) == sorted(LINES)
    for record in records:
        samples, rate = soundfile.read(record["audio"])
        assert (rate, round(len(samples) / rate, 3)) == (8_000, record["seconds"])
        assert record["phonemes"] == record["text"].lower()


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(tmp_path: Path) -> None:
    whole = spoken(tmp_path / "whole", Tone())
    with pytest.raises(KeyboardInterrupt):
        spoken(tmp_path / "killed", Tone(dies_after=4))
    with (tmp_path / "killed" / "spoken.jsonl").open("a") as log:
        log.write('{"id": "torn')
    second = Tone()
    records = spoken(tmp_path / "killed", second)
    assert len(second.asked) == 2
    drop = ("audio",)
    assert [{k: v for k, v in r.items() if k not in drop} for r in records] == [
        {k: v for k, v in r.items() if k not in drop} for r in whole
    ]
    again = Tone()
    spoken(tmp_path / "killed", again)
    assert again.asked == []


def test_voice_and_speed_of_a_sentence_depend_on_the_sentence_alone(tmp_path: Path) -> None:
    settings = teacher.TeacherSettings(voices=("one", "two"), speed=(0.8, 1.2))
    first, second = Tone(), Tone()
    teacher.speak_corpus(LINES, first, settings, tmp_path / "all")
    teacher.speak_corpus(LINES[3:], second, settings, tmp_path / "some")
    assert set(second.asked) <= set(first.asked)
    assert {voice for _, voice, _, _ in first.asked} == {"one", "two"}
    assert all(0.8 <= speed <= 1.2 for _, _, speed, _ in first.asked)


def test_a_teacher_that_returns_silence_is_named(tmp_path: Path) -> None:
    lines = [f"Sentence {number}, and nobody hears it." for number in range(30)]
    with pytest.raises(UserError, match=r"the teacher failed on its first 10 sentences \(silence\); check its voice"):
        teacher.speak_corpus(lines, Tone(level=0.0), teacher.TeacherSettings(), tmp_path)


def test_a_silent_sentence_among_good_ones_is_left_out_and_listed(tmp_path: Path) -> None:
    class Moody(Tone):
        def speak(self, text: str, voice: str, *, speed: float, seed: int) -> np.ndarray:
            return super().speak(text, voice, speed=speed, seed=seed) * ("three" not in text)

    assert len(spoken(tmp_path, Moody())) == len(LINES) - 1
    assert [(r["text"], r["fault"]) for r in read_manifest(tmp_path / "faults.jsonl")] == [(LINES[2], "silence")]


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        (np.zeros(0, np.float32), "no samples"),
        (np.full(8_000, np.nan, np.float32), "not finite"),
        (np.full(160, 0.2, np.float32), "too short"),
        (np.full(16_000 * 60, 0.2, np.float32), "too long"),
        (np.full(16_000, 0.2, np.float32), None),
    ],
)
def test_faults_that_the_sound_alone_shows(samples: np.ndarray, fault: str | None) -> None:
    found = teacher.fault_of(samples, 16_000, "hello there")
    assert (found is None) if fault is None else fault in found


def test_what_a_recogniser_understands_badly_is_left_out_and_listed(tmp_path: Path) -> None:
    pytest.importorskip("whisper_normalizer", reason="word error rates need the extra eval")
    teacher.speak_corpus(LINES, Tone(), teacher.TeacherSettings(), tmp_path)
    by_length = {read_manifest(tmp_path / "spoken.jsonl")[0]["audio"]: "quite another sentence"}
    texts = {r["audio"]: r["text"] for r in read_manifest(tmp_path / "spoken.jsonl")} | by_length
    order = iter(texts.values())
    teacher.check_corpus(tmp_path, lambda samples: next(order))
    assert teacher.write_accepted(tmp_path, most_errors=0.2) == len(LINES) - 1
    left_out = read_manifest(tmp_path / "left_out.jsonl", ("id", "text", "heard", "wer"))
    assert [record["heard"] for record in left_out] == ["quite another sentence"]


def test_a_recogniser_hears_each_sentence_once(tmp_path: Path) -> None:
    pytest.importorskip("whisper_normalizer", reason="word error rates need the extra eval")
    teacher.speak_corpus(LINES, Tone(), teacher.TeacherSettings(), tmp_path)
    heard: list[int] = []
    for _ in range(2):
        teacher.check_corpus(tmp_path, lambda samples: heard.append(len(samples)) or "nothing")
    assert len(heard) == len(LINES)


def test_sentences_for_evaluation_are_never_spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"Line {number} of a book." for number in range(100)]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    tone = Tone()
    monkeypatch.setitem(teacher.TEACHERS, "hibari", lambda: tone)
    count = teacher.run(options(tmp_path, sentences=tmp_path / "text.txt", everyday=5))
    said = {text for text, *_ in tone.asked}
    assert not said & set(teacher.kept_back(lines))
    assert count == len(said) == 5 + 90


@pytest.mark.parametrize(
    ("chosen", "missing", "install"),
    [("hibari", "hibari", "pip install hibari-tts==0.2.1"), ("kokoro", "hibari", "pip install hibari-tts==0.2.1")],
)
def test_a_teacher_that_is_not_installed_is_one_line_with_the_command(
    chosen: str, missing: str, install: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    (tmp_path / "af_one.bin").write_bytes(b"")
    with pytest.raises(UserError) as error:
        teacher.run(options(tmp_path, teacher=chosen, voice_packs=tmp_path))
    assert install in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_recogniser_that_is_not_installed_is_named_before_anything_is_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tone = Tone()
    monkeypatch.setitem(teacher.TEACHERS, "hibari", lambda: tone)
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)
    with pytest.raises(UserError, match=r"moonshine is not installed .*pip install moonshine-voice==0\.0\.49"):
        teacher.run(options(tmp_path, everyday=3, check="moonshine"))
    assert tone.asked == []


def test_any_program_can_be_the_teacher(tmp_path: Path) -> None:
    script = tmp_path / "say.py"
    script.write_text(
        "import sys, wave\n"
        "out = wave.open(sys.argv[1], 'wb'); out.setparams((1, 2, 24000, 0, 'NONE', ''))\n"
        "out.writeframes(bytes(2 * len(sys.argv[2])))\n"
    )
    program = teachers.CommandTeacher(f"{sys.executable} {script} {{file}} {{text}}")
    text = "Braces {file} and 'quotes' stay; so does $HOME."
    assert len(program.speak(text, "any", speed=1.0, seed=0)) == len(text)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("say {text}", "must hold {text} and {file}"),
        ("no-such-program-here {file} {text}", "no-such-program-here is not installed"),
        (f"{sys.executable} -c 'raise SystemExit(\"out of breath\")' {{file}} {{text}}", "failed: out of breath"),
    ],
)
def test_a_command_that_cannot_work_is_named(command: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        teachers.CommandTeacher(command).speak("Hello.", "any", speed=1.0, seed=0)
    assert message in str(error.value)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 3))
def test_more_everyday_sentences_begin_with_the_same_ones(few: int, more: int, seed: int) -> None:
    assert everyday.sentences(few + more, seed)[:few] == everyday.sentences(few, seed)


def test_everyday_sentences_are_different_short_and_read_as_they_are_written() -> None:
    sentences = everyday.sentences(1_500, seed=0)
    assert len(set(sentences)) == 1_500
    assert max(map(len, sentences)) <= everyday.LONGEST
    assert min(len(sentence.split()) for sentence in sentences) == 1
    for sentence in random.Random(0).sample(sentences, 100):
        assert not any(character.isdigit() or character in "{}*" for character in sentence)
        assert not normalise(sentence).warnings
    for mark in ("?", "!", '"', ","):
        assert sum(mark in sentence for sentence in sentences) > 40, mark


def test_no_everyday_test_sentence_is_one_that_the_grammar_makes() -> None:
    lines = (RECIPE / "everyday_sentences.txt").read_text().splitlines()
    assert len(set(lines)) == 100
    assert not set(lines) & set(everyday.sentences(5_000, seed=0))


def options(tmp_path: Path, **changed: Any) -> Namespace:
    usual: dict[str, Any] = {
        "teacher": "hibari", "command": None, "voice_packs": None, "voices": ["default"], "speed": (1.0, 1.0),
        "sentences": None, "everyday": 0, "out": tmp_path / "out", "check": None, "model": None, "share": 1.0,
        "most_errors": 0.2,
    }  # fmt: skip
    return Namespace(**(usual | changed))


def test_manifests_for_training_hold_phonemes_as_symbols(tmp_path: Path) -> None:
    spoken(tmp_path / "corpus", Tone())
    paths = tmp_path / "training.jsonl", tmp_path / "validation.jsonl"
    assert teacher.write_training(tmp_path / "corpus", *paths) == len(LINES)
    record = read_manifest(paths[0], ("id", "audio", "phonemes"))[0]
    assert record["phonemes"] == [c for c in record["text"].lower() if c.isalpha()]
    assert teacher.sounds("ðə kˈæt, sˌæt!") == list("ðəkætsæt")


def test_options_are_those_of_the_command_line(tmp_path: Path) -> None:
    found = teacher.options("hibari", tmp_path, everyday=7)
    assert (found.teacher, found.out, found.everyday, found.check) == ("hibari", tmp_path, 7, None)
    with pytest.raises(UserError, match="unknown setting colour"):
        teacher.options("hibari", tmp_path, colour=1)
