"""Texts to semantic tokens with one voice: its tokenizer, its model, what drafts for it, and bounds of length.

Keeps the engines that it has made: what an engine has learned about acceptance and times serves the next call, and
calls of several threads share a batch. Knows utterances one by one: neither how a long text is cut up nor how tokens
sound.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from threading import Lock

from torch import Tensor

from spear_accel.decoding import DecodeOptions, DecodeResult, Engine, Request, RequestOutput, StoppingCriteria
from spear_accel.decoding.methods import Drafting
from spear_accel.decoding.verify.rules import make_verifier
from spear_accel.kernels.threads import survive_forks
from spear_accel.model import TextToSemantic
from spear_accel.text.tokenizers import AnyTokenizer

__all__ = ["SemanticGenerator"]

_MOST_ENGINES = 4
"""Kept with their caches: methods and batch sizes that a program goes back and forth between."""


class SemanticGenerator:
    """Utterances to semantic tokens, with one voice. May be called by several threads at once."""

    def __init__(
        self,
        model: TextToSemantic,
        tokenizer: AnyTokenizer,
        drafting: Drafting,
        stopping: StoppingCriteria,
        centroids: Callable[[], Tensor] | None,
    ) -> None:
        """centroids: see `Voice`."""
        self.model, self.tokenizer, self.drafting, self.stopping = model, tokenizer, drafting, stopping
        self._centroids = centroids
        self._engines: OrderedDict[DecodeOptions, Engine] = OrderedDict()
        self._choosing = Lock()
        self._process = os.getpid()
        survive_forks()

    def texts(self, texts: Sequence[str], options: DecodeOptions) -> DecodeResult:
        """Normalised texts, each as one utterance."""
        return self.decode([self.request(text, options) for text in texts], options)

    def ids(self, text_ids: Sequence[Sequence[int]], options: DecodeOptions) -> DecodeResult:
        """Text ids without EOS, one list per utterance."""
        return self.decode([self._fill(Request(ids), options) for ids in text_ids], options)

    def request(self, text: str, options: DecodeOptions) -> Request:
        """A request for one utterance of normalised text."""
        return self._fill(Request(self.tokenizer.encode(text), text_length=len(text)), options)

    def requests(self, source: Callable[[], Request | None], options: DecodeOptions) -> Iterator[RequestOutput]:
        """See `Engine.decode_requests`; what a request leaves open, the options say."""
        engine, _ = self.engine(options.batch_size, options)

        def filled() -> Request | None:
            request = source()
            return None if request is None else self._fill(request, options)

        yield from engine.decode_requests(filled)

    def growing(
        self, texts: Sequence[str], options: DecodeOptions, chunks: Sequence[int]
    ) -> Generator[RequestOutput, None, None]:
        """Normalised texts as utterances in order, as they grow; see `Engine.decode_growing`."""
        engine, _ = self.engine(len(texts), options)
        yield from engine.decode_growing([self.request(text, options) for text in texts], chunks=chunks)

    def engine(self, utterances: int, options: DecodeOptions) -> tuple[Engine, str]:
        """The engine that decodes so many utterances under these options, and its method.

        One engine serves all options that differ in what a request says for itself: sampling, seed and bounds.
        Raises UserError if the voice cannot decode in this way.
        """
        method = self.drafting.resolve(options, utterances)
        key = _of_engine(options, method)
        if self._process != os.getpid():
            # A forked child: threads that may have been in the middle of a round are not in it.
            self._engines, self._choosing, self._process = OrderedDict(), Lock(), os.getpid()
        with self._choosing:
            engine = self._engines.get(key)
            if engine is None or engine.closed:
                engine = self._engines[key] = self._make(key, method)
            self._engines.move_to_end(key)
            idle = [
                other for other, held in self._engines.items() if not (held.unfinished or held.serving or other == key)
            ]
            for other in idle[: max(0, len(self._engines) - _MOST_ENGINES)]:
                del self._engines[other]
            return engine, method

    def _make(self, options: DecodeOptions, method: str) -> Engine:
        drafter, controller = self.drafting.prepare(self.model, method, options)
        verifier = make_verifier(options, self._centroids, self.model.config.vocab)
        return Engine(self.model, options, self.stopping, drafter, verifier, controller)

    def decode(self, requests: Sequence[Request], options: DecodeOptions) -> DecodeResult:
        """Requests that `request` made, as one call."""
        engine, method = self.engine(len(requests), options)
        return replace(engine.decode(requests), method=method)

    def _fill(self, request: Request, options: DecodeOptions) -> Request:
        """The request with what it leaves open: its own length in characters, and the options of the call."""
        length = request.text_length
        return replace(
            request,
            text_length=self._characters(request.text) if length is None else length,
            seed=options.seed if request.seed is None else request.seed,
            sampling=request.sampling or options.sampling,
            max_tokens=options.max_tokens if request.max_tokens is None else request.max_tokens,
            loop_retries=options.loop_retries if request.loop_retries is None else request.loop_retries,
        )

    def _characters(self, ids: Sequence[int]) -> int:
        """Lengths are bounded by the characters of the text, which the ids give back."""
        size = self.tokenizer.vocab_size
        return len(self.tokenizer.decode(token for token in ids if 0 <= token < size))


def _of_engine(options: DecodeOptions, method: str) -> DecodeOptions:
    """The options without what every request says for itself; whether noise is used at all stays, for drafts."""
    plain = DecodeOptions()
    return replace(
        options,
        method=method,
        temperature=0.0 if options.temperature == 0.0 else plain.temperature,
        top_k=plain.top_k,
        top_p=plain.top_p,
        repetition_penalty=plain.repetition_penalty,
        repetition_window=plain.repetition_window,
        seed=plain.seed,
        max_tokens=plain.max_tokens,
        loop_retries=plain.loop_retries,
    )
