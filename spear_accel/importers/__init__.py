"""Trained models of other packages, read into ours: one file a layout, each with an `Importer`.

imported = importers.load("model.pt", "spear-tts-pytorch", ImportOptions(text_tokenizer="tokenizer.model"))
importers.save_voice(imported, "my-voice")
"""

from spear_accel.importers.base import Imported, Importer, ImportOptions
from spear_accel.importers.registry import find_importer, layouts, load
from spear_accel.importers.write import check_target, save_voice

__all__ = [
    "ImportOptions", "Imported", "Importer", "check_target", "find_importer", "layouts", "load",
    "save_voice",
]  # fmt: skip
