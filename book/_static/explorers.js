/* Interactive figures of the course. The mathematics repeats d2lcompanion's; a test compares the two. */
"use strict";

(() => {
  // ------------------------------------------------------------------ schedules (d2lcompanion.optimization.schedules)

  const halfCosine = (start, end, share) => end + ((start - end) * (1 + Math.cos(Math.PI * share))) / 2;

  /** Rate at step t, the largest rate being 1. `o`: steps, warmup, decay (numbers of steps), end (last rate). */
  const shapes = {
    constant: () => 1,
    multi_step: (t, o) => 0.2 ** ((t >= Math.floor(o.steps / 2)) + (t >= Math.floor((3 * o.steps) / 4))),
    inverse_power: (t, o) => (1 + t / (o.steps / 10)) ** -0.5,
    polynomial: (t, o) => o.end + (1 - o.end) * (1 - Math.min(t, o.steps) / o.steps),
    cosine: (t, o) => halfCosine(1, o.end, Math.min(t, o.steps) / o.steps),
    cosine_restarts: (t, o) => {
      let length = Math.max(1, Math.floor(o.steps / 7));
      while (t >= length) {
        t -= length;
        length *= 2;
      }
      return halfCosine(1, o.end, t / length);
    },
    stable_decay: (t, o) => {
      const begin = o.steps - o.decay;
      return t < begin ? 1 : o.end + (1 - o.end) * (1 - Math.min(t - begin, o.decay) / o.decay);
    },
  };

  /** The chosen shape behind a warm-up; the shape gets the steps that the warm-up leaves. */
  function rate(shape, t, o) {
    if (t < o.warmup) return t / o.warmup;
    const rest = o.steps - o.warmup;
    return shapes[shape](t - o.warmup, { ...o, steps: rest, decay: Math.max(1, Math.min(o.decay, rest)) });
  }

  // --------------------------------------------------------------------- momentum (d2lcompanion.optimization.momentum)

  const largestRoot = (trace, det) => {
    const discriminant = trace * trace - 4 * det;
    if (discriminant < 0) return Math.sqrt(det);
    return (Math.abs(trace) + Math.sqrt(discriminant)) / 2;
  };

  /** The factor per step on ½λx²: `convergence_rate` and `nesterov_rate`. */
  const factor = (kind, product, beta) =>
    kind === "nesterov"
      ? largestRoot((1 + beta) * (1 - product), beta * (1 - product))
      : largestRoot(1 + beta - product, beta);

  /** Points of a run on ½(x₁² + κx₂²); ends early when it runs away. */
  function run(kind, lr, beta, kappa, start, steps) {
    const curvature = [1, kappa];
    const points = [start];
    let velocity = [0, 0];
    for (let k = 0; k < steps; k += 1) {
      const x = points[k];
      const grad = curvature.map((c, i) => c * x[i]);
      velocity = velocity.map((v, i) => beta * v + grad[i]);
      const direction = kind === "nesterov" ? grad.map((g, i) => g + beta * velocity[i]) : velocity;
      const next = x.map((value, i) => value - lr * direction[i]);
      if (!next.every(Number.isFinite) || Math.max(...next.map(Math.abs)) > 1e6) break;
      points.push(next);
    }
    return points;
  }

  // ------------------------------------------------------------------------ byte-pair encoding (d2lcompanion.text.bpe)

  /** Words and counts of a text such as "fast_ 4 tall_ 5"; a word without a number counts 1, at most 40 words. */
  function readWords(typed) {
    const found = new Map();
    let last = null;
    for (const part of typed.trim().split(/\s+/).filter(Boolean)) {
      if (/^[0-9]+$/.test(part)) {
        if (last !== null) found.set(last, Math.max(1, Number(part)));
        last = null;
      } else {
        const word = Array.from(part).slice(0, 24).join("");
        if (found.size < 40 || found.has(word)) found.set(word, found.get(word) || 1);
        last = word;
      }
    }
    return found;
  }

  /** Whole symbols are compared: "ca", "b" holds no a b. */
  function mergePair(symbols, [left, right]) {
    const merged = [];
    for (let k = 0; k < symbols.length; k += 1) {
      if (symbols[k] === left && symbols[k + 1] === right) {
        merged.push(left + right);
        k += 1;
      } else merged.push(symbols[k]);
    }
    return merged;
  }

  /** `train_bpe` with ties "first": every step counts all pairs again. `next`: the pairs, most frequent first. */
  function bpe(wordCounts, steps) {
    let words = [...wordCounts].map(([word, count]) => ({ symbols: Array.from(word), count }));
    const merges = [];
    for (;;) {
      const pairs = new Map();
      for (const { symbols, count } of words) {
        for (let k = 0; k + 1 < symbols.length; k += 1) {
          const key = `${symbols[k]}\n${symbols[k + 1]}`;
          pairs.set(key, (pairs.get(key) || 0) + count);
        }
      }
      const next = [...pairs].map(([key, count]) => ({ pair: key.split("\n"), count })).sort((a, b) => b.count - a.count);
      if (merges.length >= steps || next.length === 0) return { merges, words, next };
      merges.push(next[0].pair);
      words = words.map(({ symbols, count }) => ({ symbols: mergePair(symbols, next[0].pair), count }));
    }
  }

  // --------------------------------------------------------- attention (d2lcompanion.experiments.attention_views)

  /** The weights of one head as rows, or their mean over all heads for head 0; layers and heads count from 1. */
  function attention(view, layer, head) {
    const length = view.pieces.length, bytes = atob(view.weights);
    const chosen = head ? [head - 1] : Array.from({ length: view.heads }, (_, h) => h);
    const weight = (h, from, to) => bytes.charCodeAt((((layer - 1) * view.heads + h) * length + from) * length + to) / 255;
    return Array.from({ length }, (_, from) => Array.from({ length }, (_, to) =>
      chosen.reduce((sum, h) => sum + weight(h, from, to), 0) / chosen.length));
  }

  // --------------------------------------------------------------- guesses (d2lcompanion.experiments.guess_views)

  /** What one hidden piece is taken for: the best guesses, then the true piece if it is not among them. */
  function guess(data, step, sentence, place) {
    const [pieces, shares, share, rank] = data.guesses[step][sentence][place];
    const rows = pieces.split(" ").map((piece, k) => ({ piece, share: shares[k], rank: k + 1, own: k + 1 === rank }));
    const own = { piece: data.sentences[sentence].pieces[place], share, rank, own: true };
    return { rows: rank > rows.length ? [...rows, own] : rows, own };
  }

  // -------------------------------------------------------------------- boxes (d2lcompanion.vision.boxes, vision.nms)

  const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
  const share = (part, whole) => (whole > 0 ? part / whole : 0);

  function shared(a, b) {
    const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
    return Math.max(w, 0) * Math.max(h, 0);
  }

  /** Intersection over union of two boxes (x1, y1, x2, y2): `box_iou`. */
  const boxIou = (a, b) => share(shared(a, b), area(a) + area(b) - shared(a, b));

  /** `generalized_box_iou`: less the share of the hull that neither box fills. */
  function boxGiou(a, b) {
    const hull = area([Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])]);
    const union = area(a) + area(b) - shared(a, b);
    return boxIou(a, b) - share(Math.max(hull - union, 0), hull);
  }

  /** `nms`: indices kept, best first; `killer[i]` is the box that removed box i. */
  function nms(boxes, scores, threshold) {
    const order = scores.map((_, i) => i).sort((i, j) => scores[j] - scores[i] || i - j);
    const kept = [], killer = {};
    for (const i of order) {
      const by = kept.find((k) => boxIou(boxes[k], boxes[i]) > threshold);
      if (by === undefined) kept.push(i);
      else killer[i] = by;
    }
    return { kept, killer };
  }

  /** `soft_nms` with the Gaussian decay: [index, new score], in the order chosen. */
  function softNms(boxes, scores, sigma, least = 0.001) {
    const left = new Map(scores.map((score, i) => [i, score]));
    const chosen = [];
    while (left.size > 0) {
      const [best, score] = [...left].reduce((a, b) => (b[1] > a[1] ? b : a));
      if (score < least) break;
      chosen.push([best, score]);
      left.delete(best);
      for (const [i, s] of left) left.set(i, s * Math.exp(-(boxIou(boxes[best], boxes[i]) ** 2) / sigma));
    }
    return chosen;
  }

  globalThis.courseExplorers = { rate, shapes, factor, run, readWords, mergePair, bpe, attention, guess, boxIou, boxGiou, nms, softNms };
  if (typeof document === "undefined") return; // under Node, for the tests

  // ------------------------------------------------------------------------------------------------------- drawing

  const SVG = "http://www.w3.org/2000/svg";
  const WORDS = {
    zh: {
      shape: "形状", steps: "总步数 T", warmup: "预热步数", decay: "衰减步数", end: "末尾学习率 / 最大学习率", at: "看第几步",
      rate: "学习率 / 最大学习率", step: "步", read: (t, r) => `第 ${t} 步：${r}`,
      constant: "恒定", multi_step: "分段（½、¾ 处乘 0.2）", inverse_power: "平方根倒数", polynomial: "线性", cosine: "余弦",
      cosine_restarts: "余弦热重启", stable_decay: "稳定–衰减",
      kind: "方法", heavy: "重球法", nesterov: "Nesterov", lr: "ηL（L = κ）", beta: "β", kappa: "条件数 κ",
      path: "½(x₁² + κx₂²) 上的轨迹", phase: "每步缩小的倍数：横轴 ηλ，纵轴 β",
      slow: "平缓方向", steep: "陡峭方向",
      speed: (a, b, n) => `平缓方向 ${a}，陡峭方向 ${b}；${n}`,
      needs: (n) => `误差缩小到百万分之一约需 ${n} 步`, diverges: "发散", never: "不收敛",
      typed: "词与次数", merges: "合并次数", split: "切分", candidates: "下一步的候选（次数）", learned: "已学到的合并",
      sentence: "句子", layer: "层", head: "头", all: "平均", from: "从哪个词元看（可点击）", towards: "看向",
      comma: "、", looks: (piece, list) => `“${piece}”看得最多的：${list}`, weights: "注意力权重：每行是一个词元，各列是它所看的",
      trained: "训练步数", untrained: "训练之前", after: (n) => `训练 ${n} 步之后`,
      heldOut: "选自留出的文章，训练时没有见过。点哪个子词，就藏起哪个：", course: "为本教程写的句子。点哪个子词，就藏起哪个：",
      hidden: (piece) => `藏起“${piece}”`, guessed: "猜测及其概率",
      fares: (when, piece, rank, size, share) => `${when}：原来的“${piece}”在 ${size} 个子词里排第 ${rank}，概率 ${share}`,
      ours: (d) => `这些是本章自己的小网络猜的（${d.layers} 层，宽 ${d.width}，用一个处理器核心训练十几分钟），不是公开发布的 BERT。✓ 是原来的子词；## 开头的子词接在前一个子词后面。`,
      none: "无", nothing: "请输入至少一个词", total: (n, v) => `语料共 ${n} 个词元，词表 ${v} 个词元`,
      suppression: "抑制方法", hard: "非极大值抑制", soft: "软非极大值抑制（高斯）", threshold: "交并比阈值", sigma: "σ", scene: "可以拖动的边界框",
      box: (name, score) => `框 ${name}，置信度 ${score}。方向键移动，按住 Shift 改变大小`,
      pair: (a, b, iou, giou) => `${a} 与 ${b}：交并比 ${iou}，广义交并比 ${giou}`,
      stays: (names) => `保留：${names}`, gone: (name, by, iou) => `${name} 被 ${by} 去掉（${iou}）`, scores: (list) => `新的置信度：${list}`,
      howto: "拖动一个框来移动它，拖动右下角来改变大小；也可以用 Tab 选中、用方向键移动。",
    },
    en: {
      shape: "shape", steps: "steps T", warmup: "warm-up steps", decay: "decay steps", end: "last / largest rate", at: "look at step",
      rate: "rate / largest rate", step: "step", read: (t, r) => `step ${t}: ${r}`,
      constant: "constant", multi_step: "multi-step (× 0.2 at ½ and ¾)", inverse_power: "inverse square root", polynomial: "linear", cosine: "cosine",
      cosine_restarts: "cosine with warm restarts", stable_decay: "stable, decay",
      kind: "method", heavy: "heavy ball", nesterov: "Nesterov", lr: "ηL (L = κ)", beta: "β", kappa: "condition number κ",
      path: "path on ½(x₁² + κx₂²)", phase: "factor per step over ηλ (right) and β (up)",
      slow: "flat direction", steep: "steep direction",
      speed: (a, b, n) => `flat direction ${a}, steep direction ${b}; ${n}`,
      needs: (n) => `about ${n} steps to a millionth of the error`, diverges: "diverges", never: "does not converge",
      typed: "words and counts", merges: "merges", split: "segmentation", candidates: "candidates for the next merge (counts)", learned: "merges learned",
      sentence: "sentence", layer: "layer", head: "head", all: "mean", from: "look from (click a token)", towards: "towards",
      comma: ", ", looks: (piece, list) => `“${piece}” looks most at ${list}`, weights: "weights of attention: a row for each token, a column for what it looks at",
      trained: "steps of training", untrained: "before training", after: (n) => `after ${n} steps`,
      heldOut: "From a held-out article, never trained on. Click the piece to hide:", course: "Written for this course. Click the piece to hide:",
      hidden: (piece) => `hide “${piece}”`, guessed: "guesses and their probabilities",
      fares: (when, piece, rank, size, share) => `${when}: the true piece, “${piece}”, is no. ${rank} of ${size}, with probability ${share}`,
      ours: (d) => `Guesses of this chapter's own small network (${d.layers} layers, ${d.width} wide, ten to fifteen minutes of one processor core), not of the published BERT. ✓ is the true piece; a piece with ## continues the one before.`,
      none: "none", nothing: "type at least one word", total: (n, v) => `the corpus has ${n} tokens, the vocabulary ${v}`,
      suppression: "suppression", hard: "NMS", soft: "soft-NMS (Gaussian)", threshold: "IoU threshold", sigma: "σ", scene: "boxes that can be dragged",
      box: (name, score) => `box ${name}, score ${score}. Arrow keys move it, with Shift they change its size`,
      pair: (a, b, iou, giou) => `${a} and ${b}: IoU ${iou}, GIoU ${giou}`,
      stays: (names) => `kept: ${names}`, gone: (name, by, iou) => `${name} removed by ${by} (${iou})`, scores: (list) => `new scores: ${list}`,
      howto: "Drag a box to move it, its lower right corner to change its size; or choose it with Tab and use the arrow keys.",
    },
  };

  function element(name, attributes = {}, children = []) {
    const made = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  /** A labelled slider; `show` writes its value. */
  function slider(label, { min, max, step, value, show = String }, changed) {
    const input = element("input", { type: "range", min, max, step, value, "aria-label": label });
    const output = element("output");
    const write = () => {
      output.textContent = show(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => { write(); changed(); });
    write();
    return { row: element("label", {}, [element("span", {}, [label]), input, output]), input, write, value: () => Number(input.value) };
  }

  function choice(label, options, changed) {
    const select = element("select", { "aria-label": label }, Object.entries(options).map(([value, text]) => element("option", { value }, [text])));
    select.addEventListener("change", changed);
    return { row: element("label", {}, [element("span", {}, [label]), select]), value: () => select.value, select };
  }

  const W = 640, H = 260, LEFT = 44, RIGHT = 12, TOP = 14, BOTTOM = 34;
  const text = (x, y, content, more = {}) => element("svg:text", { x, y, ...more }, [content]);

  /** Axes from (0, 0) to (xmax, ymax) with ticks; returns the svg and the two scales. */
  function frame(xmax, ymax, xlabel, ylabel, yticks) {
    const x = (value) => LEFT + ((W - LEFT - RIGHT) * value) / xmax;
    const y = (value) => H - BOTTOM - ((H - TOP - BOTTOM) * value) / ymax;
    const svg = element("svg:svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": ylabel });
    for (const tick of yticks) {
      svg.append(element("svg:line", { x1: LEFT, x2: W - RIGHT, y1: y(tick), y2: y(tick), class: "grid" }));
      svg.append(text(LEFT - 6, y(tick) + 4, String(tick), { "text-anchor": "end" }));
    }
    for (let k = 0; k <= 4; k += 1) {
      const value = Math.round((xmax * k) / 4 * 100) / 100;
      svg.append(text(x(value), H - BOTTOM + 16, String(value), { "text-anchor": "middle" }));
    }
    svg.append(text(W - RIGHT, H - 4, xlabel, { "text-anchor": "end" }), text(LEFT, TOP - 3, ylabel));
    return { svg, x, y };
  }

  function schedulesExplorer(box, words) {
    const names = Object.fromEntries(Object.keys(shapes).map((name) => [name, words[name]]));
    const figure = element("div", { class: "figure" });
    const reading = element("p", { class: "reading", "aria-live": "polite" });
    const shape = choice(words.shape, names, draw);
    const steps = slider(words.steps, { min: 20, max: 200, step: 10, value: 100 }, draw);
    const warm = slider(words.warmup, { min: 0, max: 100, step: 1, value: 10 }, draw);
    const decay = slider(words.decay, { min: 1, max: 200, step: 1, value: 30 }, draw);
    const end = slider(words.end, { min: 0, max: 0.5, step: 0.05, value: 0, show: (v) => v.toFixed(2) }, draw);
    const at = slider(words.at, { min: 0, max: 200, step: 1, value: 60 }, draw);
    shape.select.value = "cosine";

    function draw() {
      const T = steps.value();
      const o = { steps: T, warmup: Math.min(warm.value(), T - 1), decay: decay.value(), end: end.value() };
      const { svg, x, y } = frame(T, 1, words.step, words.rate, [0, 0.25, 0.5, 0.75, 1]);
      const curve = Array.from({ length: T + 1 }, (_, t) => `${x(t).toFixed(1)},${y(rate(shape.value(), t, o)).toFixed(1)}`);
      const t = Math.min(at.value(), T);
      const value = rate(shape.value(), t, o);
      svg.append(
        element("svg:polyline", { points: curve.join(" "), class: "curve" }),
        element("svg:line", { x1: x(t), x2: x(t), y1: y(0), y2: y(1), class: "cursor" }),
        element("svg:circle", { cx: x(t), cy: y(value), r: 4, class: "point" }),
      );
      decay.row.hidden = shape.value() !== "stable_decay";
      end.row.hidden = ["constant", "multi_step", "inverse_power"].includes(shape.value());
      figure.replaceChildren(svg);
      reading.textContent = words.read(t, value.toFixed(4));
    }

    box.replaceChildren(element("div", { class: "controls" }, [shape, steps, warm, decay, end, at].map((c) => c.row)), figure, reading);
    draw();
  }

  function momentumExplorer(box, words) {
    const figure = element("div", { class: "figure" });
    const reading = element("p", { class: "reading", "aria-live": "polite" });
    const kind = choice(words.kind, { heavy: words.heavy, nesterov: words.nesterov }, draw);
    const lr = slider(words.lr, { min: 0.05, max: 4, step: 0.05, value: 1.5, show: (v) => v.toFixed(2) }, draw);
    const beta = slider(words.beta, { min: 0, max: 0.99, step: 0.01, value: 0.5, show: (v) => v.toFixed(2) }, draw);
    const kappa = slider(words.kappa, { min: 1, max: 100, step: 1, value: 20 }, draw);
    const MAX = 4; // of ηλ in the phase diagram

    function pathFigure(points, k) {
      const size = 300, mid = size / 2, scale = size / 12;
      const svg = element("svg:svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": words.path, class: "half" });
      for (const level of [1, 2, 3, 4, 5]) {
        svg.append(element("svg:ellipse", { cx: mid, cy: mid, rx: level * scale, ry: (level * scale) / Math.sqrt(k), class: "grid" }));
      }
      const shown = points.map((p) => `${(mid + p[0] * scale).toFixed(1)},${(mid - p[1] * scale).toFixed(1)}`);
      svg.append(element("svg:polyline", { points: shown.join(" "), class: "curve" }));
      for (const p of points.slice(0, 60)) svg.append(element("svg:circle", { cx: mid + p[0] * scale, cy: mid - p[1] * scale, r: 2, class: "point" }));
      svg.append(text(6, 14, words.path));
      return svg;
    }

    function phaseFigure(products, b) {
      const size = 300, n = 40, cell = size / n;
      const svg = element("svg:svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": words.phase, class: "half" });
      for (let i = 0; i < n; i += 1) {
        for (let j = 0; j < n; j += 1) {
          const value = factor(kind.value(), ((i + 0.5) / n) * MAX, (j + 0.5) / n);
          const fill = value >= 1 ? "var(--explorer-bad)" : `color-mix(in srgb, var(--explorer-good) ${Math.round(100 * (1 - value) ** 0.5)}%, var(--explorer-slow))`;
          svg.append(element("svg:rect", { x: i * cell, y: size - (j + 1) * cell, width: cell + 0.5, height: cell + 0.5, style: `fill: ${fill}` }));
        }
      }
      products.forEach((product, k) => {
        const cx = Math.min(size - 4, (product / MAX) * size), cy = size - b * size;
        svg.append(element("svg:circle", { cx, cy, r: 5, class: k ? "steep" : "flat" }, [element("svg:title", {}, [k ? words.steep : words.slow])]));
      });
      svg.append(text(6, 14, words.phase));
      return svg;
    }

    function draw() {
      const k = kappa.value(), eta = lr.value() / k, b = beta.value();
      const products = [eta, eta * k];
      const factors = products.map((product) => factor(kind.value(), product, b));
      const worst = Math.max(...factors);
      const needed = Math.ceil(Math.log(1e-6) / Math.log(worst));
      const verdict = worst > 1 ? words.diverges : worst > 0.99999 ? words.never : words.needs(Math.max(1, needed));
      figure.replaceChildren(pathFigure(run(kind.value(), eta, b, k, [-5, 2], 200), k), phaseFigure(products, b));
      reading.textContent = words.speed(factors[0].toFixed(4), factors[1].toFixed(4), verdict);
    }

    box.replaceChildren(element("div", { class: "controls" }, [kind, lr, beta, kappa].map((c) => c.row)), figure, reading);
    draw();
  }

  function bpeExplorer(box, words) {
    const figure = element("div", { class: "figure bpe" });
    const reading = element("p", { class: "reading", "aria-live": "polite" });
    const input = element("input", { type: "text", value: "fast_ 4 faster_ 3 tall_ 5 taller_ 4", "aria-label": words.typed, spellcheck: "false" });
    const steps = slider(words.merges, { min: 0, max: 20, step: 1, value: 3 }, draw);
    input.addEventListener("input", draw);

    const chips = (tokens, count) => element("p", { class: "tokens" }, [
      ...tokens.map((token) => element("span", { class: "token" }, [token])),
      ...(count === undefined ? [] : [element("span", { class: "count" }, [`× ${count}`])]),
    ]);
    const column = (title, rows) => element("div", {}, [
      element("p", { class: "heading" }, [title]), ...(rows.length ? rows : [element("p", {}, [words.none])]),
    ]);

    function draw() {
      const wordCounts = readWords(input.value);
      if (wordCounts.size === 0) {
        figure.replaceChildren();
        reading.textContent = words.nothing;
        return;
      }
      const state = bpe(wordCounts, steps.value());
      figure.replaceChildren(
        column(words.split, state.words.map(({ symbols, count }) => chips(symbols, count))),
        column(words.candidates, state.next.slice(0, 6).map(({ pair, count }) => chips(pair, count))),
        column(words.learned, state.merges.map((pair) => chips(pair))),
      );
      const total = state.words.reduce((sum, { symbols, count }) => sum + symbols.length * count, 0);
      const letters = new Set([...wordCounts.keys()].flatMap((word) => Array.from(word)));
      const tokens = new Set([...letters, ...state.merges.map((pair) => pair.join(""))]);
      reading.textContent = words.total(total, tokens.size);
    }

    const typed = element("label", { class: "typed" }, [element("span", {}, [words.typed]), input]);
    box.replaceChildren(element("div", { class: "controls" }, [typed, steps.row]), figure, reading);
    draw();
  }

  function attentionExplorer(box, words) {
    const views = globalThis.courseAttention;
    const figure = element("div", { class: "figure attention" });
    const reading = element("p", { class: "reading", "aria-live": "polite" });
    const written = (view) => view.pieces.slice(1, -1).join(" ");
    const sentence = choice(words.sentence, Object.fromEntries(views.map((view, k) => [String(k), written(view)])), () => { from = 2; draw(); });
    const layer = slider(words.layer, { min: 1, max: views[0].layers, step: 1, value: 1 }, draw);
    const head = slider(words.head, { min: 0, max: views[0].heads, step: 1, value: 3, show: (h) => (h ? String(h) : words.all) }, draw);
    let from = 2;

    /** The sentence as buttons; what is behind a token is darker the more of it is seen. */
    const line = (view, rows) => element("p", { class: "tokens" }, view.pieces.map((piece, k) => {
      const weight = rows[from][k];
      const button = element("button", {
        type: "button", class: "token seen", "data-weight": weight.toFixed(3), "aria-pressed": String(k === from),
        style: `--seen: ${Math.round(100 * weight)}%`, title: `${words.towards} ${piece}: ${weight.toFixed(2)}`,
      }, [piece]);
      button.addEventListener("click", () => { from = k; draw(); figure.querySelectorAll("button")[k].focus(); });
      return button;
    }));

    function matrix(view, rows) {
      const n = view.pieces.length, cell = 22, left = 76, top = 70;
      const svg = element("svg:svg", { viewBox: `0 0 ${left + n * cell + 34} ${top + n * cell}`, role: "img", "aria-label": words.weights, class: "matrix" });
      view.pieces.forEach((piece, k) => {
        const chosen = k === from ? { "font-weight": "bold" } : {};
        svg.append(text(left - 6, top + k * cell + 15, piece, { "text-anchor": "end", ...chosen }));
        svg.append(text(0, 0, piece, { transform: `translate(${left + k * cell + 15} ${top - 6}) rotate(-60)` }));
      });
      rows.forEach((row, i) => row.forEach((weight, j) => svg.append(element("svg:rect", {
        x: left + j * cell, y: top + i * cell, width: cell - 1, height: cell - 1, style: `--seen: ${Math.round(100 * weight)}%`, class: i === from ? "seen chosen" : "seen",
      }, [element("svg:title", {}, [`${view.pieces[i]} → ${view.pieces[j]}: ${weight.toFixed(2)}`])]))));
      return svg;
    }

    function draw() {
      const view = views[Number(sentence.value())];
      const rows = attention(view, layer.value(), head.value());
      const most = rows[from].map((weight, k) => ({ weight, piece: view.pieces[k] })).sort((a, b) => b.weight - a.weight);
      figure.replaceChildren(element("p", { class: "heading" }, [words.from]), line(view, rows), matrix(view, rows));
      reading.textContent = words.looks(view.pieces[from], most.slice(0, 3).map(({ weight, piece }) => `${piece} ${weight.toFixed(2)}`).join(words.comma));
    }

    box.replaceChildren(element("div", { class: "controls" }, [sentence, layer, head].map((c) => c.row)), figure, reading);
    draw();
  }

  function guessesExplorer(box, words) {
    const data = globalThis.courseGuesses;
    const figure = element("div", { class: "figure guesses" });
    const reading = element("p", { class: "reading", "aria-live": "polite" });
    const count = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
    const probability = (p) => (p >= 0.1 ? p.toFixed(2) : p >= 0.0001 ? p.toPrecision(2) : "< 0.0001");
    const plain = ({ pieces }) => pieces.join(" ").replaceAll(" ##", "").replace(/ ([,.])/g, "$1");
    const sentence = choice(words.sentence, Object.fromEntries(data.sentences.map((s, k) => [String(k), plain(s)])), () => { place = 1; draw(); });
    const last = data.steps.length - 1;
    const step = slider(words.trained, { min: 0, max: last, step: 1, value: last, show: (k) => count(data.steps[k]) }, draw);
    for (const { row } of [sentence, step]) row.className = "wide"; // a sentence is long
    let place = 1;

    function hide(k) {
      const buttons = figure.querySelectorAll("button");
      if (k < 0 || k >= buttons.length) return;
      place = k;
      draw();
      figure.querySelectorAll("button")[k].focus();
    }

    /** The sentence as buttons, [MASK] in place of what is hidden; arrow keys go on to the next. */
    const line = (pieces) => element("p", { class: "tokens" }, pieces.map((piece, k) => {
      const button = element("button", {
        type: "button", class: "token", "aria-pressed": String(k === place), "aria-label": words.hidden(piece),
      }, [k === place ? "[MASK]" : piece]);
      button.addEventListener("click", () => hide(k));
      button.addEventListener("keydown", (event) => {
        const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!by) return;
        event.preventDefault();
        hide(k + by);
      });
      return button;
    }));

    const bars = (rows) => element("ol", { class: "bars", "aria-label": words.guessed }, rows.map(({ piece, share, rank, own }) => element(
      "li", own ? { class: "own" } : {}, [
        element("span", { class: "rank" }, [`${count(rank)}.`]),
        element("span", { class: "piece" }, [own ? `${piece} ✓` : piece]),
        element("span", { class: "track" }, [element("span", { class: "bar", style: `width: ${(100 * share).toFixed(2)}%` })]),
        element("span", { class: "share" }, [probability(share)]),
      ])));

    function draw() {
      const chosen = Number(sentence.value()), { pieces, source } = data.sentences[chosen], taken = data.steps[step.value()];
      const { rows, own } = guess(data, step.value(), chosen, place);
      figure.replaceChildren(
        element("p", { class: "heading" }, [source === "course" ? words.course : words.heldOut]), line(pieces), bars(rows),
      );
      const when = taken ? words.after(count(taken)) : words.untrained;
      reading.textContent = words.fares(when, own.piece, count(own.rank), count(data.vocabulary), probability(own.share));
    }

    box.replaceChildren(
      element("div", { class: "controls" }, [sentence, step].map((c) => c.row)), figure, reading,
      element("p", { class: "howto" }, [words.ours(data)]),
    );
    draw();
  }

  function boxesExplorer(box, words) {
    const W0 = 480, H0 = 280, LEAST = 16; // of the scene, and of a side
    const names = ["A", "B", "C", "D", "E"], scores = [0.95, 0.85, 0.75, 0.65, 0.55];
    const boxes = [[60, 60, 200, 180], [105, 85, 245, 205], [120, 50, 260, 170], [300, 90, 420, 220], [310, 110, 440, 230]];
    let chosen = 1;
    const svg = element("svg:svg", { viewBox: `0 0 ${W0} ${H0}`, role: "group", "aria-label": words.scene, class: "boxes" });
    const reading = element("p", { class: "reading", "aria-live": "polite" });
    const method = choice(words.suppression, { hard: words.hard, soft: words.soft }, draw);
    const threshold = slider(words.threshold, { min: 0, max: 1, step: 0.01, value: 0.5, show: (v) => v.toFixed(2) }, draw);
    const sigma = slider(words.sigma, { min: 0.05, max: 1, step: 0.05, value: 0.5, show: (v) => v.toFixed(2) }, draw);
    const within = (value, low, high) => Math.min(Math.max(value, low), high);

    function move(k, dx, dy) {
      const b = boxes[k], x = within(dx, -b[0], W0 - b[2]), y = within(dy, -b[1], H0 - b[3]);
      boxes[k] = [b[0] + x, b[1] + y, b[2] + x, b[3] + y];
    }
    function stretch(k, dx, dy) {
      const b = boxes[k];
      boxes[k] = [b[0], b[1], within(b[2] + dx, b[0] + LEAST, W0), within(b[3] + dy, b[1] + LEAST, H0)];
    }

    const shown = names.map((name, k) => {
      const rect = element("svg:rect", {}), corner = element("svg:rect", { width: 12, height: 12, class: "corner" }), label = text(0, 0, "");
      const group = element("svg:g", { tabindex: 0, role: "button" }, [rect, label]);
      group.addEventListener("focus", () => { chosen = k; draw(); });
      group.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-4, 0], ArrowRight: [4, 0], ArrowUp: [0, -4], ArrowDown: [0, 4] }[event.key];
        if (!step) return;
        event.preventDefault();
        (event.shiftKey ? stretch : move)(k, ...step);
        draw();
      });
      for (const [part, change] of [[rect, move], [corner, stretch]]) {
        part.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          chosen = k;
          group.focus({ preventScroll: true });
          part.setPointerCapture(event.pointerId);
          let last = [event.clientX, event.clientY];
          const unit = W0 / svg.getBoundingClientRect().width;
          const drag = (e) => {
            change(k, (e.clientX - last[0]) * unit, (e.clientY - last[1]) * unit);
            last = [e.clientX, e.clientY];
            draw();
          };
          part.addEventListener("pointermove", drag);
          for (const end of ["pointerup", "pointercancel"]) {
            part.addEventListener(end, () => part.removeEventListener("pointermove", drag), { once: true });
          }
          draw();
        });
      }
      svg.append(group);
      return { group, rect, corner, label };
    });
    svg.append(...shown.map(({ corner }) => corner)); // above all boxes, so that each can be reached

    /** Score of each box now, and what happened, in words. */
    function suppressed() {
      if (method.value() === "soft") {
        const left = new Map(softNms(boxes, scores, sigma.value()));
        return { now: names.map((_, k) => left.get(k) || 0), told: [words.scores([...left].map(([k, s]) => `${names[k]} ${s.toFixed(2)}`).join(", "))] };
      }
      const { kept, killer } = nms(boxes, scores, threshold.value());
      const gone = Object.entries(killer).map(([k, by]) => words.gone(names[k], names[by], boxIou(boxes[k], boxes[by]).toFixed(2)));
      return { now: scores.map((s, k) => (k in killer ? 0 : s)), told: [words.stays(kept.map((k) => names[k]).join(", ")), ...gone] };
    }

    function draw() {
      const { now, told } = suppressed();
      shown.forEach(({ group, rect, corner, label }, k) => {
        const [x1, y1, x2, y2] = boxes[k];
        for (const [key, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 })) rect.setAttribute(key, value);
        corner.setAttribute("x", x2 - 12);
        corner.setAttribute("y", y2 - 12);
        label.setAttribute("x", x1 + 5);
        label.setAttribute("y", y1 + 15);
        label.textContent = `${names[k]} ${now[k].toFixed(2)}`;
        group.setAttribute("class", now[k] === 0 ? "gone" : k === chosen ? "chosen" : "kept");
        group.setAttribute("aria-label", words.box(names[k], scores[k].toFixed(2)));
        rect.setAttribute("stroke-opacity", Math.max(0.25, Math.min(1, now[k] / scores[k])));
      });
      const others = names.map((_, k) => k).filter((k) => k !== chosen);
      const near = others.reduce((a, b) => (boxIou(boxes[chosen], boxes[b]) > boxIou(boxes[chosen], boxes[a]) ? b : a));
      const numbers = [boxIou, boxGiou].map((f) => f(boxes[chosen], boxes[near]).toFixed(2));
      threshold.row.hidden = method.value() === "soft";
      sigma.row.hidden = method.value() !== "soft";
      reading.textContent = [words.pair(names[chosen], names[near], ...numbers), ...told].join(words === WORDS.zh ? "；" : "; ");
    }

    box.replaceChildren(
      element("div", { class: "controls" }, [method, threshold, sigma].map((c) => c.row)),
      element("div", { class: "figure" }, [svg]), reading, element("p", { class: "howto" }, [words.howto]),
    );
    draw();
  }

  const MOUNT = { schedules: schedulesExplorer, momentum: momentumExplorer, bpe: bpeExplorer, attention: attentionExplorer, guesses: guessesExplorer, boxes: boxesExplorer };
  for (const box of document.querySelectorAll(".course-explorer")) {
    MOUNT[box.dataset.explorer](box, WORDS[box.dataset.language]);
  }
})();
