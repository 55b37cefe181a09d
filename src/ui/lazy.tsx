// Screens that few visits open are loaded when they are opened: the first load is smaller without them.

import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { callApi } from './api.ts';
import { Loading, ProblemBox } from './parts.tsx';
import { type Problem, problemOf } from './problem.ts';

type State<P> = { readonly Screen: ComponentType<P> } | { readonly problem: Problem } | undefined;

/** @param load imports the module, and answers its screen */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loaded: State<P>;
  return function Lazy(props: P) {
    const [state, show] = useState<State<P>>(loaded);
    const begin = (): void => {
      show(undefined);
      load().then(
        (Screen) => show((loaded = { Screen })),
        () => void whyNot().then((problem) => show({ problem })),
      );
    };
    useEffect(() => {
      if (loaded === undefined) begin();
    }, []);
    if (state === undefined) return <Loading />;
    return 'Screen' in state ? (
      <state.Screen {...props} />
    ) : (
      <ProblemBox problem={state.problem} retry={begin} />
    );
  };
}

/** A module that does not come says nothing of why. */
async function whyNot(): Promise<Problem> {
  try {
    await callApi('GET', 'session');
  } catch (error) {
    return problemOf(error);
  }
  return {
    status: 0,
    code: 'unloaded',
    title: 'This screen cannot be loaded',
    detail: 'The server may have another release now: load the page anew.',
  };
}
