"use strict";
// The network: a list of operations on one example, the same names as in dlcourse/export/layers.py.
// A value is {data: Float32Array, shape: [channels, height, width] or [numbers]}, the last index fastest.

const ACTIVATIONS = {
  relu: (x) => Math.max(x, 0),
  leaky_relu: (x, op) => (x < 0 ? op.slope * x : x),
  elu: (x) => (x < 0 ? Math.expm1(x) : x),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  silu: (x) => x * logistic(x),
  tanh: Math.tanh,
  sigmoid: logistic,
  cos: Math.cos,
};

const OPERATIONS = {
  standardize: (op, value) => byChannel(value, (x, c) => (x - pick(op.mean, c)) / pick(op.std, c)),
  affine: (op, value) => byChannel(value, (x, c) => x * pick(op.factor, c) + pick(op.shift, c)),
  flatten: (op, value) => ({ data: value.data, shape: [value.data.length] }),
  linear,
  convolution,
  layer_norm: layerNorm,
  max_pool: (op, value) => pooled(op, value, -Infinity, Math.max, 1),
  average_pool: (op, value) => pooled(op, value, 0, (sum, x) => sum + x, op.size * op.size),
  polynomial,
  softmax,
  sigmoid_pair: (op, value) => pair(logistic(value.data[0])),
  clamp_pair: (op, value) => pair(Math.min(Math.max(value.data[0], 0), 1)),
  nearest_probabilities: nearestProbabilities,
};

function run(operations, data, shape) {
  let value = { data: Float32Array.from(data), shape };
  for (const op of operations) {
    const activation = ACTIVATIONS[op.name];
    value = activation
      ? { data: value.data.map((x) => activation(x, op)), shape: value.shape }
      : OPERATIONS[op.name](op, value);
  }
  return value.data;
}

function readFloats(base64) {
  return new Float32Array(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).buffer);
}

// The operations with their tensors cut out of the one array of all weights.
function readOperations(described, weights) {
  return described.map(({ name, settings, tensors }) => {
    const op = { name, ...settings };
    for (const [key, { start, shape }] of Object.entries(tensors)) {
      const length = shape.reduce((product, extent) => product * extent, 1);
      op[key] = { data: weights.subarray(start, start + length), shape };
    }
    return op;
  });
}

function pick(tensor, channel) {
  return tensor.data.length === 1 ? tensor.data[0] : tensor.data[channel];
}

function byChannel({ data, shape }, change) {
  const size = data.length / shape[0];
  return { data: data.map((x, index) => change(x, Math.floor(index / size))), shape };
}

function linear(op, { data }) {
  const [outputs, inputs] = op.weight.shape;
  const weight = op.weight.data;
  const result = new Float32Array(outputs);
  for (let output = 0, place = 0; output < outputs; output++) {
    let sum = op.bias.data[output];
    for (let input = 0; input < inputs; input++, place++) sum += weight[place] * data[input];
    result[output] = sum;
  }
  return { data: result, shape: [outputs] };
}

function convolution(op, { data, shape }) {
  const [outputs, inputs, rows, columns] = op.weight.shape;
  const [, height, width] = shape;
  const { padding, stride } = op;
  const high = Math.floor((height + 2 * padding - rows) / stride) + 1;
  const wide = Math.floor((width + 2 * padding - columns) / stride) + 1;
  const result = new Float32Array(outputs * high * wide);
  const sums = new Float64Array(high * wide);
  for (let output = 0; output < outputs; output++) {
    sums.fill(op.bias.data[output]);
    for (let input = 0; input < inputs; input++) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const weight = op.weight.data[((output * inputs + input) * rows + row) * columns + column];
          for (let y = 0; y < high; y++) {
            const fromY = y * stride + row - padding;
            if (fromY < 0 || fromY >= height) continue;
            const line = (input * height + fromY) * width;
            for (let x = 0; x < wide; x++) {
              const fromX = x * stride + column - padding;
              if (fromX >= 0 && fromX < width) sums[y * wide + x] += weight * data[line + fromX];
            }
          }
        }
      }
    }
    result.set(sums, output * high * wide);
  }
  return { data: result, shape: [outputs, high, wide] };
}

function pooled({ size }, { data, shape }, first, join, divisor) {
  const [channels, height, width] = shape;
  const [high, wide] = [Math.floor(height / size), Math.floor(width / size)];
  const result = new Float32Array(channels * high * wide);
  for (let index = 0; index < result.length; index++) {
    const x = index % wide;
    const y = Math.floor(index / wide) % high;
    const channel = Math.floor(index / (wide * high));
    let found = first;
    for (let row = 0; row < size; row++) {
      const start = (channel * height + y * size + row) * width + x * size;
      for (let column = 0; column < size; column++) found = join(found, data[start + column]);
    }
    result[index] = found / divisor;
  }
  return { data: result, shape: [channels, high, wide] };
}

function layerNorm(op, { data, shape }) {
  const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
  const variance = data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / data.length;
  const scale = 1 / Math.sqrt(variance + op.eps);
  return { data: data.map((x, index) => (x - mean) * scale * op.weight.data[index] + op.bias.data[index]), shape };
}

// Each term of an order is a term of the order below times one more feature.
function polynomial({ orders }, { data }) {
  const terms = [...data];
  let before = [...data];
  for (const [parents, lasts] of orders) {
    before = parents.map((parent, index) => before[parent] * data[lasts[index]]);
    terms.push(...before);
  }
  return { data: Float32Array.from(terms), shape: [terms.length] };
}

function softmax(op, { data, shape }) {
  const largest = data.reduce((most, x) => Math.max(most, x), -Infinity);
  const powers = Array.from(data, (x) => Math.exp(x - largest));
  const sum = powers.reduce((total, x) => total + x, 0);
  return { data: Float32Array.from(powers, (x) => x / sum), shape };
}

// The point of the probability simplex nearest to the outputs (Duchi et al. 2008).
function nearestProbabilities(op, { data, shape }) {
  const falling = Array.from(data).sort((a, b) => b - a);
  let sum = 0;
  let shift = 0;
  falling.forEach((x, index) => {
    sum += x;
    if (x * (index + 1) > sum - 1) shift = (sum - 1) / (index + 1);
  });
  return { data: data.map((x) => Math.max(x - shift, 0)), shape };
}

function pair(second) {
  return { data: Float32Array.of(1 - second, second), shape: [2] };
}

function logistic(x) {
  return x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x));
}

// The error function by its series, or for large arguments by the continued fraction of its complement (Abramowitz and
// Stegun, 7.1.5 and 7.1.14).
function erf(x) {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = size;
  for (let n = 60; n > 0; n--) fraction = size + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-size * size) / (Math.sqrt(Math.PI) * fraction));
}
