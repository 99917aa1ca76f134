"""The page "Trade-off": what was measured, chosen, drawn, asked, and measured live."""
