"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const collator = new Intl.Collator("en", { numeric: true });
const NONE = "–";

// Elements ------------------------------------------------------------------------------------------------------------
// What is put into them is text, whatever it holds: nothing here parses markup.

function make(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== "") node.append(child);
  return node;
}
const el = (name, attributes = {}, ...children) => make(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) =>
  make(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
const into = (id, ...children) => document.getElementById(id).append(...children.filter((child) => child !== null));

// An address of others is a link only if it leads to the web.
function link(text, address) {
  const safe = /^https?:\/\//i.test(address || "");
  return safe ? el("a", { href: address, rel: "noopener noreferrer", target: "_blank" }, text) : text;
}
const mark = (word, text = word) => el("span", { class: `mark ${word}` }, text);
const many = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
function bytes(number) {
  if (number >= 1e6) return `${(number / 1e6).toFixed(1)} MB`;
  return number >= 1e3 ? `${Math.round(number / 1e3)} kB` : `${number} B`;
}
function bar(share) {
  const inner = el("i");
  inner.style.width = `${Math.min(100, Math.max(1, share * 100))}%`;
  return el("span", { class: "bar", "aria-hidden": "true" }, inner);
}

// A table whose columns are {name, cell(row), key(row), number, text}. By its key a column is sorted, and a row without
// one comes last; a column of numbers is set to the right, and in one of text long words are broken.
function table(label, columns, rows, sorted = -1) {
  const heads = columns.map((column, at) =>
    el("th", { scope: "col", class: column.number && "number" },
      column.key ? el("button", { type: "button", click: () => sort(at) }, column.name) : column.name));
  const lines = rows.map((row) => ({
    row,
    line: el("tr", {}, columns.map((column) => {
      const cell = column.cell(row);
      const kind = [column.number && "number", column.text && "text", cell === NONE && "empty"].filter(Boolean).join(" ");
      return el("td", { class: kind || null, "data-name": column.name }, el("div", {}, cell));
    })),
  }));
  const body = el("tbody", {}, lines.map(({ line }) => line));
  function sort(at) {
    const turned = heads[at].getAttribute("aria-sort") === "ascending";
    const { key } = columns[at];
    const order = lines.map(({ row, line }, place) => [key(row), place, line]).sort(([one, i], [other, j]) => {
      if (one === null || other === null) return (one === null) - (other === null) || i - j;
      const less = typeof one === "number" ? one - other : collator.compare(one, other);
      return (turned ? -less : less) || i - j;
    });
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[at].setAttribute("aria-sort", turned ? "descending" : "ascending");
    body.append(...order.map(([, , line]) => line));
  }
  if (sorted >= 0) sort(sorted);
  const node = el("table", { class: "cards", "aria-label": label }, el("thead", {}, el("tr", {}, heads)), body);
  return { node, lines };
}

// The verdict ---------------------------------------------------------------------------------------------------------

const STATUS = {
  breaking: "Breaks the policy",
  warning: "Only warns",
  accepted: "Accepted",
  not_affected: "Does not apply (VEX)",
  fixed: "Fixed (VEX)",
  tolerated: "Tolerated by the policy",
};
const SEVERITIES = ["CRITICAL", "HIGH", "MEDIUM", "LOW", "NEGLIGIBLE", "UNKNOWN"];
const KINDS = { os: "system", otp: "Erlang/OTP", hex: "Hex", git: "git", own: "own", secret: "file" };
const having = (...statuses) => data.findings.filter((finding) => statuses.includes(finding.status));
const pulled = data.size.layers.reduce((sum, [, compressed]) => sum + compressed, 0);

function drawVerdict() {
  const { passed, decided, lines } = data.verdict;
  const broken = having("breaking").length > 0;
  const word = passed ? "Passed" : broken || decided ? "Not passed" : "No verdict";
  const band = document.getElementById("verdict");
  band.classList.add(passed ? "pass" : broken || decided ? "fail" : "open");
  document.title = `${word}: ${data.image}`;
  const time = `${data.time.slice(0, 10)} ${data.time.slice(11, 16)} UTC`;
  const figures = [
    ["break the policy", having("breaking").length],
    ["only warn", having("warning").length],
    ["accepted", having("accepted").length],
    ["do not apply", having("not_affected", "fixed").length],
    [`compressed, limit ${data.size.limit} MB`, bytes(pulled)],
    ["components", data.sbom ? data.sbom.components.length : NONE],
  ];
  into("verdict",
    el("p", { class: "name" }, data.image),
    el("h1", {}, word),
    el("ul", {}, lines.map((line) => el("li", {}, line))),
    el("p", { class: "mono" }, [data.digest, time, data.erlang && `Erlang/OTP ${data.erlang}`].filter(Boolean).join(" · ")),
    el("dl", { class: "figures" }, figures.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, `${value}`)))));
}

