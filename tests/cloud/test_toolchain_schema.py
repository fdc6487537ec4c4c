"""The Hetzner plugin that we build takes what the Python package of the same version sends."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import subprocess
from pathlib import Path

import pulumi
import pulumi_hcloud
import pytest

from tools import toolchain_build, toolchain_steps

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(1200)]


def snake(name: str) -> str:
    """Return Pulumi's Python name of a property."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_inputs_are_those_of_the_python_package() -> None:
    prefix = toolchain_build.toolchain()
    plugin = prefix / "plugins" / toolchain_steps.HCLOUD_FOLDER / toolchain_steps.HCLOUD
    command: list[str | Path] = [prefix / "bin" / "pulumi", "package", "get-schema", plugin]
    schema = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    classes = {
        kind.pulumi_type: kind
        for kind in vars(pulumi_hcloud).values()
        if inspect.isclass(kind) and issubclass(kind, pulumi.CustomResource) and hasattr(kind, "pulumi_type")
    }
    assert set(classes) - {"pulumi:providers:hcloud"} == set(schema["resources"])
    for token, resource in schema["resources"].items():
        kind = classes[token]
        module = importlib.import_module(kind.__module__)
        # The package calls it InitArgs where a nested type has the plain name.
        arguments = getattr(module, f"{kind.__name__}Args", None) or getattr(module, f"{kind.__name__}InitArgs")
        parameters = list(inspect.signature(arguments.__init__).parameters.values())[1:]
        assert {item.name for item in parameters} == {snake(name) for name in resource.get("inputProperties", {})}, (
            token
        )
        required = {item.name for item in parameters if item.default is inspect.Parameter.empty}
        assert required == {snake(name) for name in resource.get("requiredInputs", [])}, token
    assert len(schema["functions"]) == 43
