// The tables of the page: sort, search, choice of columns, full names, copy as CSV. And the choice of light or dark.
(function () {
  'use strict';
  var root = document.documentElement;

  function make(tag, text, attributes) {
    var element = document.createElement(tag);
    if (text) element.textContent = text;
    Object.keys(attributes || {}).forEach(function (key) { element.setAttribute(key, attributes[key]); });
    return element;
  }

  // What a cell is worth: its exact number where it has one, null where it was not recorded, else its text.
  function value(cell) {
    var exact = cell.getAttribute('data-v');
    if (exact !== null) return Number(exact);
    return cell.classList.contains('n') ? null : cell.textContent;
  }

  function compare(a, b) {
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    a = String(a); b = String(b);
    return a < b ? -1 : a > b ? 1 : 0;
  }

  function enhance(box) {
    var table = box.querySelector('table');
    var body = table.tBodies[0];
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
    var rows = Array.prototype.slice.call(body.rows);
    if (rows.length < 2) return;
    var said = make('span', '', { 'class': 'said', role: 'status' });

    heads.forEach(function (head, column) {
      var button = make('button', head.textContent, { type: 'button' });
      if (head.title) button.title = head.title;
      head.textContent = '';
      head.appendChild(button);
      head.setAttribute('aria-sort', 'none');
      button.addEventListener('click', function () { sort(column); });
    });

    function sort(column) {
      var head = heads[column];
      // Numbers are first looked at from the largest, words from the first.
      var first = head.classList.contains('t') ? 'ascending' : 'descending';
      var other = first === 'ascending' ? 'descending' : 'ascending';
      var order = head.getAttribute('aria-sort') === first ? other : first;
      var sign = order === 'ascending' ? 1 : -1;
      var keyed = rows.map(function (row, i) { return [value(row.cells[column]), i, row]; });
      keyed.sort(function (a, b) {
        if (a[0] === null || b[0] === null) return (a[0] === null) - (b[0] === null) || a[1] - b[1];
        return sign * compare(a[0], b[0]) || a[1] - b[1];
      });
      var all = document.createDocumentFragment();
      keyed.forEach(function (entry) { all.appendChild(entry[2]); });
      body.appendChild(all);
      heads.forEach(function (h) { h.setAttribute('aria-sort', h === head ? order : 'none'); });
    }

    if (rows.length < 7) return;
    var tools = make('div', '', { 'class': 'tools' });
    var title = box.getAttribute('data-title');
    var search = make('input', '', { type: 'search', placeholder: 'Search', 'aria-label': 'Search ' + title });
    search.addEventListener('input', function () {
      var wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      var shown = 0;
      rows.forEach(function (row) {
        var text = row.textContent.toLowerCase();
        row.hidden = !wanted.every(function (word) { return text.indexOf(word) >= 0; });
        shown += row.hidden ? 0 : 1;
      });
      said.textContent = wanted.length ? shown + ' of ' + rows.length + ' rows' : '';
    });
    tools.appendChild(search);

    if (table.querySelector('.w') && !box.classList.contains('prose')) {
      var full = make('button', 'Full names', { type: 'button', 'aria-pressed': 'false' });
      full.addEventListener('click', function () {
        full.setAttribute('aria-pressed', String(box.classList.toggle('full')));
      });
      tools.appendChild(full);
    }

    var columns = make('details', '', { 'class': 'cols' });
    columns.appendChild(make('summary', 'Columns'));
    var choices = make('div');
    heads.forEach(function (head, column) {
      var label = make('label');
      var tick = make('input', '', { type: 'checkbox' });
      tick.checked = true;
      tick.addEventListener('change', function () {
        head.hidden = !tick.checked;
        rows.forEach(function (row) { row.cells[column].hidden = !tick.checked; });
      });
      label.appendChild(tick);
      label.appendChild(document.createTextNode(' ' + head.textContent));
      choices.appendChild(label);
    });
    columns.appendChild(choices);
    tools.appendChild(columns);

    var copy = make('button', 'Copy as CSV', { type: 'button' });
    copy.addEventListener('click', function () {
      var shown = Array.prototype.filter.call(body.rows, function (row) { return !row.hidden; });
      var kept = heads.map(function (head, i) { return i; }).filter(function (i) { return !heads[i].hidden; });
      var lines = [kept.map(function (i) { return quoted(heads[i].getAttribute('data-key')); }).join(',')];
      shown.forEach(function (row) {
        lines.push(kept.map(function (i) {
          var cell = row.cells[i];
          if (cell.classList.contains('n')) return '';
          return quoted(cell.getAttribute('data-v') || cell.textContent);
        }).join(','));
      });
      var text = lines.join('\r\n') + '\r\n';
      box.omniCsv = text;
      put(text).then(
        function () { said.textContent = shown.length + ' rows copied'; },
        function () { said.textContent = 'the browser refused to copy'; }
      );
    });
    tools.appendChild(copy);
    tools.appendChild(said);
    box.insertBefore(tools, box.querySelector('.scroll'));
  }

  function quoted(text) { return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text; }

  function put(text) {
    if (navigator.clipboard && navigator.clipboard.writeText) {
      return navigator.clipboard.writeText(text).catch(function () { return putByHand(text); });
    }
    return putByHand(text);
  }

  function putByHand(text) {
    var area = document.createElement('textarea');
    area.value = text;
    document.body.appendChild(area);
    area.select();
    var done = document.execCommand('copy');
    area.remove();
    return done ? Promise.resolve() : Promise.reject(new Error('copy'));
  }

  // Folded and long tables are only made ready when they are needed, so that the page answers at once.
  Array.prototype.forEach.call(document.querySelectorAll('[data-table]'), function (box) {
    var isReady = false;
    function ready() { if (!isReady) { isReady = true; enhance(box); } }
    if (box.tagName === 'DETAILS' && !box.open) {
      box.addEventListener('toggle', ready);
    } else {
      ready();
    }
  });

  // A link to what is folded opens it.
  function unfold() {
    var target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === 'DETAILS') target.open = true;
  }
  window.addEventListener('hashchange', unfold);
  unfold();

  var dark = window.matchMedia('(prefers-color-scheme: dark)');
  function isDark() {
    var chosen = root.getAttribute('data-theme');
    return chosen ? chosen === 'dark' : dark.matches;
  }
  var theme = document.getElementById('theme');
  function named() { theme.textContent = isDark() ? 'Light' : 'Dark'; }
  theme.hidden = false;
  theme.addEventListener('click', function () {
    root.setAttribute('data-theme', isDark() ? 'light' : 'dark');
    named();
    window.dispatchEvent(new Event('themechange'));
  });
  dark.addEventListener('change', function () { named(); window.dispatchEvent(new Event('themechange')); });
  named();

  // Paper is white, and folded tables cannot be opened on it.
  var before = null;
  window.addEventListener('beforeprint', function () {
    before = root.getAttribute('data-theme');
    root.setAttribute('data-theme', 'light');
    window.dispatchEvent(new Event('themechange'));
  });
  window.addEventListener('afterprint', function () {
    if (before === null) root.removeAttribute('data-theme'); else root.setAttribute('data-theme', before);
    window.dispatchEvent(new Event('themechange'));
  });
})();
