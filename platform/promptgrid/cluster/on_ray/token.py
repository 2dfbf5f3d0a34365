"""Ray's token: whoever reaches a cluster without one can run code on it."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from pathlib import Path

MODE, TOKEN, TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


def secure_token() -> None:
    """Turn token authentication on for clusters that this process starts, unless the user has decided otherwise.

    Ray does so by itself, but writes its token file for everyone to read: here it is made first, readable by its
    owner alone. Where the home folder cannot be written, the token lives in the environment of this process.
    """
    if "ray" not in sys.modules:  # later Ray no longer looks, and turns it on by itself where nothing is set
        os.environ.setdefault(MODE, "token")
    if os.environ.get(MODE, "token").lower() != "token" or os.environ.get(TOKEN):
        return
    try:
        _own_file(token_file())
    except OSError:
        os.environ[TOKEN] = secrets.token_hex(32)


def token_file() -> Path:
    """Where Ray looks for the token."""
    named = os.environ.get(TOKEN_FILE)
    return Path(named) if named else Path.home() / ".ray" / "auth_token"


def has_token() -> bool:
    """A token is at hand, so that Ray's requests carry it."""
    if os.environ.get(TOKEN):
        return True
    try:
        return bool(token_file().read_text().strip())
    except OSError:
        return False


def _own_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.stat().st_uid == os.getuid():
            path.chmod(0o600)
        return
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
