"use strict";
// What both pages share: the network out of the page's own data, its check against PyTorch, and the bars of probabilities.

const MOST_BARS = 10;
const TOLERANCE = 1e-4;

function readPage() {
  const page = JSON.parse(document.getElementById("model").textContent);
  const operations = readOperations(page.operations, readFloats(page.weights));
  const inputs = readFloats(page.examples.inputs);
  const answers = readFloats(page.examples.answers);
  const count = page.examples.count;
  const [size, classes] = [inputs.length / count, answers.length / count];
  const examples = Array.from({ length: count }, (_, index) => ({
    input: inputs.subarray(index * size, (index + 1) * size),
    answer: answers.subarray(index * classes, (index + 1) * classes),
    label: page.examples.labels[index],
  }));
  return { ...page, examples, predict: (input) => run(operations, input, page.shape) };
}

function showCheck({ examples, predict }) {
  const differences = examples.map(({ input, answer }) => {
    const found = predict(input);
    return Math.max(...Array.from(answer, (expected, index) => Math.abs(expected - found[index])));
  });
  const largest = Math.max(...differences);
  const agrees = largest <= TOLERANCE; // false for NaN, too
  const line = document.getElementById("check");
  line.dataset.agrees = String(agrees);
  line.textContent = agrees
    ? `Agrees with PyTorch on ${examples.length} validation examples (largest difference ${shortNumber(largest)}).`
    : `Differs from PyTorch by up to ${shortNumber(largest)} on ${examples.length} validation examples: do not trust this page.`;
}

function shortNumber(x) {
  return x === 0 ? "0" : x.toExponential(0);
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

// Bars in the order of the classes; of more than there is room for, the most probable ones in their order.
function showBars(labels, probabilities, colors) {
  const ranked = Array.from(labels.keys()).sort((a, b) => probabilities[b] - probabilities[a]);
  const shown = labels.length > MOST_BARS ? ranked.slice(0, MOST_BARS) : Array.from(labels.keys());
  const rows = shown.map((index) => {
    const row = document.createElement("li");
    row.classList.toggle("best", index === ranked[0]);
    const [name, track, share] = ["label", "track", "share"].map((kind) => {
      const part = document.createElement("span");
      part.className = kind;
      row.append(part);
      return part;
    });
    name.textContent = labels[index];
    share.textContent = percent(probabilities[index]);
    const bar = document.createElement("span");
    bar.style.width = `${100 * probabilities[index]}%`;
    if (colors) bar.style.background = colors[index];
    track.append(bar);
    return row;
  });
  document.getElementById("bars").replaceChildren(...rows);
  const best = document.getElementById("best");
  best.textContent = labels[ranked[0]];
  best.classList.toggle("long", labels[ranked[0]].length > 3);
  document.getElementById("sure").textContent = percent(probabilities[ranked[0]]);
}

function clearBars(labels, hint) {
  showBars(labels, labels.map(() => 0));
  document.querySelectorAll("#bars .best").forEach((row) => row.classList.remove("best"));
  document.getElementById("best").textContent = "";
  document.getElementById("sure").textContent = hint;
}

// The next frame at the latest, however often it is asked for.
function oncePerFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}
