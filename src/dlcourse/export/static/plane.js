"use strict";
// The page of a classifier of points in the plane: its regions, the training points, and one point that can be moved.

const COARSE = 8; // pixels of a side that are one at first: a large network takes its time
const FINE = 3;
const MILLISECONDS = 12; // of work between two frames
const KEY_STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const KEY_STEP = 0.01; // of the range

const page = readPage();
const plane = document.getElementById("plane");
const pen = plane.getContext("2d");
const { low, high, points, classes, names } = page.plane;
const regions = document.createElement("canvas");
let place = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];

function start() {
  showCheck(page);
  show();
  listen();
  drawRegions(COARSE, () => drawRegions(FINE));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawRegions(FINE));
}

function toPixels([x, y]) {
  return [((x - low[0]) / (high[0] - low[0])) * plane.width, ((high[1] - y) / (high[1] - low[1])) * plane.height];
}

function toPoint([x, y]) {
  return [low[0] + (x / plane.width) * (high[0] - low[0]), high[1] - (y / plane.height) * (high[1] - low[1])];
}

// Each region in the color of its class, paler if the network is less sure.
function drawRegions(step, after) {
  const [width, height] = [Math.ceil(plane.width / step), Math.ceil(plane.height / step)];
  const image = new ImageData(width, height);
  const paper = rgb(getComputedStyle(plane).backgroundColor);
  const colors = page.colors.map(rgbOfHex);
  let row = 0;
  const work = () => {
    const until = performance.now() + MILLISECONDS;
    for (; row < height && performance.now() < until; row++) {
      for (let column = 0; column < width; column++) {
        const found = page.predict(toPoint([(column + 0.5) * step, (row + 0.5) * step]));
        const best = found.indexOf(Math.max(...found));
        const sure = (found[best] - 1 / found.length) / (1 - 1 / found.length);
        const share = 0.12 + 0.43 * Math.max(0, sure);
        const color = paper.map((x, index) => x + share * (colors[best][index] - x));
        image.data.set([...color, 255], 4 * (row * width + column));
      }
    }
    if (row < height) return requestAnimationFrame(work);
    regions.width = width;
    regions.height = height;
    regions.getContext("2d").putImageData(image, 0, 0);
    plane.dataset.step = String(step);
    show();
    return after?.();
  };
  work();
}

function show() {
  const style = getComputedStyle(plane);
  pen.clearRect(0, 0, plane.width, plane.height);
  if (regions.width && regions.height) pen.drawImage(regions, 0, 0, plane.width, plane.height);
  points.forEach((point, index) => disc(toPixels(point), 5, page.colors[classes[index]], style.backgroundColor, 1.5));
  disc(toPixels(place), 11, "transparent", style.backgroundColor, 7);
  disc(toPixels(place), 11, "transparent", style.color, 3);
  showBars(page.labels, page.predict(place), page.colors);
  document.getElementById("place").textContent = names.map((name, axis) => `${name} = ${rounded(place[axis])}`).join(", ");
}

function disc([x, y], radius, fill, edge, width) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = fill;
  pen.strokeStyle = edge;
  pen.lineWidth = width;
  pen.fill();
  pen.stroke();
}

const showSoon = oncePerFrame(show);

function moveTo(point) {
  place = point.map((x, axis) => Math.min(Math.max(x, low[axis]), high[axis]));
  showSoon();
}

function listen() {
  let isHeld = false;
  const follow = (event) => {
    const box = plane.getBoundingClientRect();
    const x = ((event.clientX - box.left) * plane.width) / box.width;
    const y = ((event.clientY - box.top) * plane.height) / box.height;
    moveTo(toPoint([x, y]));
  };
  plane.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    isHeld = true;
    plane.setPointerCapture(event.pointerId);
    follow(event);
  });
  plane.addEventListener("pointermove", (event) => isHeld && event.isPrimary && follow(event));
  for (const end of ["pointerup", "pointercancel"]) plane.addEventListener(end, () => (isHeld = false));
  plane.addEventListener("keydown", (event) => {
    if (!(event.key in KEY_STEPS) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    moveTo(place.map((x, axis) => x + KEY_STEP * KEY_STEPS[event.key][axis] * (high[axis] - low[axis])));
  });
}

function rounded(x) {
  return (Math.round(100 * x) / 100 + 0).toFixed(2); // + 0: no -0.00
}

function rgb(css) {
  return css.match(/[\d.]+/g).slice(0, 3).map(Number);
}

function rgbOfHex(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

start();
