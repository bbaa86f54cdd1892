"""Which of PyTorch's kernels works out attention on CUDA: by head width, type, device and numbers of tokens.

`RULES` is the whole of the choice. A kernel that is not there, or refuses, is no error: the next one is taken. The
first answer of each kind is compared with plain arithmetic; if it differs PyTorch chooses for that kind, as it does
everywhere else. Nothing here has been measured: the order is from what is published of the kernels.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

HALVES = (torch.float16, torch.bfloat16)
AGREES = 0.01  # of its norm: how far the first answer may be from the plain one
LOOKED_AT = 64  # queries of the first picture's first head, by which it is judged

log = logging.getLogger(__name__)
_states: dict[tuple[int, Case], bool] = {}  # by device: whether the first answer was right
_turn = threading.Lock()  # which kernels are preferred is a setting of the whole process


class Case(NamedTuple):
    """What a choice is made by. width: of a head. capability: of the device."""

    width: int
    dtype: torch.dtype
    capability: tuple[int, int]
    queries: int
    keys: int


class Rule(NamedTuple):
    """A kernel, and when it is for a case."""

    kernel: SDPBackend
    holds: Callable[[Case], bool]


def _is_for_cudnn(case: Case) -> bool:
    """Hopper and data-centre Blackwell, where PyTorch prefers it too; elsewhere flash attention is as fast or faster.

    128: the widest head of all its versions, and what numbers of tokens have to be multiples of for those before 9.15.1
    to be right (pytorch/pytorch: sdp_utils.cpp, and pull request 171532). A text has 77 tokens, and is little work.
    """
    return (
        case.capability[0] in (9, 10) and case.dtype in HALVES and case.width <= 128
        and case.width % 8 == 0 and case.queries % 128 == 0 and case.keys % 128 == 0
    )  # fmt: skip


def _is_for_flash(case: Case) -> bool:
    """Any head up to 256 wide: PyTorch fills up those whose width is no multiple of 8."""
    return case.capability >= (8, 0) and case.dtype in HALVES and case.width <= 256


def _is_for_efficient(case: Case) -> bool:
    """Any type and device; tensor cores want rows of 16 bytes."""
    halves = case.dtype in HALVES
    if case.dtype == torch.bfloat16 and case.capability < (8, 0):
        return False
    return (halves or case.dtype == torch.float32) and case.width % (8 if halves else 4) == 0


RULES = (
    Rule(SDPBackend.CUDNN_ATTENTION, _is_for_cudnn),
    Rule(SDPBackend.FLASH_ATTENTION, _is_for_flash),
    Rule(SDPBackend.EFFICIENT_ATTENTION, _is_for_efficient),
    Rule(SDPBackend.MATH, lambda _: True),
)


@lru_cache(maxsize=512)
def preferred(case: Case) -> tuple[SDPBackend, ...]:
    """All kernels, those that are for this case first: nothing is forbidden, so that there always is one that can.

    >>> case = Case(64, torch.float16, (9, 0), 4096, 4096)
    >>> [kernel.name for kernel in preferred(case)][:2]
    ['CUDNN_ATTENTION', 'FLASH_ATTENTION']
    >>> preferred(case._replace(capability=(8, 9)))[0].name, preferred(case._replace(dtype=torch.float32))[0].name
    ('FLASH_ATTENTION', 'EFFICIENT_ATTENTION')
    """
    fit = [rule.kernel for rule in RULES if rule.holds(case)]
    return (*fit, *(rule.kernel for rule in RULES if rule.kernel not in fit))


def attention(q: Tensor, k: Tensor, v: Tensor, *, upcast: bool = False) -> Tensor:
    """Softmax attention of q (batch, heads, queries, width) over k and v (batch, heads, keys, width), like q out.

    By the kernel that is chosen on CUDA, by PyTorch's choice elsewhere. upcast: scores may exceed float16's range.
    Kernels that are chosen here keep them in float32 whatever their inputs are, so that only others need wider inputs.
    """
    case = _case(q, k)
    if case is None:
        return plain(q, k, v, upcast=upcast)
    key, order = (q.device.index or 0, case), preferred(case)
    if order[0] == SDPBackend.MATH or _states.get(key) is False:
        return plain(q, k, v, upcast=upcast)
    if key in _states:
        return _by(order, q, k, v)
    if torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():  # to judge would be to wait
        return plain(q, k, v, upcast=upcast)
    try:
        made = _by(order, q, k, v)
        away, size = _away(made, q, k, v)
        _states[key], found = away <= AGREES * size, f"its answer is {away:.3g} away"  # NaN is not
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        _states[key], found = False, str(error)
    if _states[key]:
        return made
    log.warning("attention of heads %d wide is PyTorch's choice: %s is not used, since %s", case.width, order[0], found)
    return plain(q, k, v, upcast=upcast)


def plain(q: Tensor, k: Tensor, v: Tensor, *, upcast: bool = False) -> Tensor:
    """`attention` as PyTorch chooses, in float32 if scores may exceed float16's range."""
    if upcast and q.dtype == torch.float16:
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float()).to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v)


def _case(q: Tensor, k: Tensor) -> Case | None:
    """What to choose by; None where nothing is chosen."""
    if q.device.type != "cuda" or torch.is_grad_enabled():
        return None
    return Case(q.shape[-1], q.dtype, _capability(q.device.index or 0), q.shape[-2], k.shape[-2])


@lru_cache(maxsize=64)
def _capability(index: int) -> tuple[int, int]:
    return torch.cuda.get_device_capability(index)


def _by(order: tuple[SDPBackend, ...], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    with _turn, sdpa_kernel(list(order), set_priority=True):
        return F.scaled_dot_product_attention(q, k, v)


def _away(made: Tensor, q: Tensor, k: Tensor, v: Tensor) -> tuple[float, float]:
    """How far the first rows of an answer are from what plain arithmetic gives, and how large that is."""
    scores = q[0, 0, :LOOKED_AT].float() @ k[0, 0].float().T * q.shape[-1] ** -0.5
    wanted = scores.softmax(-1) @ v[0, 0].float()
    return float((made[0, 0, :LOOKED_AT].float() - wanted).norm()), float(wanted.norm())
