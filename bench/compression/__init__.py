"""`compress`: a network made to fit a budget, and what was found of it: errors, the linked image,
modelled cycles."""
