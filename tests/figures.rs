//! Figures: pictures against committed ones, hostile names, text alternatives, no font of the system.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use omni_trace::render::figure::{alt, svg};
use omni_trace::table::figure::{Figure, analyze_figures};
use omni_trace::table::{AnalyzeReport, KernelRow};

/// A channel may differ by so much: another processor may round the edges of letters otherwise.
const MAX_DIFFERENCE: u8 = 24;

/// So many of a thousand pixels may differ by more.
const MAX_PER_MILLE: usize = 1;

/// What is drawn: arguments, and the figures that are compared.
const CASES: [(&[&str], &[&str]); 4] = [
    (&["analyze", "fixtures/pipeline"], &["breakdown", "blame"]),
    (&["analyze", "fixtures/roofline/llama_decode.json.gz"], &["roofline"]),
    (&["analyze", "fixtures/snapshot/trace.json", "fixtures/snapshot/mem.pickle"], &["memory"]),
    (&["stages", "fixtures/logs_seed"], &["waterfall"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Draws into a directory, without any of the caller's environment but `variables`.
fn draw(arguments: &[&str], directory: &Path, variables: &[(&str, &str)]) {
    let output = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(arguments)
        .arg("--png")
        .arg(directory)
        .current_dir(root())
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!output.stdout.is_empty(), "the tables still go to standard output");
}

/// Width, height and bytes of the pixels.
type Picture = (u32, u32, Vec<u8>);

fn decoded(path: &Path) -> Picture {
    let file = std::io::BufReader::new(fs::File::open(path).unwrap());
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

#[test]
fn pictures_are_as_committed() {
    let references = root().join("reports/figures");
    for (arguments, keys) in CASES {
        let directory = tempfile::tempdir().unwrap();
        draw(arguments, directory.path(), &[]);
        for key in keys {
            let drawn = directory.path().join(format!("{key}.png"));
            let reference = references.join(format!("{key}.png"));
            let halved = halved(&decoded(&drawn));
            if std::env::var_os("BLESS").is_some() {
                write(&reference, &halved);
            }
            let size = fs::metadata(&reference).unwrap().len();
            assert!(size < 70_000, "{key}.png has {size} bytes");
            let compared = same_picture(&halved, &decoded(&reference));
            compared.unwrap_or_else(|why| panic!("{key}.png: {why}; look at it, then BLESS=1"));
        }
    }
}

/// Half as wide and high, each pixel the mean of four: what is committed stays small.
fn halved((width, height, pixels): &Picture) -> Picture {
    let (half_width, half_height) = (width / 2, height / 2);
    let at =
        |x: u32, y: u32, channel: u32| u32::from(pixels[((y * width + x) * 3 + channel) as usize]);
    let mut out = Vec::new();
    for y in 0..half_height {
        for x in 0..half_width {
            for channel in 0..3 {
                let sum: u32 = [(0, 0), (1, 0), (0, 1), (1, 1)]
                    .iter()
                    .map(|(dx, dy)| at(2 * x + dx, 2 * y + dy, channel))
                    .sum();
                out.push((sum / 4) as u8);
            }
        }
    }
    (half_width, half_height, out)
}

fn write(path: &Path, (width, height, pixels): &Picture) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), *width, *height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
}

/// Why two pictures are not the same within the bounds.
fn same_picture(drawn: &Picture, reference: &Picture) -> Result<(), String> {
    let sizes = ((drawn.0, drawn.1), (reference.0, reference.1));
    if sizes.0 != sizes.1 {
        return Err(format!("{:?} and not {:?} pixels", sizes.0, sizes.1));
    }
    let differs =
        |(a, b): &(&[u8], &[u8])| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > MAX_DIFFERENCE);
    let n_pixels = drawn.2.len() / 3;
    let n_different = drawn.2.chunks(3).zip(reference.2.chunks(3)).filter(differs).count();
    if n_different * 1_000 > n_pixels * MAX_PER_MILLE {
        return Err(format!("{n_different} of {n_pixels} pixels differ"));
    }
    Ok(())
}

