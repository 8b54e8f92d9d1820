"""The console: a stack to look at in a browser, on this machine only and for the caller alone.

`server` lets nobody else in, `pages` asks the stack and fills the templates; `verdict`, `month` and `advice` turn what
was found into what a person wants to know; `wording` says it in Japanese or English.
"""
