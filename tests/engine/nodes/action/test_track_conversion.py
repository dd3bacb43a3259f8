import pytest

from tests.engine.nodes.steps import execute, problems

CART = {"event_name": "cart_recovered", "revenue": {"ref": "entry.total"}, "currency": {"ref": "entry.currency"}}


def track(raw, **entry):
    return execute("track_conversion", raw, entry=entry)


def test_it_reaches_the_goal_with_its_value():
    outcome = track(CART, total="1234.5600", currency="EUR")

    assert outcome.goal == "cart_recovered"
    assert outcome.facts == {"value": "1234.5600", "currency": "EUR"}
    assert outcome.result == {
        "status": "recorded", "event_name": "cart_recovered", "revenue": "1234.5600", "currency": "EUR",
    }  # fmt: skip
    assert not outcome.ends


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("99999999999999.9999", "99999999999999.9999"),
        (" 12 ", "12"),
        ("-3.10", "-3.10"),
        (49, "49"),
        (19.99, "19.99"),
        (0.1 + 0.2, "0.3"),
        (1e3, "1000"),
    ],
)
def test_text_is_exact_and_numbers_are_rounded(given, kept):
    assert track(CART, total=given).facts == {"value": kept}


def test_what_is_not_there_has_no_value():
    outcome = track(CART)

    assert outcome.facts == {}
    assert (outcome.result["revenue"], outcome.result["currency"]) == (None, None)


@pytest.mark.parametrize("total", ["12,50", "1.23456", "1e5", "NaN", "", True, {"a": 1}, 10**14, "999999999999999"])
def test_what_is_no_amount_is_named_and_the_conversion_counts(total):
    outcome = track(CART, total=total, currency="eur")

    assert outcome.goal == "cart_recovered"
    assert outcome.facts == {"currency": "EUR"}
    assert "is no amount" in outcome.result["ignored"][0]


def test_a_currency_is_one_of_the_standards():
    outcome = track(CART, total=1, currency="EURO")

    assert outcome.facts == {"value": "1"}
    assert "is no currency" in outcome.result["ignored"][0]


def test_variant_and_metadata_are_kept():
    raw = {"event_name": "g", "variant": "long", "metadata": {"order": {"ref": "entry.order"}, "n": 1}}

    assert track(raw, order="o-7").facts == {"variant": "long", "metadata": {"order": "o-7", "n": 1}}


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({}, "event_name"),
        ({"event_name": "g", "revenue": "12,50"}, "revenue"),
        ({"event_name": "g", "currency": "EURO"}, "currency"),
        ({"event_name": "g", "revenue": {"ref": "total"}}, "revenue"),
        ({"event_name": "g", "value": 1}, "value"),
    ],
)
def test_mistakes_are_named(raw, place):
    assert place in problems("track_conversion", raw)
