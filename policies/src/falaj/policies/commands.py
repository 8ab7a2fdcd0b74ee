"""The commands `check`, `explain`, `rules`, `controls` and `diff`."""

import datetime
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from falaj.policies.assessment import Assessment, Source, assess
from falaj.policies.catalogue.controls import CONTROLS
from falaj.policies.checkov import Opinion, second_opinion
from falaj.policies.config import PACKS, Config, in_pack, read_config
from falaj.policies.diff import compare, read_findings
from falaj.policies.engine import Stack
from falaj.policies.errors import RefusedError
from falaj.policies.evidence.bundle import bundle
from falaj.policies.evidence.bundle import verify as verified
from falaj.policies.evidence.signing import generate_key
from falaj.policies.files import ready
from falaj.policies.model import Rule, Verdict
from falaj.policies.reading import read_preview, read_stack, read_state
from falaj.policies.report import FORMATS, render
from falaj.policies.report.opinion import lines, plain
from falaj.policies.report.text import printable
from falaj.policies.residency.flow import flow, headline, mermaid
from falaj.policies.residency.flow_svg import svg
from falaj.policies.residency.proofs import proofs
from falaj.policies.rules import RULES

VIOLATION, BAD_INPUT, UNDETERMINED = 1, 2, 3
"""Exit codes beside 0."""


def check(
    *,
    state: Annotated[Path | None, typer.Option(metavar="FILE", help="What `pulumi stack export` wrote.")] = None,
    preview: Annotated[Path | None, typer.Option(metavar="FILE", help="What `pulumi preview --json` printed.")] = None,
    stack: Annotated[str | None, typer.Option(metavar="NAME", help="A stack of the project in this folder.")] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Packs, levels and values: the file that Pulumi takes too.")
    ] = None,
    waivers: Annotated[Path | None, typer.Option(metavar="FILE", help="Failures that somebody answers for.")] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="LIST", help=f"One or more of {','.join(FORMATS)}.")
    ] = "table",
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write one file for each format there, and print the table.")
    ] = None,
    transfers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The transfer register: what may leave, and who says so.")
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Keep the run's evidence there: a folder, or an archive by .zip."),
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Key that signs the evidence; see keygen.")] = None,
    previous: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The evidence of the run before, to which this one is chained.")
    ] = None,
    checkov: Annotated[
        bool,
        typer.Option("--checkov", help="Ask checkov too; its environment is made once. It decides with --strict only."),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 3 where something is undetermined, and with 1 where checkov fails."),
    ] = False,
) -> None:
    """Judge a stack. Exit with 0 where nothing is violated, 1 where something is, 2 for bad input.

    \b
    Examples:
      pulumi stack export --file state.json && falaj-policy check --state state.json
      pulumi preview --json --show-sames > preview.json; falaj-policy check --preview preview.json --strict
      falaj-policy check --stack prod --config policy.json --waivers waivers.toml
      falaj-policy check --state state.json --format sarif,html,oscal --output reports --checkov
    """
    chosen = _formats(formats, output)
    if evidence is not None and key is None:
        raise RefusedError("--evidence", str(evidence), "needs --key FILE; `falaj-policy keygen FILE` makes one")
    judged, source = _source(state, preview, stack)
    settings = _config(config)
    settings = replace(settings, waivers=waivers or settings.waivers, register=transfers or settings.register)
    now = datetime.datetime.now(datetime.UTC)
    engine = ready(RULES, settings, now.date())
    assessment = assess(engine, judged, source, settings.packs, now)
    wants_picture = evidence is not None or "html" in chosen
    picture = svg(flow(judged.known, engine.common)) if wants_picture else None
    if evidence is not None and key is not None:
        given = [path for path in (config, settings.waivers, settings.register) if path]
        typer.echo(f"{bundle(assessment, evidence, key, inputs=given, previous=previous, flow=picture)}", err=True)
    if output is None:
        sys.stdout.write(render(assessment, chosen[0], picture))
    else:
        _write(assessment, chosen, output, picture)
        sys.stdout.write(render(assessment, "table"))
    opinion = second_opinion(judged, say=lambda line: typer.echo(line, err=True)) if checkov else None
    if opinion is not None:
        _tell(opinion, output)
    raise typer.Exit(_code(assessment, opinion, strict=strict))


