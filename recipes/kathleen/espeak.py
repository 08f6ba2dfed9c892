"""espeak-ng as a program: phonemes for the recogniser's targets, and parallel speech of any amount.

Needed while training only; the trained voice reads graphemes.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.storage import files

__all__ = ["check", "phonemes", "synthesise"]

_STRESS = str.maketrans("", "", "ˈˌ")


def check() -> None:
    """Refuse to start a long run without the program.

    Raises:
        UserError: espeak-ng is not on the path.
    """
    if shutil.which("espeak-ng") is None:
        raise UserError("espeak-ng is not installed; on Debian: apt-get install espeak-ng")


def phonemes(text: str, voice: str = "en-us") -> list[str]:
    """IPA phonemes of ``text`` without stress marks, words run together."""
    command = ["espeak-ng", "-q", "--ipa", "--sep=_", "-v", voice, "--stdin"]
    spoken = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    symbols = spoken.translate(_STRESS).replace("\n", "_").replace(" ", "_").split("_")
    return [symbol for symbol in symbols if symbol]


def synthesise(text: str, path: Path, *, voice: str, speed: int, pitch: int) -> None:
    """Speak ``text`` to a 22.05 kHz WAV.

    Args:
        text: The text to speak.
        path: The file to write; it appears under this name only when it is whole.
        voice: espeak-ng voice with variant, for example ``en-us+f3``.
        speed: Words a minute.
        pitch: Base pitch, 0 to 99.
    """
    with files.replacing(path) as temporary:
        command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(temporary), "--stdin"]
        subprocess.run(command, input=text, text=True, check=True, capture_output=True)
