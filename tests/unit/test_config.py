"""Settings: where values come from, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.config import Settings, Sourced
from limner.errors import ConfigError
from limner.toml_lines import key_lines

FILE = """\
# mine
[defaults]
model = "pocket"
steps = 12  # quick

[models.sd15]
guidance = 6
size = "512x768"

[models."org/name"]
steps = 3

[library]
root = "~/pictures"

[network]
offline = true
"""


def load(home: Path, text: str = "", **env: str) -> Settings:
    (home / "config.toml").write_text(text, "utf-8")
    return Settings.load(home, env)


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    settings = load(tmp_path, FILE)
    assert settings.defaults() == {
        "model": Sourced("pocket", "config.toml:3"),
        "steps": Sourced(12, "config.toml:4"),
    }
    assert settings.model_defaults("sd15") == {
        "guidance": Sourced(6.0, "config.toml:7"),
        "width": Sourced(512, "config.toml:8"),
        "height": Sourced(768, "config.toml:8"),
    }
    assert settings.model_defaults("org/name") == {"steps": Sourced(3, "config.toml:11")}
    assert settings.value("network.offline") == (True, "config.toml:17")
    assert settings.library_root == Path("~/pictures").expanduser()


def test_what_a_model_predicts_is_said_by_name(tmp_path: Path) -> None:
    settings = load(tmp_path, '[models."my file.safetensors"]\nprediction = "v_prediction"\nsteps = 4\n')
    assert settings.predictions() == {"my file.safetensors": "v_prediction"}
    assert settings.value("models.my file.safetensors.prediction") == Sourced("v_prediction", "config.toml:2")
    assert set(settings.model_defaults("my file.safetensors")) == {"steps"}
    with pytest.raises(ConfigError, match=r"config\.toml:2") as caught:
        load(tmp_path, '[models.x]\nprediction = "velocity"\n')
    assert "v_prediction" in caught.value.hint
    with pytest.raises(ConfigError, match="prediction"):
        load(tmp_path, '[defaults]\nprediction = "epsilon"\n')


def test_environment_is_stronger_than_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, FILE, LIMNER_STEPS="7", LIMNER_STYLES="ink, dusk", LIMNER_OFFLINE="0")
    assert settings.value("steps") == (7, "environment LIMNER_STEPS")
    assert settings.environment()["styles"].value == ("ink", "dusk")
    assert settings.value("network.offline") == (False, "environment LIMNER_OFFLINE")
    assert not settings.offline


def test_settings_are_of_their_fields_kind(tmp_path: Path) -> None:
    settings = load(tmp_path, "[defaults]\ntiled = true\n", LIMNER_LORAS="one, two:0.5", LIMNER_TILED="false")
    assert settings.defaults()["tiled"].value is True
    assert settings.environment()["tiled"].value is False
    assert settings.environment()["loras"].value == ("one", "two:0.5")
    with pytest.raises(ConfigError, match="steps is true"):
        load(tmp_path, "[defaults]\nsteps = true\n")


def test_what_is_not_set_is_built_in(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path / "nowhere", {})
    assert settings.value("n") == (1, "built-in")
    assert settings.value("models.sd15.steps") == (None, "built-in")
    assert settings.library_root == tmp_path / "nowhere" / "library"
    assert not settings.offline
    assert dict(settings.items())["defaults.seed"] == (None, "built-in")


def test_the_hubs_own_offline_switch_cannot_be_overruled(tmp_path: Path) -> None:
    settings = load(tmp_path, "", HF_HUB_OFFLINE="1", LIMNER_OFFLINE="0")
    assert settings.value("network.offline") == (True, "environment HF_HUB_OFFLINE")


def test_home_moves_all_state(tmp_path: Path) -> None:
    settings = Settings.load(env={"LIMNER_HOME": str(tmp_path / "h")})
    places = [
        settings.config_file,
        settings.library_root,
        settings.cache_root,
        settings.wildcards,
        settings.styles_file,
    ]
    assert all(place.is_relative_to(tmp_path / "h") for place in places)
    assert not (tmp_path / "h").exists()


def test_items_name_keys_that_value_understands(tmp_path: Path) -> None:
    settings = load(tmp_path, FILE, LIMNER_SEED="5")
    assert all(settings.value(key) == sourced for key, sourced in settings.items())


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[defaults]\nstesp = 3", "config.toml:2: there is no setting 'stesp'", "steps"),
        ("[defalts]\n", "config.toml:1: there is no section 'defalts'", "defaults"),
        ("[defaults]\n\nsteps = 0", "config.toml:3: steps", "denoising steps"),
        ("[defaults]\nsteps = true", "config.toml:2: steps is true", "yes-or-no"),
        ("[defaults]\nguidance = nan", "config.toml:2: guidance", ""),
        ("[defaults]\nwidth = 64", "width and height", "size"),
        ('[defaults]\nsize = "big"', "config.toml:2: size", "WIDTHxHEIGHT"),
        ('[defaults]\nprompt = "a cat"', "config.toml:2: there is no setting 'prompt'", ""),
        ('[models.sd15]\nmodel = "x"', "config.toml:2: there is no setting 'model'", ""),
        ("models = 3", "config.toml:1: models is not a section", "[models]"),
        ("[models]\nsd15 = 3", "config.toml:2: models.sd15 is not a section", ""),
        ('[network]\noffline = "yes"', "config.toml:2: network.offline is 'yes'", "true or false"),
        ("[network]\nofline = true", "config.toml:2: there is no setting 'ofline'", "offline"),
        ("[library]\nroot = 3", "config.toml:2: library.root is 3", "folder"),
        ("[defaults]\nmodel = pocket", "line 2", "quotes"),
    ],
)
def test_wrong_files_say_where_and_what_is_right(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "value", "message", "hint"),
    [
        ("LIMNER_STPES", "3", "'LIMNER_STPES'", "LIMNER_STEPS"),
        ("LIMNER_STEPS", "many", "environment variable LIMNER_STEPS: steps", ""),
        ("LIMNER_OFFLINE", "perhaps", "LIMNER_OFFLINE", "1 or 0"),
        ("LIMNER_WIDTH", "64", "width and height", ""),
        ("LIMNER_PROMPT", "a cat", "'LIMNER_PROMPT'", ""),
    ],
)
def test_wrong_variables_are_named(tmp_path: Path, name: str, value: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "", **{name: value})
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_empty_and_foreign_variables_are_not_settings(tmp_path: Path) -> None:
    assert not load(tmp_path, "", LIMNER_STEPS="", STEPS="9", PATH="/bin").environment()


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        Settings.load(tmp_path, {})


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path).value("network.ofline")
    assert "network.offline" in caught.value.hint


def test_lines_of_quoted_dotted_and_nested_keys() -> None:
    lines = key_lines("a.b = 1\n[x.'y z']\n\nk = 2\n# n = 3\n[[list]]\n")
    assert lines == {"a": 1, "a.b": 1, "x": 2, "x.y z": 2, "x.y z.k": 4, "list": 6}
