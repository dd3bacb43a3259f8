"""Tag the participant, or take a tag away."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Category, Need, Node, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Completed, Failed, Outcome
from engine.nodes.references import Reference
from engine.ports import ProfileChange

MAX_TAG = 64
Tag = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TAG, pattern=r"^[^\x00]+$")]


@registry.node
class AddTag(Node):
    """A tag that the participant has from now on, or no longer."""

    type = "add_tag"
    category = Category.ACTION
    title = "Add tag"
    description = "Adds a tag to the participant's profile, or removes it. Tags are a set: twice is once."
    runs_as = RunsAs.INLINE
    needs = (Need.PROFILE,)
    result_schema: ClassVar[JSON] = {
        "type": "object",
        "properties": {
            "status": {"enum": ["added", "removed", "unchanged", "no_customer"]},
            "tag": {"type": "string"},
        },
    }

    class Config(ActionConfig):
        """The tag, and what becomes of it."""

        tag: Tag | Reference = Field(description="The tag, at most 64 characters.")
        action: Literal["add", "remove"] = Field("add", description="Add the tag, or remove it.")

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Add or remove."""
        tag = step.resolve(config.tag)
        if not isinstance(tag, str) or not 0 < len(tag) <= MAX_TAG or "\0" in tag:
            return Failed(f"The tag is a text of 1 to {MAX_TAG} characters, not {str(tag)[:80]!r}.", code="invalid_tag")
        if step.participant is None:
            return Completed({"status": "no_customer", "tag": tag})
        adds = config.action == "add"
        if (tag in step.participant.get("tags", ())) == adds:
            return Completed({"status": "unchanged", "tag": tag})
        change = ProfileChange(
            step.participant_id,
            f"flow:{step.run.get('flow', '')}",
            step.now,
            add_tags=(tag,) if adds else (),
            remove_tags=() if adds else (tag,),
            instance_id=step.instance_id,
        )
        return Completed({"status": "added" if adds else "removed", "tag": tag}, effects=(change,))
