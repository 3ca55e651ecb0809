"""One tree: the environment beats the file, the file beats the defaults, and a name nobody knows is refused."""

from pathlib import Path

import pytest
from fakes import make_settings
from pydantic import BaseModel

from chordae.platform.errors import BadSettings
from chordae.platform.settings import ClusterSettings, Settings, knobs, load_settings

REPOSITORY = Path(__file__).resolve().parents[2]


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def platform_configs() -> list[Path]:
    """Every YAML of `configs/` that is a settings file; `serve-*.yaml` are Ray Serve's own format."""
    return [path for path in sorted((REPOSITORY / "configs").glob("*.yaml")) if not path.name.startswith("serve-")]


@pytest.mark.parametrize("path", platform_configs(), ids=lambda path: path.name)
def test_every_settings_file_of_the_repository_loads(path: Path) -> None:
    assert load_settings(path).experts


def test_the_defaults_alone_are_settings() -> None:
    assert load_settings().gateway.port == 8080


def test_the_file_beats_the_default(tmp_path: Path) -> None:
    assert load_settings(written(tmp_path, "gateway: {port: 9000}")).gateway.port == 9000


def test_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORDAE_ORCHESTRATOR__THRESHOLD", "0.25")
    settings = load_settings(written(tmp_path, "orchestrator: {threshold: 0.9, alpha: 0.1}"))
    assert settings.orchestrator.threshold == 0.25


def test_an_override_leaves_the_rest_of_its_branch_as_the_file_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHORDAE_ORCHESTRATOR__THRESHOLD", "0.25")
    assert load_settings(written(tmp_path, "orchestrator: {alpha: 0.1}")).orchestrator.alpha == 0.1


