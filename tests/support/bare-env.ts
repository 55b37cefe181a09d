// The environment of programs that tests start: nothing of the person who runs the tests, but what marks it as of this run.

const KEPT = ['PATH', 'TMPDIR', 'POPFLEET_TEST_RUN'];

export const BARE_ENV: Readonly<Record<string, string>> = Object.fromEntries(
  KEPT.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  }),
);
