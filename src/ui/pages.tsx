// Where a list that comes in pages goes on.

/** @param first leads to the first page, unless this is it @param next to the next one, where there is one */
export function Pages({
  first,
  next,
}: {
  readonly first: string | undefined;
  readonly next: string | undefined;
}) {
  if (first === undefined && next === undefined) return null;
  return (
    <nav class="pages" aria-label="Pages">
      {first === undefined ? undefined : (
        <a id="first-page" class="button" href={first}>
          First page
        </a>
      )}
      {next === undefined ? undefined : (
        <a id="next-page" class="button" href={next}>
          Next page
        </a>
      )}
    </nav>
  );
}
