"""What operators see and do in the admin."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils.html import format_html

from flows import lifecycle, publishing, versions
from flows.admin import instances
from flows.admin.pages import Button
from flows.errors import FlowNotDraft
from flows.models import ExecutionStep, Flow, FlowEntry, FlowInstance, FlowTrigger, FlowVersion
from tenants.ids import uuid7
from tests.flows.conftest import NOON
from tests.flows.graphs import line

TOKEN = {"node_id": "pause", "node_type": "wait", "status": "waiting", "since": None, "waiting_for": None}


@pytest.fixture(autouse=True)
def nothing_added(monkeypatch):
    """What the engine adds is the engine's."""
    monkeypatch.setattr(instances, "added", instances.Added())


@pytest.fixture
def operator(client, db):
    user = get_user_model().objects.create_superuser("ada", "ada@example.com", "x")
    client.force_login(user)
    return client


@pytest.fixture
def world(tenant, flow, instance_of, step_of):
    """Something of everything."""

    def make(number):
        active = lifecycle.activate(lifecycle.create(tenant, f"Flow {number}", graph=line()))
        instance = instance_of(active, f"p{number}", current_nodes=[TOKEN], status="waiting")
        for n in range(1, 4):
            step_of(instance, n, output={"a": n})
        FlowTrigger.objects.create(
            tenant=tenant, flow=active, version=active.active_version, kind="event", key="x", node_id="entry"
        )
        FlowEntry.objects.create(tenant=tenant, flow=active, participant_id="ada", last_entered_at=NOON)
        return instance

    return make


def page(model, *args, of="changelist"):
    return reverse(f"admin:flows_{model._meta.model_name}_{of}", args=args)


MODELS = [Flow, FlowVersion, FlowInstance, ExecutionStep, FlowTrigger, FlowEntry]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_page_opens(operator, world, model):
    instance = world(1)

    assert operator.get(page(model)).status_code == 200
    assert operator.get(page(model), {"q": str(instance.flow_id)}).status_code == 200
    assert operator.get(page(model), {"q": "ada \0 %"}).status_code == 200
    for row in model.objects.all():
        assert operator.get(page(model, row.pk, of="change")).status_code == 200
        assert operator.get(page(model, row.pk, of="history")).status_code == 200


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_list_takes_the_same_statements_however_long(
    operator, world, model, django_assert_max_num_queries, django_assert_num_queries
):
    world(1)
    operator.get(page(model))
    with django_assert_max_num_queries(12) as first:
        operator.get(page(model))
    for number in range(2, 8):
        world(number)

    with django_assert_num_queries(len(first)) as then:
        operator.get(page(model))

    assert not any("COUNT(*)" in each["sql"] and "LIMIT" not in each["sql"] for each in then.captured_queries)


def test_an_instance_is_shown_with_its_steps_in_a_fixed_number_of_statements(
    operator, world, step_of, django_assert_num_queries, django_assert_max_num_queries
):
    instance = world(1)
    address = page(FlowInstance, instance.pk, of="change")
    operator.get(address)
    with django_assert_max_num_queries(12) as first:
        shown = operator.get(address).content.decode()
    for n in range(4, 20):
        step_of(instance, n)

    with django_assert_num_queries(len(first)):
        operator.get(address)

    assert "pause (waiting)" in shown
    assert "n3" in shown
    assert 'name="_save"' not in shown


def test_instances_are_found_by_participant_or_id(operator, world):
    ada, bob = world(1), world(2)

    def found(text):
        return [row.pk for row in operator.get(page(FlowInstance), {"q": text}).context["cl"].result_list]

    assert found("p1") == [ada.pk]
    assert found(str(bob.pk)) == [bob.pk]
    assert found(str(bob.flow_id)) == [bob.pk]
    assert found("p") == []
    stranger = str(uuid7())
    FlowInstance.objects.filter(pk=ada.pk).update(participant_id=stranger)
    assert found(stranger) == [ada.pk]


def test_flows_are_activated_paused_and_archived_from_the_list(operator, flow, tenant):
    empty = lifecycle.create(tenant, "Empty")

    def act(action):
        chosen = {"action": action, "_selected_action": [flow.pk, empty.pk]}
        shown = operator.post(page(Flow), chosen, follow=True)
        flow.refresh_from_db()
        return [str(message) for message in shown.context["messages"]]

    told = act("activate")
    assert flow.status == "active"
    assert "Onboarding is active." in told
    assert "Empty: The flow has no version to publish; create one first." in told
    act("pause")
    assert flow.status == "paused"
    act("archive")
    assert flow.status == "archived"
    assert flow.versions.get().published_by == "user:ada"


def test_a_flow_page_has_the_verbs_that_it_can_take(operator, flow):
    def verbs():
        return [label for label, *_ in operator.get(page(Flow, flow.pk, of="change")).context["buttons"]]

    def press(name):
        operator.post(page(Flow, flow.pk, name, of="press"))

    assert verbs() == ["Activate"]
    press("activate")
    assert verbs() == ["Pause", "Archive"]
    press("pause")
    assert verbs() == ["Resume", "Archive"]
    press("resume")
    press("activate")
    assert verbs() == ["Pause", "Archive"]
    press("archive")
    assert verbs() == []
    assert operator.get(page(Flow, flow.pk, "pause", of="press")).status_code == 405
    assert operator.post(page(Flow, flow.pk, "explode", of="press")).status_code == 404


