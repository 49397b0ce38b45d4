"""The mechanics of branches: fetch, merge, advance, push."""
