"""Gives plain Python the names of the camtest kernel: `export PYTHONSTARTUP=.../startup.py` (manual ch. 26.4).

Whatever is wrong with the installation or the site, Python still starts; a hint says what is missing.
"""


def _startup() -> dict[str, object]:
    import sys

    try:
        from camtest.jupyter.namespace import namespace

        return dict(namespace())
    except Exception as exc:  # a start-up file must never keep Python from starting
        sys.stderr.write(
            f"startup.py: the camtest names are not available ({type(exc).__name__}: {exc}).\n"
            f"Is the package camtest installed in {sys.prefix}? Try: {sys.executable} -m pip install -e PROJECT\n"
        )
        return {}


globals().update(_startup())
del _startup
