"use strict";
(() => {
  const view = document.getElementById("view");
  if (!view) return; // a report without events
  const panel = document.getElementById("panel");
  const controls = document.getElementById("controls");
  const svg = view.querySelector("svg");
  const marks = [...view.querySelectorAll(".mark")].sort((a, b) => number(a) - number(b));
  const cards = view.querySelectorAll(".card");
  const full = { width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height };
  const deepest = 8; // the largest scale
  let wide = 0, high = 0; // the view, in pixels
  let x = 0, y = 0, scale = 1; // its corner in the picture, and pixels per unit
  let shown = null;

  function number(mark) { return Number(mark.id.slice("mark-".length)); }
  const rowOf = (mark) => document.getElementById("event-" + number(mark));
  const middle = (mark) => mark.querySelector(".hit");
  const at = (mark) => ({ x: middle(mark).cx.baseVal.value, y: middle(mark).cy.baseVal.value });
  const fitting = () => Math.min(1, view.clientWidth / full.width);
  const within = (n, low, high) => Math.max(low, Math.min(n, high));

  // The view.

  function render() {
    const width = wide / scale, height = high / scale;
    x = within(x, 0, Math.max(0, full.width - width));
    y = within(y, 0, Math.max(0, full.height - height));
    svg.setAttribute("viewBox", [x, y, width, height].map((n) => n.toFixed(2)).join(" "));
    // The cards' names come along, above their lanes where these go on to the left.
    for (const card of cards) card.setAttribute("transform", x > 0 ? `translate(${(x - 16).toFixed(2)} -20)` : "");
  }

  function resize() {
    scale = within(scale, fitting(), deepest);
    svg.style.width = "100%";
    wide = view.clientWidth;
    high = Math.min(full.height * Math.min(1, scale), Math.max(280, window.innerHeight * 0.75));
    svg.style.height = high + "px";
    render();
  }

  // zoom changes the scale and keeps what is at (px, py) of the view where it is.
  function zoom(factor, px = wide / 2, py = high / 2) {
    const before = scale;
    scale = within(scale * factor, fitting(), deepest);
    x += px / before - px / scale;
    y += py / before - py / scale;
    render();
    return scale !== before;
  }

  function fit() {
    scale = fitting();
    x = y = 0;
    resize();
  }

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

  // The panel.

  function show(mark) {
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
    show(mark);
    reveal(mark);
  });
  view.addEventListener("pointerover", (event) => {
    const mark = event.target.closest(".mark");
    if (mark && pointers.size === 0) show(mark);
  });
  view.addEventListener("click", (event) => {
    const mark = event.target.closest(".mark");
    if (!mark || event.detail === 0) return; // Enter follows the link to the row
    event.preventDefault();
    if (!dragged) go(mark);
  });
  document.querySelector("tbody").addEventListener("click", (event) => {
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
  window.addEventListener("resize", resize);

  // On paper the whole picture is shown, cut into strips where it is wide.
  const strip = Math.min(full.width, 1300);
  let strips = [];
  function cut(part, from) {
    part.setAttribute("viewBox", `${from} 0 ${strip} ${full.height}`);
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

  controls.hidden = panel.hidden = false;
  view.classList.add("live");
  // Large pictures begin at their left, at a size that can be read.
  scale = fitting() < 0.6 ? 0.8 : fitting();
  resize();
})();
