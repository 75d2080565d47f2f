"""Running procedure notebooks: parameters, the papermill engine, dry runs.

papermill comes first: while it is imported it loads our engine by its entry point, which must not be half loaded then.
"""

import papermill as papermill
