"""Change what is known of the participant."""

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import Field

from engine.expressions.paths import MISSING
from engine.expressions.references import is_reference
from engine.nodes import base, profile_fields, registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Category, Need, Node, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Completed, Failed, Outcome
from engine.ports import CONSENT_STATUSES, ProfileChange


@registry.node
class UpdateProfile(Node):
    """Values into the profile, and consents into their record."""

    type = "update_profile"
    category = Category.ACTION
    title = "Update profile"
    description = "Sets fields of the participant's profile, and consents."
    runs_as = RunsAs.INLINE
    needs = (Need.PROFILE,)
    result_schema: ClassVar[JSON] = {
        "type": "object",
        "properties": {
            "status": {"enum": ["updated", "no_customer"]},
            "fields": {"type": "array", "items": {"type": "string"}},
        },
    }

    class Config(ActionConfig):
        """The fields and their values."""

        fields: dict[str, Any] = Field(
            min_length=1,
            max_length=100,
            description="Values by path (`plan`, `address.city`, `consent.<topic>.status`): JSON or references. Null "
            "takes a field away; a reference to nothing leaves it as it is.",
        )

    def validate(self, config: Config) -> list[str]:
        """Paths that can be set, and consents that say something."""
        found = [problem for path in config.fields for problem in profile_fields.problems(path)]
        for topic, parts in profile_fields.consents(config.fields).items():
            status = parts.get("status")
            if status is None or (not is_reference(status) and status not in CONSENT_STATUSES):
                found.append(f"consent.{topic}.status has to be one of {', '.join(CONSENT_STATUSES)}")
        return found

    def references_of(self, config: Config) -> Iterable[base.Reference]:
        """The topics of the consents."""
        return [base.Reference("topic", topic, "fields") for topic in profile_fields.consents(config.fields)]

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Set what has a value."""
        if step.participant is None:
            return Completed({"status": "no_customer", "fields": []})
        values = {
            path: value
            for path, raw in config.fields.items()
            if (value := profile_fields.value(raw, step)) is not MISSING
        }
        for topic, parts in profile_fields.consents(values).items():
            if parts.get("status") not in CONSENT_STATUSES:
                return Failed(f"consent.{topic}.status is {parts.get('status')!r}.", code="invalid_consent")
        source = f"flow:{step.run.get('flow', '')}"
        change = ProfileChange(step.participant_id, source, step.now, fields=values, instance_id=step.instance_id)
        return Completed({"status": "updated", "fields": sorted(values)}, effects=(change,))
