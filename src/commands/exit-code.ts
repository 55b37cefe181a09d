/** The exit codes of all commands. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  denied: 4,
  notFound: 5,
  rejected: 6,
  overLimit: 7,
  waitedTooLong: 124,
  interrupted: 130,
} as const;
