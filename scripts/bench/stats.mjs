// Order statistics of a few numbers.

/** @param {number} share 0.5 is the median */
export function percentile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Of the t distribution, two-sided 95 %, for 1 to 9 degrees of freedom; more are taken as 9. */
const T95 = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26];

/** The geometric mean of ratios, and from two on its 95 % interval. */
export function meanOf(ratios) {
  const logs = ratios.map((ratio) => Math.log(ratio));
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  const degrees = logs.length - 1;
  if (degrees === 0) return { mean: Math.exp(mean) };
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / degrees;
  const half = T95[Math.min(degrees, T95.length) - 1] * Math.sqrt(variance / logs.length);
  return { mean: Math.exp(mean), from: Math.exp(mean - half), to: Math.exp(mean + half) };
}
