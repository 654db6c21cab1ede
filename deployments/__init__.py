"""What a Prefect server is told once: automations."""
