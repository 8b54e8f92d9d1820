"""PayPay, Open Payment API (OPA): signature, client, account linking, KYC reads."""
