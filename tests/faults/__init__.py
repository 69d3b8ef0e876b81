"""Faults on purpose: functions killed at every call, errors injected, messages repeated, the cloud killed.

`make faults` runs them all (`python -m tests.faults --help`); a slice runs with the tests. Production code knows nothing
of any of it: the hook sits below Google's clients, in the process that plays the Cloud Function.

    calls             the hook: counts a function's calls to Google and spoils the one that the plan names
    injected_errors   the errors, as BigQuery, Vertex AI and Pub/Sub word them
    function_process  a Cloud Function: one forked process a delivery
    world             the local cloud with the tiny model, and the courier that delivers its messages
    picture           what a run leaves behind, and what two pictures differ in
    scenarios         which faults there are, drawn by a seed
    suite             carries scenarios out, compares, counts
    cloud_kills       kill -9 of the whole local cloud
    waiting           for as long as something moves; progress, report: what one sees
"""
