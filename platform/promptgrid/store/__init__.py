"""What is kept: records (the truth), features (a cache), MLflow (a mirror, imported only where it is used)."""

from promptgrid.store.faults import Damaged, NotInStore, StoreFull, StoreReadOnly
from promptgrid.store.features import FeatureCache
from promptgrid.store.records import Store
from promptgrid.store.verification import VerifyReport, verify

__all__ = ["Damaged", "FeatureCache", "NotInStore", "Store", "StoreFull", "StoreReadOnly", "VerifyReport", "verify"]
