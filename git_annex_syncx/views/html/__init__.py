"""Pages for browsers: one file each, which asks nobody for anything."""
