"""What plug-ins promise, as plain checks: each raises AssertionError with a sentence that says what is broken.

They use the contract alone, no engine and no store, and know no modality: a :class:`Practice` says how a wing tries a
method. Wings offer them to third parties as a ``check_method`` of their own, which makes a test of two lines::

    def test_mine():
        check_method(MyMethod)
"""

from promptgrid.contract.conformance.method import check_method
from promptgrid.contract.conformance.plugins import check_dataset, check_protocol
from promptgrid.contract.conformance.trial import Practice, Trial

__all__ = ["Practice", "Trial", "check_dataset", "check_method", "check_protocol"]
