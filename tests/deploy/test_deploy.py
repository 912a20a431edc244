"""Image, compose file and chart: what they start, with what rights, and that they agree with the code."""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from deploy.check_chart import CHECKS, RENDERED, digest_of_chart
from deploy.kafka import kafka_up
from streams import cli
from streams.commands.run import ON_WISH, ROLES
from streams.metrics_settings import PORT_OF
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
CONTAINERFILE = (ROOT / "deploy" / "image" / "Containerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yml").read_text(encoding="utf-8"))
OURS = {name: one for name, one in COMPOSE["services"].items() if one["image"].startswith("marquee:")}
KUBERNETES = ("1.27", "1.31", "1.37")


def understood(arguments: list[str]) -> None:
    """The command line is one of ours."""
    command = cli.marquee.get_command(click.Context(cli.marquee), arguments[0])
    assert command is not None
    words = arguments[1:]
    if isinstance(command, click.Group):
        _, part, words = command.resolve_command(click.Context(command), words)
        assert part is not None
        command = part
    command.make_context(arguments[0], words)


# --- the image -----------------------------------------------------------------------------------------------------


def test_the_image_runs_as_nobody_special_from_locked_packages() -> None:
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", CONTAINERFILE, re.MULTILINE)
    assert [name for _, name in stages] == ["build", ""]
    last = CONTAINERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert "pip install" not in last
    installs = re.findall(r"pip install ([^\n\\]*)", CONTAINERFILE)
    assert installs
    for one in installs:
        assert "--require-hashes" in one or one.strip() == "--no-deps --no-build-isolation .", one
    assert re.search(r'^ENTRYPOINT \["marquee"\]$', last, re.MULTILINE)
    assert not re.search(r"^(ADD|RUN .*(curl|wget))", CONTAINERFILE, re.MULTILINE)
    assert [int(one) for one in re.findall(r"\b94\d\d\b", last)] == [9464 + at for at in PORT_OF.values()]


def test_what_the_image_copies_is_there_and_let_through() -> None:
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }  # fmt: skip
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.*)$", CONTAINERFILE, re.MULTILINE) for word in line.split()[:-1]
    ]
    for name in copied:
        assert (ROOT / name).exists(), name
        assert any(name == one or name.startswith(f"{one}/") for one in let_through), name


def test_the_build_package_is_cut_out_of_the_lock_with_its_hash() -> None:
    lines = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("setuptools=="))
    end = next(at for at in range(start, len(lines)) if not lines[at].endswith("\\"))
    assert all("--hash=sha256:" in line for line in lines[start + 1 : end + 1])
    assert end > start


def test_the_settings_of_the_image_are_ours() -> None:
    settings = Settings.from_env({}, path=ROOT / "deploy" / "image" / "marquee.toml")
    assert str(settings.snapshot_dir) == "/var/lib/marquee/snapshots"


# --- compose -------------------------------------------------------------------------------------------------------


def test_compose_runs_every_role_with_few_rights() -> None:
    assert set(OURS) == {*ROLES, *ON_WISH, "topics"} - {"door"}, "a door needs a token of one's own"
    for name, one in OURS.items():
        understood([str(word) for word in one["command"]])
        assert (one["read_only"], one["cap_drop"], one["user"]) == (True, ["ALL"], "10001:10001"), name
        assert name in ("topics", *one["command"])
        Settings.from_env(one["environment"], path=ROOT / "deploy" / "image" / "marquee.toml")


