//! Reports in a real browser, with the network off: nothing is complained of, tables and timeline answer, the verdict says
//! what `--format json` says, and names from a trace stay names.
//!
//! Screenshots go to `target/report-screenshots`, to be looked at.

mod browser_driver;
mod common;
mod hostile;
mod program;

use std::path::{Path, PathBuf};

use browser_driver::{Browser, browser};
use program::{omni_trace, root};
use serde_json::Value;

/// A page must be smaller than this, whatever the trace.
const MAX_PAGE_BYTES: u64 = 3_000_000;

const LOG: &str = "fixtures/logs_seed/omni_llm_pipeline.log";

fn report(arguments: &[&str], folder: &Path) -> PathBuf {
    let folder_text = folder.to_str().expect("the folder's name is UTF-8");
    let mut args = vec!["report", "-o", folder_text, "--quiet"];
    args.extend(arguments);
    let output = omni_trace(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("index.html")
}

fn json_of(arguments: &[&str]) -> Value {
    let output = omni_trace(&[arguments, &["--format", "json", "--quiet"]].concat());
    serde_json::from_slice(&output.stdout).expect("the program writes JSON")
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().expect("a list");
    list.iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// The texts of a column of a table, rows that are hidden left out.
fn column(browser: &Browser, table: &str, key: &str) -> Vec<String> {
    texts(&browser.run(&format!(
        "var t = document.querySelector('#{table} table'), i = t.querySelector('th[data-key={key}]').cellIndex;\
         return Array.from(t.tBodies[0].rows).filter(r => !r.hidden)\
         .map(r => r.cells[i].getAttribute('data-v') || r.cells[i].title || r.cells[i].textContent)"
    )))
}

fn numbers(texts: &[String]) -> Vec<f64> {
    texts.iter().map(|text| text.parse().expect("a number")).collect()
}

#[test]
fn a_report_opens_and_answers() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let page = report(&["fixtures/pipeline", "--logs", LOG], folder.path());
    browser.resize(1280, 900);
    browser.open(&page);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert!(browser.run("return document.documentElement.dataset.ready").is_string());
    sorting_orders_rows(&browser);
    searching_leaves_what_matches(&browser);
    columns_and_csv(&browser);
    a_link_opens_what_is_folded(&browser);
    a_figure_marks_its_cell(&browser);
    the_answer_is_seen_at_once(&browser);
    names_show_when_zoomed(&browser);
    zooming_changes_the_timeline(&browser);
    the_timeline_tells_its_pieces_by_keyboard(&browser);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

fn a_figure_marks_its_cell(browser: &Browser) {
    let figure =
        "document.querySelector('#verdict a.fig[data-path*=idle_by_cause]:not([data-of])')";
    let value = browser.run(&format!("{figure}.click(); return {figure}.dataset.value"));
    let marked =
        "return Array.from(document.querySelectorAll('.hit')).map(c => c.dataset.v).join()";
    assert_eq!(browser.run(marked), value, "the one cell that holds the figure is marked");
    let share = "document.querySelector('#verdict a.fig[data-of]')";
    let part = browser.run(&format!("{share}.click(); return {share}.dataset.part"));
    assert_eq!(browser.run(marked), part, "of a share the cell of the part is marked");
    let unmarked = browser.run(
        "return Array.from(document.querySelectorAll('a.fig')).filter(f => { f.click(); return document.querySelectorAll('.hit').length !== 1 && f.dataset.path.split('/').length > 2; })\
         .map(f => f.dataset.path)",
    );
    assert_eq!(texts(&unmarked), Vec::<String>::new(), "figures that lead to no cell");
}

/// What it comes to stands in the first 800 pixels, with figures that lead to their tables.
fn the_answer_is_seen_at_once(browser: &Browser) {
    let bottom = browser.run(
        "window.scrollTo(0, 0); return document.querySelector('.answer').getBoundingClientRect().bottom",
    );
    assert!(bottom.as_f64().is_some_and(|px| px > 0.0 && px < 800.0), "{bottom}");
    let n = browser.run("return document.querySelectorAll('.answer a.fig').length");
    assert!(n.as_u64().is_some_and(|n| n > 0), "the answer has no figure");
    // The bars of all inputs and the first findings are on the same screen.
    let bottoms = browser.run(
        "return [document.querySelector('#glance figure'), document.querySelectorAll('#verdict li')[2]]\
         .map(e => e.getBoundingClientRect().bottom)",
    );
    let bottoms = bottoms.as_array().expect("a list");
    assert!(bottoms.iter().all(|px| px.as_f64().is_some_and(|px| px < 800.0)), "{bottoms:?}");
}

/// A piece that is wide enough shows what it is called, and pointing at it tells so, too.
fn names_show_when_zoomed(browser: &Browser) {
    let named = "return document.querySelector('#timeline-view canvas').dataset.named";
    let names = || browser.run(named).as_str().expect("names").to_owned();
    // Towards the longest kernel of the first lane, which is hidden at first among all the rest.
    let name = browser.run(
        "var data = JSON.parse(document.getElementById('timeline-data').textContent), lane = data.lanes[0], at = lane.start_ns, most = 0;\
         for (var i = 0; i < lane.named.length; i += 3) {\
           at += lane.named[i]; if (lane.named[i + 1] > most) { most = lane.named[i + 1];\
           window.wanted = { at: at + most / 2, name: data.names[lane.named[i + 2]] }; } }\
         return window.wanted.name",
    );
    let name = name.as_str().expect("a name").to_owned();
    assert!(!names().contains(&name), "{name} is seen at once");
    for _ in 0..8 {
        browser.run(
            "var c = document.querySelector('#timeline-view canvas'), b = c.getBoundingClientRect();\
             var from = Number(c.dataset.from), share = (window.wanted.at - from) / (Number(c.dataset.to) - from);\
             c.dispatchEvent(new MouseEvent('dblclick', {clientX: b.left + 150 + share * (b.width - 150), clientY: b.top + 40, bubbles: true}))",
        );
    }
    assert!(names().contains(&name), "{name} is not among {}", names());
    browser.run("document.querySelector('[data-do=reset]').click()");
}

fn sorting_orders_rows(browser: &Browser) {
    let click = |key: &str| {
        browser.run(&format!(
            "document.querySelector('#analyze-key_averages th[data-key={key}] button').click()"
        ))
    };
    click("self_cpu_ns");
    let falling = numbers(&column(browser, "analyze-key_averages", "self_cpu_ns"));
    assert!(falling.len() > 50, "{}", falling.len());
    assert!(falling.is_sorted_by(|a, b| a >= b), "{falling:?}");
    click("self_cpu_ns");
    let rising = numbers(&column(browser, "analyze-key_averages", "self_cpu_ns"));
    assert!(rising.is_sorted() && rising.first() < rising.last());
    click("name");
    let names = column(browser, "analyze-key_averages", "name");
    assert_eq!(names.len(), falling.len());
    assert!(names.is_sorted_by(|a, b| a.encode_utf16().le(b.encode_utf16())), "{names:?}");
    let state = "return document.querySelector('#analyze-key_averages th[data-key=name]').ariaSort";
    assert_eq!(browser.run(state), "ascending");
}

fn searching_leaves_what_matches(browser: &Browser) {
    let all = column(browser, "analyze-key_averages", "name");
    browser.type_into("#analyze-key_averages input[type=search]", "aten::mm");
    let found = column(browser, "analyze-key_averages", "name");
    let expected: Vec<String> =
        all.iter().filter(|name| name.to_lowercase().contains("aten::mm")).cloned().collect();
    assert!(!expected.is_empty() && expected.len() < all.len());
    assert_eq!(found, expected);
    let said =
        browser.run("return document.querySelector('#analyze-key_averages .said').textContent");
    assert_eq!(said, format!("{} of {} rows", found.len(), all.len()));
}

/// What is copied are the rows and columns that are seen, with the exact numbers and the keys of `--format csv`.
fn columns_and_csv(browser: &Browser) {
    let copied = browser.run(
        "var b = document.getElementById('analyze-key_averages');\
         Array.from(b.querySelectorAll('.cols label')).filter(l => l.textContent.trim() === 'on')\
         .forEach(l => l.querySelector('input').click());\
         Array.from(b.querySelectorAll('.tools > button')).pop().click(); return b.omniCsv",
    );
    let copied = copied.as_str().expect("CSV").to_owned();
    let output = omni_trace(&["analyze", "fixtures/pipeline", "--format", "csv", "--quiet"]);
    let all = String::from_utf8(output.stdout).expect("UTF-8");
    let keys: Vec<&str> = all.lines().next().expect("a heading").split(',').collect();
    let seen: Vec<&str> = copied.lines().next().expect("a heading").split(',').collect();
    assert!(!seen.contains(&"device_type") && seen.len() > 5, "{seen:?}");
    let places: Vec<usize> =
        seen.iter().map(|key| keys.iter().position(|k| k == key).expect("a known key")).collect();
    let cut = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        places.iter().map(|&i| fields[i]).collect::<Vec<_>>().join(",")
    };
    let wanted: Vec<String> =
        all.lines().filter(|line| line.starts_with("aten::mm,")).map(cut).collect();
    assert!(!wanted.is_empty());
    for line in &wanted {
        assert!(copied.lines().any(|copy| copy == line), "{line} is not in\n{copied}");
    }
}

/// Where there is no room minor columns go, and say so; names stand first and stay in sight.
#[test]
fn tables_fit_their_place() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let page = report(&["fixtures/pipeline"], folder.path());
    let seen = |width: u32| {
        browser.resize(width, 900);
        browser.open(&page);
        let state = browser.run(
            "var b = document.getElementById('analyze-key_averages'), s = b.querySelector('.scroll');\
             var h = Array.from(b.querySelectorAll('th[scope=col]'));\
             s.scrollLeft = 200;\
             return [h.filter(c => !c.hidden).map(c => c.dataset.key).join(), b.querySelector('.cols summary').textContent,\
             String(s.classList.contains('more')), String(Math.round(b.querySelector('tbody th').getBoundingClientRect().left - s.getBoundingClientRect().left))]",
        );
        texts(&state)
    };
    let wide = seen(2560);
    assert!(wide[0].starts_with("name,self_cpu_ns,") && wide[0].contains("cpu_avg_ns"), "{wide:?}");
    assert_eq!(wide[1], "Columns");
    let narrow = seen(400);
    assert!(!narrow[0].contains("cpu_avg_ns") && narrow[0].contains("cpu_total_ns"), "{narrow:?}");
    assert_eq!(narrow[1], "Columns: 8 of 11");
    assert_eq!(narrow[2], "true", "nothing says that the table goes on");
    assert!(narrow[3] == "1" || narrow[3] == "0", "the name went out of sight: {narrow:?}");
    // What is chosen stays.
    browser.run("document.querySelectorAll('#analyze-key_averages .cols input').forEach(i => { if (!i.checked) i.click(); })");
    let chosen =
        "return document.querySelector('#analyze-key_averages th[data-key=cpu_avg_ns]').hidden";
    browser.resize(420, 900);
    browser.run("window.dispatchEvent(new Event('resize'))");
    browser.drawn();
    assert_eq!(browser.run(chosen), false);
}

