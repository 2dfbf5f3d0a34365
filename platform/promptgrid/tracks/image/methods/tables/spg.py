"""SPG by benchmark (``configs/trainers/SPG_CGAN/spg.yaml`` of renytek13/Soft-Prompt-Generation fe128c0)."""

RATES = {"PACS": 2e-3, "VLCS": 2e-3}
"""Learning rates of the adversaries where not 2e-4."""

CLIPPING = {"PACS": "PACS"}
"""Bounds of gradients where not those of ``others``."""
