"""The order of docs/howto/sagas.md, run as it stands there."""

import re
from pathlib import Path

from tests.support import processes

PAGE = Path(__file__).parents[4] / "docs/howto/sagas.md"


def test_the_order_of_the_page_prints_what_the_page_says(process_environment: dict[str, str], tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(# order\.py.*?)```", page, re.DOTALL)
    (printed,) = re.findall(r"```\n(\[\{.*?)```", page, re.DOTALL)
    plain_file = tmp_path / "order.py"
    plain_file.write_text(program, encoding="utf-8")

    ended = processes.python(str(plain_file), env=process_environment | {"DJANGO_SETTINGS_MODULE": "kalcifer.settings"})

    assert sorted(ended.stdout.splitlines()) == sorted(printed.splitlines()), ended.stderr
    assert ended.stderr == ""
