"""A fuzzer of merges: random edits on nodes that exchange heads, and a judge that knows no code of ours.

`python tests/merge_fuzzer.py --merges 10000` runs it.
"""