/// What a mouse does a keyboard does too; headings are in order, and what can be worked has a name.
#[test]
fn the_page_can_be_used_without_a_mouse() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let page = report(&["fixtures/pipeline", "--logs", LOG], folder.path());
    browser.resize(1280, 900);
    browser.open(&page);
    browser.run("document.querySelectorAll('details:not(.cols)').forEach(d => d.open = true)");
    browser.type_into("#analyze-key_averages th[data-key=self_cpu_ns] button", "\u{E007}");
    let order =
        "return document.querySelector('#analyze-key_averages th[data-key=self_cpu_ns]').ariaSort";
    assert_eq!(browser.run(order), "descending");
    let columns = "#analyze-key_averages .cols";
    browser.type_into(&format!("{columns} summary"), "\u{E007}");
    let is_open = format!("return document.querySelector('{columns}').open");
    assert_eq!(browser.run(&is_open), true);
    browser.type_into(&format!("{columns} summary"), "\u{E00C}");
    assert_eq!(browser.run(&is_open), false);
    let skipped = browser.run(
        "var last = 0; return Array.from(document.querySelectorAll('h1, h2, h3, h4')).filter(h => {\
           var level = Number(h.tagName[1]), bad = level > last + 1; last = level; return bad; }).map(h => h.textContent)",
    );
    assert_eq!(texts(&skipped), Vec::<String>::new());
    let nameless = browser.run(
        "return Array.from(document.querySelectorAll('a, button, input, summary, canvas, [tabindex], svg[role=img]')).filter(e =>\
           !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim() || e.closest('label')))\
         .map(e => e.outerHTML.slice(0, 120))",
    );
    assert_eq!(texts(&nameless), Vec::<String>::new());
    assert_eq!(browser.run("return document.documentElement.lang"), "en");
}

