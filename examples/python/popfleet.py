"""A client of popfleet's HTTP API in one file, with nothing but the standard library of Python 3.9 or later: copy it beside your program.

    from popfleet import Popfleet

    popfleet = Popfleet('http://127.0.0.1:3000')
    print(popfleet.run('add', {'one': 1, 'two': 2}))

Requests are repeated when the network fails, or the answer is 429, 502, 503 or 504. Each task has an idempotency key before it is sent for the
first time, so a repeat never makes a second one. An object is for one thread at a time.
"""

import base64
import hmac
import http.client
import json
import math
import random
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

__all__ = ['ApiError', 'Popfleet', 'TaskCancelled', 'TaskFailed', 'WaitTimeout', 'WebhookError', 'verify_webhook']

# A long poll stays below the 60 s after which load balancers usually give up.
_LONG_POLL_SECONDS = 50
_LONG_POLL_MARGIN = 10
# The server writes to a stream every 15 s: one that is silent for longer than this is broken.
_SILENCE_SECONDS = 40
# A server that was there before may be away for so long.
_PATIENCE_SECONDS = 60
# A server that wants to be left alone for longer than this is reported instead.
_LONGEST_RETRY_AFTER = 60
_ENDED = ('succeeded', 'dead', 'cancelled')
# What a task gets that takes nothing. None would be sent as null, which is an input like any other.
_NO_INPUT = {}


class ApiError(Exception):
    """The server refused a request, or gave no answer. `code` is for programs (docs/protocol.md, "Problems"), the text for people.

    `code` is that of the problem document, or `unreachable` (no connection, it broke, or no answer in time), `not-popfleet`, or
    `http-<status>` of a proxy.
    """

    def __init__(self, text, status=0, code='unreachable', problem=None, retry_after=None):
        super().__init__(text)
        problem = problem or {}
        self.status = status  # 0 when there was no answer
        self.code = code
        self.title = problem.get('title', '')
        self.errors = problem.get('errors', [])  # {'pointer': '#/input/one', 'detail': '…'} for each wrong field
        self.request_id = problem.get('requestId')
        self.retry_after = retry_after  # seconds

    def passes(self):
        """Whether another try may have a better end."""
        return self.status in (0, 429, 502, 503, 504) and self.code != 'not-popfleet'


class TaskFailed(Exception):
    """The task that was waited for is dead: it failed for good, or was not started in time. `task` has its `error`."""

    def __init__(self, task):
        super().__init__('The task %s failed: %s' % (task['id'], task.get('error', {}).get('message', 'it is dead')))
        self.task = task

    def __reduce__(self):
        return type(self), (self.task,)


class TaskCancelled(Exception):
    """The task that was waited for was cancelled."""

    def __init__(self, task):
        super().__init__('The task %s was cancelled.' % task['id'])
        self.task = task

    def __reduce__(self):
        return type(self), (self.task,)


class WaitTimeout(Exception):
    """The time to wait is over; the task goes on."""

    def __init__(self, task_id):
        super().__init__('The task %s has not ended in time; it goes on.' % task_id)
        self.id = task_id

    def __reduce__(self):
        return type(self), (self.id,)


class WebhookError(Exception):
    """A message is not authentic, or too old; the text says why."""


