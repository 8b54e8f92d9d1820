"""What an acknowledgement costs: `make bench`, or `python -m bench ack`.

The built artifacts (`sam build`, the layer with its bytecode) run under the real Lambda runtime interface client
(`awslambdaric`) and the runtime interface emulator that aws-sam-cli carries (`aws-lambda-rie`), without Docker. The
interpreter is that of `.venv-runtime`, which holds what the Lambda runtime holds: the client and boto3. SQS is a
stand-in on the loopback address (`sqs_stand_in`), over TLS with a certificate bundle of the usual size, that answers
at once: so nothing but the function's own work is timed, and the hardest case for a comparison.

Contestants, all in one run:

- the four PayPay webhook functions;
- `empty`: a handler that does nothing, the floor for init;
- `conventional`: the same job as one would usually write it (Powertools resolver with validation, Logger, Metrics,
  `boto3.resource`), on the same layer;
- `bare_signed` and `bare_boto3`: one signed SendMessage and nothing else, by `http.client` with botocore's SigV4Auth,
  and by a boto3 client. The cheaper one is the floor for a warm acknowledgement.

What is measured, always by the emulator's own clock, as it writes it in its log:

- init: from the start of the runtime process to its first `/next` call (`INIT REPORT`; the `Init Duration` of the
  emulator's REPORT line is not that: it times the request for an init, not the init);
- first invoke, warm invoke: from the event handed out to the answer taken (`INVOKE RTDONE`);
- cold: init + first invoke of the same process;
- peak RSS: `VmHWM` of the runtime process after its warm invokes.

Cold starts are interleaved (A B C A B C …) and warm invokes come in interleaved blocks, one request at a time, so that
a machine that slows down hits all alike; medians are shown. After the run the stand-in must have taken exactly one
message per invoke, or the run is void. Unlike in Lambda, the share of a CPU that the memory size buys is not enforced.

Figures go to `build/bench.json` as well: `{"figures": [{"name", "value", "unit", "target", "holds"}]}`; figures of
other parts that are there already stay. A missed target is said loudly, and is no failure of the run (exit code 0).
"""
