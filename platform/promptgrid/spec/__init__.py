"""The nouns: suites, cells, packs, records, dataset cards and the keys that name them. No torch, no ray, no mlflow."""

from promptgrid.spec.cell import Cell, Machine, Pack, Request, Shared, canonical_json, digest
from promptgrid.spec.dataset import DatasetCard, SourceCard
from promptgrid.spec.record import RETRIED, Cost, Provenance, Reason, Record, SourceLost, scores_digest
from promptgrid.spec.refusal import ClusterLost, Refused, nearest
from promptgrid.spec.suite import BackboneEntry, MethodEntry, Suite, read_suite
from promptgrid.spec.words import EXAMPLES, Noun

__all__ = [
    "EXAMPLES",
    "RETRIED",
    "BackboneEntry",
    "Cell",
    "ClusterLost",
    "Cost",
    "DatasetCard",
    "Machine",
    "MethodEntry",
    "Noun",
    "Pack",
    "Provenance",
    "Reason",
    "Record",
    "Refused",
    "Request",
    "Shared",
    "SourceCard",
    "SourceLost",
    "Suite",
    "canonical_json",
    "digest",
    "nearest",
    "read_suite",
    "scores_digest",
]