function drawChanges() {
  const most = Math.max(1, ...data.changes.map(([, mends]) => mends));
  const items = data.changes.map(([change, mends]) => {
    const [file, ...rest] = change.split(": ");
    return el("li", {}, el("span", {}, el("b", {}, `${file}: `), rest.join(": ")),
      el("span", { class: "muted nowrap" }, `fixes ${many(mends, "finding")}`), bar(mends / most));
  });
  const rest = data.unmended.map((line) => el("li", {}, el("span", { class: "muted" }, line)));
  const empty = el("p", { class: "panel pad" }, "Nothing to change: no finding breaks the policy or warns.");
  into("changes", items.length + rest.length ? el("ol", { class: "panel changes" }, items, rest) : empty);
}

// Findings ------------------------------------------------------------------------------------------------------------

const exploited = (finding) => {
  if (finding.exploited) return [mark("CRITICAL", "in KEV"), el("small", { class: "nowrap" }, `since ${finding.exploited}`)];
  return finding.epss === null ? NONE : el("span", { class: "nowrap" }, `EPSS ${(finding.epss * 100).toFixed(1)}%`);
};
const FINDINGS = [
  { name: "Severity", key: (row) => SEVERITIES.indexOf(row.severity), cell: (row) => mark(row.severity) },
  {
    name: "Advisory",
    text: true,
    key: (row) => row.id,
    cell: (row) => [link(row.id, row.url), [row.title, row.evidence, row.reason].filter(Boolean).map((text) => el("small", {}, text))],
  },
  {
    name: "Package",
    key: (row) => `${row.package.name} ${row.package.version}`,
    cell: (row) => [row.package.name, el("small", {}, short(row.package.version)), el("small", {}, KINDS[row.package.kind] || "")],
  },
  { name: "Fixed in", text: true, key: (row) => row.fixed[0] || null, cell: (row) => row.fixed.join(", ") || NONE },
  { name: "Seen by", key: (row) => Object.keys(row.severities).join(), cell: (row) => Object.keys(row.severities).join(", ") },
  { name: "Exploited", key: (row) => (row.exploited ? -1 : row.epss === null ? null : 1 - row.epss), cell: exploited },
  { name: "Status", key: (row) => Object.keys(STATUS).indexOf(row.status), cell: (row) => el(row.status === "breaking" ? "b" : "span", {}, STATUS[row.status]) },
  { name: "Accepted until", key: (row) => row.until, cell: (row) => (row.until ? el("span", { class: "nowrap" }, row.until) : NONE) },
  { name: "Next step", text: true, cell: (row) => row.next },
];

