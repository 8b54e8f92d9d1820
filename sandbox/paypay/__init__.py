"""PayPay, simulated from its document "Retrieve the user's KYC information 1.0".

Honnin's ``PayPayBaseUrl`` is the sandbox's own URL. Every API call must be signed (OPA HMAC, the secret as its
characters; ±2 minutes of the sandbox clock; no nonce twice; ``Content-Type`` as signed), or is UNAUTHORIZED.

=====================================================  =================================================
endpoint                                               its name in dials and counts
=====================================================  =================================================
POST /v1/qr/sessions                                   link
GET /v2/user/authorizations?userAuthorizationId=       authorization
DELETE /v2/user/authorizations/{userAuthorizationId}   unlink
GET /v1/kyc/info (not published)                       kyc_info
GET /v1/kyc/passport (not published)                   kyc_passport
POST /v1/kyc/passport/qr/{codeId} (not published)      kyc_passport_qr
=====================================================  =================================================

``linkQRCodeURL`` leads to a consent page. A person presses a button there; a program sends the same form::

    curl -i "$LINK_QR_CODE_URL" -d decision=allow      # or decline: 303 to redirectUrl?responseToken=…

Users are named by ``referenceId`` or ``userAuthorizationId``, in dials and in the control API::

    BOX=http://127.0.0.1:9100/_sandbox
    curl -X PUT $BOX/paypay/webhooks -d '{"kyc": "http://127.0.0.1:4566/…/webhooks/paypay/kyc"}'   # null: none
    curl -X PUT $BOX/paypay/users/user-1/kyc -d '{"completed": false}'        # no webhook; before linking, too
    curl -X POST $BOX/paypay/users/user-1/kyc-updated -d '{"data": {"lastName": "見本"}}'
    curl -X POST $BOX/paypay/users/user-1/risk -d '{"flag": "UNACCEPTABLE_OP"}'                    # null: clear
    curl -X POST $BOX/paypay/users/user-1/risk -d '{"flag": null, "delivery": "lost"}'             # sandbox.delivery
    curl -X POST $BOX/paypay/users/user-1/account -d '{"status": "canceled"}'
    curl -X POST $BOX/paypay/users/user-1/authorization -d '{"state": "expired"}'                  # no webhook
    curl -X POST $BOX/paypay/users/user-1/authorization -d '{"state": "unlinked"}'                 # in the PayPay app
    curl -X POST $BOX/paypay/users/user-1/authorization -d '{"expireAt": 1790000000}'              # no webhook
    curl -X POST $BOX/paypay/users/user-1/notify -d '{"type": "risk"}'        # a webhook, but nothing changed
    curl -X POST $BOX/paypay/recon-notification -d '{"fileType": "kyc_passport_sync_recon", "path": "https://…/….csv"}'
    curl -X POST $BOX/paypay/links -d '{"users": ["user-1", "user-2"], "scopes": ["mini_app_kyc_passport"]}'
    curl -X POST $BOX/paypay/burst -d '{"count": 50}'                         # KYC of all linked users, at once
    curl $BOX/paypay/users/user-1         # state, links, KYC, calls per endpoint, notifications with their tries
    curl $BOX/paypay/history              # every change: what the recon files of that day must list
    curl -X PUT $BOX/dials/paypay/user-1 -d '{"kyc_passport_fault": {"kind": "RATE_LIMIT", "skip": 3}}'

``notify`` takes ``notification_type``, ``notification_id``, ``user_authorization_id``, ``raw_body`` and ``url``, too;
with them anybody's forged or malformed notification can be played, also for a user that PayPay does not know.

The KYC register: ``completed`` false makes the reads answer KYC_NOT_COMPLETED, ``ekyc`` false makes the KYC info
with ``requiredKycType=EKYC`` answer NON_EKYC_USER; the keys of ``data`` are merged, null removes one. A risk flag
is what the two KYC Passport reads answer. A reset keeps the webhook URLs.

Recon files. A night makes the three files of a Japanese day from that history (the users whose KYC was updated, who
became flagged, whose account status was updated; once each), notifies of them by the recon webhook with ``requestedAt``
of the sandbox clock, and serves them at ``/paypay/recon/<name>?expires=…&signature=…``: unknown names are 404, a
URL that is over 403. ``Range`` and ``If-Range`` are honoured. A night replaces bytes that were put by hand::

    curl -X POST $BOX/paypay/recon-night                         # yesterday, all three
    curl -X POST $BOX/paypay/recon-night -d '{"day": "today"}'   # of the changes until now, as it would be tonight
    curl -X POST $BOX/paypay/recon-night -d '{"day": "2026-03-31", "types": ["kyc_passport_sync_recon"]}'
    curl -X POST $BOX/paypay/recon-nightly -d '{"at": "03:00"}'  # by itself, at that time in Japan; null: no longer
    curl $BOX/paypay/recon-files
    curl -X POST $BOX/paypay/recon-files/$NAME/resend            # a new URL and notification id; 410 after 7 days
    curl -X PUT $BOX/paypay/recon-files/$NAME -d '{"text": "not a file"}'              # or {"base64": …}
    curl -X PUT $BOX/paypay/recon-files/$NAME \
         -d '{"rows": 10000000, "fileType": "kyc_passport_sync_recon", "day": "2026-03-31"}'   # resend notifies

``rows`` lists ``sandbox.paypay.recon.generated_id(0)`` and so on; it is never held as a whole. ``fileType`` and
``day`` are needed for a file that no night has made. A clock that moves over several nights plays each of them; where
it is moved back, the nightly one is planned anew from where it then stands.

Dials of PayPay (for all or for a user; ``null`` unsets one). Those of recon files, from ``recon_url_ttl_s`` on, are
set for all, for a ``fileType`` or for a file's name (it wins); those of the recon webhook for all or for ``recon``:

======================  ============================================================================  ==============
dial                    values                                                                        default
======================  ============================================================================  ==============
<endpoint>_fault        a fault; its kind may be any code of the document (RATE_LIMIT, …)             none
maintenance             on: every call is MAINTENANCE_MODE, and no webhook is sent (nor later)        off
wrong_merchant          X-ASSUME-MERCHANT of somebody else: refused is UNAUTHORIZED; answered is what     refused
                        that merchant gets, who has none of these authorizations
forbidden_scopes        scopes for which link is EXPECTATION_FAILED                                   []
forbidden_domains       hosts of redirectUrl for which it is, too                                     []
session_ttl_s           life of a link and of its code id, seconds                                    900
link_result             bad_request: the response token says so, whatever was pressed                 consent
token                   good, wrong_key (secret not decoded), alg_none, wrong_iss, wrong_aud,         good
                        no_exp, expired, other_nonce
token_ttl_s             life of a response token, seconds                                             300
double_redirect         on: the sandbox requests the redirect once more, within a second              off
validity_days           life of an authorization, read when it is granted                             365
read_lag_s              seconds by which the reads trail a change, whose webhook comes at once; a     0
                        change is trailed if this is set by then, and as long as it says at the read
selfie                  image, not_found, html, too_large (11 MiB), redirect, slow                    image
selfie_ttl_s            life of a selfieImageUrl, seconds                                             300
selfie_slow_s           how long the slow one takes                                                   20
webhook_drop            none, all, kyc, risk, account_status, recon: never sent                       none
webhook_copies          1 to 20 of each notification                                                  1
webhook_copy_id         same or new: the notification_id of the copies                                same
webhook_delay_s         seconds between change and notification                                       0
webhook_reorder         n: n notifications of a user are gathered, then sent, the last one first      1
webhook_timeout_s       seconds for an answer (200)                                                   1.5
kyc_retries             3x100ms, 10x500ms (tries in all, pause before each further one), none         3x100ms
risk_retries            the same                                                                      3x100ms
account_status_retries  the same                                                                      10x500ms
recon_retries           the same                                                                      10x500ms
recon_url_ttl_s         life of a file's URL, seconds, read when its notification is made             7200
recon_notification      of a night's file: sent, late, missing, wrong_type (names another fileType),  sent
                        wrong_name (the URL names a day long past); a resend is always true
recon_notification_delay_s  how long a late notification takes; its URL and requestedAt are older    3600
recon_format            list of no_header, bom, quoted, lf, blank_last_line; read when it is made     []
recon_transfer          whole, or a word or list of words out of                                      whole
                        slow (recon_bytes_per_s), no_range (Range is ignored), chunked (no
                        Content-Length), changed (other bytes and ETag from the second request on),
                        and one failure: broken (the connection ends after recon_break_at bytes),
                        stall (silence there, then the end), short_length (Content-Length is the
                        file's, the body goes on for ever), endless (no Content-Length), gzip (4 GiB of
                        zeros), redirect (to the metadata address), forbidden (403), gone (410),
                        not_found (404), error (500)
recon_times             how many downloads of a file fail (since its notification, its content put    for ever
                        or these dials changed); then whole, with slow and the like as before
recon_break_at          bytes of each answer's body before broken or stall                            half of it
recon_bytes_per_s       speed of a slow one                                                           1000
recon_stall_s           silence of a stall, seconds                                                   60
unkind                  forms of sandbox.unkind that are forced or ruled out, for all or for a user   by the seed
======================  ============================================================================  ==============

Invented, because PayPay does not publish it: the three paths, most keys of ``data``, the ``codeId`` of results
(but for 08100017), the KYC Passport fields, which notification has which retries, and what a wrong verifier,
a wrong merchant header or an unlinked user is answered; of recon files the form of ``<from>`` and ``<to>``
(yyyymmdd, both the day), the header row, and what a URL that is over is answered.
"""