/// The bounds refuse another colour, another size and a moved bar, and allow what is within them.
#[test]
fn another_picture_is_refused() {
    let reference = decoded(&root().join("reports/figures/breakdown.png"));
    assert_eq!(same_picture(&reference, &reference), Ok(()));
    let shifted = |by: u8| {
        let move_away = |c: &u8| if *c < 128 { c + by } else { c - by };
        (reference.0, reference.1, reference.2.iter().map(move_away).collect())
    };
    assert_eq!(same_picture(&shifted(MAX_DIFFERENCE), &reference), Ok(()));
    assert!(same_picture(&shifted(MAX_DIFFERENCE + 1), &reference).is_err());
    let n_pixels = reference.2.len() / 3;
    let with_black = |n: usize| {
        let mut picture = reference.clone();
        let white = picture.2.chunks_mut(3).filter(|pixel| **pixel == [255; 3]);
        white.take(n).for_each(|pixel| pixel.fill(0));
        picture
    };
    let allowed = n_pixels * MAX_PER_MILLE / 1_000;
    assert_eq!(same_picture(&with_black(allowed), &reference), Ok(()));
    assert!(same_picture(&with_black(allowed + 1), &reference).is_err());
    let mut moved = reference.clone();
    moved.2.rotate_right(9);
    assert!(same_picture(&moved, &reference).is_err(), "three pixels to the right");
    let narrower = (reference.0 - 1, reference.1, reference.2.clone());
    assert!(same_picture(&narrower, &reference).is_err());
}

#[test]
fn no_font_of_the_system_is_used() {
    let bytes = |variables: &[(&str, &str)]| {
        let directory = tempfile::tempdir().unwrap();
        draw(CASES[0].0, directory.path(), variables);
        fs::read(directory.path().join("breakdown.png")).unwrap()
    };
    let inherited: Vec<(String, String)> = std::env::vars().collect();
    let inherited: Vec<(&str, &str)> =
        inherited.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let nowhere = [("FONTCONFIG_FILE", "/nonexistent"), ("HOME", "/nonexistent")];
    assert!(bytes(&inherited) == bytes(&nowhere));
}

fn figures_of(names: &[&str]) -> Vec<Figure> {
    let row = |(i, name): (usize, &&str)| KernelRow {
        name: (*name).to_owned(),
        class: omni_trace::table::KernelClass::default(),
        category: omni_trace::analyze::kernels::ActivityKind::Kernel,
        operator: None,
        streams: None,
        count: 3,
        per_iteration: None,
        sum_ns: 1_000_000 * (names.len() - i) as i64,
        share_pct: None,
        min_ns: 1,
        median_ns: 2,
        p99_ns: 3,
        max_ns: 4,
        run: 0,
    };
    let kernels = names.iter().enumerate().map(row).collect();
    analyze_figures(&AnalyzeReport { kernels, ..AnalyzeReport::default() })
}

#[test]
fn hostile_names_are_text() {
    let long = "void a::b<".to_owned() + &"std::tuple<int, ".repeat(2_000);
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'--><!--]]><![CDATA[&amp;&#x3c;",
        "a\0b\u{1b}[2J\u{fffe}\u{202e}txet",
        "עברית العربية 漢字 🧨",
        "></text></svg>",
        &long,
    ];
    for figure in figures_of(&names) {
        for width in [320, 960, 2_560] {
            let text = svg(&figure, width, "a\"><b");
            let document = roxmltree::Document::parse(&text).unwrap();
            let known = ["svg", "g", "title", "desc", "rect", "line", "circle", "text"];
            let mut ids = Vec::new();
            for element in document.descendants().filter(roxmltree::Node::is_element) {
                assert!(known.contains(&element.tag_name().name()), "{:?}", element.tag_name());
                assert!(
                    element.attributes().all(|a| !a.name().starts_with("on") && a.name() != "href")
                );
                ids.extend(element.attribute("id"));
            }
            assert_eq!(ids, ["ab-title", "ab-desc"]);
            if figure.key == "kernels" {
                let words: Vec<&str> =
                    document.descendants().filter_map(|node| node.text()).collect();
                assert!(words.contains(&names[0]), "the name is there as it is");
            }
        }
    }
}

#[test]
fn what_is_told_is_what_the_report_says() {
    let figures = figures_of(&["one", "two"]);
    let kernels = figures.iter().find(|figure| figure.key == "kernels").unwrap();
    let told = alt(kernels);
    assert!(told.contains("one, of 3.000 ms: kernel 2.000 ms, 66.7 %."), "{told}");
    assert!(told.contains("two, of 3.000 ms: kernel 1.000 ms, 33.3 %."), "{told}");
    let empty = figures.iter().find(|figure| figure.key == "devices").unwrap();
    assert!(alt(empty).contains("Nothing to show, because no device activity was recorded."));
}
