// Search and sort of the tables that are marked for it. The page is complete without.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];

  const key = (row, column, numeric) => {
    const value = row.cells[column].dataset.value;
    return numeric ? Number(value) : value;
  };
  const sort = (column) => {
    const head = heads[column];
    const numeric = head.classList.contains("number");
    const current = head.getAttribute("aria-sort");
    const descending = current ? current === "ascending" : numeric;
    const sign = descending ? -1 : 1;
    rows.sort((a, b) => {
      const [x, y] = [key(a, column, numeric), key(b, column, numeric)];
      return sign * (x < y ? -1 : x > y ? 1 : 0);
    });
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    body.append(...rows);
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(column));
    head.replaceChildren(button);
  });

  const box = document.createElement("div");
  box.className = "search";
  const label = document.createElement("label");
  label.textContent = "Search ";
  const input = document.createElement("input");
  input.type = "search";
  label.append(input);
  const count = document.createElement("output");
  const search = () => {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = ![...row.cells].some((cell) => cell.textContent.toLowerCase().includes(wanted));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  };
  input.addEventListener("input", search);
  box.append(label, count);
  table.parentElement.before(box);
  search();
}
