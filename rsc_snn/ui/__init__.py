"""The app's components: controls, results, progress, errors. Pages put them together.

`query`, `memo` and `images` are plain Python and can be used without the web framework.
"""