/// Pointing at a wait tells who was busy meanwhile: for the whole of a lane's waits not more than the blame table says.
#[test]
fn a_wait_tells_who_was_busy() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let page = report(&["fixtures/pipeline"], folder.path());
    browser.resize(1280, 900);
    browser.open(&page);
    let tip = browser.run(
        "var c = document.querySelector('#timeline-view canvas'), b = c.getBoundingClientRect(), t = document.querySelector('.tl-tip');\
         for (var y = b.height; y > 0; y -= 2) {\
           c.dispatchEvent(new PointerEvent('pointermove', {clientX: b.left + b.width * .5, clientY: b.top + y, bubbles: true}));\
           if (!t.hidden && t.textContent.includes('IPC wait')) return t.textContent; }",
    );
    let tip = tip.as_str().expect("a wait").to_owned();
    let lines: Vec<&str> = tip.lines().collect();
    assert!(lines[0].starts_with("#2 stage 2 llm rank 0 · thread"), "{tip}");
    let at = lines.iter().position(|line| *line == "Busy meanwhile:").expect("who was busy");
    let machine = json_of(&["analyze", "fixtures/pipeline"]);
    let waits = machine["waits"].as_array().expect("waits");
    let wait = waits.iter().find(|w| w["input"] == 2 && w["class"] == "ipc_wait").expect("a wait");
    let length = lines[1].rsplit(['(', ')']).nth(1).expect("a length");
    let slack = read_number(length) - wait["max_ns"].as_f64().expect("nanoseconds");
    assert!(slack <= 500.0, "the wait is longer than the longest: {tip}");
    for (line, input) in
        lines[at + 1..].iter().zip(["#0 stage 0 llm rank 0", "#1 stage 1 llm rank 0"])
    {
        let device = line.strip_prefix(input).and_then(|rest| rest.split("device ").nth(1));
        let device = read_number(device.unwrap_or_else(|| panic!("{tip}")));
        let busy = machine["devices"][usize::from(input.starts_with("#1"))]["busy_ns"].as_f64();
        assert!(device > 0.0 && device <= busy.expect("nanoseconds") + 1.0, "{tip}");
    }
}

