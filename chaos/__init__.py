"""Fault schedules for PayPay's events: Honnin's own code in a small world in which everything may fail.

`python -m chaos --schedules 10000` plays that many generated schedules; `chaos.checks` says what must hold.
"""
