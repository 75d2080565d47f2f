"""Runs the control server of a stand-in: `python run_server.py egse.hexapod.symetrie.puna start`."""

import importlib
import sys
from pathlib import Path

import egse

egse.__path__.insert(0, str(Path(__file__).parent / "egse"))
importlib.import_module(sys.argv.pop(1)).APP.main()
