"""What the user configured: portico.toml, hosts' JSON, the environment."""
