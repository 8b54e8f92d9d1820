"""The provider sandbox: Vexora and PayPay, simulated on this machine. Never deployed.

It plays the providers' side of the conversation: it checks the merchant's requests with code written from
the providers' documents (nothing of ``layers/honnin`` is imported), reviews the users, and sends the
notifications. *Dials* make it misbehave in every way that a provider can.

Start it (it binds 127.0.0.1 only; port 0 picks a free port)::

    python -m sandbox --port 9100 --vexora-merchant-no 1027749636 --vexora-app-secret sandbox-app-secret

Honnin's ``VexoraBaseUrl`` is then ``http://127.0.0.1:9100/japan``, its ``PayPayBaseUrl`` ``http://127.0.0.1:9100``.
The PayPay side is described in ``sandbox.paypay``. In tests::

    from sandbox.app import SandboxConfig
    from sandbox.server import running

    with running(SandboxConfig()) as box:
        box.vexora.dials.put({"review": "reject"}, user_id="user-2")
        ...  # box.url, box.vexora_base_url

The page at its root (``sandbox.page``) has a button for what a user or a reviewer does, and explains the last
signatures; ``honninctl trigger`` does the same from a terminal. Both do what the control API does, and no other host or
site may (``sandbox.guard``).

A walk through the control API (JSON under ``/_sandbox``). What notifies the merchant takes ``"delivery"``, too: sent,
lost, twice or late (60 s), of this notification only::

    BOX=http://127.0.0.1:9100/_sandbox
    curl -X PUT $BOX/dials/vexora -d '{"review_delay_s": 0.5}'                        # for every user
    curl -X PUT $BOX/dials/vexora/user-2 -d '{"review": "reject"}'                    # per user wins
    curl -X PUT $BOX/dials/vexora/user-3 -d '{"callback": "dropped"}'
    curl -X PUT $BOX/dials/vexora/user-4 \
         -d '{"apply_fault": {"kind": "reset", "when": "after", "times": 1}}'         # applied, answer lost
    curl $BOX/vexora/users/user-4                                                     # calls, status
    curl -X POST $BOX/vexora/users/user-4/review -d '{"outcome": "approve"}'          # decide now; again: callback only
    curl -X POST $BOX/vexora/users/user-4/callback -d '{"claims": "2", "forged": true}'
    curl -X POST $BOX/vexora/users/user-5/known -d '{"outcome": "approve"}'           # decided there before us
    curl -X PUT $BOX/dials/vexora -d '{"unkind": {"drop": "unseen", "bom": false}}'   # see sandbox.unkind
    curl -X POST $BOX/clock -d '{"advance_s": 3600}'                                  # due work runs at once
    curl -X POST $BOX/lose-next -d '{}'                                               # the next one, about anybody
    curl -X POST $BOX/lose-next -d '{"user": "user-6"}'                               # or the next one about a user
    curl -X POST $BOX/shop/receivers -d '{"url": "http://127.0.0.1:5000/hooks"}'      # see below; DELETE ends it
    curl $BOX/journal
    curl -X POST $BOX/reset

The next notification is lost with all its copies and tries. Locally the sandbox is also the merchant's endpoint for
Honnin's own webhooks. It takes them, passes each on to every receiver as it came, and answers with the worst status of
theirs. A receiver on whose port nobody listens is forgotten.

Dials of Vexora (``null`` unsets a dial; a dial of a user wins over the one for all):

=================== ============================================================= ==========
dial                values                                                        default
=================== ============================================================= ==========
review              approve, reject, none (stays pending); read at the apply      approve
review_delay_s      seconds; under review at half of it; read at the apply        2
callback            json, form, multipart, json_as_form, form_as_json,            by the seed
                    json_as_text, json_no_type, form_no_type, xml, empty, bom,
                    surrogate, not_utf8; dropped, duplicated, delayed, forged
callback_delay_s    seconds between decision and callback                         0 (delayed: 60)
callback_count      copies of the callback                                        1 (duplicated: 2)
callback_claims     "0".."3": what the callback says, whatever was decided        the truth
retry_scale         0 to 1: factor on the pauses between the 8 tries              1
query_status        "0".."3": what the query says, whatever was decided           the truth
query_about         latest, earlier: the application that the query speaks of     latest
query_user_id       absent (as published), same, other                            absent
apply_user_id       other (as in the document's example), same, absent            other
reason              a text: why somebody is rejected                              a sentence
unkind              forms of ``sandbox.unkind`` that are forced or ruled out      by the seed
apply_fault         a fault (see below) of kycApplyFor                            none
query_fault         a fault of kycStatusQuery                                     none
=================== ============================================================= ==========

A callback that is not answered 200 with the plain text ``OK`` within 10 s is repeated after 2 s, 5 s, 10 s,
30 s, 1 h, 3 h and 3 h; a forged one is not.

Answers and callbacks are as unhelpful as the documents allow (``sandbox.unkind``), in a share that the seed draws:
``--seed``, or ``$HONNIN_SANDBOX_SEED``; without either any seed, which is printed; ``none`` makes the sandbox kind.
``SandboxConfig`` in tests is kind unless it gets a seed. The journal names the forms of each answer.

A fault is ``none``, a kind, or ``{"kind", "when", "times", "skip", "seconds", "code", "message", "status"}``.
Kinds: http_500, http_429, html_503, timeout (the connection is held for ``seconds``, 60, then closed unanswered), reset
(TCP RST), malformed (broken JSON), slow (the true answer after ``seconds``, 5), refuse (``code``, ``message``
and, for PayPay, the HTTP ``status``), code_8000 (Vexora), and every code of its document (PayPay). ``when`` is
``before`` (the request takes no effect; default) or ``after`` (it does, only the answer is broken); a slow answer
takes effect in both cases, before or after the wait. ``times`` is how many calls it hits (default: for ever); a
used-up fault unsets itself. The first ``skip`` calls pass unharmed.

The clock of the sandbox is the real one plus an offset. Everything that is due runs on it, and the five
minutes of ``timestamp`` are measured on it too: after an advance of more than five minutes requests that
carry the real time are refused, as with any clock that is off. Advance by a negative number to come back: what is
due runs before that, and what still waits keeps its pause.
"""
