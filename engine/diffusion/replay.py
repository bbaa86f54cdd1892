"""Passes of a network recorded once for each shape and played back: on CUDA one launch instead of a thousand.

A recording reads its inputs from buffers of its own, so that a pass is: copy the inputs there, play, copy the answer
out. What a pass makes of a text (`layers.Attention`) is made outside the recording, when another text comes. Weights
are read where they are: changed in place they are simply used; moved, the pass is recorded anew.

What records is given (`cuda_recorder`, or a stand-in), and all that is decided here is plain Python. Each recording is
compared with the network before it serves. Wherever one cannot be made or differs, the network is called as ever.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, ValuesView
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter, is_
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn

from engine.diffusion.layers import Attention

MOST = 16  # recordings of one network
AGREES = 0.01  # of its norm: how far a recording's answer may be from the network's; usually not at all
SEEN = 64  # shapes of one network that were asked for once

_place, _version = Tensor.data_ptr, attrgetter("_version")

log = logging.getLogger(__name__)

Inputs = Mapping[str, Tensor]
Pass = Callable[[Inputs], Tensor]
Shape = tuple[tuple[str, torch.Size, torch.dtype, tuple[int, ...]], ...]


class Recorded(NamedTuple):
    """A pass: where its answer is after `play`, and the bytes that it keeps for itself."""

    answer: Tensor
    play: Callable[[], object]
    nbytes: int


Recorder = Callable[[Callable[[], Tensor]], Recorded]


class Stamp(NamedTuple):
    """Where the weights of a network are, and how often those that texts are projected by were changed in place."""

    places: tuple[int, ...]
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """What a network was made of when it was last gone through, so that each pass only compares (`stamp`).

    attributes: of each module, and how many there were: a `forward` of its own is one more. parts: views of the
    dictionaries of parameters, buffers and modules; held: all that was in them, in order. functions: all hooks.
    """

    attributes: tuple[Mapping[str, object], ...]
    counts: tuple[int, ...]
    parts: tuple[ValuesView[object], ...]
    held: tuple[object, ...]
    functions: tuple[Mapping[int, object], ...]
    tensors: tuple[Tensor, ...]
    projecting: tuple[Tensor, ...]

    def stamp(self) -> Stamp | None:
        """Where the weights are; None if the network is not made of the same any more."""
        if (
            any(self.functions)
            or tuple(map(len, self.attributes)) != self.counts
            or sum(map(len, self.parts)) != len(self.held)
            or not all(map(is_, chain.from_iterable(self.parts), self.held))
        ):
            return None
        return Stamp(tuple(map(_place, self.tensors)), tuple(map(_version, self.projecting)))


class Text(NamedTuple):
    """What an attention layer keeps of the text in a recording's buffer."""

    layer: Attention
    keys: Tensor
    values: Tensor


@dataclass(slots=True, eq=False)
class Recording:
    """A pass of one network at one shape. written: the text in its buffer, and weights that keys were made with."""

    inputs: dict[str, Tensor]
    recorded: Recorded
    texts: tuple[Text, ...]
    stamp: Stamp
    written: tuple[Tensor, int] | None
    nbytes: int
    seconds: float  # that making it took

    def play(self, inputs: Inputs, stamp: Stamp) -> Tensor:
        """The answer to inputs, in memory of its own."""
        for name, buffer in self.inputs.items():
            if name != "context":
                buffer.copy_(inputs[name], non_blocking=True)
        if "context" in inputs:
            self._read(inputs["context"], stamp)
        self.recorded.play()
        return self.recorded.answer.clone()

    def _read(self, context: Tensor, stamp: Stamp) -> None:
        """Put a text into its buffer, and what is kept of it where the recording reads it, if it is another."""
        now = (context, context._version)
        same = self.written is not None and self.written[0] is context and self.written[1] == context._version
        if same and self.stamp == stamp:
            return
        buffer = self.inputs["context"]
        buffer.copy_(context, non_blocking=True)
        for layer, keys, values in self.texts:
            keys.copy_(layer.to_k(buffer))
            values.copy_(layer.to_v(buffer))
        self.written, self.stamp = now, stamp


@dataclass(slots=True, eq=False)
class Book:
    """The recordings of one network, the least lately used first; shapes met once; shapes that cannot be recorded."""

    recordings: OrderedDict[Shape, Recording]
    seen: OrderedDict[Shape, None]
    refused: set[Shape]


