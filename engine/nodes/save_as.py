"""A second name for a node's result."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

SaveAs = Annotated[
    str | None,
    Field(
        default=None,
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="A second name for the result: `nodes.<name>` reads the same as `nodes.<id>`.",
    ),
]


def aliases_of(configs: Mapping[str, Any]) -> dict[str, str]:
    """Give the node id behind each `save_as` name, from the typed configs by node id."""
    return {name: node_id for node_id, config in configs.items() if (name := getattr(config, "save_as", None))}
