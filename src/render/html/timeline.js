// The overview timeline: one canvas, drawn from pieces whose sums are exact. Zoom, pan, hover; all of it by keyboard too.
(function () {
  'use strict';
  var host = document.getElementById('timeline-view');
  var source = document.getElementById('timeline-data');
  if (!host || !source) return;
  var data = JSON.parse(source.textContent);
  if (!data.lanes.length || !data.len_ns) return;

  var canvas = host.querySelector('canvas');
  var tip = host.querySelector('.tl-tip'), cross = host.querySelector('.tl-cross');
  var range = document.getElementById('timeline-range'), spoken = host.querySelector('.tl-spoken');
  var paint = canvas.getContext('2d');
  var SHORTEST_NS = 100, MAX_OTHERS = 8, BEFORE = 20;
  var view = { from: 0, to: data.len_ns };
  var rows = [], marks = [];
  var colours = {};
  var width = 0, gutter = 0, pixel = 1;

  // One piece after the other: when it begins, and class and time of its parts.
  data.lanes.forEach(function (lane) {
    var flat = lane.pieces, starts = [], parts = [], at = lane.start_ns;
    for (var i = 0; i < flat.length;) {
      var n = flat[i++], own = [];
      starts.push(at);
      for (; n > 0; n--) { own.push(flat[i], flat[i + 1]); at += flat[i + 1]; i += 2; }
      parts.push(own);
    }
    starts.push(at);
    lane.starts = starts;
    lane.parts = parts;
    lane.names = data.classes[lane.kind];
    lane.pieces = null;
    // What its parts are called, by start.
    var named = [], since = lane.start_ns;
    for (var m = 0; m < lane.named.length; m += 3) {
      since += lane.named[m];
      named.push({ from: since, to: since + lane.named[m + 1], name: data.names[lane.named[m + 2]] });
    }
    lane.named = named;
    // The number of each iteration: on an exact lane every piece but those between is one.
    if (lane.kind !== 'iterations' || !lane.exact) return;
    var nth = 0;
    lane.nth = parts.map(function (own) { return own[0] ? ++nth : 0; });
  });

  // Classes in the words of the figures; an iteration whose name tells no phase is just that.
  var WORDS = {
    compute: 'kernels', comm: 'collectives', memcpy: 'copies', memset: 'memsets', ipc_wait: 'IPC wait', gpu_sync: 'GPU sync',
    other_wait: 'other wait', runtime: 'runtime calls', module_loading: 'module loading', cpu_op: 'operators', python: 'Python', profiler: 'profiler itself',
    unknown: 'iteration'
  };
  function said(name) { return WORDS[name] || name; }

  function duration(ns) {
    var size = Math.abs(ns);
    if (size < 1e3) return Math.round(ns) + ' ns';
    if (size < 1e6) return (ns / 1e3).toFixed(3) + ' µs';
    if (size < 1e9) return (ns / 1e6).toFixed(3) + ' ms';
    return (ns / 1e9).toFixed(3) + ' s';
  }

  function readColours() {
    var style = getComputedStyle(document.documentElement);
    ['text', 'mute', 'line', 'bg', 'soft', 'fig-on'].forEach(function (name) { colours['--' + name] = style.getPropertyValue('--' + name).trim(); });
    Object.keys(data.classes).forEach(function (kind) {
      data.classes[kind].forEach(function (name) { colours[name] = style.getPropertyValue('--c-' + name).trim(); });
    });
  }

  // Where each lane stands: a heading for every input, labels beside the lanes or above them on a narrow screen.
  function layout() {
    var box = host.querySelector('.tl-box');
    width = box.clientWidth;
    pixel = Math.min(window.devicePixelRatio || 1, 2);
    gutter = width < 720 ? 0 : 150;
    var y = 26, who = null;
    rows = [];
    data.lanes.forEach(function (lane) {
      var head = lane.input !== who;
      who = lane.input;
      if (head) y += 22;
      if (!gutter) y += 14;
      var height = lane.kind === 'iterations' ? 16 : 18;
      rows.push({ lane: lane, y: y, height: height, head: head });
      y += height + 4;
    });
    canvas.width = Math.round(width * pixel);
    canvas.height = Math.round((y + 6) * pixel);
    canvas.style.height = (y + 6) + 'px';
  }

  function x(ns) { return gutter + (ns - view.from) / (view.to - view.from) * (width - gutter); }
  function time(px) { return view.from + (px - gutter) / (width - gutter) * (view.to - view.from); }

  function pieceAt(lane, ns) {
    var low = 0, high = lane.parts.length;
    while (low < high) {
      var middle = (low + high) >> 1;
      if (lane.starts[middle + 1] <= ns) low = middle + 1; else high = middle;
    }
    return low;
  }

  // For every column of pixels the time of each class in it; columns of one class are joined to one rectangle.
  function drawLane(row) {
    var lane = row.lane, n = Math.floor((width - gutter) * pixel), step = (view.to - view.from) / n;
    var sums = new Float64Array(lane.names.length);
    var i = pieceAt(lane, view.from), open = -1, begin = 0;
    function flush(end) {
      if (open > 0 || (open === 0 && lane.kind === 'thread')) {
        paint.fillStyle = colours[lane.names[open]];
        paint.fillRect(gutter + begin / pixel, row.y, (end - begin) / pixel, row.height);
      }
      open = -1;
    }
    for (var column = 0; column < n; column++) {
      var a = view.from + column * step, b = a + step, whole = 0, only = -1, many = false;
      sums.fill(0);
      while (i < lane.parts.length && lane.starts[i + 1] <= a) i++;
      for (var j = i; j < lane.parts.length && lane.starts[j] < b; j++) {
        var start = lane.starts[j], end = lane.starts[j + 1], parts = lane.parts[j];
        var share = (Math.min(b, end) - Math.max(a, start)) / (end - start);
        for (var k = 0; k < parts.length; k += 2) {
          var ns = parts[k + 1] * share;
          sums[parts[k]] += ns;
          whole += ns;
          if (only < 0) only = parts[k]; else if (only !== parts[k]) many = true;
        }
      }
      if (whole && !many && whole > step * 0.5) {
        if (open !== only) { flush(column); open = only; begin = column; }
        continue;
      }
      flush(column);
      if (!whole) continue;
      var y = row.y + row.height;
      for (var c = lane.names.length - 1; c >= 0; c--) {
        if (!sums[c]) continue;
        var height = sums[c] / step * row.height;
        y -= height;
        if (c === 0 && lane.kind !== 'thread') continue;
        // What is there must be seen, however short.
        var seen = Math.max(height, lane.kind === 'thread' ? 0 : 1.5);
        paint.fillStyle = colours[lane.names[c]];
        paint.fillRect(gutter + column / pixel, Math.min(y, row.y + row.height - seen), 1 / pixel, seen);
      }
    }
    flush(n);
  }

  // The first part with a name that begins after a time.
  function namedAfter(lane, ns) {
    var low = 0, high = lane.named.length;
    while (low < high) {
      var middle = (low + high) >> 1;
      if (lane.named[middle].from <= ns) low = middle + 1; else high = middle;
    }
    return low;
  }

  // Kernels and operators with their names, as far as there is room; a line parts one from the next.
  function nameParts(row, told) {
    var lane = row.lane, free = gutter;
    paint.font = '11px system-ui, sans-serif';
    // Those that begin before the view may reach into it.
    for (var i = Math.max(namedAfter(lane, view.from) - BEFORE, 0); i < lane.named.length && lane.named[i].from < view.to; i++) {
      var part = lane.named[i], left = Math.max(x(part.from), free), right = Math.min(x(part.to), width);
      // A letter and an ellipsis tell nothing.
      if (right - left < 44) continue;
      if (left > gutter) { paint.fillStyle = colours['--bg']; paint.fillRect(left - 0.5, row.y, 1, row.height); }
      paint.fillStyle = colours['--fig-on'];
      paint.fillText(fit(part.name, right - left - 8), left + 4, row.y + row.height / 2 + 0.5);
      free = right;
      if (told.length < 50) told.push(part.name);
    }
    paint.font = '12px system-ui, sans-serif';
  }

  // Iterations with their phase, number and length, as far as there is room; a line parts one from the next.
  function nameIterations(row) {
    var lane = row.lane;
    paint.font = '11px system-ui, sans-serif';
    for (var i = pieceAt(lane, view.from); i < lane.parts.length && lane.starts[i] < view.to; i++) {
      var parts = lane.parts[i], left = x(lane.starts[i]), right = x(lane.starts[i + 1]);
      if (parts.length !== 2 || !parts[0] || right - left < 3) continue;
      if (left > gutter) { paint.fillStyle = colours['--bg']; paint.fillRect(left - 0.5, row.y, 1, row.height); }
      left = Math.max(left, gutter);
      var room = Math.min(right, width) - left - 8, name = said(lane.names[parts[0]]);
      var number = lane.nth ? '#' + lane.nth[i] : '';
      var texts = [name + ' ' + number + ' · ' + duration(parts[1]), name + ' ' + number, number];
      for (var t = 0; room > 12 && t < texts.length; t++) {
        if (!texts[t] || paint.measureText(texts[t]).width > room) continue;
        paint.fillStyle = colours['--fig-on'];
        paint.fillText(texts[t], left + 4, row.y + row.height / 2 + 0.5);
        break;
      }
    }
    paint.font = '12px system-ui, sans-serif';
  }

  function ticks() {
    var span = view.to - view.from, wanted = span / Math.max(2, (width - gutter) / 130);
    var step = Math.pow(10, Math.floor(Math.log10(wanted)));
    [2, 5, 10].some(function (factor) { if (step * factor >= wanted) { step *= factor; return true; } return false; });
    var unit = step >= 1e9 ? [1e9, 's'] : step >= 1e6 ? [1e6, 'ms'] : step >= 1e3 ? [1e3, 'µs'] : [1, 'ns'];
    var digits = Math.max(0, Math.ceil(-Math.log10(step / unit[0])));
    paint.fillStyle = colours['--mute'];
    paint.textBaseline = 'middle';
    marks = [];
    for (var at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
      var px = x(at);
      marks.push(Math.round(px));
      paint.fillRect(Math.round(px), 20, 1, 5);
      var label = (at / unit[0]).toFixed(digits) + ' ' + unit[1];
      var half = paint.measureText(label).width / 2;
      paint.fillText(label, Math.min(Math.max(px, gutter + half + 2), width - half - 2), 11);
    }
  }

  // The marks of the time axis go on through what is idle, so that lanes can be compared.
  function grid(row) {
    paint.fillStyle = colours['--line'];
    marks.forEach(function (px) { paint.fillRect(px, row.y - 4, 1, row.height + 4); });
  }

  function draw() {
    paint.setTransform(pixel, 0, 0, pixel, 0, 0);
    paint.fillStyle = colours['--bg'];
    paint.fillRect(0, 0, width, canvas.height);
    paint.font = '12px system-ui, sans-serif';
    paint.textAlign = 'center';
    ticks();
    paint.textAlign = 'left';
    var told = [];
    rows.forEach(function (row) {
      var left = Math.max(x(row.lane.start_ns), gutter), right = Math.min(x(row.lane.starts[row.lane.starts.length - 1]), width);
      if (row.head) {
        paint.font = '600 12px system-ui, sans-serif';
        paint.fillStyle = colours['--text'];
        paint.fillText(fit(row.lane.who, width - 16), 8, row.y - (gutter ? 11 : 25));
        paint.font = '12px system-ui, sans-serif';
      }
      paint.fillStyle = colours['--mute'];
      paint.fillText(fit(row.lane.name, (gutter || width) - 16), 8, gutter ? row.y + row.height / 2 : row.y - 7);
      if (right > left) {
        paint.fillStyle = colours.idle;
        paint.fillRect(left, row.y, right - left, row.height);
      }
      grid(row);
      drawLane(row);
      if (row.lane.kind === 'iterations') nameIterations(row);
      nameParts(row, told);
    });
    canvas.setAttribute('data-named', told.join('\n'));
    canvas.setAttribute('data-from', String(Math.round(view.from)));
    canvas.setAttribute('data-to', String(Math.round(view.to)));
    range.textContent = duration(view.from) + ' to ' + duration(view.to) + ' (' + duration(view.to - view.from) + ' of ' + duration(data.len_ns) + ')';
  }

  function fit(text, room) {
    if (paint.measureText(text).width <= room) return text;
    while (text.length > 1 && paint.measureText(text + '…').width > room) text = text.slice(0, -1);
    return text + '…';
  }

  function show(from, to) {
    var span = Math.min(Math.max(to - from, SHORTEST_NS), data.len_ns);
    from = Math.min(Math.max(from, 0), data.len_ns - span);
    view.from = from;
    view.to = from + span;
    tip.hidden = cross.hidden = true;
    draw();
  }

  function zoom(factor, around) {
    var at = around === undefined ? (view.from + view.to) / 2 : around;
    show(at - (at - view.from) * factor, at + (view.to - at) * factor);
  }

  function pan(share) {
    var by = (view.to - view.from) * share;
    show(view.from + by, view.to + by);
  }

  function reset() { show(0, data.len_ns); }

  var actions = {
    'in': function () { zoom(0.5); }, out: function () { zoom(2); },
    left: function () { pan(-0.25); }, right: function () { pan(0.25); }, reset: reset
  };
  Array.prototype.forEach.call(host.querySelectorAll('[data-do]'), function (button) {
    button.addEventListener('click', actions[button.getAttribute('data-do')]);
  });
  canvas.addEventListener('keydown', function (event) {
    var key = { '+': 'in', '=': 'in', '-': 'out', ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'in', ArrowDown: 'out', Home: 'reset', '0': 'reset', Escape: 'reset' }[event.key];
    if (!key || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && STEPS[event.key]) step(STEPS[event.key]);
    else actions[key]();
    event.preventDefault();
  });

  // What the pointer does, with Shift and the arrows: from piece to piece of a lane, and from lane to lane. The first key
  // tells what is in the middle.
  var STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  var cursor = { row: 0, ns: -1 };

  function step(by) {
    var isNew = tip.hidden;
    if (cursor.ns < view.from || cursor.ns > view.to) cursor.ns = (view.from + view.to) / 2;
    if (!isNew) cursor.row = Math.min(Math.max(cursor.row + by[0], 0), rows.length - 1);
    var row = rows[cursor.row], lane = row.lane;
    if (!isNew && by[1]) {
      var i = Math.min(Math.max(pieceAt(lane, cursor.ns) + by[1], 0), lane.parts.length - 1);
      cursor.ns = (lane.starts[i] + lane.starts[i + 1]) / 2;
    }
    if (cursor.ns < view.from || cursor.ns > view.to) pan((cursor.ns - view.from) / (view.to - view.from) - 0.5);
    hover(x(cursor.ns), row.y);
    tip.scrollIntoView({ block: 'nearest' });
    spoken.textContent = tip.textContent;
  }
  // The wheel scrolls the page until the timeline was clicked, so that nobody is caught in it.
  canvas.addEventListener('wheel', function (event) {
    if (document.activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(event.deltaX / width);
    else zoom(Math.pow(1.0018, event.deltaY), time(event.offsetX));
  }, { passive: false });
  canvas.addEventListener('dblclick', function (event) { zoom(0.25, time(event.offsetX)); });

  var grip = null;
  canvas.addEventListener('pointerdown', function (event) {
    grip = { x: event.clientX, from: view.from, to: view.to };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('pointerup', function () { grip = null; });
  canvas.addEventListener('pointercancel', function () { grip = null; });
  canvas.addEventListener('pointerleave', function () { tip.hidden = cross.hidden = true; });
  canvas.addEventListener('pointermove', function (event) {
    if (grip) {
      var by = (grip.x - event.clientX) / (width - gutter) * (grip.to - grip.from);
      if (Math.abs(grip.x - event.clientX) > 2) show(grip.from + by, grip.to + by);
      return;
    }
    hover(event.offsetX, event.offsetY);
  });

  // How long a lane was in classes that are wanted between two times; a piece of several classes that is cut is shared out.
  function within(lane, from, to, isWanted) {
    var sum = 0, isExact = true;
    for (var i = pieceAt(lane, from); i < lane.parts.length && lane.starts[i] < to; i++) {
      var start = lane.starts[i], end = lane.starts[i + 1], parts = lane.parts[i];
      var part = Math.min(end, to) - Math.max(start, from);
      if (part <= 0) continue;
      if (part < end - start && parts.length > 2) isExact = false;
      for (var k = 0; k < parts.length; k += 2) {
        if (isWanted(lane.names[parts[k]])) sum += parts[k + 1] * part / (end - start);
      }
    }
    return { ns: sum, isExact: isExact };
  }

  var WAITS = { ipc_wait: 1, gpu_sync: 1, other_wait: 1 }, NOTHING = { idle: 1, between: 1, unattributed: 1 };
  function isBusy(name) { return !WAITS[name] && !NOTHING[name]; }

  // What the other inputs did while one waited: their busiest thread and device.
  function meanwhile(lane, from, to) {
    var inputs = [];
    data.lanes.forEach(function (other) {
      if (other.input === lane.input || other.kind === 'iterations') return;
      var found = within(other, from, to, isBusy), own = inputs[other.input] || (inputs[other.input] = { who: other.who });
      if (found.ns > 0 && (!own[other.kind] || found.ns > own[other.kind].ns)) own[other.kind] = found;
    });
    return inputs.filter(function (own) { return own.thread || own.device; }).map(function (own) {
      var parts = ['thread', 'device'].filter(function (kind) { return own[kind]; }).map(function (kind) {
        return kind + ' ' + (own[kind].isExact ? '' : 'about ') + duration(own[kind].ns);
      });
      return own.who + ': ' + parts.join(', ');
    });
  }

  function hover(px, py) {
    var found = rows.filter(function (row) { return py >= row.y - 1 && py < row.y + row.height + 2; })[0];
    var ns = time(px);
    tip.hidden = !found || px < gutter;
    cross.hidden = tip.hidden;
    if (tip.hidden) return;
    cross.style.left = px + 'px';
    var lane = found.lane, i = pieceAt(lane, ns);
    if (ns < lane.start_ns || i >= lane.parts.length) {
      tip.textContent = lane.who + ' · ' + lane.name + '\nnot recorded at ' + duration(ns);
    } else {
      var parts = lane.parts[i], start = lane.starts[i], end = lane.starts[i + 1];
      var lines = [lane.who + ' · ' + lane.name, duration(start) + ' to ' + duration(end) + ' (' + duration(end - start) + ')'];
      for (var k = 0; k < parts.length; k += 2) {
        var number = lane.nth && lane.nth[i] ? ' #' + lane.nth[i] : '';
        lines.push(said(lane.names[parts[k]]) + number + (parts.length > 2 ? '  ' + duration(parts[k + 1]) : ''));
      }
      for (var at = namedAfter(lane, ns) - 1, n = 0; at >= 0 && n < BEFORE; at--, n++) {
        if (lane.named[at].to < ns) continue;
        lines.push(lane.named[at].name + '  ' + duration(lane.named[at].to - lane.named[at].from));
        break;
      }
      if (parts.length === 2 && WAITS[lane.names[parts[0]]]) {
        var others = meanwhile(lane, start, end);
        if (data.lanes.some(function (other) { return other.input !== lane.input; })) {
          lines.push(others.length ? 'Busy meanwhile:' : 'No other input was busy meanwhile.');
        }
        lines = lines.concat(others.slice(0, MAX_OTHERS));
        if (others.length > MAX_OTHERS) lines.push('and ' + (others.length - MAX_OTHERS) + ' more');
      }
      tip.textContent = lines.join('\n');
    }
    // On the side where there is more room.
    var left = px > width / 2 ? px - tip.offsetWidth - 14 : Math.min(px + 14, width - tip.offsetWidth - 6), top = found.y + found.height + 6;
    if (top + tip.offsetHeight > canvas.clientHeight) top = Math.max(0, found.y - tip.offsetHeight - 6);
    tip.style.left = Math.max(4, left) + 'px';
    tip.style.top = top + 'px';
  }

  function legend() {
    var used = {}, list = host.querySelector('.tl-legend');
    data.lanes.forEach(function (lane) {
      lane.parts.forEach(function (parts) { for (var k = 0; k < parts.length; k += 2) used[lane.names[parts[k]]] = true; });
    });
    list.textContent = '';
    ['device', 'thread', 'iterations'].forEach(function (kind) {
      data.classes[kind].forEach(function (name) {
        if (!used[name] || name === 'between') return;
        var item = document.createElement('li');
        var mark = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
        mark.setAttribute('width', '11');
        mark.setAttribute('height', '11');
        mark.setAttribute('aria-hidden', 'true');
        var square = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
        square.setAttribute('width', '11');
        square.setAttribute('height', '11');
        square.setAttribute('rx', '2');
        square.setAttribute('fill', colours[name]);
        mark.appendChild(square);
        item.appendChild(mark);
        item.appendChild(document.createTextNode(said(name) + (kind === 'iterations' && name !== 'unknown' ? ' (iteration)' : '')));
        list.appendChild(item);
      });
    });
  }

  function all() { readColours(); layout(); draw(); legend(); }
  var waiting = 0;
  window.addEventListener('resize', function () {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(function () { layout(); draw(); });
  });
  window.addEventListener('themechange', all);
  host.hidden = false;
  all();
})();
// The page answers: tables and, where there is one, the timeline.
document.documentElement.setAttribute('data-ready', String(Math.round(performance.now())));