function drawFindings() {
  if (!data.findings.length) return into("findings", el("p", { class: "panel pad" }, "The scanners found nothing."));
  const { node, lines } = table("Findings", FINDINGS, data.findings, 6);
  const tally = el("span", { role: "status" });
  const tests = [];
  const update = () => {
    let shown = 0;
    for (const { row, line } of lines) {
      line.hidden = !tests.every((test) => test(row));
      shown += !line.hidden;
    }
    tally.textContent = `${shown} of ${many(lines.length, "finding")} shown`;
    clear.hidden = shown === lines.length;
  };

  const search = el("input", { type: "search", placeholder: "advisory, package, words", autocomplete: "off" });
  const words = new Map(data.findings.map((row) => [row, JSON.stringify([row.id, row.aliases, row.package, row.title, row.next]).toLowerCase()]));
  tests.push((row) => search.value.toLowerCase().split(/\s+/).every((word) => words.get(row).includes(word)));
  const choose = (label, options) => {
    const select = el("select", {}, el("option", { value: "" }, "any"), options.map(([name], at) => el("option", { value: `${at}` }, name)));
    tests.push((row) => select.value === "" || options[Number(select.value)][1](row));
    return el("label", {}, label, select);
  };
  const scanners = [...new Set(data.findings.flatMap((row) => Object.keys(row.severities)))].sort();
  const within = (days) => (row) => row.until !== null && (Date.parse(row.until) - Date.parse(data.time)) / 864e5 <= days;
  const fields = el("div", { class: "fields" },
    el("label", {}, "Search", search),
    choose("Fix", [["available", (row) => row.fixed.length > 0], ["none known", (row) => !row.fixed.length]]),
    choose("Seen by", scanners.map((name) => [name, (row) => name in row.severities])),
    choose("Known to be exploited", [["in KEV", (row) => row.exploited !== null], ["not in KEV", (row) => row.exploited === null]]),
    choose("Accepted", [["yes", (row) => row.until !== null], ["ends within 30 days", within(30)], ["no", (row) => row.until === null]]));
  const chips = (legend, options, value) => {
    const boxes = options.filter(([key]) => data.findings.some((row) => value(row) === key)).map(([key, text]) => {
      const box = el("input", { type: "checkbox", value: key });
      const count = data.findings.filter((row) => value(row) === key).length;
      return [box, el("label", {}, box, text, el("span", { class: "muted" }, `${count}`))];
    });
    tests.push((row) => boxes.every(([box]) => !box.checked) || boxes.some(([box]) => box.checked && box.value === value(row)));
    return el("fieldset", { class: "chips" }, el("legend", {}, legend), boxes.map(([, label]) => label));
  };
  const form = el("form", { class: "filters", input: update, submit: (event) => event.preventDefault() },
    fields,
    chips("Severity", SEVERITIES.map((name) => [name, name]), (row) => row.severity),
    chips("Status", Object.entries(STATUS), (row) => row.status));
  const clear = el("button", { type: "button", class: "link", click: () => { form.reset(); update(); } }, "Show all");
  form.append(el("div", { class: "tally" }, tally, clear));
  into("findings", form, el("div", { class: "panel" }, node));
  update();
}

function drawAccepted() {
  const states = { counts: ["yes", "counts"], expired: ["no", "expired"], "matches nothing": ["MEDIUM", "matches no finding: remove it"] };
  const columns = [
    { name: "Until", key: (row) => row.until, cell: (row) => row.until },
    { name: "Advisory or rule", text: true, key: (row) => row.id, cell: (row) => row.id },
    { name: "Package or file", text: true, key: (row) => row.package, cell: (row) => row.package },
    { name: "State", key: (row) => row.state, cell: (row) => mark(...states[row.state]) },
    { name: "Reason", text: true, cell: (row) => row.reason },
  ];
  into("accepted", data.acceptances.length
    ? el("div", { class: "panel" }, table("Acceptances", columns, data.acceptances, 0).node)
    : el("p", { class: "panel pad" }, "No finding is accepted: accept.toml has no entries or does not exist."));
  const applied = having("not_affected", "fixed");
  if (!applied.length) return;
  const vex = FINDINGS.filter(({ name }) => ["Advisory", "Package", "Status"].includes(name));
  into("accepted", el("details", {}, el("summary", {}, `${many(applied.length, "more finding")} not applicable or fixed according to VEX documents`),
    el("div", { class: "panel" }, table("By VEX documents", vex, applied).node)));
}

// Size: a squarified treemap (Bruls, Huizing, van Wijk, 2000) ----------------------------------------------------------

function squarify(parts, [x, y, width, height]) {
  const boxes = [];
  let left = parts.reduce((sum, [, size]) => sum + size, 0);
  for (let at = 0; at < parts.length && width > 0 && height > 0;) {
    const scale = (width * height) / left;
    const short = Math.min(width, height);
    let end = at, taken = 0, worst = Infinity;
    while (end < parts.length) {
      const grown = taken + parts[end][1];
      const side = (grown * scale) / short;
      const ratios = [parts[at][1], parts[end][1]].map((size) => (size * scale) / side / side);
      const ratio = Math.max(ratios[0], 1 / ratios[1]);
      if (ratio > worst) break;
      [worst, taken, end] = [ratio, grown, end + 1];
    }
    const side = (taken * scale) / short;
    let along = 0;
    for (; at < end; at += 1) {
      const length = (parts[at][1] * scale) / side;
      boxes.push(width >= height ? [x, y + along, side, length] : [x + along, y, length, side]);
      along += length;
    }
    if (width >= height) [x, width] = [x + side, width - side];
    else [y, height] = [y + side, height - side];
    left -= taken;
  }
  return boxes;
}

