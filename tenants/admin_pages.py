"""The ground of admin pages: lists that stay fast with a million rows, and types at run time as in the checker."""

from typing import TYPE_CHECKING, Generic, TypeVar

from django import forms
from django.contrib import admin
from django.db.models import Model

Row = TypeVar("Row", bound=Model)

# Django's own classes take no parameter at run time; django-stubs' do.
if TYPE_CHECKING:
    Page = admin.ModelAdmin
    Form = forms.ModelForm
else:

    class Page(admin.ModelAdmin, Generic[Row]):
        """`admin.ModelAdmin[Row]`."""

    class Form(forms.ModelForm, Generic[Row]):
        """`forms.ModelForm[Row]`."""


class OperatorPage(Page[Row]):
    """A list of at most 50 rows that does not count the whole table."""

    list_per_page = 50
    show_full_result_count = False
