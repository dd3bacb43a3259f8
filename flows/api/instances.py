"""Instances, read only; what changes them is the engine's."""

from rest_framework.response import Response

from flows import queries
from flows.api.filters import InstanceFilters, as_query
from flows.api.shapes import InstanceShape, InstanceWithStepsShape
from flows.models import Flow, FlowInstance
from tenants.api.base import TenantRequest, TenantView


class InstancesView(TenantView):
    """All instances of the tenant."""

    paginated = True
    Output = InstanceShape

    class Filters(InstanceFilters):
        """Which instances to list."""

    def get(self, request: TenantRequest) -> Response:
        """List instances, those who entered last first."""
        found = queries.instances(request.tenant, **as_query(self.filters()))
        return self.paginate(found.rows, InstanceShape, ordering=queries.ORDER, parts=found.parts)


class FlowInstancesView(TenantView):
    """The instances of a flow."""

    paginated = True
    Output = InstanceShape

    class Filters(InstanceFilters):
        """Which instances to list."""

    def get(self, request: TenantRequest, flow_id: str) -> Response:
        """List the instances of one flow, those who entered last first."""
        flow = self.get_row(Flow, flow_id)
        asked = as_query(self.filters())
        found = queries.instances(request.tenant, **asked | {"flow_id": flow.pk, "flow": asked.get("flow_id", flow.pk)})
        return self.paginate(found.rows, InstanceShape, ordering=queries.ORDER, parts=found.parts)


class InstanceView(TenantView):
    """One instance."""

    Output = InstanceWithStepsShape

    def get(self, request: TenantRequest, instance_id: str) -> Response:
        """Show an instance with its steps in order."""
        instance = self.get_row(queries.with_names(FlowInstance.objects.all()), instance_id)
        return Response(InstanceWithStepsShape(instance).data)
