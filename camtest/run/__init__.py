"""Running procedure notebooks: parameters, the papermill engine, dry runs.

papermill comes first: while it is imported it loads our engine by its entry point, which must not be half loaded then.

The check of notebooks (nbformat, jsonschema) loads what knows international addresses and durations when it is there, and
JupyterLab brings it: more than a second of processor time at the start of each program, most of it for building a grammar,
for formats that are in no notebook. So jsonschema does not get to see it.
"""

from egse.lazy import hidden

FORMATS = (
    "fqdn",
    "isoduration",
    "jsonpointer",
    "rfc3339_validator",
    "rfc3986_validator",
    "rfc3987_syntax",
    "uri_template",
    "webcolors",
)
"""What jsonschema does not get to see."""

with hidden(*FORMATS):
    import papermill as papermill
