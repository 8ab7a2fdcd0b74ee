"""A picture of a planned network, as a Mermaid flowchart: GitHub draws it, and so does any Markdown editor that can."""

from collections.abc import Sequence

from falaj.components.network_endpoints import ENDPOINTS
from falaj.components.network_plan import NetworkPlan, ZonePlan

_LISTED = 4


def picture(title: str, plan: NetworkPlan, domains: Sequence[str] = (), placement_zone: str | None = None) -> str:
    """Return the picture of a network, with its way out where there are domains that may be reached."""
    lines = ["flowchart LR", f'  subgraph vpc["{title}: {plan.cidr}"]']
    for zone in plan.zones:
        lines += _zone(zone, out=bool(domains), close=zone.zone == placement_zone)
    lines += [
        f'    endpoints(["{len(ENDPOINTS)} interface endpoints<br>own identities, own resources, home region"])',
        '    s3(["S3 gateway endpoint"])',
        f'    dns{{{{"DNS firewall: home region{" and named domains" if domains else ""},<br>all else refused"}}}}',
        "  end",
        '  aws["AWS in the home region"]',
    ]
    if domains:
        more = f" and {len(domains) - _LISTED} more" if len(domains) > _LISTED else ""
        lines.append(f'  internet["Internet: {", ".join(domains[:_LISTED])}{more}"]')
    for zone in plan.zones:
        lines += _ways(zone, out=bool(domains))
    nodes = " & ".join(f"private_{zone.letter}" for zone in plan.zones)
    lines += ["  endpoints & s3 --> aws", f"  {nodes} -. names .-> dns"]
    return "\n".join(lines) + "\n"


def _zone(zone: ZonePlan, *, out: bool, close: bool) -> list[str]:
    letter = zone.letter
    nodes = "nodes and pods" + (",<br>training over EFA" if close else "")
    lines = [
        f'    subgraph zone_{letter}["{zone.zone}"]',
        f'      private_{letter}["private {zone.private}<br>{nodes}"]',
        f'      isolated_{letter}["isolated {zone.isolated}<br>endpoints, storage"]',
    ]
    if out:
        lines += [
            f'      firewall_{letter}{{{{"network firewall<br>{zone.firewall}"}}}}',
            f'      nat_{letter}["NAT gateway<br>public {zone.public}"]',
        ]
    return [*lines, "    end"]


def _ways(zone: ZonePlan, *, out: bool) -> list[str]:
    letter = zone.letter
    lines = [f"  private_{letter} --> isolated_{letter} --- endpoints", f"  private_{letter} --> s3"]
    if out:
        lines.append(f"  private_{letter} <--> firewall_{letter} <--> nat_{letter} <--> internet")
    return lines
