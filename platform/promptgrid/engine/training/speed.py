"""Shortcuts of a step, chosen by measurement while a program runs; unasked, a CPU always computes in plain fp32.

A step on a GPU is some thousand small kernels, and Python takes longer to launch them than the GPU to run them, unless
a pack is large. So steps are captured as one CUDA graph: the same kernels on the same numbers, launched at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_unflatten

from promptgrid.contract.method import Params
from promptgrid.engine.training.bf16_units import bf16_units
from promptgrid.engine.training.halves import towers_in

GAIN = 0.9
"""A shortcut is taken when a step takes at most this share of its time without it."""
WORTH_COMPILING = 300.0
"""Seconds of training left below which torch.compile, which takes minutes itself, is not tried."""
WORTH_ASKING = 200
"""Steps left below which nothing is measured again."""
WORTH_CAPTURING = 40
"""Steps left below which no CUDA graph is made: that takes about ten steps."""
COPIES = {torch.ops.aten._to_copy, torch.ops.aten.copy_}
WARM = 2
"""Steps as they are before one is captured: what is computed once and kept has to be there."""
REPEATS = 3
LONG = 2.0
"""Seconds behind which a step is not repeated once more to be timed."""
Half = Literal["bf16", "fp16"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
ALIKE = {None: 1e-3, "bf16": 5e-2, "fp16": 5e-2}
"""How far a compiled step may be from the plain one, as a share of each cell's largest number in a tensor."""
FAINT = 1e-3
"""A tensor whose gradient is nothing but rounding may stray by this share more of the cell's largest gradient."""
Found = tuple[Tensor, Params]
"""Losses (A,) and gradients, each (A, ...)."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Speed:
    """How the gradients of a step are computed. Its text goes into the provenance.

    ``note`` says why half precision, though asked for, was not taken.
    """

    autocast: Half | None = None
    compiled: bool = False
    captured: bool = False
    note: str = field(default="", compare=False)

    def __str__(self) -> str:
        names = (
            (f"{self.autocast} autocast", self.autocast),
            ("compiled", self.compiled),
            ("CUDA graph", self.captured),
            (self.note, self.note),
        )
        return ", ".join(name for name, on in names if on)

    def of(self, step: Callable[..., Found], device: torch.device) -> Callable[..., Found]:
        """``step`` computed this way on ``device``."""
        cast = step if self.autocast is None else _cast(step, device, DTYPES[self.autocast])
        if self.captured:
            return _Captured(cast, device)
        return _Compiled(cast) if self.compiled else cast

    @property
    def as_it_is(self) -> Speed:
        """The same arithmetic, neither compiled nor captured."""
        return replace(self, compiled=False, captured=False)


def _cast(step: Callable[..., Found], device: torch.device, dtype: torch.dtype) -> Callable[..., Found]:
    """On a GPU the whole step; on a CPU its towers: autocast there would round logits of 30 and their losses too."""

    def cast(*args: Any) -> Found:
        with torch.autocast(device.type, dtype) if device.type == "cuda" else towers_in(dtype):
            return step(*args)

    return cast


class _Compiled:
    """A step as compiled kernels, backward pass and all.

    It is run once to write down what it does to tensors, which is what the compiler gets: looking frozen texts up,
    or packing cells by ``vmap``, is Python that the compiler would break the step at. A step that draws outside of
    tensors (a dropout mask from its cell's seed) cannot be written down and fails.
    """

    def __init__(self, step: Callable[..., Found]) -> None:
        self._step = step
        self._made: dict[tuple[Any, ...], Callable[..., Found]] = {}

    def __call__(self, *args: Any) -> Found:
        sizes = tuple(leaf.shape if isinstance(leaf, Tensor) else leaf for leaf in tree_leaves(args))
        if sizes not in self._made:
            self._made[sizes] = torch.compile(make_fx(lambda *given: self._step(*given))(*args))
        with torch.no_grad():
            return self._made[sizes](*args)


class NotRepeatable(RuntimeError):
    """A step does something that would be the same for ever once it was captured, or that cannot be captured."""


class Repeatable(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's stub
    """Watches a step, and raises :class:`NotRepeatable` where it draws, or tells Python or another device a value."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags and not _drops_nothing(func, args, kwargs or {}):
            raise NotRepeatable(f"it draws random numbers ({func})")
        by_mask = any(isinstance(leaf, Tensor) and leaf.dtype == torch.bool for leaf in tree_leaves(args[1:2]))
        picks = func.overloadpacket is torch.ops.aten.index and not by_mask
        hangs = torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags
        if hangs and not picks:
            raise NotRepeatable(f"what it does hangs on a value ({func})")
        found = func(*args, **(kwargs or {}))
        devices = {leaf.device.type for leaf in tree_leaves((args, found)) if isinstance(leaf, Tensor) and leaf.dim()}
        if func.overloadpacket in COPIES and len(devices) > 1:
            raise NotRepeatable(f"it copies from one device to another ({func})")
        return found


def _drops_nothing(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether this is attention with a dropout of 0, which draws nothing."""
    names = [argument.name for argument in func._schema.arguments]
    return "dropout_p" in names and not (dict(zip(names, args, strict=False)) | kwargs).get("dropout_p")


class _Captured:
    """A step as one CUDA graph, played back on copies of what it is given.

    What a step looks up in Python, or draws outside of tensors, is what it was when it was captured: who takes a graph
    has held it to the plain step on another batch.
    """

    def __init__(self, step: Callable[..., Found], device: torch.device) -> None:
        self._step, self._device = step, device
        self._made: dict[tuple[Any, ...], Callable[[list[Tensor]], Found]] = {}

    def __call__(self, *args: Any) -> Found:
        leaves, shape = tree_flatten(args)
        sizes = tuple((leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf for leaf in leaves)
        if sizes not in self._made:
            self._made[sizes] = self._capture(leaves, shape)
        return self._made[sizes]([leaf for leaf in leaves if isinstance(leaf, Tensor)])

    def _capture(self, leaves: list[Any], shape: TreeSpec) -> Callable[[list[Tensor]], Found]:
        own = [leaf.detach().clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        held = [leaf for leaf in own if isinstance(leaf, Tensor)]
        args = tree_unflatten(own, shape)
        beside = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch's stub
        beside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(beside):
            for _ in range(WARM):
                with Repeatable():  # type: ignore[no-untyped-call]  # torch's stub
                    self._step(*args)
        torch.cuda.current_stream(self._device).wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = self._step(*args)
        told, said = tree_flatten(found)

        def play(given: list[Tensor]) -> Found:
            torch._foreach_copy_(held, given)
            graph.replay()
            copies = [torch.empty_like(one) for one in told]
            torch._foreach_copy_(copies, [one.detach() for one in told])
            again: Found = tree_unflatten(copies, said)
            return again

        return play


PLAIN = Speed()
Step = Callable[[Speed, int], Found]
"""Takes a step on one of the first two batches the given way, and leaves no trace."""
Choose = Callable[[Step, int, Speed | None], Speed]
"""From a step, the number of steps ahead and what was settled before to the way to take them."""


def plainly(step: Step, steps: int, settled: Speed | None = None) -> Speed:
    """No shortcut."""
    return PLAIN


def chooser(device: str, precision: str) -> Choose:
    """What chooses on ``device``: measurement on a GPU, and on a CPU where half precision is asked for.

    Autocast is tried only where the suite says ``precision: amp``: it changes numbers, so it is part of the cell's
    key. It is bf16, or fp16 on a GPU that can but emulate bf16 (before Ampere); a CPU that has no bf16 units is not
    asked. Compiling is a matter of speed alone, and of GPUs.
    """
    if not device.startswith("cuda"):
        return _on_cpu if precision == "amp" else plainly

    refused = {"compiled": False, "captured": False}

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    def choose(step: Step, steps: int, settled: Speed | None = None) -> Speed:
        tried: set[Speed] = set()

        def noted(speed: Speed, place: int) -> Found:
            tried.add(speed)
            return step(speed, place)

        half = half_of(device) if precision == "amp" else None
        found = fastest(
            noted, steps, half=half, clock=clock, settled=settled, compiler=not refused["compiled"],
            graphs=not refused["captured"],
        )  # fmt: skip
        for way in ("compiled", "captured"):
            refused[way] |= not getattr(found, way) and any(getattr(speed, way) for speed in tried)
        return found

    return choose


def _on_cpu(step: Step, steps: int, settled: Speed | None = None) -> Speed:
    """bf16 autocast where it is quicker on this CPU: timed in the CPU seconds of a process of one thread."""
    if not bf16_units():
        return replace(PLAIN, note="fp32: this CPU has no bf16 units")
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    return fastest(step, 0, half=half_of("cpu"), clock=clock, settled=settled)


def half_of(device: str) -> Half:
    """The half precision that ``device`` computes in; GPUs of NVIDIA before Ampere can but emulate bf16."""
    if not device.startswith("cuda"):
        return "bf16"
    native = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    return "bf16" if native else "fp16"


def fastest(
    step: Step,
    steps: int,
    *,
    half: Half | None,
    clock: Callable[[], float],
    settled: Speed | None = None,
    compiler: bool = True,
    graphs: bool = False,
) -> Speed:
    """The quickest of the shortcuts that are allowed; one that fails is not taken, and the log says why.

    Args:
        step: takes a step.
        steps: how many are ahead until cells leave, and shapes change.
        half: what autocast may be tried in.
        clock: seconds.
        settled: how earlier steps of the same training were taken: of autocast there is no second choice.
        compiler: whether torch.compile may be tried.
        graphs: whether a CUDA graph may be tried.
    """
    best = PLAIN if settled is None else settled.as_it_is
    graphs = graphs and steps >= WORTH_CAPTURING
    if settled is not None and steps < WORTH_ASKING and not graphs:
        return best
    least = _seconds(step, best, clock)
    if settled is None and half is not None:
        best, least = _better(step, Speed(autocast=half), best, least, clock)
        best = best if best.autocast else replace(best, note=f"fp32: {half} autocast was not quicker")
    plain = best
    if graphs:
        best, least = _better(step, replace(plain, captured=True), best, least, clock)
    if compiler and steps >= (0 if settled is None else WORTH_ASKING) and least * steps >= WORTH_COMPILING:
        best, least = _better(step, replace(plain, compiled=True), best, least, clock)
    return best


def _better(step: Step, other: Speed, best: Speed, least: float, clock: Callable[[], float]) -> tuple[Speed, float]:
    """``other`` and its seconds where it is quicker than ``best``, else ``best``.

    A step that is compiled or captured is held to the same step taken as it is.
    """
    try:
        truth = step(other.as_it_is if other.as_it_is.autocast == best.autocast else best, 1)
        seconds = _seconds(step, other, clock)
        found = step(other, 1)
        if (other.compiled or other.captured) and not _alike(found, truth, ALIKE[other.autocast]):
            raise ArithmeticError("it gives other numbers on another batch")
        if not all(bool((one.isfinite() | ~exact.isfinite()).all()) for one, exact in _pairs(found, truth)):
            raise ArithmeticError("its range is too small")
    except Exception as error:  # noqa: BLE001 - a compiler that cannot is no reason to stop
        _log.warning("training goes on without %s: %s", other, error)
        return best, least
    return (other, seconds) if seconds <= GAIN * least else (best, least)


def _alike(found: Found, truth: Found, share: float) -> bool:
    """Whether the losses and gradients of every cell are those of ``truth``: not where a trace held for one batch."""
    sizes = [_largest(exact) for exact in tree_leaves(truth[1])]
    faint = FAINT * torch.stack(sizes).amax(0) if sizes else torch.zeros_like(truth[0])
    room = [_largest(truth[0]), *(size + faint for size in sizes)]
    gaps = (_largest(one - exact) for one, exact in _pairs(found, truth))
    return all(bool((gap <= share * most).all()) for gap, most in zip(gaps, room, strict=True))


def _pairs(found: Found, truth: Found) -> list[tuple[Tensor, Tensor]]:
    return [(one.detach(), exact.detach()) for one, exact in zip(tree_leaves(found), tree_leaves(truth), strict=True)]


def _largest(values: Tensor) -> Tensor:
    """(A,) the largest absolute number of each cell in (A, ...)."""
    return values.detach().abs().reshape(len(values), -1).amax(1)


def _seconds(step: Step, speed: Speed, clock: Callable[[], float]) -> float:
    """The least seconds of a step, after one that warms up; of long steps few are timed."""
    step(speed, 0)
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < LONG:
        began = clock()
        step(speed, 0)
        times.append(clock() - began)
    return min(times)