fn a_link_opens_what_is_folded(browser: &Browser) {
    let folded = "return document.getElementById('analyze-overview').open";
    assert_eq!(browser.run(folded), false);
    browser.run("location.hash = 'analyze-overview'");
    browser.until("document.getElementById('analyze-overview').open");
}

fn zooming_changes_the_timeline(browser: &Browser) {
    let seen = || {
        let state = browser.run(
            "var c = document.querySelector('#timeline-view canvas');\
             return [c.dataset.from, c.dataset.to, c.toDataURL(), document.getElementById('timeline-range').textContent]",
        );
        texts(&state)
    };
    let span = |state: &[String]| {
        let at = |i: usize| state[i].parse::<i64>().expect("nanoseconds");
        at(1) - at(0)
    };
    let whole = seen();
    browser.run("document.querySelector('[data-do=in]').click()");
    let zoomed = seen();
    assert!((span(&zoomed) * 2 - span(&whole)).abs() <= 2, "{} {}", span(&zoomed), span(&whole));
    assert_ne!(whole[2], zoomed[2], "the picture is the same");
    assert_ne!(whole[3], zoomed[3]);
    browser.type_into("#timeline-view canvas", "\u{E014}");
    let moved = seen();
    assert_eq!(span(&moved), span(&zoomed));
    assert_ne!(moved[0], zoomed[0], "the arrow key does not move");
    browser.run(
        "var c = document.querySelector('#timeline-view canvas'); c.focus();\
         c.dispatchEvent(new WheelEvent('wheel', {deltaY: -200, cancelable: true, bubbles: true}))",
    );
    assert!(span(&seen()) < span(&moved), "the wheel does not zoom");
    let tip = browser.run(
        "var c = document.querySelector('#timeline-view canvas'), b = c.getBoundingClientRect();\
         for (var y = 0; y < b.height; y += 3) {\
           c.dispatchEvent(new PointerEvent('pointermove', {clientX: b.left + b.width * .6, clientY: b.top + y, bubbles: true}));\
           var t = document.querySelector('.tl-tip'); if (!t.hidden) return t.textContent; }",
    );
    assert!(tip.as_str().is_some_and(|tip| tip.contains("stage 0 llm rank 0")), "{tip}");
    browser.run("document.querySelector('[data-do=reset]').click()");
    assert_eq!(seen(), whole);
}

