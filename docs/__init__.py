"""Pictures for the README, and what takes them."""
