// Splits headers that are lists (RFC 9110, section 5.6.1).

/**
 * Splits a header at a separator that stands outside of quoted strings.
 * @returns the elements without blanks around them; empty ones are left out, as RFC 9110 requires (section 5.6.1.2)
 */
export function listElements(header: string, separator: ',' | ';' = ','): string[] {
  const elements: string[] = [];
  let from = 0;
  let isQuoted = false;
  for (let at = 0; at <= header.length; at += 1) {
    const letter = header[at];
    if (letter === '"') isQuoted = !isQuoted;
    else if (letter === '\\' && isQuoted) at += 1;
    if (at < header.length && (isQuoted || letter !== separator)) continue;
    const element = header.slice(from, at).trim();
    if (element !== '') elements.push(element);
    from = at + 1;
  }
  return elements;
}
