"""What can go wrong with a store, as exceptions that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StoreFull(OSError):
    """The disk (or its quota) is full. Nothing partial has become visible."""


class StoreReadOnly(OSError):
    """The store may not be written."""


class NotInStore(LookupError):
    """No finished record has this key."""


class Damaged(NotInStore):
    """What is stored does not verify. It was moved to quarantine and counts as missing."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn "no space" and "not allowed" under ``folder`` into :class:`StoreFull` and :class:`StoreReadOnly`."""
    try:
        yield
    except (StoreFull, StoreReadOnly):
        raise
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFull(
                error.errno,
                f"the disk of the store is full ({error.strerror}); free some space and run the same command again",
                str(folder),
            ) from error
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise StoreReadOnly(
                error.errno,
                f"the store cannot be written ({error.strerror}); choose another folder "
                f"with --store or change its permissions",
                str(folder),
            ) from error
        raise
