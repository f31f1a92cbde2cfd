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

  // The text of a cell; a name that is shown short stands whole in its title.
  function whole(cell) { return cell.title || cell.textContent; }

  // What a cell is worth: its exact number where it has one, null where it was not recorded, else its text.
  function value(cell) {
    var exact = cell.getAttribute('data-v');
    if (exact !== null) return Number(exact);
    return cell.classList.contains('n') ? null : whole(cell);
  }

  function compare(a, b) {
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    a = String(a); b = String(b);
    return a < b ? -1 : a > b ? 1 : 0;
  }

  // Makes a table ready; gives what fits its columns to its place.
  function enhance(box) {
    var table = box.querySelector('table');
    var scroll = box.querySelector('.scroll');
    var body = table.tBodies[0];
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
    var rows = Array.prototype.slice.call(body.rows);
    var said = make('span', '', { 'class': 'said', role: 'status' });
    var ticks = [], counted = null, isChosen = false, tools = null;

    function show(column, isShown) {
      heads[column].hidden = !isShown;
      rows.forEach(function (row) { row.cells[column].hidden = !isShown; });
      if (ticks[column]) ticks[column].checked = isShown;
    }

    function isTooWide() { return scroll.scrollWidth > scroll.clientWidth + 1; }

    // What goes on beside what is seen fades out. Looks now; what it gives writes.
    function hint() {
      var goesOn = isTooWide() && scroll.scrollLeft + scroll.clientWidth < scroll.scrollWidth - 2;
      return function () {
        scroll.classList.toggle('more', goesOn);
        var shown = heads.filter(function (head) { return !head.hidden; }).length;
        if (counted) counted.textContent = shown < heads.length ? 'Columns: ' + shown + ' of ' + heads.length : 'Columns';
      };
    }

    // Minor columns go where the table is wider than its place, until somebody chooses columns.
    var minor = heads.map(function (head, i) { return head.hasAttribute('data-minor') ? i : -1; }).filter(function (i) { return i >= 0; });
    var fit = {
      whole: function () { if (!isChosen) minor.forEach(function (i) { if (heads[i].hidden) show(i, true); }); },
      shrink: function () {
        if (isChosen || !isTooWide()) return null;
        var over = scroll.scrollWidth - scroll.clientWidth;
        var gone = minor.filter(function (i) {
          var isNeeded = over > 0;
          over -= isNeeded ? heads[i].offsetWidth : 0;
          return isNeeded;
        });
        return function () { if (!tools) addTools(); gone.forEach(function (i) { show(i, false); }); };
      },
      hint: hint,
      paper: function () { if (!isChosen) minor.forEach(function (i) { show(i, false); }); }
    };

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

    function addSearch() {
      var search = make('input', '', { type: 'search', placeholder: 'Search', 'aria-label': 'Search ' + box.getAttribute('data-title') });
      search.addEventListener('input', function () {
        var wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
        var shown = 0;
        rows.forEach(function (row) {
          var text = (row.textContent + Array.from(row.querySelectorAll('[title]'), whole).join(' ')).toLowerCase();
          row.hidden = !wanted.every(function (word) { return text.indexOf(word) >= 0; });
          shown += row.hidden ? 0 : 1;
        });
        said.textContent = wanted.length ? shown + ' of ' + rows.length + ' rows' : '';
      });
      tools.appendChild(search);
    }

    function addFullNames() {
      var full = make('button', 'Full names', { type: 'button', 'aria-pressed': 'false' });
      full.addEventListener('click', function () {
        var isFull = box.classList.toggle('full');
        full.setAttribute('aria-pressed', String(isFull));
        body.querySelectorAll('[title]').forEach(function (cell) {
          if (!cell.hasAttribute('data-short')) cell.setAttribute('data-short', cell.textContent);
          cell.textContent = isFull ? cell.title : cell.getAttribute('data-short');
        });
        hint()();
      });
      tools.appendChild(full);
    }

    function addColumns() {
      var columns = make('details', '', { 'class': 'cols' });
      counted = make('summary', 'Columns');
      columns.appendChild(counted);
      var choices = make('div');
      heads.forEach(function (head, column) {
        var label = make('label');
        var tick = ticks[column] = make('input', '', { type: 'checkbox' });
        tick.checked = !head.hidden;
        tick.addEventListener('change', function () { isChosen = true; show(column, tick.checked); hint()(); });
        label.appendChild(tick);
        label.appendChild(document.createTextNode(' ' + head.textContent));
        label.title = head.title;
        choices.appendChild(label);
      });
      columns.appendChild(choices);
      columns.addEventListener('keydown', function (event) {
        if (event.key !== 'Escape' || !columns.open) return;
        columns.open = false;
        counted.focus();
      });
      document.addEventListener('pointerdown', function (event) { if (!columns.contains(event.target)) columns.open = false; });
      tools.appendChild(columns);
    }

    function addCopy() {
      var copy = make('button', 'Copy as CSV', { type: 'button' });
      copy.addEventListener('click', function () {
        var shown = Array.prototype.filter.call(body.rows, function (row) { return !row.hidden; });
        // In the order of the command's CSV, which has names last.
        var kept = heads.map(function (head, i) { return i; }).filter(function (i) { return !heads[i].hidden; });
        kept.sort(function (a, b) { return heads[a].getAttribute('data-at') - heads[b].getAttribute('data-at'); });
        var lines = [kept.map(function (i) { return quoted(heads[i].getAttribute('data-key')); }).join(',')];
        shown.forEach(function (row) {
          lines.push(kept.map(function (i) {
            var cell = row.cells[i];
            if (cell.classList.contains('n')) return '';
            return quoted(cell.getAttribute('data-v') || whole(cell));
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
    }

    function addTools() {
      tools = make('div', '', { 'class': 'tools' });
      if (rows.length >= 7) addSearch();
      if (body.querySelector('[title]')) addFullNames();
      addColumns();
      addCopy();
      tools.appendChild(said);
      box.insertBefore(tools, scroll);
    }

    if (rows.length > 1) {
      heads.forEach(function (head, column) {
        var button = make('button', head.textContent, { type: 'button' });
        if (head.title) button.title = head.title;
        head.textContent = '';
        head.appendChild(button);
        head.setAttribute('aria-sort', 'none');
        button.addEventListener('click', function () { sort(column); });
      });
    }
    if (rows.length >= 7) addTools();
    scroll.addEventListener('scroll', function () { hint()(); }, { passive: true });
    return fit;
  }

  // Looks at all tables before it changes any, so that the page is laid out a few times and not for every table.
  function fitAll(fits) {
    function run(change) { if (change) change(); }
    fits.forEach(function (fit) { fit.whole(); });
    fits.map(function (fit) { return fit.shrink(); }).forEach(run);
    fits.map(function (fit) { return fit.hint(); }).forEach(run);
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

  // Folded tables are only made ready when they are opened, so that the page answers at once.
  var fits = [];
  Array.prototype.forEach.call(document.querySelectorAll('[data-table]'), function (box) {
    if (box.tagName !== 'DETAILS' || box.open) { fits.push(enhance(box)); return; }
    box.addEventListener('toggle', function () {
      var fit = enhance(box);
      fits.push(fit);
      fitAll([fit]);
    }, { once: true });
  });
  fitAll(fits);
  var resized = 0;
  window.addEventListener('resize', function () {
    cancelAnimationFrame(resized);
    resized = requestAnimationFrame(function () { fitAll(fits); });
  });

  // A link to what is folded opens it.
  function unfold() {
    var target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === 'DETAILS') target.open = true;
  }
  window.addEventListener('hashchange', unfold);
  unfold();

  // The cell of a table that holds a figure: in the column of its name where there is one, else anywhere.
  function cellOf(table, key, value) {
    function holds(cell) { return Math.abs(Number(cell.getAttribute('data-v')) - value) <= 1e-9 * Math.abs(value); }
    var cells = Array.prototype.filter.call(table.querySelectorAll('[data-v]'), holds);
    var heads = Array.prototype.slice.call(table.querySelectorAll('th[scope=col]'));
    function named(cell) { return heads[cell.cellIndex] && heads[cell.cellIndex].getAttribute('data-key') === key; }
    return cells.find(named) || cells[0];
  }

  // A figure of a sentence marks the cell of its table that holds it.
  function mark(figure) {
    var table = document.querySelector(figure.getAttribute('href'));
    document.querySelectorAll('.hit').forEach(function (cell) { cell.classList.remove('hit'); });
    if (!table) return;
    if (table.tagName === 'DETAILS') table.open = true;
    var key = figure.getAttribute('data-path').split('/').pop();
    // Of a share the part is what has a cell, where the share itself has none.
    var exact = Number(figure.getAttribute('data-value')), part = figure.getAttribute('data-part');
    var cell = cellOf(table, key, part === null ? exact : Number(part)) || cellOf(table, key, exact);
    if (!cell) return;
    cell.classList.add('hit');
    requestAnimationFrame(function () { cell.scrollIntoView({ block: 'center', inline: 'center' }); });
  }
  document.querySelectorAll('a.fig').forEach(function (figure) {
    figure.addEventListener('click', function () { mark(figure); });
  });

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

  // Paper is white, cannot be scrolled, and has the verdicts that are folded on a screen.
  var before = null, closed = [];
  window.addEventListener('beforeprint', function () {
    before = root.getAttribute('data-theme');
    root.setAttribute('data-theme', 'light');
    closed = Array.prototype.slice.call(document.querySelectorAll('#verdict details:not([open])'));
    closed.forEach(function (details) { details.open = true; });
    fits.forEach(function (fit) { fit.paper(); });
    window.dispatchEvent(new Event('themechange'));
  });
  window.addEventListener('afterprint', function () {
    if (before === null) root.removeAttribute('data-theme'); else root.setAttribute('data-theme', before);
    closed.forEach(function (details) { details.open = false; });
    fitAll(fits);
    window.dispatchEvent(new Event('themechange'));
  });
})();
