"""A node is a plain annotated function; its specification is read from the signature and the docstring.

>>> @node("Add", category="arithmetic")
... def add(*, a: Annotated[int, Range(0, 9)] = 1, b: int) -> int:
...     '''Add two whole numbers.
...
...     a: The first one.
...     '''
...     return a + b
>>> add.spec.inputs[0].maximum, add.spec.inputs[0].tooltip, add.spec.outputs[0].kind
(9, 'The first one.', 'INT')
>>> add(a=1, b=2)
3
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, ParamSpec, Protocol, TypeVar, Union, get_args, get_origin

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from engine.diffusion.checkpoint import Component, Weights
    from engine.diffusion.prompt import EmbeddingLookup
    from engine.diffusion.sampling import Sampled, Sampling
    from engine.graph.types import Clip, Model, Vae

P = ParamSpec("P")
R = TypeVar("R")

WIDGETS = {int: "INT", float: "FLOAT", str: "STRING", bool: "BOOLEAN"}
LANES: Mapping[str, int] = {"device": 1, "cpu": 3, "io": 1, "packs": 1}
"""Lane → how many nodes run on it at once. A device has one owner; files are numbered in one order; what packs are made
of was written for nodes that run one after another."""


# -- choices: what a combo box offers ----------------------------------------------------------------------------


class Fixed(msgspec.Struct, frozen=True, tag="fixed"):
    """A fixed list of values."""

    values: tuple[str | int | float | bool, ...]


class Files(msgspec.Struct, frozen=True, tag="files"):
    """The files of one or more folders, listed anew at each request. ``upload`` names a kind of file to upload."""

    folder: str
    upload: str | None = None


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Values that only the worker can tell (custom packs)."""


Choices = Fixed | Files | Ask


# -- the specification, as data: what the server knows of a node -------------------------------------------------


class InputSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input. ``kind`` is its socket type; a union is comma-separated and ``*`` takes anything."""

    name: str
    kind: str
    required: bool = True
    default: Any = msgspec.UNSET
    minimum: int | float | None = None
    maximum: int | float | None = None
    step: int | float | None = None
    round: float | None = None
    choices: Choices | None = None
    lazy: bool = False
    link_only: bool = False
    raw_link: bool = False
    hidden: bool = False  # only an expansion fills it in
    unchecked: bool = False  # the node checks bounds and choices itself
    tooltip: str = ""
    options: Mapping[str, Any] = msgspec.field(default_factory=dict)  # sent to the browser as they are
    parameter: str = ""  # the Python name, where it differs from the input's

    @property
    def widget(self) -> bool:
        """Whether a value can be typed in, so that it stands in ``widgets_values`` of a saved workflow."""
        return not self.link_only and not self.hidden and (self.kind in WIDGET_KINDS or self.choices is not None)


WIDGET_KINDS = frozenset(WIDGETS.values()) | {"COMBO"}


class OutputSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One output."""

    name: str
    kind: str
    is_list: bool = False
    tooltip: str = ""


class NodeSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that can be known of a node without running it.

    hidden: parameter name → ``PROMPT``, ``EXTRA_PNGINFO``, ``UNIQUE_ID`` or ``DYNPROMPT``.
    version: part of the recipe key; raise it when the node's result changes.
    changed: the node has a token that says whether the world outside changed.
    others: inputs that are not declared: ``links`` are passed on, ``all`` (values too), or nothing.
    unchecked_types: the node checks the types of its links itself.
    checks: the node checks its inputs with code of its own; the worker is asked when a workflow is posted.
    """

    class_type: str
    display_name: str
    category: str = ""
    description: str = ""
    module: str = ""
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    hidden: Mapping[str, str] = msgspec.field(default_factory=dict)
    output_node: bool = False
    whole_lists: bool = False
    version: int = 1
    changed: bool = False
    lane: str = "cpu"
    deprecated: bool = False
    experimental: bool = False
    others: str = ""
    unchecked_types: bool = False
    checks: bool = False

    def input(self, name: str) -> InputSpec | None:
        """Find an input by name."""
        return next((each for each in self.inputs if each.name == name), None)


# -- annotations -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number, its step in the form, and what it is rounded to."""

    minimum: int | float | None = None
    maximum: int | float | None = None
    step: int | float | None = None
    round: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a fixed list. The form shows the first unless there is a default."""

    values: Sequence[str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Name:
    """The input's name in files, where Python cannot spell it."""

    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """How a text is edited."""

    multiline: bool = False
    dynamic_prompts: bool = False


