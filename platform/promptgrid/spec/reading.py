"""Strict reading of YAML files: YAML 1.2, no tags, no duplicate keys, no alias bombs, sizes capped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from promptgrid.spec.refusal import Refused

MAX_BYTES = 1_000_000
MAX_DEPTH = 40


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in ``path``, as plain Python values.

    Raises:
        Refused: missing, too large, not UTF-8, not YAML, empty, not a mapping, duplicate key, alias or tag.
    """
    where = str(path)
    if not path.is_file():
        raise Refused("no such file", where=where, hint=_neighbours(path))
    if path.stat().st_size > MAX_BYTES:
        raise Refused("file is too large", where=where, got=path.stat().st_size, expected=f"at most {MAX_BYTES} bytes")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"not UTF-8 text (byte {error.start})", where=where, hint="save the file as UTF-8") from error
    value = parse_yaml(text, where)
    if value is None:
        raise Refused("the file is empty", where=where, expected="a mapping of keys to values")
    if not isinstance(value, dict):
        raise Refused("not a mapping", where=where, got=type(value).__name__, expected="keys and values")
    return value


def parse_yaml(text: str, where: str) -> Any:
    """YAML 1.2 ``text`` as plain Python values; see :func:`read_yaml` for what is refused."""
    loader = YAML(typ="safe", pure=True)
    try:
        _refuse_aliases_and_tags(text, where)
        return loader.load(text)
    except Refused:
        raise
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise Refused(f"line {line}: a key is written twice ({error.problem})", where=where) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise Refused(f"line {line}: not valid YAML: {error.problem}", where=where) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise Refused(f"not valid YAML: {error}", where=where) from error


def _refuse_aliases_and_tags(text: str, where: str) -> None:
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        line = event.start_mark.line + 1
        kind = type(event).__name__
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        if depth > MAX_DEPTH:
            raise Refused(f"line {line}: nested too deeply", where=where, expected=f"at most {MAX_DEPTH} levels")
        if kind == "AliasEvent" or getattr(event, "anchor", None):
            raise Refused(f"line {line}: anchors and aliases are not used in suites", where=where, hint="write it out")
        tag = getattr(event, "tag", None)
        if tag and not getattr(event, "implicit", (True,)) and str(tag) not in {"!", "None"}:
            raise Refused(f"line {line}: tags are not allowed", where=where, got=str(tag))
        explicit = getattr(event, "ctag", None)
        if explicit is not None and str(explicit) not in {"None", "!", "tag:yaml.org,2002:str"}:
            raise Refused(f"line {line}: tags are not allowed", where=where, got=str(explicit))


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f"the folder {str(path.parent)!r} does not exist"
    found = sorted(p.name for p in path.parent.glob("*.yaml"))[:8]
    return f"in that folder: {', '.join(found)}" if found else ""
