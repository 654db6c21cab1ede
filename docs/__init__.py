"""The documentation, its pictures, and what takes them."""
