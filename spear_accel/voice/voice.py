"""Voice: text -> utterances -> semantic tokens -> waveform.

Joins the packages and holds no method of its own: how text is read, tokens are decoded and sound is made is decided in
`text`, `decoding` and `acoustic`. Does not know the command line, files other than voice folders, or training.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from spear_accel.acoustic import AcousticStage
from spear_accel.checks import tempo
from spear_accel.decoding import (
    DecodeOptions,
    DecodeResult,
    DecodeStats,
    Engine,
    LengthBounds,
    Request,
    RequestOutput,
    StoppingCriteria,
)
from spear_accel.errors import UserError
from spear_accel.kernels.defaults import with_own_defaults
from spear_accel.text.front_end import front_end_for
from spear_accel.text.plan import PlannedUtterance, closed, plan, verbatim
from spear_accel.text.respelling import Respellings, respelled
from spear_accel.timing.timer import WordTimer
from spear_accel.voice.checked import Decoded, decode_checked, doubt_of
from spear_accel.voice.copying import copy_voice
from spear_accel.voice.folder import VoiceFolder, open_voice
from spear_accel.voice.generator import SemanticGenerator
from spear_accel.voice.hub import fetch_voice, push_voice
from spear_accel.voice.parts import VoiceParts, load_parts
from spear_accel.voice.pieces import Doubts, Times, sound_of
from spear_accel.voice.precision import AUTO
from spear_accel.voice.speech import Speech, SpokenUtterance, is_broken, join
from spear_accel.voice.streaming import CHUNKS, stream
from spear_accel.voice.whole import sound_with_pause, speak_whole

# Utterances in one batch: bounds the memory that a long text needs.
_LARGEST_GROUP = 16
# Of the expected number of tokens: below, EOS is forbidden; above (plus the slack), decoding stops.
_SHORTEST, _LONGEST = 0.5, 2.0


class Voice:
    """A loaded voice. The same text, options and seed give the same tokens, whatever is spoken beside it."""

    def __init__(self, parts: VoiceParts) -> None:
        self.parts = parts
        self.card, self.tokenizer, self.model = parts.card, parts.tokenizer, parts.model
        self.acoustic, self.defaults, self.drafting = parts.acoustic, parts.defaults, parts.drafting
        card = parts.card
        self.front_end = verbatim if parts.tokenizer.verbatim else front_end_for(card.language, card.front_end)
        """Turns a written text into what is read aloud; may be replaced, by `English(EnglishOptions(...))` say."""
        pace = card.tokens_per_character
        stopping = StoppingCriteria() if pace is None else StoppingCriteria(LengthBounds(pace, _SHORTEST, _LONGEST))
        self.generator = SemanticGenerator(parts.model, parts.tokenizer, parts.drafting, stopping, parts.centroids)

    @classmethod
    def load(
        cls,
        name: str | Path,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype = AUTO,
        draft_model: str | Path | None = None,
    ) -> Voice:
        """Load a shipped voice by name or any voice folder by path.

        `dtype` is the precision in which the text-to-semantic model decodes: "float32", "bfloat16", "float16", "int8"
        (by the native step, docs/native.md) or "auto", which is int8 where the native step computes and float32
        elsewhere. What drafts for it may compute in a quicker one. `draft_model` names a second, smaller voice whose
        model drafts for this one. Only the files that speaking needs are read and checked.
        Raises UserError: no such voice, or a file of it is missing, damaged or of another format version; or it
        cannot decode in this precision here.
        """
        return cls(load_parts(open_voice(name), device, dtype, draft_model))

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        revision: str | None = None,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype = AUTO,
    ) -> Voice:
        """`load`, also by the id of a repository on the Hugging Face Hub ("owner/name"), at a branch, tag or commit.

        `card.origin` then names the commit. Needs the extra `hub` for what is not a folder or a shipped name.
        Raises UserError as `load`, and where the download failed.
        """
        return cls(load_parts(fetch_voice(name, revision), device, dtype))

    def save_pretrained(self, folder: str | Path) -> None:
        """Copy the voice's files to a new folder, which `load` and `from_pretrained` read.

        Raises UserError: the folder holds something, a file of the voice is damaged, or it has no files.
        """
        copy_voice(self._files(), folder)

    def push_to_hub(self, repository: str, private: bool = False) -> str:
        """Upload the voice's files to a repository of the Hugging Face Hub, "owner/name", which is made if it is not
        there; returns the address of the commit. `from_pretrained` reads it. Needs the extra `hub`.

        Raises UserError as `save_pretrained`, and where the Hub refused or cannot be reached.
        """
        return push_voice(self._files(), repository, private)

    def _files(self) -> VoiceFolder:
        if self.parts.folder is None:
            raise UserError(f"voice {self.card.name!r} was put together in memory; load one from a folder")
        return self.parts.folder

    def with_respellings(self, respellings: Respellings) -> Voice:
        """The same voice, reading some words as if they were spelt otherwise; it shares model and engines with this."""
        other = copy(self)
        other.front_end = respelled(self.front_end, respellings)
        return other

    @property
    def methods(self) -> tuple[str, ...]:
        """Decoding methods that this voice can run, "autoregressive" first."""
        return self.drafting.methods

    @property
    def sample_rate(self) -> int:
        """Of the waveforms, in Hz."""
        return self._stage().sample_rate

    @with_own_defaults
    def speak(
        self,
        text: str,
        options: DecodeOptions | None = None,
        *,
        seed: int | None = None,
        speed: float = 1.0,
        words: bool = False,
        coverage: bool = True,
    ) -> Speech:
        """Speak a text of any length. The whole waveform is kept in memory; `speak_each` keeps a few sentences.

        `seed` takes the place of the one in `options`. `speed` is a factor on the tempo, 0.5 to 2. With `words` the
        speech tells when each word of the text is said (docs/timestamps.md). With `coverage` an utterance that skips or
        repeats words, or does not end, is decoded again, up to twice; what stays in doubt is among the warnings
        (docs/coverage.md).
        Raises UserError: nothing in the text can be read aloud, or an option is out of range.
        """
        decoded = list(self._spoken(text, self._choose(options, seed), speed, words, coverage))
        return join([part for spoken, _ in decoded for part in spoken], [stats for _, stats in decoded])

    @with_own_defaults
    def speak_each(
        self,
        text: str,
        options: DecodeOptions | None = None,
        *,
        seed: int | None = None,
        speed: float = 1.0,
        words: bool = False,
        coverage: bool = True,
    ) -> Iterator[Speech]:
        """`speak`, an utterance at a time, with memory bounded for any length. Raises as `speak`, at the first step."""
        for spoken, _ in self._spoken(text, self._choose(options, seed), speed, words, coverage):
            yield from spoken

    @with_own_defaults
    def stream(
        self,
        text: str,
        options: DecodeOptions | None = None,
        *,
        seed: int | None = None,
        speed: float = 1.0,
        words: bool = False,
        coverage: bool = True,
    ) -> Iterator[Speech]:
        """`speak` in pieces as soon as they are ready, the first before its sentence is decoded; memory is bounded.

        Joined, waveforms and tokens are those that `speak` returns, but for what `speak` decodes again: an utterance
        that sounds already stays as it is. A loop ends it, with stop reason "loop" and a warning; `coverage` brings
        warnings of skipped and repeated words. A piece holds the utterances that end in it, their counts and warnings.
        Raises as `speak`, at the first step.
        """
        chosen, stage, speed = self._choose(options, seed), self._stage(), tempo(speed)
        planned = plan(text, self.card.longest_utterance, self.front_end)

        def decode(group: Sequence[PlannedUtterance]) -> Generator[RequestOutput, None, None]:
            return self.generator.growing([one.text for one in group], chosen, CHUNKS)

        times = self._times(text) if words else None
        doubts = self.doubts() if coverage else None
        yield from stream(planned, decode, stage, speed, min(chosen.batch_size, _LARGEST_GROUP), times, doubts)

    def doubts(self) -> Doubts:
        """What tells of utterances of this voice whether they skip or repeat words."""
        return partial(doubt_of, self.generator)

    @with_own_defaults
    def text_to_semantic(self, texts: Sequence[str], options: DecodeOptions | None = None) -> DecodeResult:
        """Semantic tokens of each text, which is normalised and decoded as a single utterance.

        Raises UserError naming the first text in which nothing can be read aloud.
        """
        if isinstance(texts, str):
            raise UserError("text_to_semantic takes a list of texts; for one text write [text]")
        spoken = [self._close(self.front_end(text).text) for text in texts]
        for index, (text, given) in enumerate(zip(spoken, texts, strict=True)):
            if not text:
                raise UserError(f"nothing in text {index + 1} of {len(texts)} can be read aloud: {given[:60]!r}")
        return self.generator.texts(spoken, options or self.defaults)

    def text_ids(self, text: str) -> list[list[int]]:
        """Ids without EOS of the utterances that `speak` would decode one by one.

        Raises UserError: nothing in the text can be read aloud.
        """
        return [self.tokenizer.encode(one.text) for one in self.plan(text)]

    @with_own_defaults
    def decode_ids(self, text_ids: Sequence[Sequence[int]], options: DecodeOptions | None = None) -> DecodeResult:
        """The same from text ids without EOS, one list per utterance."""
        return self.generator.ids([[int(token) for token in ids] for ids in text_ids], options or self.defaults)

    @with_own_defaults
    def engine(self, options: DecodeOptions | None = None) -> Engine:
        """The engine for such options: requests in and out at any time, by any thread (see `Engine`).

        Of the options, those of sampling, seed and bounds do not matter: each `request` says its own.
        """
        chosen = options or self.defaults
        return self.generator.engine(chosen.batch_size, chosen)[0]

    @with_own_defaults
    def request(self, text: str, options: DecodeOptions | None = None, stream: Sequence[int] | None = None) -> Request:
        """A request for one utterance, normalised here, with the sampling, seed and bounds of the options.

        stream: see `Request`. Raises UserError: nothing in the text can be read aloud.
        """
        read = self._close(self.front_end(text).text)
        if not read:
            raise UserError(f"nothing in the text can be read aloud: {text[:60]!r}")
        return replace(self.generator.request(read, options or self.defaults), stream=stream)

    def decode_requests(self, source: Callable[[], Request | None], options: DecodeOptions) -> Iterator[RequestOutput]:
        """Decode utterances as they come, as one batch that is refilled without end; see `Engine.decode_requests`.

        What a request leaves open, the options say.
        """
        return self.generator.requests(source, options)

    def plan(self, text: str) -> list[PlannedUtterance]:
        """The utterances of a text, as they are decoded one by one. Raises UserError: nothing can be read aloud."""
        return list(plan(text, self.card.longest_utterance, self.front_end))

    @with_own_defaults
    def sound(self, planned: Sequence[PlannedUtterance], tokens: Sequence[Tensor], speed: float = 1.0) -> Tensor:
        """Waveform float32 [samples] of the tokens of planned utterances, with the silences between them."""
        stage = self._stage()
        pieces = [sound_with_pause(stage, one, said, speed) for one, said in zip(planned, tokens, strict=True)]
        return torch.cat(pieces)

    @with_own_defaults
    def semantic_to_waveform(self, tokens: Tensor | Sequence[int], speed: float = 1.0) -> Tensor:
        """int64 [n] -> float32 [samples] on the CPU. Raises UserError where a token is not of this voice."""
        return sound_of(self._stage(), torch.as_tensor(tokens, dtype=torch.int64).cpu(), speed)

    @with_own_defaults
    def utter(self, text: str, options: DecodeOptions | None = None, *, coverage: bool = True) -> list[SpokenUtterance]:
        """What `speak` would say, as tokens only: for voices that end there, and for acoustic stages elsewhere.

        Raises UserError: nothing in the text can be read aloud.
        """
        chosen = options or self.defaults
        planned = self.plan(text)
        result, doubts = self._decode(planned, chosen, coverage)
        return [
            SpokenUtterance(one.text, ended.tokens, ended.stop_reason, ended.seed, doubt)
            for one, ended, doubt in zip(planned, result.results(), doubts, strict=True)
        ]

    def _decode(self, planned: Sequence[PlannedUtterance], options: DecodeOptions, coverage: bool) -> Decoded:
        if coverage:
            return decode_checked(self.generator, planned, options)
        return Decoded(self.generator.texts([one.text for one in planned], options), [None] * len(planned))

    def _close(self, spoken: str) -> str:
        return spoken if self.front_end is verbatim else closed(spoken)

    def _choose(self, options: DecodeOptions | None, seed: int | None) -> DecodeOptions:
        chosen = options or self.defaults
        return chosen if seed is None else replace(chosen, seed=seed)

    def _stage(self) -> AcousticStage:
        if self.acoustic is None:
            raise UserError(
                f"voice {self.card.name!r} ends at semantic tokens; it makes no sound. "
                "Save the tokens (--tokens-out F.npy, or Voice.utter), or take another voice"
            )
        return self.acoustic

    def _times(self, text: str) -> Times:
        return partial(WordTimer(self.model, self.tokenizer).times, text)

    def _spoken(
        self, text: str, options: DecodeOptions, speed: float, words: bool, coverage: bool
    ) -> Iterator[tuple[list[Speech], DecodeStats]]:
        """One Speech per utterance, decoded in groups; and each group's counts."""
        stage, speed, said = self._stage(), tempo(speed), False

        def decode(group: Sequence[PlannedUtterance]) -> Decoded:
            return self._decode(group, options, coverage)

        planned = plan(text, self.card.longest_utterance, self.front_end)
        times, batch = self._times(text) if words else None, min(options.batch_size, _LARGEST_GROUP)
        for spoken, result in speak_whole(planned, decode, stage, speed, batch, times):
            said = said or not is_broken(result.tokens, result.stop_reasons)
            yield spoken, result.stats
        if not said:
            raise UserError(f"voice {self.card.name!r}: the model returns NaN, so its weights are damaged; get it anew")
