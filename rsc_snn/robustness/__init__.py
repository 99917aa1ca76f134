"""Robustness of the whole zoo: one suite of attacks, durable measurements, honest comparisons.

`suite` says what is measured, `cells` measures it and goes on after a kill, `store` keeps the
table, `compare` tests claims on it, `report` writes it for people.
"""
