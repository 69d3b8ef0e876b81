"""The laptop's own Google Cloud: BigQuery with BigQuery ML, Pub/Sub, Vertex AI, Cloud Storage, scheduler and functions.

It imports nothing of bqloop and is imported by nothing of it but the command line's `local` environment and the tests.
"""

import os

# OpenMP's threads (XGBoost, scikit-learn) spin while they wait, unless told otherwise before they start: on a machine
# whose cores are busy a training of 0.2 s was seen to take 36 s. Here services and functions share the cores by design.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
