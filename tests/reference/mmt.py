"""MMT: R-AMT's masks on the MLPs, by plain descent (Zheng et al., ICCV 2023)."""

from __future__ import annotations

from functools import partial

from tests.reference import r_amt

start = partial(r_amt.start, masked="mlp")
logits = r_amt.logits
train = partial(r_amt.train, regularised=False)