def test_compose_opens_ports_on_the_loopback_alone_and_its_files_are_there() -> None:
    for name, one in COMPOSE["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in one.get("ports", [])), name
        for volume in one.get("volumes", []):
            source = volume.partition(":")[0]
            assert (ROOT / "deploy" / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]
        assert ":latest" not in one["image"]


def test_its_kafka_is_the_newest_that_is_tested() -> None:
    assert COMPOSE["services"]["kafka"]["image"] == f"docker.io/apache/kafka:{kafka_up.NEWEST_VERSION}"


def test_its_prometheus_asks_every_role_at_its_port() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "compose.yml").read_text(encoding="utf-8"))
    targets = config["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"{role}:{9464 + at}" for role, at in PORT_OF.items()]


# --- the chart -----------------------------------------------------------------------------------------------------


def manifests(name: str) -> list[dict[str, Any]]:
    """What the chart renders for values of `deploy/helm/checks`."""
    return [one for one in yaml.safe_load_all((RENDERED / name).read_text(encoding="utf-8")) if one]


NAMES = sorted(path.name for path in CHECKS.glob("*.yaml"))


def deployments(name: str) -> dict[str, dict[str, Any]]:
    """Role -> its Deployment."""
    found = [one for one in manifests(name) if one["kind"] == "Deployment"]
    return {one["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in found}


@pytest.fixture(autouse=True)
def _their_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.mark.parametrize("name", NAMES)
def test_what_is_looked_at_is_what_the_chart_renders(name: str) -> None:
    first = (RENDERED / name).read_text(encoding="utf-8").partition("\n")[0]
    assert digest_of_chart() in first, "the chart was changed: make check-deploy RENDER=--write (needs helm)"


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", NAMES)
def test_kubernetes_takes_every_manifest(name: str, version: str) -> None:
    for one in manifests(name):
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("name", NAMES)
def test_two_trainers_never_learn_at_once(name: str) -> None:
    for role in {"trainer", "planner"} & set(deployments(name)):
        spec = deployments(name)[role]["spec"]
        assert (spec["strategy"], spec["replicas"]) == ({"type": "Recreate"}, 1)
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in manifests(name) if "Autoscaler" in one["kind"]}
    assert scaled <= {"m-recommender", "m-studio"}
    for role in scaled:
        assert "replicas" not in deployments(name)[role.removeprefix("m-")]["spec"], (
            "the scaler's number would be undone"
        )


@pytest.mark.parametrize("name", NAMES)
def test_every_pod_has_few_rights_probes_and_limits(name: str) -> None:
    for role, one in deployments(name).items():
        pod = one["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]["cpu"]
        understood(container["args"])
        assert container["args"][-1] == role
        assert {"name": "metrics", "containerPort": 9464 + PORT_OF[role]} in container["ports"]
        paths = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
        alive = ("/healthz", "metrics")
        assert {probe: (one["path"], one["port"]) for probe, one in paths.items()} == {
            "startup": alive, "liveness": alive, "readiness": ("/readyz", "metrics"),
        }  # fmt: skip
        assert pod["terminationGracePeriodSeconds"] > 60, "a role drains for up to 60 s"
        names = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == names
        assert {"/tmp", "/var/cache/marquee", "/var/lib/marquee"} <= {
            mount["mountPath"] for mount in container["volumeMounts"]
        }


def test_recommenders_read_the_snapshots_of_the_trainer_and_cannot_write_them() -> None:
    found = deployments("plain.yaml")
    for role, is_read_only in (("trainer", False), ("recommender", True)):
        pod = found[role]["spec"]["template"]["spec"]
        (state,) = (one for one in pod["volumes"] if one["name"] == "state")
        assert state["persistentVolumeClaim"] == {"claimName": "m-snapshots"}
        (mount,) = (one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "state")
        assert mount.get("readOnly", False) is is_read_only


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_that_it_writes_are_ours(name: str, tmp_path: Path) -> None:
    (config,) = (one for one in manifests(name) if one["kind"] == "ConfigMap")
    authority = tmp_path / "ca.crt"
    authority.touch()
    text = config["data"]["marquee.toml"].replace("/run/secrets/marquee/ca/ca.crt", str(authority))
    path = tmp_path / "marquee.toml"
    path.write_text(text)
    settings = Settings.from_env({}, path=path)
    assert settings.metrics.port == 9464
    if name == "full.yaml":
        assert str(settings.snapshot_dir) == "s3://bucket/marquee"
        assert (settings.trainer.batch_size, settings.trainer.evaluate_sample) == (1024, 0.05)
        assert tomllib.loads(text)["model"] == {"min_count": 2, "towers": {"dim": 32}}
        assert str(settings.security.password_file) == "/run/secrets/marquee/kafka/password"


def test_secrets_are_files_of_secrets_and_in_no_manifest() -> None:
    for role, one in deployments("full.yaml").items():
        pod = one["spec"]["template"]["spec"]
        secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        assert secrets == {"kafka-login", "kafka-ca"} | ({"console"} if role == "console" else set())
    assert not any(one["kind"] == "Secret" for one in manifests("full.yaml"))


def test_the_network_lets_in_scrapes_and_pages_alone() -> None:
    (policy,) = (one for one in manifests("full.yaml") if one["kind"] == "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["ports"] for rule in policy["spec"]["ingress"]] == [[{"port": "metrics"}], [{"port": "http"}]]
    assert policy["spec"]["egress"][1]["to"] == [{"ipBlock": {"cidr": "10.1.0.0/16"}}]


def test_the_job_that_makes_topics_is_a_command_of_ours() -> None:
    (job,) = (one for one in manifests("full.yaml") if one["kind"] == "Job")
    understood(job["spec"]["template"]["spec"]["containers"][0]["args"])
