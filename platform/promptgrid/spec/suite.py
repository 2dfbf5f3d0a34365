"""A grid written down: what a suite file may say, and the cells it expands to."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from promptgrid.default_track import DEFAULT_TRACK
from promptgrid.spec.cell import Reading, Request, Setting
from promptgrid.spec.paths import user_path
from promptgrid.spec.reading import read_yaml
from promptgrid.spec.refusal import Refused, nearest
from promptgrid.spec.search import SearchEntry

MAX_CELLS = 1_000_000
STATES_MB = 64.0
"""What a cell learned is kept up to so many MB, unless the suite says otherwise: not a whole tower for each cell."""
MAX_WHOLE = 2**53
"""Whole numbers beyond it are no longer told apart as the numbers that methods compute with."""
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")]
_ENTRY_KEYS = {"name", "label", "readings"}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class MethodEntry(_Strict):
    """A method and its settings as written; a list of values for a setting crosses."""

    name: str = Field(description="of the method: `promptgrid methods`")
    label: str | None = Field(default=None, min_length=1, max_length=80, description="of its row in tables")
    readings: list[Literal["evaluate", "adapt"]] | None = Field(
        default=None, description="which readings of the suite's sources this method takes part in; all by default"
    )
    settings: dict[str, Setting | list[Setting]] = Field(default={}, description="the method's own, by name")

    @model_validator(mode="before")
    @classmethod
    def short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and "settings" not in value:
            return {
                **{key: value[key] for key in _ENTRY_KEYS if key in value},
                "settings": {key: item for key, item in value.items() if key not in _ENTRY_KEYS},
            }
        return value

    @field_validator("settings")
    @classmethod
    def finite(cls, settings: dict[str, Setting | list[Setting]]) -> dict[str, Setting | list[Setting]]:
        for key, value in settings.items():
            values = value if isinstance(value, list) else [value]
            if not values:
                raise ValueError(f"setting {key!r} is an empty list")
            for item in values:
                _refuse_senseless(key, item)
            if len(set(map(repr, values))) != len(values):
                raise ValueError(f"setting {key!r} repeats a value")
        return settings

    def variants(self) -> Iterator[tuple[str, dict[str, Setting]]]:
        """(label, settings) for each point of the product of listed values; crossed settings join the label."""
        crossed = [key for key, value in self.settings.items() if isinstance(value, list)]
        lists = [value if isinstance(value, list) else [value] for value in self.settings.values()]
        for point in itertools.product(*lists):
            settings = dict(zip(self.settings, point, strict=True))
            suffix = ", ".join(f"{key}={settings[key]}" for key in crossed)
            base = self.label or self.plain_label(crossed)
            yield (f"{base}, {suffix}" if suffix else base), settings

    def plain_label(self, crossed: list[str]) -> str:
        """The method's name with its fixed settings in brackets, when no label was given."""
        fixed = ", ".join(f"{key}={value}" for key, value in self.settings.items() if key not in crossed)
        return f"{self.name} ({fixed})" if fixed else self.name