class Replays:
    """All recordings on one device. A holder of the ledger's: what they take is counted, and dropped like the rest.

    They share their memory, so they go together. record: makes a recording of a pass that reads the buffers. changed:
    called when memory was taken. Any thread may ask: one pass runs at a time.
    """

    def __init__(self, record: Recorder, changed: Callable[[], object] = lambda: None) -> None:
        self.age = 0.0
        self.made = 0  # recordings, since the beginning
        self._record, self._changed = record, changed
        self._passing = threading.RLock()
        self._lock = threading.Lock()  # of the books; nothing else is waited for while it is held
        self._books: WeakKeyDictionary[nn.Module, Book] = WeakKeyDictionary()
        self._structures: WeakKeyDictionary[nn.Module, Structure] = WeakKeyDictionary()
        self._at: WeakKeyDictionary[nn.Module, tuple[int, ...]] = WeakKeyDictionary()  # where its weights were then
        self._used = 0.0  # the age at which the last one was played
        self._busy = False

    def __deepcopy__(self, memo: object) -> Replays:
        """Itself: what is copied is the network that has it."""
        return self

    def ask(self, module: nn.Module, run: Pass, inputs: Inputs) -> Tensor:
        """`run(inputs)`, a pass of this network: recorded when a shape comes for the second time, then played.

        inputs: all that changes between passes, on the device; "context" is a text that `Attention` layers may keep.
        """
        with self._passing:
            unfit = torch.is_grad_enabled() or any(each.is_inference() for each in inputs.values())
            stamp = None if unfit else self._stamp(module)
            if stamp is None:
                return run(inputs)
            self._busy = True
            try:
                recording = self._recording(module, run, inputs, stamp)
                return run(inputs) if recording is None else recording.play(inputs, stamp)
            finally:
                self._busy = False

    def _stamp(self, module: nn.Module) -> Stamp | None:
        """Where the weights are; None for a network that cannot be recorded."""
        structure = self._structures.get(module)
        stamp = None if structure is None else structure.stamp()
        if stamp is not None and structure is not None and stamp.places == self._at.get(module):
            return stamp
        structure = structure_of(module)
        if structure is None:
            self._structures.pop(module, None)
            return None
        self._structures[module] = structure
        stamp = structure.stamp()
        if stamp is not None:
            self._at[module] = stamp.places
        return stamp

    def _recording(self, module: nn.Module, run: Pass, inputs: Inputs, stamp: Stamp) -> Recording | None:
        """What to play for inputs: None if their shape is new, or cannot be recorded."""
        shape = shape_of(inputs)
        with self._lock:
            book = self._books.setdefault(module, Book(OrderedDict(), OrderedDict(), set()))
            recording = book.recordings.get(shape)
            self._used = self.age
            if recording is not None and recording.stamp.places == stamp.places:
                book.recordings.move_to_end(shape)
                return recording
            if shape in book.refused or (recording is None and not _met(book, shape)):
                return None
            book.recordings.pop(shape, None)
        try:
            recording = self._made(module, run, inputs, stamp)
            _check(recording, run, inputs, stamp)
        except RuntimeError as error:  # what cannot be recorded, or no memory left: the network itself needs less
            log.warning("passes of %s at one shape are not recorded: %s", type(module).__name__, error)
            book.refused.add(shape)
            return None
        with self._lock:
            while len(book.recordings) >= MOST:
                book.recordings.popitem(last=False)
            book.recordings[shape] = recording
        self.made += 1
        self._changed()
        return recording

    def _made(self, module: nn.Module, run: Pass, inputs: Inputs, stamp: Stamp) -> Recording:
        began = time.perf_counter()
        buffers = {name: value.clone() for name, value in inputs.items()}
        recorded = self._record(lambda: run(buffers))
        texts = _texts(module, buffers.get("context"))
        own = [*buffers.values(), *(tensor for text in texts for tensor in text[1:])]
        nbytes = recorded.nbytes + sum(each.nbytes for each in own)
        return Recording(buffers, recorded, texts, stamp, None, nbytes, time.perf_counter() - began)

    # -- in the ledger ----------------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """What recordings keep for themselves: buffers, and the memory of what is between their operations."""
        return sum(each.nbytes for each in self._all())

    def cheapest(self) -> float | None:
        """What they are worth: seconds to record them again, per byte. None if there are none, or one is playing."""
        made = self._all()
        if self._busy or not made:
            return None
        return self._used + sum(each.seconds for each in made) / max(1, sum(each.nbytes for each in made))

    def drop_cheapest(self) -> int:
        """Let all go; gives their bytes."""
        nbytes = self.nbytes
        with self._lock:
            for book in self._books.values():
                book.recordings.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return nbytes

    def _all(self) -> list[Recording]:
        with self._lock:
            return [each for book in self._books.values() for each in book.recordings.values()]