def verify(
    evidence: Annotated[Path, typer.Argument(metavar="EVIDENCE", help="What `check --evidence` wrote.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="The public key of whoever signed it.")],
    previous: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The evidence of the run before, to prove the chain.")
    ] = None,
) -> None:
    """Verify evidence: its signature, its files, its chain. Exit with 1 where something does not hold.

    \b
    Examples:
      falaj-policy verify evidence/2027-01-31.zip --key auditor.pub
      falaj-policy verify evidence/2027-01-31.zip --key auditor.pub --previous evidence/2027-01-30.zip
    """
    problems = verified(evidence, key, previous)
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(VIOLATION)
    typer.echo(f"{evidence}: signature, files and {'chain' if previous else 'manifest'} hold")


def keygen(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes; the public one beside it.")],
) -> None:
    """Make a key that signs evidence (Ed25519), readable by you alone.

    \b
    Examples:
      falaj-policy keygen evidence.key
    """
    typer.echo(f"{generate_key(file)}")


def residency(
    *,
    state: Annotated[Path | None, typer.Option(metavar="FILE", help="What `pulumi stack export` wrote.")] = None,
    preview: Annotated[Path | None, typer.Option(metavar="FILE", help="What `pulumi preview --json` printed.")] = None,
    stack: Annotated[str | None, typer.Option(metavar="NAME", help="A stack of the project in this folder.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Regime, home regions and other values.")] = None,
    transfers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The transfer register: what may leave, and who says so.")
    ] = None,
    drawing: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Draw where data flows, as .svg or .mmd (Mermaid).")
    ] = None,
) -> None:
    """Prove where everything is: each store, key, image, log sink, endpoint and state. Exit with 1 where one leaves.

    \b
    Examples:
      falaj-policy residency --state state.json --picture flow.svg
      falaj-policy residency --stack prod --config policy.json --transfers transfers.toml
    """
    judged, _ = _source(state, preview, stack)
    settings = _config(config)
    settings = replace(settings, register=transfers or settings.register)
    engine = ready(RULES, settings, datetime.datetime.now(datetime.UTC).date())
    proven = proofs(judged.known, engine.common)
    for proof in proven:
        places = ", ".join(proof.regions) or "nowhere known"
        typer.echo(f"{proof.verdict:<12}  {proof.kind:<10}  {places:<16}  {printable(proof.subject)}  {proof.why}")
    shown = flow(judged.known, engine.common)
    typer.echo(headline(shown))
    if drawing is not None:
        drawing.write_text(mermaid(shown) if drawing.suffix == ".mmd" else svg(shown), encoding="utf-8")
    if any(proof.verdict is Verdict.FAIL for proof in proven):
        raise typer.Exit(VIOLATION)


def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="The rule's id, for example FJ-KMS-001.")],
) -> None:
    """Say what a rule demands, why, of which resources, and how to mend a failure.

    \b
    Examples:
      falaj-policy explain FJ-KMS-001
    """
    found = next((each for each in RULES if each.id == rule), None)
    if found is None:
        near = [each.id for each in RULES if each.id.startswith(rule[:6])]
        raise RefusedError(
            "RULE", rule, f"must be the id of a rule{', such as ' + ', '.join(near[:5]) if near else ''}"
        )
    for line in explained(found):
        typer.echo(line)


def explained(rule: Rule) -> list[str]:
    """Return all there is to say of a rule, as lines."""
    scope = f"over the whole stack; reads also {', '.join(rule.reads)}" if rule.reads else "over one resource"
    lines = [
        f"{rule.id}  {rule.title}",
        f"severity      {rule.severity}",
        f"judges        {', '.join(rule.types)}",
        f"looks         {scope}",
        f"to do         {rule.remediation}",
        f"in the packs  {', '.join(pack for pack in PACKS if in_pack(rule, pack))}",
    ]
    lines += [f"serves        {CONTROLS[id].framework} {id}, {CONTROLS[id].name}" for id in rule.controls]
    lines += [
        f"setting       {name} = {json.dumps(_default(each.default))}: {each.schema.get('description', '')}"
        for name, each in rule.settings.items()
    ]
    lines += [
        f"remedy        {path} = {json.dumps(value)}, with the level remediate" for path, value in rule.fix.items()
    ]
    if rule.check.__doc__:
        lines.append(f"note          {' '.join(rule.check.__doc__.split())}")
    return lines


