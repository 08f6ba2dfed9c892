"""Speaks a sentence with an installed `spear-accel` that cannot reach a network, and looks at the sound.

Takes the program and the WAV file to make; runs in the environment of the program.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import soundfile

SENTENCE = "This sentence was spoken by a freshly installed wheel."
NOWHERE = "http://127.0.0.1:9"


def main(program: str, path: str) -> None:
    """Raises SystemExit with a reason where the claim does not hold."""
    if find_spec("fairseq2"):
        sys.exit("fairseq2 is in the base install")
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)
    started = time.monotonic()
    subprocess.run([program, "speak", SENTENCE, "-o", path], env={**os.environ, **proxies}, check=True)
    samples, rate = soundfile.read(path)
    seconds, level = len(samples) / rate, float(np.sqrt(np.mean(samples**2)))
    torches = f"torch {version('torch')}, torchaudio {version('torchaudio')}"
    print(f"   Python {sys.version.split()[0]}, {torches}: {time.monotonic() - started:.1f} s for {seconds:.2f} s at "
          f"{rate} Hz, level {20 * np.log10(max(level, 1e-9)):.1f} dB")  # fmt: skip
    if seconds < 1.0:
        sys.exit("the WAV is shorter than a second")
    if level < 0.003:
        sys.exit("the WAV is silent")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
