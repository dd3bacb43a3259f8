"""Everything that has to be there before people come: tenant, key, an admin to log in with, and published flows."""

import secrets
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.db import transaction

from kalcifer.demo import plan
from kalcifer.demo.api import Api
from kalcifer.demo.sample import loading
from tenants import keys
from tenants.models import ApiKey, Role, Tenant

LOGIN = "demo"
KEY_NAME = "demo"


@dataclass(frozen=True, slots=True)
class Access:
    """What the terminal shows at the end."""

    tenant: Tenant
    api_key: str
    login: str
    password: str


def open_doors() -> Access:
    """Give a fresh key of the sample tenant and a fresh password; those of an earlier run no longer work."""
    with transaction.atomic():
        tenant, _ = Tenant.objects.get_or_create(name=loading.TENANT)
        for key in ApiKey.objects.filter(tenant=tenant, name=KEY_NAME, revoked_at=None):
            keys.revoke(key)
        _, raw = keys.issue(tenant, name=KEY_NAME, role=Role.ADMIN)
        password = secrets.token_urlsafe(9)
        user, _ = get_user_model().objects.get_or_create(username=LOGIN)
        user.is_staff = user.is_superuser = user.is_active = True
        user.set_password(password)
        user.save()
    return Access(tenant, raw, LOGIN, password)


def publish_flows(api: Api, receiver: str) -> dict[str, str]:
    """Have every flow active with the demo's present graph; the ids by the flows' short names."""
    return {name: _publish(api, plan.graph(name, receiver)) for name in plan.OWN}


def _publish(api: Api, graph: plan.JSON) -> str:
    flow = _find(api, graph["name"]) or api.post(
        "/flows", {"name": graph["name"], "description": graph["description"], "graph": graph}
    )
    flow_id: str = flow["id"]
    number = flow["latest_version"]
    newest = api.get(f"/flows/{flow_id}/versions/{number}") if number else None
    if newest is None or newest["graph"] != graph:
        newest = api.post(f"/flows/{flow_id}/versions", {"graph": graph, "changelog": "The demo's graph."})
    if newest["status"] != "published":
        api.post(f"/flows/{flow_id}/versions/{newest['number']}/publish")
    if flow["status"] != "active":
        api.post(f"/flows/{flow_id}/activate")
    return flow_id


def _find(api: Api, name: str) -> plan.JSON | None:
    found = (flow for flow in api.pages("/flows", search=name, page_size=100) if flow["name"] == name)
    return next((flow for flow in found if flow["status"] != "archived"), None)
