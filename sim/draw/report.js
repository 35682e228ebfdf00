"use strict";
// A section works by itself: all elements are found within root. To read a measure
// after a change lays out the whole page again, so section itself only reads, show
// changes, and resize gets the width from outside.
function section(root) {
  const view = root.querySelector(".view");
  const panel = root.querySelector(".panel");
  const controls = root.querySelector(".controls");
  const svg = view.querySelector("svg");
  const overview = root.querySelector(".overview svg");
  const axis = root.querySelector(".axis");
  const rows = root.querySelectorAll("tbody tr");
  const all = [...view.querySelectorAll(".mark")].sort((a, b) => number(a) - number(b));
  let marks = all; // that the filters let through
  const cards = view.querySelectorAll(".card");
  const lanes = [...cards].map((card) => ({ group: card.parentNode, box: card.parentNode.getBBox() }));
  const full = { width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height };
  // The labels of the picture's own axis, the last one first.
  const ticks = [...view.querySelectorAll(".grid + text")].map((text) => {
    const line = text.previousElementSibling.getBBox();
    return { x: line.x, top: line.y, bottom: line.y + line.height, words: text.textContent, kind: text.classList, width: text.textContent.length * 6.8 + 10 };
  }).sort((a, b) => b.x - a.x);
  const days = ticks.filter((tick) => tick.kind.contains("day"));
  const times = ticks.filter((tick) => !tick.kind.contains("day"));
  const top = Math.min(...times.map((tick) => tick.top)) - 20; // a break's label is above
  const allLanes = { y: top, height: Math.min(...times.map((tick) => tick.bottom)) - top };
  let bounds = allLanes; // where the view may go: all lanes, or one
  const deepest = 8; // the largest scale
  let wide = 0, high = 0; // the view, in pixels
  let x = 0, y = 0, scale = 1; // its corner in the picture, and pixels per unit
  let shown = null;

  function number(mark) { return Number(mark.id.slice(mark.id.lastIndexOf("-") + 1)); }
  const rowOf = (mark) => rows[number(mark) - 1];
  const middle = (mark) => mark.querySelector(".hit");
  const at = (mark) => ({ x: middle(mark).cx.baseVal.value, y: middle(mark).cy.baseVal.value });
  const fitting = () => Math.min(1, wide / full.width);
  const readable = () => (fitting() < 0.6 ? 0.8 : fitting()); // the scale at the beginning
  const least = () => Math.max(fitting(), 0.5); // smaller, no event can be told from the next
  const within = (n, low, high) => Math.max(low, Math.min(n, high));

  // The view.

  function render() {
    const width = wide / scale, height = high / scale, spare = height - bounds.height;
    x = within(x, 0, Math.max(0, full.width - width));
    y = within(y, bounds.y - Math.max(0, spare), bounds.y - Math.min(0, spare));
    svg.setAttribute("viewBox", [x, y, width, height].map((n) => n.toFixed(2)).join(" "));
    // The cards' names come along, above their lanes where these go on to the left.
    for (const card of cards) card.setAttribute("transform", x > 0 ? `translate(${(x - 16).toFixed(2)} -20)` : "");
    drawAxis();
    // Its window is large enough to be seen and hit.
    const seen = { width: within(width, (full.width * 12) / wide, full.width), height: within(height, bounds.height / 5, bounds.height) };
    seen.x = within(x + (width - seen.width) / 2, 0, full.width - seen.width);
    seen.y = within(y + (height - seen.height) / 2, bounds.y, bounds.y + bounds.height - seen.height);
    for (const [name, value] of Object.entries(seen)) overview.lastElementChild?.setAttribute(name, value);
  }

  // drawAxis labels what is in view: the days in the first row, the day at the left
  // edge always, and below it the times that there is room for.
  function drawAxis() {
    const labels = [];
    const add = (tick, left, row) => {
      if (left > wide || left + tick.width < 0) return;
      const label = document.createElement("span");
      label.textContent = tick.words;
      label.className = tick.kind;
      label.style.left = left + "px";
      label.style.top = row * 15 + "px";
      labels.push(label);
    };
    let next = Infinity;
    for (const day of days) {
      let left = (day.x - x) * scale;
      const stays = left < 4;
      if (stays) left = Math.min(4, next - day.width);
      if (!stays && left + day.width > next) continue;
      add(day, next = left, 0);
      if (stays) break;
    }
    let lower = Infinity, upper = Infinity; // where the label to the right begins
    for (const time of times) {
      const left = (time.x - x) * scale, right = left + time.width;
      if (right <= Math.min(lower, upper)) add(time, lower = left, 2);
      else if (right <= upper) add(time, upper = left, 1);
    }
    axis.replaceChildren(...labels);
  }

  function resize(width) {
    wide = width;
    scale = within(scale, least(), deepest);
    svg.style.width = "100%";
    // The same at every scale: what is below the view stays where it is.
    high = Math.min(bounds.height * readable(), Math.max(280, window.innerHeight * 0.75));
    svg.style.height = high + "px";
    render();
  }

  // zoom changes the scale and keeps what is at (px, py) of the view where it is.
  function zoom(factor, px = wide / 2, py = high / 2) {
    const before = scale;
    scale = within(scale * factor, least(), deepest);
    x += px / before - px / scale;
    y += py / before - py / scale;
    render();
    return scale !== before;
  }

  // begin shows the picture from its left, at its top or, where it is low, in the middle.
  function begin(at) {
    scale = at;
    x = 0;
    y = bounds.y - Math.max(0, high / scale - bounds.height) / 2;
    render();
  }
  const fit = () => begin(least());

  function pan(dx, dy) {
    x += dx / scale;
    y += dy / scale;
    render();
  }

  function reveal(mark) {
    const p = at(mark), room = 40 / scale;
    const width = wide / scale, height = high / scale;
    if (p.x < x + room || p.x > x + width - room) x = p.x - width / 2;
    if (p.y < y + room || p.y > y + height - room) y = p.y - height / 2;
    render();
  }

  // The overview: all events as strokes, and a window that shows where the view is.

  function drawOverview() {
    const strokes = { auto: "", forced: "", set_interval: "", disable: "", differs: "" };
    for (const mark of marks) {
      const kind = mark.classList.contains("differs") ? "differs" : mark.querySelector(".event").classList[1];
      strokes[kind] += `M${at(mark).x} ${at(mark).y - 24}v48`;
    }
    const part = (name) => document.createElementNS(svg.namespaceURI, name);
    const frame = part("rect");
    frame.classList.add("window");
    overview.setAttribute("viewBox", `0 ${bounds.y} ${full.width} ${bounds.height}`);
    overview.replaceChildren(...Object.entries(strokes).map(([kind, d]) => {
      const path = part("path");
      path.setAttribute("class", kind);
      path.setAttribute("d", d);
      return path;
    }), frame);
  }

  let grip = { x: 0, y: 0 }; // from the window's middle to the pointer
  const pointed = (event) => {
    const box = overview.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * full.width - wide / scale / 2,
      y: ((event.clientY - box.top) / box.height) * bounds.height + bounds.y - high / scale / 2,
    };
  };
  const look = (event) => {
    const to = pointed(event);
    x = to.x - grip.x;
    y = to.y - grip.y;
    render();
  };
  overview.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const from = pointed(event);
    grip = event.target === overview.lastElementChild ? { x: from.x - x, y: from.y - y } : { x: 0, y: 0 };
    overview.setPointerCapture(event.pointerId);
    look(event);
  });
  overview.addEventListener("pointermove", (event) => {
    if (overview.hasPointerCapture(event.pointerId)) look(event);
  });

  // The filters.

  const chosen = { card: root.querySelector("[data-filter=card]"), which: root.querySelector("[data-filter=which]") };
  const cardOf = (row) => row.querySelector(".name").textContent;
  const isOut = (n) => rows[n - 1].classList.contains("out");
  function filter() {
    const card = chosen.card.value, which = chosen.which.value;
    for (const row of all.map(rowOf)) {
      row.classList.toggle("out", (card !== "" && cardOf(row) !== card) || (which !== "" && !row.classList.contains(which)));
    }
    for (const part of view.querySelectorAll("[data-step]")) part.classList.toggle("out", isOut(Number(part.dataset.step) + 1));
    for (const mark of all) mark.classList.toggle("out", isOut(number(mark)));
    marks = all.filter((mark) => !isOut(number(mark)));
    bounds = allLanes;
    for (const { group, box } of lanes) {
      const own = card === "" || cardOf(rowOf(group.querySelector(".mark"))) === card;
      group.classList.toggle("out", !own);
      if (card !== "" && own) bounds = { y: box.y - 20, height: box.height + 30 };
    }
    root.querySelector(".count").textContent = marks.length < all.length ? `${marks.length} of ${all.length} events` : "";
    drawOverview();
    resize(view.clientWidth);
    if (marks.length > 0 && marks.length < all.length) reveal(marks[0]);
  }
  controls.addEventListener("change", filter);

  // The panel.

  function explain(mark) {
    if (mark === shown) return;
    for (const old of [shown, shown && rowOf(shown)]) old?.classList.remove("current");
    shown = mark;
    const row = rowOf(mark);
    mark.classList.add("current");
    row.classList.add("current");
    const [time, card, event, rule] = [...row.cells].slice(1).map((cell) => cell.textContent);
    const head = document.createElement("p");
    head.className = "quiet";
    const link = document.createElement("a");
    link.href = "#" + row.id;
    link.textContent = "Event " + number(mark);
    head.append(link, ` · ${time} · card ${card} · ${event} · ${rule}`);
    const sentence = document.createElement("p");
    sentence.className = "sentence";
    sentence.append(...[...row.querySelector(".sentence").childNodes].map((node) => node.cloneNode(true)));
    panel.replaceChildren(head, sentence);
  }

  function go(mark) {
    mark?.focus({ preventScroll: true });
  }

  // beside returns the nearest mark of the lane above (-1) or below (1).
  function beside(mark, direction) {
    const from = at(mark);
    const distance = (other) => Math.abs(at(other).y - from.y) * 1e6 + Math.abs(at(other).x - from.x);
    return marks.filter((other) => (at(other).y - from.y) * direction > 1).sort((a, b) => distance(a) - distance(b))[0];
  }

  // Keys.

  view.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const mark = event.target.closest(".mark");
    const step = wide / 6;
    const index = marks.indexOf(mark);
    const onMark = {
      ArrowRight: () => go(marks[index + 1]),
      ArrowLeft: () => go(marks[index - 1]),
      ArrowDown: () => go(beside(mark, 1)),
      ArrowUp: () => go(beside(mark, -1)),
      Home: () => go(marks[0]),
      End: () => go(marks.at(-1)),
    };
    const onView = {
      ArrowRight: () => pan(step, 0),
      ArrowLeft: () => pan(-step, 0),
      ArrowDown: () => pan(0, step),
      ArrowUp: () => pan(0, -step),
      Home: () => pan(-full.width * scale, 0),
      End: () => pan(full.width * scale, 0),
    };
    const anywhere = { "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), "0": fit };
    const action = (mark ? onMark : onView)[event.key] ?? anywhere[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  // Focus, pointing and the way between marks and rows.

  view.addEventListener("focusin", (event) => {
    const mark = event.target.closest(".mark");
    if (!mark) return;
    explain(mark);
    reveal(mark);
  });
  view.addEventListener("pointerover", (event) => {
    const mark = event.target.closest(".mark");
    if (mark && pointers.size === 0) explain(mark);
  });
  view.addEventListener("click", (event) => {
    const mark = event.target.closest(".mark");
    if (!mark || event.detail === 0) return; // Enter follows the link to the row
    event.preventDefault();
    if (!dragged) go(mark);
  });
  root.querySelector("tbody").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    const mark = document.querySelector(link.getAttribute("href"));
    view.scrollIntoView({ block: "center" });
    go(mark);
  });

  // Dragging with one pointer, pinching with two.

  const pointers = new Map();
  let dragged = false;
  const place = () => {
    const all = [...pointers.values()], box = svg.getBoundingClientRect();
    return {
      x: all.reduce((sum, p) => sum + p.x, 0) / all.length - box.left,
      y: all.reduce((sum, p) => sum + p.y, 0) / all.length - box.top,
      spread: all.length > 1 ? Math.hypot(all[0].x - all[1].x, all[0].y - all[1].y) : 0,
    };
  };
  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (pointers.size === 0) dragged = false;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, startX: event.clientX, startY: event.clientY });
  });
  view.addEventListener("pointermove", (event) => {
    const p = pointers.get(event.pointerId);
    if (!p) return;
    if (!dragged && Math.hypot(event.clientX - p.startX, event.clientY - p.startY) < 5) return;
    if (!dragged) {
      dragged = true;
      view.classList.add("dragging");
    }
    view.setPointerCapture(event.pointerId);
    const before = place();
    p.x = event.clientX;
    p.y = event.clientY;
    const after = place();
    pan(before.x - after.x, before.y - after.y);
    if (before.spread > 0 && after.spread > 0) zoom(after.spread / before.spread, after.x, after.y);
  });
  const lift = (event) => {
    pointers.delete(event.pointerId);
    if (pointers.size === 0) view.classList.remove("dragging");
  };
  window.addEventListener("pointerup", lift);
  window.addEventListener("pointercancel", lift);
  view.addEventListener("dragstart", (event) => event.preventDefault());

  // Where the wheel can't zoom any further, the page scrolls.
  view.addEventListener("wheel", (event) => {
    const box = svg.getBoundingClientRect();
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (sideways) {
      pan(event.deltaX || event.deltaY, 0);
    } else if (!zoom(Math.exp(-within(event.deltaY, -120, 120) / 400), event.clientX - box.left, event.clientY - box.top)) {
      return;
    }
    event.preventDefault();
  }, { passive: false });

  controls.addEventListener("click", (event) => {
    ({ in: () => zoom(1.4), out: () => zoom(1 / 1.4), fit })[event.target.dataset.do]?.();
  });

  // On paper the whole picture is shown, cut into strips where it is wide.
  const strip = Math.min(full.width, 1300);
  let strips = [];
  function cut(part, from) {
    const { y, height } = bounds === allLanes ? { y: 0, height: full.height } : bounds;
    part.setAttribute("viewBox", `${from} ${y} ${strip} ${height}`);
    part.setAttribute("width", strip); // with the height, the ratio of the sides
    for (const card of part.querySelectorAll(".card")) card.setAttribute("transform", from > 0 ? `translate(${from - 16} -20)` : "");
  }
  window.addEventListener("beforeprint", () => {
    for (let from = strip; from < full.width; from += strip) {
      const part = svg.cloneNode(true);
      for (const named of part.querySelectorAll("[id]")) named.removeAttribute("id");
      cut(part, from);
      strips.push(part);
    }
    cut(svg, 0);
    view.append(...strips);
  });
  window.addEventListener("afterprint", () => {
    for (const part of strips) part.remove();
    strips = [];
    svg.setAttribute("width", full.width);
    render();
  });

  function show() {
    for (const name of new Set(all.map((mark) => cardOf(rowOf(mark))))) chosen.card.add(new Option(name));
    for (const option of [...chosen.which.options].slice(1)) {
      option.disabled = !root.querySelector("tbody ." + option.value);
    }
    controls.hidden = panel.hidden = axis.hidden = overview.parentNode.hidden = false;
    view.classList.add("live");
    drawOverview();
  }
  return { view, show, resize, start: () => begin(readable()) };
}

(() => {
  const roots = [...document.querySelectorAll(".report")].filter((root) => root.querySelector(".view"));
  const sections = roots.map(section);
  const resize = () => {
    const widths = sections.map(({ view }) => view.clientWidth);
    sections.forEach((s, i) => s.resize(widths[i]));
  };
  for (const s of sections) s.show();
  resize();
  for (const s of sections) s.start();
  window.addEventListener("resize", resize);
})();
