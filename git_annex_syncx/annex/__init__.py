"""The verbs and files of git-annex."""
