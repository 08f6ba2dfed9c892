"""The engine's core: requests in at any time, tokens out as they come, any of them dropped at any time.

Knows ids, not text: normalisation, tokenizers and sound are elsewhere. Does not know how a round is run (`runner.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from itertools import count
from threading import Condition, Thread, current_thread

import torch

from spear_accel.decoding.control.base import SpeculationController
from spear_accel.decoding.control.fixed import FixedController
from spear_accel.decoding.draft.autoregressive import Autoregressive
from spear_accel.decoding.draft.base import Drafter
from spear_accel.decoding.options import DecodeOptions
from spear_accel.decoding.outputs import RequestOutput, final_output, next_output
from spear_accel.decoding.request import Request, RunningRequest, check_request
from spear_accel.decoding.runner import BatchRunner, EngineConfig
from spear_accel.decoding.scheduler import Scheduler
from spear_accel.decoding.stats import DecodeCounts
from spear_accel.decoding.stopping import StoppingCriteria
from spear_accel.decoding.tree import chain
from spear_accel.decoding.verify.base import Verifier
from spear_accel.decoding.verify.rules import make_verifier
from spear_accel.errors import UserError
from spear_accel.kernels.defaults import with_own_defaults
from spear_accel.model import TextToSemantic

__all__ = ["EngineCore"]

Sink = Callable[[RequestOutput], None]


class EngineCore:
    """One batch that requests join and leave at any time, decoded with one model, one drafter and one rule.

    `add`, `abort`, `stream` and `close` may be called by any thread, at any time. `step` and `step_until` run rounds,
    one thread at a time: any other thread that calls them waits its turn, and finds there what the first has decoded
    for it. After `start` a thread of the engine's own runs all rounds, and callers only wait. What an engine learns
    about acceptance and times, and its caches, stay from request to request.
    """

    def __init__(
        self,
        model: TextToSemantic,
        options: DecodeOptions | None = None,
        stopping: StoppingCriteria | None = None,
        drafter: Drafter | None = None,
        verifier: Verifier | None = None,
        controller: SpeculationController | None = None,
    ) -> None:
        """Defaults: default options and stopping criteria, no draft, the rule of the options, the longest drafts."""
        options, drafter = options or DecodeOptions(), drafter or Autoregressive()
        self.config = EngineConfig(
            model=model.eval(),
            options=options,
            stopping=stopping or StoppingCriteria(),
            drafter=drafter,
            verifier=verifier or make_verifier(options),
            controller=controller or FixedController(chain(drafter.longest)),
        )
        self.closed = False
        self._scheduler = Scheduler(options.batch_size)
        self._runner: BatchRunner | None = None
        self._requests: dict[Hashable, tuple[RunningRequest, Sink | None]] = {}
        self._numbers = count()
        self._outputs: list[RequestOutput] = []
        self._turn = Condition()
        self._stepping = False
        self._thread: Thread | None = None

    @property
    def unfinished(self) -> int:
        """Requests that are neither finished nor aborted."""
        return len(self._requests)

    @property
    def serving(self) -> bool:
        """Whether a thread of the engine's own runs the rounds."""
        return self._thread is not None

    @property
    def free_rows(self) -> int:
        """Rows of the batch that no request holds or waits for."""
        with self._turn:
            return max(0, self.config.options.batch_size - len(self._requests))

    def add(
        self, request: Request, sink: Sink | None = None, counts: DecodeCounts | None = None, index: int | None = None
    ) -> Hashable:
        """Queue a request; it joins the batch in the next step that finds a row free.

        Args:
            request: What to decode.
            sink: Takes the request's outputs instead of `step`; it is called by the thread that steps.
            counts: Sums of the call that the request belongs to; its own by default.
            index: Number of the request in outputs and messages; by default how many the engine was given before.

        Returns:
            The request's id.

        Raises:
            UserError: The engine is closed, the id is in use, or the request cannot be decoded (see `check_request`).
                The requests before and behind it are not touched.
        """
        number = next(self._numbers)
        config = self.config
        own = index if index is not None else number
        running = check_request(config.model.config, request, config.options, config.stopping, own)
        if counts is not None:
            running.counts = counts
        with self._turn:
            if self.closed:
                raise UserError("the engine is closed and takes no more requests; make another")
            if request.id is None:
                running.id = number
                while running.id in self._requests:
                    running.id = next(self._numbers)
            if running.id in self._requests:
                raise UserError(f"request id {running.id!r} is in use; wait for its end or choose another")
            self._requests[running.id] = (running, sink)
            self._scheduler.waiting.append(running)
            self._turn.notify_all()
        return running.id

    def abort(self, id: Hashable) -> None:
        """Drop a request. Its last output has the stop reason "aborted"; its row is free from the next step on.

        Raises:
            UserError: No such request; it may have finished.
        """
        with self._turn:
            running, sink = self._find(id)
            self._drop(running, sink, "aborted")

    def stream(self, id: Hashable, chunks: Sequence[int] = (1,)) -> None:
        """From here on hand over the tokens of a request while they grow; chunks: see `Request.stream`.

        Raises:
            UserError: No such request; it may have finished.
        """
        with self._turn:
            running, _ = self._find(id)
            running.stream = tuple(chunks)
            # A round that is being run hands them over itself.
            if not self._stepping:
                self._hand_over(running)

    def step(self) -> list[RequestOutput]:
        """One round of all live rows, new ones included.

        Returns:
            New tokens and ends of the requests without a sink. Nothing if no request waits or lives.
        """
        self._take_turn(lambda: self._thread is not None and bool(self._outputs or not self._requests))
        with self._turn:
            outputs, self._outputs = self._outputs, []
        return outputs

    def step_until(self, ready: Callable[[], bool]) -> None:
        """Run rounds until `ready` says so, or let another thread run them that is at it already."""
        while not ready():
            self._take_turn(ready)

    def start(self) -> None:
        """Run rounds in a thread of the engine's own, until it is closed: for servers, whose callers come and go.

        A thread keeps the memory and the helper threads of what it has computed, so many threads that take turns would
        keep as many times as much.
        """
        with self._turn:
            if self._thread is None and not self.closed:
                self._thread = Thread(target=self._serve, args=(torch.get_num_threads(),), daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Abort all requests and take no more."""
        with self._turn:
            self.closed = True
            for running, sink in list(self._requests.values()):
                self._drop(running, sink, "aborted")
            self._turn.notify_all()

    def _serve(self, threads: int) -> None:
        """The life of the engine's own thread."""
        torch.set_num_threads(threads)
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._requests or self.closed)
                if self.closed:
                    return
            # Whoever waits for a request learns of the error by its output.
            with suppress(Exception):
                self._take_turn(lambda: False)

    def _find(self, id: Hashable) -> tuple[RunningRequest, Sink | None]:
        if id not in self._requests:
            raise UserError(f"no request {id!r} is waiting or being decoded; it is unknown, finished or aborted")
        return self._requests[id]

    def _take_turn(self, ready: Callable[[], bool]) -> None:
        """Run one round, unless another thread's round brings what this one waits for."""
        with self._turn:
            mine = self._thread is None or self._thread is current_thread()
            self._turn.wait_for(lambda: ready() or (mine and not self._stepping))
            if ready():
                return
            self._stepping = True
        try:
            self._step()
        except BaseException as error:
            # A round that was broken off leaves caches and rows out of step.
            self._break_off(error)
            raise
        finally:
            with self._turn:
                self._stepping = False
                self._turn.notify_all()

    @torch.inference_mode()
    @with_own_defaults
    def _step(self) -> None:
        with self._turn:
            order, _ = self._scheduler.retire()
            left = self._runner is not None and len(order) < len(self._runner.rows)
            new = self._scheduler.admit()
        if self._runner is None:
            if not new:
                return
            self._runner = BatchRunner(self.config)
        runner = self._runner
        if left:
            runner.select(order)
        if new:
            runner.admit(new)
        if not runner.rows:
            return
        runner.round()
        with self._turn:
            order, ended = self._scheduler.retire()
            if len(order) < len(runner.rows):
                runner.select(order)
            for row in [*ended, *self._scheduler.rows]:
                self._hand_over(row)

    def _hand_over(self, row: RunningRequest) -> None:
        """Give what is new of a live or ended request to whoever takes its outputs."""
        known, sink = self._requests.get(row.id, (None, None))
        if known is not row or (output := next_output(row)) is None:
            return
        if output.finished:
            del self._requests[row.id]
        self._give(output, sink)

    def _give(self, output: RequestOutput, sink: Sink | None) -> None:
        if sink is None:
            self._outputs.append(output)
        else:
            sink(output)

    def _drop(self, running: RunningRequest, sink: Sink | None, stop_reason: str) -> None:
        """End a request before its time. A live row leaves the batch in the next step."""
        del self._requests[running.id]
        running.aborted = True
        if running in self._scheduler.waiting:
            self._scheduler.waiting.remove(running)
        self._give(final_output(running, stop_reason), sink)
        self._turn.notify_all()

    def _break_off(self, error: BaseException) -> None:
        """End all requests with an error, and the engine."""
        with self._turn:
            self.closed = True
            self._scheduler.rows, self._runner = [], None
            for running, sink in list(self._requests.values()):
                running.error = f"utterance {running.index}: decoding was broken off ({type(error).__name__}: {error})"
                self._drop(running, sink, "error")
