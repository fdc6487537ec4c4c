"""Changing single values of a YAML text and nothing else of it: comments, order and layout stay. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

Path = Sequence[str]
"""Keys from the top, e.g. ("clouds", "hetzner", "egress", "per_gb")."""


def find(root: Node | None, path: Path) -> Node | None:
    """The node at `path` below `root`, None where there is none."""
    for key in path:
        root = _child(root, key)[1]
    return root


def _child(node: Node | None, key: str) -> tuple[Node | None, Node | None]:
    if isinstance(node, MappingNode):
        for name, value in node.value:
            if name.value == key:
                return name, value
    return None, None


def values(text: str, paths: Iterable[Path]) -> list[str | None]:
    """The scalars at `paths` as they are written, None where there is none."""
    root = yaml.compose(text, yaml.SafeLoader)
    nodes = [find(root, path) for path in paths]
    return [str(node.value) if isinstance(node, ScalarNode) else None for node in nodes]


def put(text: str, changes: Iterable[tuple[Path, str]]) -> str:
    """`text` with other values at paths; a missing key is added to its mapping. Raises KeyError without a mapping."""
    root = yaml.compose(text, yaml.SafeLoader)
    edits = [_edit(text, root, path, new) for path, new in changes]
    for start, end, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _edit(text: str, root: Node | None, path: Path, new: str) -> tuple[int, int, str]:
    """Which part of `text` becomes what."""
    node = find(root, path)
    if node is not None:
        start, end = node.start_mark.index, node.end_mark.index
        if isinstance(node, ScalarNode) and node.style in (">", "|"):  # its end is where the next token starts
            end = start + len(text[start:end].rstrip())
        return start, end, new
    parent = find(root, path[:-1])
    if not isinstance(parent, MappingNode) or not parent.value:
        raise KeyError(".".join(path))
    last = parent.value[-1][1].end_mark.index
    if parent.flow_style:
        return last, last, f", {path[-1]}: {new}"
    column, line_end = parent.value[0][0].start_mark.column, text.find("\n", last)
    return line_end, line_end, f"\n{' ' * column}{path[-1]}: {new}"


def remove(text: str, path: Path) -> str:
    """`text` without the block key at `path`, whole lines; unchanged where there is none."""
    name, node = _child(find(yaml.compose(text, yaml.SafeLoader), path[:-1]), path[-1])
    if name is None or node is None:
        return text
    start = text.rfind("\n", 0, name.start_mark.index)
    end = text.find("\n", node.end_mark.index - 1)
    return text[:start] + text[end:]
