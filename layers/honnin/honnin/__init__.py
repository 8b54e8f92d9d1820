"""Honnin: one truthful KYC status per user, read back from PayPay and Vexora.

The package is the shared Lambda layer. Nothing in it reads the environment, builds a client or makes a
call when it is imported; every entry point does that on first use.
"""

# The release (docs/upgrading.md). The clients and the template name it, too, where tools look for it.
VERSION = "1.0.0"