class Popfleet:
    """`key` is an API key; none where the server asks for none. `timeout` is for one try, in seconds."""

    def __init__(self, url='http://127.0.0.1:3000', key=None, retries=3, timeout=30):
        if urllib.parse.urlsplit(url).scheme not in ('http', 'https'):
            raise ValueError('url must be an http or https address, such as http://127.0.0.1:3000')
        self._root = url.rstrip('/')
        self._key = key
        self._retries = retries
        self._timeout = timeout
        self._answered_at = -math.inf
        self._opener = urllib.request.build_opener(_NoRedirects)

    def enqueue(self, type, input=_NO_INPUT, **options):
        """Sends a task, and returns once Redis has it: `{'id', 'type', 'queue', 'state', …}`.

        The options are those of docs/protocol.md under their names there: `delayMs=5000`, `priority='high'`, `maxAttempts=5`. With
        `key='order-4711'` the same call finds its task again (`replayed`), for a day.
        """
        return self._json('POST', '/v1/tasks', _with_key({**options, 'type': type, 'input': input}))

    def enqueue_many(self, tasks, size=500):
        """Sends many tasks, each a dict `{'type', 'input', …options}`, `size` of them in a request at most. A generator of what became of
        each, in their order: `{'index', 'id', …}`, or `{'index', 'problem'}` for one that is not valid, which stops no other.
        """
        sent = 0
        for batch in _batches(tasks, size):
            lines = [json.dumps(_with_key(task)) for task in batch]
            # 422: none of them is valid. The answer still has the reason of each.
            answer = self._json(
                'POST',
                '/v1/tasks/batch?partial=true',
                '\n'.join(lines),
                content_type='application/x-ndjson',
                accepts=(422,),
            )
            for item in answer['items']:
                yield {**item, 'index': sent + item['index']}
            sent += len(batch)

    def get(self, task_id):
        """The task as it is."""
        return self._json('GET', _path(task_id))

    def wait(self, task_id, timeout=None):
        """The task once it has ended, whichever way, by long polls. `timeout` in seconds; without it there is no end.

        Raises WaitTimeout. The server may go away meanwhile for up to a minute.
        """
        patience = self._patience()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            left = min(_LONG_POLL_SECONDS, max(0, deadline - time.monotonic()))
            try:
                path = '%s?wait=%d' % (_path(task_id), math.ceil(left))
                task = self._once('GET', path, timeout=left + _LONG_POLL_MARGIN)
                patience.answered()
                if task['state'] in _ENDED:
                    return task
            except ApiError as error:
                time.sleep(patience.pause_after(error, deadline))
            if time.monotonic() >= deadline:
                raise WaitTimeout(task_id)

    def run(self, type, input=_NO_INPUT, wait=None, **options):
        """Sends a task and returns its result. `wait` is the longest time in seconds. Raises TaskFailed, TaskCancelled, WaitTimeout."""
        task = self.wait(self.enqueue(type, input, **options)['id'], wait)
        if task['state'] == 'dead':
            raise TaskFailed(task)
        if task['state'] == 'cancelled':
            raise TaskCancelled(task)
        return task.get('result')

    def cancel(self, task_id):
        """The task as it is then: one that runs has only been asked to stop."""
        return self._json('POST', _path(task_id) + '/cancel')

    def events(self, task_id):
        """What happens to a task, as a generator of `(name, data)`: `snapshot` and `end` with the task, between them `state` and
        `progress`. It goes on over breaks of the connection where it was; `reset` means that some are missing.
        """
        last_id = None
        patience = self._patience()
        while True:
            headers = {} if last_id is None else {'Last-Event-ID': last_id}
            try:
                with self._open('GET', _path(task_id) + '/events', headers=headers, timeout=_SILENCE_SECONDS) as stream:
                    patience.answered()
                    if stream.status == 204:
                        return
                    for last_id, name, data in _read_events(stream, last_id):
                        if name is not None:
                            yield name, json.loads(data)
                        if name == 'end':
                            return
            except ApiError as error:
                time.sleep(patience.pause_after(error))
                continue
            except (OSError, http.client.HTTPException):
                pass  # The connection broke, or was silent for too long.
            time.sleep(random.uniform(1, 3))

    def _patience(self):
        """A server that has just answered another request is there, although it may be away for a while."""
        return _Patience(self._retries, was_there=time.monotonic() - self._answered_at < _PATIENCE_SECONDS)

    def _json(self, method, path, body=None, accepts=(), content_type='application/json'):
        patience = _Patience(self._retries)
        while True:
            try:
                return self._once(method, path, body, accepts, content_type=content_type)
            except ApiError as error:
                time.sleep(patience.pause_after(error))

    def _once(self, method, path, body=None, accepts=(), timeout=None, content_type='application/json'):
        try:
            with self._open(method, path, body, accepts, timeout, content_type) as answer:
                content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError('%s cannot be reached: %s.' % (self._root, error)) from error
        try:
            return json.loads(content) if content else None
        except ValueError as error:
            text = '%s answers, but not as popfleet does (HTTP %d).' % (self._root, answer.status)
            raise ApiError(text, answer.status, 'not-popfleet') from error

    def _open(self, method, path, body=None, accepts=(), timeout=None, content_type='application/json', headers=None):
        """One try: an answer whose body is still to be read."""
        everything = {'Accept': 'application/json, text/event-stream', **(headers or {})}
        if self._key is not None:
            everything['Authorization'] = 'Bearer ' + self._key
        if body is not None:
            everything['Content-Type'] = content_type
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        request = urllib.request.Request(self._root + path, data=body, headers=everything, method=method)
        try:
            answer = self._opener.open(request, timeout=self._timeout if timeout is None else timeout)
            self._answered_at = time.monotonic()
            return answer
        except urllib.error.HTTPError as error:
            if error.code in accepts:
                return error
            with error:
                raise _problem(error) from None
        except urllib.error.URLError as error:
            raise ApiError('%s cannot be reached: %s.' % (self._root, error.reason)) from error
        except (OSError, http.client.HTTPException) as error:
            raise ApiError('%s cannot be reached: %s.' % (self._root, error)) from error


