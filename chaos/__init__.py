"""Fault schedules: Honnin's own code in small worlds in which everything may fail, one of PayPay and one of Vexora.

`python -m chaos --schedules 10000` plays that many generated schedules of each; `chaos.checks` and
`chaos.vexora_checks` say what must hold.
"""
