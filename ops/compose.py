"""`make compose STACK=docker`: the Docker stack as a compose.yaml and what it needs, in a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

from infra import catalog, compose, containers, images, plan
from infra.settings import DOCKER, SettingsError, parse
from ops import up
from ops.engine import Engine, OperatorError
from ops.local import engine_of
from ops.paths import stack_dir
from ops.show import say


def write(stack: str) -> None:
    """Write the folder OUT (default: the stack's own folder, compose/) and print its path."""
    engine = engine_of(stack)
    engine.require_config()
    engine.select()
    write_for(engine)


def write_for(engine: Engine) -> None:
    """The same for a stack whose engine is at hand. Raises OperatorError."""
    stack, config = engine.stack, engine.secrets()
    if config.get("sekha:cloud") != DOCKER:
        raise OperatorError(f"stack {stack!r} has sekha:cloud {config.get('sekha:cloud', 'hetzner')}; docker is needed")
    try:
        settings = parse(config, stack, os.environ)
        offer = catalog.load(DOCKER)
        made = plan.plan(settings, offer)
    except SettingsError as error:
        raise OperatorError(str(error)) from None
    wheels = up.wheelhouse()
    chosen = images.choose(settings.images, wheels)
    described = containers.describe(made, settings, offer, made.choices[0], chosen)
    folder = Path(os.environ.get("OUT") or stack_dir(stack) / "compose")
    print(compose.write(described, chosen, wheels, folder.absolute()))
    say(f"start it there with: docker compose up --detach --wait   (files/ holds secrets; https://{described.host})")
