"""Longscribe as a service: what starts its server and workers, and what they are told."""
