"""Make names.json from a provider: ``python -m falaj.policies.checkov.names_made PROGRAM``.

PROGRAM is the lab's bridged AWS provider (``falaj-lab install --aws bridged``), which knows both sides: its mapping has
Terraform's schema, its own schema has Pulumi's names. Only what a rule of thumb would get wrong is kept.
"""

import argparse
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from falaj.policies.checkov.naming import FILE, snake

_LIST, _MAP, _SET = 5, 6, 7
_NO_LIMIT = [("grpc.max_receive_message_length", -1)]


def made(mapping: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return for each of Pulumi's types its Terraform type, and what of its properties differs."""
    found: dict[str, Any] = {}
    for name, resource in mapping["resources"].items():
        token = resource["tok"]
        if token in schema["resources"]:
            declares = schema["resources"][token]
            declared = {**declares.get("properties", {}), **declares.get("inputProperties", {})}
            fields = _fields(mapping["provider"]["resources"][name], declared, schema["types"])
            found[token] = {"type": name, **({"fields": fields} if fields else {})}
    return dict(sorted(found.items()))


def _fields(terraform: Mapping[str, Any], pulumi: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """Return by Pulumi's name what differs from ``snake`` and plain values."""
    found: dict[str, Any] = {}
    taken = {snake(name) for name in pulumi} & set(terraform)
    for name, shape in pulumi.items():
        plain = snake(name)
        called = plain if plain in terraform else _singular(name, set(terraform) - taken)
        if called is None:
            continue
        described = terraform[called]
        entry: dict[str, Any] = {} if called == plain else {"as": called}
        listed = described["type"] in (_LIST, _SET)
        if listed and shape.get("type") != "array":
            entry["one"] = True
        nested = (described.get("element") or {}).get("resource")
        inner = _object(shape, types)
        if nested and inner is not None:
            if below := _fields(nested, inner, types):
                entry["fields"] = below
        elif described["type"] == _MAP:
            entry["map"] = True
        if entry:
            found[name] = entry
    return found


def _singular(name: str, free: set[str]) -> str | None:
    """Return the Terraform name of which Pulumi's is the plural."""
    plain = snake(name)
    endings = (("ies", "y"), ("ses", "s"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("es", ""), ("s", ""))
    guesses = [plain.removesuffix(end) + new for end, new in endings if plain.endswith(end)]
    return next((guess for guess in guesses if guess in free), None)


def _object(shape: Mapping[str, Any], types: Mapping[str, Any]) -> Mapping[str, Any] | None:
    inner = shape.get("items", shape) if shape.get("type") == "array" else shape
    name = inner.get("$ref", "").removeprefix("#/types/")
    return types[name].get("properties") if name in types else None


def mapping_of(program: Path) -> Any:
    """Ask a provider how Terraform's names map to its own."""
    with subprocess.Popen([program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as plugin:
        assert plugin.stdout is not None
        try:
            channel = grpc.insecure_channel(f"127.0.0.1:{plugin.stdout.readline().strip()}", options=_NO_LIMIT)
            stub = provider_pb2_grpc.ResourceProviderStub(channel)
            answer = stub.GetMapping(provider_pb2.GetMappingRequest(key="terraform"))
            return json.loads(answer.data)
        finally:
            plugin.terminate()


def main() -> None:
    """Write the names."""
    parser = argparse.ArgumentParser(prog="python -m falaj.policies.checkov.names_made", description=__doc__)
    parser.add_argument("program", type=Path)
    program = parser.parse_args().program
    schema = json.loads(subprocess.run([program, "--schema"], capture_output=True, check=True, timeout=300).stdout)
    rows = (f"{json.dumps(token)}: {json.dumps(names)}" for token, names in made(mapping_of(program), schema).items())
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
