//! The committed generated code is what the schemas give. `BLESS=1` writes it.

use std::path::Path;

/// Each schema, the file that is generated from it, and whether its messages are JSON too.
const SCHEMAS: [(&str, &str, bool); 3] = [
    ("capture_manifest.proto", "omni_trace.capture.v1.rs", true),
    ("partial.proto", "omni_trace.partial.v1.rs", false),
    ("perfetto.proto", "perfetto.protos.rs", false),
];

#[test]
fn generated_code_matches_the_schemas() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (schema, generated, is_json) in SCHEMAS {
        let out = tempfile::tempdir().unwrap();
        let descriptors = protox::compile([schema], [root]).unwrap();
        let mut config = prost_build::Config::new();
        config.out_dir(out.path());
        if is_json {
            config.type_attribute(".", "#[derive(serde::Serialize, serde::Deserialize)]");
        }
        config.compile_fds(descriptors).unwrap();
        let fresh = std::fs::read_to_string(out.path().join(generated)).unwrap();
        let committed = root.join("src/generated").join(generated);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&committed, &fresh).unwrap();
        }
        let kept = std::fs::read_to_string(&committed).unwrap_or_default();
        assert!(kept == fresh, "{generated} is not what {schema} gives: run with BLESS=1");
    }
}