function drawSize() {
  const HEAD = 20, SHOWN = 14;
  const narrow = matchMedia("(max-width: 52rem)");
  const root = data.size.tree;
  const map = el("div"), list = el("div", { class: "panel" });
  const crumbs = el("ol", { class: "crumbs", "aria-label": "Where in the image" });
  const names = data.size.layers.map(([name]) => name);

  // Shows what is at a path of indexes from the root: its parts, and what these are made of.
  let redraw;
  function draw(path) {
    redraw = () => draw(path);
    const [width, height] = narrow.matches ? [360, 440] : [760, 500];
    const trail = path.reduce((nodes, at) => [...nodes, nodes[nodes.length - 1][2][at]], [root]);
    const [, total, parts] = trail[trail.length - 1];
    const colour = (at) => `layer-${names.indexOf((trail[1] || parts[at])[0])}`;
    crumbs.replaceChildren(...trail.map(([name], depth) => el("li", {}, depth === path.length
      ? el("b", { "aria-current": "true" }, name)
      : el("button", { type: "button", class: "link", click: () => draw(path.slice(0, depth)) }, name))));
    map.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Treemap of the parts in the table" },
      squarify(parts, [0, 0, width, height]).map((box, at) => part(parts[at], box, colour(at), () => draw([...path, at]), true))));
    const rows = parts.slice(0, SHOWN).map((row, at) => [...row.slice(0, 2), [
      path.length ? null : el("span", { class: `swatch ${colour(at)}` }),
      row[2] ? el("button", { type: "button", class: "link", click: () => draw([...path, at]) }, row[0]) : row[0],
    ]]);
    const rest = parts.slice(SHOWN).reduce((sum, [, size]) => sum + size, 0);
    if (rest) rows.push(["", rest, `${parts.length - SHOWN} more`]);
    const { node } = table("Largest parts", [
      { name: "Part", text: true, cell: ([, , shown]) => shown },
      { name: "Unpacked", number: true, cell: ([, size]) => bytes(size) },
      { name: "Share", number: true, cell: ([, size]) => `${((size / total) * 100).toFixed(1)}%` },
    ], rows);
    node.classList.remove("cards");
    list.replaceChildren(node);
  }

  function part([name, size, parts], [x, y, width, height], colour, enter, outer) {
    const open = outer && parts && width > 30 && height > HEAD + 12;
    const rect = svg("rect", { class: `box ${colour}`, width, height }, svg("title", {}, `${name}: ${bytes(size)}`));
    const boxes = open ? squarify(parts, [2, HEAD, width - 4, height - HEAD - 2]) : [];
    const box = svg("svg", { x, y, width, height }, rect, boxes.map((place, at) => part(parts[at], place, colour, enter, false)));
    if (outer && parts) make(box, { class: "into", click: enter }, []);
    if (width > 42 && height > 16) box.append(svg("text", { x: 6, y: 14 }, name));
    if (!open && width > 42 && height > 34) box.append(svg("text", { x: 6, y: 29, class: "soft" }, bytes(size)));
    return box;
  }

  const all = data.size.layers.reduce((sum, [, , size]) => sum + size, 0);
  into("size", el("p", { class: "lead" }, `${bytes(pulled)} to push and pull, ${bytes(all)} unpacked. Compressed: `,
    `${data.size.layers.map(([name, size]) => `${name} ${bytes(size)}`).join(", ")}.`),
  crumbs, el("div", { class: "columns" }, map, list));
  draw([]);
  narrow.addEventListener("change", () => redraw());
}

// Dependencies --------------------------------------------------------------------------------------------------------

const urgent = (part) => part.findings.map((at) => data.findings[at]).filter(({ status }) => status === "breaking" || status === "warning");

