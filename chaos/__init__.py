"""Fault schedules: Honnin's own code in small worlds in which everything may fail: PayPay, Vexora, and recon.

`python -m chaos --schedules 10000` plays that many generated schedules of each. All worlds share one clock and one
numbered `boundary`, one frame (`environment`), one AWS in memory (`dynamodb`, `s3`, `sqs`, `aws`; `tests/contract`
holds it to moto and to the emulator), and one search (`generate`). `<world>_schedule`, `<world>_world`,
`<world>_generate` and `<world>_checks` are one world; the last says what must hold.
"""
