"""What is known of EKS's versions: dates that fit each other, pins that fit their version, and a source for each."""

import tomllib
from datetime import date, timedelta
from importlib import resources

import pytest

from falaj.components import Addon, ConfigError
from falaj.components.cluster_addons import ALWAYS
from falaj.components.kubernetes_versions import check_day, check_version, kubernetes_versions, pinned_addon

FILE = tomllib.loads(resources.files("falaj.components").joinpath("kubernetes_versions.toml").read_text())
KNOWN = kubernetes_versions()


@pytest.mark.parametrize("version", KNOWN.support)
def test_extended_support_is_a_year_more_than_standard_support(version):
    support = KNOWN.support[version]
    assert support.extended_until == support.standard_until.replace(year=support.standard_until.year + 1)


def test_versions_are_known_without_a_gap_and_end_one_after_the_other():
    minors = [int(version.partition(".")[2]) for version in KNOWN.support]
    assert minors == list(range(minors[0], minors[-1] + 1))
    ends = [support.standard_until for support in KNOWN.support.values()]
    assert ends == sorted(ends)


@pytest.mark.parametrize("version", KNOWN.addons)
def test_pinned_addons_are_known_ones_and_kube_proxy_has_the_version_of_its_cluster(version):
    assert version in KNOWN.support
    assert set(KNOWN.addons[version]) <= set(Addon)
    assert KNOWN.addons[version]["kube-proxy"].startswith(f"v{version}.")


def test_the_newest_versions_have_all_four_addons_pinned():
    for version in list(KNOWN.support)[-2:]:
        assert all(pinned_addon(version, addon) for addon in ALWAYS), version


def test_every_pin_has_a_source_and_every_table_a_date():
    pinned = {addon for addons in KNOWN.addons.values() for addon in addons}
    assert pinned == set(FILE["addons"]["sources"])
    assert isinstance(FILE["addons"]["checked"], date)
    assert isinstance(FILE["calendar"]["checked"], date)


def test_a_version_is_refused_from_the_first_day_without_standard_support():
    ends = KNOWN.support["1.35"].standard_until
    assert check_version("v", "1.35", ends - timedelta(days=1))
    with pytest.raises(ConfigError):
        check_version("v", "1.35", ends)


def test_the_newest_version_s_warning_says_that_the_next_is_not_known():
    newest = list(KNOWN.support)[-1]
    told = check_version("v", newest, KNOWN.support[newest].standard_until - timedelta(days=1))
    assert told and told.endswith("plan an upgrade, and add the next version to kubernetes_versions.toml")


def test_who_names_no_day_means_today(day):
    assert check_day("as_of", None) == day
