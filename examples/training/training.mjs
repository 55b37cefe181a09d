// Trains a small neural network in a thread: two half-moons of points, which it learns to tell apart. After each epoch it keeps a
// checkpoint, so a run whose worker is killed, or that drains, goes on behind its last epoch. The curve of its loss stands in its
// progress, and what each part has brought in its log.

import { defineTask, v } from 'popfleet';

const HIDDEN = 16;
/** Epochs whose loss the curve and the log show. */
const SHOWN = 20;
const BARS = '▁▂▃▄▅▆▇█';

/** The same numbers for the same seed, from 0 to 1 (mulberry32). */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Points `{x, y, is}` on two half-moons, a little beside them. */
function makeMoons(count, random) {
  return Array.from({ length: count }, (_, at) => {
    const is = at % 2;
    const angle = random() * Math.PI;
    const noise = () => (random() - 0.5) * 0.6;
    const [x, y] =
      is === 0 ? [Math.cos(angle), Math.sin(angle)] : [1 - Math.cos(angle), 0.5 - Math.sin(angle)];
    return { x: x + noise(), y: y + noise(), is };
  });
}

/** One layer of hidden units: for each its weights of x and y, its bias and its weight in the sum; and the bias of that. */
function newModel(random) {
  return {
    units: Array.from({ length: HIDDEN }, () => Array.from({ length: 4 }, () => (random() - 0.5) * 1.5)),
    bias: 0,
  };
}

/** Goes once through all points, each of which moves the weights. @returns mean loss and the share that it told right */
function runEpoch(model, points, rate) {
  let loss = 0;
  let right = 0;
  for (const { x, y, is } of points) {
    let sum = model.bias;
    const outputs = model.units.map(([ofX, ofY, bias, weight]) => {
      const output = Math.tanh(ofX * x + ofY * y + bias);
      sum += weight * output;
      return output;
    });
    const guess = 1 / (1 + Math.exp(-sum));
    loss -= Math.log(Math.max(1e-9, is === 1 ? guess : 1 - guess));
    if (guess >= 0.5 === (is === 1)) right += 1;
    const slope = guess - is;
    model.bias -= rate * slope;
    for (const [at, unit] of model.units.entries()) {
      const output = outputs[at];
      const below = slope * unit[3] * (1 - output * output);
      unit[3] -= rate * slope * output;
      unit[0] -= rate * below * x;
      unit[1] -= rate * below * y;
      unit[2] -= rate * below;
    }
  }
  return { loss: loss / points.length, accuracy: right / points.length };
}

/** `█▆▃▂▁▁`: the highest is full. */
function drawn(curve) {
  const most = Math.max(...curve, 1e-9);
  return curve.map((loss) => BARS[Math.round((loss / most) * (BARS.length - 1))]).join('');
}

export const train = defineTask({
  type: 'train',
  input: v.object({
    epochs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 200),
    points: v.optional(v.pipe(v.number(), v.integer(), v.minValue(2)), 1_000),
    rate: v.optional(v.number(), 0.004),
    seed: v.optional(v.number(), 7),
  }),
  async run({ epochs, points: count, rate, seed }, context) {
    const random = randomOf(seed);
    const points = makeMoons(count, random);
    const kept = context.lastCheckpoint ?? { epoch: 0, model: newModel(random), curve: [] };
    const { epoch: from, model, curve } = kept;
    // Killed behind its last epoch, it has nothing left to do but to say what that has brought.
    let { latest } = kept;
    context.log(from === 0 ? `begins with ${count} points` : `goes on behind epoch ${from}`);
    for (let epoch = from + 1; epoch <= epochs; epoch += 1) {
      latest = runEpoch(model, points, rate);
      const words = `loss ${latest.loss.toFixed(4)}, ${(latest.accuracy * 100).toFixed(1)} % right`;
      if (epoch % Math.ceil(epochs / SHOWN) === 0 || epoch === epochs) {
        curve.push(latest.loss);
        context.log(`epoch ${epoch}: ${words}  ${drawn(curve)}`);
      }
      await context.checkpoint({ epoch, model, curve, latest });
      context.progress((epoch / epochs) * 100, `${drawn(curve)} ${words}`);
    }
    return { ...latest, epochs, wentOnBehind: from, curve };
  },
});
