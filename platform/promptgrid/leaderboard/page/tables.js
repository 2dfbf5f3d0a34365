/* Makes tables.sortable sort and filter; without it every table is still complete and readable. */
"use strict";
(function () {
  function key(cell) {
    var raw = cell.hasAttribute("data-sort") ? cell.getAttribute("data-sort") : cell.textContent.trim();
    if (raw === "") return null;
    var number = Number(raw.replace(/,/g, ""));
    return Number.isNaN(number) ? raw.toLowerCase() : number;
  }

  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null); // nothing to compare goes last, either way
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return (a < b ? -1 : a > b ? 1 : 0) * sign;
  }

  function unranked(row) { // those stay behind the others, however a table is sorted
    return row.classList.contains("apart") ? 1 : row.classList.contains("holes") ? 2 : 0;
  }

  function sort(table, column, direction) {
    var body = table.tBodies[0];
    var rows = Array.from(body.rows);
    if (direction === "none") rows.sort(function (a, b) { return a.dataset.place - b.dataset.place; });
    else {
      var sign = direction === "ascending" ? 1 : -1;
      rows = rows
        .map(function (row) { return [key(row.cells[column]), row]; })
        .sort(function (a, b) {
          return unranked(a[1]) - unranked(b[1]) || compare(a[0], b[0], sign) || a[1].dataset.place - b[1].dataset.place;
        })
        .map(function (pair) { return pair[1]; });
    }
    body.append.apply(body, rows);
  }

  function makeSortable(table) {
    Array.from(table.tBodies[0].rows).forEach(function (row, place) { row.dataset.place = place; });
    var heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach(function (head) {
      if (head.hasAttribute("data-nosort")) return;
      var button = document.createElement("button");
      button.type = "button";
      button.append.apply(button, Array.from(head.childNodes));
      head.append(button);
      var first = head.classList.contains("r") && !head.classList.contains("c-place") ? "descending" : "ascending";
      var second = first === "descending" ? "ascending" : "descending";
      button.addEventListener("click", function () {
        var now = head.getAttribute("aria-sort") || "none";
        var next = now === "none" ? first : now === first ? second : "none";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        if (next !== "none") head.setAttribute("aria-sort", next);
        sort(table, head.cellIndex, next); // columns may have been put in between since
        table.dispatchEvent(new Event("sorted"));
      });
    });
  }

  /* Rows that say where their method stands (data-axes="axis:value ...") can be sliced by a value of an axis. */
  function axisChoice(rows) {
    var axes = {};
    rows.forEach(function (row) {
      (row.dataset.axes || "").split(" ").filter(Boolean).forEach(function (pair) {
        var axis = pair.split(":")[0];
        (axes[axis] = axes[axis] || new Set()).add(pair);
      });
    });
    var telling = Object.keys(axes).filter(function (axis) { return axes[axis].size > 1; });
    if (!telling.length) return null;
    var choice = document.createElement("select");
    choice.setAttribute("aria-label", "Show the methods with one value of an axis of the taxonomy");
    choice.append(new Option("All methods", ""));
    telling.forEach(function (axis) {
      var group = document.createElement("optgroup");
      group.label = axis;
      axes[axis].forEach(function (pair) { group.append(new Option(pair.split(":")[1].replace(/_/g, " "), pair)); });
      choice.append(group);
    });
    return choice;
  }

  function makeFilter(table) {
    var rows = Array.from(table.tBodies[0].rows);
    if (rows.length < 4) return;
    var tools = document.createElement("div");
    var shown = document.createElement("span");
    var input = document.createElement("input");
    tools.className = "tools";
    shown.setAttribute("role", "status");
    input.type = "search";
    input.placeholder = "Filter rows";
    input.setAttribute("aria-label", "Filter the rows of this table; words, all must occur");
    var choice = axisChoice(rows);
    function apply() {
      var slice = choice ? choice.value : "";
      var words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      var count = 0;
      rows.forEach(function (row) {
        var text = row.textContent.toLowerCase();
        var placed = !slice || (row.dataset.axes || "").split(" ").includes(slice);
        row.hidden = !placed || !words.every(function (word) { return text.includes(word); });
        count += !row.hidden;
      });
      shown.textContent = words.length || slice ? count + " of " + rows.length : "";
    }
    if (table.classList.contains("main")) input.dataset.remember = "find";
    input.addEventListener("input", apply);
    tools.append(shown, input);
    if (choice) {
      if (table.classList.contains("main")) choice.dataset.remember = "axis";
      choice.addEventListener("change", apply);
      tools.append(choice);
    }
    table.parentNode.before(tools);
  }

  /* Choosing a number of shots in one place chooses it everywhere. */
  function tieTabs() {
    var groups = Array.from(document.querySelectorAll(".tabs:not([data-free])"));
    groups.forEach(function (group) {
      group.addEventListener("change", function (event) {
        if (!event.target.matches("input[type=radio]")) return;
        var place = Array.from(group.querySelectorAll(":scope > input")).indexOf(event.target);
        groups.forEach(function (other) {
          var inputs = other.querySelectorAll(":scope > input");
          if (other !== group && inputs[place]) inputs[place].checked = true;
        });
      });
    });
  }

  document.querySelectorAll("table.sortable").forEach(function (table) {
    makeSortable(table);
    makeFilter(table);
  });
  tieTabs();
})();
