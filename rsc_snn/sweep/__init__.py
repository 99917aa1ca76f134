"""Sweeps over sigma, T, epsilon, attack and model: cells, their store, and the engine."""
