"use strict";
// A drawing as the makers of MNIST prepared theirs: the same steps as in dlcourse/data/drawings.py, from ink that is
// known, so that no paper, light or specks have to be told from it. An image is {data, width, height}, ink from 0 to 1.

const FAINT = 0.2; // what is left out at the edge of a stroke, and what counts as its middle
const FULL = 0.75;

// Ink that was drawn, fitted into a box and moved until its center of mass is in the middle; null if there is none.
function prepared(ink, { side, box, thinnest }) {
  const clear = { ...ink, data: Float64Array.from(ink.data, (x) => Math.min(Math.max((x - FAINT) / (FULL - FAINT), 0), 1)) };
  return clear.data.some((x) => x > 0) ? fitted(clear, side, box, thinnest) : null;
}

function fitted(ink, side, box, thinnest) {
  const drawn = cropped(ink);
  const scale = box / Math.max(drawn.width, drawn.height);
  const strokes = thickened(drawn, thinnest / scale);
  const [width, height] = [strokes.width, strokes.height].map((extent) =>
    Math.min(box, Math.max(1, roundedToEven(extent * scale))),
  );
  const small = resized(strokes, width, height);
  const largest = small.data.reduce((most, x) => Math.max(most, x), 0);
  const share = small.data.map((x) => Math.min(Math.max(x, 0), 1) / Math.min(largest, 1));
  const mass = share.reduce((sum, x) => sum + x, 0);
  const centerY = share.reduce((sum, x, index) => sum + x * Math.floor(index / width), 0) / mass;
  const centerX = share.reduce((sum, x, index) => sum + x * (index % width), 0) / mass;
  const top = offset(centerY, height, side);
  const left = offset(centerX, width, side);
  const seen = new Float32Array(side * side);
  share.forEach((x, index) => {
    seen[(top + Math.floor(index / width)) * side + left + (index % width)] = x;
  });
  return seen;
}

function cropped({ data, width, height }) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  data.forEach((x, index) => {
    if (x === 0) return;
    const [column, row] = [index % width, Math.floor(index / width)];
    left = Math.min(left, column);
    right = Math.max(right, column);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row);
  });
  return part({ data, width, height }, left, top, right - left + 1, bottom - top + 1);
}

// A part of an image, zeros where it reaches beyond.
function part({ data, width, height }, left, top, wide, high) {
  const cut = new Float64Array(wide * high);
  for (let y = 0; y < high; y++) {
    for (let x = 0; x < wide; x++) {
      const [column, row] = [left + x, top + y];
      if (column >= 0 && column < width && row >= 0 && row < height) cut[y * wide + x] = data[row * width + column];
    }
  }
  return { data: cut, width: wide, height: high };
}

// The ink with strokes at least `least` pixels wide. A stroke's width is twice its area divided by its outline's length.
function thickened(ink, least) {
  const { data, width, height } = ink;
  const stroke = (x, y) => x >= 0 && x < width && y >= 0 && y < height && data[y * width + x] > 0.5;
  let [area, outline] = [0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!stroke(x, y)) continue;
      area += 1;
      if (!(stroke(x - 1, y) && stroke(x + 1, y) && stroke(x, y - 1) && stroke(x, y + 1))) outline += 1;
    }
  }
  const more = Math.trunc(least - (2 * area) / Math.max(1, outline));
  if (more < 1) return ink;
  return dilated(part(ink, -more, -more, width + 2 * more, height + 2 * more), more + 1);
}

// The largest value in a square of `size` pixels around each; of an even size, one more to the right and below.
function dilated({ data, width, height }, size) {
  const before = Math.floor((size - 1) / 2);
  const spread = (from, steps, stride, length) => {
    let most = 0;
    for (let step = Math.max(0, steps - before); step <= Math.min(length - 1, steps - before + size - 1); step++) {
      most = Math.max(most, from[stride(step)]);
    }
    return most;
  };
  const across = data.map((_, index) => {
    const row = Math.floor(index / width) * width;
    return spread(data, index % width, (x) => row + x, width);
  });
  const result = across.map((_, index) => {
    const column = index % width;
    return spread(across, Math.floor(index / width), (y) => y * width + column, height);
  });
  return { data: result, width, height };
}

// Bilinear with a wider filter for smaller sizes, as Pillow resizes: first the rows, then the columns.
function resized({ data, width, height }, wide, high) {
  const rows = new Float64Array(wide * height);
  filters(width, wide).forEach(({ first, weights }, x) => {
    for (let y = 0; y < height; y++) {
      rows[y * wide + x] = Math.fround(weights.reduce((sum, weight, step) => sum + weight * data[y * width + first + step], 0));
    }
  });
  const result = new Float64Array(wide * high);
  filters(height, high).forEach(({ first, weights }, y) => {
    for (let x = 0; x < wide; x++) {
      result[y * wide + x] = weights.reduce((sum, weight, step) => sum + weight * rows[(first + step) * wide + x], 0);
    }
  });
  return { data: result, width: wide, height: high };
}

function filters(before, after) {
  const scale = before / after;
  const reach = Math.max(scale, 1);
  return Array.from({ length: after }, (_, place) => {
    const center = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const last = Math.min(before, Math.trunc(center + reach + 0.5));
    const heights = Array.from({ length: last - first }, (__, step) =>
      Math.max(0, 1 - Math.abs((first + step - center + 0.5) / reach)),
    );
    const sum = heights.reduce((total, weight) => total + weight, 0);
    return { first, weights: heights.map((weight) => weight / sum) };
  });
}

function offset(center, extent, side) {
  return Math.min(Math.max(roundedToEven(side / 2 - center), 0), side - extent);
}

function roundedToEven(x) {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}
