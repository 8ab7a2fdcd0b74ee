"""Pulumi's analyzer protocol: every rule is a policy of the pack, and a resource is decoded once for all of them.

https://github.com/pulumi/pulumi/blob/master/proto/pulumi/analyzer.proto
"""

import datetime
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import analyzer_pb2 as proto
from pulumi.runtime.proto import analyzer_pb2_grpc, plugin_pb2

from falaj.policies.catalogue.controls import CONTROLS
from falaj.policies.config import OWN_SETTINGS, SETTINGS, Config, Level, configured, schemas
from falaj.policies.decoding import from_struct, provider_from_struct
from falaj.policies.engine import Engine, Finding
from falaj.policies.files import ready
from falaj.policies.fixing import fix
from falaj.policies.model import Resource, Rule, Severity, Verdict
from falaj.policies.values import View
from falaj.policies.waivers import Waivers

SUMMARY = "FJ-SUM-001"
"""Name of the policy that counts undetermined verdicts and names unmapped types and waivers that nobody needs."""
_VERSION = "0.0.1"  # the CLI shows the one in PulumiPolicy.yaml
_NO_LIMIT = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_LEVELS = {
    Level.ADVISORY: proto.ADVISORY,
    Level.MANDATORY: proto.MANDATORY,
    Level.REMEDIATE: proto.REMEDIATE,
    Level.DISABLED: proto.DISABLED,
}
_SEVERITIES = {
    Severity.LOW: proto.POLICY_SEVERITY_LOW,
    Severity.MEDIUM: proto.POLICY_SEVERITY_MEDIUM,
    Severity.HIGH: proto.POLICY_SEVERITY_HIGH,
    Severity.CRITICAL: proto.POLICY_SEVERITY_CRITICAL,
}