def rules(
    pack: Annotated[str | None, typer.Option(metavar="PACK", help=f"Only those of one of {', '.join(PACKS)}.")] = None,
) -> None:
    """List the rules.

    \b
    Examples:
      falaj-policy rules --pack residency
    """
    if pack is not None and pack not in PACKS:
        raise RefusedError("--pack", pack, f"must be one of {', '.join(PACKS)}")
    for rule in sorted(RULES, key=lambda rule: rule.id):
        if pack is None or in_pack(rule, pack):
            typer.echo(f"{rule.id}  {rule.severity:<8}  {rule.title}")


def controls(
    framework: Annotated[str | None, typer.Option(metavar="TEXT", help="Only frameworks that begin so.")] = None,
) -> None:
    """List the controls and the rules that serve each; what no rule serves says so.

    \b
    Examples:
      falaj-policy controls --framework NIST
    """
    served: dict[str, list[str]] = {}
    for rule in RULES:
        for id in rule.controls:
            served.setdefault(id, []).append(rule.id)
    for control in CONTROLS.values():
        if control.framework.lower().startswith((framework or "").lower()):
            by = ", ".join(sorted(served.get(control.id, []))) or "no rule"
            typer.echo(f"{control.framework}  {control.id}  {control.name}: {by}")


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="JSON that `check --format json` wrote before.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="JSON that it wrote now.")],
) -> None:
    """Say what changed between two assessments. Exit with 1 where something fails that did not fail before.

    \b
    Examples:
      falaj-policy diff main.json branch.json
    """
    changes = compare(read_findings(old), read_findings(new))
    for line in changes.lines():
        typer.echo(line)
    raise typer.Exit(VIOLATION if changes.worse else 0)


def _source(state: Path | None, preview: Path | None, stack: str | None) -> tuple[Stack, Source]:
    given = [each for each in (state, preview, stack) if each is not None]
    if len(given) != 1:
        raise RefusedError("check", len(given), "needs exactly one of --state, --preview and --stack")
    if state is not None:
        return read_state(state)
    return read_preview(preview) if preview is not None else read_stack(str(stack))


def _config(path: Path | None) -> Config:
    if path is None:
        return Config()
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RefusedError(str(path), " ".join(str(error).split())[:80], "must be YAML or JSON") from None
    except RecursionError:
        raise RefusedError(str(path), "a value in a value in a value", "must not be nested that deep") from None
    return read_config({} if given is None else given, RULES)


def _formats(listed: str, output: Path | None) -> list[str]:
    chosen = [each.strip() for each in listed.split(",") if each.strip()]
    for each in chosen:
        if each not in FORMATS:
            raise RefusedError("--format", each, f"must be of {', '.join(FORMATS)}")
    if not chosen or (len(chosen) > 1 and output is None):
        raise RefusedError("--format", listed, "must be one format, or several together with --output DIR")
    return chosen


def _write(assessment: Assessment, formats: Iterable[str], folder: Path, picture: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for each in formats:
        path = folder / FORMATS[each]
        # A reader must never find half a report.
        unfinished = path.with_name(f".{path.name}.unfinished")
        unfinished.write_text(render(assessment, each, picture), encoding="utf-8")
        unfinished.replace(path)
        typer.echo(f"{path}", err=True)


def _tell(opinion: Opinion, folder: Path | None) -> None:
    """Show what checkov says, beside what the rules say: on the error output, where a report may be on the other."""
    for line in lines(opinion):
        typer.echo(line, err=True)
    if folder is not None:
        (folder / "checkov.json").write_text(json.dumps(plain(opinion), indent=1) + "\n", encoding="utf-8")


def _code(assessment: Assessment, opinion: Opinion | None, *, strict: bool) -> int:
    if assessment.violations or (strict and opinion is not None and opinion.of(Verdict.FAIL)):
        return VIOLATION
    return UNDETERMINED if strict and any(assessment.of(Verdict.UNDETERMINED)) else 0


def _default(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
