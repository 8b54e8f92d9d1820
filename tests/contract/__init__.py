"""Requests as Honnin makes them, played against AWS in memory (`chaos/`) and an emulator: the answers are compared.

A case is a function that makes its requests through a `Recorder`. `differences` names what is known to differ and who
is right by AWS's documentation; a case that no longer differs must leave that list.
"""
