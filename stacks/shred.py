"""Make data unreadable by destroying its key: what `make shred` runs inside `falaj-lab exec`, and what runs on AWS.

Without --yes nothing is changed: it shows what would become unreadable, what stays readable, and when.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from botocore.exceptions import BotoCoreError, ClientError
from hvac.exceptions import VaultError

from deploy import ROOT, exported, table
from falaj.components import ConfigError
from falaj.components.checks import bounded
from falaj.components.crypto_shred import (
    Data,
    KeyKind,
    ShreddableKey,
    copies_that_stay,
    data_that_stays,
    data_under,
    keys_of_purpose,
    keys_of_tenant,
    shared_with,
    tenants_under,
)
from key_holders import Done, Holder, Kms, Transit

_EPILOG = """examples:
  python stacks/shred.py prod --key bucket-datasets                      show what would become unreadable
  python stacks/shred.py prod --key bucket-datasets --yes bucket-datasets --record shred.jsonl
  python stacks/shred.py prod --key bucket-datasets --cancel             bring the key back, within its window
  python stacks/shred.py prod --tenant vision --yes vision               a tenant's keys; those in Vault for ever
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Show, do or take back, and return 0; 1 when AWS or Vault refuses, 2 for what a person did wrong."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except ConfigError as error:
        return _say(str(error), 2)
    except (BotoCoreError, ClientError, VaultError, OSError) as error:
        return _say(str(error), 1)
    except subprocess.CalledProcessError:
        return _say(f"Pulumi does not show the stack {options.stack}: see above", 2)


def _run(options: argparse.Namespace) -> int:
    resources = exported(options.stack, options.project).get("resources", [])
    named = options.key or options.tenant
    find = keys_of_purpose if options.key else keys_of_tenant
    keys = find(resources, named)
    days = None if options.days is None else bounded("--days", options.days, 7, 30, "days")
    if options.yes not in (None, named):
        raise ConfigError("--yes", options.yes, f"must repeat what becomes unreadable: {named}")
    if options.yes and options.cancel:
        raise ConfigError("--cancel", named, "must stand without --yes")
    # Whoever cannot be asked now is not asked half-way through.
    holders = {key: _holder(key) for key in keys}
    states = {key: holder.state(key) for key, holder in holders.items()}
    if not (options.yes or options.cancel):
        print(preview(resources, keys, states, days, options.tenant))  # noqa: T201 - a command speaks to a person
        print(f"\nNothing was changed. To make it unreadable, repeat the name: --yes {named}")  # noqa: T201 - the same
        return 0
    # The record is opened first: nothing is done that could not be written down.
    with _record(options.record) as record:
        for key, holder in holders.items():
            done = holder.bring_back(key) if options.cancel else holder.destroy(key, days or key.window_days)
            print(f"{key.kind} key {key.purpose}: {done.said}")  # noqa: T201 - the same
            if done.action:
                _write(record, evidence(options.stack, key, holder.actor(), done, resources))
    return 0


def preview(
    resources: Sequence[dict[str, Any]],
    keys: Sequence[ShreddableKey],
    states: dict[ShreddableKey, str],
    days: int | None,
    tenant: str | None = None,
) -> str:
    """Return what becomes unreadable and when, and what stays readable; ``tenant`` is whose keys they are."""
    lost = [data for key in keys for data in data_under(resources, key)]
    parts = [
        table(
            ("KEY", "STATE", "UNREADABLE", "GONE FOR EVER"),
            [(key.purpose, states[key], "at once", _end(key, days)) for key in keys],
        ),
        "Becomes unreadable:\n" + (_data(lost) if lost else "  nothing that this stack made"),
    ]
    notes = [f"{data.place}: {data.note}" for data in lost if data.note]
    for key in keys:
        if users := tenants_under(resources, key):
            notes.append(f"under the key {key.purpose} lie folders of {', '.join(users)}: all of them go")
    if tenant and (shared := shared_with(resources, tenant, keys)):
        purposes = ", ".join(key.purpose for key in shared)
        notes.append(f"the folders of {tenant} under {purposes} stay readable, as these keys are not its own")
    if copies := copies_that_stay(resources, keys):
        notes.append(f"copies in {', '.join(copies)} are under another key and stay readable until they expire")
    if any(key.kind is KeyKind.TRANSIT for key in keys):
        notes.append("secrets at the tenant's paths in Vault are under Vault's own key: delete them there")
    notes.append("what somebody has read and kept elsewhere, or what another stack put under the key, is not listed")
    stays = data_that_stays(resources, keys)
    parts += ["Mind:\n" + "\n".join(f"  {note}" for note in notes)]
    parts += ["Stays readable, under other keys:\n" + (_data(stays) if stays else "  nothing")]
    return "\n\n".join(parts)


def evidence(
    stack: str, key: ShreddableKey, actor: str, done: Done, resources: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return one line of evidence: who did what to which key, when, and what became unreadable or came back."""
    return {
        "time": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "actor": actor,
        "action": done.action,
        "stack": stack,
        "key": {"kind": key.kind, "purpose": key.purpose, "identifier": key.identifier},
        "classification": key.classification,
        "deleted": done.when.isoformat(timespec="seconds") if done.when else None,
        "data": [
            {"what": data.what, "place": data.place, "classification": data.classification}
            for data in data_under(resources, key)
        ],
    }


def _data(found: Sequence[Data]) -> str:
    rows = [(data.what, data.place, data.classification, data.key) for data in found]
    return table(("WHAT", "WHERE", "CLASSIFICATION", "KEY"), rows)


def _end(key: ShreddableKey, days: int | None) -> str:
    if key.kind is KeyKind.TRANSIT:
        return "at once, nothing brings it back"
    return f"after {days or key.window_days} days, until then --cancel brings it back"


def _holder(key: ShreddableKey) -> Holder:
    return Kms(key) if key.kind is KeyKind.KMS else Transit()


def _record(path: Path | None) -> TextIO:
    # Standard output is duplicated, so that closing the record leaves it open.
    return path.open("a") if path else os.fdopen(os.dup(sys.stdout.fileno()), "w")


def _write(record: TextIO, line: dict[str, Any]) -> None:
    sys.stdout.flush()
    record.write(json.dumps(line) + "\n")
    record.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stack", help="stack whose data it is, for example prod")
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--key", metavar="PURPOSE", help="purpose of the key of a data set")
    whose.add_argument("--tenant", metavar="NAME", help="tenant whose own keys are meant, in KMS and in Vault")
    parser.add_argument("--yes", metavar="NAME", help="do it; repeats the purpose or the tenant")
    parser.add_argument("--cancel", action="store_true", help="bring KMS keys back, while their window lasts")
    parser.add_argument("--days", type=int, metavar="N", help="days until KMS deletes, 7 to 30 (default: the stack's)")
    parser.add_argument("--record", type=Path, metavar="FILE", help="append the evidence there (default: print it)")
    parser.add_argument(
        "--project", type=Path, default=ROOT, metavar="DIR", help="project of the stack (default: falaj)"
    )
    return parser


def _say(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201 - the same
    return code


if __name__ == "__main__":
    sys.exit(main())
