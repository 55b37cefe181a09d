"""Sends tasks to a popfleet server and takes their results: `python3 send.py`, while `TASK_DURATION_MS=10 npm start` runs."""

import os

from popfleet import ApiError, Popfleet

popfleet = Popfleet(os.environ.get('POPFLEET_URL', 'http://127.0.0.1:3000'), key=os.environ.get('POPFLEET_KEY'))

# One task, and its result.
print('1 + 2 =', popfleet.run('add', {'one': 1, 'two': 2}, wait=120))

# With an idempotency key the same call finds its task again.
first = popfleet.enqueue('add', {'one': 3, 'two': 4}, key='order-4')
again = popfleet.enqueue('add', {'one': 3, 'two': 4}, key='order-4')
print('the same task:', first['id'] == again['id'])

# What happens to it, as it happens.
for name, data in popfleet.events(first['id']):
    print('event', name, data.get('state', ''))

# Many at once; one that is not valid stops no other.
tasks = [{'type': 'multiply', 'input': {'one': one, 'two': 2}} for one in (1, 2, 'three')]
for item in popfleet.enqueue_many(tasks):
    print('task', item['index'], 'refused' if 'problem' in item else 'sent')

# One that shall not run after all.
later = popfleet.enqueue('add', {'one': 1, 'two': 1}, delayMs=3_600_000)
print('cancelled:', popfleet.cancel(later['id'])['state'])

# What is wrong, and where.
try:
    popfleet.enqueue('add', {'one': 'x', 'two': 2})
except ApiError as error:
    print(error.code, error.errors[0]['pointer'])
