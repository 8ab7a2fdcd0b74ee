"""Tells of one run: report.json for programs, report.html (one file, which asks for nothing) for people."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from falaj.lab.errors import LabError
from serving_demo.figure import timeline
from serving_demo.series import Answers, figures

EMULATED = (
    ("Real", "training, gate, signatures, sealing, `falaj-serve`, Pulumi and the policies, the Kubernetes API server,"
     " scheduler and controllers, Argo Rollouts with its Gateway API plugin, Prometheus, Envoy, OpenBao and its PKI,"
     " tritonserver with its Python backend, tritonclient."),
    ("Emulated", "AWS: S3 and KMS are moto's, on this machine. Pods are processes of this machine, without the limits,"
     " users and networks that containers have; a small kubelet of the lab's runs them."),
    ("Stands in", "In a cluster Envoy Gateway configures Envoy; here a translator of the lab's does. GPUs: Triton"
     " computes on CPUs."),
    ("Played", "Both bad versions: the good one's weights and verdict, with a program that was changed and signed"
     " anew. The clients know the right answers, because they ask about held back rows; in production such rows are"
     " asked about by a probe, or the truth comes later."),
    ("Shortened", "A new version is measured every 5 s over the last 10 s. The component's own defaults are 30 s over"
     " 60 s."),
)  # fmt: skip


def write(folder: Path, told: Mapping[str, Any]) -> None:
    """Write both reports, and the figure as a file of its own."""
    try:
        (folder / "report.json").write_text(json.dumps(told) + "\n")
        (folder / "report.html").write_text(page(told))
        (folder / "timeline.svg").write_text(timeline(told) + "\n")
    except OSError as error:
        raise LabError(f"--out {folder} cannot be written ({error.strerror}); choose another folder") from error


def summary(told: Mapping[str, Any]) -> list[str]:
    """Return what a person wants to know first, in lines."""
    return [*(_sentence(each) for each in told["versions"]), _requests(told)]


def as_wanted(told: Mapping[str, Any]) -> bool:
    """Return whether the good version was promoted, and every bad one was refused."""
    return all(each["outcome"] == each["wanted"] for each in told["versions"])


def failures(told: Mapping[str, Any]) -> int:
    """Return how many requests got no answer of a model."""
    return sum(status != 200 for status in told["answers"]["status"])


def _sentence(judged: Mapping[str, Any]) -> str:
    took = judged["decided"] - judged["published"]
    why = f": {judged['why']}" if judged["why"] else ""
    said = "" if judged["outcome"] == judged["wanted"] else f", but was to be {judged['wanted']}"
    return f"version {judged['version']} ({judged['what']}) was {judged['outcome']} after {took:.0f} s{why}{said}"


def _requests(told: Mapping[str, Any]) -> str:
    answers = Answers.of(told)
    bad = [each["version"] for each in told["versions"] if each["wanted"] == "refused"]
    theirs = sum(version in bad for version in answers.version)
    count = len(answers.at)
    part = 100 * theirs / max(count, 1)
    return f"{count:,} requests, {failures(told)} failed, {theirs} ({part:.1f} %) answered by a bad version"


def page(told: Mapping[str, Any]) -> str:
    """Return the report as one page."""
    verdict = "as it should be" if as_wanted(told) else "not as it should be"
    rate = told["settings"]["rate"]
    body = [
        "<h1>A good, a slow and a wrong version, under load</h1>",
        f'<p class="soft">{escape(told["started"])}, {escape(told["machine"])}, {rate} requests a second by'
        f" tritonclient with a client's certificate. All was decided by Argo Rollouts; the outcome is {verdict}.</p>",
        f'<div class="cards">{"".join(_card(told, each) for each in told["versions"])}</div>',
        f"<p>{escape(_requests(told))}. Colours are the version that answered, as Triton says it. The dark line is the"
        " share that the gateway was told to give; a shaded time is one in which a version was tried.</p>",
        f'<div class="figure">{timeline(told)}</div>',
        "<h2>What was measured</h2>",
        _table(("Version", "Figure", "Wanted", "Measured, the oldest first", "Verdict"), _measured(told)),
        "<h2>What the clients got</h2>",
        _table(
            ("Version", "Answers", "Wrong", "p50, ms", "p99, ms", "Asked after it was refused"),
            [_got(told, version) for version in Answers.of(told).versions],
        ),
        "<h2>The audit log</h2>",
        '<p class="soft">Every event names the one before it by its digest; <code>falaj-serve history --verify</code>'
        " has followed them.</p>",
        _table(("", "When (UTC)", "What", "Version", "Who", "Manifest", "Why"), [_event(e) for e in told["audit"]]),
        "<h2>What is real, and what is not</h2>",
        f"<dl>{''.join(f'<dt>{escape(word)}</dt><dd>{_code(text)}</dd>' for word, text in EMULATED)}</dl>",
    ]
    return _PAGE.format(body="\n".join(body))


def _card(told: Mapping[str, Any], judged: Mapping[str, Any]) -> str:
    good = judged["outcome"] == judged["wanted"]
    seen = figures(Answers.of(told), judged["version"])
    took = judged["decided"] - judged["published"]
    why = escape(judged["why"] or "every figure within its limit at every step")
    return (
        f'<div class="card {"good" if good else "bad"}"><b>version {judged["version"]}</b>'
        f' <span class="soft">{escape(judged["what"])}</span><div class="verdict">{judged["outcome"]}</div>'
        f'<div>{why}</div><div class="soft">{took:.0f} s after it was published; it gave'
        f" {seen['answers']:,} answers</div></div>"
    )


def _measured(told: Mapping[str, Any]) -> list[Sequence[object]]:
    limits = told["limits"]
    order = {name: place for place, name in enumerate(limits)}
    return [
        (
            analysis["version"],
            metric["name"],
            limits.get(metric["name"], ""),
            ", ".join(_number(value) for value in metric["values"]),
            metric["phase"],
        )
        for analysis in told["analyses"]
        for metric in sorted(analysis["metrics"], key=lambda each: order.get(each["name"], len(order)))
    ]


def _got(told: Mapping[str, Any], version: int) -> Sequence[object]:
    answers = Answers.of(told)
    seen = figures(answers, version)
    refused = next((e for e in told["versions"] if e["version"] == version and e["outcome"] == "refused"), None)
    late = len(answers.within(refused["decided"], answers.end + 1, version)) if refused else ""
    shown = [f"{seen[name]:,.1f}" if seen[name] is not None else "" for name in ("p50", "p99")]
    return (version, seen["answers"], seen["wrong"], *shown, late)


def _event(event: Mapping[str, Any]) -> Sequence[object]:
    who = event.get("who") or {}
    by = event.get("decided_by") or who.get("user", "")
    time = str(event["time"])[11:19]
    manifest = str(event.get("manifest_digest") or "")[:19]
    return (event["number"], time, event["what"], event.get("version", ""), by, manifest, event.get("why") or "")


def _number(text: str) -> str:
    try:
        return f"{float(text.strip('[]')):.4g}"
    except ValueError:
        return text


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _code(text: str) -> str:
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>A good, a slow and a wrong version</title>
<style>
:root {{ --page: #f5f6f8; --card: #fff; --ink: #1d2630; --soft: #5d6975; --line: #e3e7eb;
--good: #1f7a57; --bad: #b3243d; }}
@media (prefers-color-scheme: dark) {{
:root {{ --page: #0d1116; --card: #151b22; --ink: #e8ebee; --soft: #a0abb6; --line: #2c3641;
--good: #45c197; --bad: #ef6e84; }}
}}
body {{ font: 15px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 1180px;
margin: 32px auto; padding: 0 20px; }}
h1 {{ font-size: 26px; margin: 0 0 4px; }} h2 {{ font-size: 18px; margin: 36px 0 8px; }}
.soft {{ color: var(--soft); }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); gap: 14px; margin: 20px 0; }}
.card, .figure, .wide {{ background: var(--card); border: 1px solid var(--line); border-radius: 10px; }}
.card {{ padding: 14px 16px; border-left: 4px solid var(--good); }} .card.bad {{ border-left-color: var(--bad); }}
.verdict {{ font-size: 20px; font-weight: 650; color: var(--good); }} .bad .verdict {{ color: var(--bad); }}
.figure {{ padding: 6px; }} .figure svg {{ display: block; width: 100%; height: auto; }}
.wide {{ overflow-x: auto; padding: 4px 14px 8px; }}
table {{ border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }}
th {{ color: var(--soft); font-weight: 600; }}
td, th {{ border-bottom: 1px solid var(--line); padding: 5px 14px 5px 0; text-align: left; vertical-align: top; }}
tr:last-child td {{ border-bottom: 0; }} code {{ font-size: 13px; }}
dt {{ font-weight: 600; }} dd {{ margin: 0 0 10px; }}
</style>
<body>
{body}
</body></html>
"""
