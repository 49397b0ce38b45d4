"""Git's verbs and files."""
