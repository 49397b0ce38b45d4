"""One story told with `git annex sync --content` and with `git-annex-syncx sync`: is our end worse?"""
