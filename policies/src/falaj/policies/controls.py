"""The controls that rules serve: official numbers and names, as data."""

from dataclasses import dataclass

ISO = "ISO/IEC 27001:2022"
ZERO_TRUST = "NIST SP 800-207"
RESIDENCY = "Residency regime"
COST = "Cost and energy"


@dataclass(frozen=True, slots=True)
class Control:
    """One control of a framework."""

    id: str
    name: str
    framework: str


_ISO = {
    "A.5.3": "Segregation of duties",
    "A.5.9": "Inventory of information and other associated assets",
    "A.5.12": "Classification of information",
    "A.5.13": "Labelling of information",
    "A.5.15": "Access control",
    "A.5.16": "Identity management",
    "A.5.17": "Authentication information",
    "A.5.18": "Access rights",
    "A.5.21": "Managing information security in the ICT supply chain",
    "A.5.23": "Information security for use of cloud services",
    "A.5.33": "Protection of records",
    "A.5.34": "Privacy and protection of PII",
    "A.8.2": "Privileged access rights",
    "A.8.3": "Information access restriction",
    "A.8.5": "Secure authentication",
    "A.8.9": "Configuration management",
    "A.8.10": "Information deletion",
    "A.8.12": "Data leakage prevention",
    "A.8.15": "Logging",
    "A.8.16": "Monitoring activities",
    "A.8.18": "Use of privileged utility programs",
    "A.8.20": "Networks security",
    "A.8.21": "Security of network services",
    "A.8.22": "Segregation of networks",
    "A.8.24": "Use of cryptography",
    "A.8.31": "Separation of development, test and production environments",
    "A.8.32": "Change management",
}
# Section 2.1 of SP 800-207, shortened to what each tenet is about.
_TENETS = {
    "ZT-1": "All data sources and computing services are considered resources",
    "ZT-2": "All communication is secured regardless of network location",
    "ZT-3": "Access to individual enterprise resources is granted on a per-session basis",
    "ZT-4": "Access to resources is determined by dynamic policy",
    "ZT-5": "The integrity and security posture of all owned and associated assets is monitored and measured",
    "ZT-6": "All resource authentication and authorization are dynamic and strictly enforced before access is allowed",
    "ZT-7": "As much information as possible is collected about assets, network infrastructure and communications",
}
_RESIDENCY = {
    "RES-1": "Resources stay in the home region",
    "RES-2": "Keys exist in the home region only",
    "RES-3": "Resources stay in named accounts",
}
# falaj's own: what a platform team that pays for scarce GPUs asks of every stack.
_COST = {
    "CE-1": "What is not used is not kept running",
    "CE-2": "Work that can be interrupted runs on spare capacity",
    "CE-3": "Data that is seldom read moves to cheaper storage, and ends",
    "CE-4": "Every cost has an owner and a bound",
    "CE-5": "Machines and disks are of the efficient generation",
}

CONTROLS: dict[str, Control] = {
    id: Control(id, name, framework)
    for framework, table in ((ISO, _ISO), (ZERO_TRUST, _TENETS), (RESIDENCY, _RESIDENCY), (COST, _COST))
    for id, name in table.items()
}
"""Every control that a rule may name, by id."""
