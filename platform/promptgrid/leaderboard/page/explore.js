/* Columns to choose, datasets to leave out, two methods side by side; what is chosen stands in the address.
   Without it every table is still complete. */
"use strict";
(function () {
  var SAME = 1e-9; // scores closer than this are one score
  var MINUS = "\u2212";
  var state = {};
  var appliers = [];

  function make(tag, attributes, children) {
    var element = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (name) { element.setAttribute(name, attributes[name]); });
    element.append.apply(element, children || []);
    return element;
  }

  /* ---- the address: #section~key=value&key=value ---- */
  function parts() {
    var found = /^#([^~]*)~?(.*)$/.exec(location.hash) || ["", "", ""];
    return { place: found[1], told: found[2] };
  }

  function remember(key, value) {
    if (value === "" || value === null) delete state[key];
    else state[key] = value;
    write(parts().place);
  }

  function write(place) {
    var told = Object.keys(state).sort().map(function (key) { return key + "=" + encodeURIComponent(state[key]); }).join("&");
    history.replaceState(null, "", told || place ? "#" + place + (told ? "~" + told : "") : location.pathname + location.search);
  }

  function read() {
    var found = parts();
    state = {};
    found.told.split("&").filter(Boolean).forEach(function (pair) {
      var cut = pair.indexOf("=");
      try { state[pair.slice(0, cut)] = decodeURIComponent(pair.slice(cut + 1)); } catch (error) { /* not one of ours */ }
    });
    appliers.forEach(function (apply) { apply(); });
    var target = found.told && found.place && document.getElementById(found.place);
    if (target) target.scrollIntoView();
  }

  window.addEventListener("hashchange", function () {
    if (location.hash.indexOf("~") >= 0) read();
    else write(parts().place); // a link to a section keeps what is chosen
  });

  /* ---- a link to a card opens it, also where the browser does not ---- */
  document.addEventListener("click", function (event) {
    var link = event.target.closest && event.target.closest("a.to-card");
    var card = link && document.getElementById(link.getAttribute("href").slice(1));
    if (card) card.parentNode.open = true;
  });

  function listOf(key) { return (state[key] || "").split(",").filter(Boolean); }

  /* ---- a box of things to tick ---- */
  function chooser(title, names, onChange) {
    var boxes = names.map(function (name) {
      var box = make("input", { type: "checkbox" });
      box.checked = true;
      box.addEventListener("change", function () { onChange(); });
      return box;
    });
    var summary = make("summary", {}, [title]);
    var all = make("button", { type: "button" }, ["all"]);
    var none = make("button", { type: "button" }, ["none"]);
    [[all, true], [none, false]].forEach(function (pair) {
      pair[0].addEventListener("click", function () {
        boxes.forEach(function (box) { box.checked = pair[1]; });
        onChange();
      });
    });
    var labels = boxes.map(function (box, place) { return make("label", {}, [box, " " + names[place]]); });
    var element = make("details", { "class": "choose" }, [summary, make("div", {}, [all, none].concat(labels))]);
    return { element: element, boxes: boxes, summary: summary };
  }

  function toolsOf(table) {
    var before = table.parentNode.previousElementSibling;
    if (before && before.classList.contains("tools")) return before;
    var tools = make("div", { "class": "tools" });
    table.parentNode.before(tools);
    return tools;
  }

  /* ---- columns of the main tables ---- */
  function columnsOf(table) {
    return Array.from(table.tHead.rows[0].cells).filter(function (head) { return head.dataset.key; });
  }

  function chooseColumns(tables) {
    var seen = {};
    var keys = [];
    tables.forEach(function (table) {
      columnsOf(table).forEach(function (head) {
        var key = head.dataset.key;
        if (key !== "method" && key !== "place" && !seen[key]) { seen[key] = head; keys.push(key); }
      });
    });
    var quiet = keys.filter(function (key) { return "quiet" in seen[key].dataset; });
    var made = tables.map(function (table) {
      var one = chooser("Columns", keys.map(function (key) { return seen[key].dataset.title; }), function () {
        var off = keys.filter(function (key, place) { return !one.boxes[place].checked; });
        remember("hide", off.join() === quiet.join() ? "" : off.join() || "none");
        apply();
      });
      toolsOf(table).prepend(one.element);
      return one;
    });
    function apply() {
      var off = state.hide === undefined ? quiet : listOf("hide");
      tables.forEach(function (table, number) {
        made[number].boxes.forEach(function (box, place) { box.checked = off.indexOf(keys[place]) < 0; });
        var heads = Array.from(table.tHead.rows[0].cells);
        heads.forEach(function (head, column) {
          var key = head.dataset.key || head.dataset.of;
          var hidden = off.indexOf(key) >= 0;
          head.hidden = hidden;
          Array.from(table.tBodies[0].rows).forEach(function (row) { row.cells[column].hidden = hidden; });
        });
      });
    }
    appliers.push(apply);
  }

  /* ---- numbers as the page prints them ---- */
  function shown(table, value, sign) {
    if (value === null) return "\u2013";
    var text = (Number(table.dataset.factor) * value).toFixed(Number(table.dataset.digits));
    if (Number(text) === 0) text = text.replace("-", "");
    if (sign && Number(text) > 0) text = "+" + text;
    return text.replace("-", MINUS);
  }

  function value(cell) { return cell.dataset.sort === "" || cell.dataset.sort === undefined ? null : Number(cell.dataset.sort); }

  function ranksOf(values, sign) { // 1 the best, ties share their mean
    return values.map(function (own) {
      var better = 0, same = 0;
      values.forEach(function (other) {
        if (other === null) return;
        if (Math.abs(own - other) < SAME) same += 1;
        else if (sign * (other - own) > 0) better += 1;
      });
      return better + (same + 1) / 2;
    });
  }

  function mean(values) { return values.length ? values.reduce(function (a, b) { return a + b; }, 0) / values.length : null; }

  /* ---- datasets of the matrices: means and ranks over those that are chosen ---- */
  function datasetsOf(table) {
    return Array.from(table.tHead.rows[0].cells).filter(function (head) { return head.dataset.dataset; });
  }

  function chooseDatasets(tables) {
    var names = [];
    var titles = [];
    tables.forEach(function (table) {
      datasetsOf(table).forEach(function (head) {
        if (names.indexOf(head.dataset.dataset) < 0) { names.push(head.dataset.dataset); titles.push(head.dataset.title); }
      });
    });
    if (names.length < 2) return;
    var made = tables.map(function (table) {
      var one = chooser("Datasets", titles, function () {
        remember("leave", names.filter(function (name, place) { return !one.boxes[place].checked; }).join());
        apply();
      });
      toolsOf(table).prepend(one.element);
      addColumns(table);
      return one;
    });
    function apply() {
      var off = listOf("leave");
      tables.forEach(function (table, number) {
        made[number].boxes.forEach(function (box, place) { box.checked = off.indexOf(names[place]) < 0; });
        made[number].summary.textContent = off.length ? "Datasets: " + (names.length - off.length) + " of " + names.length : "Datasets";
        recompute(table, off);
      });
    }
    appliers.push(apply);
  }

  function addColumns(table) {
    var head = table.tHead.rows[0];
    [["Mean rank", "r now", "Mean over the chosen datasets of the rank among ranked rows"], ["Mean", "r now", "Mean over the chosen datasets"]]
      .forEach(function (told) {
        head.cells[0].after(make("th", { scope: "col", "class": told[1], title: told[2] }, [told[0]]));
        Array.from(table.tBodies[0].rows).forEach(function (row) { row.cells[0].after(make("td", { "class": "r now" })); });
      });
  }

  function recompute(table, off) {
    var sign = Number(table.dataset.sign);
    var heads = Array.from(table.tHead.rows[0].cells);
    var chosen = [];
    heads.forEach(function (head, column) {
      if (!head.dataset.dataset) return;
      var out = off.indexOf(head.dataset.dataset) >= 0;
      head.hidden = out;
      Array.from(table.tBodies[0].rows).forEach(function (row) { row.cells[column].hidden = out; });
      if (!out) chosen.push(column);
    });
    var rows = Array.from(table.tBodies[0].rows);
    var ranked = rows.filter(function (row) { return "ranked" in row.dataset; });
    var ranks = chosen.map(function (column) {
      return ranksOf(ranked.map(function (row) { return value(row.cells[column]); }), sign);
    });
    rows.forEach(function (row) {
      var values = chosen.map(function (column) { return value(row.cells[column]); });
      var whole = "whole" in row.dataset && values.every(function (one) { return one !== null; });
      var own = whole ? mean(values) : null;
      var place = ranked.indexOf(row);
      var rank = place < 0 ? null : mean(ranks.map(function (column) { return column[place]; }));
      row.cells[1].dataset.sort = own === null ? "" : own;
      row.cells[1].textContent = shown(table, own);
      row.cells[2].dataset.sort = rank === null ? "" : rank;
      row.cells[2].textContent = rank === null ? "\u2013" : rank.toFixed(2);
    });
  }

  /* ---- two rows side by side ---- */
  function sideBySide(tables) {
    tables.forEach(function (table) {
      var rows = Array.from(table.tBodies[0].rows);
      if (rows.length < 2) return;
      var names = rows.map(function (row) { return row.cells[0].dataset.sort; });
      var selects = [0, 1].map(function (which) {
        var select = make("select", { "aria-label": which ? "Second method" : "First method" });
        names.forEach(function (name) { select.append(new Option(name, name)); });
        select.addEventListener("change", function () { remember(which ? "b" : "a", select.value); appliers.forEach(function (apply) { apply(); }); });
        return select;
      });
      var out = make("div", { "class": "scroll" });
      var box = make("details", { "class": "side" }, [
        make("summary", {}, ["Two methods side by side"]),
        make("p", { "class": "tools left" }, [selects[0], " against ", selects[1]]), out,
      ]);
      table.parentNode.after(box);
      box.addEventListener("toggle", function () {
        if (box.open !== (state.side === "1")) remember("side", box.open ? "1" : "");
      });
      appliers.push(function () {
        selects[0].value = names.indexOf(state.a) >= 0 ? state.a : names[0];
        selects[1].value = names.indexOf(state.b) >= 0 ? state.b : names[names[0] === selects[0].value ? 1 : 0];
        box.open = state.side === "1";
        draw(table, rows, names, selects, out);
      });
    });
  }

  function draw(table, rows, names, selects, out) {
    var pair = selects.map(function (select) { return rows[names.indexOf(select.value)]; });
    var sign = Number(table.dataset.sign);
    var lines = [];
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      if (!head.dataset.dataset || head.hidden) return;
      var first = value(pair[0].cells[column]), second = value(pair[1].cells[column]);
      if (first !== null && second !== null) lines.push([head.dataset.title, first, second, first - second]);
    });
    lines.sort(function (a, b) { return sign * (b[3] - a[3]); });
    var widest = Math.max.apply(null, lines.map(function (line) { return Math.abs(line[3]); }).concat([SAME]));
    var body = lines.map(function (line) {
      var bar = make("span", { "class": "bar " + (sign * line[3] >= 0 ? "up" : "down") });
      bar.style.width = (50 * Math.abs(line[3]) / widest).toFixed(1) + "%";
      return make("tr", {}, [
        make("th", { scope: "row", "class": "l" }, [line[0]]),
        make("td", {}, [shown(table, line[1])]), make("td", {}, [shown(table, line[2])]),
        make("td", {}, [shown(table, line[3], true)]), make("td", { "class": "bars" }, [bar]),
      ]);
    });
    var tie = Number(table.dataset.tie);
    var won = lines.filter(function (line) { return sign * line[3] > tie; }).length;
    var lost = lines.filter(function (line) { return sign * line[3] < -tie; }).length;
    var told = "Of " + lines.length + " datasets the first wins " + won + ", ties " + (lines.length - won - lost) + ", loses " + lost +
      "; mean difference " + shown(table, mean(lines.map(function (line) { return line[3]; })), true) +
      ". With intervals, classes and examples: promptgrid compare.";
    out.replaceChildren(
      make("table", {}, [
        make("thead", {}, [make("tr", {}, ["Dataset", selects[0].value, selects[1].value, "Difference", ""].map(function (text, place) {
          return make("th", { scope: "col", "class": place ? "r" : "l" }, [text]);
        }))]),
        make("tbody", {}, body),
      ]),
      make("p", { "class": "note", role: "status" }, [told])
    );
  }

  /* ---- tabs, filters and sorting are remembered too ---- */
  function rememberTabs() {
    var inputs = Array.from(document.querySelectorAll(".tabs:not([data-free])>input"));
    document.addEventListener("change", function (event) {
      if (!event.target.matches(".tabs:not([data-free])>input")) return;
      remember("tab", event.target.id.split("-").pop());
    });
    appliers.push(function () {
      if (state.tab === undefined) return;
      inputs.forEach(function (input) { if (input.id.split("-").pop() === state.tab) input.checked = true; });
    });
  }

  function rememberTools() {
    document.addEventListener("input", function (event) {
      var name = event.target.dataset && event.target.dataset.remember;
      if (name) remember(name, event.target.value);
    });
    appliers.push(function () {
      document.querySelectorAll("[data-remember]").forEach(function (element) {
        var told = state[element.dataset.remember] || "";
        if (element.value === told) return;
        element.value = told;
        element.dispatchEvent(new Event(element.tagName === "SELECT" ? "change" : "input"));
      });
    });
  }

  function rememberSorting(tables) {
    tables.forEach(function (table) {
      table.addEventListener("sorted", function () {
        var head = table.querySelector("thead [aria-sort]");
        remember("sort", head && head.dataset.key ? head.dataset.key + "." + head.getAttribute("aria-sort") : "");
      });
      appliers.push(function () {
        var told = (state.sort || "").split(".");
        var head = columnsOf(table).find(function (one) { return one.dataset.key === told[0]; });
        var button = head && head.querySelector("button");
        for (var turn = 0; button && turn < 3 && head.getAttribute("aria-sort") !== told[1]; turn += 1) button.click();
      });
    });
  }

  var mains = Array.from(document.querySelectorAll("table.main"));
  var matrices = Array.from(document.querySelectorAll("table.matrix[data-sign]"));
  chooseColumns(mains);
  chooseDatasets(matrices);
  sideBySide(matrices);
  rememberTabs();
  rememberTools();
  rememberSorting(mains);
  read();
})();