/// Shift and the arrow keys go from piece to piece and from lane to lane, and what they tell is spoken.
fn the_timeline_tells_its_pieces_by_keyboard(browser: &Browser) {
    let press = |keys: &str| {
        browser.type_into("#timeline-view canvas", &format!("\u{E008}{keys}"));
        let told = browser.run(
            "return ['.tl-spoken', '.tl-tip'].map(s => document.querySelector(s)).map(e => e.hidden ? '' : e.textContent)",
        );
        let [spoken, tip] = texts(&told).try_into().expect("two texts");
        assert_eq!(spoken, tip);
        assert!(tip.lines().count() >= 3, "{tip}");
        tip
    };
    let between = |tip: &str| {
        let line = tip.lines().nth(1).expect("its times").to_owned();
        let times = line.split(" (").next().and_then(|times| times.split_once(" to "));
        let (from, to) = times.unwrap_or_else(|| panic!("{tip}"));
        (from.to_owned(), to.to_owned())
    };
    let lane = |tip: &str| tip.lines().next().expect("its lane").to_owned();
    let (right, left, down) = ("\u{E014}", "\u{E012}", "\u{E015}");
    let first = press(right);
    let second = press(right);
    assert_eq!(between(&first).1, between(&second).0, "{first}\n{second}");
    assert_eq!(press(left), first);
    let below = press(down);
    assert_ne!(lane(&below), lane(&first));
    browser.run("document.querySelector('[data-do=reset]').click()");
}

/// A number as it is read, in the unit of the exact one.
fn read_number(words: &str) -> f64 {
    let (number, unit) = words.split_once(' ').unwrap_or((words, ""));
    let number: f64 = number.replace(',', "").parse().expect("a number");
    match unit {
        "µs" => number * 1e3,
        "ms" => number * 1e6,
        "s" => number * 1e9,
        _ => number,
    }
}

#[test]
fn every_number_of_the_verdict_is_that_of_the_machine_output() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let cases: [&[&str]; 5] = [
        &["fixtures/pipeline"],
        &["fixtures/vllm_tp2_step"],
        &["fixtures/nccl_two_ranks"],
        &["fixtures/broken_truncated_json"],
        &["fixtures/torch_cpu_multithread"],
    ];
    for paths in cases {
        let page = report(&[paths, &["--logs", LOG]].concat(), folder.path());
        browser.open(&page);
        let analyze = json_of(&[&["analyze"], paths].concat());
        let stages = json_of(&["stages", LOG]);
        let critical = json_of(&[&["critical-path"], paths].concat());
        let figures = browser.run(
            "return Array.from(document.querySelectorAll('#verdict [data-path]')).map(e => \
             [e.dataset.value, e.dataset.command, e.dataset.path, e.dataset.of || '', e.textContent, e.hash || ''])",
        );
        let figures = figures.as_array().expect("figures").clone();
        assert!(figures.len() > 5, "{paths:?}: {}", figures.len());
        for figure in figures {
            let [value, command, path, of, words, link] =
                texts(&figure).try_into().expect("six parts");
            let machine = match command.as_str() {
                "stages" => &stages,
                "critical-path" => &critical,
                _ => &analyze,
            };
            if let Some(text) = machine.pointer(&path).and_then(Value::as_str) {
                assert_eq!(words, text, "{paths:?}: {path}");
                continue;
            }
            let field = |path: &str| {
                let found = machine.pointer(path);
                let length = |list: &Vec<Value>| list.len() as f64;
                let found =
                    found.and_then(|one| one.as_f64().or_else(|| one.as_array().map(length)));
                found.unwrap_or_else(|| panic!("{paths:?}: {path} is no number"))
            };
            let exact =
                if of.is_empty() { field(&path) } else { field(&path) * 100.0 / field(&of) };
            let value: f64 = value.parse().expect("a number");
            assert!((value - exact).abs() <= 1e-9 * exact.abs(), "{path}: {value} is not {exact}");
            let read = read_number(&words);
            // Shares have one decimal, whether they are a cell or a quotient.
            let is_share = !of.is_empty() || words.ends_with('%');
            let tolerance = if is_share { 0.0501 } else { exact.abs() * 5.1e-4 };
            assert!((read - exact).abs() <= tolerance, "{path}: {words} is not {exact}");
            assert!(!link.is_empty(), "{path}: {words} leads to no table");
            let target = browser.run(&format!("return !!document.querySelector('{link}')"));
            assert_eq!(target, true, "{link}");
        }
    }
}

