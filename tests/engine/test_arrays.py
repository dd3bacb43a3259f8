"""What is given as a list of texts arrives as it is."""

from __future__ import annotations

import uuid

import pytest
from django.db import DataError
from hypothesis import given
from hypothesis import strategies as st

from engine.connections import one

pytestmark = pytest.mark.django_db

TEXTS = st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6))


@given(TEXTS)
def test_a_list_of_texts_arrives_as_it_is(texts: list[str | None]) -> None:
    assert one("SELECT %s::text[]", [texts]) == texts


@pytest.mark.parametrize("texts", [['","'], ['"'], ["\\"], ["{", "}"], ["NULL"], [""], [" a "], ['a","b', 'c"']])
def test_what_means_something_in_an_array_is_text_in_a_list(texts: list[str]) -> None:
    assert one("SELECT %s::text[]", [texts]) == texts


def test_the_statement_says_what_the_texts_are() -> None:
    ids = [str(uuid.uuid4()) for _ in range(3)]

    assert one("SELECT %s::uuid[]", [ids]) == ids
    assert one("SELECT %s::uuid = ANY(%s)", [ids[1], ids])


def test_a_list_of_something_else_is_as_ever() -> None:
    assert one("SELECT %s", [[1, 2, None]]) == [1, 2, None]
    assert one("SELECT %s::uuid[]", [[uuid.UUID(int=1)]]) == [str(uuid.UUID(int=1))]
    assert one("SELECT %s::text[]", [[]]) == []


def test_a_text_that_cannot_be_stored_is_refused() -> None:
    with pytest.raises(DataError, match="NUL"):
        one("SELECT %s::text[]", [["fine", "not\0fine"]])
