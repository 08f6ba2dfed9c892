"""Imports encoder-decoders of Hugging Face transformers: T5 and BART with their kin.

Reads `config.json`, `generation_config.json`, weights and a tokenizer from a folder, or from a repository on the Hub.
"""

from __future__ import annotations

import re
from pathlib import Path

from spear_accel.errors import UserError
from spear_accel.importers.base import Imported, Importer, ImportOptions, card_of
from spear_accel.importers.hugging_face_config import family_of, model_config
from spear_accel.importers.hugging_face_files import CONFIG, GENERATION, PATTERNS, open_tensors, read_configs
from spear_accel.importers.hugging_face_rules import read_generation
from spear_accel.importers.hugging_face_tokenizer import find_tokenizer
from spear_accel.importers.hugging_face_weights import has_output_bias, load_model
from spear_accel.model import TextToSemantic
from spear_accel.storage import files
from spear_accel.voice.hub import download

__all__ = ["IMPORTER", "load"]

FRAME_RATE = 50.0
"""Semantic tokens a second of HuBERT units, which most models of this kind write; a text model has none."""
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


def load(folder: str | Path, options: ImportOptions = ImportOptions()) -> Imported:
    """The model of a folder, with its rules of generation, its tokenizer and how it draws tokens.

    Raises:
        UserError: A file is missing or damaged, the model is of no family that is known, or its tokenizer is not.
    """
    folder = Path(folder)
    config, said = read_configs(folder)
    source = str(folder / CONFIG)
    family = family_of(config, source)
    generation = read_generation(said, config, str(folder / GENERATION) if said is not config else source)
    with open_tensors(folder) as tensors:
        shape = model_config(config, family, generation.rules, generation.eos, has_output_bias(tensors), source)
        if generation.start >= shape.vocab:
            raise UserError(f"{source}: decoder_start_token_id {generation.start} is none of {shape.vocab} tokens")
        tokenizer = find_tokenizer(folder, options, shape, config)
        model = load_model(tensors, shape, family, generation.start, f"{folder}: does not fit its {CONFIG}")
    notes = [f"{name}: decoding here does not do it, and leaves it out" for name in generation.left_out]
    card = card_of(folder.resolve(), options, FRAME_RATE)
    return Imported(model, tokenizer, card, decoding=generation.options, notes=tuple(notes))


def load_text_to_semantic(folder: str | Path) -> TextToSemantic:
    """The model alone, for texts that are ids."""
    return load(folder, ImportOptions(text_tokenizer="ids")).model


def _fetch(name: str) -> Path | None:
    """The folder of a repository on the Hub, `owner/name[@revision]`; None where the name is none of one."""
    if not _REPOSITORY.fullmatch(name):
        return None
    repository, _, revision = name.partition("@")
    return download(repository, revision or None, PATTERNS)


def _recognises(path: Path) -> bool:
    try:
        return path.is_dir() and "model_type" in files.read_json(path / CONFIG)
    except UserError:
        return False


IMPORTER = Importer(
    "hugging-face", "a folder of transformers with config.json, weights and a tokenizer; or owner/name on the Hub",
    _recognises, load, frozenset({"text_tokenizer"}), _fetch,
)  # fmt: skip
