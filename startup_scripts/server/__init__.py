"""The server program: JupyterHub's single-user server, imported before anybody owns it."""
