"use strict";
(() => {
  const started = performance.now();
  const report = JSON.parse(document.getElementById("report").textContent);
  const changes = report.changes, summary = report.summary;
  const severities = ["critical", "high", "medium", "low"], kinds = ["added", "removed", "changed", "unknown"];
  const step = 150; // entries that are drawn at once

  // el makes an element; children that are no nodes become text, never markup.
  const el = (tag, attributes, ...children) => {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attributes || {})) {
      if (k === "class") e.className = v; else if (k.startsWith("on")) e.addEventListener(k.slice(2), v); else if (v !== undefined) e.setAttribute(k, v);
    }
    e.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== ""));
    return e;
  };
  const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
  const count = (n, one, many) => number(n) + " " + (n === 1 ? one : many);
  // visible makes what would hide or reorder text readable.
  const visible = (s) => s.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufeff\ufff9-\ufffb]/g,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  const value = (v) => {
    if (v === null || v === undefined) return "null";
    if (typeof v === "string") return v === "" ? '""' : visible(v);
    return visible(JSON.stringify(v));
  };
  const keyText = (k) => Object.values(k || {}).map(value).join(" ");
  const end = (e) => "(" + e.label + " " + keyText(e.on) + ")";
  const title = (c) => {
    if (c.relationship) return end(c.relationship.from) + "-[" + c.relationship.type + "]->" + end(c.relationship.to);
    if (c.key) return keyText(c.key);
    if (c.rows) return count(c.rows, "row", "rows") + " not compared";
    return (c.properties || []).map((p) => p.name).join(", ") || "not compared";
  };
  const arrow = (r) => r.type + (r.direction === "out" ? " → " : " ← ") + r.label;
  const names = {};
  for (const a of [...summary.accounts || [], ...summary.only_old || [], ...summary.only_new || []]) if (a.name) names[a.id] = a.name;
  const accountName = (id) => names[id] ? id + " " + visible(names[id]) : id;

  // What an entry is filtered and searched by, worked out once.
  const gather = (v, out) => {
    if (v === null || v === undefined) return;
    if (typeof v === "object") for (const e of Object.values(v)) gather(e, out); else out.push(String(v));
  };
  const items = changes.map((c, index) => {
    const item = { c, index, severity: c.severity || "", kind: c.change, account: c.account, service: (c.sync || "").split(":")[0], table: c.table || "", region: c.region || "global" };
    let text = null;
    Object.defineProperty(item, "text", { get() { if (text === null) { const out = []; gather(c, out); text = out.join("\n").toLowerCase(); } return text; } });
    return item;
  });
  const facets = [
    { name: "severity", title: "Severity", order: [...severities, ""], label: (v) => v || "not ranked" },
    { name: "kind", title: "Kind", order: kinds, label: (v) => v },
    { name: "account", title: "Account", label: accountName },
    { name: "service", title: "Service", label: (v) => v || "whole account" },
    { name: "table", title: "Table", label: (v) => v || "whole account", most: 14 },
    { name: "region", title: "Region", label: (v) => v, most: 8 },
  ];
  for (const f of facets) {
    const seen = new Map();
    for (const i of items) seen.set(i[f.name], (seen.get(i[f.name]) || 0) + 1);
    f.values = f.order ? f.order.filter((v) => seen.has(v)) : [...seen.keys()].sort((a, b) => seen.get(b) - seen.get(a) || (a < b ? -1 : 1));
  }

  // The filters live in the address, so that a link leads to what one sees.
  const state = { q: "", picked: {}, open: new Set(), more: new Set() };
  for (const f of facets) state.picked[f.name] = new Set();
  const readAddress = () => {
    const p = new URLSearchParams(location.hash.slice(1));
    state.q = p.get("q") || "";
    for (const f of facets) state.picked[f.name] = new Set(p.getAll(f.name));
    if (p.has("open")) for (const n of p.getAll("open")) state.open.add(Number(n));
  };
  const writeAddress = () => {
    const p = new URLSearchParams();
    if (state.q) p.set("q", state.q);
    for (const f of facets) for (const v of state.picked[f.name]) p.append(f.name, v);
    history.replaceState(null, "", p.size ? "#" + p : location.pathname + location.search);
  };

  const list = document.getElementById("list"), nav = document.getElementById("facets");
  let shown = [], drawn = 0, section = null;

  const matches = (i, words, except) => {
    for (const f of facets) if (f.name !== except && state.picked[f.name].size && !state.picked[f.name].has(i[f.name])) return false;
    for (const w of words) if (!i.text.includes(w)) return false;
    return true;
  };

  const search = el("input", { type: "search", placeholder: "Search id, name, value …", "aria-label": "Search", autocomplete: "off", spellcheck: "false" });
  let timer;
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => { state.q = search.value; update(); }, 90); });
  const facetBox = el("div"), fold = el("details", {}, el("summary", {}, "Filters"), facetBox); // folds on a narrow screen only
  fold.open = matchMedia("(min-width: 861px)").matches;
  nav.append(search, fold, el("div", { class: "keys" }, el("kbd", {}, "/"), " search  ", el("kbd", {}, "j"), " ", el("kbd", {}, "k"), " next, previous  ", el("kbd", {}, "Enter"), " open"));

  const drawFacets = (words) => {
    const pools = {};
    for (const f of facets) pools[f.name] = new Map();
    for (const i of items) {
      // An entry counts for a facet if all the other filters take it.
      let misses = 0, missed = "";
      for (const f of facets) if (state.picked[f.name].size && !state.picked[f.name].has(i[f.name])) { misses++; missed = f.name; if (misses > 1) break; }
      if (misses > 1 || words.some((w) => !i.text.includes(w))) continue;
      for (const f of facets) if (!misses || missed === f.name) pools[f.name].set(i[f.name], (pools[f.name].get(i[f.name]) || 0) + 1);
    }
    const boxes = [];
    for (const f of facets) {
      if (f.values.length < 2 && !state.picked[f.name].size) continue;
      const picked = state.picked[f.name], all = state.more.has(f.name);
      const values = f.values.filter((v, n) => !f.most || all || n < f.most || picked.has(v));
      boxes.push(el("h2", {}, f.title), values.map((v) => {
        const n = pools[f.name].get(v) || 0;
        return el("button", { class: "facet" + (n ? "" : " none"), "aria-pressed": String(picked.has(v)), title: f.label(v), onclick: () => { picked.has(v) ? picked.delete(v) : picked.add(v); update(); } },
          el("span", { class: f.name === "kind" && !picked.has(v) ? v : "" }, f.label(v)), el("span", {}, number(n)));
      }));
      if (values.length < f.values.length) boxes.push(el("button", { class: "clear", onclick: () => { state.more.add(f.name); update(); } }, f.values.length - values.length + " more"));
    }
    if (state.q || facets.some((f) => state.picked[f.name].size)) {
      boxes.push(el("div", {}, el("button", { class: "clear", onclick: () => { state.q = search.value = ""; for (const f of facets) state.picked[f.name].clear(); update(); } }, "Clear all filters")));
    }
    facetBox.replaceChildren(...boxes.flat());
  };

  const badge = (s) => s ? el("span", { class: "badge " + s }, s) : null;
  const reason = (r) => r ? "(" + (r.side === "both" ? "both snapshots" : r.side + " snapshot") + ": " + visible(r.text) + ")" : "";
  const sets = (added, removed) => [...(removed || []).map((v) => el("del", {}, "− " + value(v))), ...(added || []).map((v) => el("ins", {}, "+ " + value(v)))];

  const gist = (c) => {
    if (c.findings) {
      const f = c.findings[0];
      return [badge(f.severity), el("span", { class: "finding" }, f.text), f.elements ? ": " + f.elements.map(value).join(", ") : "", c.findings.length > 1 ? " · " + (c.findings.length - 1) + " more" : ""];
    }
    if (c.unknown && !(c.properties || []).length && !(c.relations || []).length) return [(c.perhaps ? "perhaps " + c.perhaps + " " : "") + reason(c.unknown)];
    if (c.change === "changed" || c.change === "unknown") {
      const parts = (c.properties || []).map((p) => {
        if (p.unknown) return p.name + " unknown";
        if (p.diff) return p.name + " differs";
        if (p.added || p.removed) return p.name + " " + [...(p.removed || []).map((v) => "− " + value(v)), ...(p.added || []).map((v) => "+ " + value(v))].join(" ");
        return p.name + " " + value(p.old) + " → " + value(p.new);
      });
      for (const r of c.relations || []) parts.push(arrow(r) + " " + [...(r.removed || []).map((v) => "− " + value(v)), ...(r.added || []).map((v) => "+ " + value(v))].join(" "));
      return [parts.join(" · ").slice(0, 400)];
    }
    return [];
  };

  const body = (c) => {
    const out = [];
    for (const f of c.findings || []) {
      out.push(el("p", {}, badge(f.severity), f.text, f.elements ? ": " + f.elements.map(value).join(", ") : "", el("span", { class: "where" }, "  " + f.rule + (f.perhaps ? " · perhaps not new: the old snapshot does not know" : ""))));
    }
    if (c.unknown) out.push(el("p", { class: "unknown" }, (c.perhaps ? "perhaps " + c.perhaps + " " : "unknown ") + reason(c.unknown)));
    const rows = [];
    const both = c.change === "changed" || c.change === "unknown" && !c.perhaps;
    for (const p of c.properties || []) {
      let cell;
      if (p.unknown) cell = el("td", {}, el("span", { class: "unknown" }, "unknown "), "old" in p ? "was " + value(p.old) + " " : "new" in p ? "is " + value(p.new) + " " : "", el("span", { class: "where" }, reason(p.unknown)));
      else if (p.diff) {
        cell = el("td", {}, el("pre", {}, p.diff.map((l) => {
          const mark = l[0];
          return el("span", { class: mark === "+" ? "plus" : mark === "-" ? "minus" : mark === "@" ? "gap" : "" }, (mark === "@" ? "⋯" : mark) + " " + visible(l.slice(1)));
        })));
      } else if (p.added || p.removed) cell = el("td", { class: "mono" }, p.old === null ? "was null " : p.new === null ? "is null " : "", sets(p.added, p.removed));
      else if (both) cell = el("td", { class: "mono" }, el("del", {}, value(p.old)), "→ ", el("ins", {}, value(p.new)));
      else cell = el("td", { class: "mono" }, value("new" in p ? p.new : p.old));
      rows.push(el("tr", {}, el("td", { class: "mono" }, p.name), cell));
    }
    for (const r of c.relations || []) {
      const name = arrow(r) + (r.property ? " {" + r.property + "}" : "");
      const cell = el("td", { class: "mono" }, r.property && !r.unknown ? [el("del", {}, value(r.old)), "→ ", el("ins", {}, value(r.new))] : sets(r.added, r.removed), r.unknown ? [el("span", { class: "unknown" }, (r.added || r.removed) ? " perhaps " : " unknown "), reason(r.unknown)] : null);
      rows.push(el("tr", {}, el("td", { class: "mono" }, name), cell));
    }
    if (rows.length) out.push(el("table", {}, el("tbody", {}, rows)));
    const place = [c.provider + "/" + c.account, c.region, c.sync, c.table, c.label].filter(Boolean).join(" · ");
    out.push(el("p", { class: "where" }, place));
    return el("div", { class: "body" }, out);
  };

  const card = (i) => {
    const c = i.c;
    const a = el("article", { class: i.severity, "data-index": i.index });
    const b = el("button", { "aria-expanded": "false", onclick: () => toggle() },
      el("span", { class: "kind " + c.change }, c.change),
      el("span", { class: "what" }, el("b", { class: "mono" }, title(c)), c.name ? el("span", { class: "name" }, visible(c.name)) : null),
      el("span", { class: "where" }, [c.table, accountName(c.account), c.region].filter(Boolean).join(" · ")));
    const g = gist(c).filter(Boolean);
    if (g.length) b.append(el("span", { class: "gist" }, g));
    a.append(b);
    const toggle = (force) => {
      const open = force === undefined ? !state.open.has(i.index) : force;
      if (open) { state.open.add(i.index); if (!a.querySelector(".body")) a.append(body(c)); } else { state.open.delete(i.index); const e = a.querySelector(".body"); if (e) e.remove(); }
      b.setAttribute("aria-expanded", String(open));
    };
    a.toggle = toggle;
    if (state.open.has(i.index)) toggle(true);
    return a;
  };

  const sentinel = el("div");
  const more = () => {
    const batch = document.createDocumentFragment();
    for (const limit = Math.min(shown.length, drawn + step); drawn < limit; drawn++) {
      const i = shown[drawn];
      if (summary.severities && i.severity !== section) { section = i.severity; batch.append(el("h2", { class: "section" }, section || "the rest")); }
      batch.append(card(i));
    }
    sentinel.before(batch);
    list.dataset.drawn = drawn;
  };
  new IntersectionObserver((e) => { if (e.some((x) => x.isIntersecting) && drawn < shown.length) more(); }, { rootMargin: "1500px" }).observe(sentinel);

  const status = el("div", { class: "status", role: "status" });
  const update = () => {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const begin = performance.now();
    shown = items.filter((i) => matches(i, words));
    drawFacets(words);
    drawn = 0; section = null;
    const all = shown.length === items.length;
    status.replaceChildren(el("span", {}, all ? count(items.length, "entry", "entries") : number(shown.length) + " of " + count(items.length, "entry", "entries")));
    if (shown.length) status.append(el("button", { onclick: () => { for (const a of list.querySelectorAll("article")) a.toggle(true); } }, "Open what is here"), el("button", { onclick: () => { for (const a of list.querySelectorAll("article")) a.toggle(false); state.open.clear(); } }, "Close all"));
    list.replaceChildren(status, sentinel);
    if (!shown.length) sentinel.before(el("div", { class: "empty" }, items.length ? "No entry matches these filters." : "Nothing differs."));
    more();
    writeAddress();
    list.dataset.shown = shown.length;
    list.dataset.filterMs = Math.round(performance.now() - begin);
  };

  const head = () => {
    const s = summary, t = s.total, top = document.getElementById("top");
    const when = (x) => x.started.replace("T", " ").replace(/(\.\d+)?Z$/, "") + " UTC";
    const total = s.cells.total, share = total ? Math.round(100 * s.cells.comparable / total) : 100;
    const counts = el("div", { class: "counts" });
    for (const v of s.severities || []) counts.append(el("span", {}, badge(v.severity), el("b", {}, number(v.entries))));
    for (const k of kinds) if (t[k]) counts.append(el("span", { class: k }, el("b", {}, number(t[k])), k));
    counts.append(el("span", {}, el("b", {}, number(t.same)), "the same"));
    const bar = el("i"); bar.style.width = share + "%";
    counts.append(el("span", {}, el("span", { class: "bar" }, bar), number(s.cells.comparable) + " of " + count(total, "cell", "cells") + " compared"));
    if (s.outside) counts.append(el("span", { title: "of accounts, regions or syncs that the snapshot lacks" }, el("b", {}, number(s.outside.nodes)), "of the graph left out"));
    if (s.ignored) counts.append(el("span", {}, el("b", {}, number(s.ignored)), "ignored"));
    top.append(el("h1", {}, "What drifted"), el("div", { class: "when", title: s.old.id + " → " + s.new.id }, when(s.old) + "  →  " + when(s.new)), counts);
    const gaps = new Map();
    for (const a of s.only_old || []) gaps.set("Account " + accountName(a.id) + " only in the old snapshot: " + count(a.rows, "row", "rows"), []);
    for (const a of s.only_new || []) gaps.set("Account " + accountName(a.id) + " only in the new snapshot: " + count(a.rows, "row", "rows"), []);
    for (const g of s.gaps || []) {
      const why = [g.old, g.new].filter(Boolean).map((r) => r.side + ": " + visible(r.text)).join("; ");
      const name = accountName(g.account) + " " + g.sync + ", " + why;
      gaps.set(name, [...gaps.get(name) || [], g.region || "global"]);
    }
    if (gaps.size) top.append(el("details", {}, el("summary", {}, "Not compared, or not wholly: " + count((s.gaps || []).length + (s.only_old || []).length + (s.only_new || []).length, "part", "parts")), el("ul", {}, [...gaps].map(([name, regions]) => el("li", {}, name + (regions.length ? " (" + regions.join(", ") + ")" : ""))))));
  };

  document.addEventListener("keydown", (e) => {
    if (e.target === search) { if (e.key === "Escape") search.blur(); return; }
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "/") { e.preventDefault(); search.focus(); return; }
    const move = { j: 1, k: -1 }[e.key];
    if (!move) return;
    const buttons = [...list.querySelectorAll("article > button")];
    const at = buttons.indexOf(document.activeElement);
    const next = buttons[at < 0 ? 0 : Math.max(0, Math.min(buttons.length - 1, at + move))];
    if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
  });
  addEventListener("hashchange", () => { readAddress(); search.value = state.q; update(); });

  head();
  readAddress();
  search.value = state.q;
  update();
  list.dataset.readyMs = Math.round(performance.now() - started);
})();
