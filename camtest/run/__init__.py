"""Running procedure notebooks: parameters, the papermill engine, dry runs.

papermill comes first: while it is imported it loads our engine by its entry point, which must not be half loaded then.

The check of notebooks (nbformat, jsonschema) builds a grammar of international addresses when `rfc3987_syntax` is there,
which JupyterLab brings: more than a second of processor time at the start of each program, for something that is in no
notebook. So jsonschema does not get to see it.
"""

from egse.lazy import hidden

with hidden("rfc3987_syntax"):
    import papermill as papermill
