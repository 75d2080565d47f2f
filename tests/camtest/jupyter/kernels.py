"""Kernels for tests: started as a front end starts them, asked as it asks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager

KERNELS = Path(__file__).resolve().parents[3] / "kernels"
START = 240.0
"""Longest time for anything [s]: the machine may have much else to do."""


class Kernel:
    """A running kernel of the source tree; a context manager.

    Args:
        name: `camtest`, `camtest-dry-run` or `camtest-sandbox`.
        environment: of its process.
    """

    def __init__(self, name: str, environment: dict[str, str]) -> None:
        specs = KernelSpecManager(kernel_dirs=[str(KERNELS)], ensure_native_kernel=False)
        self.manager = KernelManager(kernel_name=name, kernel_spec_manager=specs)
        self.manager.start_kernel(env=environment)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=START)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel()
        self.client.context.term()

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)

    def run(self, code: str) -> list[dict[str, Any]]:
        """Returns the contents of all outputs of a cell."""
        outputs: list[dict[str, Any]] = []

        def collect(message: dict[str, Any]) -> None:
            if message["msg_type"] in (
                "stream",
                "display_data",
                "update_display_data",
                "execute_result",
                "error",
            ):
                outputs.append(message["content"])

        self.client.execute_interactive(code, timeout=START, output_hook=collect)
        return outputs

    def text(self, code: str) -> str:
        """Returns all that a cell shows, as text without colours."""
        return "\n".join(map(text_of, self.run(code)))

    def tab(self, code: str) -> list[str]:
        """Returns what TAB offers at the end of the code."""
        return list(self.client.complete(code, reply=True, timeout=START)["content"]["matches"])

    def tooltip(self, code: str) -> str:
        """Returns what shift-TAB shows at the end of the code."""
        content = self.client.inspect(code, reply=True, timeout=START)["content"]
        return str(content["data"].get("text/plain", "")) if content["found"] else ""


def text_of(content: dict[str, Any]) -> str:
    """Returns an output as text."""
    import re

    if "traceback" in content:
        shown = "\n".join(content["traceback"])
    else:
        shown = content.get("text") or content.get("data", {}).get("text/plain", "")
    return re.sub(r"\x1b\[[0-9;]*m", "", str(shown))
