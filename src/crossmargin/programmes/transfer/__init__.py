"""Transfers: futures that hedge what a pot with a longer horizon holds are margined there, if that asks for less.

One clearing house with two pots, as at Eurex (listed bond futures and swaps), JSCC, CME and LCH: a future pays
for the longer horizon in the long pot, but offsets there. The mode ``transfer_optimise`` chooses how many
contracts of each future move, on whole contracts.
"""
