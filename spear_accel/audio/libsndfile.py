"""Gives native libraries that ask the system for libsndfile the one that the package soundfile carries."""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path

from spear_accel.errors import UserError

__all__ = ["load_libsndfile"]


def load_libsndfile() -> None:
    """Load soundfile's own libsndfile for the whole process, unless the system has one.

    Call it before anything imports fairseq2, whose native part asks the dynamic linker for `libsndfile.so.1`: a library
    that was loaded under this name answers.

    Raises:
        UserError: Neither the system nor the installed soundfile has the library.
    """
    if ctypes.util.find_library("sndfile"):
        return
    try:
        import _soundfile_data

        for library in sorted(Path(_soundfile_data.__file__).parent.glob("libsndfile*.*")):
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    except (ImportError, OSError) as error:
        raise UserError(
            f"speech encoders need libsndfile ({error}); install a wheel of soundfile, which carries it, or the "
            "system's package libsndfile1"
        ) from error