def test_a_form_writes_name_and_description_and_nothing_else(operator, flow, other_tenant):
    operator.post(
        page(Flow, flow.pk, of="change"),
        {"name": "New", "description": "d", "status": "active", "tenant": other_tenant.pk, "active_version": ""},
    )

    flow.refresh_from_db()
    assert (flow.name, flow.description, flow.status) == ("New", "d", "draft")
    assert flow.tenant_id != other_tenant.pk


def test_a_flow_is_added_and_a_draft_deleted(operator, tenant):
    operator.post(page(Flow, of="add"), {"tenant": tenant.pk, "name": "Made", "status": "active"})
    made = Flow.objects.get()
    assert (made.name, made.status) == ("Made", "draft")

    operator.post(page(Flow, made.pk, of="delete"), {"post": "yes"})
    assert not Flow.objects.exists()


def test_an_active_flow_is_not_deleted(operator, flow):
    lifecycle.activate(flow)

    assert operator.post(page(Flow, flow.pk, of="delete"), {"post": "yes"}).status_code == 403
    assert "delete_selected" not in dict(operator.get(page(Flow)).context["action_form"].fields["action"].choices)


def test_a_draft_is_written_as_json_and_published(operator, flow):
    operator.post(page(FlowVersion, of="add"), {"flow": flow.pk, "graph": '{"nodes": 3}', "changelog": ""})
    assert flow.versions.count() == 1

    operator.post(page(FlowVersion, of="add"), {"flow": flow.pk, "graph": '{"nodes": []}', "changelog": "Empty."})
    draft = flow.versions.get(number=2)
    assert draft.graph == {"nodes": []}
    shown = operator.get(page(FlowVersion, draft.pk, of="change")).content.decode()
    assert "no_entry" in shown
    assert f"{flow.name} v2" in shown
    assert "{\n  &quot;nodes&quot;: []\n}" in shown

    shown = operator.post(page(FlowVersion, draft.pk, "publish", of="press"), follow=True)
    assert "no entry" in str(next(iter(shown.context["messages"])))
    first = flow.versions.get(number=1)
    operator.post(page(FlowVersion, first.pk, "publish", of="press"))
    first.refresh_from_db()
    assert (first.status, first.published_by) == ("published", "user:ada")


def test_a_version_is_begun_where_the_newest_one_ends(operator, flow, tenant):
    versions.create_draft(flow, graph=(newest := {"nodes": [{"id": "a", "type": "exit"}], "edges": []}))
    add = page(FlowVersion, of="add")

    forms = [operator.get(add, {"flow": key}).context["adminform"].form for key in (flow.pk, "nonsense", "")]

    assert forms[0]["graph"].initial == newest
    assert [publishing.validate(form["graph"].initial, tenant).errors for form in forms[1:]] == [(), ()]


def test_a_published_version_is_looked_at(operator, flow):
    lifecycle.activate(flow)
    version = flow.versions.get()
    address = page(FlowVersion, version.pk, of="change")

    shown = operator.get(address).content.decode()
    assert "None: it can be published." in shown
    assert "event_entry" in shown
    assert 'name="_save"' not in shown
    assert operator.post(address, {"graph": "{}", "changelog": "x", "status": "draft"}).status_code == 403
    version.refresh_from_db()
    assert (version.status, version.changelog) == ("published", "")


@pytest.mark.parametrize("model", [FlowInstance, ExecutionStep])
def test_what_the_engine_owns_cannot_be_written(operator, world, model):
    world(1)
    row = model.objects.first()

    assert operator.get(page(model, of="add")).status_code == 403
    assert operator.post(page(model, row.pk, of="change"), {"status": "completed"}).status_code == 403
    assert operator.post(page(model, row.pk, of="delete"), {"post": "yes"}).status_code == 403
    row.refresh_from_db()
    assert row.status != "failed"


def test_the_engine_adds_buttons_sections_and_actions(operator, world):
    pressed = []

    def cancel(instance, by):
        if by != "user:ada":
            raise FlowNotDraft
        pressed.append(instance.pk)
        return "Cancelled."

    def cancel_all(modeladmin, request, queryset):
        pressed.extend(queryset.values_list("pk", flat=True))

    instances.add_button(Button("cancel", "Cancel", cancel, lambda instance: instance.status == "waiting"))
    instances.add_section("Events", lambda instance: format_html("<b>{}</b>", "flow_started <"))
    instances.add_action(cancel_all)
    instance = world(1)
    address = page(FlowInstance, instance.pk, of="change")

    shown = operator.get(address)
    assert [label for label, *_ in shown.context["buttons"]] == ["Cancel"]
    assert "<b>flow_started &lt;</b>" in shown.content.decode()
    told = operator.post(page(FlowInstance, instance.pk, "cancel", of="press"), follow=True)
    assert "Cancelled." in told.content.decode()
    operator.post(page(FlowInstance), {"action": "cancel_all", "_selected_action": [instance.pk]})
    assert pressed == [instance.pk, instance.pk]


def test_the_list_counts_no_further_than_its_cap(operator, flow, instance_of, monkeypatch):
    monkeypatch.setattr("flows.admin.walks.COUNTED", 3)
    lifecycle.activate(flow)
    for number in range(5):
        instance_of(flow, f"p{number}")

    assert operator.get(page(FlowInstance)).context["cl"].paginator.count == 3


def test_newest_versions_are_shown_in_the_list(operator, flow):
    versions.create_draft(flow, line("more"))

    [row] = operator.get(page(Flow)).context["cl"].result_list
    assert row.latest_number == 2