#[test]
fn hostile_names_stay_names() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let trace = hostile::trace(folder.path());
    let page = report(&[trace.to_str().expect("UTF-8")], folder.path());
    browser.resize(1280, 900);
    browser.open(&page);
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert_eq!(browser.run("return window.canary === undefined"), true);
    let title = browser.run("return document.title");
    assert!(title.as_str().is_some_and(|title| title.contains("a&b<i>'x'.json")), "{title}");
    assert_eq!(browser.run("return document.querySelectorAll('script').length"), 3);
    assert_eq!(browser.run("return document.querySelectorAll('h1').length"), 1);
    assert_eq!(browser.run("return document.querySelectorAll('img, [onerror], [onmouseover], [onfocus], [style]:not(.tl-tip):not(canvas)').length"), 0);
    let names = column(&browser, "analyze-kernels", "name");
    for name in hostile::NAMES {
        // What turns the direction of writing or breaks a line is shown as an escape.
        let name = name.replace('\u{202e}', r"\u{202e}").replace('\u{2028}', r"\u{2028}");
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert_no_sideways_scroll(&browser, "hostile");
}

fn assert_no_sideways_scroll(browser: &Browser, case: &str) {
    for width in [400, 1280, 2560] {
        browser.resize(width, 900);
        let extent = browser.run(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        assert_eq!(extent, 0, "{case} scrolls sideways at {width}");
    }
}

#[test]
fn a_million_events_are_a_small_and_quick_page() {
    let Some(traces) = common::shared_traces() else { return };
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let trace = traces.join(
        "own/vllm/v030_tp2_mp/1795302253148473390-rank-0.1795302480227582677.pt.trace.json.gz",
    );
    let page = report(&[trace.to_str().expect("UTF-8")], folder.path());
    let bytes = page.metadata().expect("the page is there").len();
    assert!(bytes < MAX_PAGE_BYTES, "{bytes} bytes");
    browser.resize(1280, 900);
    // What the page takes is told in time of the processor: how long it waits for one is the machine's affair.
    browser.devtools("Performance.enable", serde_json::json!({"timeDomain": "threadTicks"}));
    let quickest_s = (0..3)
        .map(|_| {
            let before = browser.busy_s();
            browser.open(&page);
            browser.run(
                "document.querySelector('[data-do=in]').click();\
                 document.querySelector('#timeline-view canvas').getContext('2d').getImageData(0, 0, 1, 1)",
            );
            // A page in a process of its own counts from nothing.
            let now = browser.busy_s();
            if now < before { now } else { now - before }
        })
        .fold(f64::INFINITY, f64::min);
    println!("{quickest_s} s until the timeline answers");
    assert!(quickest_s > 0.0 && quickest_s < 1.0, "{quickest_s} s until the timeline answers");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Every kind of input at three widths, light and dark.
#[test]
fn pages_fit_every_width() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let shots = root().join("target/report-screenshots");
    std::fs::create_dir_all(&shots).expect("a folder for the pictures");
    let hostile = hostile::trace(folder.path()).display().to_string();
    let mut cases: Vec<(&str, Vec<String>)> = vec![
        ("pipeline", vec!["fixtures/pipeline".into(), "--logs".into(), LOG.into()]),
        ("cpu", vec!["fixtures/torch_cpu_multithread".into()]),
        ("hostile", vec![hostile]),
        ("empty", vec!["fixtures/empty_trace".into()]),
    ];
    if let Some(traces) = common::shared_traces() {
        let path = |part: &str| traces.join(part).display().to_string();
        cases.push(("eight-ranks", vec![path("public/dlrm_8rank")]));
        cases.push(("two-ranks", vec![path("own/vllm/v030_tp2_mp_maxiter1")]));
        let logs = ["--logs".into(), path("own/h100/x2_small.log")];
        cases.push(("three-stages", [vec![path("own/h100/py_pipe_tp2")], logs.to_vec()].concat()));
    }
    for (name, arguments) in cases {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let page = report(&arguments, &folder.path().join(name));
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            for width in [400, 1280, 2560] {
                browser.resize(width, 900);
                browser.open(&page);
                browser.screenshot(4_000, &shots.join(format!("{name}-{width}-{scheme}.png")));
            }
        }
        assert_no_sideways_scroll(&browser, name);
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
    }
}
