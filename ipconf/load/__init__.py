"""The load generator: a conference in one process, its callers in another (`ipconf load`)."""
