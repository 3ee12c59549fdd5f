"""Your server: one thin class per engine over small modules."""
