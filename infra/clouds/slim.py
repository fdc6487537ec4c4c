"""A cloud's SDK, as far as it is used: a preview should not read hundreds of modules of resources that nobody makes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from types import ModuleType


def package(name: str, modules: Iterable[str]) -> ModuleType:
    """The package `name` with the public names of `modules` (its own, by their names in it) and nothing else read.

    One that was read already is returned as it is. Its parent, if it has one, gets it as an attribute.
    """
    there = sys.modules.get(name)
    if type(there) is ModuleType:  # and no promise to read it on first use
        return there
    sys.modules.pop(name, None)  # looking at such a promise would keep it
    spec = find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"no package {name}")
    made = ModuleType(name)
    made.__path__ = list(spec.submodule_search_locations)
    made.__package__ = name
    sys.modules[name] = made
    parent, _, part = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], part, made)
    for module in modules:
        read = importlib.import_module(f"{name}.{module}")
        for public in read.__all__:
            setattr(made, public, getattr(read, public))
    return made
