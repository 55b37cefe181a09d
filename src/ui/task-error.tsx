// The error of a task, with what caused it, and how its attempts failed.

import type { Task, TaskError } from './api-types.d.ts';
import { toDuration } from './format.ts';
import { Card, Time } from './parts.tsx';
import { linkTo } from './place.ts';

export function ErrorCard({ error }: { readonly error: TaskError }) {
  return (
    <Card title="Error">
      <ErrorText error={error} />
    </Card>
  );
}

export function ErrorText({ error }: { readonly error: TaskError }) {
  const { name, message, code, stack, fingerprint, killCause, cause } = error;
  return (
    <div class="error">
      <p>
        <strong>{name}</strong>
        {code === undefined ? undefined : <code> {code}</code>}
        {killCause === undefined ? undefined : <span class="muted"> ({killCause})</span>}
      </p>
      <p class="error-message">{message}</p>
      {stack === undefined ? undefined : (
        <details>
          <summary>Stack</summary>
          <pre tabIndex={0}>{stack}</pre>
        </details>
      )}
      {cause ? (
        <details>
          <summary>Caused by {cause.name}</summary>
          <ErrorText error={cause} />
        </details>
      ) : undefined}
      {fingerprint === undefined ? undefined : (
        <p class="muted small-text">
          Fingerprint{' '}
          <a href={linkTo(['dead', fingerprint])}>
            <code>{fingerprint}</code>
          </a>
        </p>
      )}
    </div>
  );
}

export function Attempts({ task: { errors, attempt } }: { readonly task: Task }) {
  const hidden = attempt - errors.length - 1;
  return (
    <Card title="Failed attempts">
      {hidden > 0 && errors.length >= 20 ? <p class="muted">Earlier attempts are not kept.</p> : undefined}
      <ol class="attempts">
        {errors.toReversed().map(({ claim, worker, startedAt, endedAt, error }) => (
          <li key={claim}>
            <p class="muted">
              <Time at={endedAt} />, after {toDuration(Date.parse(endedAt) - Date.parse(startedAt))}, by{' '}
              <code>{worker}</code>
            </p>
            <ErrorText error={error} />
          </li>
        ))}
      </ol>
    </Card>
  );
}