@dataclass(frozen=True, slots=True)
class ControlAfterGenerate:
    """The browser may change the number after each run (seeds)."""


@dataclass(frozen=True, slots=True)
class Lazy:
    """Evaluated only if the node's ``lazy`` function asks for it; None until then."""


@dataclass(frozen=True, slots=True)
class RawLink:
    """The function gets the ``Link`` itself, to build an expansion on; what it leads to is not run for that."""


@dataclass(frozen=True, slots=True)
class Inner:
    """Only an expansion fills it in; nobody sees it in the form. The annotation is ``X | None``, the default None."""


@dataclass(frozen=True, slots=True)
class LinkOnly:
    """A number or text that comes by wire only."""


@dataclass(frozen=True, slots=True)
class Omittable:
    """The input may be left out, and has its default then: optional in the protocol, with a widget."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """Shown only to those who ask for more."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the form shows for an input that may be left out: the function gets None then and takes the same."""

    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Hidden:
    """Filled in by the engine."""

    kind: str


Prompt = Annotated[Mapping[str, Any] | None, Hidden("PROMPT")]
ExtraPngInfo = Annotated[Mapping[str, Any] | None, Hidden("EXTRA_PNGINFO")]
UniqueId = Annotated[str, Hidden("UNIQUE_ID")]
DynPrompt = Annotated[Any, Hidden("DYNPROMPT")]


class Cancelled(Exception):  # noqa: N818 - it is no error
    """The job was cancelled; raised in a node's thread from ``context.progress``."""


@dataclass(frozen=True, slots=True)
class Ui:
    """What an output node shows, such as ``{"images": [{"filename", "subfolder", "type"}]}``.

    files: the files that were written for it, so that a later run can tell whether they are still there.
    result: the outputs of a node that has both.
    """

    values: Mapping[str, Sequence[Any]]
    files: tuple[Path, ...] = ()
    result: tuple[Any, ...] = ()


class Context(Protocol):
    """What the engine offers to a running node; asked for by a first parameter named ``context``."""

    def progress(self, value: float, total: float, preview: Callable[[], bytes] | None = None) -> None:
        """Report progress; raises ``Cancelled`` if the job was cancelled. ``preview`` makes a JPEG if one is wanted."""

    def send_images(self, images: Any) -> None:
        """Send pictures (batch, h, w, 3 or 4) to the client itself, as PNG; nothing is written."""

    def warn(self, message: str) -> None:
        """Say something to the user that is no error."""

    def file(self, folder: str, name: str) -> Path:
        """Find a file that a ``Files`` input names; raises ``FileNotFoundError`` naming both."""

    def save_images(
        self, images: Any, *, prefix: str, kind: str, prompt: Mapping[str, Any] | None,
        extra: Mapping[str, Any] | None, compress_level: int,
    ) -> Ui:
        """Write pictures as PNG with their recipe into the folder ``kind`` (``output`` or ``temp``)."""

    def save_files(
        self, contents: Sequence[bytes | Callable[[Path], None]], *, prefix: str, extension: str, kind: str,
        shown: str,
    ) -> Ui:
        """Write files into the folder ``kind`` and show them under ``shown``; named and numbered as pictures are.

        Large ones are given as functions that write to a path.
        """

    def open_checkpoint(self, folder: str, name: str) -> tuple[Model, Clip | None, Vae | None]:
        """Describe the models in a checkpoint file; nothing is loaded yet."""

    def sample(self, model: Model, sampling: Sampling) -> Sampled:
        """Run a sampler on the model with its patches, reporting each step."""

    def storage(self, component: Component) -> torch.dtype:
        """The type that the weights of a component (``unet``, ``vae``, ``text``) are kept in."""

    def text_encoder(self, clip: Clip) -> Any:
        """Have the text encoder in memory, ready to run."""

    def embeddings(self, clip: Clip) -> EmbeddingLookup:
        """Find what ``embedding:name`` in a prompt means for a text encoder; warn of an unknown name."""

    def autoencoder(self, vae: Vae) -> Any:
        """Have the autoencoder in memory, ready to run."""

    def decode(self, vae: Vae, latent: torch.Tensor) -> torch.Tensor:
        """Turn a latent (batch, z, h, w) into pictures (batch, f·h, f·w, 3), as memory allows."""

    def encode(self, vae: Vae, pixels: torch.Tensor) -> torch.Tensor:
        """Turn pictures (batch, h, w, 3) into a latent (batch, z, h/f, w/f), as memory allows."""

    def companion(self, weights: Weights) -> Any:
        """Have a network beside the model in memory, ready to run: an image encoder, depth, an upscaler."""


