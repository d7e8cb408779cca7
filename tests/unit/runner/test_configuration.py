"""What the runner writes for services and people."""

import re
import shutil
import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.engines.caddy import Edge, caddyfile_of
from libs.db.migrations import login_roles_of
from libs.host.settings import SettingsError
from libs.kernel.randomness import SeededRandomness
from services.runner.configuration import settings_of, toml_of, write_settings
from services.runner.deployment import SERVICES, Deployment, Plan, layout_of, prepared
from services.runner.page import SHOWN, page
from services.runner.search import Cluster, Searching
from services.runner.serve import SERVICE_OF, overrides_of
from services.runner.serve import settings_of as settings_of_process

texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
values = st.one_of(texts, st.integers(-(2**63), 2**63 - 1), st.booleans(), st.dictionaries(names, texts))


@pytest.fixture
def deployment(tmp_path) -> Iterator[Deployment]:
    """Give a deployment that was prepared and never started."""
    roles = [role for service in SERVICES for role in login_roles_of(service)]
    made = prepared(layout_of(tmp_path / "data"), Plan(8080), roles, SeededRandomness(1))
    for cluster in ("postgres", "keys-postgres"):
        (tmp_path / "data" / cluster).mkdir()
        (tmp_path / "data" / cluster / "superuser.password").write_text("root-of-it-all")
    (tmp_path / "data" / "valkey").mkdir()
    (tmp_path / "data" / "valkey" / "password").write_text("valkeys-word")
    made.kept.vault_role_id, made.kept.vault_secret_id = "role", "secret"
    yield made
    shutil.rmtree(made.layout.sockets)


@given(st.dictionaries(names, st.dictionaries(names, values, max_size=5), max_size=4))
def test_settings_are_read_as_they_were_written(tables):
    assert tomllib.loads(toml_of(tables)) == tables


@pytest.mark.parametrize("process", SERVICE_OF)
def test_every_process_reads_its_settings(deployment, process):
    write_settings(deployment)
    path = deployment.layout.settings
    assert path.stat().st_mode & 0o777 == 0o600
    listen = deployment.layout.address("here")
    service, settings = settings_of_process(process, path, overrides_of(process, listen, None))
    assert service == SERVICE_OF[process]
    assert settings.listen == listen


def test_no_service_is_told_anothers_seed_or_its_own_public_key(deployment):
    for service, table in settings_of(deployment).items():
        seeds = {name: seed for name, seed in deployment.kept.seeds.items() if name != service}
        assert not any(seed in str(table) for seed in seeds.values())
        peers = table["peer_keys"]
        assert isinstance(peers, dict)
        assert set(peers) == set(seeds)
        assert "root-of-it-all" not in str(table)


def test_ediscovery_alone_is_told_of_the_cluster_that_is_searched(deployment):
    cluster = Cluster("https://search.example:9200", "muniment", "pa55word", "/ca.pem")
    deployment.kept.searching = Searching("opensearch", cluster)
    write_settings(deployment)
    _, settings = settings_of_process("ediscovery", deployment.layout.settings, {})
    assert (settings.search, settings.opensearch_url) == ("opensearch", cluster.url)
    assert settings.opensearch_password.reveal() == "pa55word"
    assert "pa55word" not in repr(settings)
    assert [name for name, table in settings_of(deployment).items() if "pa55word" in str(table)] == [
        "ediscovery"
    ]


@pytest.mark.parametrize("url", ["", "https://who:pa55word@search.example"])
def test_an_address_of_opensearch_that_is_none_or_shows_a_password_is_refused(deployment, url):
    deployment.kept.searching = Searching("opensearch", Cluster(url))
    write_settings(deployment)
    with pytest.raises(SettingsError, match="opensearch_url") as refused:
        settings_of_process("ediscovery", deployment.layout.settings, {})
    assert "pa55word" not in str(refused.value)


def test_preparing_again_changes_no_secret(deployment):
    roles = list(deployment.kept.passwords)
    again = prepared(deployment.layout, deployment.plan, [*roles, "a_new_role"], SeededRandomness(2))
    assert again.kept.seeds == deployment.kept.seeds
    assert {role: again.kept.passwords[role] for role in roles} == deployment.kept.passwords
    assert "a_new_role" in again.kept.passwords


def test_every_gateway_stands_behind_the_origin_and_nothing_internal_does(deployment):
    edge = deployment.engines.caddy.edge
    text = caddyfile_of(edge, deployment.layout.data)
    assert "{{" not in text
    assert all(f"unix/{deployment.layout.sockets / name}" in text for name in ("gw-1", "gw-2"))
    routes = re.findall(r"import routes (\S+)", text)
    assert routes == list(edge.routes)
    assert not any("internal" in route or "metrics" in route for route in routes)
    assert "messaging-relay" not in text


def test_tls_changes_the_scheme_alone(tmp_path):
    plain = caddyfile_of(Edge(8080, tmp_path, {"/a/v1": ["127.0.0.1:1"]}), tmp_path)
    secure = caddyfile_of(Edge(8080, tmp_path, {"/a/v1": ["127.0.0.1:1"]}, tls=True), tmp_path)
    assert secure.replace("https://", "http://").replace("tls internal", "") == plain


def test_the_page_needs_no_script_and_names_what_is_routed(deployment):
    text = page()
    assert "<script" not in text
    assert "style=" not in text
    assert 'name="viewport"' in text
    prefixes = {prefix for _, prefix, _ in SHOWN}
    assert prefixes <= set(deployment.engines.caddy.edge.routes)
    for prefix in prefixes:
        for page_of in ("docs", "openapi.json", "healthz"):
            assert f'href="{prefix}/{page_of}"' in text


def test_an_unknown_setting_is_named(deployment):
    write_settings(deployment)
    text = deployment.layout.settings.read_text().replace("vault_url", "valt_url")
    deployment.layout.settings.write_text(text)
    with pytest.raises(SettingsError, match="valt_url"):
        settings_of_process("keys", deployment.layout.settings, {})
