"""Reading many users again: all of them, those of a status, or those whom a file names (docs/overview.md)."""
