"""What is written in few steps reads as the library writes it."""

import re

import pytest
from liquid import Environment
from liquid.exceptions import LiquidError

from marketing.templates import budget, liquid
from marketing.templates.errors import CannotRender

KNOWN = {
    "participant": {"name": "Ada <b>", "tags": ["a", "b"], "age": 41, "vip": True, "none": None, "size": "XL"},
    "vars": {"items": [{"name": "Tea & cake", "price": 4.5}, {"name": "Milk", "price": 0}], "key": "name", "bare": ""},
    "text": "été\r\n<p>",
}
SOURCES = [
    "Hello {{ participant.name }}, {{ participant['age'] }} {{participant.vip}}{{ participant.none }}",
    "{{ participant.tags }} {{ participant.tags.size }} {{ participant.tags.first }} {{ vars.items[1].name }}",
    "{{ participant.size }} {{ vars.size }} {{ participant[vars.key] }} {{ text.size }} {{ vars.items.last.price }}",
    "{% for item in vars.items %}{{ forloop.index }} {{ item.name }}{% else %}-{% endfor %}{{ text }}",
    "{% assign name = 'Eve' %}{{ name }} {% capture both %}{{ name }}{{ participant.name }}{% endcapture %}{{ both }}",
    "{% if vars.gone %}x{% else %}{{ vars.bare | default: 'nothing' }}{% endif %}{{ participant.name | escape }}",
    "{{ 'a' }}{{ 1 }}{{ (1..3) }}{% increment n %}{{ n }}{% for name in participant.tags %}{{ name }}{% endfor %}",
    "{{ participant.gone }}",
    "{{ gone.deeper }}",
    "{{ participant.name.first }}",
    "{{ vars.items[7].name }}",
]


class Plain(Environment):
    """The library's own, with the same end of what is written."""

    output_stream_limit = budget.MAX_OUTPUT


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("source", SOURCES)
def test_a_wording_reads_as_the_library_writes_it(source, html):
    plain = Plain(undefined=liquid.Missing, autoescape=html).from_string(source)
    try:
        expected = plain.render(KNOWN)
    except LiquidError as error:
        with pytest.raises(CannotRender, match=re.escape(liquid.said(error))):
            liquid.write(source, KNOWN, html=html)
        return

    assert liquid.write(source, KNOWN, html=html) == expected