def verify_webhook(secret, headers, body, tolerance=300, now=None):
    """Checks the signature of a message (https://www.standardwebhooks.com), and returns what it says: `{'type', 'timestamp', 'data'}`.

    `secret` is as the server gave it (`whsec_…`), `headers` anything with `items()`, `body` the bytes exactly as they came. A message whose time
    is more than `tolerance` seconds away is refused. The same message may come more than once: its `webhook-id` tells. Raises WebhookError.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, sent_at, signatures = (given.get('webhook-' + name, '') for name in ('id', 'timestamp', 'signature'))
    if not message_id or not sent_at or not signatures:
        raise WebhookError('The headers webhook-id, webhook-timestamp and webhook-signature must be there.')
    if not re.fullmatch('[0-9]{1,12}', sent_at):
        raise WebhookError('webhook-timestamp is not in seconds since 1970.')
    if abs((time.time() if now is None else now) - int(sent_at)) > tolerance:
        raise WebhookError('The message was signed more than %d seconds ago, or ahead.' % tolerance)
    try:
        key = base64.b64decode(secret[6:] if secret.startswith('whsec_') else secret, validate=True)
    except ValueError:  # That of base64, or a letter beyond ASCII.
        raise WebhookError('The secret must be whsec_ and base64.') from None
    mac = hmac.new(key, ('%s.%s.' % (message_id, sent_at)).encode() + body, 'sha256').digest()
    expected = b'v1,' + base64.b64encode(mac)
    # While a secret is being replaced there is one signature for each.
    if not any(hmac.compare_digest(one.encode(), expected) for one in signatures.split(' ')):
        raise WebhookError('No signature is that of this secret over this body.')
    return json.loads(body)


class _Patience:
    """How often a server is asked again that does not answer; one that was there before, for how long."""

    def __init__(self, retries, was_there=False):
        self._retries = retries
        self._begin(was_there)

    def _begin(self, was_there):
        self._was_there = was_there
        self._tries = 0
        self._away_since = None

    def answered(self):
        self._begin(was_there=True)

    def pause_after(self, error, deadline=math.inf):
        """Seconds until the next try, up to the deadline at most. Raises the error when there is to be none."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        # Jitter, so that callers that were refused together do not come back together.
        pause = (error.retry_after or 0) + random.uniform(0, min(10, 0.25 * 2**self._tries))
        if self._was_there:
            is_enough = now - self._away_since >= _PATIENCE_SECONDS
        else:
            is_enough = self._tries >= self._retries or now + pause >= deadline
        if is_enough or not error.passes() or (error.retry_after or 0) > _LONGEST_RETRY_AFTER:
            raise error
        self._tries += 1
        return max(0, min(pause, deadline - now))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The key is for the server that was named, and for no other."""

    def redirect_request(self, *_):
        return None


def _path(task_id):
    return '/v1/tasks/' + urllib.parse.quote(task_id, safe='')


def _with_key(task):
    return {'key': str(uuid.uuid4()), **task}


def _batches(tasks, size):
    batch = []
    for task in tasks:
        batch.append(task)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _problem(error):
    """What a refusal says, by its problem document (RFC 9457)."""
    seconds = error.headers.get('Retry-After') or ''
    retry_after = int(seconds) if re.fullmatch('[0-9]{1,6}', seconds) else None
    try:
        problem = json.loads(error.read())
    except (OSError, ValueError, http.client.HTTPException):
        problem = None
    if not isinstance(problem, dict) or not isinstance(problem.get('code'), str):
        # A proxy answers in its own words.
        text = 'The answer was HTTP %d, without the form of popfleet.' % error.code
        return ApiError(text, error.code, 'http-%d' % error.code, retry_after=retry_after)
    text = problem.get('detail') or problem.get('title') or 'HTTP %d' % error.code
    return ApiError(text, error.code, problem['code'], problem, retry_after)


def _read_events(stream, last_id):
    """Server-sent events (HTML, section 9.2): `(id, name, data)` at the end of each block; the name is None when it had no data."""
    name, data = 'message', []
    for line in stream:
        field, _, value = line.decode().rstrip('\r\n').partition(':')
        value = value[1:] if value.startswith(' ') else value
        if field == 'event':
            name = value
        elif field == 'data':
            data.append(value)
        elif field == 'id':
            last_id = value
        elif field == '' and value == '' and line.strip() == b'':
            yield last_id, (name if data else None), '\n'.join(data)
            name, data = 'message', []
