"""TFUP-T by benchmark (``configs/*.yaml`` of wlb12345/TFUP d95d4d3)."""

RATES = {"Office31": 0.05}
"""Learning rates where not .012."""

SHARES = {"Office31": 0.5, "VisDA17": 0.5}
"""Of the pool, by class, that the first phase trains on, where not .75."""
