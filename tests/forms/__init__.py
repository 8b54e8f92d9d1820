"""The forms that outlive a deployment: items of the table, messages, events, objects, inputs of state machines.

`python -m tests.forms` writes those of this release to `tests/fixtures/<version>/`, once: from then on the folder is
frozen (docs/upgrading.md). `tests/unit/test_forms.py` holds the code to every folder that is there.
"""
