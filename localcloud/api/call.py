"""One request as the handlers see it: project, path ids, query and JSON body, with checked access to all of them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

from localcloud import labels
from localcloud.api.errors import invalid, not_found, protected, taken
from localcloud.store import Data
from localcloud.worker import Scope

GENERAL_NAME = re.compile(r"[^\x00-\x1f]{1,128}")


@dataclass
class Call(Scope):
    """A request of a project. Explicit null in the body is the same as absent."""

    path: dict[str, Any] = field(default_factory=dict)  # ids; of zones and record sets also names
    query: dict[str, list[str]] = field(default_factory=dict)
    body: Data = field(default_factory=dict)
    url: str = ""
    reading: bool = False  # a GET: what it gets is shared, and must not be changed

    # -- objects ------------------------------------------------------------------------------------------------------

    def all(self, kind: str) -> list[Data]:
        return self.look(kind) if self.reading else super().all(kind)

    def get(self, kind: str, object_id: int) -> Data | None:
        if self.reading:
            return self.cloud.store.look_at(self.project, kind, object_id)
        return super().get(kind, object_id)

    def find(self, kind: str, object_id: int) -> Data:
        """The object, or 404."""
        data = self.get(kind, object_id)
        if data is None:
            raise not_found(kind, object_id)
        return data

    def target(self, kind: str) -> Data:
        """The object the path names, or 404."""
        return self.find(kind, int(self.path["id"]))

    def reference(self, kind: str, key: str, value: Any) -> Data:
        """An object a body refers to by id, numeric string or name. 404 if unknown."""
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise invalid(key, f"must be an id or a name of a {kind}")
        found = self.get(kind, int(value)) if str(value).isdecimal() else None
        found = found or next((row for row in self.all(kind) if row["name"] == value), None)
        if found is None:
            raise not_found(kind, value)
        return found

    def check_unprotected(self, kind: str, data: Data, what: str = "delete") -> None:
        """423 if that protection is on."""
        if data["protection"][what]:
            raise protected(kind)

    def check_name_free(self, kind: str, name: str, own_id: int | None = None) -> None:
        """409 if another object of the kind has the name."""
        if self.cloud.store.id_named(self.project, kind, name) not in (None, own_id):
            raise taken()

    # -- body ---------------------------------------------------------------------------------------------------------

    def text(self, key: str, *, required: bool = True, max_length: int = 255) -> str | None:
        """A string of the body; None if absent and not required."""
        value = self.body.get(key)
        if value is None and not required:
            return None
        if not isinstance(value, str) or (required and not value) or len(value) > max_length:
            raise invalid(key, f"must be a string of 1 to {max_length} characters" if required else "must be a string")
        return value

    def required(self, key: str) -> str:
        """A string that must be there."""
        return self.text(key) or ""

    def flag(self, key: str, default: bool = False) -> bool:
        """A boolean of the body."""
        value = self.body.get(key, default)
        if not isinstance(value, bool):
            raise invalid(key, "must be true or false")
        return value

    def number(self, key: str, low: int, high: int) -> int:
        """A whole number of the body within bounds."""
        value = self.body.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise invalid(key, f"must be a whole number from {low} to {high}")
        return value

    def object_id(self, key: str) -> int:
        """An id of the body; a numeric string will do."""
        value = self.body.get(key)
        if isinstance(value, str) and value.isdecimal():
            return int(value)
        return self.number(key, 1, 2**53)

    def items(self, key: str) -> list[Any]:
        """A list of the body; empty if absent."""
        value = self.body.get(key, [])
        if not isinstance(value, list):
            raise invalid(key, "must be a list")
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        """One of the allowed strings."""
        value = self.body.get(key, default)
        if value not in allowed:
            raise invalid(key, f"must be one of {', '.join(allowed)}")
        return str(value)

    def labels(self) -> dict[str, str]:
        """The labels of a create request; `{}` if absent."""
        value = self.body.get("labels", {})
        if error := labels.problem(value):
            raise invalid("labels", error)
        return dict(value)

    def name(self, kind: str, pattern: re.Pattern[str] = GENERAL_NAME) -> str:
        """The name of a create request: well-formed and free."""
        name = self.body.get("name")
        if not isinstance(name, str) or not pattern.fullmatch(name):
            raise invalid("name", f"is not a valid {kind} name")
        self.check_name_free(kind, name)
        return name

    def update_name_and_labels(self, kind: str, data: Data, pattern: re.Pattern[str] = GENERAL_NAME) -> None:
        """Apply what every PUT may change. What is missing (or an empty name) stays; labels are replaced whole."""
        if "labels" in self.body:
            data["labels"] = self.labels()
        name = self.body.get("name")
        if name not in (None, ""):
            if not isinstance(name, str) or not pattern.fullmatch(name):
                raise invalid("name", f"is not a valid {kind} name")
            self.check_name_free(kind, name, data["id"])
            data["name"] = name

    def protect(self, kind: str, data: Data, keys: tuple[str, ...] = ("delete",)) -> Data:
        """Carry out change_protection; returns the response."""
        data["protection"].update({key: self.flag(key) for key in keys if key in self.body})
        self.save(kind, data)
        return {"action": self.acted("change_protection", [(kind, data["id"])])}


def network_of(key: str, value: Any, *, version: int | None = 4) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A canonical CIDR, or invalid_input for that key; version 4, 6 or None for both."""
    try:
        net = ipaddress.ip_network(value if isinstance(value, str) and "/" in value else "")
    except ValueError:
        raise invalid(key, f"{value!r} is not a CIDR without host bits") from None
    if version is not None and net.version != version:
        raise invalid(key, f"{value!r} is not an IPv{version} range")
    return net
