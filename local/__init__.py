"""The local stack: what `make run`, `make up` and the end-to-end tests stand on. Never deployed.

The real `sam build` and `sam deploy` run against ministack (an emulator of AWS on the loopback address, with
IAM enforced), beside the provider sandbox:

    python -m local run [--once] [--port 4566] [--sandbox-port 9100]
    python -m local up | down | status | reset | events      # in the background

    with local.stack.running("e2e") as stack:      # free ports, everything stopped at the end
        stack.merchant.request("GET", "/users/hanako")

There is one way to start a stack, `stack.running`; `up` has a process of its own do it (`background.py`). Everything
that is started is on a leash (`leash.py`): it ends with the process that started it, however that ends.
What it writes (logs, the emulator's files) is in `build/local/<name>/`.
"""
