"""Reading many users again: all users, the users with one status, or the users in a file (docs/overview.md)."""
