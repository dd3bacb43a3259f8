"""Split participants between variants."""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Annotated, ClassVar

from pydantic import Field

from engine.nodes import registry
from engine.nodes.base import Category, Node, NodeConfig, Notice, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Branched, Outcome
from engine.nodes.save_as import SaveAs


class Variant(NodeConfig):
    """One way, and its share."""

    key: str = Field(min_length=1, max_length=64, description="The name of the variant, and of its branch.")
    weight: int = Field(
        1, ge=0, le=1_000_000, description="Its share, in proportion to the other weights; 0 takes nobody."
    )


@registry.node
class AbSplit(Node):
    """Chance that is the same whenever it is asked."""

    type = "ab_split"
    category = Category.CONDITION
    title = "A/B split"
    description = "Takes one branch per variant, by weight: the same participant always gets the same one."
    runs_as = RunsAs.INLINE
    result_schema: ClassVar[JSON] = {"type": "object", "properties": {"selected_variant": {"type": "string"}}}

    class Config(NodeConfig):
        """The variants, and what the choice depends on."""

        variants: Annotated[tuple[Variant, ...], Field(min_length=1, max_length=26)] = Field(
            (Variant(key="a", weight=1), Variant(key="b", weight=1)), description="The variants and their weights."
        )
        salt: str | None = Field(
            None,
            max_length=200,
            description="Splits with the same salt choose alike; without it, each node for itself.",
        )
        metric: str | None = Field(None, max_length=200, description="The goal by which the variants are compared.")
        sticky: bool = Field(True, description="Choose once per participant; else anew for each entry.")
        save_as: SaveAs = None

    def branches_of(self, config: Config) -> tuple[str, ...]:
        """A branch per variant."""
        return tuple(variant.key for variant in config.variants)

    def validate(self, config: Config) -> list[str]:
        """Keys differ, and somebody gets something."""
        keys = self.branches_of(config)
        found = [] if len(set(keys)) == len(keys) else ["the keys of the variants must differ"]
        return found if any(variant.weight for variant in config.variants) else [*found, "one weight must be above 0"]

    def notices(self, config: Config, now: datetime) -> Iterable[Notice]:
        """A variant that nobody gets."""
        for index, variant in enumerate(config.variants):
            if not variant.weight:
                yield Notice("zero_weight", f"variants.{index}.weight", f'nobody gets the variant "{variant.key}"')

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Choose by where a hash of the participant falls on the line of weights."""
        who = step.participant_id if config.sticky else f"{step.participant_id}\0{step.instance_id}"
        seed = f"{step.node_id if config.salt is None else config.salt}\0{who}"
        place = int.from_bytes(sha256(seed.encode()).digest()) * sum(variant.weight for variant in config.variants)
        for variant in config.variants:
            place -= variant.weight << 256
            if place < 0:
                return Branched(variant.key, {"selected_variant": variant.key})
        raise AssertionError  # the hash is below 1, so that the line is never left
