"""A folder or bucket that recordings are dropped into."""
