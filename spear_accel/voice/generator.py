"""Texts to semantic tokens with one voice: its tokenizer, its model, what drafts for it, and bounds of length.

Knows utterances one by one: neither how a long text is cut up nor how tokens sound.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

from torch import Tensor

from spear_accel.decoding import DecodeOptions, DecodeResult, Engine, Guards
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.requests import Request
from spear_accel.decoding.stats import Finished, Growth
from spear_accel.decoding.verify.grouped import groups_within
from spear_accel.decoding.verify.rules import make_verifier
from spear_accel.model import TextToSemantic
from spear_accel.text.raw import ByteTokenizer, IdTokenizer
from spear_accel.text.tokenizer import TextTokenizer

__all__ = ["UtteranceDecoder"]


class UtteranceDecoder:
    """Utterances to semantic tokens, with one voice."""

    def __init__(
        self,
        model: TextToSemantic,
        tokenizer: TextTokenizer | ByteTokenizer | IdTokenizer,
        drafting: Drafting,
        guards: Guards,
        centroids: Callable[[], Tensor] | None,
    ) -> None:
        """centroids: see `Voice`."""
        self.model, self.tokenizer, self.drafting, self.guards = model, tokenizer, drafting, guards
        self._centroids = centroids

    def texts(self, texts: Sequence[str], options: DecodeOptions) -> DecodeResult:
        """Normalised texts, each as one utterance."""
        return self.ids([self.tokenizer.encode(text) for text in texts], options)

    def ids(self, text_ids: Sequence[Sequence[int]], options: DecodeOptions) -> DecodeResult:
        """Text ids without EOS, one list per utterance."""
        engine, method = self._engine(len(text_ids), options)
        return replace(engine.decode(text_ids, units=self._characters(text_ids)), method=method)

    def requests(self, source: Callable[[], Request | None], options: DecodeOptions) -> Iterator[Finished]:
        """See `Engine.decode_requests`; of a request, text and seed count."""
        engine, _ = self._engine(options.batch_size, options)

        def measured() -> Request | None:
            request = source()
            return None if request is None else replace(request, units=self._characters([request.text])[0])

        yield from engine.decode_requests(measured)

    def growing(
        self, texts: Sequence[str], options: DecodeOptions, chunks: Sequence[int]
    ) -> Generator[Growth, None, None]:
        """Normalised texts as utterances in order, as they grow; see `Engine.decode_growing`."""
        text_ids = [self.tokenizer.encode(text) for text in texts]
        engine, _ = self._engine(len(text_ids), options)
        yield from engine.decode_growing(text_ids, self._characters(text_ids), chunks=chunks)

    def _engine(self, utterances: int, options: DecodeOptions) -> tuple[Engine, str]:
        """What decodes so many utterances, and by which method."""
        method = self.drafting.resolve(options, utterances)
        drafter, policy = self.drafting.prepare(self.model, method, options)
        groups = self._groups(options) if options.verify == "grouped" else None
        return Engine(self.model, options, self.guards, drafter, make_verifier(options, groups), policy), method

    def _characters(self, text_ids: Sequence[Sequence[int]]) -> list[int]:
        """Lengths are guarded by the characters of the text, which the ids give back."""
        size = self.tokenizer.vocab_size
        return [len(self.tokenizer.decode(token for token in ids if 0 <= token < size)) for ids in text_ids]

    def _groups(self, options: DecodeOptions) -> Tensor | None:
        """bool [V, V]; None where the voice does not know its units' centroids."""
        if self._centroids is None:
            return None
        return groups_within(self._centroids(), options.group_radius, self.model.config.vocab)
