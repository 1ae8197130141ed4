"use strict";
// The page on which a digit is drawn: strokes by mouse, finger, pen or keys, and what the network says after each.

const PEN = 22; // pixels of the canvas, as wide beside a digit as the strokes of MNIST
const KEY_STEP = 7;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HINT = "Draw in the square.";

const page = readPage();
const paper = document.getElementById("paper");
const pen = paper.getContext("2d", { willReadFrequently: true });
const marker = document.getElementById("marker");
const side = page.drawing.side;
let place = [paper.width / 2, paper.height / 2];
let isDown = false; // the pen of the keyboard

function start() {
  pen.lineWidth = PEN;
  pen.lineCap = pen.lineJoin = "round";
  showCheck(page);
  clear();
  listenToPointer();
  listenToKeys();
  document.getElementById("clear").addEventListener("click", clear);
  showExamples();
}

function stroke(from, to) {
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
  answerSoon();
}

const answerSoon = oncePerFrame(() => {
  const alpha = pen.getImageData(0, 0, paper.width, paper.height).data;
  const data = Float64Array.from({ length: paper.width * paper.height }, (_, index) => alpha[4 * index + 3] / 255);
  const seen = prepared({ data, width: paper.width, height: paper.height }, page.drawing);
  if (seen) answer(seen);
  else clear();
});

// The answer to a gray image as the network reads it, of which color networks see three copies.
function answer(seen) {
  const copies = page.shape[0];
  const input = new Float32Array(copies * seen.length);
  for (let copy = 0; copy < copies; copy++) input.set(seen, copy * seen.length);
  showSeen(document.getElementById("seen"), seen);
  showBars(page.labels, page.predict(input));
}

function clear() {
  pen.clearRect(0, 0, paper.width, paper.height);
  showSeen(document.getElementById("seen"), new Float32Array(side * side));
  clearBars(page.labels, HINT);
}

function showSeen(canvas, gray) {
  canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  gray.forEach((x, index) => image.data.set([255 * x, 255 * x, 255 * x, 255], 4 * index));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function listenToPointer() {
  let from = null;
  const position = (event) => {
    const box = paper.getBoundingClientRect();
    return [((event.clientX - box.left) * paper.width) / box.width, ((event.clientY - box.top) * paper.height) / box.height];
  };
  paper.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    paper.setPointerCapture(event.pointerId);
    from = position(event);
    stroke(from, from);
  });
  paper.addEventListener("pointermove", (event) => {
    if (!from || !event.isPrimary) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) {
      const to = position(each);
      stroke(from, to);
      from = to;
    }
  });
  for (const end of ["pointerup", "pointercancel"]) paper.addEventListener(end, () => (from = null));
}

function listenToKeys() {
  paper.addEventListener("focus", showMarker);
  paper.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS) move(ARROWS[event.key]);
    else if (event.key === " ") lowerPen(!isDown);
    else if (["Escape", "Delete", "Backspace"].includes(event.key)) clear();
    else return;
    event.preventDefault();
  });
}

function move(direction) {
  const to = place.map((x, axis) => Math.min(Math.max(x + KEY_STEP * direction[axis], PEN / 2), paper.width - PEN / 2));
  if (isDown) stroke(place, to);
  place = to;
  showMarker();
}

function lowerPen(down) {
  isDown = down;
  if (down) stroke(place, place);
  showMarker();
}

function showMarker() {
  marker.style.left = `${(100 * place[0]) / paper.width}%`;
  marker.style.top = `${(100 * place[1]) / paper.height}%`;
  marker.classList.toggle("down", isDown);
}

function showExamples() {
  const buttons = page.examples.map(({ input, label }, index) => {
    const gray = input.subarray(0, side * side);
    const button = document.createElement("button");
    const picture = document.createElement("canvas");
    button.type = "button";
    button.setAttribute("aria-label", `example ${index + 1}, a ${label}`);
    button.title = label;
    button.append(picture);
    button.addEventListener("click", () => {
      clear();
      answer(gray);
    });
    showSeen(picture, gray);
    return button;
  });
  document.getElementById("examples").replaceChildren(...buttons);
}

start();
