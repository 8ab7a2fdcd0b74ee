"""What requests for inference must be like before a server sees them: gathered whole, and checked by a script of Envoy.

Triton 2.51, the newest in a wheel, dies of some requests of a valid client, and for good: a shape whose size overflows,
deep nesting, thousands of small chunks, compressed bodies that grow to gigabytes. Others it answers with 500, which an
analysis would take for the model's fault. docs/serving.md lists them.
"""

import functools
from pathlib import Path
from typing import Any

from falaj.lab.serving import gateway_limits as limits

CALL = "/inference.GRPCInferenceService/ModelInfer"
"""The call of gRPC whose message is gathered; a stream is checked message by message as it passes."""
HTTP = "/v2/"
"""What begins the paths of KServe's protocol."""
_FILTERS = "type.googleapis.com/envoy.extensions.filters"
_PARTS = ("json", "tensors", "messages", "requests")


def filters() -> list[dict[str, Any]]:
    """Return the filters: one that gathers the bodies of such requests, and the script that judges them."""
    script = {"default_source_code": {"inline_string": source()}}
    return [
        _gather(),
        {
            "name": "envoy.filters.http.lua",
            "typed_config": {"@type": f"{_FILTERS}.http.lua.v3.Lua", **script},
        },
    ]


@functools.cache
def source() -> str:
    """Return the script, of all its parts; for a gateway that runs it stays the same."""
    folder = Path(__file__).parent
    return "\n".join((folder / f"gateway_guard_{part}.lua").read_text("utf-8") for part in _PARTS)


def _gather() -> dict[str, Any]:
    """Return the filter that holds a request until its body is whole; all others pass it by."""
    buffer = {"@type": f"{_FILTERS}.http.buffer.v3.Buffer", "max_request_bytes": limits.REQUEST_BYTES}
    others = {"not_matcher": {"or_matcher": {"predicate": [_path_begins(HTTP), _path_begins(CALL)]}}}
    skip = {"@type": f"{_FILTERS}.common.matcher.action.v3.SkipFilter"}
    return {
        "name": "envoy.filters.http.match_delegate",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher",
            "xds_matcher": {
                "matcher_list": {
                    "matchers": [{"predicate": others, "on_match": {"action": {"name": "skip", "typed_config": skip}}}]
                }
            },
            "extension_config": {"name": "envoy.filters.http.buffer", "typed_config": buffer},
        },
    }


def _path_begins(prefix: str) -> dict[str, Any]:
    path = {
        "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
        "header_name": ":path",
    }
    return {"single_predicate": {"input": {"name": "path", "typed_config": path}, "value_match": {"prefix": prefix}}}
