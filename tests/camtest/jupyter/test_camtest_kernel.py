"""The installed kernel starts with everything at hand, also when no server runs."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupyter_client
import pytest
from jupyter_client.kernelspec import KernelSpecManager

KERNELS = Path(__file__).parents[3] / "kernels"
SPEC_FOLDER = KERNELS / "camtest"


@pytest.fixture
def specs(tmp_path: Path) -> KernelSpecManager:
    """The kernelspecs as they are in the source tree."""
    shutil.copytree(KERNELS, tmp_path / "kernels")
    return KernelSpecManager(kernel_dirs=[str(tmp_path / "kernels")], ensure_native_kernel=False)


class Kernel:
    def __init__(self, specs: KernelSpecManager, environment: dict[str, str], name: str) -> None:
        self.manager = jupyter_client.KernelManager(kernel_name=name, kernel_spec_manager=specs)
        self.manager.start_kernel(env=environment)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=30)

    def info(self) -> dict[str, Any]:
        return dict(self.client.kernel_info(reply=True, timeout=10)["content"])

    def run(self, code: str) -> list[dict[str, Any]]:
        """Returns the contents of all outputs of a cell."""
        outputs: list[dict[str, Any]] = []

        def collect(message: dict[str, Any]) -> None:
            if message["msg_type"] in ("stream", "display_data", "execute_result", "error"):
                outputs.append(message["content"])

        self.client.execute_interactive(code, timeout=20, output_hook=collect)
        return outputs

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.client.context.term()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PLATO", "SITE", "CAMTEST"))
    }
    return {**clean, "SITE_ID": "CSL1", "IPYTHONDIR": str(tmp_path / "ipython")}


@pytest.fixture
def make_kernel(specs: KernelSpecManager) -> Iterator[Any]:
    kernels: list[Kernel] = []

    def make(environment: dict[str, str], name: str = "camtest") -> Kernel:
        kernels.append(Kernel(specs, environment, name))
        return kernels[-1]

    yield make
    for kernel in kernels:
        kernel.close()


@pytest.mark.parametrize("name", ["camtest", "camtest-dry-run", "camtest-sandbox"])
def test_kernelspecs_declare_encryption_and_have_a_logo(name: str) -> None:
    spec = json.loads((KERNELS / name / "kernel.json").read_text())
    assert spec["metadata"]["supported_encryption"] == ["curve"]
    assert spec["interrupt_mode"] == "signal"
    assert "--IPCompleter.use_jedi=False" in spec["argv"]
    assert (KERNELS / name / "logo-svg.svg").read_text().startswith("<svg")


def test_kernels_look_different() -> None:
    specs = [json.loads((path / "kernel.json").read_text()) for path in KERNELS.iterdir()]
    assert len({spec["display_name"] for spec in specs}) == 3
    assert len({(path / "logo-svg.svg").read_text() for path in KERNELS.iterdir()}) == 3


def test_starts_without_any_server(make_kernel: Any, environment: dict[str, str]) -> None:
    began = time.monotonic()
    kernel = make_kernel(environment)
    assert time.monotonic() - began < 30  # it asks nobody who would have to be waited for
    banner = kernel.info()["banner"]
    for text in ("site CSL1", "Setup none", "no observation", "operations"):
        assert text in banner
    shown, result = kernel.run("(setup, GlobalState.setup, GlobalState.dry_run, execute.__name__)")
    assert "site CSL1" in shown["data"]["text/plain"]
    assert "<b>Site</b> CSL1" in shown["data"]["text/html"]
    assert result["data"]["text/plain"] == "(None, None, False, 'execute')"
    assert len(kernel.run("1")) == 1, "the banner is shown once"
    (completer,) = kernel.run("get_ipython().Completer.use_jedi")
    assert completer["data"]["text/plain"] == "False"


def test_dry_run_kernel_says_so_and_stays_one(
    make_kernel: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    setup = tmp_path / "SETUP_CSL1_00012_230101_120000.yaml"
    setup.write_text(
        "Setup:\n  site_id: CSL1\n  camera:\n    ID: chimay\n"
        "  gse:\n    ogse:\n      device: class//egse.ogse.OGSEProxy\n"
    )
    kernel = make_kernel({**environment, "CAMTEST_SETUP_FILE": str(setup)}, "camtest-dry-run")
    banner = kernel.info()["banner"]
    assert "DRY RUN" in banner
    assert "Setup 00012 (chimay)" in banner
    block = "from camtest.commanding import ogse\nogse.set_attenuation(factor=0.2)"
    (shown,) = kernel.run(f"{block}\nNone")
    assert 'data-camtest-mode="dry-run"' in shown["data"]["text/html"]
    (sequence,) = kernel.run("GlobalState.command_sequence")
    assert "att_set_level_factor(factor=0.2)" in sequence["data"]["text/plain"], "it needed no observation"
    (refused,) = kernel.run("GlobalState.dry_run = False")
    assert refused["ename"] == "DryRunError"
    (refused,) = kernel.run("%dryrun off")
    assert "for dry runs only" in refused["text"]
    (result,) = kernel.run("setup.camera.ID, GlobalState.dry_run, current_obsid()")
    assert result["data"]["text/plain"] == "('chimay', True, 'CSL1_00012_00000')"
