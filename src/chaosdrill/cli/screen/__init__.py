"""How a run looks in a terminal: words for events, a stream that never disturbs, plain lines, a live view.

Everything here shows and nothing decides. Only `live` and `picture` may import rich: the other commands
start faster without it.
"""
