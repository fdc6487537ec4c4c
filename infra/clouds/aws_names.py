"""Names, tags and options of a stack's resources on AWS."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra import naming


@dataclass(frozen=True)
class Names:
    """Of one stack; `parent` is the component that all resources belong to."""

    stack: str
    parent: pulumi.Resource

    def title(self, part: str) -> str:
        return naming.resource(self.stack, part)

    def tags(self, part: str) -> dict[str, str]:
        """A resource's own tag; the stack's comes from the provider, on everything."""
        return {"Name": self.title(part)}

    def options(
        self,
        *,
        protect: bool = False,
        delete_before_replace: bool = False,
        depends_on: list[pulumi.Resource] | None = None,
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self.parent, protect=protect, delete_before_replace=delete_before_replace, depends_on=depends_on
        )
