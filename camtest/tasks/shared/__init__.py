"""Tasks that several task packages show, and what tasks written for the Qt original import from elsewhere."""
