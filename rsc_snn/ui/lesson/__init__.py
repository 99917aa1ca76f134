"""The lesson: six steps from a pixel to the price of robustness.

`pixel`, `image`, `currents`, `neuron`, `decision` and `bill` each draw one step's controls and
figures (`draw`) and name the functions that made them (`CODE`); the rest is what is around them.
"""
