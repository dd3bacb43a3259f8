"""The ground of admin pages: lists that stay fast with a million rows, and types at run time as in the checker."""

from inspect import cleandoc
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst

from tenants.models import Tenant

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


class Autocomplete(AutocompleteSelect):
    """A choice of a row by its id; Django's own fails on a posted text that is no id."""

    def optgroups(self, name: str, value: Any, attr: dict[str, Any] | None = None) -> Any:
        """Offer what was chosen, if it can be an id at all."""
        return super().optgroups(name, [each for each in value if self._may_be_id(each)], attr)

    def _may_be_id(self, value: Any) -> bool:
        try:
            self.field.target_field.to_python(value)
        except ValidationError:
            return False
        return True


class OperatorPage(Page[Row]):
    """
    A list of at most 50 rows that does not count the whole table.

    The docstring of a page stands below its search, so it says what the rows are and what is searched for.
    """

    list_per_page = 50
    show_full_result_count = False

    class Media:
        css: ClassVar = {"all": ("tenants/admin.css",)}

    def __init_subclass__(cls) -> None:
        """Take the hint from the docstring."""
        super().__init_subclass__()
        if cls.__doc__:
            cls.search_help_text = cleandoc(cls.__doc__).partition("\n\n")[0]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Choose the tenant where there is only one."""
        found: dict[str, Any] = super().get_changeform_initial_data(request)
        known = Tenant.objects.values_list("pk", flat=True)[:2]
        return {"tenant": known[0], **found} if len(known) == 1 else found

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Choose rows by a widget that takes any text."""
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", Autocomplete(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Leave NULs out of filters and searches: no stored text has one, and PostgreSQL refuses to compare with it."""
        if any("\0" in value for values in request.GET.lists() for value in values[1]):
            given = request.GET.copy()
            for name, values in request.GET.lists():
                given.setlist(name, [value.replace("\0", "") for value in values])
            request.GET = given  # type: ignore[assignment]  # Django's own admin does the same
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})
