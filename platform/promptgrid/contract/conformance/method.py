"""All promises of a method, one behind the other."""

from __future__ import annotations

from typing import Any

from promptgrid.contract.assets import ASSETS
from promptgrid.contract.conformance.answers import check_answers, check_company, check_new_classes
from promptgrid.contract.conformance.declaration import check_declaration
from promptgrid.contract.conformance.packs import check_pack
from promptgrid.contract.conformance.parameters import check_rules, check_start, check_state, check_tracked
from promptgrid.contract.conformance.training import check_gradients, check_pool, check_stages
from promptgrid.contract.conformance.trial import Practice
from promptgrid.contract.method import Method

CHECKS = (
    check_start,
    check_pool,
    check_answers,
    check_state,
    check_stages,
    check_gradients,
    check_pack,
    check_new_classes,
    check_rules,
    check_company,
    check_tracked,
)


def check_method(method: type[Method], practice: Practice, **settings: Any) -> None:
    """All promises of a method as ``practice`` tries it, with ``settings`` in the place of defaults.

    Raises:
        AssertionError: the first promise that is not kept, in a sentence.
    """
    check_declaration(method, practice.kinds)
    missing = sorted(method.needs - ASSETS.keys() - practice.offers)
    assert not missing, f"{method.name} needs {', '.join(missing)}, which this backbone does not offer"
    before = practice.fingerprint()
    trial = practice.trial(method(**settings))
    for check in (*CHECKS, *practice.checks):
        check(trial)
    assert practice.fingerprint() == before, f"{method.name} changed the frozen backbone"
