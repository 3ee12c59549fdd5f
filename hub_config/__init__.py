"""What the operator decides, and how it reaches JupyterHub."""
