"""Settings: secrets that production needs, that can't be guessed, and that are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from api.config.settings import ConfigurationError, Settings, load_settings

GOOD = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


def test_production_needs_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {
        "environment": "production",
        "database_url": "postgresql://u@db/x?sslmode=verify-full",
        "mongodb_uri": "mongodb://db",
    }

    with pytest.raises(ConfigurationError, match=r"^AUTH_SECRET must be set in production$"):
        load_settings(**given)
    with pytest.raises(ConfigurationError, match=r"^AUTH_SECRET: must have at least 32 bytes$"):
        load_settings(**given, auth_secret="x" * 31)
    with pytest.raises(ConfigurationError, match=r"^AUTH_SECRET_PREVIOUS: must have at least 32 bytes$"):
        load_settings(**given, auth_secret=GOOD, auth_secret_previous="x")
    settings = load_settings(**given, auth_secret=GOOD)
    assert GOOD not in repr(settings)


@pytest.mark.parametrize("name", ["auth_secret", "auth_secret_previous", "health_token"])
def test_a_secret_that_can_be_guessed_is_refused(name: str) -> None:
    for guessed in (
        *("x" * 32, "x" * 1000, "ab" * 16, "0123456" * 5),
        *("password" * 4, "fashion-wallet" * 3, "change-me" * 4, "please CHANGE_ME before production!"),
        *("changeme-changeme-9f3a7c51e2d84b60", "Change this secret, 9f3a7c51e2d84b60"),
    ):
        with pytest.raises(ConfigurationError, match=f"^{name.upper()}: must be made by chance") as caught:
            load_settings(**{name: guessed})
        assert guessed not in str(caught.value)
    for good in (GOOD, GOOD.upper(), "a passphrase of several words, which nobody knows", "ÄÖÜ" + GOOD):
        assert getattr(load_settings(**{name: good}), name).get_secret_value() == good


def test_no_secret_is_in_the_text_of_settings() -> None:
    settings = Settings(_env_file=None, database_url=SecretStr("postgresql://u:hunter2@db/x"))

    assert "hunter2" not in repr(settings)