def test_an_override_reaches_one_knob_of_one_expert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORDAE_EXPERTS__ECG__ENGINE__MAX_NUM_SEQS", "3")
    ecg = load_settings(written(tmp_path, "experts: {ecg: {model: m, port: 1234}}")).experts["ecg"]
    assert (ecg.engine.max_num_seqs, ecg.model, ecg.port) == (3, "m", 1234)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("gatway: {port: 9000}", "gatway"),
        ("gateway: {prot: 9000}", "gateway.prot"),
        ("experts: {ecg: {model: m, port: 1, engin: {}}}", "experts.ecg.engin"),
        ("experts: {ecg: {model: m, port: 1, engine: {max_len: 3}}}", "experts.ecg.engine.max_len"),
    ],
)
def test_an_unknown_key_of_the_file_is_refused_by_name(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(BadSettings, match=key):
        load_settings(written(tmp_path, text))


@pytest.mark.parametrize(
    ("variable", "named"),
    [
        ("CHORDAE_TRESHOLD", "CHORDAE_TRESHOLD"),
        ("CHORDAE_GATEWAY__PROT", "gateway.prot"),
        ("CHORDAE_GATEWAY_PORT", "CHORDAE_GATEWAY_PORT"),
        ("CHORDAE_EXPERTS__ECG__ENGINE__MAX_LEN", "experts.ecg.engine.max_len"),
    ],
)
def test_an_unknown_override_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, named: str
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(BadSettings, match=named):
        load_settings(written(tmp_path, "experts: {ecg: {model: m, port: 1}}"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("orchestrator: {threshold: 1.5}", "orchestrator.threshold"),
        ("gateway: {port: 70000}", "gateway.port"),
        ("gateway: {replicas: {min_replicas: 3, max_replicas: 2}}", "gateway.replicas"),
        ("gateway: {replicas: {max_queued_requests: 0}}", "gateway.replicas.*refuses every request"),
        ("experts: {ecg: {port: 8020}}", "experts.ecg.model"),
        ("experts: {lungs: {model: m, port: 8020}}", "lungs"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(BadSettings, match=key):
        load_settings(written(tmp_path, text))


@pytest.mark.parametrize("text", ["- a\n- b", "just words", "a: [", "\tx: 1", "\x00"])
def test_a_file_that_is_no_yaml_mapping_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSettings) as refusal:
        load_settings(written(tmp_path, text))
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="nowhere"):
        load_settings(tmp_path / "nowhere.yaml")


def test_an_override_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHORDAE_GATEWAY", "not json")
    with pytest.raises(BadSettings, match="gateway"):
        load_settings(written(tmp_path, ""))


@pytest.mark.parametrize(
    ("gateway", "expert"), [({"port": 8020}, 8020), ({"internal_port": 8020}, 8020), ({"internal_port": 8080}, 8020)]
)
def test_two_services_never_share_a_port(tmp_path: Path, gateway: dict[str, int], expert: int) -> None:
    with pytest.raises(ValueError, match="share a port"):
        make_settings(tmp_path, tmp_path, gateway=gateway, experts={"ecg": {"model": "m", "port": expert}})


def test_each_modality_may_have_an_expert_at_a_port_of_its_own(tmp_path: Path) -> None:
    experts = {name: {"model": "m", "port": port} for name, port in (("ecg", 8020), ("echo", 8010), ("cmr", 8000))}
    settings = make_settings(tmp_path, tmp_path, experts=experts)
    assert settings.outer_ports() == {"chordae": 8080, "ecg": 8020, "echo": 8010, "cmr": 8000}
    with pytest.raises(ValueError, match="there are: ecg, echo, cmr"):
        make_settings(tmp_path, tmp_path, experts=experts | {"ct": {"model": "m", "port": 8030}})


def test_every_knob_says_what_it_means() -> None:
    assert [name for name, field in all_fields(Settings) if not field.description] == []


def test_the_list_of_knobs_misses_none(settings: Settings) -> None:
    listed = {name for name, *_ in knobs(settings)}
    assert {"data_dir", "experts.ecg.engine.block_size", "gateway.replicas.drain_timeout_s"} <= listed
    leaves = {name for name, field in all_fields(Settings) if name != "experts"}
    assert leaves <= {name.replace("experts.ecg.", "experts.*.") for name in listed}


def test_the_list_of_knobs_holds_default_and_current_value(settings: Settings) -> None:
    changed = settings.model_copy(update={"cluster": ClusterSettings(num_cpus=2)})
    listed = {name: (default, value) for name, _, default, value in knobs(changed)}
    assert listed["cluster.num_cpus"] == ("None", 2)
    assert listed["experts.ecg.model"][0] == "required"


def test_the_digest_is_the_same_for_the_same_values(tmp_path: Path) -> None:
    assert make_settings(tmp_path, tmp_path).digest() == make_settings(tmp_path, tmp_path).digest()


@pytest.mark.parametrize(
    "change", [{"orchestrator": {"threshold": 0.51}}, {"gateway": {"port": 8081}}, {"cluster": {"num_cpus": 1}}]
)
def test_the_digest_changes_with_any_value(tmp_path: Path, change: dict[str, dict[str, float]]) -> None:
    assert make_settings(tmp_path, tmp_path, **change).digest() != make_settings(tmp_path, tmp_path).digest()


def test_the_digest_says_what_counts_not_where_it_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from_file = load_settings(written(tmp_path, "orchestrator: {alpha: 0.4}")).digest()
    monkeypatch.setenv("CHORDAE_ORCHESTRATOR__ALPHA", "0.4")
    assert load_settings().digest() == from_file


def all_fields(tree: type[BaseModel], prefix: str = "") -> list[tuple[str, object]]:
    """Every field of the tree and its branches, with its dotted name; an expert is `experts.*`."""
    found = []
    for name, field in tree.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += all_fields(kind, f"{prefix}{name}.")
        elif name == "experts":
            found += all_fields(kind.__args__[1], "experts.*.")
        else:
            found.append((f"{prefix}{name}", field))
    return found


def test_an_override_of_one_knob_leaves_its_neighbours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORDAE_GATEWAY__REPLICAS__MAX_REPLICAS", "2")
    replicas = load_settings(None).gateway.replicas
    assert (replicas.max_replicas, replicas.num_cpus) == (2, 0)


def test_untouched_knobs_show_as_untouched() -> None:
    assert all(str(value) == default for _, _, default, value in knobs(load_settings(None)))


def test_a_web_port_is_the_experts_own_choice_and_shared_with_nobody(tmp_path: Path) -> None:
    experts = {"ecg": {"model": "m", "port": 8020, "web_port": 8775}, "echo": {"model": "m", "port": 8010}}
    assert make_settings(tmp_path, tmp_path, experts=experts).web_ports() == {"ecg": 8775}
    experts["echo"]["web_port"] = 8775
    with pytest.raises(ValueError, match="share a port"):
        make_settings(tmp_path, tmp_path, experts=experts)


def test_a_laptops_web_ports_are_those_that_clients_know() -> None:
    """REFERENCE: 8765 CMR, 8770 echo, 8775 ECG."""
    known = {"ecg": 8775, "echo": 8770, "cmr": 8765}
    ports = load_settings(REPOSITORY / "configs/laptop.yaml").web_ports()
    assert ports and ports == {modality: known[modality] for modality in ports}
