
"use strict";
// Sorts and filters the table of verdicts.  Without this script the table is complete, in the order of review.
(() => {
  const table = document.getElementById("verdict-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const controls = document.getElementById("verdict-controls");
  const shown = document.getElementById("verdicts-shown");
  const search = document.getElementById("verdict-search");
  const selects = Array.from(controls.querySelectorAll("select"));

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
  };

  const sortBy = (header, column) => {
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    const numeric = header.dataset.kind === "number";
    const factor = ascending ? 1 : -1;
    rows.sort((one, other) => {
      const a = valueOf(one, column), b = valueOf(other, column);
      // Missing values stay at the end in both directions.
      if (a === "" || b === "") return (a === "") - (b === "");
      return factor * (numeric ? a - b : a.localeCompare(b, "en", { numeric: true }));
    });
    for (const cell of header.parentElement.cells) cell.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    body.append(...rows);
  };

  const filter = () => {
    const text = search.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const matches =
        selects.every((select) => select.value === "" || row.dataset[select.dataset.key] === select.value) &&
        (text === "" || (row.cells[0].textContent + " " + row.dataset.reason).toLowerCase().includes(text));
      row.hidden = !matches;
      count += matches;
    }
    shown.textContent = count.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " rows shown";
  };

  Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
    if (header.dataset.kind === undefined) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sortBy(header, column));
    header.append(button);
  });
  search.addEventListener("input", filter);
  for (const select of selects) select.addEventListener("change", filter);
  controls.hidden = false;
  filter();

  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
})();
