"""The durable job queue and the dispatcher that feeds the workers.

``job`` says what a job is, ``store`` keeps jobs on disk, ``history`` writes ended jobs in ComfyUI's form,
``journal`` knows the files of each attempt, ``link`` holds one worker process, ``workers`` keeps them alive, ``line``
is the queue in memory, and ``dispatcher`` decides.
"""
