"""Finds plug-ins: by walking the folders of each track and those below it that it lists, and by entry points.

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
from collections.abc import Mapping, Sequence
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
Folders = Mapping[str, Sequence[str]]
"""By kind of plug-in the packages that hold a wing's own."""
FOLDERS = ("methods", "datasets", "backbones", "protocols", "columns")
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
    below: Mapping[str, tuple[str, ...]] = getattr(wing, "below", {})
    folders = {folder: (f"{home}.{folder}", *below.get(folder, ())) for folder in FOLDERS}
    built: Track = wing(  # type: ignore[call-arg]
        methods=_by_name(folders, "methods", Method),
        datasets=_instances(folders, "datasets", DatasetFamily),
        backbones=_instances(folders, "backbones", BackboneFamily),
        protocols=_by_name(folders, "protocols", Protocol),
        columns=[source() for source in _by_name(folders, "columns", ColumnSource).values()],
    )
    return built


def tracks() -> list[str]:
    """Names of the tracks that ship with promptgrid and those that entry points add."""
    import promptgrid.tracks as home

    shipped = [
        item.name
        for item in pkgutil.iter_modules(home.__path__)
        if item.ispkg and importlib.util.find_spec(f"{home.__name__}.{item.name}.track") is not None
    ]
    return sorted({*shipped, *(entry.name for entry in entry_points(group="promptgrid.tracks"))})


def _by_name(folders: Folders, folder: str, kind: type[P]) -> dict[str, type[P]]:
    """Concrete subclasses of ``kind`` by their ``name``; a third party's may not take a shipped name.

    Of those on floors below, a wing has none whose name its own folder has.
    """
    home, *below = folders[folder]
    found = {str(plugin.name): plugin for plugin in _shipped((home,), kind)}  # type: ignore[attr-defined]
    lent = [plugin for plugin in _shipped(tuple(below), kind) if plugin.name not in found]  # type: ignore[attr-defined]
    for plugin in lent + _third_party(folder, kind):
        name = str(plugin.name)  # type: ignore[attr-defined]
        if name in found and found[name] is not plugin:
            raise Refused(
                f"two {folder} are called {name!r}: {found[name].__module__} and {plugin.__module__}",
                hint="rename one of them",
            )
        found[name] = plugin
    return found


def _instances(folders: Folders, folder: str, kind: type[P]) -> list[P]:
    """One of each concrete subclass; what ships bundled is asked first, third parties last."""
    plugins = _shipped(folders[folder], kind)
    plugins.sort(key=lambda plugin: (plugin.name != "bundled", str(plugin.name)))  # type: ignore[attr-defined]
    return [plugin() for plugin in plugins + _third_party(folder, kind)]


def _shipped(packages: Sequence[str], kind: type[P]) -> list[type[P]]:
    """What the modules of ``packages`` hold; a wing need not have a folder of each kind."""
    homes = [importlib.import_module(package) for package in packages if importlib.util.find_spec(package) is not None]
    modules = [
        importlib.import_module(f"{home.__name__}.{item.name}")
        for home in homes
        for item in pkgutil.iter_modules(home.__path__)
    ]
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
