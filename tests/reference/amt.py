"""AMT: R-AMT's masks on attention, by plain descent (Zheng et al., ICCV 2023)."""

from __future__ import annotations

from functools import partial

from tests.reference import r_amt

start = r_amt.start
logits = r_amt.logits
train = partial(r_amt.train, regularised=False)
