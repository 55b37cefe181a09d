// JSON Pointers to a part of a value, in the form of a URI fragment (RFC 6901, section 6): `#/input/one`.

/** Longest part of a pointer, which is for people: a value may have keys of any length. */
const KEY_CHARS = 100;

/** @param path keys and indices, from the outermost on; none = the whole value, `#` */
export function toPointer(path: readonly unknown[]): string {
  return `#${path.map((key) => `/${toToken(String(key))}`).join('')}`;
}

function toToken(key: string): string {
  // A cut key may end in half of a character, which has no form in a URI.
  const short = key.slice(0, KEY_CHARS).replaceAll(/\p{Surrogate}/gu, '\ufffd');
  return encodeURIComponent(short.replaceAll('~', '~0').replaceAll('/', '~1'));
}
