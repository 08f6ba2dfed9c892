"""`python -m spear_accel`: the same as the command `spear-accel`, where that is not on the path."""

from __future__ import annotations

import sys

from spear_accel.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
