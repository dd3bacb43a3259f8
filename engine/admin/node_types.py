"""What graphs are written with, beside the field where one is written."""

from __future__ import annotations

from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from engine.nodes import registry
from flows.admin.versions import add_vocabulary

TABLE = (
    "<details><summary>{} node types, with the fields of their config</summary>"
    "<table><thead><tr><th>type</th><th>what it does</th><th>config</th><th>branches</th></tr></thead>"
    "<tbody>{}</tbody></table></details>"
)
ROW = '<tr><td class="moment"><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>'


def show_node_types() -> SafeString:
    """List the node types of this installation, by category."""
    found = registry.catalogue()
    rows = format_html_join("", ROW, (_cells(each) for each in found))
    return format_html(TABLE, len(found), rows)


def _cells(node: dict[str, Any]) -> tuple[Any, ...]:
    schema = node["config_schema"]
    needed = set(schema.get("required", ()))
    fields = format_html_join(
        ", ",
        "<code>{}</code>{}",
        ((name, " (needed)" if name in needed else "") for name in schema.get("properties", {})),
    )
    return node["type"], node["description"], fields or "nothing", ", ".join(node["branches"]) or "none"


add_vocabulary(show_node_types)
