"""Settings: where a value comes from, and that every wrong one is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.connect import connection_of
from streams.contract import rules
from streams.errors import SettingsError
from streams.security_settings import SecuritySettings
from streams.setting_kinds import Secret, read_secret
from streams.settings import RecommenderSettings, Settings, TrainerSettings, variable_of
from streams.store_url import EXPECTED


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "marquee.toml"


def test_defaults_need_no_file_and_no_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    settings = Settings.from_env({})

    assert settings == Settings()
    assert (settings.broker, settings.prefix) == ("127.0.0.1:9092", "")
    assert (settings.trainer.batch_size, settings.trainer.flush_ms, settings.trainer.evaluate_sample) == (512, 500, 1.0)
    assert dict(settings.model) == {}
    assert set(settings.recommender.rewatchable_actions) == rules.REWATCHABLE_ACTIONS


def test_variables_win_over_the_file_and_the_file_over_defaults(file: Path) -> None:
    file.write_text(
        'broker = "kafka-1:9092,kafka-2:9092"\nsnapshot_dir = "/srv/snapshots"\n'
        "[trainer]\nbatch_size = 64\nevaluate_sample = 1\n"
        '[recommender]\npush_slates = false\nrewatchable_actions = ["play", "impression"]\n'
        '[model]\nwidth = 64\nnested = { rate = 0.1 }\n[security]\nprotocol = "SSL"\n'
    )
    environ = {
        "MARQUEE_TRAINER_BATCH_SIZE": "128",
        "MARQUEE_PREFIX": "staging",
        "MARQUEE_RECOMMENDER_PUSH_SLATES": "Yes",
        "MARQUEE_RECOMMENDER_REWATCHABLE_ACTIONS": "skip, share",
        "MARQUEE_SECURITY_PASSWORD": "hunter2",
        "MARQUEE_NO_KAFKA": "1",
        "HOME": "/home/ada",
    }

    settings = Settings.from_env(environ, path=file)

    assert settings.broker == "kafka-1:9092,kafka-2:9092"
    assert settings.snapshot_dir == Path("/srv/snapshots")
    assert settings.prefix == "staging"
    assert settings.trainer == TrainerSettings(batch_size=128, evaluate_sample=1.0)
    assert settings.recommender == RecommenderSettings(push_slates=True, rewatchable_actions=("skip", "share"))
    assert settings.model["width"] == 64
    assert settings.model["nested"] == {"rate": 0.1}
    assert settings.security == SecuritySettings(protocol="SSL", password=Secret("hunter2"))


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    file.write_text('prefix = "here"\n')
    other = tmp_path / "other.toml"
    other.write_text('prefix = "there"\n')
    monkeypatch.chdir(tmp_path)

    assert Settings.from_env({}).prefix == "here"
    assert Settings.from_env({"MARQUEE_CONFIG": str(other)}).prefix == "there"
    assert Settings.from_env({"MARQUEE_CONFIG": "nowhere.toml"}, path=other).prefix == "there"
    with pytest.raises(SettingsError, match=r"expected a settings file at nowhere\.toml"):
        Settings.from_env({"MARQUEE_CONFIG": "nowhere.toml"})


def test_the_cache_follows_xdg_unless_it_is_set(file: Path) -> None:
    assert Settings.from_env({"XDG_CACHE_HOME": "/c"}).cache_dir == Path("/c/marquee")
    assert Settings.from_env({"XDG_CACHE_HOME": "/c"}).logs_dir == Path("/c/marquee/logs")
    file.write_text('cache_dir = "/d"\n')
    assert Settings.from_env({"XDG_CACHE_HOME": "/c"}, path=file).cache_dir == Path("/d")
    assert Settings.from_env({"XDG_CACHE_HOME": ""}).cache_dir == Settings().cache_dir, "set but empty is not set"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TRAINER_BATCH_SIZE", "0", "must be a whole number from 1 to 16384, got '0'; unset it for 512"),
        ("TRAINER_BATCH_SIZE", "many", "must be a whole number from 1 to 16384, got 'many'; unset it for 512"),
        ("TRAINER_BATCH_SIZE", "2.5", "must be a whole number from 1 to 16384, got '2.5'; unset it for 512"),
        ("TRAINER_EVALUATE_SAMPLE", "nan", "must be a number from 0 to 1, got 'nan'; unset it for 1.0"),
        ("TRAINER_EVALUATE_SAMPLE", "1.01", "must be a number from 0 to 1, got '1.01'; unset it for 1.0"),
        ("RECOMMENDER_PUSH_SLATES", "maybe", "must be true or false, got 'maybe'; unset it for True"),
        ("BROKER", "kafka", "must be host:port, or several with commas between, got 'kafka'"),
        ("BROKER", "http://kafka:9092", "must be host:port, or several with commas between"),
        ("PREFIX", "a b", "must be letters, digits, '.', '_' and '-', 100 at most, got 'a b'; unset it for ''"),
        ("SNAPSHOT_DIR", "", f"must be {EXPECTED}, got ''; unset it for 'marquee-data/snapshots'"),
        ("SECURITY_PROTOCOL", "TLS", "must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, got 'TLS'"),
    ],
)
def test_a_wrong_variable_is_named_with_what_was_expected(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({f"MARQUEE_{variable}": value})
    assert str(caught.value).startswith(f"MARQUEE_{variable} {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[trainer]\nbatch_size = '64'\n", "trainer.batch_size in {file} must be a whole number from 1"),
        (
            "[trainer]\nbatch_size = true\n",
            "trainer.batch_size in {file} must be a whole number from 1 to 16384, got True",
        ),
        (
            "[trainer]\nevaluate_sample = true\n",
            "trainer.evaluate_sample in {file} must be a number from 0 to 1, got True",
        ),
        (
            "[trainer]\nbatchsize = 64\n",
            "expected a setting of [trainer] in {file}, got 'batchsize'; did you mean batch_size?",
        ),
        ("brokers = 'a:1'\n", "expected a setting or table in {file}, got 'brokers'; did you mean broker?"),
        ("trainer = 3\n", "trainer in {file} must be a table, got 3; write [trainer]"),
        ("model = 3\n", "model in {file} must be a table, got 3; write [model]"),
        ("snapshot_dir = 3\n", "snapshot_dir in {file} must be a path, or an object store's URL"),
        (
            "[recommender]\nrewatchable_actions = 'play'\n",
            "recommender.rewatchable_actions in {file} must be a list of words",
        ),
        ("[recommender]\nrewatchable_actions = ['hide']\n", "recommender.rewatchable_actions in {file} must be a list"),
        ("[security]\npassword = 3\n", "security.password in {file} must be a text, got ***; remove it for ***"),
        ("[trainer\n", "expected TOML in {file}, got: Expected ']'"),
    ],
)
def test_a_wrong_line_of_the_file_is_named_with_what_was_expected(file: Path, content: str, message: str) -> None:
    file.write_text(content)
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({}, path=file)
    assert str(caught.value).startswith(message.format(file=file))


def test_a_misspelt_variable_is_an_error() -> None:
    with pytest.raises(SettingsError, match="got 'MARQUEE_TRAINER_BATCHSIZE'; did you mean MARQUEE_TRAINER_BATCH_SIZE"):
        Settings.from_env({"MARQUEE_TRAINER_BATCHSIZE": "64"})


def test_security_is_complete_or_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must be given for SASL_SSL, got none; set MARQUEE_SECURITY_USERNAME"):
        Settings.from_env({"MARQUEE_SECURITY_PROTOCOL": "SASL_SSL", "MARQUEE_SECURITY_USERNAME": "app"})
    with pytest.raises(SettingsError, match=r"security.ca_file must be a readable PEM file, got .*ca\.pem"):
        Settings.from_env({"MARQUEE_SECURITY_CA_FILE": str(tmp_path / "ca.pem")})


def test_a_password_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    variables = {
        "MARQUEE_SECURITY_PROTOCOL": "SASL_SSL",
        "MARQUEE_SECURITY_USERNAME": "app",
        "MARQUEE_SECURITY_PASSWORD_FILE": str(file),
    }
    settings = Settings.from_env(variables)
    for held in ("hunter2", "hunter2\n", "hunter2\r\n"):
        file.write_bytes(held.encode())
        assert settings.security.read_password() == Secret("hunter2")
        assert connection_of(settings).password == "hunter2"
    assert "hunter2" not in f"{settings!r}{connection_of(settings)!r}"
    with pytest.raises(SettingsError, match=r"must not both be given, got both; remove the password"):
        Settings.from_env(variables | {"MARQUEE_SECURITY_PASSWORD": "hunter2"})


@pytest.mark.parametrize("held", [b"", b"\n", b"hunter2\nhunter3\n", b"hunter2\x00", b"hunter2\xff", b"hunter2" * 600])
def test_a_file_that_holds_no_password_is_refused_without_showing_it(tmp_path: Path, held: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(held)
    with pytest.raises(SettingsError, match="expected one line of printable text in") as caught:
        read_secret(file)
    assert "hunter" not in str(caught.value)


def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"expected a readable file with the password at .*nothing, got: No such"):
        read_secret(tmp_path / "nothing")


def test_secrets_never_show() -> None:
    settings = Settings(security=SecuritySettings(protocol="SASL_SSL", username="app", password=Secret("hunter2")))

    assert settings.security.password.reveal() == "hunter2"
    for shown in (repr(settings), str(settings), f"{settings.security.password}", format(Secret("hunter2"))):
        assert "hunter2" not in shown
    assert "***" in repr(settings)


def test_a_configuration_built_in_python_is_checked_too() -> None:
    with pytest.raises(SettingsError, match=r"TrainerSettings\.batch_size must be a whole .*, got 0; leave it out"):
        TrainerSettings(batch_size=0)
    with pytest.raises(SettingsError, match=r"Settings.snapshot_dir must be a path, or .*, got 'x'"):
        Settings(snapshot_dir="x")  # type: ignore[arg-type]  # the case under test


def test_names_of_variables() -> None:
    assert variable_of("trainer", "batch_size") == "MARQUEE_TRAINER_BATCH_SIZE"
    assert variable_of("", "broker") == "MARQUEE_BROKER"
