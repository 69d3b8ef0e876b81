"""The laptop's own Google Cloud: BigQuery with BigQuery ML, Pub/Sub, Vertex AI, Cloud Storage, scheduler and functions.

It imports nothing of bqloop and is imported by nothing of it but the command line's `local` environment and the tests.
"""

import os

# OpenMP's threads (XGBoost, scikit-learn) spin while they wait, unless told otherwise before they start: on a machine
# whose cores are busy a training of 0.2 s was seen to take 36 s. Here services and functions share the cores by design.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Seconds after which a thread that computes lets another have its turn. At Python's own five milliseconds an answer that
# takes several turns, a confirmation or a prediction, waits for tens of them while a batch of rows is being converted.
TURN_SECONDS = 0.0005
