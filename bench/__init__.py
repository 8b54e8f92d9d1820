"""What Honnin costs in time and memory: `make bench`; or a part alone, `python -m bench ack`, `… process`, `… recon`.

docs/performance.md says what the figures mean; `python -m bench page` writes them into it.

All parts run the built artifacts (`sam build`, the layer with its bytecode) with the interpreter of `.venv-runtime`,
which holds what the Lambda runtime holds: the runtime interface client and boto3 (and polars, a peer that nothing else
imports). Figures go to `build/bench.json`: `{"figures": [{"name", "value", "unit", "target", "at_least", "holds"}]}`;
those of other parts that are there already stay. A missed target is said loudly, and is no failure of the run (exit
code 0).

ack: what an acknowledgement costs
==================================
They run under the real Lambda runtime interface client (`awslambdaric`) and the runtime interface emulator that
aws-sam-cli carries (`aws-lambda-rie`), without Docker. SQS is a stand-in on the loopback address (`sqs_stand_in`),
over TLS with a certificate bundle of the usual size, that answers at once: so nothing but the function's own work is
timed, and the hardest case for a comparison.

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
message per invoke, or the run is invalid. Unlike Lambda, the share of a CPU that the memory size buys is not enforced.

recon: what reading, downloading and comparing recon files cost
================================================================
Every measured run is a process of its own, with what the function has imported in Lambda; its peak RSS is its `VmHWM`.
Rows have 36 characters (the sandbox's generated ids, which depend on the row number alone).

- read: `honnin.recon.rows`, which checks every row, in turn with peers that check nothing: `csv.reader`,
  `csv.DictReader`, Powertools' streaming `CsvTransform`, polars; and polars with the same rule as a regular expression.
  Ratios are of pairs, one right after the other; their median and their span are shown.
- download: the real `Downloads`, from the sandbox into the S3 of ministack (multipart), 38 MB and 380 MB. The stored
  bytes must be those that the sandbox says.
- plan: the real `plan.write`, of a file of a million rows and of one of 36 million, which is made while it is sent.
- compare: the real `RangeComparison` with the real boto3, against a stand-in for DynamoDB, S3 and SQS
  (`recon_stand_in`) that makes every item when it is asked for: no local stack holds such a table. In every run exactly
  those must be queued who should be, each once and on the right queue, or the run is invalid. The stand-in answers
  without delay: what AWS takes to answer comes on top, once per call, and calls and read units are counted.
- bare: the same reads by boto3 with as many threads and nothing else, the floor of a comparison.

process: what the event processor takes for events
==================================================
The built function's own handler in one process, with the variables that the template gives it and batches as SQS hands
them over. AWS is a stand-in whose table is the one of the fault harness (`chaos.dynamodb`); PayPay takes 300 ms for
each answer. Calls to AWS are counted as botocore sends them. An event that fails, or a user who is not verified in the
end, makes the run void.
"""
