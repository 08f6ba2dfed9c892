"""The public names and their signatures, as the README promises them: a change here is a change for every user."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from typing import Any

import pytest

import spear_accel
from spear_accel import DecodeOptions, Request, SamplingParams, Speech, Voice

NAMES = "DecodeOptions Request SamplingParams Speech Voice __version__"

VOICE = """
decode_ids(text_ids: Sequence[Sequence[int]], options: DecodeOptions | None = None) -> DecodeResult
decode_requests(source: Callable[[], Request | None], options: DecodeOptions) -> Iterator[RequestOutput]
doubts() -> Doubts
engine(options: DecodeOptions | None = None) -> Engine
from_pretrained(name: str | Path, revision: str | None = None, device: str | torch.device = 'cpu', dtype: str | torch.dtype = 'auto') -> Voice
load(name: str | Path, device: str | torch.device = 'cpu', dtype: str | torch.dtype = 'auto', draft_model: str | Path | None = None) -> Voice
methods -> tuple[str, ...]
plan(text: str) -> list[PlannedUtterance]
push_to_hub(repository: str, private: bool = False) -> str
request(text: str, options: DecodeOptions | None = None, stream: Sequence[int] | None = None) -> Request
sample_rate -> int
save_pretrained(folder: str | Path) -> None
semantic_to_waveform(tokens: Tensor | Sequence[int], speed: float = 1.0) -> Tensor
sound(planned: Sequence[PlannedUtterance], tokens: Sequence[Tensor], speed: float = 1.0) -> Tensor
speak(text: str, options: DecodeOptions | None = None, *, seed: int | None = None, speed: float = 1.0, words: bool = False, coverage: bool = True) -> Speech
speak_each(text: str, options: DecodeOptions | None = None, *, seed: int | None = None, speed: float = 1.0, words: bool = False, coverage: bool = True) -> Iterator[Speech]
stream(text: str, options: DecodeOptions | None = None, *, seed: int | None = None, speed: float = 1.0, words: bool = False, coverage: bool = True) -> Iterator[Speech]
text_ids(text: str) -> list[list[int]]
text_to_semantic(texts: Sequence[str], options: DecodeOptions | None = None) -> DecodeResult
utter(text: str, options: DecodeOptions | None = None, *, coverage: bool = True) -> list[SpokenUtterance]
with_respellings(respellings: Respellings) -> Voice
"""  # noqa: E501

DECODE_OPTIONS = """
method: str = 'auto'
verify: str = 'coupled'
draft_length: int | Literal['auto'] = 'auto'
candidates: int | Literal['auto'] = 'auto'
draft_exit: bool = False
temperature: float = 0.7
top_k: int = 0
top_p: float = 1.0
seed: int = 0
batch_size: int = 32
max_tokens: int | None = None
repetition_penalty: float = 1.0
repetition_window: int = 10
cond_scale: float = 1.0
lenience: float = 0.7
group_radius: float = 0.35
loop_retries: int = 2
"""

SAMPLING_PARAMS = """
temperature: float = 0.7
top_k: int = 0
top_p: float = 1.0
repetition_penalty: float = 1.0
repetition_window: int = 10
"""

REQUEST = """
text: Sequence[int]
id: Hashable | None = None
text_length: int | None = None
seed: int | None = None
key: int | None = None
sampling: SamplingParams | None = None
min_tokens: int | None = None
max_tokens: int | None = None
loop_retries: int | None = None
stream: Sequence[int] | None = None
"""

SPEECH = """
waveform: Tensor
sample_rate: int
tokens: Tensor
utterances: tuple[SpokenUtterance, ...]
stats: DecodeStats
warnings: tuple[str, ...] = ()
words: tuple[WordTime, ...] = ()
"""


def members(of: type) -> list[str]:
    """Public methods and properties, a line each, `self` and `cls` left out."""
    found = []
    for name, member in inspect.getmembers(of, lambda member: callable(member) or isinstance(member, property)):
        if not name.startswith("_"):
            signature = inspect.signature(member.fget if isinstance(member, property) else member)
            called = "" if isinstance(member, property) else f"({', '.join(_parameters(signature))})"
            found.append(f"{name}{called} -> {signature.return_annotation}")
    return found


def _parameters(signature: inspect.Signature) -> list[str]:
    parts: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        parts.append(f"{parameter.name}: {parameter.annotation}{default}")
    return parts


def lines_of(of: Any) -> list[str]:
    """Fields of a dataclass, a line each."""
    return [
        f"{field.name}: {str(field.type).replace(chr(34), chr(39))}"
        + ("" if field.default is MISSING else f" = {field.default!r}")
        for field in fields(of)
    ]


def test_the_names_of_the_package() -> None:
    assert sorted(spear_accel.__all__) == NAMES.split()
    for name in spear_accel.__all__:
        assert getattr(spear_accel, name) is not None


def test_the_methods_of_a_voice() -> None:
    assert members(Voice) == VOICE.strip().splitlines()


@pytest.mark.parametrize(
    ("of", "wanted"),
    [(DecodeOptions, DECODE_OPTIONS), (SamplingParams, SAMPLING_PARAMS), (Request, REQUEST), (Speech, SPEECH)],
)
def test_the_fields_of_what_goes_in_and_comes_out(of: type, wanted: str) -> None:
    assert lines_of(of) == wanted.strip().splitlines()