class BackboneEntry(_Strict):
    """A backbone: a bundled name, or the spelling of a model and its weights in the library that it comes from."""

    model: str = Field(description="a name of `promptgrid backbones`, or an address")
    pretrained: str | None = Field(default=None, description="a tag of the model's weights, or a file of weights")
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def short_form(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @property
    def id(self) -> str:
        """``model`` or ``model@pretrained`` (``#sha256`` behind it where a checkpoint is pinned)."""
        pinned = f"#{self.sha256}" if self.sha256 else ""
        return f"{self.model}@{self.pretrained}{pinned}" if self.pretrained else f"{self.model}{pinned}"


class ImportedEntry(_Strict):
    """Results of other tools for a report: where they are, and whether they take part in ranks."""

    folders: list[str] = Field(min_length=1, description="that `promptgrid import` wrote")
    rank: bool = Field(
        default=False,
        description="whether they stand in the tables, marked imported; only where protocol, shots and seeds are the "
        "suite's own",
    )


class Suite(_Strict):
    """A grid: protocol x methods x backbones x datasets x shots x seeds.

    With ``sources`` it is a study of transfer: every method first learns on each source (plain cells of the protocol
    ``few_shot``), and what it learned then meets every dataset of ``datasets``, in each of ``readings``.
    """

    name: Name = Field(description="of the suite: what its reports and MLflow call it")
    track: Name = Field(default=DEFAULT_TRACK, description="the wing: what kind of examples there are")
    title: str = Field(default="", description="for people; the name where it is empty")
    protocol: Name = Field(description="who learns from what, and what is scored: `promptgrid protocols`")
    methods: list[MethodEntry] = Field(min_length=1, description="rows of the table")
    backbones: list[BackboneEntry] = Field(
        default=[BackboneEntry(model="bundled")], min_length=1, description="frozen models: `promptgrid backbones`"
    )
    datasets: Literal["bundled"] | list[str] = Field(
        default="bundled", description="names or addresses: `promptgrid datasets`; `bundled` is all that ship"
    )
    shots: list[Annotated[int, Field(ge=0, le=10_000)]] = Field(
        default=[16], min_length=1, description="labelled examples of each class"
    )
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(
        default=[1, 2, 3], min_length=1, description="each draws its own few examples and starts"
    )
    selection: Literal["last", "val"] = Field(
        default="last", description="which checkpoint is scored: the last, or the best on validation examples"
    )
    precision: Literal["fp32", "amp"] = Field(
        default="fp32",
        description="amp: training may use autocast (bf16, else fp16) where a GPU, or a CPU with bf16 units, is "
        "measured to gain by it",
    )
    views: Annotated[int, Field(ge=0, le=1000)] | Literal["online"] = Field(
        default=0,
        description="how often each training example is augmented beforehand; 0: as it is; online: anew in every epoch",
    )
    sources: Literal["datasets", "others"] | list[str] | None = Field(
        default=None,
        description="the datasets to learn on first: names, `datasets` (those of the suite), or `others` (for each "
        "dataset the union `a|b|c` of all the others: leave one domain out)",
    )
    readings: list[Literal["evaluate", "adapt"]] = Field(
        default=["evaluate"],
        min_length=1,
        description="what is done with what was learned on a source: scored as it is, or learned on from there",
    )
    stall_limit: float | None = Field(
        default=None,
        ge=1,
        le=1e7,
        description="seconds without a sign of life after which a worker is ended and its cell recorded as TIMEOUT",
    )
    states: Literal["all", "none"] | Annotated[float, Field(ge=0, le=1e9)] = Field(
        default=STATES_MB,
        description="what cells learned is kept up to so many MB (10^6 bytes) a cell, `all` or `none` of it; a suite "
        "with `sources` keeps all",
    )
    reference: str | None = Field(default=None, description="label of the method the others are compared with")
    imported: ImportedEntry | None = Field(
        default=None, description="results of other tools (`promptgrid import`) that a report shows beside its own"
    )
    search: SearchEntry | None = Field(default=None, description="budget and ranges of `promptgrid search`")

    @field_validator("methods", "backbones", "shots", "seeds", "datasets", "sources", "readings")
    @classmethod
    def no_repeats(cls, values: Any) -> Any:
        if values is None or isinstance(values, str):
            return values
        if not values:
            raise ValueError("the list is empty")
        written = [value.model_dump_json() if isinstance(value, BaseModel) else value for value in values]
        if (twice := _repeated(written)) is not None:
            raise ValueError(f"{twice} is listed twice")
        return values

    @model_validator(mode="after")
    def distinct_labels(self) -> Suite:
        labels = [label for entry in self.methods for label, _ in entry.variants()]
        if (twice := _repeated(labels)) is not None:
            raise ValueError(f"two methods have one display name: {twice!r}; give each its own `label`")
        if self.reference is not None and self.reference not in labels:
            raise ValueError(f"reference {self.reference!r} is no method's label; {nearest(self.reference, labels)}")
        return self

    @property
    def labels(self) -> list[str]:
        """Display names of the method variants, in the order written."""
        return [label for entry in self.methods for label, _ in entry.variants()]

    @property
    def states_mb(self) -> float | None:
        """The largest state of a cell that is kept, in MB; None where all are."""
        if self.states == "all" or self.sources is not None:
            return None
        return 0.0 if self.states == "none" else float(self.states)

    def requests(self, datasets: list[str]) -> Iterator[tuple[str, Request]]:
        """(method label, request) for every cell; ``datasets`` are the names that ``bundled`` stands for."""
        names = datasets if self.datasets == "bundled" else self.datasets
        if self.sources == "others" and len(names) < 2:
            raise Refused("sources: others", where=self.name, got=names, expected="at least 2 datasets")
        pairs = {
            entry.name + label: self._pairs(entry, names) for entry in self.methods for label, _ in entry.variants()
        }
        total = sum(map(len, pairs.values())) * len(self.backbones) * len(self.shots) * len(self.seeds)
        if total > MAX_CELLS:
            raise Refused(f"the grid has {total:,} cells", where=self.name, expected=f"at most {MAX_CELLS:,}")
        variants = [(entry, label, settings) for entry in self.methods for label, settings in entry.variants()]
        order = list(dict.fromkeys(place for places in pairs.values() for place in places))
        for backbone, place, (entry, label, settings), shots, seed in itertools.product(
            self.backbones, order, variants, self.shots, self.seeds
        ):
            if place not in pairs[entry.name + label]:
                continue
            yield (
                label,
                Request(
                    track=self.track,
                    protocol=self.protocol if place.reading or self.sources is None else "few_shot",
                    method=entry.name,
                    settings=settings,
                    backbone=backbone.id,
                    dataset=place.dataset,
                    shots=shots,
                    seed=seed,
                    selection=self.selection,
                    precision=self.precision,
                    source=place.source,
                    reading=place.reading,
                    views=self.views,
                ),
            )

    def _pairs(self, entry: MethodEntry, names: list[str]) -> dict[_Place, None]:
        """Where ``entry`` is learned and scored, in order: its sources first, then every pair."""
        if self.sources is None:
            return dict.fromkeys(_Place(name) for name in names)
        readings = self.readings if entry.readings is None else entry.readings
        pairs = self._sources_and_targets(names)
        plain = [source for source, _ in pairs] if readings else names
        return dict.fromkeys(
            [_Place(name) for name in plain]
            + [_Place(target, source, reading) for reading in readings for source, target in pairs]
        )

    def _sources_and_targets(self, names: list[str]) -> list[tuple[str, str]]:
        """(source, target): every source with every target, or each target with the union of the others."""
        if self.sources == "others":
            return [("|".join(other for other in names if other != name), name) for name in names]
        sources = names if self.sources == "datasets" else self.sources or []
        return list(itertools.product(sources, names))


class _Place(NamedTuple):
    """A dataset to be scored on, and where the learning started."""

    dataset: str
    source: str = ""
    reading: Reading = ""


def _refuse_senseless(key: str, value: Setting) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"setting {key!r} is {value}, expected a finite number")
    if isinstance(value, int) and abs(value) > MAX_WHOLE:
        raise ValueError(f"setting {key!r} is a number of {value.bit_length()} bits, expected at most 53")


