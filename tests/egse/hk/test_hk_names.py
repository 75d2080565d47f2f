"""Names of housekeeping: translation tables (manual, section 5.6.4), of the Setup and without a configuration manager."""

from __future__ import annotations

import pytest

from egse.env import EnvError
from egse.hk import convert_hk_names, current_dictionary, read_conversion_dict
from egse.setup import Setup, SetupError, set_provider
from egse.tmdict import TMDictionaryError, template_dictionary


class NoProvider:
    """Stands for a configuration manager that is away."""

    def get_setup(self, setup_id: int | None) -> Setup:
        raise ConnectionError("cm_cs does not answer")


@pytest.fixture(autouse=True)
def no_configuration_manager() -> object:
    set_provider(NoProvider())  # type: ignore[arg-type]
    yield
    set_provider(None)


def test_the_example_of_the_manual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "SRON")
    table = read_conversion_dict("LSCI336", use_site=True)
    original = {"timestamp": "2026-01-01T00:00:00.000+0000", "temp_A": 293.15, "setpoint_1": 300.0}
    assert convert_hk_names(original, table) == {
        "timestamp": "2026-01-01T00:00:00.000+0000",
        "GSRON_LSCI336_TEMPA": 293.15,
        "GSRON_LSCI336_SETPOINT_1": 300.0,
    }
    assert "temp_A" in original
    assert read_conversion_dict("N-FEE-HK")["CCD1_TS"] == "NFEE_CCD1_TS"
    assert read_conversion_dict("SYN-HK")["NFEE_CCD1_TS_CAL"] == "GSYN_NFEE_CCD1_TS"
    assert read_conversion_dict("SYN-HK", use_site=True)["GSRON_LSCI336_TEMPA"] == "GSYN_TRP1"
    assert read_conversion_dict("SYN-HK", True)["GOGSE_LDLS_LAMP"] == "GSYN_OGSE_LAMP"


def test_two_values_under_one_name_are_an_error() -> None:
    with pytest.raises(ValueError, match="would be called B"):
        convert_hk_names({"A": 1, "B": 2}, {"A": "B"})


def test_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TMDictionaryError, match="no storage mnemonic 'LSCI337', did you mean 'LSCI336'"):
        read_conversion_dict("LSCI337")
    monkeypatch.delenv("SITE_ID", raising=False)
    with pytest.raises(EnvError):
        read_conversion_dict("LSCI336", use_site=True)


def test_whose_dictionary() -> None:
    assert current_dictionary() is template_dictionary()
    with pytest.raises(TMDictionaryError, match=r"nowhere\.csv"):
        current_dictionary(Setup.from_dict({"telemetry": {"dictionary": "pandas///nowhere.csv"}}))

    class Provider(NoProvider):
        def get_setup(self, setup_id: int | None) -> Setup:
            raise SetupError("no Setup is loaded")

    set_provider(Provider())  # type: ignore[arg-type]
    assert current_dictionary() is template_dictionary()
