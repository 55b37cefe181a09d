// Where a key is asked for. The browser gets a cookie that stands for it; the key itself is kept nowhere.

import { useEffect, useRef, useState } from 'preact/hooks';
import { callApi } from './api.ts';
import { useBusy } from './busy.ts';
import { readSession } from './live.ts';
import { ApiError, type Problem, problemOf } from './problem.ts';
import { readShared } from './shared.ts';

/** It is for `https` alone where the server has such a `PUBLIC_URL`. */
const NOT_KEPT: Problem = {
  status: 0,
  code: 'not-kept',
  title: 'This browser does not keep the session',
  detail:
    'The key is valid, but this browser does not keep its cookie. Open the dashboard under its PUBLIC_URL.',
};

/** In place of the screens. */
export function SignIn() {
  return (
    <main id="main" class="sign-in" tabIndex={-1}>
      <KeyForm title="popfleet" hint="Sign in with an API key of this server." />
    </main>
  );
}

/** Over the screen, which stays as it is below: the session has ended, and what was typed there has not been sent. */
export function SignInAgain() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = (): void => dialog.current?.showModal();
  useEffect(open, []);
  return (
    <dialog ref={dialog} class="again" aria-label="Sign in again" onClose={open}>
      <KeyForm
        title="Your session has ended"
        hint="Sign in with the same key: the page is still there, and what you have typed."
      />
    </dialog>
  );
}

function KeyForm({ title, hint }: { readonly title: string; readonly hint: string }) {
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, begin] = useBusy();
  const signIn = async (form: HTMLFormElement): Promise<void> => {
    const input = form.querySelector('input');
    setProblem(undefined);
    try {
      await callApi('POST', 'session', { key: input?.value.trim() ?? '' });
      await readSession();
      // It is tried again and again while the server does not answer.
      const { isSignedOut, outage } = readShared();
      if (isSignedOut) throw new ApiError(outage?.problem ?? NOT_KEPT);
    } catch (error) {
      setProblem(problemOf(error));
      input?.focus();
    }
  };
  const fault =
    problem?.status === 401 || problem?.status === 422 ? 'This key is not valid.' : problem?.detail;
  return (
    <form
      class="card"
      onSubmit={(event) => {
        event.preventDefault();
        const form = event.currentTarget;
        void begin(() => signIn(form));
      }}
    >
      <h1>{title}</h1>
      <p class="muted">{hint}</p>
      <label for="key">API key</label>
      <input
        id="key"
        type="password"
        required
        autocomplete="current-password"
        placeholder="pf_…"
        spellcheck={false}
        aria-invalid={fault === undefined ? undefined : true}
        aria-describedby={fault === undefined ? undefined : 'key-fault'}
      />
      {fault === undefined ? undefined : (
        <p id="key-fault" class="fault" role="alert">
          {fault}
        </p>
      )}
      <button type="submit" class="primary" disabled={isBusy}>
        Sign in
      </button>
      <p class="muted small-text">
        <code>popfleet key --scopes read</code> makes one that may only look.
      </p>
    </form>
  );
}