def shape_of(inputs: Inputs) -> Shape:
    """What a recording is for: names, sizes, types and layouts of inputs."""
    return tuple((name, value.shape, value.dtype, value.stride()) for name, value in inputs.items())


def structure_of(module: nn.Module) -> Structure | None:
    """What a network is made of; None for one that is more than its operations, and so cannot be recorded.

    That is one whose weights pass through slots (they are placeholders, without a memory of their own), or into which
    somebody put a function.
    """
    modules = list(module.modules())
    functions = tuple(each for layer in modules for each in (layer._forward_hooks, layer._forward_pre_hooks))
    if any(functions) or any("forward" in vars(each) for each in modules):
        return None
    tensors = (*module.parameters(), *module.buffers())
    if any(tensor.numel() > 1 and 0 in tensor.stride() for tensor in tensors):
        return None
    parts = tuple(
        each.values() for layer in modules for each in (layer._parameters, layer._buffers, layer._modules) if each
    )
    texts = [layer for layer in modules if isinstance(layer, Attention) and layer.remembers]
    projecting = [weight for text in texts for layer in (text.to_k, text.to_v) for weight in layer.parameters()]
    attributes = tuple(map(vars, modules))
    return Structure(
        attributes, tuple(map(len, attributes)), parts, tuple(chain.from_iterable(parts)), functions, tensors,
        tuple(projecting),
    )


def _met(book: Book, shape: Shape) -> bool:
    """Whether a shape was asked for before: what comes once is not worth a recording."""
    if shape in book.seen:
        return True
    book.seen[shape] = None
    if len(book.seen) > SEEN:
        book.seen.popitem(last=False)
    return False


def _check(recording: Recording, run: Pass, inputs: Inputs, stamp: Stamp) -> None:
    """RuntimeError if a recording does not answer as the network does.

    It is asked for other inputs than it was made with: what was recorded as a constant does not follow them.
    """
    others = {name: value * 0.9 if value.is_floating_point() else value for name, value in inputs.items()}
    wanted, found = run(others).float(), recording.play(others, stamp).float()
    away, size = float((found - wanted).norm()), float(wanted.norm())
    if not away <= AGREES * size:  # NaN too
        raise RuntimeError(f"the recording's answer is {away:.3g} away from the network's, whose norm is {size:.3g}")


def _texts(module: nn.Module, context: Tensor | None) -> tuple[Text, ...]:
    if context is None:
        return ()
    layers = [each for each in module.modules() if isinstance(each, Attention)]
    found = [(layer, layer.kept_of(context)) for layer in layers]
    return tuple(Text(layer, kept.keys, kept.values) for layer, kept in found if kept is not None)


# -- the part that needs a GPU ---------------------------------------------------------------------------------------


def cuda_recorder(device: torch.device) -> Recorder:
    """Records by CUDA graphs, which share their memory: no two of them play at once, and answers are copied out."""
    alive: WeakSet[Any] = WeakSet()
    pool: Any = None

    def record(run: Callable[[], Tensor]) -> Recorded:
        nonlocal pool
        with torch.cuda.device(device):
            if not alive:
                pool = torch.cuda.graph_pool_handle()
            aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(aside):
                run()  # libraries choose their kernels, and texts are read, before anything is recorded
            torch.cuda.current_stream(device).wait_stream(aside)
            before = torch.cuda.memory_reserved(device)
            graph = torch.cuda.CUDAGraph()
            # other threads may copy meanwhile (weights on their way, pictures): only this one must not
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                answer = run()
            alive.add(graph)
            return Recorded(answer, graph.replay, max(0, torch.cuda.memory_reserved(device) - before))

    return record
