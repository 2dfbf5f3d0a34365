"""Step policies that learn without gradients: losses at perturbed parameters say which way is down."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Spsa:
    """Gradients from two losses each, by simultaneous perturbation (SPSA; Spall, 1992; BlackVIP's form).

    At the k-th step (from 1) c_k = size / k^decay. Each of ``estimates`` draws one number for every learned number, all
    of them as one vector: ±U(0.5, 1); ĝ = (L(w + c_k Δ) - L(w - c_k Δ)) / (2 c_k Δ), averaged over the estimates. L is
    the sum of the losses. Draws come from the step's seed. The recipe says what is done with ĝ: SPSA-GC is ``sgd`` with
    ``nesterov``.
    """

    size: Tensor | float
    decay: Tensor | float
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

    radius: Tensor | float
    estimates: int = 5

    def __str__(self) -> str:
        return f"{self.estimates} estimates a step, along random directions of length {self.radius}"

    @property
    def asks(self) -> int:
        """How many losses a step looks at: that at the parameters serves all estimates."""
        return self.estimates + 1


Estimate = Spsa | Sphere
"""Policies that need no gradient."""
