// Which word of a list somebody most likely meant who wrote another one.

/** A shorter word is the beginning or the end of too many others. Characters. */
const SHORTEST_PART = 4;

/**
 * @param words the ones that there are
 * @returns the one that `written` is a slip or a part of, whatever the case; `undefined` when none is
 */
export function nearest(written: string, words: readonly string[]): string | undefined {
  const wrong = written.toLowerCase();
  const isPart = (word: string): boolean =>
    wrong.length >= SHORTEST_PART && (word.startsWith(wrong) || word.endsWith(wrong));
  return slipOf(written, words) ?? words.find((word) => isPart(word.toLowerCase()));
}

/** As `nearest`, without the words that `written` is a part of. */
export function slipOf(written: string, words: readonly string[]): string | undefined {
  const wrong = written.toLowerCase();
  return words.find((word) => isSlip(wrong, word.toLowerCase()));
}

/** Whether one character too many, too few or wrong, or two that are swapped, make `a` of `b`. */
function isSlip(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  const restOfA = a.slice(start);
  const restOfB = b.slice(start);
  return (
    restOfA.slice(1) === restOfB.slice(1) ||
    restOfA.slice(1) === restOfB ||
    restOfA === restOfB.slice(1) ||
    restOfA === `${restOfB[1] ?? ''}${restOfB[0] ?? ''}${restOfB.slice(2)}`
  );
}
