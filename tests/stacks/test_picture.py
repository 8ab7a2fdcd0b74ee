"""The picture of the planned network: of every environment, true to the plan, and refusing what the network refuses."""

import re

import pytest
import yaml
from test_platform_config import STACKS, raw

import picture
from falaj.components import ConfigError
from platform_config import Environment, read_config


def drawn(environment="prod", **changes):
    return picture.network_picture(read_config(raw(environment, **changes)))


@pytest.mark.parametrize("environment", list(Environment))
def test_every_environment_has_a_picture_with_its_range_and_zones(environment, capsys):
    assert picture.main([environment]) == 0
    text = capsys.readouterr().out
    network = yaml.safe_load((STACKS / f"Pulumi.{environment}.yaml").read_text())["config"]["falaj:network"]
    assert text.startswith("flowchart LR\n")
    assert network["cidr"] in text
    assert re.findall(r'subgraph zone_\w\["(.*)"\]', text) == network["zones"]
    assert text.count("subgraph") == len(re.findall(r"^ +end$", text, flags=re.MULTILINE))


def test_a_network_without_egress_shows_no_internet():
    text = drawn(network__allowedDomains=[])
    assert not re.search("internet|NAT|network firewall", text, flags=re.IGNORECASE)


def test_a_way_out_is_shown_with_its_firewall_and_its_domains():
    text = drawn(network__allowedDomains=["login.ae", "a.org", "b.org", "c.org", "d.org"])
    assert 'internet["Internet: login.ae, a.org, b.org, c.org and 1 more"]' in text
    assert text.count("network firewall<br>") == text.count("NAT gateway<br>") == 3


def test_every_place_that_is_connected_is_drawn():
    text = drawn(network__allowedDomains=["login.ae"])
    places = set(re.findall(r"^ +(?:subgraph )?(\w+)[\[({]", text, flags=re.MULTILINE))
    ways = [line for line in text.splitlines() if re.search(r"--[->]|\.->", line)]
    connected = {word for line in ways for word in re.findall(r"\b[a-z]\w*\b", re.sub(r'".*?"| names ', "", line))}
    assert connected <= places


def test_what_the_network_refuses_is_refused_here_too():
    with pytest.raises(ConfigError, match=r"^falaj:network\.cidr must not overlap"):
        drawn(network__reservedCidrs=["10.64.0.0/12"])


def test_a_wrong_configuration_is_one_line_on_the_screen(tmp_path, capsys, monkeypatch):
    text = (STACKS / "Pulumi.prod.yaml").read_text()
    (tmp_path / "Pulumi.prod.yaml").write_text(re.sub(r"cidr: \S+", "cidr: 10.0.0.0/8", text))
    monkeypatch.setattr(picture, "STACKS", tmp_path)
    assert picture.main(["prod"]) == 2
    assert capsys.readouterr().err == "error: falaj:network.cidr must be /16 to /20 (got '10.0.0.0/8')\n"


def test_the_page_of_the_network_shows_prods():
    page = (STACKS.parent / "docs" / "components" / "network.md").read_text()
    assert f"```mermaid\n{drawn('prod')}```" in page, "renew it with `make picture STACK=prod`"