def _repeated(values: list[Any]) -> Any:
    """The first value that stands twice in ``values``, else None."""
    return next((value for value, count in Counter(values).items() if count > 1), None)


def read_suite(path: str | Path) -> Suite:
    """The suite in a YAML file.

    Raises:
        Refused: the file cannot be read, a key is unknown, or a value is out of range; the message names the file,
            the key, what was found and the nearest valid spelling.
    """
    found = user_path(path, "suite")
    return parse_suite(read_yaml(found), str(found))


def parse_suite(value: dict[str, Any], where: str) -> Suite:
    """The suite in a mapping; ``where`` names its origin in errors."""
    try:
        suite = Suite.model_validate(value)
    except ValidationError as error:
        raise _refusal(error, where) from error
    if suite.sources is None and ("readings" in value or any(entry.readings for entry in suite.methods)):
        problem = "`readings` say how what was learned on `sources` goes on, and there are no `sources`"
        raise Refused(problem, where=where, hint="add `sources`, or leave `readings` out")
    return suite


def _refusal(error: ValidationError, where: str) -> Refused:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "suite"
    if first["type"] == "extra_forbidden":
        inner: dict[str, type[BaseModel]] = {
            "backbones": BackboneEntry,
            "search": SearchEntry,
            "imported": ImportedEntry,
        }
        known = inner.get(str(first["loc"][0]), Suite).model_fields
        return Refused(f"unknown key {place!r}", where=where, hint=nearest(str(first["loc"][-1]), known))
    if first["type"] == "missing":
        return Refused(f"the key {place!r} is missing", where=where)
    message = first["msg"].removeprefix("Value error, ")
    shown = None if first["type"] == "value_error" else first.get("input")
    more = len(error.errors()) - 1
    return Refused(f"{place}: {message}", where=where, got=shown, hint=f"({more} more problems)" if more else "")