function drawDependencies() {
  if (!data.sbom) return into("dependencies", el("p", { class: "panel pad" }, "Not known: there is no SBOM."));
  const { components, columns } = data.sbom;
  const WIDTH = 1080, ROW = 30, NODE = 220, HEIGHT = 26, LANE = 30, TOP = 42, LEFTS = [0, 410, 800];
  const tall = TOP + ROW * Math.max(...columns.map(([, parts]) => parts.length), 4);
  const at = new Map();
  columns.forEach(([, parts], column) => parts.forEach((part, row) =>
    at.set(part, { column, x: LEFTS[column], y: TOP + ((row + 0.5) * (tall - TOP)) / parts.length })));

  // Everything that can be reached from a component, with the step that led there.
  const needed = new Map([...at.keys()].map((part) => [part, []]));
  for (const part of at.keys()) for (const need of components[part].needs) needed.get(need).push(part);
  function reach(start, next) {
    const from = new Map([[start, null]]);
    for (const part of from.keys()) for (const other of next(part)) if (!from.has(other)) from.set(other, part);
    return from;
  }

  const edges = [...at.keys()].flatMap((part) => components[part].needs.map((need) => {
    const one = at.get(part), other = at.get(need), x = one.x + NODE;
    const bulge = x + 14 + 3 * Math.sqrt(Math.abs(other.y - one.y));
    const curve = (left, top, right, bottom) => `C${(left + right) / 2},${top} ${(left + right) / 2},${bottom} ${right},${bottom}`;
    const ways = [
      () => `C${bulge},${one.y} ${bulge},${other.y} ${x},${other.y}`,
      () => curve(x, one.y, other.x, other.y),
      // Over the column between the two, not through it.
      () => `${curve(x, one.y, LEFTS[1], LANE)} H${LEFTS[1] + NODE} ${curve(LEFTS[1] + NODE, LANE, other.x, other.y)}`,
    ];
    const d = `M${x},${one.y} ${ways[other.column - one.column]()}`;
    return { part, need, path: svg("path", { class: "edge", d }) };
  }));
  const label = (part) => `${components[part].name} ${short(components[part].version)}`;
  const nodes = new Map([...at.keys()].map((part) => {
    const { x, y } = at.get(part), { name, version } = components[part], found = urgent(components[part]);
    const words = svg("text", { x: 10, y: 17 }, name, " ", svg("tspan", { class: "soft" }, short(version)));
    const dot = found.length ? svg("circle", { class: found[0].severity, cx: NODE - 13, cy: HEIGHT / 2, r: 4.5 }) : null;
    const name_ = `${label(part)}${found.length ? `, ${many(found.length, "finding")}` : ""}`;
    const press = (event) => {
      if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      choose(part);
    };
    return [part, svg("g", { class: "node", role: "button", tabindex: 0, "aria-pressed": "false", "aria-label": name_, transform: `translate(${x},${y - HEIGHT / 2})`, click: press, keydown: press },
      svg("rect", { width: NODE, height: HEIGHT, rx: 5 }), svg("svg", { width: NODE - 24, height: HEIGHT }, words), dot)];
  }));
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${tall + 4}`, role: "group", "aria-label": "Which component needs which" },
    columns.map(([name, parts], column) => svg("text", { class: "soft", x: LEFTS[column], y: 14 }, `${name} (${parts.length})`)),
    edges.map(({ path }) => path), [...nodes.values()]);
  const told = el("div", { class: "told pad", "aria-live": "polite" });
  const row = (name, ...value) => [el("dt", {}, name), el("dd", {}, ...value)];

  let chosen = null;
  function choose(part) {
    chosen = part === chosen ? null : part;
    drawing.classList.toggle("chosen", chosen !== null);
    for (const [other, node] of nodes) node.setAttribute("aria-pressed", `${other === chosen}`);
    if (chosen === null) return told.replaceChildren(el("p", { class: "muted" }, "Select a component to see why it is in the image and what it needs. A dot marks components with findings that break the policy or warn."));
    const up = reach(part, (other) => needed.get(other)), down = reach(part, (other) => components[other].needs);
    for (const [other, node] of nodes) node.classList.toggle("lit", up.has(other) || down.has(other));
    for (const { part: one, need, path } of edges) path.classList.toggle("lit", (up.has(one) && up.has(need)) || (down.has(one) && down.has(need)));
    const { name, version, purl, licence, kind } = components[part];
    const chain = [];
    for (let other = [...up.keys()].find((one) => at.get(one).column === 0); other !== undefined && other !== null; other = up.get(other)) chain.push(other);
    const found = urgent(components[part]);
    told.replaceChildren(el("h3", {}, `${name} ${version}`), el("dl", {},
      chain.length > 1 ? row("Brought in by", chain.map(label).join(" → ")) : [],
      row("Needed by", needed.get(part).map(label).join(", ") || NONE),
      row("Needs", components[part].needs.map(label).join(", ") || NONE),
      row("Licence", licence || "not known"), row("Kind", kind), row("Package URL", el("code", {}, purl)),
      found.map((finding) => row(finding.id, mark(finding.severity), ` ${finding.next}`))));
  }
  into("dependencies", el("p", { class: "lead" }, "From the project’s own applications through its packages to Erlang/OTP. A dependency that is needed only through another component has no line of its own."),
    el("div", { class: "panel" }, el("div", { class: "scroll pad", tabindex: 0, role: "region", "aria-label": "Dependency graph" }, drawing), told));
  choose(null);
}
const short = (version) => (/^[0-9a-f]{40}$/.test(version) ? version.slice(0, 7) : version);

// The rest ------------------------------------------------------------------------------------------------------------

function drawSbom() {
  if (!data.sbom) return into("sbom", el("p", { class: "panel pad" }, "There is no SBOM: the section Scanners shows what failed."));
  const { components, counts, licences, system } = data.sbom;
  const WORDS = { os: `packages of ${system}`, otp: "applications of Erlang/OTP", hex: "Hex packages", git: "git dependencies", own: "own applications", other: "others", "not shipped": "locked, but not in the image" };
  const rows = (pairs) => {
    const most = Math.max(1, ...pairs.map(([, number]) => Number(number)));
    return el("ul", { class: "panel changes" }, pairs.map(([name, number]) =>
      el("li", {}, el("span", {}, name), el("span", { class: "muted" }, `${number}`), number ? bar(number / most) : null)));
  };
  const kinds = Object.entries(counts).filter(([, number]) => number).map(([kind, number]) => [WORDS[kind] || kind, number]);
  const first = licences.slice(0, 8).map(([name, number]) => [name || "not known", number]);
  if (licences.length > 8) first.push([`${licences.length - 8} more`, ""]);
  into("sbom", el("div", { class: "columns" },
    el("div", {}, el("h3", {}, "Licences"), rows(first)), el("div", {}, el("h3", {}, "Components"), rows(kinds))));
  const columns = [
    { name: "Component", key: (row) => row.name, cell: (row) => row.name },
    { name: "Version", key: (row) => row.version, cell: (row) => short(row.version) },
    { name: "Kind", key: (row) => row.kind, cell: (row) => row.kind },
    { name: "Licence", text: true, key: (row) => row.licence || null, cell: (row) => row.licence || NONE },
    { name: "Findings", number: true, key: (row) => -row.findings.length, cell: (row) => `${row.findings.length || NONE}` },
  ];
  into("sbom", el("details", {}, el("summary", {}, `All ${many(components.length, "component")}`),
    el("div", { class: "panel" }, table("Components", columns, components).node)));
}

function drawChecks() {
  const word = (passed) => (passed === null ? mark("MEDIUM", "did not run") : passed ? mark("yes", "passed") : mark("no", "failed"));
  const columns = [
    { name: "Check", cell: ([name]) => name },
    { name: "Result", key: ([, passed]) => [false, null, true].indexOf(passed), cell: ([, passed]) => word(passed) },
    { name: "Details", text: true, cell: ([, , detail]) => detail || NONE },
  ];
  into("compliance", el("div", { class: "panel" }, table("Checks of the image", columns, data.checks).node));
}

function drawScanners() {
  const { header, rows } = data.scanners;
  const columns = header.map((name, at) => ({ name: name[0].toUpperCase() + name.slice(1), cell: (row) => (row[at] === "-" ? NONE : row[at]) }));
  into("scanners", el("div", { class: "panel" }, table("Runs of the scanners", columns, rows).node),
    el("ul", { class: "notes" }, data.remarks.map((line) => el("li", {}, line))));
}

// A print has everything: details are opened for it.
function whenPrinted() {
  const closed = () => document.querySelectorAll("details:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => { opened = [...closed()]; for (const each of opened) each.open = true; });
  addEventListener("afterprint", () => { for (const each of opened) each.open = false; });
}

for (const draw of [drawVerdict, drawChanges, drawFindings, drawAccepted, drawSize, drawDependencies, drawSbom, drawChecks, drawScanners, whenPrinted]) draw();
document.getElementById("sections").append(...[...document.querySelectorAll("section")].map((section) =>
  el("li", {}, el("a", { href: `#${section.id}` }, section.querySelector("h2").textContent))));
