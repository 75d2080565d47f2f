"""Running procedure notebooks: parameters, the papermill engine, dry runs."""