def serve_pack(name: str, rules: Iterable[Rule], level: Level = Level.MANDATORY) -> None:
    """Serve rules as the policy pack ``name`` until the engine ends it: the last line of a pack's ``__main__.py``."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=_NO_LIMIT)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(name, rules, level), server)  # pyright: ignore[reportUnknownMemberType] - generated
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """Answers the engine's questions."""

    def __init__(self, name: str, rules: Iterable[Rule], level: Level = Level.MANDATORY) -> None:
        self._name, self._level = name, level
        self._engine = Engine(rules, Config(default=level), Waivers((), _today()))
        self._lock = threading.Lock()
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        """The latest verdict of each rule on each resource: what was unknown at first may be known later."""
        self._not_applicable: dict[frozenset[str], list[proto.PolicyNotApplicable]] = {}

    def Handshake(self, request: proto.AnalyzerHandshakeRequest, context: Any) -> proto.AnalyzerHandshakeResponse:
        """Greet the engine, of which the rules need nothing."""
        return proto.AnalyzerHandshakeResponse()

    def ConfigureStack(
        self, request: proto.AnalyzerStackConfigureRequest, context: Any
    ) -> proto.AnalyzerStackConfigureResponse:
        """Take the stack's name and configuration, of which the rules need nothing."""
        return proto.AnalyzerStackConfigureResponse()

    def GetPluginInfo(self, request: Empty, context: Any) -> plugin_pb2.PluginInfo:
        """Say which version this is."""
        return plugin_pb2.PluginInfo(version=_VERSION)

    def Cancel(self, request: Empty, context: Any) -> Empty:
        """End nothing: every answer is quick."""
        return Empty()

    def GetAnalyzerInfo(self, request: Empty, context: Any) -> proto.AnalyzerInfo:
        """Say which policies there are."""
        info = proto.AnalyzerInfo(name=self._name, version=_VERSION, supportsConfig=True)
        info.policies.extend(described(rule, self._level) for rule in self._engine.rules)
        summary = info.policies.add(
            name=SUMMARY,
            displayName=f"{SUMMARY}: What the rules could not decide",
            description="What the rules could not decide",
            enforcementLevel=proto.ADVISORY,
            severity=proto.POLICY_SEVERITY_LOW,
            policy_type=proto.POLICY_TYPE_STACK,
        )
        summary.tags.append("about the run")
        common = info.policies.add(
            name=SETTINGS,
            displayName="Packs, and values for all rules that take them",
            description="Packs, and values for all rules that take them",
            enforcementLevel=proto.ADVISORY,
            policy_type=proto.POLICY_TYPE_STACK,
        )
        common.configSchema.properties.update(schemas(self._engine.rules) | OWN_SETTINGS)
        return info

    def Configure(self, request: proto.ConfigureAnalyzerRequest, context: Any) -> Empty:
        """Choose packs, levels and values; the engine has checked the values by the policies' schemas."""
        given = {name: MessageToDict(config.properties) for name, config in request.policyConfig.items()}
        levels = {name: _level(config.enforcementLevel) for name, config in request.policyConfig.items()}
        try:
            config = configured(given.pop(SETTINGS, {}), self._engine.rules, self._level, levels, given)
            self._engine = ready(self._engine.rules, config, _today())
        except (ValueError, OSError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{self._name}: {error}")
            raise
        self._not_applicable.clear()
        return Empty()

    def Analyze(self, request: proto.AnalyzeRequest, context: Any) -> proto.AnalyzeResponse:
        """Judge one resource by its inputs."""
        resource = resource_of(request)
        response = proto.AnalyzeResponse()
        with self._lock:
            findings = self._engine.judge_resource(resource)
            self._tell(response, findings, at_stack=False)
        return response

    def AnalyzeStack(self, request: proto.AnalyzeStackRequest, context: Any) -> proto.AnalyzeResponse:
        """Judge the stack by what is known of its resources, and sum up."""
        resources = [resource_of(each) for each in request.resources]
        response = proto.AnalyzeResponse()
        with self._lock:
            findings = self._engine.judge_graph(resources)
            self._tell(response, findings, at_stack=True)
            for line in self._summary(resources):
                response.diagnostics.add(
                    policyName=SUMMARY,
                    policyPackName=self._name,
                    policyPackVersion=_VERSION,
                    description="What the rules could not decide",
                    message=line,
                    enforcementLevel=proto.ADVISORY,
                    severity=proto.POLICY_SEVERITY_LOW,
                )
        return response

    def Remediate(self, request: proto.AnalyzeRequest, context: Any) -> proto.RemediateResponse:
        """Mend what the chosen rules find wrong, where a rule has its own remedy."""
        response = proto.RemediateResponse()
        if not any(self._engine.level(rule) is Level.REMEDIATE for rule in self._engine.chosen):
            return response
        properties = request.properties
        for finding in self._engine.judge_resource(resource_of(request)):
            rule = finding.rule
            mendable = rule.fix and finding.verdict is Verdict.FAIL and finding.waiver is None
            if mendable and self._engine.level(rule) is Level.REMEDIATE:
                properties = fix(properties, rule.fix)
                response.remediations.add(
                    policyName=rule.id,
                    policyPackName=self._name,
                    policyPackVersion=_VERSION,
                    description=rule.title,
                    properties=properties,
                )
        return response

    def _tell(self, response: proto.AnalyzeResponse, findings: Sequence[Finding], *, at_stack: bool) -> None:
        for finding in findings:
            self._verdicts[finding.rule.id, finding.urn] = finding.verdict
            urn = finding.urn if at_stack else ""
            if finding.failures:
                level = Level.MANDATORY if finding.level is Level.REMEDIATE else finding.level
                lines = [finding.rule.title, *_explained(finding)]
                if finding.waiver:
                    level, lines = Level.ADVISORY, [str(finding.waiver), *lines]
                response.diagnostics.append(self._about(finding.rule, "\n".join(lines), urn, level))
            if finding.undecided:
                message = f"undetermined: {'; '.join(finding.undecided)}"
                response.diagnostics.append(self._about(finding.rule, message, urn, Level.ADVISORY))
        judged = frozenset(finding.rule.id for finding in findings)
        if judged not in self._not_applicable:
            self._not_applicable[judged] = [
                proto.PolicyNotApplicable(policy_name=rule.id)
                for rule in self._engine.chosen
                if rule.id not in judged and bool(rule.reads) is at_stack
            ]
        response.not_applicable.extend(self._not_applicable[judged])

    def _summary(self, resources: Sequence[Resource]) -> list[str]:
        """Return what a reader must know beside the failures."""
        lines: list[str] = []
        waiting = Counter(rule for (rule, _), verdict in self._verdicts.items() if verdict is Verdict.UNDETERMINED)
        if waiting:
            listed = ", ".join(f"{rule} ({count})" for rule, count in sorted(waiting.items()))
            lines.append(f"Verdicts undetermined until values are known, {waiting.total()} in all: {listed}")
        if unmapped := self._engine.unmapped(resources):
            lines.append(f"Types judged by no rule of their own, {len(unmapped)} in all: {', '.join(unmapped)}")
        lines += (f"Expired waiver: {each.rule} on {each.resource}, {each}" for each in self._engine.waivers.expired)
        lines += (
            f"Waiver that no failure needs: {each.rule} on {each.resource}" for each in self._engine.waivers.unused
        )
        return lines

    def _about(self, rule: Rule, message: str, urn: str, level: Level) -> proto.AnalyzeDiagnostic:
        return proto.AnalyzeDiagnostic(
            policyName=rule.id,
            policyPackName=self._name,
            policyPackVersion=_VERSION,
            description=rule.title,
            message=message,
            urn=urn,
            enforcementLevel=_LEVELS[level],
            severity=_SEVERITIES[rule.severity],
        )


def resource_of(request: proto.AnalyzeRequest | proto.AnalyzerResource) -> Resource:
    """Return the engine's resource as plain values."""
    is_provider = request.type.startswith("pulumi:providers:")
    provider = provider_from_struct(request.provider.properties) if request.provider.type else None
    links: Mapping[str, frozenset[str]] = {}
    if isinstance(request, proto.AnalyzerResource):
        links = {key: frozenset(found.urns) for key, found in request.propertyDependencies.items()}
    properties = (provider_from_struct if is_provider else from_struct)(request.properties)
    return Resource(request.type, request.urn, request.name, View(properties), View(provider, "provider"), links)


def described(rule: Rule, level: Level) -> proto.PolicyInfo:
    """Return what a reader of ``pulumi preview``, or of a policy service, sees of the rule."""
    controls = [CONTROLS[control] for control in rule.controls]
    main = controls[0]
    name, _, version = main.framework.partition(":")
    info = proto.PolicyInfo(
        name=rule.id,
        displayName=f"{rule.id}: {rule.title}",
        description=rule.title,
        enforcementLevel=_LEVELS[level],
        severity=_SEVERITIES[rule.severity],
        policy_type=proto.POLICY_TYPE_STACK if rule.reads else proto.POLICY_TYPE_RESOURCE,
        remediation_steps=rule.remediation,
        tags=[f"{control.framework} {control.id}" for control in controls],
    )
    info.framework.name, info.framework.version = name, version
    info.framework.reference, info.framework.specification = main.id, main.name
    if rule.settings:
        schema = Struct()
        schema.update(schemas([rule]))
        info.configSchema.properties.CopyFrom(schema)
    return info


def _explained(finding: Finding) -> list[str]:
    """Return what is wrong, what to do and which controls ask for it; the CLI shows nothing else of a policy."""
    served: dict[str, list[str]] = {}
    for control in finding.rule.controls:
        served.setdefault(CONTROLS[control].framework, []).append(control)
    serves = "; ".join(f"{framework} {', '.join(controls)}" for framework, controls in served.items())
    return [*finding.failures, f"To do: {finding.rule.remediation}", f"Serves: {serves}"]


def _level(number: int) -> Level:
    return next(level for level, each in _LEVELS.items() if each == number)


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()
