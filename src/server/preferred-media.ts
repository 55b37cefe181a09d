// Chooses the media type of an answer by `Accept` (RFC 9110, section 12.5.1).

import { listElements } from './header-list.ts';

/** One element of `Accept`. */
interface MediaRange {
  /** In lower case: `type/subtype`, `type/*`, or the range of all types. */
  readonly range: string;
  /** Weight, 0 to 1. */
  readonly weight: number;
}

/** How well a media type fits the header. */
interface Rank {
  readonly weight: number;
  /** 2 = the type is named, 1 = by `type/*`, 0 = by the range of all types. */
  readonly specificity: number;
  /** Position of its range in the header. */
  readonly position: number;
}

/**
 * The type with the greatest weight. Of several it is the one that the header names most exactly, then the one that it names
 * first, then the one that is offered first. Parameters other than the weight are ignored.
 * @param offered media types in lower case
 * @returns the first of `offered` when there is no header, or when it names none of them
 */
export function preferredMedia<Media extends string>(
  accept: string | undefined,
  offered: readonly [Media, ...Media[]],
): Media {
  const ranges = listElements(accept ?? '').map(readRange);
  let best: { readonly media: Media; readonly rank: Rank } | undefined;
  for (const media of offered) {
    const rank = rankOf(media, ranges);
    if (rank && rank.weight > 0 && (!best || isHigher(rank, best.rank))) best = { media, rank };
  }
  return best?.media ?? offered[0];
}

function readRange(element: string): MediaRange {
  const [range = '', ...parameters] = listElements(element, ';');
  const weights = parameters.map((one) => /^q\s*=\s*(\S+)$/i.exec(one)?.[1]);
  const weight = Number(weights.find((one) => one !== undefined) ?? 1);
  // Old clients of the Java platform send `*` for `*/*`.
  const name = range === '*' ? '*/*' : range.toLowerCase();
  // A weight that cannot be read counts as missing.
  return { range: name, weight: Number.isNaN(weight) ? 1 : Math.min(1, Math.max(0, weight)) };
}

/** The most exact range counts, also when a wider one has a greater weight. */
function rankOf(media: string, ranges: readonly MediaRange[]): Rank | undefined {
  const forms = ['*/*', `${media.slice(0, media.indexOf('/'))}/*`, media];
  for (let specificity = forms.length - 1; specificity >= 0; specificity -= 1) {
    const position = ranges.findIndex(({ range }) => range === forms[specificity]);
    const found = ranges[position];
    if (found) return { weight: found.weight, specificity, position };
  }
  return undefined;
}

function isHigher(one: Rank, other: Rank): boolean {
  if (one.weight !== other.weight) return one.weight > other.weight;
  if (one.specificity !== other.specificity) return one.specificity > other.specificity;
  return one.position < other.position;
}
