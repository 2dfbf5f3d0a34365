"""Finds plug-ins: by walking the folders of each track, and by entry points for third parties.

Entry point groups: ``promptgrid.methods``, ``promptgrid.datasets``, ``promptgrid.backbones``, ``promptgrid.protocols``,
``promptgrid.columns`` (a class, or a module whose classes are taken), and ``promptgrid.tracks`` (a zero-argument
callable giving a Track).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import warnings
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, TypeVar

from promptgrid.contract.backbone import BackboneFamily
from promptgrid.contract.columns import ColumnSource
from promptgrid.contract.dataset import DatasetFamily
from promptgrid.contract.method import Method
from promptgrid.contract.protocol import Protocol
from promptgrid.contract.track import Track
from promptgrid.spec import Refused, nearest

P = TypeVar("P")
# mypy holds that an abstract class may not be passed as type[P]; here it only names the kind to look for.
# mypy: disable-error-code="type-abstract"


@cache
def track(name: str) -> Track:
    """The track called ``name`` with every plug-in found for it.

    Raises:
        Refused: no such track.
    """
    for entry in entry_points(group="promptgrid.tracks"):
        if entry.name == name:
            found: Track = entry.load()()
            return found
    if name not in tracks():
        raise Refused("unknown track", where="track", got=name, hint=nearest(name, tracks()))
    home = f"promptgrid.tracks.{name}"
    module = importlib.import_module(f"{home}.track")
    wing = next(kind for kind in _classes(module, Track))
    backbones = _instances(home, "backbones", BackboneFamily)
    built: Track = wing(  # type: ignore[call-arg]
        methods=_by_name(home, "methods", Method) | (_everywhere() if wing.towers else {}),
        datasets=_instances(home, "datasets", DatasetFamily),
        backbones=backbones,
        protocols=_by_name(home, "protocols", Protocol),
        columns=[source() for source in _by_name(home, "columns", ColumnSource).values()],
    )
    return built


def _everywhere() -> dict[str, type[Method]]:
    """Methods for any tower of tokens, by name."""
    return {str(method.name): method for method in _shipped("promptgrid.towers.methods", Method)}


def tracks() -> list[str]:
    """Names of the tracks that ship with promptgrid and those that entry points add."""
    import promptgrid.tracks as home

    shipped = [
        item.name
        for item in pkgutil.iter_modules(home.__path__)
        if item.ispkg and importlib.util.find_spec(f"{home.__name__}.{item.name}.track") is not None
    ]
    return sorted({*shipped, *(entry.name for entry in entry_points(group="promptgrid.tracks"))})


def _by_name(home: str, folder: str, kind: type[P]) -> dict[str, type[P]]:
    """Concrete subclasses of ``kind`` by their ``name``; a third party's may not take a shipped name."""
    found: dict[str, type[P]] = {}
    for plugin in _shipped(f"{home}.{folder}", kind) + _third_party(folder, kind):
        name = str(plugin.name)  # type: ignore[attr-defined]
        if name in found and found[name] is not plugin:
            raise Refused(
                f"two {folder} are called {name!r}: {found[name].__module__} and {plugin.__module__}",
                hint="rename one of them",
            )
        found[name] = plugin
    return found


def _instances(home: str, folder: str, kind: type[P]) -> list[P]:
    """One of each concrete subclass; what ships bundled is asked first, third parties last."""
    plugins = _shipped(f"{home}.{folder}", kind)
    plugins.sort(key=lambda plugin: (plugin.name != "bundled", str(plugin.name)))  # type: ignore[attr-defined]
    return [plugin() for plugin in plugins + _third_party(folder, kind)]


def _shipped(package: str, kind: type[P]) -> list[type[P]]:
    home = importlib.import_module(package)
    modules = [importlib.import_module(f"{package}.{item.name}") for item in pkgutil.iter_modules(home.__path__)]
    return [plugin for module in modules for plugin in _classes(module, kind)]


def _third_party(folder: str, kind: type[P]) -> list[type[P]]:
    return [plugin for entry in entry_points(group=f"promptgrid.{folder}") for plugin in _loaded(entry, kind)]


def _loaded(entry: EntryPoint, kind: type[P]) -> list[type[P]]:
    """The plug-ins of one entry point; one that cannot be imported is named in a warning and left out."""
    try:
        target: Any = entry.load()
    except Exception as error:  # noqa: BLE001 - a stranger's plug-in must not take the platform down
        warnings.warn(f"plug-in {entry.name!r} ({entry.value}) cannot be loaded: {error!r}", stacklevel=2)
        return []
    if isinstance(target, ModuleType):
        return _classes(target, kind)
    if inspect.isclass(target) and issubclass(target, kind):
        return [target]
    warnings.warn(f"plug-in {entry.name!r} ({entry.value}) is no {kind.__name__}", stacklevel=2)
    return []


def _classes(module: ModuleType, kind: type[P]) -> list[type[P]]:
    """Concrete, named subclasses of ``kind`` written in ``module``."""
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, kind)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
        and hasattr(value, "name")
    ]
