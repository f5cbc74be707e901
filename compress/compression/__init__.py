"""A trained network made to fit a budget of flash and cycles, layer by layer, with the loss
measured.

cost.py         what a matrix takes in bytes and cycles
candidates.py   forms of a matrix (8 bits, 4 bits, two thin factors of either) and the error of
                each, from calibration
sensitivity.py  what the error of one layer does to the network's output
choose.py       one form for every matrix: least harm within the budget
rebuild.py      the chosen forms as a PyTorch network, and its checkpoint
fit.py          all of it in order, and the tuning of the task: a short training of what was
                chosen, with the whole network as its teacher
"""
