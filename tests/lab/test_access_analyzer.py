"""A service that moto has not: what it keeps survives as the rest does."""

from pathlib import Path

from asking import serving


def test_an_analyzer_is_there_after_the_server_was_killed(tmp_path: Path):
    with serving("falaj.lab.moto_server", f"--data={tmp_path}") as aws:
        client = aws.client("accessanalyzer")
        client.create_analyzer(analyzerName="external", type="ACCOUNT", tags={"owner": "security"})
        before = client.get_analyzer(analyzerName="external")["analyzer"]
    with serving("falaj.lab.moto_server", f"--data={tmp_path}") as aws:
        assert aws.client("accessanalyzer").get_analyzer(analyzerName="external")["analyzer"] == before
