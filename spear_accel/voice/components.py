"""The parts of an opened voice as objects, each checked before it is loaded; and the writing of those parts.

Imports a part's package only when that part is asked for. Does not know decoding or how sound is joined.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spear_accel.errors import UserError
from spear_accel.storage import files
from spear_accel.voice.folder import (
    ACOUSTIC,
    DECODING,
    DRAFT_HEADS,
    PHONEMES,
    PRETRAINED,
    RAW_TOKENIZER,
    SPEECH_TOKENIZER,
    TEXT_TO_SEMANTIC,
    TOKENIZER,
    VoiceFolder,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from spear_accel.acoustic import AcousticStage
    from spear_accel.audio.tokenizer import SpeechTokenizer
    from spear_accel.model import TextToSemantic, TextToSemanticConfig
    from spear_accel.text.tokenizers import AnyTokenizer


def load_text_tokenizer(voice: VoiceFolder) -> AnyTokenizer:
    from spear_accel.text.tokenizers import load_tokenizer

    kind = next((part for part in (RAW_TOKENIZER, PHONEMES, PRETRAINED) if voice.has(part)), TOKENIZER)
    return load_tokenizer(voice.part(kind))


def save_text_tokenizer(tokenizer: AnyTokenizer, folder: str | Path) -> None:
    """Write a text tokenizer into the voice folder `folder`, under the name of its kind; seal the voice afterwards."""
    from spear_accel.text.phonemes import PhonemeTokenizer
    from spear_accel.text.raw import ByteTokenizer, IdTokenizer
    from spear_accel.text.tokenizer import TextTokenizer

    if isinstance(tokenizer, ByteTokenizer | IdTokenizer):
        files.write_json(Path(folder) / RAW_TOKENIZER, tokenizer.to_dict())
        return
    names = {TextTokenizer: TOKENIZER, PhonemeTokenizer: PHONEMES}
    tokenizer.save(Path(folder) / names.get(type(tokenizer), PRETRAINED))


def load_text_to_semantic(voice: VoiceFolder) -> TextToSemantic:
    """The model in float32 on the CPU, in evaluation mode, fitting the voice's text tokenizer."""
    return read_text_to_semantic(voice.part(TEXT_TO_SEMANTIC))


def read_text_to_semantic(folder: str | Path) -> TextToSemantic:
    """A model folder (`config.json`, `model.safetensors`) that need not lie in a sealed voice."""
    from spear_accel.model import TextToSemantic, TextToSemanticConfig
    from spear_accel.storage.fitting import build_to_fit
    from spear_accel.storage.weights import CONFIG, WEIGHTS, read_tensors

    config, path = TextToSemanticConfig.load(Path(folder) / CONFIG), Path(folder) / WEIGHTS
    model = build_to_fit(lambda: TextToSemantic(config), read_tensors(path), f"{path}: does not fit its {CONFIG}")
    return model.eval()


def save_text_to_semantic(model: TextToSemantic, folder: str | Path, *, half: bool = True) -> None:
    """Write the model folder, weights in half precision or as they are."""
    from spear_accel.storage.weights import save_module

    save_module(model, model.config.to_dict(), folder, half=half)


def load_heads(voice: VoiceFolder, target: TextToSemanticConfig) -> dict[str, nn.Module]:
    """The voice's draft heads by kind, in float32 on the CPU, in evaluation mode; none where it has none.

    Raises UserError naming the file and the fault: damaged, of an unknown kind or shape, or weights that do not fit.
    """
    if not voice.has(DRAFT_HEADS):
        return {}
    folder = voice.part(DRAFT_HEADS)
    inside = (name.split("/") for name in voice.card.files if name.startswith(f"{DRAFT_HEADS}/"))
    return {kind: _read_head(folder / kind, target) for kind in sorted({path[1] for path in inside if len(path) > 2})}


def _read_head(folder: Path, target: TextToSemanticConfig) -> nn.Module:
    from spear_accel.heads import build_head
    from spear_accel.storage.fitting import build_to_fit
    from spear_accel.storage.weights import CONFIG, WEIGHTS, read_config, read_tensors

    values = read_config(folder)
    kind = values.pop("kind", None)
    if kind != folder.name:
        raise UserError(f"{folder / CONFIG}: says kind {kind!r}, but the folder of a head has the name of its kind")
    path = folder / WEIGHTS
    head = build_to_fit(
        lambda: build_head(kind, values, target, str(folder / CONFIG)),
        read_tensors(path),
        f"{path}: does not fit its {CONFIG}",
    )
    return head.eval()


def save_head(folder: str | Path, head: nn.Module, *, half: bool = True) -> None:
    """Write a head into the voice folder `folder`, in place of one of its kind; seal the voice afterwards."""
    from spear_accel.heads import head_config
    from spear_accel.storage.weights import save_module

    config = head_config(head)
    save_module(head, config, Path(folder) / DRAFT_HEADS / config["kind"], half=half)


def load_acoustic(voice: VoiceFolder, device: torch.device | str = "cpu") -> AcousticStage | None:
    """The acoustic stage on `device`, or None where the voice ends at semantic tokens.

    A stage of another package chooses its own device.
    """
    if not voice.has(ACOUSTIC):
        return None
    from spear_accel.acoustic import MelStage, load_stage

    stage = load_stage(voice.part(ACOUSTIC))
    if stage.sample_rate != voice.card.sample_rate:
        raise UserError(
            f"{voice.path}: voice.json says {voice.card.sample_rate} Hz but the acoustic stage makes "
            f"{stage.sample_rate} Hz; correct voice.json"
        )
    return stage.to(device) if isinstance(stage, MelStage) else stage


def load_speech_tokenizer(voice: VoiceFolder) -> SpeechTokenizer:
    """The audio-to-tokens part; only needed, and only checked, when recordings are to be tokenized."""
    from spear_accel.audio.tokenizer import SpeechTokenizer

    return SpeechTokenizer.from_folder(voice.part(SPEECH_TOKENIZER))


def load_centroids(voice: VoiceFolder) -> Tensor:
    """Centroids of the units, [units, D], without the encoder. Raises UserError where the voice has none."""
    from spear_accel.storage.weights import read_tensors

    path = voice.part(SPEECH_TOKENIZER) / "codebook.safetensors"
    try:
        return read_tensors(path)["centroids"]
    except KeyError as error:
        raise UserError(f"{path}: lacks centroids; restore the file") from error


def load_decoding_defaults(voice: VoiceFolder) -> dict[str, Any]:
    """What decoding.json says, or nothing."""
    return files.read_json(voice.part(DECODING)) if voice.has(DECODING) else {}


def save_decoding_defaults(folder: str | Path, values: dict[str, Any]) -> None:
    """Write decoding.json into the voice folder `folder`; seal the voice afterwards."""
    files.write_json(Path(folder) / DECODING, values)
