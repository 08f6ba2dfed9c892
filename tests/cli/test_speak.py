"""`spear-accel speak`: where text comes from, where sound goes, and how mistakes are answered."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from spear_accel import Voice

TEXT = "Hello there. It is fine."


def read_wav(source: Path | bytes) -> np.ndarray:
    with wave.open(io.BytesIO(source) if isinstance(source, bytes) else str(source), "rb") as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 24_000)
        return np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")


def test_argument_file_and_stdin_say_the_same(run, shared_voice: Path, tmp_path: Path) -> None:
    text_file = tmp_path / "text.txt"
    text_file.write_text(TEXT, encoding="utf-8-sig")
    by_argument, by_file, by_stdin, by_dash = (tmp_path / f"{name}.wav" for name in "abcd")
    assert run("speak", TEXT, "-o", by_argument, "--voice", shared_voice).code == 0
    assert run("speak", "-i", text_file, "-o", by_file, "--voice", shared_voice).code == 0
    assert run("speak", "-o", by_stdin, "--voice", shared_voice, stdin=TEXT.encode()).code == 0
    assert run("speak", "-", "-o", by_dash, "--voice", shared_voice, stdin=TEXT.encode()).code == 0
    assert len({path.read_bytes() for path in (by_argument, by_file, by_stdin, by_dash)}) == 1
    expected = Voice.load(shared_voice).speak(TEXT).waveform
    assert np.abs(read_wav(by_argument) / 32767.0 - expected.clamp(-1, 1).numpy()).max() < 1e-4


def test_stdout_holds_the_sound_and_nothing_else(run, shared_voice: Path, tmp_path: Path) -> None:
    to_file = run("speak", TEXT, "-o", tmp_path / "a.wav", "--voice", shared_voice)
    to_stdout = run("speak", TEXT, "-o", "-", "--voice", shared_voice)
    raw = run("speak", TEXT, "--raw", "--voice", shared_voice)
    assert to_file.out == b"" and "s of speech" in to_file.err
    assert to_stdout.out == (tmp_path / "a.wav").read_bytes()
    streamed = np.frombuffer(raw.out, dtype="<i2").astype(int)
    assert np.abs(streamed - read_wav(to_stdout.out)).max() <= 1, "joined, a stream is the whole but for rounding"
    assert "24000 Hz" in raw.err


def test_options_reach_the_voice(run, shared_voice: Path, tmp_path: Path) -> None:
    output, tokens = tmp_path / "a.wav", tmp_path / "tokens.npy"
    arguments = ("speak", TEXT, "-o", output, "--voice", shared_voice, "--tokens-out", tokens)
    options = ("--seed", 7, "--temperature", 0.5, "--method", "autoregressive", "--verify", "coupled")
    assert run(*arguments, *options).code == 0
    chosen = np.load(tokens)
    assert chosen.dtype == np.int64
    plain_length = len(read_wav(output))
    assert run(*arguments, *options, "--speed", 2).code == 0
    assert np.array_equal(np.load(tokens), chosen)
    assert abs(len(read_wav(output)) * 2 - plain_length) < 2000
    assert run(*arguments, "--seed", 8).code == 0
    assert not np.array_equal(np.load(tokens), chosen)


def test_rate_loudness_and_lexicon_of_a_file(run, shared_voice: Path, tmp_path: Path) -> None:
    (tmp_path / "names.tsv").write_text("fine\tquite fine\n")
    common = ("-o", tmp_path / "a.wav", "--voice", shared_voice, "--lexicon", tmp_path / "names.tsv")
    assert run("speak", TEXT, *common, "--sample-rate", 16_000, "--loudness", -23).code == 0
    sound, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == 16_000
    alone = Voice.load(shared_voice).speak(TEXT.replace("fine", "quite fine"))
    assert abs(len(sound) / rate - alone.seconds) < 0.001
    assert abs(pyloudnorm.Meter(rate).integrated_loudness(sound) + 23) < 0.3


def test_words_go_to_a_file_in_the_format_of_its_ending(run, shared_voice: Path, tmp_path: Path) -> None:
    for ending, beginning in (
        ("json", "["),
        ("srt", "1\n00:00:0"),
        ("vtt", "WEBVTT"),
        ("ctm", "a 1 "),
        ("TextGrid", "File"),
    ):
        words = tmp_path / f"a.{ending}"
        done = run("speak", TEXT, "-o", tmp_path / "a.wav", "--voice", shared_voice, "--words", words)
        assert done.code == 0 and words.read_text().startswith(beginning)
    live = run("speak", TEXT, "--raw", "-o", "-", "--voice", shared_voice, "--words", tmp_path / "b.ctm")
    assert live.code == 0 and len(live.out) > 1000
    times = [line.split()[1:] for line in (tmp_path / "b.ctm").read_text().splitlines()]
    assert times == [line.split()[1:] for line in (tmp_path / "a.ctm").read_text().splitlines()]


def test_what_is_left_out_is_warned_of(run, shared_voice: Path, tmp_path: Path) -> None:
    outcome = run("speak", "Hi 😀 there.", "-o", tmp_path / "a.wav", "--voice", shared_voice)
    assert outcome.code == 0
    assert "spear-accel: warning: left out 1 character" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["speak", ""], "it is empty"),
        (["speak", "&& ..."], "no word"),
        (["speak", "日本"], "left out 2 characters"),
        (["speak", "Hi", "-i", "text.txt"], "not both"),
        (["speak", "-i", "missing.txt"], "missing.txt: cannot read"),
        (["speak", "Hi", "-o", "nowhere/a.wav"], "nowhere: no such folder"),
        (["speak", "Hi", "-o", "."], "is a folder"),
        (["speak", "Hi", "-o", "a.m4a"], "ends with .m4a; name it .wav, .flac"),
        (["speak", "Hi", "--tokens-out", "nowhere/a.npy"], "nowhere: no such folder"),
        (["speak", "Hi", "--sample-rate", "100"], "--sample-rate must be"),
        (["speak", "Hi", "--loudness", "3"], "--loudness must be between"),
        (["speak", "Hi", "--sample-rate", "5000", "-o", "a.opus"], "opus is not written at 5000 Hz"),
        (["speak", "Hi", "--lexicon", "none.tsv"], "none.tsv: cannot read"),
        (["speak", "<speak>Hi"], "the SSML is not well-formed"),
        (["speak", "Hi", "--words", "a.doc"], "a.doc: word times go to a file"),
        (["speak", "Hi", "-o", "a.json", "--words", "a.json"], "a.json: name a file of its own"),
        (["speak", "Hi", "--words", "nowhere/a.srt"], "nowhere: no such folder"),
        (["speak", "Hi", "--voice", "nobody"], "nobody: no such voice; shipped voices:"),
        (["speak", "Hi", "--speed", "9"], "speed must be between"),
        (["speak", "Hi", "--speed", "fast"], "--speed"),
        (["speak", "Hi", "--temperature", "-1"], "temperature"),
        (["speak", "Hi", "--method", "magic"], "method 'magic'"),
        (["speak", "Hi", "--verify", "magic"], "verify 'magic'"),
        (["speak", "Hi", "--device", "tpu"], "choose cpu or cuda"),
        (["speak", "Hi", "--dtype", "fp8"], "dtype 'fp8' is none that a voice decodes in; choose one of auto"),
        (["speak", "Hi", "--colour", "red"], "--colour"),
        (["sing", "Hi"], "sing"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(
    run, shared_voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "speak" and "--voice" not in arguments:
        arguments = [*arguments, "--voice", str(shared_voice)]
    if "-o" not in arguments and arguments[0] == "speak":
        arguments = [*arguments, "-o", "a.wav"]
    assert fault in run(*arguments).error_line
    assert list(tmp_path.iterdir()) == []


def test_text_that_is_not_utf8_is_refused(run, shared_voice: Path) -> None:
    assert "not UTF-8 text (byte 2)" in run("speak", "--voice", shared_voice, stdin=b"a\xff").error_line


@pytest.mark.parametrize("name", ["tokenizer.model", "acoustic/config.json", "text_to_semantic/model.safetensors"])
def test_a_corrupt_voice_is_named_and_the_old_file_stays(run, tiny_voice: Path, tmp_path: Path, name: str) -> None:
    (tiny_voice / name).write_bytes(b"0")
    output = tmp_path / "a.wav"
    output.write_bytes(b"old")
    assert f"{name}: damaged" in run("speak", "Hi", "-o", output, "--voice", tiny_voice).error_line
    assert output.read_bytes() == b"old"


def command(*arguments: object) -> list[str]:
    start = "import sys; from spear_accel.cli.main import run; sys.exit(run(sys.argv[1:]))"
    return [sys.executable, "-c", start, *map(str, arguments)]


def test_a_full_disk_leaves_no_half_file(shared_voice: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for a disk that fills up half-way."""
    small = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    small += "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); "
    arguments = command("speak", TEXT, "-o", tmp_path / "a.wav", "--voice", shared_voice)
    arguments[2] = small + arguments[2]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 2, done.stderr
    assert "a.wav: cannot write" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".a", "a"))] == []


def test_a_reader_that_goes_away_is_no_crash(shared_voice: Path) -> None:
    text = " ".join(["This sentence is said again and again."] * 20)
    process = subprocess.Popen(
        command("speak", text, "--raw", "--voice", shared_voice), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(2)
    process.stdout.close()
    errors = process.stderr.read().decode()
    assert process.wait() == 1
    assert "Traceback" not in errors and "BrokenPipe" not in errors
