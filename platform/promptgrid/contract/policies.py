"""Step policies: what a training step does with the losses. ``None`` in their place descends the sum of the losses."""

from __future__ import annotations

from dataclasses import dataclass

from promptgrid.contract.recipe import Number


@dataclass(frozen=True)
class Project:
    """Step policy of ProGrad: descend ``main``, with the part that opposes ``guide`` projected away.

    Per parameter tensor: where <g_main, g_guide> < 0, g = g_main - strength * (g_main . ĝ_guide) ĝ_guide.
    """

    main: str
    guide: str
    strength: Number = 1.0

    def __str__(self) -> str:
        return f"descends {self.main}; {self.strength} of what opposes {self.guide} is projected away"


@dataclass(frozen=True)
class Agree:
    """Step policy of R-AMT: descend ``main``, dropping by chance the numbers of its gradient that ``guide`` opposes.

    With a, b the gradients of main and guide, number by number: P = (1 + sign(a) (a + b) / (|a| + |b| + 1e-8)) / 2,
    and a is multiplied by (1 - level) + level [P > U], U ~ U(0, 1) drawn from the step's seed. ``level`` 0 is plain
    descent of main; a loss that is neither main nor guide is not looked at.
    """

    main: str
    guide: str
    level: Number = 1.0

    def __str__(self) -> str:
        return f"descends {self.main}; numbers that {self.guide} opposes are dropped by chance, at level {self.level}"


@dataclass(frozen=True)
class Alternate:
    """Step policy of adversaries: in turns, each loss moves its own parameters and sees what the turn before has moved.

    ``turns`` are (loss, how the names of its parameters begin), in order; each parameter belongs to one turn at most.
    All turns of a step look at the same examples with the same seed.
    """

    turns: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "in turns, " + ", ".join(f"{loss} moves {prefix!r}" for loss, prefix in self.turns)


@dataclass(frozen=True)
class Spsa:
    """Gradients from two losses each, by simultaneous perturbation (SPSA; Spall, 1992; BlackVIP's form).

    At the k-th step (from 1) c_k = size / k^decay. Each of ``estimates`` draws one number for every learned number, all
    of them as one vector: ±U(0.5, 1); ĝ = (L(w + c_k Δ) - L(w - c_k Δ)) / (2 c_k Δ), averaged over the estimates. L is
    the sum of the losses. Draws come from the step's seed. The recipe says what is done with ĝ: SPSA-GC is SGD with
    ``nesterov``.
    """

    size: Number
    decay: Number
    estimates: int = 5

    def __str__(self) -> str:
        return f"SPSA: {self.estimates} estimates a step, of two losses each, {self.size} / k^{self.decay} apart"

    @property
    def asks(self) -> int:
        """How many losses a step looks at."""
        return 2 * self.estimates


@dataclass(frozen=True)
class Sphere:
    """Gradients from one-sided differences along random directions (BAR; Tsai et al., ICML 2020).

    Each of ``estimates`` draws a direction u of length 1 over all d learned numbers as one vector;
    ĝ = d u (L(w + radius u) - L(w)) / radius, averaged over the estimates. L is the sum of the losses; draws come from
    the step's seed.
    """

    radius: Number
    estimates: int = 5

    def __str__(self) -> str:
        return f"{self.estimates} estimates a step, along random directions of length {self.radius}"

    @property
    def asks(self) -> int:
        """How many losses a step looks at: that at the parameters serves all estimates."""
        return self.estimates + 1


Estimate = Spsa | Sphere
"""Policies that need no gradient."""

Policy = Project | Agree | Alternate | Estimate