class Node(Generic[P, R]):
    """A function with its specification. Calling it calls the function, so tests need no engine.

    changed: called with the literals; what it returns becomes part of the recipe key.
    check: called with the literals, and None for what is linked, when a workflow is posted and again when it runs;
        returns what is wrong with them, or None.
    lazy: called with what is known so far; returns the names of lazy inputs that are needed. May be async.
    """

    def __init__(
        self, spec: NodeSpec, function: Callable[P, R], *,
        changed: Callable[..., object] | None = None, lazy: Callable[..., Any] | None = None,
        takes_context: bool = False, check: Callable[..., str | None] | None = None,
    ) -> None:
        self.spec = spec
        self.function = function
        self.changed = changed
        self.check = check
        self.lazy = lazy
        self.takes_context = takes_context
        self.is_async = inspect.iscoroutinefunction(function)
        self.parameters = {each.name: each.parameter or each.name for each in spec.inputs}
        self.lazy_is_async = inspect.iscoroutinefunction(lazy)
        self.raw = frozenset(each.name for each in spec.inputs if each.raw_link)
        self.lazy_names = frozenset(each.name for each in spec.inputs if each.lazy) - self.raw
        # linked inputs that are not evaluated beforehand; a raw link is passed on as it is
        self.deferred = self.raw | self.lazy_names
        self.sees_graph = "DYNPROMPT" in spec.hidden.values() or bool(self.raw)
        self.__doc__ = function.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function."""
        return self.function(*args, **kwargs)

    def function_for(self, node_id: str) -> Callable[..., Any]:
        """The function to call for one node of a graph; classes keep an instance for each."""
        return self.function

    def lazy_for(self, node_id: str) -> Callable[..., Any] | None:
        """The function that says which lazy inputs one node of a graph needs."""
        return self.lazy

    def token(self, literals: Mapping[str, Any], links: Iterable[str]) -> object:
        """What says whether the world outside changed, or None if the node has no such thing."""
        return self.changed(**literals) if self.changed else None

    def complaint(self, literals: Mapping[str, Any], links: Mapping[str, str]) -> str | None:
        """What the node itself finds wrong with its inputs, before the job begins; ``links``: input → type."""
        return self.check(**{**literals, **dict.fromkeys(links)}) if self.check else None

    def __repr__(self) -> str:
        """Name the class."""
        return f"<node {self.spec.class_type}>"


def node(
    class_type: str, *, category: str, display_name: str | None = None, output: bool = False, version: int = 1,
    lane: str = "cpu", deprecated: bool = False, experimental: bool = False,
    changed: Callable[..., object] | None = None, lazy: Callable[..., Any] | None = None,
    returns: Sequence[str] | None = None, check: Callable[..., str | None] | None = None,
) -> Callable[[Callable[P, R]], Node[P, R]]:
    """Make a node of a function; ``returns`` names the outputs where the type's name will not do.

    Raises TypeError that names the parameter if an annotation is missing or means nothing to the engine.
    """
    if lane not in LANES:
        raise ValueError(f"node {class_type}: no lane is called {lane!r}; lanes are {', '.join(LANES)}")

    def wrap(function: Callable[P, R]) -> Node[P, R]:
        hints = _hints(class_type, function)
        description, tooltips = _read_docstring(function)
        parameters = list(inspect.signature(function).parameters.values())
        takes_context = bool(parameters) and parameters[0].name == "context"
        inputs: list[InputSpec] = []
        hidden: dict[str, str] = {}
        listed: set[bool] = set()
        others = ""
        for parameter in parameters[takes_context:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                others = "links"
                continue
            place = f"node {class_type}: parameter {parameter.name}"
            if parameter.name not in hints:
                raise TypeError(f"{place} has no annotation; its type says what may be connected")
            marks = _marks(hints[parameter.name])
            if mark := _one(marks, Hidden):
                hidden[parameter.name] = mark.kind
                continue
            entry, is_list = _read_input(place, parameter, hints[parameter.name], tooltips.get(parameter.name, ""))
            inputs.append(entry)
            listed.add(is_list)
        if listed == {True, False}:
            raise TypeError(f"node {class_type}: either all inputs are list[...] or none is: whole lists come together")
        outputs, is_ui = _read_outputs(class_type, hints.get("return", _MISSING), returns)
        spec = NodeSpec(
            class_type=class_type, display_name=display_name or class_type, category=category, description=description,
            module=function.__module__, inputs=tuple(inputs), outputs=outputs, hidden=hidden,
            output_node=output or is_ui, whole_lists=listed == {True}, version=version, changed=changed is not None,
            lane=lane, deprecated=deprecated, experimental=experimental, others=others, checks=check is not None,
        )
        return Node(spec, function, changed=changed, lazy=lazy, takes_context=takes_context, check=check)

    return wrap


# -- reading a signature -----------------------------------------------------------------------------------------

_MISSING = object()
M = TypeVar("M")


def _hints(class_type: str, function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"node {class_type}: {error}; import the type outside of TYPE_CHECKING") from error


def _marks(annotation: Any) -> tuple[Any, ...]:
    return tuple(annotation.__metadata__) if get_origin(annotation) is Annotated else ()


def _bare(annotation: Any) -> Any:
    return annotation.__origin__ if get_origin(annotation) is Annotated else annotation


def _one(marks: Sequence[Any], kind: type[M]) -> M | None:
    return next((mark for mark in marks if isinstance(mark, kind)), None)


def _socket(annotation: Any) -> str | None:
    """The socket type of an annotation, or None if it has no meaning on a wire."""
    annotation = _bare(annotation)
    if annotation is Any:
        return "*"
    if annotation in WIDGETS:
        return WIDGETS[annotation]
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [_socket(part) for part in get_args(annotation)]
        return None if None in parts else ",".join(typing.cast("list[str]", parts))
    socket = getattr(annotation, "socket", None)
    return socket if isinstance(socket, str) else None


def _without_none(annotation: Any) -> tuple[Any, bool]:
    bare = _bare(annotation)
    if get_origin(bare) in (Union, types.UnionType) and type(None) in get_args(bare):
        rest = tuple(part for part in get_args(bare) if part is not type(None))
        return Union[rest], True  # noqa: UP007 - made at run time
    return bare, False


def _read_input(place: str, parameter: inspect.Parameter, annotation: Any, tooltip: str) -> tuple[InputSpec, bool]:
    marks = _marks(annotation)
    bare, optional = _without_none(annotation)
    is_list = get_origin(bare) is list
    kind = _socket(get_args(bare)[0] if is_list else bare)
    if kind is None:
        raise TypeError(f"{place} is annotated {annotation!r}, which is no socket type; see engine.graph.types")
    if _one(marks, Inner) and not optional:
        raise TypeError(f"{place} is filled in by expansions only, so it has to be X | None = None")
    if optional and parameter.default is not None:
        raise TypeError(f"{place} may be None, so its default has to be None: that makes the input optional")
    if _one(marks, Omittable) and parameter.default is inspect.Parameter.empty:
        raise TypeError(f"{place} may be left out, so it has to have a default")
    span = _one(marks, Range) or Range()
    text = _one(marks, Text)
    choices: Choices | None = _one(marks, Files)
    if choice := _one(marks, Choice):
        choices = Fixed(tuple(choice.values))
    options: dict[str, Any] = {}
    if text and text.multiline:
        options["multiline"] = True
    if text and text.dynamic_prompts:
        options["dynamicPrompts"] = True
    if _one(marks, ControlAfterGenerate):
        options["control_after_generate"] = True
    if _one(marks, Advanced):
        options["advanced"] = True
    if isinstance(choices, Files) and choices.upload:
        options[f"{choices.upload}_upload"] = True
        if choices.folder == "output":
            options["image_folder"] = "output"
    default = parameter.default
    if shown := _one(marks, Shown):
        default = shown.value
    if is_list and isinstance(default, list) and len(default) == 1:
        default = default[0]  # the form has one value; the function gets the list of it
    name = _one(marks, Name)
    spec = InputSpec(
        name=name.name if name else parameter.name, kind="COMBO" if choices else kind,
        required=not optional and _one(marks, Omittable) is None,
        default=msgspec.UNSET if default is inspect.Parameter.empty or default is None else default,
        minimum=span.minimum, maximum=span.maximum, step=span.step, round=span.round, choices=choices,
        lazy=_one(marks, Lazy) is not None, raw_link=_one(marks, RawLink) is not None,
        link_only=_one(marks, LinkOnly) is not None, hidden=_one(marks, Inner) is not None,
        tooltip=tooltip, options=options,
        parameter=parameter.name if name else "",
    )
    return spec, is_list


def _read_outputs(
    class_type: str, annotation: Any, returns: Sequence[str] | None
) -> tuple[tuple[OutputSpec, ...], bool]:
    """The outputs, and whether the function returns something to show."""
    annotation = _without_other_ways(annotation)
    if annotation is _MISSING:
        raise TypeError(f"node {class_type}: the return annotation is missing; it says what comes out")
    if annotation in (None, type(None)):
        return (), False
    if annotation is Ui:
        return (), True
    named = isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields")
    fields = typing.get_type_hints(annotation, include_extras=True) if named else {"": annotation}
    outputs = []
    for index, (name, kind) in enumerate(fields.items()):
        bare, _ = _without_none(kind)
        is_list = get_origin(bare) is list
        socket = _socket(get_args(bare)[0] if is_list else bare)
        if socket is None:
            raise TypeError(f"node {class_type}: output {name or index} is annotated {kind!r}, which is no socket type")
        mark = _one(_marks(kind), Name)
        label = returns[index] if returns else mark.name if mark else socket
        outputs.append(OutputSpec(name=label, kind=socket, is_list=is_list))
    return tuple(outputs), False


def _without_other_ways(annotation: Any) -> Any:
    """What a function returns when it makes values itself: ``int | Expand | Blocker`` is ``int``."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    rest = tuple(part for part in get_args(annotation) if getattr(part, "__name__", "") not in ("Expand", "Blocker"))
    return Union[rest] if rest else annotation  # noqa: UP007 - made at run time


def _read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The text up to the first ``name: …`` line, and those lines, which may go on indented."""
    names = set(inspect.signature(function).parameters)
    description: list[str] = []
    tooltips: dict[str, str] = {}
    current: str | None = None
    for line in inspect.cleandoc(function.__doc__ or "").splitlines():
        match = re.match(r"(\w+): (.*)", line)
        if match and match[1] in names:
            current = match[1]
            tooltips[current] = match[2].strip()
        elif current and line.startswith(" "):
            tooltips[current] += " " + line.strip()
        elif current is None:
            description.append(line)
    return "\n".join(description).strip(), tooltips
