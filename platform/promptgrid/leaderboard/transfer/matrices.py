"""The matrices of a study of transfer: one for each method, reading, number of shots and backbone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from promptgrid.leaderboard.inputs import Correct, ReportInput, Similarities
from promptgrid.leaderboard.planned_grid import PlannedCell, is_multitask, is_zero_shot, parts_of
from promptgrid.leaderboard.transfer import gains as tr
from promptgrid.spec import canonical_json
from promptgrid.spec.metrics import ACCURACY, Metric

SCRATCH, ZERO_SHOT = "scratch", "zero_shot"
SEED = 20_221_121
"""Seeds the permutations of task labels, so that the same records give the same bytes."""


def least_headroom(metric: Metric) -> float:
    """The headroom m_jj - zs_j below which nothing is divided by it: of fractions 2 points, 40 times what ties."""
    return 40 * metric.tie


@dataclass(frozen=True)
class Transfer:
    """Scores of one method in one reading, sources x targets x seeds; NaN where a cell has not finished.

    ``scratch`` (T, N) are the plain cells of the same method, settings, shots and seed on each target, ``zero_shot``
    (S, T, N) those of the suite's zero-shot method: on the pair where the suite has it there (a protocol may score a
    pair on less than all classes), else on the target. ``reasons`` says why a pair lacks seeds, ``counts`` holds, by
    baseline, (S, T, 2) examples on which transfer is right in more and in fewer seeds (NaN where that is not known).
    """

    label: str
    entry: str
    reading: str
    backbone: str
    shots: int
    seeds: tuple[int, ...]
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    raw: tr.Array
    scratch: tr.Array
    zero_shot: tr.Array
    reasons: Mapping[tuple[int, int], str]
    counts: Mapping[str, tr.Array]
    similarities: Similarities | None = field(default=None, repr=False)
    examples: str = "examples"
    metric: Metric = ACCURACY

    @cached_property
    def own(self) -> tr.Mask:
        """(S, T): where the target is (part of) the source."""
        return np.array([[target in parts_of(source) for target in self.targets] for source in self.sources])

    @cached_property
    def planned(self) -> tr.Mask:
        """(S, T): pairs that the suite asks for."""
        mask = np.ones((len(self.sources), len(self.targets)), dtype=bool)
        for place, reason in self.reasons.items():
            mask[place] = reason != "NOT_PLANNED"
        return mask

    @property
    def base(self) -> str:
        """The baseline of the gains that matter: from scratch where the study has it, else zero-shot."""
        return SCRATCH if np.isfinite(self.apart(SCRATCH)).any() else ZERO_SHOT

    def baseline(self, base: str) -> tr.Array:
        """(S, T) means over seeds of ``scratch`` or ``zero_shot``."""
        values = self.scratch if base == SCRATCH else self.zero_shot
        return np.broadcast_to(tr.seed_mean(values), self.own.shape)

    @cached_property
    def gains(self) -> dict[str, tr.Array]:
        """By baseline (``scratch``, ``zero_shot``): (S, T, N) gains seed by seed, above 0 where transfer is better."""
        sign = self.metric.sign
        return {
            SCRATCH: tr.gains(sign * self.raw, sign * self.scratch),
            ZERO_SHOT: tr.gains(sign * self.raw, sign * self.zero_shot),
        }

    @cached_property
    def measures(self) -> dict[str, tr.Array]:
        """(S, T) means over seeds: ``raw``, ``scratch`` and ``zero_shot`` gains, ``normalised``."""
        sign = self.metric.sign
        return {
            SCRATCH: tr.seed_mean(self.gains[SCRATCH]),
            ZERO_SHOT: tr.seed_mean(self.gains[ZERO_SHOT]),
            "normalised": tr.normalised(
                sign * self.raw, sign * self.scratch, sign * self.zero_shot, least_headroom(self.metric)
            ),
            "raw": tr.seed_mean(self.raw),
        }

    def apart(self, measure: str) -> tr.Array:
        """(S, T) of ``measure`` with the own pairs left out."""
        return np.where(self.own, np.nan, self.measures[measure])

    @cached_property
    def q_values(self) -> dict[str, dict[str, tr.Array]]:
        """By baseline and test: (S, T) adjusted p that the gain is below 0, own pairs NaN.

        The tests are ``seeds``, and what the track calls its examples.
        """
        found: dict[str, dict[str, tr.Array]] = {}
        for base in (SCRATCH, ZERO_SHOT):
            tests = {"seeds": tr.below_zero_by_seeds(self.gains[base])}
            if base in self.counts:
                better, worse = self.counts[base][..., 0], self.counts[base][..., 1]
                tests[self.examples] = tr.below_zero_by_examples(better, worse)
            apart = {name: np.where(self.own, np.nan, p) for name, p in tests.items()}
            found[base] = {name: tr.false_discovery(p) for name, p in apart.items() if np.isfinite(p).any()}
        return found

    def negative(self, base: str, test: str) -> tr.Mask:
        """(S, T): pairs that ``test`` calls negative against ``base``, after correction for false discoveries."""
        q = self.q_values[base].get(test)
        return np.zeros(self.own.shape, dtype=bool) if q is None else np.nan_to_num(q, nan=1.0) < tr.DISCOVERY

    def marks(self, base: str) -> list[list[str]]:
        """``all`` where every test made calls the pair negative, ``some`` where one of two does, else empty."""
        votes = np.sum([self.negative(base, test) for test in self.q_values[base]] or [self.own & False], axis=0)
        tests = max(1, len(self.q_values[base]))
        return [["all" if vote == tests else "some" if vote else "" for vote in row] for row in votes.tolist()]

    @cached_property
    def correlations(self) -> dict[str, tr.Correlation]:
        """By similarity: how it goes with the gain over ``base``, own pairs left out."""
        if self.similarities is None:
            return {}
        place = {name: k for k, name in enumerate(self.similarities.tasks)}
        pairs = [(i, j) for i, j in np.argwhere(~self.own).tolist() if self.sources[i] in place]
        pairs = [(i, j) for i, j in pairs if self.targets[j] in place]
        rows = np.array([place[self.sources[i]] for i, _ in pairs], dtype=np.int64)
        columns = np.array([place[self.targets[j]] for _, j in pairs], dtype=np.int64)
        gain = np.array([self.measures[self.base][i, j] for i, j in pairs], dtype=float)
        return {
            name: tr.correlation(gain, rows, columns, np.asarray(matrix, float), np.random.default_rng(SEED))
            for name, matrix in self.similarities.matrices.items()
        }


def find_transfers(report: ReportInput, grid: Sequence[PlannedCell]) -> tuple[Transfer, ...]:
    """Every matrix of ``grid``, in plan order; cells that start from several tasks at once are left out."""
    groups: dict[tuple[str, str, int, str], list[PlannedCell]] = {}
    for planned in grid:
        cell = planned.cell
        if cell.reading and not is_multitask(cell) and not is_zero_shot(report, cell.method):
            groups.setdefault((planned.label, cell.backbone, planned.shots, cell.reading), []).append(planned)
    plain = {_place(planned): planned for planned in grid if not planned.cell.reading}
    zero = {
        (s.cell.backbone, s.cell.source, s.cell.dataset, s.shots, s.seed): s
        for s in reversed(grid)
        if is_zero_shot(report, s.cell.method)
    }
    found = [_transfer(report, group, plain, zero) for group in groups.values()]
    return tuple(sorted(found, key=lambda item: (item.backbone, item.shots)))


def _place(planned: PlannedCell, dataset: str = "") -> tuple[str, ...]:
    """What a plain cell must share with the cells that are compared with it."""
    cell = planned.cell
    made = (cell.method, canonical_json(cell.settings), cell.selection, cell.precision, str(cell.views), cell.scored)
    return (*made, cell.backbone, dataset or cell.dataset, str(planned.shots), str(planned.seed))


def _transfer(
    report: ReportInput,
    group: list[PlannedCell],
    plain: Mapping[tuple[str, ...], PlannedCell],
    zero: Mapping[tuple[str, str, str, int, int], PlannedCell],
) -> Transfer:
    first = group[0]
    sources = tuple(dict.fromkeys(planned.cell.source for planned in group))
    targets = tuple(dict.fromkeys(planned.cell.dataset for planned in group))
    seeds = tuple(sorted({planned.seed for planned in group}))
    at = {(planned.cell.source, planned.cell.dataset, planned.seed): planned for planned in group}

    def scratch_of(source: str, target: str, seed: int) -> PlannedCell | None:
        there = next((planned for planned in group if planned.seed == seed), first)
        return plain.get(_place(there, target))

    def zero_of(source: str, target: str, seed: int) -> PlannedCell | None:
        there = [zero.get((first.cell.backbone, name, target, first.shots, seed)) for name in (source, "")]
        return there[0] or there[1]

    raw = np.array([[[_score(at.get((i, j, n)), report) for n in seeds] for j in targets] for i in sources])
    counts = {
        base: _counts(at, pick, sources, targets, seeds, report.correct)
        for base, pick in ((SCRATCH, scratch_of), (ZERO_SHOT, zero_of))
    }
    return Transfer(
        label=first.label,
        entry=first.entry,
        reading=first.cell.reading,
        backbone=first.cell.backbone,
        shots=first.shots,
        seeds=seeds,
        sources=sources,
        targets=targets,
        raw=raw,
        scratch=np.array([[_score(scratch_of("", j, n), report) for n in seeds] for j in targets]),
        zero_shot=np.array([[[_score(zero_of(i, j, n), report) for n in seeds] for j in targets] for i in sources]),
        reasons=_reasons(at, sources, targets, seeds),
        counts={base: found for base, found in counts.items() if np.isfinite(found).any()},
        similarities=report.similarities.get(first.cell.backbone),
        examples=report.examples.many,
        metric=report.metric,
    )


def _score(planned: PlannedCell | None, report: ReportInput) -> float:
    if planned is None or planned.record is None or planned.status != "done":
        return math.nan
    return planned.record.metrics.get(report.headline, math.nan)


def _reasons(
    at: Mapping[tuple[str, str, int], PlannedCell], sources: Sequence[str], targets: Sequence[str], seeds: Sequence[int]
) -> dict[tuple[int, int], str]:
    """Why a pair lacks seeds; a pair that was never planned is ``NOT_PLANNED``."""
    found = {}
    for i, source in enumerate(sources):
        for j, target in enumerate(targets):
            grid = [at.get((source, target, seed)) for seed in seeds]
            reasons = [planned.reason if planned else "NOT_PLANNED" for planned in grid]
            if any(reasons):
                found[i, j] = next(reason for reason in reasons if reason)
    return found


def _counts(
    at: Mapping[tuple[str, str, int], PlannedCell],
    baseline: Callable[[str, str, int], PlannedCell | None],
    sources: Sequence[str],
    targets: Sequence[str],
    seeds: Sequence[int],
    correct: Mapping[str, Correct],
) -> tr.Array:
    """(S, T, 2) examples answered right in more, in fewer seeds than by the baseline; NaN where not known."""
    found = np.full((len(sources), len(targets), 2), np.nan)
    for j, target in enumerate(targets):
        for i, source in enumerate(sources):
            base = {seed: _answers(baseline(source, target, seed), correct) for seed in seeds}
            moved = {seed: _answers(at.get((source, target, seed)), correct) for seed in seeds}
            pairs = [
                (m, b)
                for seed in seeds
                if (m := moved[seed]) is not None and (b := base[seed]) is not None and len(m) == len(b)
            ]
            if pairs and len({len(m) for m, _ in pairs}) == 1:
                found[i, j] = tr.sign_counts(np.stack([m for m, _ in pairs]), np.stack([b for _, b in pairs]))
    return found


def _answers(planned: PlannedCell | None, correct: Mapping[str, Correct]) -> Correct | None:
    return None if planned is None or planned.status != "done" else correct.get(planned.cell.key)
