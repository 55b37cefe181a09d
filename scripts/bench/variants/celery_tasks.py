"""Celery's side: the task, and `celery_tasks.py N WARM_UP`, which prints how many tasks a second it sent."""

import atexit
import os
import sys
import time

from celery import Celery

app = Celery("bench", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    # As many fetched ahead as the others have under way.
    worker_prefetch_multiplier=50,
    worker_concurrency=1,
    task_serializer="json",
    accept_content=["json"],
)

runs = 0
expected = int(os.environ.get("BENCH_N", "0"))


@app.task(name="add")
def add(one, two):
    global runs
    runs += 1
    if runs == expected:
        write_runs(os.environ["BENCH_RUNS"])
    return one + two


def write_runs(path):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(runs))


def send(count):
    for _ in range(count):
        add.delay(one=1, two=2)


if "BENCH_RUNS" in os.environ:
    atexit.register(write_runs, os.environ["BENCH_RUNS"])
elif __name__ == "__main__":
    count, warm_up = int(sys.argv[1]), int(sys.argv[2])
    send(warm_up)
    began = time.monotonic()
    send(count)
    print(count / (time.monotonic() - began))
