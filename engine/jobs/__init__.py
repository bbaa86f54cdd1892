"""The durable job queue and the dispatcher that feeds the workers.

``job`` says what a job is, ``database`` and ``store`` keep jobs on disk, ``find`` and ``gallery`` find them and their
files again, ``history`` writes ended jobs in ComfyUI's form,
``journal`` knows the files of each attempt, ``link`` holds one worker process, ``workers`` keeps them alive, ``line``
is the queue in memory, and ``dispatcher`` decides.
"""
