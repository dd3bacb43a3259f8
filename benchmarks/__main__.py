"""Runs workloads in the database that `manage.py bench` made: `python -m benchmarks WORKLOAD…`."""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import django
import orjson
from django.conf import settings
from rich.console import Console

from benchmarks import interruption
from benchmarks.failures import NotDurable, Unaccounted

JSON = dict[str, Any]


def main() -> int:
    """Measure, and print one document or tables."""
    options = _options()
    django.setup()
    console = Console(stderr=True)
    interruption.listen()
    try:
        document = _measure(options, console)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except NotDurable as failure:
        console.print(f"No figures: {failure}", highlight=False)
        return 1
    if options.json:
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        from benchmarks import report  # noqa: PLC0415  # after django.setup

        report.show(Console(width=None if sys.stdout.isatty() else 140), document)
    return int(any("failed" in figures for figures in document["workloads"].values()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("workloads", nargs="+")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--rows", type=int, default=0)
    return parser.parse_args()


def _measure(options: argparse.Namespace, console: Console) -> JSON:
    from benchmarks import floor, report, system, workloads  # noqa: PLC0415  # after django.setup
    from benchmarks.bench import Bench  # noqa: PLC0415  # likewise
    from kalcifer import collector, migrating  # noqa: PLC0415  # likewise
    from tenants import keys  # noqa: PLC0415  # likewise
    from tenants.models import Role, Tenant  # noqa: PLC0415  # likewise

    document: JSON = {"machine": system.machine(), "versions": system.versions()}
    document["settings"] = {
        **system.server_settings(),
        "workers": options.workers,
        "runs": options.runs,
        "quick": options.quick,
        "rate_limits": f"{settings.KALCIFER_RATE_LIMITS} (none)",
        "transactions": "committed, by pg_stat_database: the bundled server counts no statements",
    }
    migrating.migrate()
    collector.spare()
    document["machine"]["floor"] = measured = floor.measure(quick=options.quick)
    tenant = Tenant.objects.create(name="bench")
    _, api_key = keys.issue(tenant, name="bench", role=Role.ADMIN)
    document["workloads"] = results = {}
    with tempfile.TemporaryDirectory(prefix="kalcifer-bench-") as folder:
        logs = Path(os.environ.get("KALCIFER_BENCH_LOGS") or folder)
        bench = Bench(tenant, api_key, console, logs, options.workers, options.runs, options.quick, options.rows)
        for name in options.workloads:
            bench.note(f"[bold]{name}[/bold]")
            try:
                results[name] = workloads.ALL[name](bench)
                report.add_ratios(results[name], measured)
            except Unaccounted as failure:
                bench.note(f"  no figures: {failure}")
                results[name] = {"failed": str(failure)}
    return document


if __name__ == "__main__":
    sys.exit(main())
