// What stands for a token of a task outside: of it alone, so that threads need nothing of the store.

/** The names of tokens. */
export const TOKEN_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** A token is the id of its task, a dot, and its name. */
export function tokenOf(task: string, name: string): string {
  return `${task}.${name}`;
}

/** @returns the task of a token and its source there; `undefined` when the text is no token */
export function readToken(text: string): { readonly task: string; readonly source: string } | undefined {
  const dot = text.indexOf('.');
  const name = text.slice(dot + 1);
  return dot > 0 && TOKEN_NAME.test(name) ? { task: text.slice(0, dot), source: `.${name}` } : undefined;
}
