/**
 * Has the browser save a text as a file, whose name has the time.
 * @param what in a word, for its name
 * @param ending of its name
 */
export function saveFile(what: string, text: string, ending: 'json' | 'ndjson' = 'json'): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `popfleet-${what}-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.${ending}`;
  link.click();
  // The browser has taken the text by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
