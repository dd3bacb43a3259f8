"""The admin's front page: what operators come for is on top, and everything is on it once."""

from django.contrib import admin
from django.test import Client


def test_every_registered_model_is_on_the_front_page_once(admin_client: Client) -> None:
    apps = admin_client.get("/admin/").context["app_list"]

    names = [app["name"] for app in apps]
    assert names[:2] == ["Marketing", "Flows"]
    assert names[-1] == "Internals"
    shown = [model["model"] for app in apps for model in app["models"]]
    assert sorted(shown, key=str) == sorted(admin.site._registry, key=str)


def test_an_apps_own_page_shows_all_of_it(admin_client: Client) -> None:
    (app,) = admin_client.get("/admin/engine/").context["app_list"]

    assert {"Activity", "BatchClaim"} <= {model["object_name"] for model in app["models"]}
