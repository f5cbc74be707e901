"""What is measured. A folder is one command, or what several stand on: bare ← cycles ← speed ←
profile and validate; cycles ← hil ← crosscheck; bare ← pareto. Every page is made of markup.py and
drawing.py."""
